//! Times as other programs write them, against our own clock.

use std::time::SystemTime;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

/// A time in RFC 3339.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    DateTime::from(time).fmt(Format::DateTime).expect("the present is within RFC 3339")
}

/// The time that a text in RFC 3339 names.
pub(crate) fn parse_rfc3339(text: &str) -> Option<SystemTime> {
    SystemTime::try_from(DateTime::from_str(text, Format::DateTime).ok()?).ok()
}

/// By how many seconds our clock is ahead of an HTTP `Date`; negative where it is behind.
pub(crate) fn seconds_ahead(date: &str) -> Option<i64> {
    since(date, SystemTime::now())
}

fn since(date: &str, now: SystemTime) -> Option<i64> {
    let date = DateTime::from_str(date, Format::HttpDate).ok()?;
    Some(DateTime::from(now).secs() - date.secs())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn clock_is_compared_with_the_date_header() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_420_452_000);
        assert_eq!(since("Mon, 05 Jan 2015 09:00:00 GMT", now), Some(3600));
        assert_eq!(since("Mon, 05 Jan 2015 10:20:00 GMT", now), Some(-1200));
        assert_eq!(since("yesterday", now), None);
    }

    #[test]
    fn rfc3339_is_read_as_it_is_written() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_420_452_000);
        assert_eq!(rfc3339(time), "2015-01-05T10:00:00Z");
        assert_eq!(parse_rfc3339(&rfc3339(time)), Some(time));
    }
}

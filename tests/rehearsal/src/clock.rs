//! Times as AWS writes them. Pure.

use std::time::SystemTime;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

/// `Sun, 22 Nov 2026 00:31:06 GMT`
pub(crate) fn http_date(at: SystemTime) -> String {
    text(at, Format::HttpDate)
}

/// `2026-11-22T00:31:06Z`
pub(crate) fn rfc3339(at: SystemTime) -> String {
    text(at, Format::DateTime)
}

/// `20261122T003106Z`
pub(crate) fn amz_date(at: SystemTime) -> String {
    rfc3339(at).replace(['-', ':'], "")
}

/// The time that [`amz_date`] wrote; `None` if it is not such a text.
pub(crate) fn from_amz_date(text: &str) -> Option<SystemTime> {
    if text.len() != 16 || !text.is_ascii() {
        return None;
    }
    let (day, time) = (&text[..8], &text[9..15]);
    let text = format!(
        "{}-{}-{}T{}:{}:{}Z",
        &day[..4],
        &day[4..6],
        &day[6..],
        &time[..2],
        &time[2..4],
        &time[4..]
    );
    SystemTime::try_from(DateTime::from_str(&text, Format::DateTime).ok()?).ok()
}

fn text(at: SystemTime, format: Format) -> String {
    let seconds = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("no clock here runs before 1970")
        .as_secs();
    let seconds = i64::try_from(seconds).expect("no clock here runs past the year 292277026596");
    DateTime::from_secs(seconds).fmt(format).expect("every second of this age can be written")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_written_and_read_as_aws_does() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_369_353_600);
        assert_eq!(http_date(at), "Fri, 24 May 2013 00:00:00 GMT");
        assert_eq!(rfc3339(at), "2013-05-24T00:00:00Z");
        assert_eq!(amz_date(at), "20130524T000000Z");
        assert_eq!(from_amz_date("20130524T000000Z"), Some(at));
        assert_eq!(from_amz_date("2013-05-24T00:00"), None);
    }
}

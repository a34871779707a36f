//! What an answer of S3 that is no object means: another region, a failure that stays, or one that
//! may pass. Pure.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>

use std::time::{Duration, SystemTime};

use aws_smithy_types::date_time::{DateTime, Format};

use super::failure::{Asked, Kind};
use super::retry::{Failure, Next};
use super::transport::printable;

/// The parts of an error answer that tell its kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) message: String,
    pub(super) request_id: Option<String>,
    /// Where the bucket is, if the answer says so.
    pub(super) region: Option<String>,
    pub(super) delete_marker: bool,
    /// Our clock less the answer's `Date`, in seconds.
    pub(super) clock_ahead: Option<i64>,
}

/// Beyond this S3 refuses a signature: 15 minutes less some.
const SKEWED: u64 = 240;

impl Answer {
    pub(super) fn new(status: u16, header: impl Fn(&str) -> Option<String>, body: &[u8]) -> Self {
        let body = String::from_utf8_lossy(body);
        let region = header("x-amz-bucket-region")
            .or_else(|| element(&body, "Region"))
            .or_else(|| element(&body, "Endpoint").and_then(|host| region_in(&host)));
        Self {
            status,
            code: element(&body, "Code").unwrap_or_default(),
            message: element(&body, "Message").unwrap_or_default(),
            request_id: header("x-amz-request-id"),
            region: region.filter(|region| crate::net::partition::is_region(region)),
            delete_marker: header("x-amz-delete-marker").is_some_and(|value| value == "true"),
            clock_ahead: header("date").and_then(|date| seconds_since(&date, SystemTime::now())),
        }
    }

    /// The region to ask instead, if the answer says that `asked` is the wrong one.
    pub(super) fn other_region(&self, asked: &str) -> Option<&str> {
        self.misdirected().then_some(self.region.as_deref()?).filter(|region| *region != asked)
    }

    fn misdirected(&self) -> bool {
        let named = [
            "PermanentRedirect",
            "TemporaryRedirect",
            "Redirect",
            "AuthorizationHeaderMalformed",
            "IllegalLocationConstraintException",
        ];
        matches!(self.status, 301 | 307)
            || named.contains(&&*self.code)
            || (self.status == 400 && self.code.is_empty())
    }

    /// What a GetObject of `asked` failed with; `tried` are the regions asked so far, in order.
    pub(super) fn failure(&self, asked: &Asked, tried: &[String]) -> Failure {
        let (kind, next) = self.kind(asked, tried);
        Failure { kind, next, causes: vec![self.said()] }
    }

    /// In S3's own words, with the number its support asks for.
    fn said(&self) -> String {
        let words = [self.status.to_string(), self.code.clone(), printable(&self.message)];
        let id = self.request_id.as_ref().map(|id| format!("(request {})", printable(id)));
        let said: Vec<String> =
            words.into_iter().chain(id).filter(|word| !word.is_empty()).collect();
        format!("S3 said: {}", said.join(" "))
    }

    fn kind(&self, asked: &Asked, tried: &[String]) -> (Kind, Next) {
        use Next::{GiveUp, Wait};
        let code = || self.code.clone();
        if let Some(kind) = self.kms() {
            return (kind, GiveUp);
        }
        match (self.status, &*self.code) {
            (429, _)
            | (
                _,
                "SlowDown"
                | "Throttling"
                | "ThrottlingException"
                | "RequestLimitExceeded"
                | "TooManyRequestsException",
            ) => (Kind::Throttled(self.status), Wait),
            (_, "RequestTimeout") => (Kind::Server(self.status), Wait),
            (500.., _) => (Kind::Server(self.status), Wait),
            (_, "RequestTimeTooSkewed") => (self.skewed(), GiveUp),
            (403, "SignatureDoesNotMatch") if self.is_skewed() => (self.skewed(), GiveUp),
            (
                _,
                "InvalidAccessKeyId"
                | "ExpiredToken"
                | "InvalidToken"
                | "SignatureDoesNotMatch"
                | "TokenRefreshRequired",
            ) => (Kind::Credentials { code: code() }, GiveUp),
            (_, "InvalidObjectState") => (Kind::Archived, GiveUp),
            (_, "NoSuchBucket" | "InvalidBucketName" | "NoSuchAccessPoint") => {
                (Kind::NoBucket, GiveUp)
            }
            (_, "NoSuchVersion") => (Kind::NoVersion, GiveUp),
            (400, "InvalidArgument") if asked.object.version_id.is_some() => {
                (Kind::NoVersion, GiveUp)
            }
            (404 | 405, _) if self.delete_marker => (Kind::DeleteMarker, GiveUp),
            (404, _) => (Kind::NoKey, GiveUp),
            (403, _) => (Kind::AccessDenied(Box::new(asked.clone())), GiveUp),
            _ if self.misdirected() && (self.status != 400 || !self.code.is_empty()) => {
                (Kind::RegionLoop(tried.to_vec()), GiveUp)
            }
            (status, _) => (Kind::Refused { status, code: code() }, GiveUp),
        }
    }

    /// S3 passes on what KMS said: in the code (`KMS.DisabledException`) or, for a missing
    /// permission, in the message.
    fn kms(&self) -> Option<Kind> {
        if self.code.starts_with("KMS.") {
            return Some(Kind::KmsKey { code: self.code.clone() });
        }
        let denied = self.status == 403
            && ["kms:", "KMS key", "ciphertext refers to"]
                .iter()
                .any(|sign| self.message.contains(sign));
        let is_key = |word: &&str| word.starts_with("arn:") && word.contains(":kms:");
        let key =
            self.message.split(|c: char| c.is_whitespace() || "\"'(),;".contains(c)).find(is_key);
        denied.then(|| Kind::KmsDenied { key: key.map(|key| key.trim_end_matches('.').to_owned()) })
    }

    fn skewed(&self) -> Kind {
        Kind::ClockSkew { ahead: self.clock_ahead }
    }

    fn is_skewed(&self) -> bool {
        self.clock_ahead.is_some_and(|ahead| ahead.unsigned_abs() > SKEWED)
    }
}

/// The text of the first element of that name. S3's error documents are flat, and need no more of
/// XML than this.
pub(crate) fn element(xml: &str, name: &str) -> Option<String> {
    let (_, after) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = after.split_once(&format!("</{name}>"))?;
    let plain = [
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&#39;", "'"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
    ];
    Some(plain.iter().fold(text.trim().to_owned(), |text, (from, to)| text.replace(from, to)))
        .filter(|text| !text.is_empty())
}

/// From a host such as `bucket.s3.eu-west-1.amazonaws.com` or `bucket.s3-eu-west-1.amazonaws.com`.
fn region_in(host: &str) -> Option<String> {
    let mut labels =
        host.split('.').skip_while(|label| *label != "s3" && !label.starts_with("s3-"));
    let region = match labels.next()? {
        "s3" => labels.find(|label| *label != "dualstack")?,
        joined => joined.strip_prefix("s3-")?,
    };
    (region.contains('-')).then(|| region.to_owned())
}

/// `now` less an HTTP date.
fn seconds_since(date: &str, now: SystemTime) -> Option<i64> {
    let date = DateTime::from_str(date, Format::HttpDate).ok()?;
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    Some(i64::try_from(now).ok()? - date.secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ExitStatus;
    use crate::source::Object;

    fn asked() -> Asked {
        Asked {
            object: Object { key: "k".into(), version_id: Some("v".into()), ..Object::default() },
            region: "us-west-2".into(),
        }
    }

    fn kind(status: u16, code: &str, message: &str) -> (Kind, Next) {
        Answer { status, code: code.into(), message: message.into(), ..Answer::default() }
            .kind(&asked(), &["us-west-2".into()])
    }

    #[test]
    fn every_documented_error_has_its_word_and_its_chance() {
        use Next::{GiveUp, Wait};
        let table = [
            (403, "AccessDenied", ExitStatus::AccessDenied, GiveUp),
            (403, "AllAccessDisabled", ExitStatus::AccessDenied, GiveUp),
            (403, "", ExitStatus::AccessDenied, GiveUp),
            (403, "InvalidAccessKeyId", ExitStatus::AccessDenied, GiveUp),
            (403, "SignatureDoesNotMatch", ExitStatus::AccessDenied, GiveUp),
            (400, "ExpiredToken", ExitStatus::AccessDenied, GiveUp),
            (400, "InvalidToken", ExitStatus::AccessDenied, GiveUp),
            (403, "RequestTimeTooSkewed", ExitStatus::AccessDenied, GiveUp),
            (403, "InvalidObjectState", ExitStatus::AccessDenied, GiveUp),
            (400, "KMS.DisabledException", ExitStatus::AccessDenied, GiveUp),
            (400, "InvalidRequest", ExitStatus::AccessDenied, GiveUp),
            (405, "MethodNotAllowed", ExitStatus::AccessDenied, GiveUp),
            (404, "NoSuchKey", ExitStatus::NotFound, GiveUp),
            (404, "NoSuchBucket", ExitStatus::NotFound, GiveUp),
            (404, "NoSuchVersion", ExitStatus::NotFound, GiveUp),
            (404, "NoSuchAccessPoint", ExitStatus::NotFound, GiveUp),
            (400, "InvalidArgument", ExitStatus::NotFound, GiveUp),
            (404, "", ExitStatus::NotFound, GiveUp),
            (301, "PermanentRedirect", ExitStatus::SourceUnreachable, GiveUp),
            (400, "AuthorizationHeaderMalformed", ExitStatus::SourceUnreachable, GiveUp),
            (503, "SlowDown", ExitStatus::SourceUnreachable, Wait),
            (503, "ServiceUnavailable", ExitStatus::SourceUnreachable, Wait),
            (503, "", ExitStatus::SourceUnreachable, Wait),
            (500, "InternalError", ExitStatus::SourceUnreachable, Wait),
            (429, "TooManyRequestsException", ExitStatus::SourceUnreachable, Wait),
            (400, "RequestTimeout", ExitStatus::SourceUnreachable, Wait),
        ];
        for (status, code, word, next) in table {
            let (kind, found) = kind(status, code, "");
            assert_eq!((kind.status(), found), (word, next), "{status} {code}: {kind}");
            assert!(!kind.remedy().is_empty());
        }
    }

    #[test]
    fn a_delete_marker_is_told_from_a_missing_key() {
        for (status, code) in [(404, "NoSuchKey"), (405, "MethodNotAllowed")] {
            let answer =
                Answer { status, code: code.into(), delete_marker: true, ..Answer::default() };
            assert_eq!(answer.kind(&asked(), &[]).0, Kind::DeleteMarker);
        }
    }

    #[test]
    fn a_refusal_of_kms_names_the_key_where_s3_does() {
        let key = "arn:aws:kms:us-west-2:123456789012:key/1234abcd-12ab";
        let who = "User: arn:aws:sts::123456789012:assumed-role/r/i-1 is not authorized to perform: kms:Decrypt on";
        let table = [
            (
                format!(
                    "{who} resource: {key} because no identity-based policy allows the kms:Decrypt action"
                ),
                Some(key),
            ),
            (
                format!(
                    "{who} this resource because the resource does not exist in this Region, no resource-based policies allow"
                ),
                None,
            ),
            ("The ciphertext refers to a customer master key that does not exist".to_owned(), None),
        ];
        for (message, key) in table {
            let found = kind(403, "AccessDenied", &message).0;
            assert_eq!(found, Kind::KmsDenied { key: key.map(str::to_owned) });
            assert!(
                key.is_none_or(|key| found
                    .to_string()
                    .contains(&format!(r#""Action":"kms:Decrypt","Resource":"{key}""#))),
                "{found}"
            );
        }
    }

    #[test]
    fn a_signature_that_does_not_match_is_the_clocks_fault_when_the_clock_is_off() {
        let answer = |ahead| Answer {
            status: 403,
            code: "SignatureDoesNotMatch".into(),
            clock_ahead: Some(ahead),
            ..Answer::default()
        };
        assert_eq!(answer(-3600).kind(&asked(), &[]).0, Kind::ClockSkew { ahead: Some(-3600) });
        assert_eq!(
            answer(5).kind(&asked(), &[]).0,
            Kind::Credentials { code: "SignatureDoesNotMatch".into() }
        );
        assert!(Kind::ClockSkew { ahead: Some(-3600) }.to_string().contains("3600 s behind"));
    }

    #[test]
    fn the_region_is_read_from_header_element_or_host() {
        let table = [
            ("bucket.s3.eu-west-1.amazonaws.com", Some("eu-west-1")),
            ("bucket.s3-eu-west-1.amazonaws.com", Some("eu-west-1")),
            ("bucket.s3.dualstack.eu-west-1.amazonaws.com", Some("eu-west-1")),
            ("s3.us-iso-east-1.c2s.ic.gov", Some("us-iso-east-1")),
            ("bucket.s3.amazonaws.com", None),
            ("example.com", None),
        ];
        for (host, region) in table {
            assert_eq!(region_in(host).as_deref(), region, "{host}");
        }
        let evil = Answer::new(
            301,
            |_| None,
            b"<Error><Code>PermanentRedirect</Code><Region>evil.test/</Region></Error>",
        );
        assert_eq!(evil.other_region("us-west-2"), None);
    }

    #[test]
    fn what_s3_said_is_quoted_on_one_line_and_in_measure() {
        let body = format!(
            "<Error><Code>X</Code><Message>a &amp;lt; b\n\x1b[31m{}</Message></Error>",
            "m".repeat(1000)
        );
        let said = Answer::new(
            403,
            |name| (name == "x-amz-request-id").then(|| "R1".to_owned()),
            body.as_bytes(),
        )
        .said();
        assert!(
            said.starts_with("S3 said: 403 X a &lt; b  [31mmm") && said.ends_with("m (request R1)"),
            "{said}"
        );
        assert!(said.len() < 350);
    }

    #[test]
    fn the_clock_is_compared_with_the_date_header() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_420_452_000);
        assert_eq!(seconds_since("Mon, 05 Jan 2015 09:00:00 GMT", now), Some(3600));
        assert_eq!(seconds_since("Mon, 05 Jan 2015 10:20:00 GMT", now), Some(-1200));
        assert_eq!(seconds_since("yesterday", now), None);
    }
}

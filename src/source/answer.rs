//! What an answer of S3 that is not an object means: another region, a failure that stays, or one
//! that may pass. Pure.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>

use ecs_config::text::printable;

use super::error::{ErrorKind, NO_BUCKET, NO_KEY, NO_VERSION};
use super::{Failed, Object};
use crate::net::NetworkError;
use crate::net::backoff::{FailedAttempt, Next};
use crate::net::partition::is_region;
use crate::net::signed::Answer;

/// The parts of an error answer that tell its kind.
pub(crate) struct S3Answer {
    answer: Answer,
    request_id: Option<String>,
    /// Where the bucket is, if the answer tells.
    pub(crate) region: Option<String>,
    delete_marker: bool,
}

/// Codes with which S3, Parameter Store and Secrets Manager refuse credentials.
/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/CommonErrors.html>
pub(super) const CREDENTIALS: [&str; 10] = [
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
    "UnrecognizedClientException",
];
/// Codes with which S3 points to another region.
const MISDIRECTED: [&str; 5] = [
    "PermanentRedirect",
    "TemporaryRedirect",
    "Redirect",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
];
/// Seconds. Beyond 15 minutes S3 refuses a signature.
const SKEWED: u64 = 240;

impl S3Answer {
    pub(crate) fn new(status: u16, header: impl Fn(&str) -> Option<String>, body: &[u8]) -> Self {
        let answer = Answer::new(status, header("date"), body);
        let region = header("x-amz-bucket-region")
            .or_else(|| answer.element("Region"))
            .or_else(|| answer.element("Endpoint").and_then(|host| region_in(&host)));
        Self {
            answer,
            request_id: header("x-amz-request-id"),
            region: region.filter(|region| is_region(region)),
            delete_marker: header("x-amz-delete-marker").is_some_and(|value| value == "true"),
        }
    }

    /// The region to ask instead, if `asked` is the wrong one.
    pub(super) fn other_region(&self, asked: &str) -> Option<&str> {
        self.misdirected().then_some(self.region.as_deref()?).filter(|region| *region != asked)
    }

    fn misdirected(&self) -> bool {
        let Answer { status, code, .. } = &self.answer;
        matches!(status, 301 | 307)
            || MISDIRECTED.contains(&&**code)
            || (*status == 400 && code.is_empty())
    }

    /// What a GetObject of `object` failed with; `tried` are the regions asked so far, in order.
    pub(super) fn failure(&self, object: &Object, tried: &[String]) -> Failed {
        let (kind, next) = self.kind(object, tried);
        FailedAttempt::last(kind).then(next).because(self.quoted())
    }

    pub(crate) fn quoted(&self) -> String {
        self.answer.quoted("S3", self.request_id.as_deref())
    }

    fn kind(&self, object: &Object, tried: &[String]) -> (ErrorKind, Next) {
        let Answer { status, clock_ahead, .. } = self.answer;
        let (code, message) = (&*self.answer.code, &*self.answer.message);
        if let Some(error) = NetworkError::of_answer(status, code) {
            return (error.into(), Next::Wait);
        }
        // What S3 does not answer: a 304 without If-None-Match, another success than 200, a redirect
        // that is not to another region.
        if status < 400 && !self.misdirected() {
            return (NetworkError::Unexpected(status).into(), Next::GiveUp);
        }
        // S3 passes on what KMS answered: for a missing permission in the message, else in the code.
        let kms = kms_denied(message).filter(|_| status == 403 && !code.starts_with("KMS."));
        let kind = kms.unwrap_or_else(|| match (status, code) {
            (_, code) if code.starts_with("KMS.") => ErrorKind::KmsKey { code: code.into() },
            (_, "RequestTimeTooSkewed") => NetworkError::ClockSkew { ahead: clock_ahead }.into(),
            (403, "SignatureDoesNotMatch") if is_skewed(clock_ahead) => {
                NetworkError::ClockSkew { ahead: clock_ahead }.into()
            }
            (_, code) if CREDENTIALS.contains(&code) => {
                ErrorKind::Credentials { code: code.into() }
            }
            (_, "InvalidObjectState") => ErrorKind::Archived,
            (_, "NoSuchBucket" | "InvalidBucketName" | "NoSuchAccessPoint") => NO_BUCKET,
            (_, "NoSuchVersion") => NO_VERSION,
            (400, "InvalidArgument") if object.version_id.is_some() => NO_VERSION,
            (404 | 405, _) if self.delete_marker => ErrorKind::DeleteMarker,
            (404, _) => NO_KEY,
            (403, _) => {
                let region = tried.last().cloned().unwrap_or_default();
                ErrorKind::AccessDenied { object: Box::new(object.clone()), region }
            }
            _ if self.misdirected() && (status != 400 || !code.is_empty()) => {
                ErrorKind::RegionLoop(tried.to_vec())
            }
            (status, code) => ErrorKind::Refused { status, code: code.into() },
        });
        (kind, Next::GiveUp)
    }
}

/// Whether a clock that is so far ahead explains a refused signature.
pub(super) fn is_skewed(ahead: Option<i64>) -> bool {
    ahead.is_some_and(|ahead| ahead.unsigned_abs() > SKEWED)
}

/// What the message of a refusal passes on of KMS's.
pub(super) fn kms_denied(message: &str) -> Option<ErrorKind> {
    const SIGNS: [&str; 4] = ["kms:", "KMS key", "ciphertext refers to", "Access to KMS"];
    let is_key = |word: &&str| word.starts_with("arn:") && word.contains(":kms:");
    let key = message.split(|c: char| c.is_whitespace() || "\"'(),;".contains(c)).find(is_key);
    let key = key.map(|key| printable(key.trim_end_matches('.')));
    SIGNS.iter().any(|sign| message.contains(sign)).then_some(ErrorKind::KmsDenied { key })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ExitStatus;
    use crate::net::endpoint::Service;
    use crate::source::Source;

    fn object() -> Object {
        let source: Source = "s3://bucket/k?versionId=v".parse().unwrap();
        source.object().unwrap().clone()
    }

    fn answer(status: u16, code: &str, message: &str) -> S3Answer {
        let body = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
        S3Answer::new(status, |_| None, body.as_bytes())
    }

    fn kind(status: u16, code: &str, message: &str) -> (ErrorKind, Next) {
        answer(status, code, message).kind(&object(), &["us-west-2".into()])
    }

    #[test]
    fn documented_errors_have_exit_status_and_retry() {
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
        for (status, code, exit, next) in table {
            let (kind, found) = kind(status, code, "");
            assert_eq!((kind.status(), found), (exit, next), "{status} {code}: {kind}");
            assert!(!kind.remedy(Service::S3).is_empty());
        }
    }

    #[test]
    fn delete_marker_is_told_from_a_missing_key() {
        for (status, code) in [(404, "NoSuchKey"), (405, "MethodNotAllowed")] {
            let answer = S3Answer { delete_marker: true, ..answer(status, code, "") };
            assert_eq!(answer.kind(&object(), &[]).0, ErrorKind::DeleteMarker);
        }
    }

    #[test]
    fn kms_refusal_names_the_key_where_s3_does() {
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
            assert_eq!(found, ErrorKind::KmsDenied { key: key.map(str::to_owned) });
            assert!(
                key.is_none_or(|key| found
                    .to_string()
                    .contains(&format!(r#""Action":"kms:Decrypt","Resource":"{key}""#))),
                "{found}"
            );
        }
    }

    #[test]
    fn signature_mismatch_is_clock_skew_when_the_clock_is_off() {
        let answer = |ahead| {
            let mut refused = answer(403, "SignatureDoesNotMatch", "");
            refused.answer.clock_ahead = Some(ahead);
            refused
        };
        let skewed = NetworkError::ClockSkew { ahead: Some(-3600) };
        assert_eq!(answer(-3600).kind(&object(), &[]).0, ErrorKind::Network(skewed.clone()));
        assert_eq!(
            answer(5).kind(&object(), &[]).0,
            ErrorKind::Credentials { code: "SignatureDoesNotMatch".into() }
        );
        assert!(skewed.to_string().contains("3600 s behind"));
    }

    #[test]
    fn region_is_read_from_header_element_or_host() {
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
        let evil = S3Answer::new(
            301,
            |_| None,
            b"<Error><Code>PermanentRedirect</Code><Region>evil.test/</Region></Error>",
        );
        assert_eq!(evil.other_region("us-west-2"), None);
    }

    #[test]
    fn answer_of_s3_is_quoted_short_and_on_one_line() {
        let body = format!(
            "<Error><Code>X</Code><Message>a &amp;lt; b\n\x1b[31m{}</Message></Error>",
            "m".repeat(1000)
        );
        let quoted = S3Answer::new(
            403,
            |name| (name == "x-amz-request-id").then(|| "R1".to_owned()),
            body.as_bytes(),
        )
        .quoted();
        assert!(
            quoted.starts_with("S3 answered: 403 X a &lt; b  [31mmm")
                && quoted.ends_with("m (request R1)"),
            "{quoted}"
        );
        assert!(quoted.len() < 350);
    }
}

//! What an answer of S3 that is no object means: another region, a failure that stays, or one that may pass. Pure.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>

use super::failure::{Asked, Kind};
use super::retry::{Failure, Next};
use super::transport::printable;
use aws_smithy_types::date_time::{DateTime, Format};
use std::time::{Duration, SystemTime};

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
            region: region.filter(|region| crate::aws::is_region(region)),
            delete_marker: header("x-amz-delete-marker").is_some_and(|value| value == "true"),
            clock_ahead: header("date").and_then(|date| seconds_since(&date, SystemTime::now())),
        }
    }

    /// The region to ask instead, if the answer says that `asked` is the wrong one.
    pub(super) fn other_region(&self, asked: &str) -> Option<&str> {
        self.misdirected().then_some(self.region.as_deref()?).filter(|region| *region != asked)
    }

    fn misdirected(&self) -> bool {
        let named =
            ["PermanentRedirect", "TemporaryRedirect", "Redirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"];
        matches!(self.status, 301 | 307) || named.contains(&&*self.code) || (self.status == 400 && self.code.is_empty())
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
        let said: Vec<String> = words.into_iter().chain(id).filter(|word| !word.is_empty()).collect();
        format!("S3 said: {}", said.join(" "))
    }

    fn kind(&self, asked: &Asked, tried: &[String]) -> (Kind, Next) {
        use Next::{GiveUp, Wait};
        let code = || self.code.clone();
        if let Some(kind) = self.kms() {
            return (kind, GiveUp);
        }
        match (self.status, &*self.code) {
            (429, _) | (_, "SlowDown" | "Throttling" | "ThrottlingException" | "RequestLimitExceeded" | "TooManyRequestsException") => {
                (Kind::Throttled(self.status), Wait)
            }
            (_, "RequestTimeout") => (Kind::Server(self.status), Wait),
            (500.., _) => (Kind::Server(self.status), Wait),
            (_, "RequestTimeTooSkewed") => (self.skewed(), GiveUp),
            (403, "SignatureDoesNotMatch") if self.is_skewed() => (self.skewed(), GiveUp),
            (_, "InvalidAccessKeyId" | "ExpiredToken" | "InvalidToken" | "SignatureDoesNotMatch" | "TokenRefreshRequired") => {
                (Kind::Credentials { code: code() }, GiveUp)
            }
            (_, "InvalidObjectState") => (Kind::Archived, GiveUp),
            (_, "NoSuchBucket" | "InvalidBucketName" | "NoSuchAccessPoint") => (Kind::NoBucket, GiveUp),
            (_, "NoSuchVersion") => (Kind::NoVersion, GiveUp),
            (400, "InvalidArgument") if asked.object.version_id.is_some() => (Kind::NoVersion, GiveUp),
            (404 | 405, _) if self.delete_marker => (Kind::DeleteMarker, GiveUp),
            (404, _) => (Kind::NoKey, GiveUp),
            (403, _) => (Kind::AccessDenied(Box::new(asked.clone())), GiveUp),
            _ if self.misdirected() && (self.status != 400 || !self.code.is_empty()) => (Kind::RegionLoop(tried.to_vec()), GiveUp),
            (status, _) => (Kind::Refused { status, code: code() }, GiveUp),
        }
    }

    /// S3 passes on what KMS said: in the code (`KMS.DisabledException`) or, for a missing permission, in the message.
    fn kms(&self) -> Option<Kind> {
        if self.code.starts_with("KMS.") {
            return Some(Kind::KmsKey { code: self.code.clone() });
        }
        let denied = self.status == 403 && ["kms:", "KMS key", "ciphertext refers to"].iter().any(|sign| self.message.contains(sign));
        let is_key = |word: &&str| word.starts_with("arn:") && word.contains(":kms:");
        let key = self.message.split(|c: char| c.is_whitespace() || "\"'(),;".contains(c)).find(is_key);
        denied.then(|| Kind::KmsDenied { key: key.map(|key| key.trim_end_matches('.').to_owned()) })
    }

    fn skewed(&self) -> Kind {
        Kind::ClockSkew { ahead: self.clock_ahead }
    }

    fn is_skewed(&self) -> bool {
        self.clock_ahead.is_some_and(|ahead| ahead.unsigned_abs() > SKEWED)
    }
}

/// The text of the first element of that name. S3's error documents are flat, and need no more of XML than this.
pub(super) fn element(xml: &str, name: &str) -> Option<String> {
    let (_, after) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = after.split_once(&format!("</{name}>"))?;
    let plain = [("&quot;", "\""), ("&apos;", "'"), ("&#39;", "'"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")];
    Some(plain.iter().fold(text.trim().to_owned(), |text, (from, to)| text.replace(from, to))).filter(|text| !text.is_empty())
}

/// From a host such as `bucket.s3.eu-west-1.amazonaws.com` or `bucket.s3-eu-west-1.amazonaws.com`.
fn region_in(host: &str) -> Option<String> {
    let mut labels = host.split('.').skip_while(|label| *label != "s3" && !label.starts_with("s3-"));
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

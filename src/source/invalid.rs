//! A source that cannot be understood: what is wrong, why it matters, and how to write it instead.

use ecs_config::text::nearest;

use crate::error::{Diagnostic, ExitStatus, Step};

/// The message names the source (an https one without its query) and what is wrong with it. Always
/// [`ExitStatus::Settings`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("source `{given}`: {}", reason.why)]
pub(crate) struct Invalid {
    pub(crate) given: String,
    pub(super) reason: Reason,
}

impl Diagnostic for Invalid {
    fn step(&self) -> Step {
        Step::Settings
    }

    fn status(&self) -> ExitStatus {
        ExitStatus::Settings
    }

    fn remedy(&self) -> String {
        self.reason.remedy.into()
    }
}

/// What is wrong with a source, and how to write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reason {
    why: String,
    remedy: &'static str,
}

impl Reason {
    pub(super) fn new(why: impl Into<String>, remedy: &'static str) -> Self {
        Reason { why: why.into(), remedy }
    }

    /// `found` is not one of the known words.
    pub(super) fn unknown(
        what: &str,
        found: &str,
        known: impl IntoIterator<Item = &'static str>,
        remedy: &'static str,
    ) -> Self {
        let nearest = nearest(found, known).map(|name| format!("; did you mean `{name}`?"));
        Reason::new(format!("`{found}` is not {what}{}", nearest.unwrap_or_default()), remedy)
    }
}

pub(super) const FORMS: &str = "write s3://BUCKET/KEY, arn:PARTITION:s3:::BUCKET/KEY, an access point's ARN with /object/KEY, ssm:///PARAMETER, secretsmanager://SECRET, https://…, file:///PATH or a path";
pub(super) const ARNS: &str = "write arn:PARTITION:s3:::BUCKET/KEY or arn:PARTITION:s3:REGION:ACCOUNT:accesspoint/NAME/object/KEY";
pub(super) const CONTROL: &str = "write control characters in keys as %XX";
pub(super) const HTTPS: &str = "write https://: http:// is for loopback addresses only";
pub(super) const BUCKET: &str = "compare the name with the S3 console; buckets have 3 to 63 lower-case letters, digits, hyphens and dots (in us-east-1 until 2018 capitals and _ too)";
pub(super) const GENERAL_PURPOSE: &str =
    "store the object in a general purpose bucket, and name that";
pub(super) const KEY: &str = "add the object's key, as in s3://BUCKET/path/ecs.config";
pub(super) const FOLDER: &str =
    "add the object's name; if the key itself ends in a slash, write that slash as %2F";
pub(super) const ANOTHER_KEY: &str = "copy the object to another key";
pub(super) const PERCENT: &str = "write a % in a key as %25";
pub(super) const UTF8: &str = "write each character's UTF-8 bytes, or the character itself";
pub(super) const OPTIONS: &str =
    "write options as in ?versionId=V&region=R&owner=123456789012; write a ? in a key as %3F";
pub(super) const OPTION: &str = "correct the option, or leave it out";
pub(super) const DIGEST: &str =
    "write #sha256= and 64 hexadecimal digits, as sha256sum prints them; write a # in a key as %23";
pub(super) const PARAMETER: &str =
    "write ssm:/// and the parameter's path, as in ssm:///fleet/ecs.config?version=3&region=R";
pub(super) const SECRET: &str = "write secretsmanager:// and the secret's name or ARN, as in secretsmanager://fleet/registry?versionStage=AWSPREVIOUS&region=R";
pub(super) const FILE_HOST: &str =
    "write three slashes before an absolute path, as in file:///etc/ecs.config";
pub(super) const FILE_OPTIONS: &str = "leave the options out; write a ? in a path as %3F";

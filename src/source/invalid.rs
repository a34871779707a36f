//! A source that cannot be understood: what is wrong, why it matters, and how to write it instead.

use crate::error::{Diagnostic, ExitStatus, Step};

/// The message names the source (an https one without its query) and what is wrong with it. Always
/// [`ExitStatus::Settings`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("source `{given}`: {fault}")]
pub(crate) struct Invalid {
    pub(super) given: String,
    pub(super) fault: Fault,
}

impl Diagnostic for Invalid {
    fn step(&self) -> Step {
        Step::Settings
    }

    fn status(&self) -> ExitStatus {
        ExitStatus::Settings
    }

    fn remedy(&self) -> String {
        self.fault.remedy()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("it is empty")]
    Empty,
    #[error("it has a control character")]
    Control,
    #[error("`{found}://` is no kind of source{}", did_you_mean(.nearest))]
    Scheme { found: String, nearest: Option<&'static str> },
    #[error("plain http lets anyone on the way read and change the configuration")]
    PlainHttp,
    #[error("it is no URL: {0}")]
    Url(String),
    #[error("`{name}` is no bucket's name: {why}")]
    Bucket { name: String, why: &'static str },
    #[error("it names a bucket, but no key in it")]
    NoKey,
    #[error("it ends in a slash, so it names a folder, not an object")]
    Folder,
    #[error("the key has {0} bytes; S3 allows 1024")]
    LongKey(usize),
    #[error("the key has a segment `.` or `..`, which HTTP clients fold away before S3 sees it")]
    DotSegment,
    #[error(
        "`{0}` is no %XX code: unlike the AWS CLI, this program decodes %XX in keys; write %25 for a percent sign"
    )]
    StrayPercent(String),
    #[error("the %XX codes give bytes that are not UTF-8, which no key or path here can be")]
    NotUtf8,
    #[error("`{found}` is no option of a source{}", did_you_mean(.nearest))]
    Option { found: String, nearest: Option<&'static str> },
    #[error("option `{name}` must be {wanted}")]
    Value { name: &'static str, wanted: &'static str },
    #[error("option `{0}` is given twice")]
    Twice(&'static str),
    #[error("what follows `#` is no digest")]
    Fragment,
    #[error("the digest is not 64 hexadecimal digits")]
    Digest,
    #[error("the ARN is none of an object in S3: {0}")]
    Arn(&'static str),
    #[error("`{found}` is no partition of AWS{}", did_you_mean(.nearest))]
    Partition { found: String, nearest: Option<&'static str> },
    #[error("between `file://` and the path stands a host")]
    FileHost,
    #[error("a file takes no options")]
    FileOptions,
}

const SCHEMES: [&str; 3] = ["s3", "https", "file"];
const OPTIONS: [&str; 3] = ["versionId", "region", "owner"];

fn nearest(found: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let distance = |name: &&'static str| {
        strsim::damerau_levenshtein(&found.to_lowercase(), &name.to_lowercase())
    };
    known.min_by_key(distance).filter(|name| distance(name) <= 2)
}

fn did_you_mean(nearest: &Option<&'static str>) -> String {
    nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

impl Fault {
    pub(super) fn scheme(found: &str) -> Self {
        Fault::Scheme { nearest: nearest(found, SCHEMES.into_iter()), found: found.into() }
    }

    pub(super) fn option(found: &str) -> Self {
        Fault::Option { nearest: nearest(found, OPTIONS.into_iter()), found: found.into() }
    }

    pub(super) fn partition(found: &str) -> Self {
        let known = crate::net::partition::PARTITIONS.iter().map(|partition| partition.name);
        Fault::Partition { nearest: nearest(found, known), found: found.into() }
    }

    fn remedy(&self) -> String {
        const FORMS: &str = "Write s3://BUCKET/KEY, arn:PARTITION:s3:::BUCKET/KEY, an access point's ARN with /object/KEY, https://…, file:///PATH or a path.";
        const ARNS: &str = "Write arn:PARTITION:s3:::BUCKET/KEY or arn:PARTITION:s3:REGION:ACCOUNT:accesspoint/NAME/object/KEY.";
        match self {
            Fault::Empty | Fault::Scheme { .. } | Fault::Url(_) => FORMS,
            Fault::Arn(_) | Fault::Partition { .. } => ARNS,
            Fault::Control => "Write control characters in keys as %XX.",
            Fault::PlainHttp => "Write https://; http:// is taken for loopback addresses only.",
            Fault::Bucket { .. } => {
                "Compare the name with the S3 console; buckets have 3 to 63 lower-case letters, digits, hyphens and dots."
            }
            Fault::NoKey => "Add the object's key, as in s3://BUCKET/path/ecs.config.",
            Fault::Folder => "Add the object's name; if the key itself ends in a slash, write that slash as %2F.",
            Fault::LongKey(_) | Fault::DotSegment => "Copy the object to a key without that.",
            Fault::StrayPercent(_) => "Write a % of the key as %25.",
            Fault::NotUtf8 => "Write each character's UTF-8 bytes, or the character itself.",
            Fault::Option { .. } => {
                "The options are versionId, region and owner, as in ?versionId=V&owner=123456789012; write a ? of the key as %3F."
            }
            Fault::Value { .. } | Fault::Twice(_) => "Mend the option, or leave it out.",
            Fault::Fragment | Fault::Digest => {
                "Write #sha256= and 64 hexadecimal digits, as sha256sum prints them; write a # of the key as %23."
            }
            Fault::FileHost => "Write three slashes before an absolute path, as in file:///etc/ecs.config.",
            Fault::FileOptions => "Leave the options out; write a ? of the path as %3F.",
        }
        .into()
    }
}

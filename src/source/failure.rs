//! What can go wrong with a source, in words, with the word of the contract and the remedy for
//! each.

use super::{Object, policy};
use crate::error::{Diagnostic, ExitStatus, Step};

/// A source that did not yield its bytes. Holds no secret: neither a presigned URL's query nor a
/// proxy's password.
#[derive(Debug)]
pub(crate) struct Error {
    /// As [`Source`](super::Source) prints.
    pub(crate) from: String,
    pub(crate) kind: Kind,
    /// Requests made, redirects to another region included; 0 for a file.
    pub(crate) attempts: u32,
    /// What lies under it, outermost first.
    pub(crate) causes: Vec<String>,
}

/// An object and the region whose S3 was asked, for the policy statements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) object: Object,
    pub(crate) region: String,
}

/// Each kind of failure; the messages say what and why, [`Error::remedy`] what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Kind {
    #[error("S3 refused access (403); this statement would have allowed it: {}", policy::read(&.0.object, &.0.region))]
    AccessDenied(Box<Asked>),
    #[error("S3 may not decrypt the object for this role (KMS refused){}", .key.as_ref().map(|key| format!("; this statement would have allowed it: {}", policy::decrypt(key))).unwrap_or_default())]
    KmsDenied { key: Option<String> },
    #[error("the object's encryption key cannot be used ({code})")]
    KmsKey { code: String },
    #[error("AWS does not accept the role's credentials ({code})")]
    Credentials { code: String },
    #[error("AWS refused the request, for {}", skew(*.ahead))]
    ClockSkew { ahead: Option<i64> },
    #[error("the server refused the URL ({status}{})", .why.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
    UrlRefused { status: u16, why: Option<String> },
    #[error("S3 refused the request ({status} {code})")]
    Refused { status: u16, code: String },
    #[error("the object is archived and must be restored before it can be read")]
    Archived,
    #[error("the file cannot be read: permission denied")]
    FileDenied,
    #[error("there is no such key in the bucket")]
    NoKey,
    #[error("there is no such bucket")]
    NoBucket,
    #[error("there is no such version of the object")]
    NoVersion,
    #[error("the object was deleted: its latest version is a delete marker")]
    DeleteMarker,
    #[error("there is nothing at this URL ({0})")]
    NoUrl(u16),
    #[error("there is no such file")]
    NoFile,
    #[error("the service keeps asking for less traffic ({0})")]
    Throttled(u16),
    #[error("the server fails ({0})")]
    Server(u16),
    #[error("S3 keeps pointing to another region ({}), and none is the bucket's", .0.join(", then "))]
    RegionLoop(Vec<String>),
    #[error("the server redirects to {0}, and redirects are not followed")]
    Redirected(String),
    #[error("the server answered {0}, which is neither the object nor an error")]
    Unexpected(u16),
    #[error("the TLS certificate of {host} is not trusted: {why}")]
    Untrusted { host: String, why: String },
    #[error("the TLS certificate of {host} is not valid at this time by our clock: {why}")]
    CertificateTime { host: String, why: String },
    #[error("what answered for {host} has the TLS certificate of another name: {why}")]
    WrongName { host: String, why: String },
    #[error("the TLS handshake with {host} failed: {why}")]
    Tls { host: String, why: String },
    #[error("the name {0} cannot be resolved")]
    Dns(String),
    #[error("no connection to {host}: {why}")]
    Connect { host: String, why: String },
    #[error("{0} did not answer in time")]
    Silent(String),
    #[error("the proxy {proxy} did not connect us to {to}")]
    Proxy { proxy: String, to: String },
    #[error("the answer was cut off: {0}")]
    Cut(String),
    #[error("the run's deadline passed before the first answer")]
    Deadline,
    #[error("reading failed: {0}")]
    FileIo(String),
    #[error("it is larger than 1 MiB ({0})")]
    TooLarge(String),
    #[error("the bytes do not match the checksum that S3 keeps with the object")]
    Checksum,
    #[error("its SHA-256 is {found}, not {wanted}")]
    Digest { wanted: String, found: String },
    #[error("the bucket belongs to another account than {owner}")]
    Owner { owner: String },
    #[error("it is {0}, not a file")]
    NoPlainFile(&'static str),
    #[error("the request cannot be made: {0}")]
    Unusable(String),
    #[error("there are no AWS credentials to fetch it with")]
    NoCredentials,
}

fn skew(ahead: Option<i64>) -> String {
    match ahead {
        Some(ahead) if ahead >= 0 => format!("our clock is {ahead} s ahead of its own"),
        Some(behind) => format!("our clock is {} s behind its own", -behind),
        None => "our clock is too far from its own".into(),
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.from, self.kind)?;
        if self.attempts > 1 && self.status() == ExitStatus::SourceUnreachable {
            write!(f, " (after {} attempts)", self.attempts)
        } else {
            Ok(())
        }
    }
}

impl std::error::Error for Error {}

impl Diagnostic for Error {
    fn step(&self) -> Step {
        Step::Fetch
    }

    fn status(&self) -> ExitStatus {
        self.kind.status()
    }

    fn remedy(&self) -> String {
        self.kind.remedy()
    }
}

impl Kind {
    /// A skewed clock is S3's refusal, not its absence: waiting does not mend it, a person does.
    pub(crate) fn status(&self) -> ExitStatus {
        use Kind::*;
        match self {
            AccessDenied(_)
            | KmsDenied { .. }
            | KmsKey { .. }
            | Credentials { .. }
            | ClockSkew { .. } => ExitStatus::AccessDenied,
            UrlRefused { .. } | Refused { .. } | Archived | FileDenied => ExitStatus::AccessDenied,
            NoKey | NoBucket | NoVersion | DeleteMarker | NoUrl(_) | NoFile => ExitStatus::NotFound,
            TooLarge(_) | Checksum | Digest { .. } | Owner { .. } => ExitStatus::Integrity,
            NoPlainFile(_) | Unusable(_) => ExitStatus::Settings,
            NoCredentials => ExitStatus::NoRole,
            Throttled(_) | Server(_) | RegionLoop(_) | Redirected(_) | Unexpected(_) | Deadline
            | FileIo(_) => ExitStatus::SourceUnreachable,
            Untrusted { .. }
            | WrongName { .. }
            | CertificateTime { .. }
            | Tls { .. }
            | Dns(_)
            | Connect { .. }
            | Silent(_)
            | Proxy { .. }
            | Cut(_) => ExitStatus::SourceUnreachable,
        }
    }

    pub(crate) fn remedy(&self) -> String {
        match self {
            Kind::AccessDenied(asked) => return denied(asked),
            Kind::Owner { owner } => {
                return format!("Check the bucket's name: someone else may have taken it. If the owner is right, mend owner={owner}.");
            }
            Kind::Proxy { proxy, .. } => {
                return format!("Let the proxy {proxy} connect to S3, or name S3's hosts in NO_PROXY, or use a VPC endpoint.");
            }
            Kind::KmsDenied { key: Some(key) } => {
                return format!("Allow the role kms:Decrypt on {key}: add the statement to its policy. The key's own policy must let the account use it, too.");
            }
            Kind::KmsDenied { key: None } => {
                "Allow the role kms:Decrypt on the key that the bucket encrypts with, in the role's and the key's policy."
            }
            Kind::KmsKey { .. } => "Enable or restore the key in KMS, or store the object again under another key.",
            Kind::Credentials { .. } => "Check that the role still exists and that the instance delivers its newest credentials.",
            Kind::ClockSkew { .. } | Kind::CertificateTime { .. } => {
                "Set the clock: let chrony or timesyncd use 169.254.169.123 (Amazon Time Sync), and start before this program."
            }
            Kind::UrlRefused { .. } => "Make a new presigned URL: it may have expired, or the credentials that signed it have.",
            Kind::Refused { .. } => "See the cause; `aws s3api get-object` sends the same request.",
            Kind::Archived => "Restore the object, or store it again in the Standard class.",
            Kind::FileDenied => "Run as root, or make the file readable.",
            Kind::NoKey | Kind::NoBucket | Kind::NoVersion | Kind::NoUrl(_) | Kind::NoFile => {
                "Check the spelling, capital letters included."
            }
            Kind::DeleteMarker => "Upload the object again, delete the marker, or name a versionId.",
            Kind::Throttled(_) | Kind::Server(_) | Kind::Silent(_) | Kind::Cut(_) | Kind::Deadline | Kind::FileIo(_) => {
                "Try again later, or allow more time with --timeout."
            }
            Kind::RegionLoop(_) => "Name the bucket's region with ?region=, and check the endpoint that AWS_ENDPOINT_URL_S3 names.",
            Kind::Redirected(_) | Kind::Unexpected(_) => "Name the final URL of the object itself.",
            Kind::Untrusted { .. } => "If a proxy or a private endpoint has a CA of its own, name its certificate's file in AWS_CA_BUNDLE.",
            Kind::WrongName { .. } => {
                "Check the endpoint's name and what DNS says of it: a proxy or a captive portal may answer in its place."
            }
            Kind::Tls { .. } => "Check that this is a TLS server (https) with TLS 1.2 or 1.3, and that no proxy breaks the connection.",
            Kind::Dns(_) => "Check the spelling of the name and the region, and DNS in the VPC (enableDnsSupport).",
            Kind::Connect { .. } => {
                "Check route and security group: S3 needs a VPC gateway endpoint, a NAT or an internet gateway, port 443."
            }
            Kind::TooLarge(_) => "An ecs.config is a few KiB: check that this is the right object.",
            Kind::Checksum => "Store the object again.",
            Kind::Digest { .. } => "If the change is meant, write the new digest after #sha256=; if not, find out who wrote the object.",
            Kind::NoPlainFile(_) => "Name a file.",
            Kind::Unusable(_) => "Check AWS_ENDPOINT_URL, AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT and the region.",
            Kind::NoCredentials => "Attach a role to the instance.",
        }
        .into()
    }
}

/// S3 answers 403 for so many reasons that the honest remedy is a list, the likeliest first.
fn denied(asked: &Asked) -> String {
    let Asked { object, region } = asked;
    let owner = object
        .owner
        .as_ref()
        .map(|owner| format!(" Or the bucket is not {owner}'s, as owner= demands."))
        .unwrap_or_default();
    format!(
        "Allow the role {}: add the statement to its policy. If it is there: the key may not exist, which S3 says (404) only to those who \
         have {} too; or a bucket policy, an SCP, a permissions boundary or the VPC endpoint's policy denies it.{owner}",
        policy::action(object),
        policy::list(object, region)
    )
}

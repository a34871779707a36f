//! What can go wrong with a source, with the exit status and the remedy of each.

use super::{Object, policy};
use crate::error::{Diagnostic, ExitStatus, Step};
use crate::net::NetworkError;
use crate::net::endpoint::Service;
use crate::net::signed::Action;
use crate::paths::{MAX_LAYERS_BYTES, MAX_SECRETS};

/// A source that did not yield its bytes. Holds no secret: neither a presigned URL's query nor a
/// proxy's password.
#[derive(Debug, thiserror::Error)]
pub(crate) struct Error {
    /// As [`Source`](super::Source) or a placeholder prints.
    pub(super) from: String,
    /// Who was asked.
    pub(super) service: Service,
    pub(super) kind: ErrorKind,
    /// Requests made, redirects to another region included; 0 for a file.
    pub(super) attempts: u32,
    /// What the server and the HTTP client report, outermost first.
    pub(super) causes: Vec<String>,
}

impl Error {
    /// Of something that was found without asking again.
    pub(super) fn of(from: impl ToString, kind: ErrorKind) -> Self {
        let (from, service) = (from.to_string(), Service::SecretsManager);
        Error { from, service, kind, attempts: 0, causes: Vec::new() }
    }
}

/// Each kind of failure; the messages say what and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ErrorKind {
    #[error("S3 refused access (403); this statement would have allowed it: {}", policy::read(.object, .region))]
    AccessDenied { object: Box<Object>, region: String },
    #[error("{} refused access; this statement would have allowed it: {}", .action.service.name(), policy::statement(.action.name, .arn))]
    SecretDenied { action: &'static Action, arn: String },
    #[error("KMS refused to decrypt it for this role{}", .key.as_ref().map(|key| format!("; this statement would have allowed it: {}", policy::statement("kms:Decrypt", key))).unwrap_or_default())]
    KmsDenied { key: Option<String> },
    #[error("the encryption key cannot be used ({code})")]
    KmsKey { code: String },
    #[error("AWS does not accept the role's credentials ({code})")]
    Credentials { code: String },
    #[error("the server refused the URL ({status}{})", .why.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
    UrlRefused { status: u16, why: Option<String> },
    #[error("the service refused the request ({status} {code})")]
    Refused { status: u16, code: String },
    #[error("the object is archived and must be restored before it can be read")]
    Archived,
    #[error("the file cannot be read: permission denied")]
    FileDenied,
    #[error("no such {0}")]
    NotFound(&'static str),
    #[error("the object was deleted: its latest version is a delete marker")]
    DeleteMarker,
    #[error("there is nothing at this URL ({0})")]
    NoUrl(u16),
    #[error("S3 keeps pointing to another region ({}), and none of them has the bucket", .0.join(", then "))]
    RegionLoop(Vec<String>),
    #[error("the server redirects to {0}, and redirects are not followed")]
    Redirected(String),
    #[error("the server answered {0}, which is neither the object nor an error")]
    Unexpected(u16),
    #[error(transparent)]
    Network(NetworkError),
    #[error("reading failed: {0}")]
    FileIo(String),
    #[error("{0} parameters and secrets are named, and at most {MAX_SECRETS} are fetched")]
    TooManySecrets(usize),
    #[error("it is larger than 1 MiB")]
    TooLarge,
    #[error("the sources have more than {} MiB together", MAX_LAYERS_BYTES >> 20)]
    TooMuch,
    #[error("the bytes do not match the checksum that S3 keeps with the object")]
    Checksum,
    #[error("its SHA-256 is {found}, not {wanted}")]
    Digest { wanted: String, found: String },
    #[error("the bucket belongs to another account than {owner}")]
    Owner { owner: String },
    #[error("it is {0}, not a file")]
    NotPlainFile(&'static str),
    #[error("there are no AWS credentials to fetch it with")]
    NoCredentials,
}

pub(super) const NO_KEY: ErrorKind = ErrorKind::NotFound("key in the bucket");
pub(super) const NO_BUCKET: ErrorKind = ErrorKind::NotFound("bucket");
pub(super) const NO_VERSION: ErrorKind = ErrorKind::NotFound("version of the object");
pub(super) const NO_FILE: ErrorKind = ErrorKind::NotFound("file");

impl From<NetworkError> for ErrorKind {
    fn from(error: NetworkError) -> Self {
        match error {
            NetworkError::TooLong => ErrorKind::TooLarge,
            error => ErrorKind::Network(error),
        }
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

impl Diagnostic for Error {
    fn step(&self) -> Step {
        Step::Fetch
    }

    fn status(&self) -> ExitStatus {
        self.kind.status()
    }

    fn remedy(&self) -> String {
        self.kind.remedy(self.service)
    }

    fn causes(&self) -> Vec<String> {
        self.causes.clone()
    }
}

impl Error {
    /// Why S3 does not accept the credentials, where newer ones may be better.
    pub(crate) fn refused_credentials(&self) -> Option<&'static str> {
        let ErrorKind::Credentials { code } = &self.kind else { return None };
        match &**code {
            "ExpiredToken" | "ExpiredTokenException" => Some("its credentials have expired"),
            "InvalidAccessKeyId" => Some("S3 does not know its credentials (InvalidAccessKeyId)"),
            "UnrecognizedClientException" => Some("AWS does not know its credentials"),
            _ => None,
        }
    }
}

impl ErrorKind {
    pub(super) fn unusable(why: impl ToString) -> Self {
        NetworkError::Unusable(why.to_string()).into()
    }

    pub(super) fn status(&self) -> ExitStatus {
        use ErrorKind::*;
        match self {
            AccessDenied { .. } | SecretDenied { .. } | KmsDenied { .. } | KmsKey { .. } => {
                ExitStatus::AccessDenied
            }
            Credentials { .. } => ExitStatus::AccessDenied,
            UrlRefused { .. } | Refused { .. } | Archived | FileDenied => ExitStatus::AccessDenied,
            NotFound(_) | DeleteMarker | NoUrl(_) => ExitStatus::NotFound,
            TooManySecrets(_) => ExitStatus::Integrity,
            TooLarge | TooMuch | Checksum | Digest { .. } | Owner { .. } => ExitStatus::Integrity,
            NotPlainFile(_) => ExitStatus::Settings,
            NoCredentials => ExitStatus::NoRole,
            RegionLoop(_) | Redirected(_) | Unexpected(_) | FileIo(_) => {
                ExitStatus::SourceUnreachable
            }
            Network(error) => error.status(),
        }
    }

    pub(super) fn remedy(&self, service: Service) -> String {
        use ErrorKind::*;
        match self {
            AccessDenied { object, region } => return denied(object, region),
            SecretDenied { action, .. } => {
                return format!(
                    "allow the role {}: add the statement to its policy; if it is there, a permissions boundary, an SCP, the secret's own \
                     policy or the VPC endpoint's denies it",
                    action.name
                );
            }
            Network(error) => return error.remedy(service),
            Owner { owner } => {
                return format!(
                    "check the bucket's name, which another account may have taken; if the owner is right, correct owner={owner}"
                );
            }
            KmsDenied { key: Some(key) } => {
                return format!(
                    "allow the role kms:Decrypt on {key}: add the statement to its policy; the key's own policy must let the account use it, too"
                );
            }
            KmsDenied { key: None } => {
                "allow the role kms:Decrypt on the key that it is encrypted with, in the role's and the key's policy"
            }
            KmsKey { .. } => "enable or restore the key in KMS, or encrypt it again with another key",
            Credentials { .. } => "check that the role still exists and that the instance delivers its newest credentials",
            UrlRefused { .. } => "make a new presigned URL: it may have expired, or the credentials that signed it have",
            Refused { .. } => "see the cause; `aws s3api get-object`, `aws ssm get-parameter` or `aws secretsmanager get-secret-value` sends the same request",
            Archived => "restore the object, or store it again in the Standard class",
            FileDenied => "run as root, or make the file readable",
            NotFound(_) | NoUrl(_) => "check the spelling, capital letters included",
            DeleteMarker => "upload the object again, delete the marker, or name a versionId",
            FileIo(_) => "check the disk and its file system (`dmesg`), then run again",
            RegionLoop(_) => "name the bucket's region with ?region=, and check the endpoint that AWS_ENDPOINT_URL_S3 names",
            Redirected(_) | Unexpected(_) => "name the final URL of the object itself",
            TooManySecrets(_) => "put what belongs together into one secret, and name its fields",
            TooLarge | TooMuch => "check that this is the right object: an ecs.config has a few KiB",
            Checksum => "store the object again",
            Digest { .. } => {
                "if the change is intended, write the new digest after #sha256=; if not, find out who wrote the object"
            }
            NotPlainFile(_) => "name a file",
            NoCredentials => "attach a role to the instance",
        }
        .into()
    }
}

/// S3 answers 403 for so many reasons that the honest remedy is a list, the likeliest first.
fn denied(object: &Object, region: &str) -> String {
    let owner = object.owner.as_ref();
    let owner = owner.map(|owner| format!("; or the bucket is not {owner}'s, as owner= demands"));
    format!(
        "allow the role {}: add the statement to its policy; if it is there, the key may not exist, which S3 reports (404) only to those who \
         have {} too; or a bucket policy, an SCP, a permissions boundary or the VPC endpoint's policy denies it{}",
        policy::action(object),
        policy::list(object, region),
        owner.unwrap_or_default()
    )
}

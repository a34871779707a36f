//! Which host this is: what it reports of itself ([`HostFacts`]), confirmed by STS ([`Identity`]).
//!
//! Talks to the metadata service and to STS, with the role's own credentials and no others. STS
//! decides: account, role and the instance id in the session's name must be what the host reports,
//! and what `--expect-*` asks for.

mod clients;
pub(crate) mod ec2;
pub(crate) mod external;
pub(crate) mod host_kind;
pub(crate) mod imds;
pub(crate) mod sts;

use std::path::PathBuf;

use aws_credential_types::Credentials;
pub(crate) use clients::Clients;
use ecs_config::text::printable;
pub(crate) use external::External;
pub(crate) use imds::Imds;
use serde::Serialize;
pub(crate) use sts::{check_expectations, confirm};
use thiserror::Error;

use crate::error::{Diagnostic, ExitStatus, Step, chain};
use crate::net::NetworkError;
use crate::net::endpoint::Service;
use crate::paths;

/// What kind of host it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HostKind {
    Ec2,
    /// An EC2 instance in a compute environment of AWS Batch: in the report it is one like others.
    #[serde(rename = "ec2")]
    Batch,
    /// Registered with Systems Manager, for ECS Anywhere.
    External,
}

/// What the host reports of itself, not proven yet. Not to be shown: [`Identity`] is.
#[derive(Clone, Debug)]
pub(crate) struct HostFacts {
    /// Who it says it is, as far as it knows: without an ARN, and confirmed by no service.
    pub(crate) reported: Identity,
    pub(crate) instance_type: Option<String>,
    pub(crate) image_id: Option<String>,
    /// The role's credentials. Their `Debug` shows neither the secret key nor the token.
    pub(crate) credentials: Credentials,
}

/// Who reports what [`HostFacts`] of an instance hold, in messages.
const METADATA: &str = "instance metadata";

/// Which service accepted the host's credentials. STS tells whose they are; S3 only that they are
/// valid and may read the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ConfirmedBy {
    Sts,
    S3,
}

/// Who the host is. As the report shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Identity {
    pub(crate) kind: HostKind,
    pub(crate) instance_id: String,
    pub(crate) region: Option<String>,
    pub(crate) availability_zone: Option<String>,
    pub(crate) account_id: Option<String>,
    /// The role's name.
    pub(crate) role: Option<String>,
    /// As STS reports it.
    pub(crate) arn: Option<String>,
    pub(crate) confirmed_by: Option<ConfirmedBy>,
}

impl HostFacts {
    /// What the host reports of itself, where STS did not tell.
    pub(crate) fn unproven(&self, region: Option<&str>, by: Option<ConfirmedBy>) -> Identity {
        let reported = self.reported.clone();
        let region = region.map(str::to_owned).or(reported.region);
        Identity { region, confirmed_by: by, ..reported }
    }
}

/// Why the host has no proven identity.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("asking instance metadata who we are")]
    Metadata(#[from] imds::Error),
    #[error("no IAM role is attached to this instance")]
    NoRole,
    #[error("the credentials of the role{} did not arrive in time", role.as_deref().map(|role| format!(" {role}")).unwrap_or_default())]
    NotDelivered { role: Option<String> },
    #[error("EC2 could not assume the role {role}: {code}: {message}")]
    RoleRefused { role: String, code: String, message: String },
    #[error("the credentials of the role {role} expired {ago}")]
    Expired { role: String, ago: String },
    #[error(
        "this host is taken for an external one, and the SSM agent is not registered: {} holds no mi- id",
        paths::SSM_REGISTRATION
    )]
    NotRegistered,
    #[error("no credentials of the SSM agent in {} (profile {profile}): {why}", file.display())]
    NoSsmCredentials { file: PathBuf, profile: String, why: String },
    #[error(
        "the SSM agent shares no credentials (Profile.ShareCreds is false in {}): {why}",
        paths::SSM_CONFIG
    )]
    NotShared { why: String },
    #[error("no region: neither AWS_REGION nor the host names one")]
    NoRegion,
    #[error("{what} is {found}, expected {wanted} ({who})")]
    Mismatch { what: &'static str, found: String, who: &'static str, wanted: String },
    #[error("STS does not accept the credentials of the role {role}: {code}: {message}")]
    Rejected { role: String, code: String, message: String },
    #[error("what STS answered is not an identity: {0}")]
    Strange(String),
    #[error("asking STS who we are: {kind}")]
    Sts { kind: NetworkError, causes: Vec<String> },
}

impl Error {
    fn mismatch(what: &'static str, found: &str, who: &'static str, wanted: &str) -> Self {
        Error::Mismatch { what, found: printable(found), who, wanted: printable(wanted) }
    }

    /// Why STS does not accept the credentials, where newer ones may be better.
    pub(crate) fn refused_credentials(&self) -> Option<&'static str> {
        match self {
            Error::Expired { .. } => Some("its credentials have expired"),
            Error::Rejected { code, .. } if code == "InvalidClientTokenId" => {
                Some("STS does not know its credentials (InvalidClientTokenId)")
            }
            _ => None,
        }
    }
}

/// Whether the credentials can go into the headers of a request: the SDK's signer panics at what
/// cannot (aws-runtime, src/auth.rs).
pub(crate) fn is_sendable(credentials: &Credentials) -> bool {
    let parts = [
        Some(credentials.access_key_id()),
        Some(credentials.secret_access_key()),
        credentials.session_token(),
    ];
    let is_plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic());
    parts.into_iter().flatten().all(is_plain)
}

impl Diagnostic for Error {
    fn step(&self) -> Step {
        Step::Identity
    }

    fn status(&self) -> ExitStatus {
        match self {
            Error::Metadata(_) | Error::NoRegion => ExitStatus::MetadataUnreachable,
            Error::NoRole
            | Error::NotDelivered { .. }
            | Error::RoleRefused { .. }
            | Error::Expired { .. } => ExitStatus::NoRole,
            Error::NotRegistered | Error::NoSsmCredentials { .. } | Error::NotShared { .. } => {
                ExitStatus::NoRole
            }
            Error::Mismatch { .. } | Error::Rejected { .. } => ExitStatus::IdentityMismatch,
            Error::Strange(_) => ExitStatus::SourceUnreachable,
            Error::Sts { kind, .. } => kind.status(),
        }
    }

    fn remedy(&self) -> String {
        match self {
            Error::Metadata(error) => error.remedy(),
            Error::NoRole => "attach an instance profile: `aws ec2 associate-iam-instance-profile --instance-id ID --iam-instance-profile \
                 Name=ecsInstanceRole`; the next run picks it up"
                .into(),
            Error::NotDelivered { .. } => "run again (a new instance profile can take a minute); if it stays, check whether the profile \
                 still holds a role: `aws iam get-instance-profile --instance-profile-name NAME`"
                .into(),
            Error::RoleRefused { role, .. } => format!(
                "let EC2 assume the role: its trust policy must allow sts:AssumeRole to ec2.amazonaws.com \
                 (`aws iam get-role --role-name {role}`)"
            ),
            Error::Expired { .. } => "compare this host's clock with the true time (chronyc tracking, timedatectl); if it is right, the \
                 metadata service is stuck: stop and start the instance"
                .into(),
            Error::NotRegistered => "register it: `amazon-ssm-agent -register -code CODE -id ID -region REGION`, or run AWS's \
                 ecs-anywhere-install.sh with --no-start first; on an EC2 instance use `--host ec2`"
                .into(),
            Error::NoSsmCredentials { .. } => "make sure that the SSM agent runs (`systemctl status amazon-ssm-agent` or \
                 snap.amazon-ssm-agent.amazon-ssm-agent) and reaches Systems Manager; it writes fresh credentials every 30 minutes"
                .into(),
            Error::NotShared { .. } => format!(
                "set Profile.ShareCreds to true in {} and restart amazon-ssm-agent: the ECS agent needs these credentials, too",
                paths::SSM_CONFIG
            ),
            Error::NoRegion => "set AWS_REGION".into(),
            Error::Mismatch { who, .. } if who.starts_with("--expect") => {
                "attach the right role to the instance, or correct the expectation".into()
            }
            Error::Mismatch { .. } => {
                "find out whose metadata this host is shown (a proxy, another tool's metadata server, an old image of \
                 another host); nothing was installed"
                    .into()
            }
            Error::Rejected { .. } => "check whether the role still exists and sessions were not revoked, and whether a proxy is \
                 between this host and the metadata service; then run again"
                .into(),
            Error::Strange(_) => "check whether AWS_ENDPOINT_URL_STS or a proxy points to something other than STS".into(),
            Error::Sts { kind, .. } => kind.remedy(Service::Sts),
        }
    }

    fn causes(&self) -> Vec<String> {
        match self {
            Error::Sts { causes, .. } => causes.clone(),
            Error::Metadata(error) => chain(error).map(ToString::to_string).collect(),
            _ => Vec::new(),
        }
    }
}

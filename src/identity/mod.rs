//! Which host this is: what it reports of itself ([`HostFacts`]), confirmed by STS ([`Identity`]).
//!
//! Talks to the metadata service and to STS, with the role's own credentials and no others. STS
//! decides: account, role and the instance id in the session's name must be what the host reports,
//! and what `--expect-*` asks for.

mod clients;
mod ec2;
mod external;
pub(crate) mod host_kind;
pub(crate) mod imds;
mod sts;

use std::path::PathBuf;

use aws_credential_types::Credentials;
pub(crate) use clients::Clients;
pub(crate) use external::External;
pub(crate) use imds::Imds;
use serde::{Serialize, Serializer};
pub(crate) use sts::{check_expectations, confirm, confirm_until};
use thiserror::Error;

use crate::error::{Diagnostic, ExitStatus, Step};
use crate::net::NetworkError;
use crate::net::endpoint::Service;
use crate::paths;

/// What kind of host it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HostKind {
    Ec2,
    /// An EC2 instance in a compute environment of AWS Batch.
    Batch,
    /// Registered with Systems Manager, for ECS Anywhere.
    External,
}

impl HostKind {
    /// As the report spells it, where an instance of AWS Batch is an EC2 instance like others.
    pub(crate) fn name(self) -> &'static str {
        match self {
            HostKind::Ec2 | HostKind::Batch => "ec2",
            HostKind::External => "external",
        }
    }
}

impl Serialize for HostKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// What the host reports of itself, not proven yet. Not to be shown: [`Identity`] is.
#[derive(Clone, Debug)]
pub(crate) struct HostFacts {
    pub(crate) kind: HostKind,
    pub(crate) instance_id: String,
    pub(crate) region: Option<String>,
    pub(crate) availability_zone: Option<String>,
    pub(crate) instance_type: Option<String>,
    pub(crate) image_id: Option<String>,
    pub(crate) account_id: Option<String>,
    /// The role's name, where the host knows it.
    pub(crate) role: Option<String>,
    /// The role's credentials. Their `Debug` shows neither the secret key nor the token.
    pub(crate) credentials: Credentials,
}

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
    pub(crate) role: Option<String>,
    /// As STS reports it.
    pub(crate) arn: Option<String>,
    pub(crate) confirmed_by: Option<ConfirmedBy>,
}

impl HostFacts {
    /// What the host reports of itself, where STS did not tell.
    pub(crate) fn unproven(&self, region: Option<&str>, by: Option<ConfirmedBy>) -> Identity {
        Identity {
            kind: self.kind,
            instance_id: self.instance_id.clone(),
            region: region.map(str::to_owned).or_else(|| self.region.clone()),
            availability_zone: self.availability_zone.clone(),
            account_id: self.account_id.clone(),
            role: self.role.clone(),
            arn: None,
            confirmed_by: by,
        }
    }
}

/// Why the host has no proven identity.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("asking instance metadata who we are")]
    Metadata(#[source] imds::Error),
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

/// What reads documents that others wrote, for fuzzers: each gives what it took from one.
pub(crate) mod documents {
    use serde_json::Value;

    use super::{ec2, external, host_kind, is_sendable, sts};
    use crate::net::signed;

    /// Of instance metadata, as credentials and as the identity document.
    pub(crate) fn metadata(text: &str) -> Option<String> {
        let credentials = ec2::credentials("role", text).ok().filter(is_sendable);
        let document: Value = serde_json::from_str(text).unwrap_or_default();
        credentials.map(|found| found.access_key_id().to_owned()).or(ec2::region(&document))
    }

    /// Of the SSM agent.
    pub(crate) fn registration(text: &[u8]) -> Option<String> {
        host_kind::parse_registration(text).map(|found| found.instance_id)
    }

    /// The caller that STS names.
    pub(crate) fn caller(text: &[u8]) -> Option<(String, String)> {
        sts::account_and_arn(&signed::read(200, text))
    }

    /// A file of credentials.
    pub(crate) async fn credentials_file(text: &str) -> Option<String> {
        let found = external::in_profile(text, "default").await.ok().filter(is_sendable)?;
        Some(found.access_key_id().to_owned())
    }
}

/// Whether the credentials can go into the headers of a request: the SDK's signer panics at what
/// cannot (aws-runtime, src/auth.rs).
fn is_sendable(credentials: &Credentials) -> bool {
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
            Error::Metadata(error) => {
                [error.to_string()].into_iter().chain(error.causes()).collect()
            }
            _ => Vec::new(),
        }
    }
}

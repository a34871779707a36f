//! Who are we? What the host says of itself ([`Claim`]), confirmed by STS ([`Identity`]).
//!
//! Talks to the metadata service and to STS, with the role's own credentials and no others. STS has
//! the last word: account, role and the instance id in the session's name must be what the host
//! claims, and what `--expect-*` asks for.

mod clients;
mod ec2;
mod external;
pub(crate) mod host_kind;
pub(crate) mod imds;
mod sts;

use std::path::PathBuf;

use aws_credential_types::Credentials;
pub(crate) use clients::{Clients, IdentitySource};
pub(crate) use external::External;
pub(crate) use imds::Imds;
use serde::Serialize;
pub(crate) use sts::confirm;
use thiserror::Error;

use crate::error::{Diagnostic, ExitStatus, Step};
use crate::paths;
use crate::source::Kind;

/// What the host says of itself. Not to be shown: [`Identity`] is.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) kind: &'static str,
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

/// Who the host is, proven. As the report shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Identity {
    /// `ec2` or `external`.
    pub(crate) kind: &'static str,
    pub(crate) instance_id: String,
    pub(crate) region: Option<String>,
    pub(crate) availability_zone: Option<String>,
    pub(crate) account_id: String,
    pub(crate) role: String,
    pub(crate) arn: String,
}

/// What somebody said the identity must be.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Expected<'a> {
    pub(crate) role: Option<&'a str>,
    pub(crate) account: Option<&'a str>,
}

/// Why the host is nobody.
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
        "this host is to be external, and the SSM agent is not registered: {} holds no mi- id",
        crate::identity::paths::SSM_REGISTRATION
    )]
    NotRegistered,
    #[error("no credentials of the SSM agent in {} (profile {profile}): {why}", file.display())]
    NoSsmCredentials { file: PathBuf, profile: String, why: String },
    #[error("no region: neither AWS_REGION nor the host names one")]
    NoRegion,
    #[error("{what} is {found}, but {who} says {wanted}")]
    Mismatch { what: &'static str, found: String, who: &'static str, wanted: String },
    #[error("STS does not accept the credentials of the role {role}: {code}: {message}")]
    Rejected { role: String, code: String, message: String },
    #[error("what STS answered is no identity: {0}")]
    Strange(String),
    #[error("asking STS who we are: {kind}")]
    Sts { kind: Kind, causes: Vec<String> },
}

impl Error {
    fn not_imds(what: &str) -> Self {
        Error::Metadata(imds::Error::NotImds {
            endpoint: "the metadata service's address".into(),
            what: what.into(),
        })
    }
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
            Error::NotRegistered | Error::NoSsmCredentials { .. } => ExitStatus::NoRole,
            Error::Mismatch { .. } | Error::Rejected { .. } | Error::Strange(_) => {
                ExitStatus::IdentityMismatch
            }
            Error::Sts { .. } => ExitStatus::SourceUnreachable,
        }
    }

    /// What would mend it.
    fn remedy(&self) -> String {
        match self {
            Error::Metadata(error) => error.remedy().into(),
            Error::NoRole => "attach an instance profile: `aws ec2 associate-iam-instance-profile --instance-id ID --iam-instance-profile \
                 Name=ecsInstanceRole`; the next run picks it up"
                .into(),
            Error::NotDelivered { .. } => "run again (a new instance profile can take a minute); if it stays, look whether the profile \
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
            Error::NoSsmCredentials { .. } => "see that the SSM agent runs (`systemctl status amazon-ssm-agent` or \
                 snap.amazon-ssm-agent.amazon-ssm-agent) and reaches Systems Manager; it writes fresh credentials every 30 minutes"
                .into(),
            Error::NoRegion => "set AWS_REGION".into(),
            Error::Mismatch { who, .. } if who.starts_with("--expect") => {
                "attach the right role to the instance, or correct the expectation".into()
            }
            Error::Mismatch { .. } => {
                "find out whose metadata this host is shown (a proxy, another tool's metadata server, an old image of \
                 another host); nothing was installed"
                    .into()
            }
            Error::Rejected { .. } => "look whether the role still exists and sessions were not revoked, and whether something stands \
                 between this host and the metadata service; then run again"
                .into(),
            Error::Strange(_) => "look whether AWS_ENDPOINT_URL_STS or a proxy points to something other than STS".into(),
            Error::Sts { kind: Kind::Connect { .. } | Kind::Silent(_) | Kind::Dns(_), .. } => {
                "look at route, security group and DNS: STS needs a VPC interface endpoint (com.amazonaws.REGION.sts), a NAT or an internet \
                 gateway, port 443"
                    .into()
            }
            Error::Sts { kind: Kind::Proxy { proxy, .. }, .. } => {
                format!("let the proxy {proxy} connect to STS, or name sts.REGION.amazonaws.com in NO_PROXY, or use a VPC endpoint")
            }
            Error::Sts { kind, .. } => kind.remedy(),
        }
    }
}

/// Who tells what this host is.
#[derive(Clone, Copy)]
pub(crate) enum Witness<'a> {
    Ec2(&'a Imds),
    External(&'a External),
}

/// What the host says of itself, with the credentials to prove it.
pub(crate) async fn claim(witness: Witness<'_>) -> Result<Claim, Error> {
    match witness {
        Witness::Ec2(imds) => ec2::claim(imds).await,
        Witness::External(external) => external.claim().await,
    }
}

impl Witness<'_> {
    /// How often something had to be asked again so far.
    pub(crate) fn repeats(self) -> u32 {
        match self {
            Witness::Ec2(imds) => imds.repeats(),
            Witness::External(_) => 0,
        }
    }

    /// Whether it is worth asking again after STS refused these credentials: the SSM agent rotates
    /// its own, and what it left from an earlier registration STS does not know.
    pub(crate) fn may_have_others(self, refused: &Credentials, error: &Error) -> bool {
        let why = match error {
            Error::Expired { .. } => "its credentials have expired",
            Error::Rejected { code, .. } if code == "InvalidClientTokenId" => {
                "STS does not know its credentials (InvalidClientTokenId)"
            }
            _ => return false,
        };
        match self {
            Witness::Ec2(_) => false,
            Witness::External(external) => external.pass_over(refused, why),
        }
    }
}

/// The instance's tags, as far as the metadata service shows them; `None` if it shows none at all,
/// as outside EC2.
pub(crate) async fn tags(witness: Witness<'_>) -> Result<Option<Vec<(String, String)>>, Error> {
    let Witness::Ec2(imds) = witness else { return Ok(None) };
    let Some(names) = imds.get("meta-data/tags/instance/").await? else { return Ok(None) };
    let mut tags = Vec::new();
    for name in names.lines().map(str::trim).filter(|name| !name.is_empty()) {
        if let Some(value) = tag(witness, name).await? {
            tags.push((name.to_owned(), value));
        }
    }
    Ok(Some(tags))
}

/// One tag of the instance.
pub(crate) async fn tag(witness: Witness<'_>, name: &str) -> Result<Option<String>, Error> {
    let Witness::Ec2(imds) = witness else { return Ok(None) };
    Ok(imds.get(&format!("meta-data/tags/instance/{name}")).await?)
}

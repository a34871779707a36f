//! The IAM role that a host needs: printed as documents and commands, or checked where it exists.
//!
//! ```text
//! RoleRequest ─► Role ─► required_permissions ─► documents ─► print      (pure)
//!                                 └─► check ◄─ snapshot ◄─ IAM           (feature `role-check`)
//! ```
//!
//! The procedures are those of the ECS, Batch and ECS Anywhere guides: role with a trust policy,
//! AWS's managed policies, an instance profile on EC2, and what reads ecs.config from its private
//! bucket. A role gets no s3:ListBucket: with it S3 would call a missing key missing (404) rather
//! than forbidden (403), but only where it is granted without a condition, and so for every name in
//! the bucket.

#[cfg(feature = "role-check")]
pub(crate) mod check;
mod documents;
pub(crate) mod print;
mod request;
mod required_permissions;
mod shell;

pub(crate) use request::{HostType, RoleRequest};

use crate::error::{Diagnostic, ExitStatus, Step};
use crate::net::partition::{PARTITIONS, Partition, is_account, is_region, is_role_name};
use crate::source::Source;

/// The role that a host needs, checked.
pub(crate) struct Role {
    name: String,
    host: HostType,
    partition: &'static Partition,
    /// What it must read: objects, then parameters and secrets.
    sources: Vec<Source>,
    request: RoleRequest,
}

/// The request does not describe a role. Always [`ExitStatus::Settings`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("`{text}` is not {wanted}")]
    Invalid { text: String, wanted: &'static str, remedy: &'static str },
    #[error("`{0}` is not a partition of AWS")]
    Partition(String),
    #[error("{what} is in partition {theirs}, the role in {ours}")]
    Partitions { what: String, theirs: &'static str, ours: &'static str },
    #[cfg(not(feature = "role-check"))]
    #[error("this build, the one for hosts, does not have `role check`")]
    NoCheck,
}

impl Diagnostic for Error {
    fn step(&self) -> Step {
        Step::Role
    }

    fn status(&self) -> ExitStatus {
        ExitStatus::Settings
    }

    fn remedy(&self) -> String {
        match self {
            Error::Invalid { remedy, .. } => (*remedy).into(),
            Error::Partition(_) => {
                format!("give one of {}", PARTITIONS.each_ref().map(|one| one.name).join(", "))
            }
            Error::Partitions { .. } => {
                "correct --partition, --region or the ARN: a role works in its own partition only"
                    .into()
            }
            #[cfg(not(feature = "role-check"))]
            Error::NoCheck => "run it from the administrators' package (ecs-bootstrap-admin), \
                 or from a build with the feature `role-check`"
                .into(),
        }
    }
}

impl Error {
    /// For what this build cannot do.
    #[cfg(not(feature = "role-check"))]
    pub(crate) fn no_command(typed: &[String]) -> Error {
        match typed.first().map_or("", String::as_str) {
            "check" => Error::NoCheck,
            other => Error::Invalid {
                text: format!("role {other}"),
                wanted: "a command",
                remedy: "type `ecs-bootstrap role print`",
            },
        }
    }
}

/// The ARN of an Auto Scaling group by its name, as a policy writes it: its id is not known.
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2autoscaling.html>
pub(crate) fn auto_scaling_group(region: &str, account: Option<&str>, group: &str) -> String {
    let partition = Partition::of_region(region).name;
    let account = account.unwrap_or("*");
    format!("arn:{partition}:autoscaling:{region}:{account}:{GROUP}{group}")
}

/// What is before a group's name in the ARN of any.
const GROUP: &str = "autoScalingGroup:*:autoScalingGroupName/";

impl Role {
    /// Checks what was typed. `name` is [`HostType::usual_role_name`] where none is given. The
    /// partition is the one given, else that of the region, of an ARN among the sources or keys, of
    /// `environment_region`, or `aws`.
    pub(crate) fn new(
        request: RoleRequest,
        name: Option<String>,
        sources: &[Source],
        environment_region: Option<&str>,
    ) -> Result<Role, Error> {
        let host = request.host.unwrap_or(HostType::Ec2);
        let name = name.unwrap_or_else(|| host.usual_role_name().into());
        let remedy = "give the name alone (no path, no ARN): 1 to 64 letters, digits and _+=,.@-";
        validate(Some(&name), is_role_name, "a valid role name", remedy)?;
        let remedy = "give a region such as us-west-2";
        validate(request.region.as_ref(), is_region, "a valid region", remedy)?;
        let remedy = "give the 12 digits of an account";
        validate(request.account.as_ref(), is_account, "an account id", remedy)?;
        let remedy = "give arn:PARTITION:kms:REGION:ACCOUNT:key/ID; IAM does not grant by alias";
        let is_key = |arn: &str| partition_of_key(arn).is_some();
        validate(&request.kms_key, is_key, "the ARN of a KMS key", remedy)?;
        let objects = sources.iter().filter(|source| source.object().is_some());
        let secrets = sources.iter().filter(|source| source.secret().is_some());
        let sources: Vec<Source> = objects.chain(secrets).cloned().collect();
        let partition = partition(&request, environment_region, &sources)?;
        Ok(Role { name, host, partition, sources, request })
    }

    /// The ARN of one of AWS's managed policies.
    fn managed_policy(&self, name: &str) -> String {
        format!("arn:{}:iam::aws:policy/{name}", self.partition.name)
    }
}

fn validate<'t>(
    texts: impl IntoIterator<Item = &'t String>,
    is_valid: impl Fn(&str) -> bool,
    wanted: &'static str,
    remedy: &'static str,
) -> Result<(), Error> {
    match texts.into_iter().find(|text| !is_valid(text)) {
        Some(text) => Err(Error::Invalid { text: text.clone(), wanted, remedy }),
        None => Ok(()),
    }
}

/// The one that was asked for, else the first that is named; all that are named must be the same.
fn partition(
    request: &RoleRequest,
    environment_region: Option<&str>,
    sources: &[Source],
) -> Result<&'static Partition, Error> {
    let region = request.region.iter().map(|it| (it.clone(), Partition::of_region(it)));
    let of_source = |it: &Source| match it.object() {
        Some(object) => object.partition(),
        None => it.secret()?.partition(),
    };
    let named = sources.iter().filter_map(|it| Some((it.to_string(), of_source(it)?)));
    let keys = request.kms_key.iter().filter_map(|it| Some((it.clone(), partition_of_key(it)?)));
    let named: Vec<_> = region.chain(named).chain(keys).collect();
    let ours = match (&request.partition, named.first()) {
        (Some(name), _) => Partition::named(name).ok_or_else(|| Error::Partition(name.clone()))?,
        (None, Some((_, partition))) => partition,
        (None, None) => Partition::of_region(environment_region.unwrap_or("us-east-1")),
    };
    match named.into_iter().find(|(_, theirs)| theirs.name != ours.name) {
        Some((what, theirs)) => {
            Err(Error::Partitions { what, theirs: theirs.name, ours: ours.name })
        }
        None => Ok(ours),
    }
}

/// The partition that a key's ARN names, if it is the ARN of a key.
fn partition_of_key(arn: &str) -> Option<&'static Partition> {
    let ["arn", partition, "kms", region, account, resource] =
        arn.splitn(6, ':').collect::<Vec<_>>()[..]
    else {
        return None;
    };
    let id = resource.strip_prefix("key/").filter(|id| !id.is_empty())?;
    let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    Partition::named(partition).filter(|_| plain && is_region(region) && is_account(account))
}

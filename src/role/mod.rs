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
use crate::source::{Object, Secret, Source, Store, policy};

/// The role that a host needs, checked.
pub(crate) struct Role {
    name: String,
    host: HostType,
    partition: &'static Partition,
    objects: Vec<ReadableObject>,
    secrets: Vec<ReadableSecret>,
    keys: Vec<KmsKey>,
    request: RoleRequest,
}

/// An object that the role must read.
struct ReadableObject {
    /// As the user wrote it.
    source: String,
    action: &'static str,
    /// As a policy writes it, where `*`, `?` and `$` in keys are written `${*}`, `${?}` and
    /// `${$}`.
    arn: String,
    owner: Option<String>,
    /// What is to be known of its bucket.
    note: Option<&'static str>,
}

/// A parameter or a secret that the role must read.
struct ReadableSecret {
    /// As the user wrote it.
    source: String,
    store: Store,
    /// As a policy writes it.
    arn: String,
}

/// A key of KMS that objects, parameters and secrets are encrypted with.
struct KmsKey {
    arn: String,
    /// The end of the names of services that may use it for the role, where they are known.
    via: Option<String>,
}

/// The request does not describe a role. Always [`ExitStatus::Settings`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("`{0}` is not a valid role name")]
    Name(String),
    #[error("`{0}` is not an account id")]
    Account(String),
    #[error("`{0}` is not a valid region")]
    Region(String),
    #[error("`{0}` is not a partition of AWS")]
    Partition(String),
    #[error("{what} is in partition {theirs}, the role in {ours}")]
    Partitions { what: String, theirs: &'static str, ours: &'static str },
    #[error("`{0}` is not the ARN of a KMS key")]
    Key(String),
    #[cfg(not(feature = "role-check"))]
    #[error("this build, the one for hosts, does not have `role check`")]
    NoCheck,
    #[cfg(not(feature = "role-check"))]
    #[error("`role {0}` is not a command")]
    NoCommand(String),
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
            Error::Name(_) => {
                "give the name alone (no path, no ARN): 1 to 64 letters, digits and _+=,.@-".into()
            }
            Error::Account(_) => "give the 12 digits of an account".into(),
            Error::Region(_) => "give a region such as us-west-2".into(),
            Error::Partition(_) => {
                format!("give one of {}", PARTITIONS.each_ref().map(|one| one.name).join(", "))
            }
            Error::Partitions { .. } => {
                "correct --partition, --region or the ARN: a role works in its own partition only"
                    .into()
            }
            Error::Key(_) => {
                "give arn:PARTITION:kms:REGION:ACCOUNT:key/ID; IAM does not grant by alias".into()
            }
            #[cfg(not(feature = "role-check"))]
            Error::NoCheck => "run it from the administrators' package (ecs-bootstrap-admin), \
                 or from a build with the feature `role-check`"
                .into(),
            #[cfg(not(feature = "role-check"))]
            Error::NoCommand(_) => "type `ecs-bootstrap role print`".into(),
        }
    }
}

impl Error {
    /// For what this build cannot do.
    #[cfg(not(feature = "role-check"))]
    pub(crate) fn no_command(typed: &[String]) -> Error {
        match typed.first().map_or("", String::as_str) {
            "check" => Error::NoCheck,
            other => Error::NoCommand(other.to_owned()),
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
        if !is_role_name(&name) {
            return Err(Error::Name(name));
        }
        if let Some(region) = request.region.as_ref().filter(|region| !is_region(region)) {
            return Err(Error::Region(region.clone()));
        }
        if let Some(account) = request.account.as_ref().filter(|account| !is_account(account)) {
            return Err(Error::Account(account.clone()));
        }
        let objects: Vec<(&Source, &Object)> =
            sources.iter().filter_map(|source| Some((source, source.object()?))).collect();
        let secrets: Vec<(&Source, &Secret)> =
            sources.iter().filter_map(|source| Some((source, source.secret()?))).collect();
        let key = |arn: &String| key(arn).ok_or_else(|| Error::Key(arn.clone()));
        let keys = request.kms_key.iter().map(key).collect::<Result<Vec<_>, _>>()?;

        let partition = partition(&request, environment_region, &objects, &secrets, &keys)?;
        let readable = |(source, object): (&Source, &Object)| ReadableObject {
            source: source.to_string(),
            action: policy::action(object),
            arn: policy::object_arn(object, partition.home),
            owner: object.owner.clone(),
            note: policy::note(object),
        };
        let readable_secret = |(source, secret): (&Source, &Secret)| {
            let account = request.account.as_deref().unwrap_or("*");
            let arn = secret.arn(partition.name, request.region.as_deref(), account);
            ReadableSecret { source: source.to_string(), store: secret.store, arn }
        };
        Ok(Role {
            name,
            host,
            partition,
            objects: objects.into_iter().map(readable).collect(),
            secrets: secrets.into_iter().map(readable_secret).collect(),
            keys: keys.into_iter().map(|(_, key)| key).collect(),
            request,
        })
    }

    /// The ARN of one of AWS's managed policies.
    fn managed_policy(&self, name: &str) -> String {
        format!("arn:{}:iam::aws:policy/{name}", self.partition.name)
    }
}

/// The one that was asked for, else the first that is named; all that are named must be the same.
fn partition(
    request: &RoleRequest,
    environment_region: Option<&str>,
    objects: &[(&Source, &Object)],
    secrets: &[(&Source, &Secret)],
    keys: &[(&'static Partition, KmsKey)],
) -> Result<&'static Partition, Error> {
    let region = request.region.iter().map(|it| (it.clone(), Partition::of_region(it)));
    let objects =
        objects.iter().filter_map(|(source, it)| Some((source.to_string(), it.partition()?)));
    let secrets =
        secrets.iter().filter_map(|(source, it)| Some((source.to_string(), it.partition()?)));
    let keys = keys.iter().map(|(partition, key)| (key.arn.clone(), *partition));
    let named: Vec<_> = region.chain(objects).chain(secrets).chain(keys).collect();
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

fn key(arn: &str) -> Option<(&'static Partition, KmsKey)> {
    let ["arn", partition, "kms", region, account, resource] =
        arn.splitn(6, ':').collect::<Vec<_>>()[..]
    else {
        return None;
    };
    let partition = Partition::named(partition)?;
    let id = resource.strip_prefix("key/").filter(|id| !id.is_empty())?;
    let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    // The value is documented for these two partitions.
    let via =
        matches!(partition.name, "aws" | "aws-us-gov").then(|| format!("{region}.amazonaws.com"));
    (plain && is_region(region) && is_account(account))
        .then(|| (partition, KmsKey { arn: arn.to_owned(), via }))
}

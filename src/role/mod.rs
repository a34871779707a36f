//! The IAM role that a host needs: printed as documents and commands, or checked where it exists.
//!
//! ```text
//! Role ─► needs ─► documents ─► print          (pure)
//!           └───► check ◄─ seen ◄─ IAM          (pure but for `iam`, which only reads)
//! ```
//!
//! The procedures are those of the ECS, Batch and ECS Anywhere guides: role with a trust policy,
//! AWS's managed policies, an instance profile on EC2, and what reads ecs.config from its private
//! bucket. A role gets no s3:ListBucket: with it S3 would call a missing key missing (404) rather
//! than forbidden (403), but only where it is granted without a condition, and so for every name in
//! the bucket.

mod beyond;
pub(crate) mod check;
mod condition;
mod documents;
mod finding;
mod hcl;
#[cfg(feature = "role-check")]
pub(crate) mod iam;
#[cfg(feature = "role-check")]
pub(crate) mod inquiry;
mod mend;
mod needs;
mod pattern;
mod policy;
pub(crate) mod print;
pub(crate) mod seen;
mod shell;
mod trust;
mod yaml;

pub(crate) use documents::Documents;
pub(crate) use finding::{Finding, Severity};

use crate::error::{Diagnostic, ExitStatus, Step};
use crate::net::partition::Partition;
use crate::source::{Bucket, Object, Source, policy as policy_of};

/// What the host is, and so who hands it the role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// An EC2 container instance
    Ec2,
    /// An EC2 instance of an AWS Batch compute environment
    Batch,
    /// A host outside AWS (ECS Anywhere), known to Systems Manager
    External,
}

impl Kind {
    /// The service that assumes the role.
    pub(crate) fn service(self) -> &'static str {
        if self == Kind::External { "ssm.amazonaws.com" } else { "ec2.amazonaws.com" }
    }

    /// The name that AWS's guides and consoles give the role.
    pub(crate) fn usual_name(self) -> &'static str {
        if self == Kind::External { "ecsAnywhereRole" } else { "ecsInstanceRole" }
    }

    /// EC2 takes a role by way of an instance profile.
    pub(crate) fn has_profile(self) -> bool {
        self != Kind::External
    }

    /// As it is typed.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Ec2 => "ec2",
            Kind::Batch => "batch",
            Kind::External => "external",
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Kind::Ec2 => "EC2 container instances",
            Kind::Batch => "the instances of an AWS Batch compute environment",
            Kind::External => "external hosts (ECS Anywhere)",
        }
    }
}

/// What is asked of a role, as it was typed.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) kind: Kind,
    pub(crate) name: Option<String>,
    pub(crate) sources: Vec<Source>,
    pub(crate) kms_keys: Vec<String>,
    pub(crate) create_cluster: bool,
    pub(crate) tag_authorization: bool,
    pub(crate) task_execution: bool,
    pub(crate) custom: bool,
    pub(crate) region: Option<String>,
    /// The region of the environment: it tells the partition where nothing else does.
    pub(crate) here: Option<String>,
    pub(crate) partition: Option<String>,
    pub(crate) account: Option<String>,
}

/// The role that a host needs, checked.
pub(crate) struct Role {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) partition: &'static Partition,
    pub(crate) region: Option<String>,
    pub(crate) account: Option<String>,
    pub(crate) objects: Vec<Readable>,
    pub(crate) keys: Vec<Key>,
    pub(crate) create_cluster: bool,
    pub(crate) tag_authorization: bool,
    pub(crate) task_execution: bool,
    pub(crate) custom: bool,
}

/// An object that the role must read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Readable {
    /// As the user wrote it.
    pub(crate) shown: String,
    pub(crate) action: &'static str,
    /// As a policy writes it, where `*`, `?` and `$` in keys are written `${*}`, `${?}` and
    /// `${$}`.
    pub(crate) arn: String,
    pub(crate) owner: Option<String>,
    pub(crate) object: Object,
}

/// A key of KMS that objects are stored with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) arn: String,
    /// The only service that may use it for the role, where that name is known.
    pub(crate) via: Option<String>,
}

/// What was typed makes no role. Always [`ExitStatus::Settings`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("`{0}` is no name of a role")]
    Name(String),
    #[error("`{0}` is no account id")]
    Account(String),
    #[error("`{0}` is no region")]
    Region(String),
    #[error("`{0}` is no partition of AWS")]
    Partition(String),
    #[error("{what} is in partition {theirs}, the role in {ours}")]
    Partitions { what: String, theirs: &'static str, ours: &'static str },
    #[error("`{0}` is no ARN of a KMS key")]
    Key(String),
    #[error("this build, the one for hosts, has no `role check`")]
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
            Error::Name(_) => "give the name alone (no path, no ARN): 1 to 64 letters, digits and _+=,.@-".into(),
            Error::Account(_) => "give the 12 digits of an account".into(),
            Error::Region(_) => "give a region such as us-west-2".into(),
            Error::Partition(_) => {
                format!("known are: {}", crate::net::partition::PARTITIONS.iter().map(|one| one.name).collect::<Vec<_>>().join(", "))
            }
            Error::Partitions { .. } => "a role works in its own partition only: correct --partition, --region or the ARN".into(),
            Error::NoCheck => "run it from the administrators' package, or from a build with the feature `role-check`".into(),
            Error::Key(_) => "give arn:PARTITION:kms:REGION:ACCOUNT:key/ID; IAM does not grant by alias".into(),
        }
    }
}

impl Role {
    /// Checks what was typed. The partition is the one given, else that of the region, of an ARN
    /// among the sources or keys, or `aws`.
    pub(crate) fn new(wish: Wish) -> Result<Role, Error> {
        let name = wish.name.clone().unwrap_or_else(|| wish.kind.usual_name().into());
        if !is_name(&name) {
            return Err(Error::Name(name));
        }
        if let Some(region) =
            wish.region.as_ref().filter(|region| !crate::net::partition::is_region(region))
        {
            return Err(Error::Region(region.clone()));
        }
        if let Some(account) = wish.account.as_ref().filter(|account| !is_account(account)) {
            return Err(Error::Account(account.clone()));
        }
        let objects: Vec<(&Source, &Object)> =
            wish.sources.iter().filter_map(|source| Some((source, source.object()?))).collect();
        let keys = wish.kms_keys.iter().map(|arn| key(arn)).collect::<Result<Vec<_>, _>>()?;
        let partition = match &wish.partition {
            Some(name) => Partition::named(name).ok_or_else(|| Error::Partition(name.clone()))?,
            None => implied(&wish, &objects, &keys),
        };
        agree(partition, wish.region.as_deref(), &objects, &keys)?;
        Ok(Role {
            kind: wish.kind,
            name,
            partition,
            objects: objects
                .into_iter()
                .map(|(source, object)| readable(source, object, partition))
                .collect(),
            keys: keys.into_iter().map(|(_, key)| key).collect(),
            region: wish.region,
            account: wish.account,
            create_cluster: wish.create_cluster,
            tag_authorization: wish.tag_authorization,
            task_execution: wish.task_execution,
            custom: wish.custom,
        })
    }

    /// The ARN of one of AWS's managed policies.
    fn managed(&self, name: &str) -> String {
        format!("arn:{}:iam::aws:policy/{name}", self.partition.name)
    }
}

/// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html>
fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte))
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn key(arn: &str) -> Result<(&'static Partition, Key), Error> {
    let bad = || Error::Key(arn.to_owned());
    let [scheme, partition, service, region, account, resource] =
        arn.splitn(6, ':').collect::<Vec<_>>()[..]
    else {
        return Err(bad());
    };
    let plain = |id: &str| {
        !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let good = scheme == "arn"
        && service == "kms"
        && crate::net::partition::is_region(region)
        && is_account(account);
    let partition = Partition::named(partition)
        .filter(|_| good && resource.strip_prefix("key/").is_some_and(plain))
        .ok_or_else(bad)?;
    // The value is documented for these two partitions.
    let via = matches!(partition.name, "aws" | "aws-us-gov")
        .then(|| format!("s3.{region}.amazonaws.com"));
    Ok((partition, Key { arn: arn.to_owned(), via }))
}

/// The partition that an object's ARN or region names.
fn stated(object: &Object) -> Option<&'static Partition> {
    match &object.bucket {
        Bucket::Named { partition: Some(name), .. } => Partition::named(name),
        Bucket::AccessPoint { partition, .. } => Partition::named(partition),
        Bucket::Named { partition: None, .. } => object.region.as_deref().map(Partition::of_region),
    }
}

fn implied(
    wish: &Wish,
    objects: &[(&Source, &Object)],
    keys: &[(&'static Partition, Key)],
) -> &'static Partition {
    let by_object = || objects.iter().find_map(|(_, object)| stated(object));
    let by_key = || keys.first().map(|(partition, _)| *partition);
    let by_region = wish.region.as_deref().map(Partition::of_region);
    let here = || Partition::of_region(wish.here.as_deref().unwrap_or("us-east-1"));
    by_region.or_else(by_object).or_else(by_key).unwrap_or_else(here)
}

fn agree(
    ours: &'static Partition,
    region: Option<&str>,
    objects: &[(&Source, &Object)],
    keys: &[(&'static Partition, Key)],
) -> Result<(), Error> {
    let regions =
        region.into_iter().map(|region| (region.to_owned(), Partition::of_region(region)));
    let objects =
        objects.iter().filter_map(|(source, object)| Some((source.to_string(), stated(object)?)));
    let keys = keys.iter().map(|(partition, key)| (key.arn.clone(), *partition));
    match regions.chain(objects).chain(keys).find(|(_, theirs)| theirs.name != ours.name) {
        Some((what, theirs)) => {
            Err(Error::Partitions { what, theirs: theirs.name, ours: ours.name })
        }
        None => Ok(()),
    }
}

fn readable(source: &Source, object: &Object, partition: &Partition) -> Readable {
    Readable {
        shown: source.to_string(),
        action: policy_of::action(object),
        arn: policy_of::object_arn(object, partition.home),
        owner: object.owner.clone(),
        object: object.clone(),
    }
}

//! What is asked of a role, as it was typed.

use clap::{ArgAction, Args, ValueEnum};
use serde::Serialize;

/// What the host is, and so which service gives it the role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HostType {
    /// An EC2 container instance
    Ec2,
    /// An EC2 instance of an AWS Batch compute environment
    Batch,
    /// A host outside AWS (ECS Anywhere), known to Systems Manager
    External,
}

impl HostType {
    /// The service that assumes the role.
    pub(super) fn service(self) -> &'static str {
        if self == HostType::External { "ssm.amazonaws.com" } else { "ec2.amazonaws.com" }
    }

    /// The name that AWS's guides and consoles give the role.
    pub(super) fn usual_role_name(self) -> &'static str {
        if self == HostType::External { "ecsAnywhereRole" } else { "ecsInstanceRole" }
    }

    /// EC2 takes a role by way of an instance profile.
    pub(super) fn has_profile(self) -> bool {
        self != HostType::External
    }

    /// For headings.
    pub(super) fn noun(self) -> &'static str {
        match self {
            HostType::Ec2 => "EC2 container instances",
            HostType::Batch => "the instances of an AWS Batch compute environment",
            HostType::External => "external hosts (ECS Anywhere)",
        }
    }
}

/// What the role is for.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct RoleRequest {
    /// Which kind of host it is for [default: ec2]
    #[arg(long = "for", value_name = "HOST")]
    pub(crate) host: Option<HostType>,
    /// A layer of ecs.config that it must read. May be repeated [default: those in the settings]
    #[arg(long, value_name = "SOURCE")]
    pub(crate) config: Vec<String>,
    /// The ARN of the KMS key that a layer is stored with. May be repeated
    #[arg(long, value_name = "ARN")]
    pub(crate) kms_key: Vec<String>,
    /// Its hosts create their cluster if it is not there
    #[arg(long, action = ArgAction::SetTrue)]
    pub(crate) create_cluster: bool,
    /// Its hosts have tags, and the account demands permission for tagging
    #[arg(long, action = ArgAction::SetTrue)]
    pub(crate) tag_authorization: bool,
    /// Tasks have no execution role: the host itself pulls from Amazon ECR and writes awslogs
    #[arg(long, action = ArgAction::SetTrue)]
    pub(crate) with_task_execution: bool,
    /// Let `abandon` have an instance replaced, of this Auto Scaling group [default: of any]
    #[arg(long, value_name = "GROUP", num_args = 0..=1, require_equals = true, default_missing_value = "*")]
    pub(crate) lifecycle: Option<String>,
    /// Only the needed actions, in place of AWS's managed policy for ECS
    #[arg(long, action = ArgAction::SetTrue)]
    pub(crate) custom: bool,
    /// The hosts' region; it also determines the partition
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<String>,
    /// aws, aws-cn, aws-us-gov, … [default: that of the region or of an ARN, else aws]
    #[arg(long, value_name = "PARTITION")]
    pub(crate) partition: Option<String>,
    /// The account: only its Systems Manager may then assume the role of an external host
    #[arg(long, value_name = "ID")]
    pub(crate) account: Option<String>,
}

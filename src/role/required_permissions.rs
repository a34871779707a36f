//! What a host's role must allow, and what fails without it: one table, from which custom policies
//! are printed and roles are checked.
//!
//! The ECS actions are those that the agent really calls, in the order in which it does; AWS's
//! managed policy also allows ecs:DeregisterContainerInstance, for which the agent has no call.
//! Those of Systems Manager are what registers an external host, keeps its credentials fresh and
//! lets it be reached; the managed policy allows more (reading any parameter, for one).

use When::{Always, CreateCluster, OnEc2, Tags, TagsOnEc2, TaskExecution};

use super::documents::{AGENT_POLICY, CONFIG_POLICY, LIFECYCLE_POLICY};
use super::{GROUP, HostType, Role};
use crate::source::Store;

/// One action on some resources.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(feature = "role-check"),
    expect(dead_code, reason = "only `role check` asks what fails without it")
)]
pub(super) struct Permission {
    pub(super) group: PermissionGroup,
    pub(super) action: &'static str,
    /// What it is done to: an ARN in which `*`, `?` and `${*}` mean what they mean in a policy.
    pub(super) resource: String,
    /// The condition keys of the request, and their values.
    pub(super) context: Vec<(&'static str, String)>,
    /// What fails without it: the end of a sentence.
    pub(super) consequence: String,
    /// The host cannot do its work without it.
    pub(super) essential: bool,
}

/// Permissions that one policy grants together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PermissionGroup {
    Agent,
    Ssm,
    Lifecycle,
    /// The one at this index of the role's objects.
    Object(usize),
    /// The one at this index of the role's parameters and secrets.
    Secret(usize),
    /// The one at this index of the role's keys.
    Key(usize),
}

/// When an action is needed.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum When {
    Always,
    /// On EC2: a Spot instance that is about to end, an instance's own tags.
    OnEc2,
    CreateCluster,
    Tags,
    TagsOnEc2,
    TaskExecution,
}

/// The action; what follows `arn:PARTITION:SERVICE:REGION:ACCOUNT:`, or `*` for an action without
/// resources; when it is needed; whether it is essential; what fails without it.
type ActionRow = (&'static str, &'static str, When, bool, &'static str);

const ECR: &str =
    "the agent cannot pull images from Amazon ECR for tasks that have no execution role";
const LOGS: &str = "the agent cannot write awslogs for tasks that have no execution role";
const SUBMIT: &str = "the agent cannot report what its tasks do";
const TAGGING: &str = "a host with tags cannot register where tag authorization is on";
const TAGS_OF_EC2: &str =
    "registration fails with ECS_CONTAINER_INSTANCE_PROPAGATE_TAGS_FROM=ec2_instance";
const POLL_ENDPOINT: &str = "the agent does not learn where ECS talks to it";
const TELEMETRY: &str = "the agent sends no metrics and no health";
const REGISTER: &str = "the agent cannot register the host";
const SPOT: &str = "a Spot instance about to end is not drained";
const TASK_TAGS: &str = "tasks do not find tags in their metadata";

pub(super) const AGENT: [ActionRow; 18] = [
    ("ecs:CreateCluster", "*", CreateCluster, true, "the agent cannot create its cluster"),
    ("ecs:RegisterContainerInstance", "cluster/*", Always, true, REGISTER),
    ("ecs:TagResource", "container-instance/*", Tags, true, TAGGING),
    ("ec2:DescribeTags", "*", TagsOnEc2, true, TAGS_OF_EC2),
    ("ecs:DiscoverPollEndpoint", "*", Always, true, POLL_ENDPOINT),
    ("ecs:Poll", "container-instance/*", Always, true, "the agent gets no tasks"),
    ("ecs:StartTelemetrySession", "container-instance/*", Always, true, TELEMETRY),
    ("ecs:SubmitAttachmentStateChanges", "cluster/*", Always, true, SUBMIT),
    ("ecs:SubmitContainerStateChange", "cluster/*", Always, true, SUBMIT),
    ("ecs:SubmitTaskStateChange", "cluster/*", Always, true, SUBMIT),
    ("ecs:UpdateContainerInstancesState", "container-instance/*", OnEc2, false, SPOT),
    ("ecs:ListTagsForResource", "task/*/*", Always, false, TASK_TAGS),
    ("ecr:GetAuthorizationToken", "*", TaskExecution, true, ECR),
    ("ecr:BatchCheckLayerAvailability", "repository/*", TaskExecution, true, ECR),
    ("ecr:GetDownloadUrlForLayer", "repository/*", TaskExecution, true, ECR),
    ("ecr:BatchGetImage", "repository/*", TaskExecution, true, ECR),
    ("logs:CreateLogStream", "log-group:*", TaskExecution, true, LOGS),
    ("logs:PutLogEvents", "log-group:*", TaskExecution, true, LOGS),
];

const ABANDON: &str = "`ecs-bootstrap abandon` cannot have a host replaced that failed";

const SSM_ALIVE: &str =
    "Systems Manager takes the host for lost, and its credentials are not renewed";
const SSM_REACH: &str = "Systems Manager cannot reach the host";

const SSM: [ActionRow; 11] = [
    ("ssm:UpdateInstanceInformation", "*", Always, true, SSM_ALIVE),
    ("ssmmessages:CreateControlChannel", "*", Always, true, SSM_REACH),
    ("ssmmessages:CreateDataChannel", "*", Always, true, SSM_REACH),
    ("ssmmessages:OpenControlChannel", "*", Always, true, SSM_REACH),
    ("ssmmessages:OpenDataChannel", "*", Always, true, SSM_REACH),
    ("ec2messages:AcknowledgeMessage", "*", Always, false, SSM_REACH),
    ("ec2messages:DeleteMessage", "*", Always, false, SSM_REACH),
    ("ec2messages:FailMessage", "*", Always, false, SSM_REACH),
    ("ec2messages:GetEndpoint", "*", Always, false, SSM_REACH),
    ("ec2messages:GetMessages", "*", Always, false, SSM_REACH),
    ("ec2messages:SendReply", "*", Always, false, SSM_REACH),
];

/// Everything that `role` must allow, group by group.
pub(super) fn of(role: &Role) -> Vec<Permission> {
    let agent = AGENT.iter().filter(|(_, _, when, ..)| is_needed(*when, role));
    let ssm = SSM.iter().filter(|_| role.host == HostType::External);
    agent
        .map(|row| of_row(PermissionGroup::Agent, row, role))
        .chain(ssm.map(|row| of_row(PermissionGroup::Ssm, row, role)))
        .chain(lifecycle(role))
        .chain(objects(role))
        .chain(secrets(role))
        .chain(keys(role))
        .collect()
}

fn is_needed(when: When, role: &Role) -> bool {
    let on_ec2 = role.host != HostType::External;
    match when {
        Always => true,
        OnEc2 => on_ec2,
        CreateCluster => role.request.create_cluster,
        Tags => role.request.tag_authorization,
        TagsOnEc2 => role.request.tag_authorization && on_ec2,
        TaskExecution => role.request.with_task_execution,
    }
}

fn of_row(
    group: PermissionGroup,
    (action, resource, _, essential, consequence): &ActionRow,
    role: &Role,
) -> Permission {
    let partition = role.partition.name;
    let [region, account] =
        [&role.request.region, &role.request.account].map(|it| it.as_deref().unwrap_or("*"));
    let resource = match (*resource, action.split_once(':')) {
        // An image may come from another region and account.
        (resource, Some(("ecr", _))) if resource != "*" => {
            format!("arn:{partition}:ecr:*:*:{resource}")
        }
        (resource, Some((service, _))) if resource != "*" => {
            format!("arn:{partition}:{service}:{region}:{account}:{resource}")
        }
        (resource, _) => resource.into(),
    };
    let context = match *action {
        "ecs:TagResource" => vec![("ecs:CreateAction", "RegisterContainerInstance".into())],
        _ => Vec::new(),
    };
    let (consequence, essential) = ((*consequence).into(), *essential);
    Permission { group, action, resource, context, consequence, essential }
}

/// Which instance is meant cannot be a condition: the group is the narrowest that IAM knows.
fn lifecycle(role: &Role) -> impl Iterator<Item = Permission> {
    let actions = ["autoscaling:SetInstanceHealth", "autoscaling:CompleteLifecycleAction"];
    role.request.lifecycle.iter().flat_map(move |name| {
        actions.map(|action| {
            let row = (action, GROUP, Always, true, ABANDON);
            let any = of_row(PermissionGroup::Lifecycle, &row, role);
            Permission { resource: any.resource.clone() + name, ..any }
        })
    })
}

fn objects(role: &Role) -> impl Iterator<Item = Permission> {
    role.objects.iter().enumerate().map(|(at, object)| Permission {
        group: PermissionGroup::Object(at),
        action: object.action,
        resource: object.arn.clone(),
        context: object.owner.iter().map(|owner| ("s3:ResourceAccount", owner.clone())).collect(),
        consequence: format!("{} cannot be fetched", object.source),
        essential: true,
    })
}

fn secrets(role: &Role) -> impl Iterator<Item = Permission> {
    role.secrets.iter().enumerate().map(|(at, secret)| Permission {
        group: PermissionGroup::Secret(at),
        action: secret.store.action().name,
        resource: secret.arn.clone(),
        context: Vec::new(),
        consequence: format!("{} cannot be fetched", secret.source),
        essential: true,
    })
}

/// Each key by way of each service that decrypts with it; S3 where no source is known.
fn keys(role: &Role) -> impl Iterator<Item = Permission> {
    let has = |store| role.secrets.iter().any(|secret| secret.store == store);
    let services = [
        ("s3", !role.objects.is_empty() || role.secrets.is_empty(), "an object"),
        ("ssm", has(Store::ParameterStore), "a parameter"),
        ("secretsmanager", has(Store::SecretsManager), "a secret"),
    ];
    let services = services.into_iter().filter(|(_, is_used, _)| *is_used);
    role.keys.iter().enumerate().flat_map(move |(at, key)| {
        services.clone().map(move |(service, _, what)| Permission {
            group: PermissionGroup::Key(at),
            action: "kms:Decrypt",
            resource: key.arn.clone(),
            context: key
                .via
                .iter()
                .map(|via| ("kms:ViaService", format!("{service}.{via}")))
                .collect(),
            consequence: format!("{what} encrypted with this key cannot be read"),
            essential: true,
        })
    })
}

impl Permission {
    /// The resource as a policy of ours writes it. For the agents it is `*`, as in AWS's own
    /// policies: narrower ones need cluster names, which change more often than roles.
    pub(super) fn written_resource(&self) -> &str {
        match self.group {
            PermissionGroup::Agent | PermissionGroup::Ssm => "*",
            _ => &self.resource,
        }
    }
}

impl PermissionGroup {
    /// The name of our policy that grants it; AWS's grants what Systems Manager needs.
    pub(super) fn inline_policy(self) -> Option<&'static str> {
        match self {
            PermissionGroup::Agent => Some(AGENT_POLICY),
            PermissionGroup::Ssm => None,
            PermissionGroup::Lifecycle => Some(LIFECYCLE_POLICY),
            PermissionGroup::Object(_) | PermissionGroup::Secret(_) | PermissionGroup::Key(_) => {
                Some(CONFIG_POLICY)
            }
        }
    }
}

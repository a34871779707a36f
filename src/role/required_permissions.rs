//! What a host's role must allow, and what fails without it: one table, from which custom policies
//! are printed and roles are checked.
//!
//! The ECS actions are those that the agent really calls, in the order in which it does; AWS's
//! managed policy also allows ecs:DeregisterContainerInstance, for which the agent has no call.
//! Those of Systems Manager are what registers an external host, keeps its credentials fresh and
//! lets it be reached; the managed policy allows more (reading any parameter, for one).

use super::documents::{AGENT_POLICY, CONFIG_POLICY, LIFECYCLE_POLICY, SSM_POLICY};
use super::{GROUP, HostType, Role};
use crate::source::{Source, Store, policy};

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
    /// What reads the source at this index.
    Source(usize),
    /// What decrypts with the key at this index.
    Key(usize),
}

/// When an action is needed.
type When = fn(&Role) -> bool;

const ALWAYS: When = |_| true;
/// A Spot instance that is about to end, an instance's own tags.
const ON_EC2: When = |role| role.host != HostType::External;
const CREATE_CLUSTER: When = |role| role.request.create_cluster;
const TAGS: When = |role| role.request.tag_authorization;
const TAGS_ON_EC2: When = |role| TAGS(role) && ON_EC2(role);
const TASK_EXECUTION: When = |role| role.request.with_task_execution;

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
    ("ecs:CreateCluster", "*", CREATE_CLUSTER, true, "the agent cannot create its cluster"),
    ("ecs:RegisterContainerInstance", "cluster/*", ALWAYS, true, REGISTER),
    ("ecs:TagResource", "container-instance/*", TAGS, true, TAGGING),
    ("ec2:DescribeTags", "*", TAGS_ON_EC2, true, TAGS_OF_EC2),
    ("ecs:DiscoverPollEndpoint", "*", ALWAYS, true, POLL_ENDPOINT),
    ("ecs:Poll", "container-instance/*", ALWAYS, true, "the agent gets no tasks"),
    ("ecs:StartTelemetrySession", "container-instance/*", ALWAYS, true, TELEMETRY),
    ("ecs:SubmitAttachmentStateChanges", "cluster/*", ALWAYS, true, SUBMIT),
    ("ecs:SubmitContainerStateChange", "cluster/*", ALWAYS, true, SUBMIT),
    ("ecs:SubmitTaskStateChange", "cluster/*", ALWAYS, true, SUBMIT),
    ("ecs:UpdateContainerInstancesState", "container-instance/*", ON_EC2, false, SPOT),
    ("ecs:ListTagsForResource", "task/*/*", ALWAYS, false, TASK_TAGS),
    ("ecr:GetAuthorizationToken", "*", TASK_EXECUTION, true, ECR),
    ("ecr:BatchCheckLayerAvailability", "repository/*", TASK_EXECUTION, true, ECR),
    ("ecr:GetDownloadUrlForLayer", "repository/*", TASK_EXECUTION, true, ECR),
    ("ecr:BatchGetImage", "repository/*", TASK_EXECUTION, true, ECR),
    ("logs:CreateLogStream", "log-group:*", TASK_EXECUTION, true, LOGS),
    ("logs:PutLogEvents", "log-group:*", TASK_EXECUTION, true, LOGS),
];

const ABANDON: &str = "`ecs-bootstrap abandon` cannot have a host replaced that failed";

const SSM_ALIVE: &str =
    "Systems Manager takes the host for lost, and its credentials are not renewed";
const SSM_REACH: &str = "Systems Manager cannot reach the host";

const SSM: [ActionRow; 11] = [
    ("ssm:UpdateInstanceInformation", "*", ALWAYS, true, SSM_ALIVE),
    ("ssmmessages:CreateControlChannel", "*", ALWAYS, true, SSM_REACH),
    ("ssmmessages:CreateDataChannel", "*", ALWAYS, true, SSM_REACH),
    ("ssmmessages:OpenControlChannel", "*", ALWAYS, true, SSM_REACH),
    ("ssmmessages:OpenDataChannel", "*", ALWAYS, true, SSM_REACH),
    ("ec2messages:AcknowledgeMessage", "*", ALWAYS, false, SSM_REACH),
    ("ec2messages:DeleteMessage", "*", ALWAYS, false, SSM_REACH),
    ("ec2messages:FailMessage", "*", ALWAYS, false, SSM_REACH),
    ("ec2messages:GetEndpoint", "*", ALWAYS, false, SSM_REACH),
    ("ec2messages:GetMessages", "*", ALWAYS, false, SSM_REACH),
    ("ec2messages:SendReply", "*", ALWAYS, false, SSM_REACH),
];

/// Everything that `role` must allow, group by group.
pub(super) fn of(role: &Role) -> Vec<Permission> {
    let agent = AGENT.iter().filter(|(_, _, is_needed, ..)| is_needed(role));
    let ssm = SSM.iter().filter(|_| role.host == HostType::External);
    agent
        .map(|row| of_row(PermissionGroup::Agent, row, role))
        .chain(ssm.map(|row| of_row(PermissionGroup::Ssm, row, role)))
        .chain(lifecycle(role))
        .chain(sources(role))
        .chain(keys(role))
        .collect()
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
            let row = (action, GROUP, ALWAYS, true, ABANDON);
            let any = of_row(PermissionGroup::Lifecycle, &row, role);
            Permission { resource: any.resource.clone() + name, ..any }
        })
    })
}

fn sources(role: &Role) -> impl Iterator<Item = Permission> {
    let request = &role.request;
    let account = request.account.as_deref().unwrap_or("*");
    role.sources.iter().enumerate().filter_map(move |(at, source)| {
        let (action, resource, owner) = match (source.object(), source.secret()) {
            (Some(object), _) => {
                let resource = policy::object_arn(object, role.partition.home);
                (policy::action(object), resource, object.owner.as_ref())
            }
            (None, Some(secret)) => {
                let region = request.region.as_deref();
                let resource = secret.arn(role.partition.name, region, account);
                (secret.store.action().name, resource, None)
            }
            (None, None) => return None,
        };
        Some(Permission {
            group: PermissionGroup::Source(at),
            action,
            resource,
            context: owner.map(|owner| ("s3:ResourceAccount", owner.clone())).into_iter().collect(),
            consequence: format!("{source} cannot be fetched"),
            essential: true,
        })
    })
}

/// Each key by way of each service that decrypts with it; S3 where no source is known.
fn keys(role: &Role) -> impl Iterator<Item = Permission> {
    let secrets = || role.sources.iter().filter_map(Source::secret);
    let has = |store| secrets().any(|secret| secret.store == store);
    let has_object = role.sources.iter().any(|source| source.object().is_some());
    let services = [
        ("s3", has_object || secrets().next().is_none(), "an object"),
        ("ssm", has(Store::ParameterStore), "a parameter"),
        ("secretsmanager", has(Store::SecretsManager), "a secret"),
    ];
    let services = services.into_iter().filter(|(_, is_used, _)| *is_used);
    // The value is documented for these two partitions.
    let has_via = matches!(role.partition.name, "aws" | "aws-us-gov");
    role.request.kms_key.iter().enumerate().flat_map(move |(at, arn)| {
        let region = arn.split(':').nth(3).filter(|_| has_via);
        services.clone().map(move |(service, _, what)| Permission {
            group: PermissionGroup::Key(at),
            action: "kms:Decrypt",
            resource: arn.clone(),
            context: region
                .iter()
                .map(|region| ("kms:ViaService", format!("{service}.{region}.amazonaws.com")))
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
    /// The policy that grants it: one of ours, but AWS's for what Systems Manager needs.
    pub(super) fn policy(self) -> &'static str {
        match self {
            PermissionGroup::Agent => AGENT_POLICY,
            PermissionGroup::Ssm => SSM_POLICY,
            PermissionGroup::Lifecycle => LIFECYCLE_POLICY,
            PermissionGroup::Source(_) | PermissionGroup::Key(_) => CONFIG_POLICY,
        }
    }
}

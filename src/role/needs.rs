//! What a host's role must allow, and what fails without it: one table, from which custom policies
//! are printed and roles are checked.
//!
//! The ECS actions are those that the agent really calls, in the order in which it does; AWS's
//! managed policy also allows ecs:DeregisterContainerInstance, for which the agent has no call.
//! Those of Systems Manager are what registers an external host, keeps its credentials fresh and
//! lets it be reached; the managed policy allows more (reading any parameter, for one).

use super::condition::Context;
use super::pattern::Pattern;
use super::{Kind, Role};

/// One action on some resources.
#[derive(Clone, Debug)]
pub(crate) struct Need {
    pub(crate) group: Group,
    pub(crate) action: &'static str,
    /// What it is done to.
    pub(crate) resource: Pattern,
    /// As a policy writes it.
    pub(crate) written: String,
    pub(crate) context: Vec<(&'static str, String)>,
    /// What fails without it: the end of a sentence.
    pub(crate) for_what: String,
    /// The host cannot do its work without it.
    pub(crate) vital: bool,
}

/// Needs that one policy grants together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    Agent,
    Ssm,
    /// The layer at this place among the role's objects.
    Object(usize),
    Key(usize),
}

/// When an action is needed.
#[derive(Clone, Copy, PartialEq)]
enum When {
    Always,
    /// On EC2: a Spot instance that is about to end, an instance's own tags.
    OnEc2,
    CreateCluster,
    Tags,
    TagsOnEc2,
    TaskExecution,
}

struct Row {
    action: &'static str,
    /// What follows `arn:PARTITION:SERVICE:REGION:ACCOUNT:`, or `*` for an action without
    /// resources.
    resource: &'static str,
    when: When,
    vital: bool,
    for_what: &'static str,
}

const fn row(
    action: &'static str,
    resource: &'static str,
    when: When,
    vital: bool,
    for_what: &'static str,
) -> Row {
    Row { action, resource, when, vital, for_what }
}

const ECR: &str =
    "the agent cannot pull images from Amazon ECR for tasks that have no execution role";
const LOGS: &str = "the agent cannot write awslogs for tasks that have no execution role";
const SUBMIT: &str = "the agent cannot report what its tasks do";
const TAGGING: &str = "a host with tags cannot register where tag authorization is on";

const AGENT: [Row; 18] = [
    row("ecs:CreateCluster", "*", When::CreateCluster, true, "the agent cannot create its cluster"),
    row(
        "ecs:RegisterContainerInstance",
        "cluster/*",
        When::Always,
        true,
        "the agent cannot register the host",
    ),
    row("ecs:TagResource", "container-instance/*", When::Tags, true, TAGGING),
    row(
        "ec2:DescribeTags",
        "*",
        When::TagsOnEc2,
        true,
        "registration fails with ECS_CONTAINER_INSTANCE_PROPAGATE_TAGS_FROM=ec2_instance",
    ),
    row(
        "ecs:DiscoverPollEndpoint",
        "*",
        When::Always,
        true,
        "the agent does not learn where ECS talks to it",
    ),
    row("ecs:Poll", "container-instance/*", When::Always, true, "the agent gets no tasks"),
    row(
        "ecs:StartTelemetrySession",
        "container-instance/*",
        When::Always,
        true,
        "the agent sends no metrics and no health",
    ),
    row("ecs:SubmitAttachmentStateChanges", "cluster/*", When::Always, true, SUBMIT),
    row("ecs:SubmitContainerStateChange", "cluster/*", When::Always, true, SUBMIT),
    row("ecs:SubmitTaskStateChange", "cluster/*", When::Always, true, SUBMIT),
    row(
        "ecs:UpdateContainerInstancesState",
        "container-instance/*",
        When::OnEc2,
        false,
        "a Spot instance about to end is not drained",
    ),
    row(
        "ecs:ListTagsForResource",
        "task/*/*",
        When::Always,
        false,
        "tasks do not find tags in their metadata",
    ),
    row("ecr:GetAuthorizationToken", "*", When::TaskExecution, true, ECR),
    row("ecr:BatchCheckLayerAvailability", "repository/*", When::TaskExecution, true, ECR),
    row("ecr:GetDownloadUrlForLayer", "repository/*", When::TaskExecution, true, ECR),
    row("ecr:BatchGetImage", "repository/*", When::TaskExecution, true, ECR),
    row("logs:CreateLogStream", "log-group:*", When::TaskExecution, true, LOGS),
    row("logs:PutLogEvents", "log-group:*", When::TaskExecution, true, LOGS),
];

const SSM_ALIVE: &str =
    "Systems Manager takes the host for lost, and its credentials are not renewed";
const SSM_REACH: &str = "Systems Manager cannot reach the host";

const SSM: [Row; 11] = [
    row("ssm:UpdateInstanceInformation", "*", When::Always, true, SSM_ALIVE),
    row("ssmmessages:CreateControlChannel", "*", When::Always, true, SSM_REACH),
    row("ssmmessages:CreateDataChannel", "*", When::Always, true, SSM_REACH),
    row("ssmmessages:OpenControlChannel", "*", When::Always, true, SSM_REACH),
    row("ssmmessages:OpenDataChannel", "*", When::Always, true, SSM_REACH),
    row("ec2messages:AcknowledgeMessage", "*", When::Always, false, SSM_REACH),
    row("ec2messages:DeleteMessage", "*", When::Always, false, SSM_REACH),
    row("ec2messages:FailMessage", "*", When::Always, false, SSM_REACH),
    row("ec2messages:GetEndpoint", "*", When::Always, false, SSM_REACH),
    row("ec2messages:GetMessages", "*", When::Always, false, SSM_REACH),
    row("ec2messages:SendReply", "*", When::Always, false, SSM_REACH),
];

/// Everything that `role` must allow.
pub(crate) fn of(role: &Role) -> Vec<Need> {
    let agent =
        AGENT.iter().filter(|row| wanted(row.when, role)).map(|row| need(Group::Agent, row, role));
    let ssm =
        SSM.iter().filter(|_| role.kind == Kind::External).map(|row| need(Group::Ssm, row, role));
    agent.chain(ssm).chain(objects(role)).chain(keys(role)).collect()
}

fn wanted(when: When, role: &Role) -> bool {
    let on_ec2 = role.kind != Kind::External;
    match when {
        When::Always => true,
        When::OnEc2 => on_ec2,
        When::CreateCluster => role.create_cluster,
        When::Tags => role.tag_authorization,
        When::TagsOnEc2 => role.tag_authorization && on_ec2,
        When::TaskExecution => role.task_execution,
    }
}

fn need(group: Group, row: &Row, role: &Role) -> Need {
    Need {
        group,
        action: row.action,
        resource: Pattern::new(&resource(row, role), false),
        // AWS's own policy says `*` too: narrower ones need cluster names, which change more often
        // than roles.
        written: "*".into(),
        context: context(row.action),
        for_what: row.for_what.into(),
        vital: row.vital,
    }
}

fn resource(row: &Row, role: &Role) -> String {
    let service = row.action.split(':').next().unwrap_or_default();
    let any = |part: &Option<String>| part.clone().unwrap_or_else(|| "*".into());
    match row.resource {
        "*" => "*".into(),
        // An image may come from another region and account.
        resource if service == "ecr" => format!("arn:{}:ecr:*:*:{resource}", role.partition.name),
        resource => format!(
            "arn:{}:{service}:{}:{}:{resource}",
            role.partition.name,
            any(&role.region),
            any(&role.account)
        ),
    }
}

fn context(action: &str) -> Vec<(&'static str, String)> {
    match action {
        "ecs:TagResource" => vec![("ecs:CreateAction", "RegisterContainerInstance".into())],
        _ => Vec::new(),
    }
}

fn objects(role: &Role) -> impl Iterator<Item = Need> {
    role.objects.iter().enumerate().map(|(at, object)| Need {
        group: Group::Object(at),
        action: object.action,
        resource: Pattern::new(&object.arn, true),
        written: object.arn.clone(),
        context: object.owner.iter().map(|owner| ("s3:ResourceAccount", owner.clone())).collect(),
        for_what: format!("{} cannot be fetched", object.shown),
        vital: true,
    })
}

fn keys(role: &Role) -> impl Iterator<Item = Need> {
    role.keys.iter().enumerate().map(|(at, key)| Need {
        group: Group::Key(at),
        action: "kms:Decrypt",
        resource: Pattern::literal(&key.arn),
        written: key.arn.clone(),
        context: key.via.iter().map(|via| ("kms:ViaService", via.clone())).collect(),
        for_what: "an object stored with this key cannot be read".into(),
        vital: true,
    })
}

impl Need {
    /// What the request knows of itself.
    pub(crate) fn context(&self) -> &Context {
        &self.context
    }
}

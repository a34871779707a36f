//! The documents of a role: which service it trusts, which of AWS's policies it carries, and what
//! it may do besides. Pure.

use serde_json::{Map, Value, json};

use super::required_permissions::{self, Permission};
use super::{HostType, Role};

/// AWS's policy for what the ECS agent does.
pub(super) const ECS_POLICY: &str = "service-role/AmazonEC2ContainerServiceforEC2Role";
/// AWS's policy for what the agent of Systems Manager does.
pub(super) const SSM_POLICY: &str = "AmazonSSMManagedInstanceCore";
/// Our inline policy that reads the layers of ecs.config.
pub(super) const CONFIG_POLICY: &str = "ecs-bootstrap-config";
/// Our inline policy that replaces [`ECS_POLICY`] with `--custom`.
pub(super) const AGENT_POLICY: &str = "ecs-bootstrap-agent";

/// Our inline policy with which a host tells Auto Scaling that it failed.
pub(super) const LIFECYCLE_POLICY: &str = "ecs-bootstrap-lifecycle";

/// Everything that makes up the role.
pub(super) struct Documents {
    pub(super) trust: Value,
    /// ARNs.
    pub(super) managed: Vec<String>,
    /// Names and documents.
    pub(super) inline: Vec<(&'static str, Value)>,
    pub(super) profile: Option<String>,
}

impl Documents {
    /// `--custom` replaces the policy for ECS only: AWS's guide calls it wider than most need, and
    /// the one for Systems Manager required.
    pub(super) fn of(role: &Role) -> Documents {
        let custom = role.request.custom;
        let ssm = (role.host == HostType::External).then_some(SSM_POLICY);
        let ecs = (!custom).then_some(ECS_POLICY);
        let permissions = required_permissions::of(role);
        let inline =
            [AGENT_POLICY, CONFIG_POLICY, LIFECYCLE_POLICY].into_iter().filter_map(|name| {
                let granted = permissions.iter().filter(|it| it.group.policy() == name);
                let statements = statements(granted);
                let wanted = (name != AGENT_POLICY || custom) && !statements.is_empty();
                wanted.then(|| (name, document(statements)))
            });
        Documents {
            trust: trust(role),
            managed: ssm.into_iter().chain(ecs).map(|name| role.managed_policy(name)).collect(),
            inline: inline.collect(),
            profile: role.host.has_profile().then(|| role.name.clone()),
        }
    }
}

pub(super) fn document(statements: Vec<Value>) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

pub(super) fn trust(role: &Role) -> Value {
    document(vec![trust_statement(role)])
}

/// On an external host the account, where it is known, keeps Systems Manager from giving the role
/// to a host of another account:
/// <https://docs.aws.amazon.com/systems-manager/latest/userguide/cross-service-confused-deputy-prevention.html>
pub(super) fn trust_statement(role: &Role) -> Value {
    let mut statement = json!({
        "Effect": "Allow",
        "Principal": {"Service": role.host.service()},
        "Action": "sts:AssumeRole",
    });
    if let (HostType::External, Some(account)) = (role.host, &role.request.account) {
        statement["Condition"] = json!({"StringEquals": {"aws:SourceAccount": account}});
    }
    statement
}

/// One statement for permissions that differ in their action only, and one for those that differ
/// in their resource only.
pub(super) fn statements<'p>(permissions: impl IntoIterator<Item = &'p Permission>) -> Vec<Value> {
    let mut grants: Vec<Grant> = Vec::new();
    for permission in permissions {
        match grants.iter_mut().find(|grant| grant.takes(permission)) {
            Some(grant) => grant.add(permission),
            None => grants.push(Grant {
                actions: vec![permission.action],
                resources: vec![permission.written_resource()],
                context: &permission.context,
            }),
        }
    }
    grants.iter().map(Grant::statement).collect()
}

struct Grant<'p> {
    actions: Vec<&'static str>,
    resources: Vec<&'p str>,
    context: &'p [(&'static str, String)],
}

impl<'p> Grant<'p> {
    fn takes(&self, permission: &Permission) -> bool {
        let resource = permission.written_resource();
        self.context == permission.context
            && (self.actions == [permission.action] || self.resources == [resource])
    }

    fn add(&mut self, permission: &'p Permission) {
        let resource = permission.written_resource();
        if !self.actions.contains(&permission.action) {
            self.actions.push(permission.action);
        }
        if !self.resources.contains(&resource) {
            self.resources.push(resource);
        }
    }

    fn statement(&self) -> Value {
        let (action, resource) = (one_or_all(&self.actions), one_or_all(&self.resources));
        let mut statement = json!({"Effect": "Allow", "Action": action, "Resource": resource});
        if !self.context.is_empty() {
            let pairs = self.context.iter().map(|(key, value)| ((*key).to_owned(), json!(value)));
            statement["Condition"] = json!({"StringEquals": Map::from_iter(pairs)});
        }
        statement
    }
}

fn one_or_all(items: &[&str]) -> Value {
    match items {
        [one] => json!(one),
        all => json!(all),
    }
}

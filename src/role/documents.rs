//! The documents of a role: whom it trusts, which of AWS's policies it carries, and what it may do
//! besides. Pure.

use serde_json::{Value, json};

use super::needs::{self, Group, Need};
use super::{Kind, Role};

/// AWS's policy for what the ECS agent does.
pub(crate) const ECS_POLICY: &str = "service-role/AmazonEC2ContainerServiceforEC2Role";
/// AWS's policy for what the agent of Systems Manager does.
pub(crate) const SSM_POLICY: &str = "AmazonSSMManagedInstanceCore";
/// Our inline policy that reads the layers of ecs.config.
pub(crate) const CONFIG_POLICY: &str = "ecs-bootstrap-config";
/// Our inline policy that stands in for [`ECS_POLICY`] with `--custom`.
pub(crate) const AGENT_POLICY: &str = "ecs-bootstrap-agent";

/// Everything that makes up the role.
pub(crate) struct Documents {
    pub(crate) trust: Value,
    /// ARNs.
    pub(crate) managed: Vec<String>,
    /// Names and documents.
    pub(crate) inline: Vec<(&'static str, Value)>,
    pub(crate) profile: Option<String>,
}

impl Documents {
    pub(crate) fn of(role: &Role) -> Documents {
        let needs = needs::of(role);
        Documents {
            trust: trust(role),
            managed: managed(role),
            inline: [(AGENT_POLICY, agent(role, &needs)), (CONFIG_POLICY, config(&needs))]
                .into_iter()
                .filter_map(|(name, statements)| Some((name, document(statements?))))
                .collect(),
            profile: role.kind.has_profile().then(|| role.name.clone()),
        }
    }
}

pub(crate) fn document(statements: Vec<Value>) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// On an external host the account, where it is known, keeps Systems Manager from lending the role
/// to anybody else's: <https://docs.aws.amazon.com/systems-manager/latest/userguide/cross-service-confused-deputy-prevention.html>
pub(crate) fn trust(role: &Role) -> Value {
    let mut statement = json!({"Effect": "Allow", "Principal": {"Service": role.kind.service()}, "Action": "sts:AssumeRole"});
    if let (Kind::External, Some(account)) = (role.kind, &role.account) {
        statement["Condition"] = json!({"StringEquals": {"aws:SourceAccount": account}});
    }
    document(vec![statement])
}

/// `--custom` replaces the policy for ECS only: AWS's guide calls it wider than most need, and the
/// one for Systems Manager required.
fn managed(role: &Role) -> Vec<String> {
    let ssm = (role.kind == Kind::External).then_some(SSM_POLICY);
    let ecs = (!role.custom).then_some(ECS_POLICY);
    ssm.into_iter().chain(ecs).map(|name| role.managed(name)).collect()
}

fn agent(role: &Role, needs: &[Need]) -> Option<Vec<Value>> {
    role.custom.then(|| agent_statements(needs))
}

/// What [`ECS_POLICY`] would grant, as far as it is needed.
pub(crate) fn agent_statements(needs: &[Need]) -> Vec<Value> {
    statements(needs.iter().filter(|need| need.group == Group::Agent))
}

fn config(needs: &[Need]) -> Option<Vec<Value>> {
    let statements = config_statements(needs);
    (!statements.is_empty()).then_some(statements)
}

/// What reads exactly the layers of ecs.config.
pub(crate) fn config_statements(needs: &[Need]) -> Vec<Value> {
    statements(needs.iter().filter(|need| matches!(need.group, Group::Object(_) | Group::Key(_))))
}

/// One statement for the needs that differ in their action only, and one for those that differ in
/// their resource only.
fn statements<'n>(needs: impl Iterator<Item = &'n Need>) -> Vec<Value> {
    let mut grants: Vec<Grant> = Vec::new();
    for need in needs {
        match grants.iter_mut().find(|grant| grant.takes(need)) {
            Some(grant) => grant.add(need),
            None => grants.push(Grant {
                actions: vec![need.action],
                resources: vec![need.written.clone()],
                context: &need.context,
            }),
        }
    }
    grants.iter().map(Grant::statement).collect()
}

struct Grant<'n> {
    actions: Vec<&'static str>,
    resources: Vec<String>,
    context: &'n [(&'static str, String)],
}

impl Grant<'_> {
    fn takes(&self, need: &Need) -> bool {
        self.context == need.context
            && (self.actions == [need.action] || self.resources == [need.written.as_str()])
    }

    fn add(&mut self, need: &Need) {
        if !self.actions.contains(&need.action) {
            self.actions.push(need.action);
        }
        if !self.resources.contains(&need.written) {
            self.resources.push(need.written.clone());
        }
    }

    fn statement(&self) -> Value {
        let mut statement = json!({"Effect": "Allow", "Action": one_or_all(&self.actions), "Resource": one_or_all(&self.resources)});
        if !self.context.is_empty() {
            let pairs = self.context.iter().map(|(key, value)| ((*key).to_owned(), json!(value)));
            statement["Condition"] = json!({"StringEquals": serde_json::Map::from_iter(pairs)});
        }
        statement
    }
}

fn one_or_all<T: serde::Serialize>(items: &[T]) -> Value {
    match items {
        [one] => json!(one),
        all => json!(all),
    }
}

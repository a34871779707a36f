//! The commands that give a role what it lacks, and remove what is too much. Pure.

use serde_json::Value;

use super::policy::Policy;
use super::snapshot::RoleSnapshot;
use crate::role::documents::{
    self, AGENT_POLICY, CONFIG_POLICY, ECS_POLICY, LIFECYCLE_POLICY, SSM_POLICY,
};
use crate::role::required_permissions::Permission;
use crate::role::{Role, shell};

/// Grants what is missing, as `role print` would have: AWS's policies, unless the one for ECS is
/// there already or not wanted; then, and for layers and keys, exactly what is missing.
pub(super) fn grant(role: &Role, snapshot: &RoleSnapshot, missing: &[&Permission]) -> Vec<String> {
    let ecs = role.managed_policy(ECS_POLICY);
    let policies = [AGENT_POLICY, SSM_POLICY, CONFIG_POLICY, LIFECYCLE_POLICY].into_iter();
    let commands = policies.filter_map(|policy| {
        let missing = missing.iter().copied().filter(|it| it.group.policy() == policy);
        let missing: Vec<&Permission> = missing.collect();
        (!missing.is_empty()).then(|| match policy {
            AGENT_POLICY if !role.request.custom && !snapshot.has_managed(&ecs) => {
                shell::attach(role, &ecs)
            }
            SSM_POLICY => shell::attach(role, &role.managed_policy(SSM_POLICY)),
            ours => add(role, snapshot, ours, missing),
        })
    });
    commands.collect()
}

/// Our inline policy with the permissions added: what it held already, perhaps for other hosts,
/// stays.
fn add(role: &Role, snapshot: &RoleSnapshot, name: &str, added: Vec<&Permission>) -> String {
    let ours = |policy: &&Policy| policy.arn.is_none() && policy.name == name;
    let old = snapshot.policies.iter().find(ours).into_iter().flat_map(|it| &it.statements);
    let old = old.map(|statement| statement.element.clone());
    shell::put(role, name, &documents::document(old.chain(documents::statements(added)).collect()))
}

/// Leaves these statements in a policy, or removes the policy from the role if there are none.
pub(super) fn keep_statements(role: &Role, policy: &Policy, kept: &[usize]) -> String {
    if kept.is_empty() {
        return without(role, policy);
    }
    let mut document = policy.document.clone();
    document["Statement"] = kept.iter().map(|at| policy.statements[*at].element.clone()).collect();
    match &policy.arn {
        None => shell::put(role, &policy.name, &document),
        Some(arn) => {
            // Changes the policy for every role that it is attached to.
            let options =
                [("policy-arn", arn.as_str()), ("policy-document", &document.to_string())];
            let create = shell::iam(role, "create-policy-version", &options);
            format!("{create} \\\n    --set-as-default")
        }
    }
}

/// Removes a policy from the role.
pub(super) fn without(role: &Role, policy: &Policy) -> String {
    match &policy.arn {
        Some(arn) => shell::on_role(role, "detach-role-policy", &[("policy-arn", arn)]),
        None => shell::on_role(role, "delete-role-policy", &[("policy-name", &policy.name)]),
    }
}

/// Replaces the trust policy.
pub(super) fn update_trust(role: &Role, trust: &Value) -> String {
    let options = [("policy-document", &*trust.to_string())];
    shell::on_role(role, "update-assume-role-policy", &options)
}

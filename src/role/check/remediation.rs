//! The commands that give a role what it lacks, and remove what is too much. Pure.

use serde_json::Value;

use super::policy::Policy;
use super::snapshot::RoleSnapshot;
use crate::role::documents::{
    self, AGENT_POLICY, CONFIG_POLICY, ECS_POLICY, LIFECYCLE_POLICY, SSM_POLICY,
};
use crate::role::required_permissions::{Permission, PermissionGroup};
use crate::role::{Role, shell};

/// Grants what is missing, as `role print` would have: AWS's policies, unless the one for ECS is
/// there already or not wanted; then, and for layers and keys, exactly what is missing.
pub(super) fn grant(role: &Role, snapshot: &RoleSnapshot, missing: &[&Permission]) -> Vec<String> {
    let of = |name| missing.iter().copied().filter(move |it| it.group.inline_policy() == name);
    let mut commands = Vec::new();
    let ecs = role.managed_policy(ECS_POLICY);
    if of(Some(AGENT_POLICY)).next().is_some() {
        commands.push(match role.request.custom || snapshot.has_managed(&ecs) {
            true => add(role, snapshot, AGENT_POLICY, of(Some(AGENT_POLICY))),
            false => shell::attach(role, &ecs),
        });
    }
    if missing.iter().any(|it| it.group == PermissionGroup::Ssm) {
        commands.push(shell::attach(role, &role.managed_policy(SSM_POLICY)));
    }
    for policy in [CONFIG_POLICY, LIFECYCLE_POLICY] {
        if of(Some(policy)).next().is_some() {
            commands.push(add(role, snapshot, policy, of(Some(policy))));
        }
    }
    commands
}

/// Our inline policy with the permissions added: what it held already, perhaps for other hosts,
/// stays.
fn add<'p>(
    role: &Role,
    snapshot: &RoleSnapshot,
    name: &str,
    permissions: impl Iterator<Item = &'p Permission>,
) -> String {
    let ours = |policy: &&Policy| policy.arn.is_none() && policy.name == name;
    let old = snapshot.policies.iter().find(ours).into_iter().flat_map(|it| &it.statements);
    let old = old.map(|statement| statement.element.clone());
    shell::put(
        role,
        name,
        &documents::document(old.chain(documents::statements(permissions)).collect()),
    )
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

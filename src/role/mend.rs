//! The commands that give a role what it lacks, and take from it what is too much. Pure.

use serde_json::Value;

use super::documents::{self, AGENT_POLICY, CONFIG_POLICY, ECS_POLICY, SSM_POLICY};
use super::needs::{Group, Need};
use super::policy::statements;
use super::seen::{Seen, SeenPolicy};
use super::{Role, shell};

/// Grants what is missing, as `role print` would have.
pub(crate) fn grant(role: &Role, seen: &Seen, missing: &[&Need]) -> Vec<String> {
    let any = |group: Group| missing.iter().any(|need| need.group == group);
    let mut commands = Vec::new();
    if any(Group::Agent) {
        commands.push(agent(role, seen, missing));
    }
    if any(Group::Ssm) {
        commands.push(shell::attach(role, &role.managed(SSM_POLICY)));
    }
    let ours: Vec<Need> =
        missing.iter().filter(|need| need.group > Group::Ssm).map(|need| (*need).clone()).collect();
    if !ours.is_empty() {
        commands.push(put(role, seen, CONFIG_POLICY, documents::config_statements(&ours)));
    }
    commands
}

/// AWS's policy, unless it is there already or not wanted: then exactly what is missing.
fn agent(role: &Role, seen: &Seen, missing: &[&Need]) -> String {
    let managed = role.managed(ECS_POLICY);
    if !role.custom && !seen.has(&managed) {
        return shell::attach(role, &managed);
    }
    let missing: Vec<Need> = missing.iter().map(|need| (*need).clone()).collect();
    put(role, seen, AGENT_POLICY, documents::agent_statements(&missing))
}

/// Our inline policy with `added`: what it held already, perhaps for other hosts, stays.
fn put(role: &Role, seen: &Seen, name: &str, added: Vec<Value>) -> String {
    let old = seen.inline(name).map(|policy| statements(&policy.document)).unwrap_or_default();
    let all = old.into_iter().cloned().chain(added).collect();
    shell::put(role, name, &documents::document(all))
}

/// Takes these statements out of a policy, or the policy away if nothing is left of it.
pub(crate) fn without_statements(role: &Role, policy: &SeenPolicy, places: &[usize]) -> String {
    let all = statements(&policy.document).into_iter().enumerate();
    let kept: Vec<Value> = all
        .filter(|(at, _)| !places.contains(at))
        .map(|(_, statement)| statement.clone())
        .collect();
    if kept.is_empty() {
        return without(role, policy);
    }
    let mut document = policy.document.clone();
    document["Statement"] = Value::Array(kept);
    match &policy.arn {
        None => shell::put(role, &policy.name, &document),
        Some(arn) => shell::new_version(role, arn, &document),
    }
}

/// Takes a policy from the role.
pub(crate) fn without(role: &Role, policy: &SeenPolicy) -> String {
    match &policy.arn {
        Some(arn) => shell::detach(role, arn),
        None => shell::delete(role, &policy.name),
    }
}

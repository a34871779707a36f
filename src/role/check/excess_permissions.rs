//! What a role grants that such a host does not need: a note for each policy, a warning where
//! wildcards do it. Pure.

use ecs_config::lint::Severity;

use super::finding::RoleFinding;
use super::pattern::{Pattern, Ternary};
use super::policy::{Decision, Policy, Statement, decide};
use super::remediation;
use super::snapshot::RoleSnapshot;
use crate::role::documents::{ECS_POLICY, SSM_POLICY};
use crate::role::required_permissions::{AGENT, Permission};
use crate::role::{Role, shell};

/// At most so many actions are named in a message.
const MAX_NAMED: usize = 6;

/// Besides the agent's actions, what AWS's own policy for such hosts allows on everything: granting
/// that is not worth a remark.
const CUSTOMARY: [&str; 2] = ["ecs:DeregisterContainerInstance", "ecs:Submit*"];

pub(super) fn findings(
    role: &Role,
    snapshot: &RoleSnapshot,
    required: &[Permission],
) -> Vec<RoleFinding> {
    let aws = [ECS_POLICY, SSM_POLICY].map(|name| role.managed_policy(name));
    let is_own = |it: &&Policy| it.arn.as_ref().is_none_or(|arn| !aws.contains(arn));
    let mut rest = snapshot.clone();
    let own = snapshot.policies.iter().filter(is_own);
    own.filter_map(|policy| {
        let (severity, message) = message(policy, required)?;
        rest.policies.retain(|it| (&it.name, &it.arn) != (&policy.name, &policy.arn));
        let fix = narrowed(role, &rest, required, policy);
        Some(RoleFinding::new(severity, "beyond-need", message, fix))
    })
    .collect()
}

fn message(policy: &Policy, required: &[Permission]) -> Option<(Severity, String)> {
    let allows = policy.statements.iter().filter(|statement| statement.allow);
    let mut excess: Vec<(String, String)> = allows.flat_map(|it| excess(it, required)).collect();
    excess.dedup();
    let is_wide = excess.iter().any(|(action, _)| action.contains('*'));
    let severity = if is_wide { Severity::Warning } else { Severity::Note };
    let named = excess.iter().take(MAX_NAMED).map(|(action, on)| format!("{action} on {on}"));
    let named = named.collect::<Vec<_>>().join(", ");
    let more = match excess.len().checked_sub(MAX_NAMED) {
        None | Some(0) => String::new(),
        Some(more) => format!(" and {more} more"),
    };
    let message = format!("{policy} also allows {named}{more}, which such a host does not need");
    (!excess.is_empty()).then_some((severity, message))
}

/// The actions, and the resources, that no required permission asks for.
fn excess(statement: &Statement, required: &[Permission]) -> Vec<(String, String)> {
    let resources = statement.resources.texts.join(", ");
    let on = if statement.resources.negated { format!("all but {resources}") } else { resources };
    let actions = &statement.actions;
    if actions.negated {
        return vec![(format!("* (all but {})", actions.texts.join(", ")), on)];
    }
    let excess = actions.texts.iter().filter(|action| !is_required(action, statement, required));
    excess.map(|action| (action.clone(), on.clone())).collect()
}

fn is_required(action: &str, statement: &Statement, required: &[Permission]) -> bool {
    let wanted = Pattern::new(&action.to_lowercase(), false);
    let customary = AGENT.iter().map(|(action, ..)| *action).chain(CUSTOMARY);
    let covers = |it: &str| Pattern::new(&it.to_lowercase(), false).covers(&wanted) == Ternary::Yes;
    if customary.into_iter().any(covers) {
        return true;
    }
    let same = required.iter().filter(|it| it.action.eq_ignore_ascii_case(action));
    let resources: Vec<&str> = same.map(Permission::written_resource).collect();
    let is_asked = |text: &String| resources.iter().any(|one| *one == "*" || one == text);
    !statement.resources.negated && statement.resources.texts.iter().all(is_asked)
}

/// Removes the policy, and grants what is missing in the rest: that is without the policies of the
/// findings before, for these commands must not undo what theirs granted.
fn narrowed(role: &Role, rest: &RoleSnapshot, required: &[Permission], policy: &Policy) -> String {
    let missing = required.iter().filter(|it| decide(&rest.policies, it) == Decision::Missing);
    let mut commands = remediation::grant(role, rest, &missing.collect::<Vec<_>>());
    // Where the grant goes into the policy of that very name, writing it replaces it.
    let name = format!("--policy-name {} ", policy.name);
    if policy.arn.is_some() || !commands.iter().any(|command| command.contains(&name)) {
        commands.push(remediation::without(role, policy));
    }
    shell::sequence(&commands)
}

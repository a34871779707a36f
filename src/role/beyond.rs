//! What a role grants beyond need: a note for each policy, a warning where wildcards do it. Pure.

use super::check::request;
use super::documents::{ECS_POLICY, SSM_POLICY};
use super::finding::{Finding, Severity};
use super::needs::Need;
use super::pattern::{Pattern, Sure};
use super::policy::{Policy, Statement, Verdict, decide};
use super::seen::{Seen, SeenPolicy};
use super::{Role, mend, shell};

/// What AWS's own policies for such hosts allow on everything: nobody is to be told off for
/// granting that.
const CUSTOMARY: [&str; 17] = [
    "ec2:describetags",
    "ecs:createcluster",
    "ecs:deregistercontainerinstance",
    "ecs:discoverpollendpoint",
    "ecs:poll",
    "ecs:registercontainerinstance",
    "ecs:starttelemetrysession",
    "ecs:updatecontainerinstancesstate",
    "ecs:submit*",
    "ecs:tagresource",
    "ecs:listtagsforresource",
    "ecr:getauthorizationtoken",
    "ecr:batchchecklayeravailability",
    "ecr:getdownloadurlforlayer",
    "ecr:batchgetimage",
    "logs:createlogstream",
    "logs:putlogevents",
];

pub(crate) fn findings(role: &Role, seen: &Seen, needs: &[Need]) -> Vec<Finding> {
    let policies = seen.read();
    let judged = seen.policies.iter().zip(&policies).enumerate();
    let others = judged.filter(|(_, (policy, _))| !is_aws(role, policy));
    others.filter_map(|(at, (policy, read))| finding(role, seen, needs, at, policy, read)).collect()
}

fn is_aws(role: &Role, policy: &SeenPolicy) -> bool {
    let arn = policy.arn.as_deref();
    [ECS_POLICY, SSM_POLICY].iter().any(|name| arn == Some(role.managed(name).as_str()))
}

fn finding(
    role: &Role,
    seen: &Seen,
    needs: &[Need],
    at: usize,
    policy: &SeenPolicy,
    read: &Policy,
) -> Option<Finding> {
    let mut extra: Vec<String> = read
        .statements
        .iter()
        .filter(|statement| statement.allow)
        .flat_map(|one| excess(one, needs))
        .collect();
    extra.dedup();
    let shown = extra.iter().take(6).cloned().collect::<Vec<_>>().join(", ");
    let more =
        if extra.len() > 6 { format!(" and {} more", extra.len() - 6) } else { String::new() };
    let wide = extra
        .iter()
        .any(|text| text.split(" on ").next().is_some_and(|action| action.contains('*')));
    let severity = if wide { Severity::Warning } else { Severity::Note };
    let message = format!("{policy} also allows {shown}{more}, which such a host does not need");
    (!extra.is_empty())
        .then(|| Finding::new(severity, "beyond-need", message, narrowed(role, seen, needs, at)))
}

/// `ACTION on RESOURCE`, for what no need asks for.
fn excess(statement: &Statement, needs: &[Need]) -> Vec<String> {
    let resources = statement.resources.texts.join(", ");
    let on = if statement.resources.negated { format!("all but {resources}") } else { resources };
    if statement.actions.negated {
        return vec![format!("* (all but {}) on {on}", statement.actions.texts.join(", "))];
    }
    let beyond =
        statement.actions.texts.iter().filter(|action| !is_needed(action, statement, needs));
    beyond.map(|action| format!("{action} on {on}")).collect()
}

fn is_needed(action: &str, statement: &Statement, needs: &[Need]) -> bool {
    let action = action.to_lowercase();
    let wanted = Pattern::new(&action, false);
    if CUSTOMARY.iter().any(|known| Pattern::new(known, false).covers(&wanted) == Sure::Yes) {
        return true;
    }
    let asked = needs.iter().filter(|need| need.action.to_lowercase() == action);
    let resources: Vec<&str> = asked.map(|need| need.written.as_str()).collect();
    !statement.resources.negated
        && statement
            .resources
            .texts
            .iter()
            .all(|text| resources.iter().any(|one| *one == "*" || one == text))
}

/// Takes the policy away, and grants what only it gave.
fn narrowed(role: &Role, seen: &Seen, needs: &[Need], at: usize) -> String {
    let mut rest = seen.clone();
    let policy = rest.policies.remove(at);
    let (before, after) = (seen.read(), rest.read());
    let is_missing =
        |policies: &[Policy], need: &Need| decide(policies, &request(need)) == Verdict::Missing;
    let lost: Vec<&Need> = needs
        .iter()
        .filter(|need| is_missing(&after, need) && !is_missing(&before, need))
        .collect();
    let grant = mend::grant(role, &rest, &lost);
    // Where the grant goes into the policy of that very name, writing it replaces it.
    let same = policy.arn.is_none()
        && grant.iter().any(|command| command.contains(&format!("--policy-name {} ", policy.name)));
    let take = (!same).then(|| mend::without(role, &policy));
    shell::all(&grant.into_iter().chain(take).collect::<Vec<_>>())
}

//! What is wrong with a role as IAM shows it: the guides' console procedure as a table. Pure.

use std::slice;

use ecs_config::lint::Severity;

use super::finding::RoleFinding;
use super::pattern::Ternary;
use super::policy::{Decision, Statement, decide};
use super::remediation;
use super::snapshot::{RoleSnapshot, Simulated};
use super::{excess_permissions, trust};
use crate::role::documents::{Documents, ECS_POLICY, SSM_POLICY};
use crate::role::required_permissions::{self, Permission, PermissionGroup};
use crate::role::{Role, shell};

/// The role is not there at all: the whole procedure fixes it.
pub(super) fn absent(role: &Role) -> RoleFinding {
    let fix = shell::sequence(&shell::procedure(role, &Documents::of(role)));
    let message = format!("the role {} does not exist", role.name);
    RoleFinding::new(Severity::Error, "role-missing", message, fix)
}

/// Everything that is wrong with it, what stops the host first.
pub(super) fn findings(role: &Role, snapshot: &RoleSnapshot) -> Vec<RoleFinding> {
    let required = required_permissions::of(role);
    let evaluation = Evaluation::new(role, snapshot, &required);
    let mut all = trust::findings(role, snapshot);
    all.extend(evaluation.profile());
    all.extend(evaluation.denied());
    all.extend(evaluation.missing());
    all.extend(evaluation.bounded());
    all.extend(evaluation.overruled());
    all.extend(evaluation.unsure());
    all.extend(evaluation.equivalent());
    all.extend(excess_permissions::findings(role, snapshot, &required));
    all.sort_by_key(|finding| finding.severity);
    all
}

struct Evaluation<'a> {
    role: &'a Role,
    snapshot: &'a RoleSnapshot,
    decisions: Vec<(&'a Permission, Decision)>,
}

impl<'a> Evaluation<'a> {
    /// Where the simulator allows what we cannot see allowed, it knows more than we do; but for a
    /// resource that is one of many it is asked about `*` only, so its "no" does not override ours.
    fn new(role: &'a Role, snapshot: &'a RoleSnapshot, required: &'a [Permission]) -> Self {
        let decided = required.iter().enumerate().map(|(at, permission)| {
            let ours = decide(&snapshot.policies, permission);
            let decision = match (ours, snapshot.simulated.get(at)) {
                (Decision::Unsure(..) | Decision::Missing, Some(Simulated::Allowed)) => {
                    Decision::Allowed
                }
                (Decision::Allowed, Some(Simulated::Refused)) => Decision::Overruled,
                _ => ours,
            };
            (permission, decision)
        });
        Evaluation { role, snapshot, decisions: decided.collect() }
    }

    /// The permissions for which this holds.
    fn filtered(&self, holds: impl Fn(&Permission, Decision) -> bool) -> Vec<&'a Permission> {
        let decisions = self.decisions.iter().filter(|(it, decision)| holds(it, *decision));
        decisions.map(|(permission, _)| *permission).collect()
    }

    fn denied(&self) -> impl Iterator<Item = RoleFinding> {
        // All its denying statements, not the first for each permission: one command must do.
        let denies = |it: &Statement| {
            let mut required = self.decisions.iter().map(|(permission, _)| permission);
            !it.allow && required.any(|permission| it.applies(permission) == Ternary::Yes)
        };
        self.snapshot.policies.iter().enumerate().filter_map(move |(at, policy)| {
            let denied = self.filtered(|_, decision| decision == Decision::Denied(at));
            let (denying, kept): (Vec<usize>, Vec<usize>) =
                (0..policy.statements.len()).partition(|at| denies(&policy.statements[*at]));
            let name = policy.statement_name(*denying.first()?);
            let message = format!("{name} denies {}", summary(&denied));
            let fix = remediation::keep_statements(self.role, policy, &kept);
            let finding = RoleFinding::new(severity(&denied), "explicit-deny", message, fix);
            (!denied.is_empty()).then_some(finding)
        })
    }

    fn missing(&self) -> impl Iterator<Item = RoleFinding> {
        let groups = self.decisions.chunk_by(|(one, _), (next, _)| one.group == next.group);
        groups.filter_map(|decisions| {
            let missing = decisions.iter().filter(|(_, decision)| *decision == Decision::Missing);
            let missing: Vec<&Permission> = missing.map(|(permission, _)| *permission).collect();
            (!missing.is_empty()).then(|| self.lacks(&missing))
        })
    }

    /// These are of one group.
    fn lacks(&self, missing: &[&Permission]) -> RoleFinding {
        let Permission { group, action, resource, consequence, .. } = missing[0];
        // What one policy grants is fixed by one command, or the second would undo the first.
        let same_policy = self.filtered(|it, decision| {
            decision == Decision::Missing && it.group.policy() == group.policy()
        });
        let fix = remediation::grant(self.role, self.snapshot, &same_policy);
        let severity = if self.snapshot.is_partial { Severity::Warning } else { severity(missing) };
        let unallowed = |on| format!("no policy allows {action} {on} {resource}: {consequence}");
        let (id, message) = match group {
            PermissionGroup::Agent => ("ecs-policy-missing", self.lacks_of(ECS_POLICY, missing)),
            PermissionGroup::Ssm => ("ssm-policy-missing", self.lacks_of(SSM_POLICY, missing)),
            PermissionGroup::Lifecycle => ("lifecycle-policy-missing", unallowed("on")),
            PermissionGroup::Source(at) => {
                (RoleFinding::unreadable(&self.role.sources[*at]), unallowed("on"))
            }
            PermissionGroup::Key(_) => ("key-not-usable", unallowed("with")),
        };
        let source = match group {
            PermissionGroup::Source(at) => Some(self.role.sources[*at].to_string()),
            _ => None,
        };
        RoleFinding { source, ..RoleFinding::new(severity, id, message, shell::sequence(&fix)) }
    }

    fn lacks_of(&self, policy: &str, missing: &[&Permission]) -> String {
        let name = policy.rsplit('/').next().unwrap_or(policy);
        let what = summary(missing);
        match self.snapshot.has_managed(&self.role.managed_policy(policy)) {
            true => format!("{name} is attached, but neither it nor another policy allows {what}"),
            false => format!("{name} is not attached, and no other policy allows {what}"),
        }
    }

    /// What the permissions boundary leaves out counts for nothing.
    fn bounded(&self) -> Option<RoleFinding> {
        let boundary = self.snapshot.boundary.as_ref()?;
        let out = self.filtered(|permission, _| {
            matches!(
                decide(slice::from_ref(boundary), permission),
                Decision::Missing | Decision::Denied(_)
            )
        });
        let message =
            format!("its permissions boundary {} leaves out {}", boundary.name, summary(&out));
        let fix = shell::on_role(self.role, "delete-role-permissions-boundary", &[]);
        let finding = RoleFinding::new(severity(&out), "permissions-boundary", message, fix);
        (!out.is_empty()).then_some(finding)
    }

    /// Allowed by the role's policies, and still refused.
    fn overruled(&self) -> Option<RoleFinding> {
        let out = self.filtered(|_, decision| decision == Decision::Overruled);
        let message = format!(
            "IAM's simulator reports that the organisation's policies (SCP) refuse what the role's own allow, {}",
            summary(&out)
        );
        let finding = RoleFinding::new(severity(&out), "organisation", message, "");
        (!out.is_empty()).then_some(finding)
    }

    fn unsure(&self) -> impl Iterator<Item = RoleFinding> {
        let statements = distinct(self.decisions.iter().filter_map(|(_, it)| match it {
            Decision::Unsure(policy, at) => Some((*policy, *at)),
            _ => None,
        }));
        statements.into_iter().map(|(policy, at)| {
            let unsure = self.filtered(|_, decision| decision == Decision::Unsure(policy, at));
            let policy = &self.snapshot.policies[policy];
            let (statement, name) = (&policy.statements[at], policy.statement_name(at));
            let why = match &*statement.condition_keys() {
                [] => "is about some resources only".into(),
                keys => format!("depends on {}", keys.join(", ")),
            };
            let (actions, verb) =
                (actions(&unsure), if statement.allow { "allowed" } else { "denied" });
            let message = format!("cannot tell whether {actions} is {verb}: {name} {why}");
            RoleFinding::new(Severity::Note, "unsure", message, "")
        })
    }

    /// All that is needed is granted, though not by AWS's policy.
    fn equivalent(&self) -> Option<RoleFinding> {
        let ecs = self.role.managed_policy(ECS_POLICY);
        let lacking = self.filtered(|it, decision| {
            it.group == PermissionGroup::Agent && decision == Decision::Missing
        });
        let replaced = lacking.is_empty() && !self.snapshot.has_managed(&ecs);
        let message = "its own policies replace AmazonEC2ContainerServiceforEC2Role: \
             what AWS adds to that for new features must be added to them by hand";
        (replaced && !self.role.request.custom).then(|| {
            let fix = shell::attach(self.role, &ecs);
            RoleFinding::new(Severity::Note, "own-policy", message, fix)
        })
    }

    fn profile(&self) -> Option<RoleFinding> {
        let (role, name) = (self.role, &self.role.name);
        if self.snapshot.in_profile != Some(false) {
            return None;
        }
        let add = shell::add_to_profile(role, name);
        let (id, message, fix) = match self.snapshot.same_name_profile.as_deref() {
            None => (
                "instance-profile-missing",
                "no instance profile contains it, so EC2 cannot give it to an instance".into(),
                shell::sequence(&[shell::create_profile(role, name), add]),
            ),
            Some([]) => {
                ("instance-profile-empty", format!("the instance profile {name} is empty"), add)
            }
            Some([other, ..]) => {
                let options = [("instance-profile-name", name.as_str()), ("role-name", other)];
                let remove = shell::iam(role, "remove-role-from-instance-profile", &options);
                let message = format!("the instance profile {name} contains another role, {other}");
                ("instance-profile-other", message, shell::sequence(&[remove, add]))
            }
        };
        Some(RoleFinding::new(Severity::Error, id, message, fix))
    }
}

fn severity(permissions: &[&Permission]) -> Severity {
    match permissions.iter().any(|it| it.essential) {
        true => Severity::Error,
        false => Severity::Warning,
    }
}

fn actions(permissions: &[&Permission]) -> String {
    distinct(permissions.iter().map(|it| it.action)).join(", ")
}

/// The actions, and what fails without them.
fn summary(permissions: &[&Permission]) -> String {
    let consequences = distinct(permissions.iter().map(|it| it.consequence.as_str()));
    format!("{}: {}", actions(permissions), consequences.join("; "))
}

fn distinct<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut distinct = Vec::new();
    items.for_each(|item| {
        if !distinct.contains(&item) {
            distinct.push(item);
        }
    });
    distinct
}

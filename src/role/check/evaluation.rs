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
    /// Each required permission, our decision, and the simulator's, where it was asked.
    decisions: Vec<(&'a Permission, Decision, Option<Simulated>)>,
}

impl<'a> Evaluation<'a> {
    /// Where the simulator allows what we cannot see allowed, it knows more than we do; but for a
    /// resource that is one of many it is asked about `*` only, so its "no" does not override ours.
    fn new(role: &'a Role, snapshot: &'a RoleSnapshot, required: &'a [Permission]) -> Self {
        let decided = required.iter().enumerate().map(|(at, permission)| {
            let simulated = snapshot.simulated.get(at).copied();
            let decision = match (decide(&snapshot.policies, permission), simulated) {
                (Decision::Unsure(..) | Decision::Missing, Some(Simulated::Allowed)) => {
                    Decision::Allowed
                }
                (ours, _) => ours,
            };
            (permission, decision, simulated)
        });
        Evaluation { role, snapshot, decisions: decided.collect() }
    }

    /// The permissions that are decided so, by what `key` makes of the decision.
    fn grouped<K: PartialEq>(
        &self,
        key: impl Fn(&Permission, Decision) -> Option<K>,
    ) -> Vec<(K, Vec<&'a Permission>)> {
        let mut groups: Vec<(K, Vec<&Permission>)> = Vec::new();
        for (permission, decision, _) in &self.decisions {
            let Some(key) = key(permission, *decision) else { continue };
            match groups.iter_mut().find(|(known, _)| *known == key) {
                Some((_, permissions)) => permissions.push(permission),
                None => groups.push((key, vec![permission])),
            }
        }
        groups
    }

    /// The permissions for which this holds.
    fn filtered(
        &self,
        holds: impl Fn(&Permission, Decision, Option<Simulated>) -> bool,
    ) -> Vec<&'a Permission> {
        let decisions = self.decisions.iter();
        decisions.filter(|(it, ours, theirs)| holds(it, *ours, *theirs)).map(|it| it.0).collect()
    }

    fn denied(&self) -> impl Iterator<Item = RoleFinding> {
        let mut by_policy = self.grouped(|_, decision| match decision {
            Decision::Denied(policy) => Some(policy),
            _ => None,
        });
        by_policy.sort_by_key(|(policy, _)| *policy);
        by_policy.into_iter().map(|(policy, denied)| self.denies(policy, &denied))
    }

    fn denies(&self, policy: usize, denied: &[&Permission]) -> RoleFinding {
        let policy = &self.snapshot.policies[policy];
        // All its denying statements, not the first for each permission: one command must do.
        let denies = |statement: &Statement| {
            let mut required = self.decisions.iter().map(|(permission, ..)| permission);
            !statement.allow && required.any(|it| statement.applies(it) == Ternary::Yes)
        };
        let (denying, kept): (Vec<usize>, Vec<usize>) =
            (0..policy.statements.len()).partition(|at| denies(&policy.statements[*at]));
        let message = format!("{} denies {}", policy.statement_name(denying[0]), summary(denied));
        let fix = remediation::keep_statements(self.role, policy, &kept);
        RoleFinding::new(severity(denied), "explicit-deny", message, fix)
    }

    fn missing(&self) -> Vec<RoleFinding> {
        let is_missing = |decision| decision == Decision::Missing;
        let groups = self.grouped(|it, decision| is_missing(decision).then_some(it.group));
        groups.iter().map(|(group, missing)| self.lacks(*group, missing)).collect()
    }

    fn lacks(&self, group: PermissionGroup, missing: &[&Permission]) -> RoleFinding {
        // What one policy grants is fixed by one command, or the second would undo the first.
        let same_policy = self.filtered(|it, decision, _| {
            decision == Decision::Missing && it.group.inline_policy() == group.inline_policy()
        });
        let fix = remediation::grant(self.role, self.snapshot, &same_policy);
        let severity = if self.snapshot.is_partial { Severity::Warning } else { severity(missing) };
        let Permission { action, resource, consequence, .. } = missing[0];
        let unallowed = |on| format!("no policy allows {action} {on} {resource}: {consequence}");
        let (id, message) = match group {
            PermissionGroup::Agent => ("ecs-policy-missing", self.lacks_of(ECS_POLICY, missing)),
            PermissionGroup::Ssm => ("ssm-policy-missing", self.lacks_of(SSM_POLICY, missing)),
            PermissionGroup::Lifecycle => ("lifecycle-policy-missing", unallowed("on")),
            PermissionGroup::Object(_) => ("object-not-readable", unallowed("on")),
            PermissionGroup::Secret(_) => ("secret-not-readable", unallowed("on")),
            PermissionGroup::Key(_) => ("key-not-usable", unallowed("with")),
        };
        let finding = RoleFinding::new(severity, id, message, shell::sequence(&fix));
        match group {
            PermissionGroup::Object(at) | PermissionGroup::Secret(at) => {
                finding.about(&self.role.sources[at])
            }
            _ => finding,
        }
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
        let out = self.filtered(|permission, _, _| {
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
        let out = self.filtered(|_, decision, simulated| {
            decision == Decision::Allowed && simulated == Some(Simulated::Refused)
        });
        let message = format!(
            "IAM's simulator reports that the organisation's policies (SCP) refuse what the role's own allow, {}",
            summary(&out)
        );
        let finding = RoleFinding::new(severity(&out), "organisation", message, "");
        (!out.is_empty()).then_some(finding)
    }

    fn unsure(&self) -> impl Iterator<Item = RoleFinding> {
        let by_statement = self.grouped(|_, decision| match decision {
            Decision::Unsure(policy, statement) => Some((policy, statement)),
            _ => None,
        });
        by_statement.into_iter().map(|((policy, at), unsure)| {
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
        let lacking = self.filtered(|it, decision, _| {
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

fn distinct<'t>(texts: impl Iterator<Item = &'t str>) -> Vec<&'t str> {
    let mut distinct = Vec::new();
    texts.for_each(|text| {
        if !distinct.contains(&text) {
            distinct.push(text);
        }
    });
    distinct
}

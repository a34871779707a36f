//! What is wrong with a role as IAM shows it: the guides' console procedure as a table. Pure.

use std::collections::BTreeMap;

use super::documents::{ECS_POLICY, SSM_POLICY};
use super::finding::{Finding, Severity};
use super::needs::{self, Group, Need};
use super::policy::{Place, Policy, Request, Verdict, decide};
use super::seen::{Seen, Simulated};
use super::{Documents, Role, beyond, mend, shell, trust};

/// The role is not there at all: the whole procedure mends it.
pub(crate) fn absent(role: &Role) -> Vec<Finding> {
    let fix = shell::all(&shell::procedure(role, &Documents::of(role)));
    vec![Finding::new(
        Severity::Error,
        "role-missing",
        format!("there is no role {}", role.name),
        fix,
    )]
}

/// Everything that is wrong with it, what stops the host first.
pub(crate) fn findings(role: &Role, seen: &Seen) -> Vec<Finding> {
    let check = Check { role, seen, needs: needs::of(role), policies: seen.read() };
    let verdicts = check.verdicts();
    let mut all = trust::findings(role, seen);
    all.extend(check.profile());
    all.extend(check.denied(&verdicts));
    all.extend(check.missing(&verdicts));
    all.extend(check.bounded());
    all.extend(check.overruled(&verdicts));
    all.extend(check.unsure(&verdicts));
    all.extend(check.equivalent(&verdicts));
    all.extend(beyond::findings(role, seen, &check.needs));
    all.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    all
}

struct Check<'a> {
    role: &'a Role,
    seen: &'a Seen,
    needs: Vec<Need>,
    policies: Vec<Policy>,
}

impl Check<'_> {
    /// Our own reading for each need, and where the simulator knows better, its own.
    fn verdicts(&self) -> Vec<Verdict> {
        let simulated = self.seen.simulated.iter().map(Some).chain(std::iter::repeat(None));
        let ours = self.needs.iter().map(|need| decide(&self.policies, &request(need)));
        ours.zip(simulated).map(|(ours, simulated)| settled(ours, simulated.copied())).collect()
    }

    fn denied(&self, verdicts: &[Verdict]) -> Vec<Finding> {
        let mut by_policy: BTreeMap<usize, Vec<(&Need, Place)>> = BTreeMap::new();
        for (need, verdict) in self.needs.iter().zip(verdicts) {
            if let Verdict::Denied(place) = verdict {
                by_policy.entry(place.policy).or_default().push((need, *place));
            }
        }
        by_policy.into_iter().map(|(policy, denied)| self.denies(policy, &denied)).collect()
    }

    fn denies(&self, policy: usize, denied: &[(&Need, Place)]) -> Finding {
        let needs: Vec<&Need> = denied.iter().map(|(need, _)| *need).collect();
        // All its denying statements, not the first that was met for each need: one command must
        // do.
        let places: Vec<usize> = self.policies[policy]
            .statements
            .iter()
            .enumerate()
            .filter(|(_, statement)| {
                !statement.allow
                    && self
                        .needs
                        .iter()
                        .any(|need| statement.applies(&request(need)) == super::pattern::Sure::Yes)
            })
            .map(|(at, _)| at)
            .collect();
        let seen = &self.seen.policies[policy];
        let message = format!(
            "{} denies {}: {}",
            seen.statement_name(denied[0].1.statement),
            actions(&needs),
            consequences(&needs)
        );
        Finding::new(
            severity(&needs),
            "explicit-deny",
            message,
            mend::without_statements(self.role, seen, &places),
        )
    }

    fn missing(&self, verdicts: &[Verdict]) -> Vec<Finding> {
        let missing: Vec<&Need> = self
            .needs
            .iter()
            .zip(verdicts)
            .filter(|(_, verdict)| **verdict == Verdict::Missing)
            .map(|(need, _)| need)
            .collect();
        let groups: std::collections::BTreeSet<Group> =
            missing.iter().map(|need| need.group).collect();
        groups.into_iter().map(|group| self.lacks(group, &missing)).collect()
    }

    fn lacks(&self, group: Group, missing: &[&Need]) -> Finding {
        let needs: Vec<&Need> =
            missing.iter().filter(|need| need.group == group).copied().collect();
        let fix = mend::grant(self.role, self.seen, &same_policy(group, missing));
        let what = format!("{}: {}", actions(&needs), consequences(&needs));
        let severity = if self.seen.whole { severity(&needs) } else { Severity::Warning };
        let (id, message) = match group {
            Group::Agent => (
                "ecs-policy-missing",
                format!("{} and no other policy allows {what}", self.attached(ECS_POLICY)),
            ),
            Group::Ssm => (
                "ssm-policy-missing",
                format!("{} and no other policy allows {what}", self.attached(SSM_POLICY)),
            ),
            Group::Object(at) => (
                "object-not-readable",
                format!(
                    "no policy allows {} on {}: {}",
                    needs[0].action,
                    self.role.objects[at].arn,
                    consequences(&needs)
                ),
            ),
            Group::Key(at) => (
                "key-not-usable",
                format!(
                    "no policy allows kms:Decrypt with {}: {}",
                    self.role.keys[at].arn,
                    consequences(&needs)
                ),
            ),
        };
        let finding = Finding::new(severity, id, message, shell::all(&fix));
        match group {
            Group::Object(at) => finding.about(&self.role.objects[at].shown),
            _ => finding,
        }
    }

    fn attached(&self, policy: &str) -> String {
        let name = policy.rsplit('/').next().unwrap_or(policy);
        if self.seen.has(&self.role.managed(policy)) {
            format!("{name} is attached, but it")
        } else {
            format!("{name} is not attached,")
        }
    }

    /// What the permissions boundary leaves out counts for nothing.
    fn bounded(&self) -> Option<Finding> {
        let boundary = self.seen.boundary.as_ref()?;
        let policies = [Policy::read(&boundary.document)];
        let cut = |need: &&Need| {
            matches!(decide(&policies, &request(need)), Verdict::Missing | Verdict::Denied(_))
        };
        let out: Vec<&Need> = self.needs.iter().filter(cut).collect();
        let message = format!(
            "its permissions boundary {} leaves out {}: {}",
            boundary.name,
            actions(&out),
            consequences(&out)
        );
        (!out.is_empty()).then(|| {
            Finding::new(
                severity(&out),
                "permissions-boundary",
                message,
                shell::delete_boundary(self.role),
            )
        })
    }

    /// Allowed by the role's policies, and still refused.
    fn overruled(&self, verdicts: &[Verdict]) -> Option<Finding> {
        let allowed = self.needs.iter().zip(verdicts).zip(&self.seen.simulated);
        let out: Vec<&Need> = allowed
            .filter(|((_, verdict), simulated)| {
                **verdict == Verdict::Allowed
                    && matches!(simulated, Simulated::Organisation | Simulated::Denied)
            })
            .map(|((need, _), _)| need)
            .collect();
        let message = format!(
            "the role's policies allow {}, but IAM's simulator says that the organisation's (SCP) do not: {}",
            actions(&out),
            consequences(&out)
        );
        (!out.is_empty()).then(|| Finding::new(severity(&out), "organisation", message, ""))
    }

    fn unsure(&self, verdicts: &[Verdict]) -> Vec<Finding> {
        let mut by_place: Vec<(Place, Vec<&Need>)> = Vec::new();
        for (need, verdict) in self.needs.iter().zip(verdicts) {
            let Verdict::Unsure(place) = verdict else { continue };
            match by_place.iter_mut().find(|(known, _)| known == place) {
                Some((_, needs)) => needs.push(need),
                None => by_place.push((*place, vec![need])),
            }
        }
        by_place.into_iter().map(|(place, needs)| self.doubts(place, &needs)).collect()
    }

    fn doubts(&self, place: Place, needs: &[&Need]) -> Finding {
        let statement = &self.policies[place.policy].statements[place.statement];
        let keys: Vec<&str> =
            statement.conditions.iter().map(super::condition::Condition::key).collect();
        let why = if keys.is_empty() {
            "is about some resources only".into()
        } else {
            format!("depends on {}", keys.join(", "))
        };
        let name = self.seen.policies[place.policy].statement_name(place.statement);
        let verb = if statement.allow { "allowed" } else { "denied" };
        Finding::new(
            Severity::Note,
            "unsure",
            format!("cannot tell whether {} is {verb}: {name} {why}", actions(needs)),
            "",
        )
    }

    /// All that is needed is granted, though not by AWS's policy.
    fn equivalent(&self, verdicts: &[Verdict]) -> Option<Finding> {
        let lacking = self
            .needs
            .iter()
            .zip(verdicts)
            .any(|(need, verdict)| need.group == Group::Agent && *verdict == Verdict::Missing);
        let attached = lacking || self.seen.has(&self.role.managed(ECS_POLICY));
        let message = "its own policies stand in for AmazonEC2ContainerServiceforEC2Role: what AWS adds to that for new features must be added to them by hand";
        (!attached && !self.role.custom).then(|| {
            Finding::new(
                Severity::Note,
                "own-policy",
                message,
                shell::attach(self.role, &self.role.managed(ECS_POLICY)),
            )
        })
    }

    fn profile(&self) -> Option<Finding> {
        let name = &self.role.name;
        if !self.role.kind.has_profile()
            || self.seen.profiles.as_ref().is_none_or(|profiles| !profiles.is_empty())
        {
            return None;
        }
        let add = shell::add_to_profile(self.role, name);
        let finding = |id, message: String, fix| Finding::new(Severity::Error, id, message, fix);
        Some(match self.seen.namesake.as_deref() {
            None => {
                let fix = shell::all(&[shell::create_profile(self.role, name), add]);
                finding(
                    "instance-profile-missing",
                    "no instance profile holds it, so EC2 cannot hand it to an instance".into(),
                    fix,
                )
            }
            Some([]) => finding(
                "instance-profile-empty",
                format!("the instance profile {name} holds no role"),
                add,
            ),
            Some([other, ..]) => {
                let fix = shell::all(&[shell::remove_from_profile(self.role, name, other), add]);
                finding(
                    "instance-profile-other",
                    format!("the instance profile {name} holds another role, {other}"),
                    fix,
                )
            }
        })
    }
}

pub(crate) fn request(need: &Need) -> Request<'_> {
    Request { action: need.action, resource: need.resource.clone(), context: need.context() }
}

/// The simulator sees what we do not; but of a resource that is one of many it is told `*` only, so
/// there its "no" leaves ours.
fn settled(ours: Verdict, simulated: Option<Simulated>) -> Verdict {
    match (ours, simulated) {
        (Verdict::Unsure(_) | Verdict::Missing, Some(Simulated::Allowed)) => Verdict::Allowed,
        (ours, _) => ours,
    }
}

/// Groups that one policy serves are mended by one command, or the second would undo the first.
fn same_policy<'n>(group: Group, missing: &[&'n Need]) -> Vec<&'n Need> {
    let ours = |group: Group| group > Group::Ssm;
    missing
        .iter()
        .filter(|need| need.group == group || ours(group) && ours(need.group))
        .copied()
        .collect()
}

fn severity(needs: &[&Need]) -> Severity {
    if needs.iter().any(|need| need.vital) { Severity::Error } else { Severity::Warning }
}

fn actions(needs: &[&Need]) -> String {
    let mut names: Vec<&str> = Vec::new();
    needs.iter().for_each(|need| {
        if !names.contains(&need.action) {
            names.push(need.action)
        }
    });
    names.join(", ")
}

fn consequences(needs: &[&Need]) -> String {
    let mut all: Vec<&str> = Vec::new();
    needs.iter().for_each(|need| {
        if !all.contains(&need.for_what.as_str()) {
            all.push(&need.for_what)
        }
    });
    all.join("; ")
}

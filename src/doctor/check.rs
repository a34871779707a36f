//! One row of the doctor's table, its verdict, and which verdicts are consequences of others.

use std::sync::OnceLock;

use ecs_config::lint::Severity;

use super::Target;
use crate::error::Diagnostic;

/// One row of the table.
pub(crate) struct Check {
    pub(crate) id: &'static str,
    /// What is checked, in one line.
    pub(crate) looked_at: &'static str,
    /// Checks whose failure makes this one fail as well: then it is skipped, and the cause is
    /// reported once.
    needs: &'static [&'static str],
    pub(super) run: fn(&Target) -> Found,
}

/// A check that depends on no other.
pub(super) const fn check(
    id: &'static str,
    looked_at: &'static str,
    run: fn(&Target) -> Found,
) -> Check {
    Check { id, looked_at, needs: &[], run }
}

impl Check {
    pub(super) const fn needs(self, needs: &'static [&'static str]) -> Self {
        Check { needs, ..self }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    Ok,
    Skipped,
    Warning,
    Failure,
}

impl Outcome {
    /// As reports and people write it.
    pub(super) fn name(self) -> &'static str {
        ["ok", "skipped", "warning", "failure"][self as usize]
    }

    /// As a finding, if it is one.
    pub(super) fn severity(self) -> Option<Severity> {
        [None, None, Some(Severity::Warning), Some(Severity::Error)][self as usize]
    }
}

/// The result of a check. Names, lines and paths only; never a value of a configuration key.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Verdict {
    pub(super) outcome: Outcome,
    /// What was found; of a skipped check, why it was skipped.
    pub(super) finding: String,
    pub(super) remedy: Option<String>,
    /// It is a consequence of another check's failure.
    pub(super) is_consequence: bool,
}

impl Verdict {
    /// A warning, which adds this.
    pub(super) fn softened(self, but: &str) -> Self {
        let finding = format!("{}; {but}", self.finding);
        Verdict { outcome: Outcome::Warning, finding, ..self }
    }
}

/// What a check has found in order; as an error, so that `?` ends the check, all else.
pub(super) type Found<T = Verdict> = Result<T, Verdict>;

fn verdict(outcome: Outcome, finding: impl Into<String>, remedy: Option<String>) -> Verdict {
    Verdict { outcome, finding: finding.into(), remedy, is_consequence: false }
}

pub(super) fn ok(finding: impl Into<String>) -> Found {
    Ok(verdict(Outcome::Ok, finding, None))
}

pub(super) fn skipped<T>(reason: impl Into<String>) -> Found<T> {
    Err(verdict(Outcome::Skipped, reason, None))
}

pub(super) fn warning<T>(finding: impl Into<String>, remedy: impl Into<String>) -> Found<T> {
    Err(verdict(Outcome::Warning, finding, Some(remedy.into())))
}

pub(super) fn failure<T>(finding: impl Into<String>, remedy: impl Into<String>) -> Found<T> {
    Err(verdict(Outcome::Failure, finding, Some(remedy.into())))
}

/// The failure that a step of `run` would end with.
pub(super) fn failed<T>(error: &impl Diagnostic) -> Found<T> {
    failure(super::with_causes(error), error.remedy())
}

/// Nothing to report beyond what the check of that name reports.
pub(super) fn consequence_of<T>(id: &str) -> Found<T> {
    let skipped = verdict(Outcome::Skipped, format!("follows from `{id}`"), None);
    Err(Verdict { is_consequence: true, ..skipped })
}

/// What was observed on the network, if the answer came in time.
pub(super) fn answered<T>(cell: &OnceLock<T>) -> Found<&T> {
    match cell.get() {
        Some(answer) => Ok(answer),
        None => failure(
            "no answer in time",
            "check the network between this host and the address; then run `ecs-bootstrap doctor` again",
        ),
    }
}

/// The verdict, whichever it is.
pub(super) fn settle(found: Found) -> Verdict {
    found.unwrap_or_else(|verdict| verdict)
}

/// Skips what merely follows from an earlier failure. The rows are in the order of the boot, so
/// causes come first.
pub(super) fn skip_consequences(
    rows: Vec<(&'static Check, Verdict)>,
) -> Vec<(&'static Check, Verdict)> {
    let mut settled: Vec<(&'static Check, Verdict)> = Vec::new();
    for (check, verdict) in rows {
        let failed =
            |verdict: &Verdict| verdict.outcome == Outcome::Failure || verdict.is_consequence;
        let broken =
            |id: &&str| settled.iter().find(|(other, found)| other.id == *id && failed(found));
        let cause = check.needs.iter().find_map(broken);
        // A consequence of a consequence follows from the first cause.
        let consequence = |(other, found): &(&Check, Verdict)| {
            if found.is_consequence { found.clone() } else { settle(consequence_of(other.id)) }
        };
        let is_finding = verdict.outcome.severity().is_some();
        settled.push((check, cause.filter(|_| is_finding).map_or(verdict, consequence)));
    }
    settled
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAUSE: Check = check("cause", "", |_| ok(""));
    static ROWS: [Check; 3] =
        [CAUSE, check("effect", "", |_| ok("")).needs(&["cause"]), CAUSE.needs(&["effect"])];

    #[track_caller]
    fn check_settled(given: [Found; 3], outcomes: [Outcome; 3]) {
        let settled = skip_consequences(ROWS.iter().zip(given.map(settle)).collect());
        assert_eq!(
            settled.iter().map(|(_, verdict)| verdict.outcome).collect::<Vec<_>>(),
            outcomes
        );
    }

    #[test]
    fn a_consequence_names_the_first_cause() {
        let bad = || failure("", "");
        let settled =
            skip_consequences(ROWS.iter().zip([bad(), bad(), bad()].map(settle)).collect());
        assert_eq!(settled[2].1.finding, "follows from `cause`");
    }

    #[test]
    fn consequences_of_failures_are_skipped_and_nothing_else() {
        use Outcome::{Failure, Ok, Skipped, Warning};
        let bad = || failure("", "");
        check_settled([bad(), bad(), bad()], [Failure, Skipped, Skipped]);
        check_settled([bad(), ok(""), bad()], [Failure, Ok, Failure]);
        check_settled([warning("", ""), bad(), ok("")], [Warning, Failure, Ok]);
        check_settled([skipped("not here"), bad(), ok("")], [Skipped, Failure, Ok]);
    }
}

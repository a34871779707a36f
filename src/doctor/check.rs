//! One row of the doctor's table, what it may say, and what follows from what.

use serde::{Serialize, Serializer};

use super::Patient;

/// One row of the table.
pub(crate) struct Check {
    pub(crate) id: &'static str,
    /// What is looked at, in one line.
    pub(crate) looked_at: &'static str,
    /// Checks whose failure would make this one fail as well: then it is skipped, and the cause is
    /// named once.
    pub(crate) needs: &'static [&'static str],
    pub(crate) look: fn(&Patient) -> Verdict,
}

/// A row whose verdict depends on no other.
pub(crate) const fn check(
    id: &'static str,
    looked_at: &'static str,
    look: fn(&Patient) -> Verdict,
) -> Check {
    Check { id, looked_at, needs: &[], look }
}

impl Check {
    pub(crate) const fn needs(self, needs: &'static [&'static str]) -> Self {
        Check { needs, ..self }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    Ok,
    Skipped,
    Warning,
    Failure,
}

impl Outcome {
    pub(crate) fn word(self) -> &'static str {
        ["ok", "skipped", "warning", "failure"][self as usize]
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

/// What a check says. Names, lines and paths only; never a value of a configuration key.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Verdict {
    pub(crate) outcome: Outcome,
    /// What was found; of a skipped check, why it was skipped.
    pub(crate) finding: String,
    pub(crate) remedy: Option<String>,
    /// It is a consequence of another check's failure.
    #[serde(skip)]
    pub(crate) follows: bool,
}

impl Verdict {
    fn new(outcome: Outcome, finding: impl Into<String>, remedy: Option<String>) -> Self {
        Verdict { outcome, finding: finding.into(), remedy, follows: false }
    }

    pub(crate) fn ok(finding: impl Into<String>) -> Self {
        Verdict::new(Outcome::Ok, finding, None)
    }

    pub(crate) fn skipped(reason: impl Into<String>) -> Self {
        Verdict::new(Outcome::Skipped, reason, None)
    }

    pub(crate) fn warning(finding: impl Into<String>, remedy: impl Into<String>) -> Self {
        Verdict::new(Outcome::Warning, finding, Some(remedy.into()))
    }

    pub(crate) fn failure(finding: impl Into<String>, remedy: impl Into<String>) -> Self {
        Verdict::new(Outcome::Failure, finding, Some(remedy.into()))
    }

    /// Nothing to say beyond what the check of that name says.
    pub(crate) fn follows(from: &str) -> Self {
        Verdict { follows: true, ..Verdict::skipped(format!("follows from `{from}`")) }
    }

    /// The network did not say in time.
    pub(crate) fn unanswered() -> Self {
        Verdict::failure(
            "no answer in time",
            "look what stands between this host and the address; then run `ecs-bootstrap doctor` again",
        )
    }

    fn is_bad(&self) -> bool {
        self.outcome >= Outcome::Warning
    }

    fn is_broken(&self) -> bool {
        self.outcome == Outcome::Failure || self.follows
    }
}

/// Takes back what merely follows from an earlier failure. The rows stand in the order of the boot,
/// so causes come first.
pub(crate) fn settle(rows: Vec<(&'static Check, Verdict)>) -> Vec<(&'static Check, Verdict)> {
    let mut settled: Vec<(&'static Check, Verdict)> = Vec::new();
    for (check, verdict) in rows {
        let broken = |id: &&str| {
            settled.iter().find(|(other, verdict)| other.id == *id && verdict.is_broken())
        };
        let cause = check.needs.iter().find_map(broken).filter(|_| verdict.is_bad());
        // What follows from a consequence follows from its cause.
        let follows = |(other, of): &(&Check, Verdict)| {
            if of.follows { of.clone() } else { Verdict::follows(other.id) }
        };
        settled.push((check, cause.map_or(verdict, follows)));
    }
    settled
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAUSE: Check = check("cause", "", |_| Verdict::ok(""));
    static ROWS: [Check; 3] = [
        CAUSE,
        check("effect", "", |_| Verdict::ok("")).needs(&["cause"]),
        CAUSE.needs(&["effect"]),
    ];

    #[track_caller]
    fn check_settled(given: [Verdict; 3], outcomes: [Outcome; 3]) {
        let settled = settle(ROWS.iter().zip(given).collect());
        assert_eq!(
            settled.iter().map(|(_, verdict)| verdict.outcome).collect::<Vec<_>>(),
            outcomes
        );
    }

    #[test]
    fn a_consequence_names_the_first_cause() {
        let bad = || Verdict::failure("", "");
        let settled = settle(ROWS.iter().zip([bad(), bad(), bad()]).collect());
        assert_eq!(settled[2].1.finding, "follows from `cause`");
    }

    #[test]
    fn what_follows_from_a_failure_is_skipped_however_far_and_nothing_else() {
        use Outcome::{Failure, Ok, Skipped, Warning};
        let bad = || Verdict::failure("", "");
        check_settled([bad(), bad(), bad()], [Failure, Skipped, Skipped]);
        check_settled([bad(), Verdict::ok(""), bad()], [Failure, Ok, Failure]);
        check_settled([Verdict::warning("", ""), bad(), Verdict::ok("")], [Warning, Failure, Ok]);
        check_settled(
            [Verdict::skipped("not here"), bad(), Verdict::ok("")],
            [Skipped, Failure, Ok],
        );
    }
}

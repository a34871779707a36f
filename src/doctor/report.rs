//! What was found, for people and for scripts.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::{Check, Outcome, Verdict};
use crate::error::ExitStatus;
use crate::report::rfc3339;

/// Where the column of findings begins.
const COLUMN: usize = 28;

/// The table, filled in.
pub(crate) struct Examination {
    rows: Vec<(&'static Check, Verdict)>,
    began: SystemTime,
    took: Duration,
}

impl Examination {
    pub(super) fn new(rows: Vec<(&'static Check, Verdict)>, took: Duration) -> Self {
        Examination { rows, began: SystemTime::now() - took, took }
    }

    /// `findings` if anything failed; a warning alone is no failure.
    pub(crate) fn exit_status(&self) -> u8 {
        if self.count(Outcome::Failure) > 0 { ExitStatus::Findings.code() } else { 0 }
    }

    fn count(&self, outcome: Outcome) -> usize {
        self.rows.iter().filter(|(_, verdict)| verdict.outcome == outcome).count()
    }

    /// One line a check; under what is wrong, its remedy.
    pub(crate) fn text(&self) -> String {
        let rows: String = self.rows.iter().map(|(check, verdict)| row(check, verdict)).collect();
        let counts = [
            (Outcome::Failure, "failed"),
            (Outcome::Warning, "warned"),
            (Outcome::Ok, "ok"),
            (Outcome::Skipped, "skipped"),
        ]
        .map(|(outcome, word)| format!("{} {word}", self.count(outcome)));
        format!("{rows}\n{} checks: {}\n", self.rows.len(), counts.join(", "))
    }

    /// The checks, and those with a finding again as the contract's report has findings.
    pub(crate) fn json(&self) -> String {
        let status = self.exit_status();
        let value = json!({
            "schema": 1,
            "version": env!("CARGO_PKG_VERSION"),
            "command": "doctor",
            "outcome": if status == 0 { "ok" } else { ExitStatus::Findings.name() },
            "exit_status": status,
            "started_at": rfc3339(self.began),
            "duration_ms": u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
            "checks": self.rows.iter().map(|(check, verdict)| entry(check, verdict)).collect::<Vec<_>>(),
            "findings": self.rows.iter().filter_map(|(check, verdict)| finding(check, verdict)).collect::<Vec<_>>(),
        });
        format!("{value:#}\n")
    }
}

fn row(check: &Check, Verdict { outcome, finding, remedy, .. }: &Verdict) -> String {
    let remedy = remedy
        .as_ref()
        .map(|remedy| format!("{:COLUMN$}remedy: {remedy}\n", ""))
        .unwrap_or_default();
    let id = check.id;
    format!("{:<9}{id:<width$}{finding}\n{remedy}", outcome.word(), width = COLUMN - 9)
}

fn entry(check: &Check, verdict: &Verdict) -> Value {
    json!({
        "id": check.id,
        "outcome": verdict.outcome,
        "looked_at": check.looked_at,
        "finding": verdict.finding,
        "remedy": verdict.remedy,
    })
}

fn finding(check: &Check, Verdict { outcome, finding, remedy, .. }: &Verdict) -> Option<Value> {
    let severity = match outcome {
        Outcome::Failure => "error",
        Outcome::Warning => "warning",
        Outcome::Ok | Outcome::Skipped => return None,
    };
    let (id, source) = (check.id, check.looked_at);
    Some(
        json!({"id": id, "severity": severity, "source": source, "line": null, "key": null, "message": finding, "fix": remedy}),
    )
}

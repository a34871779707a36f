//! The verdicts of all checks, for people and for scripts.

use std::time::{Duration, SystemTime};

use ecs_config::lint::Finding;
use serde_json::json;

use super::check::{Check, Outcome, Verdict};
use crate::error::ExitStatus;
use crate::report::rfc3339;

/// Where the column of findings begins.
const COLUMN: usize = 28;

/// The table with its verdicts.
pub(crate) struct DoctorReport {
    rows: Vec<(&'static Check, Verdict)>,
    began: SystemTime,
    took: Duration,
}

impl DoctorReport {
    pub(super) fn new(rows: Vec<(&'static Check, Verdict)>, took: Duration) -> Self {
        DoctorReport { rows, began: SystemTime::now() - took, took }
    }

    /// `findings` if anything failed; a warning alone is not a failure.
    pub(crate) fn exit_status(&self) -> u8 {
        if self.count(Outcome::Failure) > 0 { ExitStatus::Findings.code() } else { 0 }
    }

    fn count(&self, outcome: Outcome) -> usize {
        self.rows.iter().filter(|(_, verdict)| verdict.outcome == outcome).count()
    }

    /// One line a check; below a warning or a failure, its remedy.
    pub(crate) fn text(&self) -> String {
        let rows: String = self.rows.iter().map(|(check, verdict)| row(check, verdict)).collect();
        let counts = [
            (Outcome::Failure, "failed"),
            (Outcome::Warning, "warned"),
            (Outcome::Ok, "ok"),
            (Outcome::Skipped, "skipped"),
        ]
        .map(|(outcome, counted)| format!("{} {counted}", self.count(outcome)));
        format!("{rows}\n{} checks: {}\n", self.rows.len(), counts.join(", "))
    }

    /// Every check; and warnings and failures again as `findings`, as every report of this program
    /// has them (ecs-bootstrap-report(5)).
    pub(crate) fn json(&self) -> String {
        let status = self.exit_status();
        let checks = self.rows.iter().map(|(check, verdict)| {
            json!({
                "id": check.id,
                "outcome": verdict.outcome.name(),
                "looked_at": check.looked_at,
                "finding": verdict.finding,
                "remedy": verdict.remedy,
            })
        });
        let findings = self.rows.iter().filter_map(|(check, verdict)| finding(check, verdict));
        let value = json!({
            "schema": 1,
            "version": env!("CARGO_PKG_VERSION"),
            "command": "doctor",
            "outcome": if status == 0 { "ok" } else { ExitStatus::Findings.name() },
            "exit_status": status,
            "started_at": rfc3339(self.began),
            "duration_ms": u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
            "checks": checks.collect::<Vec<_>>(),
            "findings": findings.collect::<Vec<_>>(),
        });
        format!("{value:#}\n")
    }
}

fn row(check: &Check, Verdict { outcome, finding, remedy, .. }: &Verdict) -> String {
    let remedy = remedy.iter().map(|remedy| format!("{:COLUMN$}remedy: {remedy}\n", ""));
    let (outcome, id, width) = (outcome.name(), check.id, COLUMN - 9);
    format!("{outcome:<9}{id:<width$}{finding}\n{}", remedy.collect::<String>())
}

fn finding(check: &Check, verdict: &Verdict) -> Option<Finding> {
    Some(Finding {
        id: check.id,
        severity: verdict.outcome.severity()?,
        source: check.looked_at.to_owned(),
        line: None,
        key: None,
        message: verdict.finding.clone(),
        fix: verdict.remedy.clone(),
        columns: 0..0,
    })
}

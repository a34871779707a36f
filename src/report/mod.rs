//! What happened, for people and for scripts: the report of a run, on stdout and in
//! `/run/ecs-bootstrap/report.json`.
//!
//! Names, lines, digests and times only. Values of configuration keys, credentials and tokens have
//! no field here. The report is made once, at the end, from what the steps returned.

mod bounds;
pub(crate) mod inventory;
pub(crate) mod refusal;
mod text;
mod timeline;
mod timings;

use std::collections::BTreeMap;

use ecs_config::lint::Finding;
use ecs_config::merge::Origin;
use serde::Serialize;
pub(crate) use text::to_text;
pub(crate) use timeline::Timeline;

use crate::error::{Error, ExitStatus, Failure};
use crate::identity::Identity;
pub(crate) use crate::identity::host_kind::OF_BATCH;
use crate::install::state::SecretVersion;
use crate::net::Http;
pub(crate) use crate::net::clock::{parse_rfc3339, rfc3339};
use crate::source::Layer;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Installed,
    Unchanged,
    /// The source could not be reached; the last verified file stays.
    Kept,
    DryRun,
    /// `verify`: the identity is proven.
    Verified,
    /// `abandon`: Auto Scaling knows that the host failed.
    Abandoned,
    #[serde(untagged)]
    Failed(ExitStatus),
}

/// One step of a boot.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StepReport {
    pub(crate) step: &'static str,
    pub(crate) outcome: StepOutcome,
    /// Since the start of the run, in milliseconds.
    pub(crate) start_ms: u64,
    pub(crate) duration_ms: u64,
    pub(crate) attempts: u32,
    pub(crate) detail: String,
}

/// One connection: the look-up of the name, TCP and TLS.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ConnectionReport {
    pub(crate) to: String,
    /// Since the start of the run, in milliseconds.
    pub(crate) start_ms: u64,
    pub(crate) duration_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StepOutcome {
    Ok,
    Skipped,
    Failed,
}

/// The installed file.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ConfigReport {
    pub(crate) path: String,
    pub(crate) sha256: String,
    pub(crate) bytes: usize,
    pub(crate) changed: bool,
    pub(crate) layers: Vec<Layer>,
    /// What the layers name of Parameter Store and Secrets Manager.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) secrets: Vec<SecretVersion>,
    pub(crate) keys: BTreeMap<String, Origin>,
}

/// What the guard is worth.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct GuardReport {
    pub(crate) wanted: bool,
    /// `effective`: in place, and proven; `installed`: not proven; `absent`; `leaking`: packets got
    /// through.
    pub(crate) state: &'static str,
    /// `probed` or `not_probed`.
    pub(crate) proof: &'static str,
    pub(crate) detail: String,
}

impl GuardReport {
    /// Of a guard that is wanted.
    pub(crate) fn new(state: &'static str, detail: impl Into<String>) -> Self {
        let is_probed = ["effective", "leaking"].contains(&state);
        let proof = if is_probed { "probed" } else { "not_probed" };
        GuardReport { wanted: true, state, proof, detail: detail.into() }
    }

    /// In a few words.
    pub(crate) fn summary(&self) -> String {
        format!("{}, {}", self.state, self.detail)
    }
}

impl Default for GuardReport {
    fn default() -> Self {
        let (state, proof, detail) = ("absent", "not_probed", "not asked for".into());
        GuardReport { wanted: false, state, proof, detail }
    }
}

/// The whole report.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) schema: u32,
    pub(crate) version: &'static str,
    pub(crate) command: &'static str,
    pub(crate) outcome: Outcome,
    pub(crate) exit_status: u8,
    /// RFC 3339.
    pub(crate) started_at: String,
    pub(crate) duration_ms: u64,
    #[serde(flatten)]
    pub(crate) results: Results,
    pub(crate) error: Option<Failure>,
}

/// What the steps of a command returned, as far as it came.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Results {
    pub(crate) host: Option<Identity>,
    /// Only at the end, as the connections.
    steps: Vec<StepReport>,
    connections: Vec<ConnectionReport>,
    pub(crate) config: Option<ConfigReport>,
    pub(crate) guard: GuardReport,
    pub(crate) findings: Vec<Finding>,
    /// Where each setting that is not at its default came from.
    pub(crate) settings: BTreeMap<&'static str, String>,
    /// How long ago the kept file was verified, in seconds; only when `kept`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kept_age_s: Option<u64>,
    /// What the connections were made with.
    #[serde(skip)]
    pub(crate) https: Vec<Http>,
    /// The settings ask for it.
    #[serde(skip)]
    pub(crate) inventory: bool,
}

impl Report {
    /// Stops the clock, and says how the command ended.
    pub(crate) fn new(
        command: &'static str,
        timeline: Timeline,
        mut results: Results,
        ended: Result<Outcome, Error>,
    ) -> Self {
        if let Err(error) = &ended {
            timeline.failed(error);
        }
        let failure = ended.as_ref().err().map(Error::failure);
        let outcome = ended.unwrap_or_else(|error| Outcome::Failed(error.status()));
        let opened = results.https.iter().flat_map(Http::opened);
        results.connections = opened.map(|opened| timeline.connection(opened)).collect();
        let (started_at, duration) = (rfc3339(timeline.started_at), timeline.now());
        results.steps = timeline.into_steps();
        Report {
            schema: 1,
            version: env!("CARGO_PKG_VERSION"),
            command,
            outcome,
            exit_status: if let Outcome::Failed(status) = outcome { status.code() } else { 0 },
            started_at,
            duration_ms: timeline::milliseconds(duration),
            results,
            error: failure,
        }
    }

    /// Of a command that failed before its first step.
    pub(crate) fn of_failure(command: &'static str, error: Error) -> Self {
        Report::new(command, Timeline::start(), Results::default(), Err(error))
    }

    /// As it is in the file and on stdout.
    pub(crate) fn json(&self) -> String {
        bounds::bounded(self.value())
    }

    /// In a few lines for people.
    pub(crate) fn text(&self) -> String {
        to_text(self.value())
    }

    fn value(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("names, digests and times are JSON")
    }
}

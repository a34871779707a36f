//! What happened, for people and for scripts: the report of a run, on stdout and in
//! `/run/ecs-bootstrap/report.json`.
//!
//! Names, lines, digests and times only. Values of configuration keys, credentials and tokens have
//! no field here.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde::Serialize;

use crate::error::ExitStatus;
use crate::error::{Error, Failure};
use crate::identity::Identity;
use crate::identity::host_kind::OF_BATCH;
use crate::source::Layer;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Installed,
    Unchanged,
    /// The source could not be reached; the last verified file stands.
    Kept,
    DryRun,
    /// `verify`: the identity is proven.
    Verified,
    #[serde(untagged)]
    Failed(ExitStatus),
}

/// One step of the line that a boot walks.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Step {
    pub(crate) step: &'static str,
    pub(crate) outcome: StepOutcome,
    /// Since the start of the run, in milliseconds.
    pub(crate) start_ms: u64,
    pub(crate) duration_ms: u64,
    pub(crate) attempts: u32,
    pub(crate) detail: String,
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
pub(crate) struct Config {
    pub(crate) path: String,
    pub(crate) sha256: String,
    pub(crate) bytes: usize,
    pub(crate) changed: bool,
    pub(crate) layers: Vec<Layer>,
    pub(crate) keys: BTreeMap<String, KeyOrigin>,
}

/// Which layer and line a key came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct KeyOrigin {
    pub(crate) from: String,
    pub(crate) line: usize,
}

/// What the fence is worth.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Guard {
    pub(crate) wanted: bool,
    /// `effective`, `installed`, `absent` or `leaking`.
    pub(crate) state: &'static str,
    /// `probed` or `not_probed`.
    pub(crate) proof: &'static str,
    pub(crate) detail: String,
}

impl Default for Guard {
    fn default() -> Self {
        Guard {
            wanted: false,
            state: "absent",
            proof: "not_probed",
            detail: "not asked for".into(),
        }
    }
}

/// The whole report.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) schema: u32,
    pub(crate) version: &'static str,
    pub(crate) command: &'static str,
    pub(crate) outcome: Outcome,
    pub(crate) exit_status: u8,
    /// RFC 3339.
    pub(crate) started_at: String,
    pub(crate) duration_ms: u64,
    pub(crate) host: Option<Identity>,
    pub(crate) steps: Vec<Step>,
    pub(crate) config: Option<Config>,
    pub(crate) guard: Guard,
    pub(crate) findings: Vec<ecs_config::lint::Finding>,
    /// Where each setting that is not at its default came from.
    pub(crate) settings: BTreeMap<&'static str, String>,
    /// How long ago the kept file was verified, in seconds; only when `kept`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kept_age_s: Option<u64>,
    pub(crate) error: Option<Failure>,
    #[serde(skip)]
    clock: Clock,
    /// Steps that were entered and not left.
    #[serde(skip)]
    open: Vec<(&'static str, Duration)>,
}

/// Tells the time since a run began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    /// Since the start of the run.
    pub(crate) fn now(self) -> Duration {
        self.0.elapsed()
    }

    /// What a step gives, and when it gave it.
    pub(crate) async fn timed<T, E>(
        self,
        step: impl Future<Output = Result<T, E>>,
    ) -> Result<(T, Duration), E> {
        let value = step.await?;
        Ok((value, self.now()))
    }
}

impl Report {
    /// Starts the clock.
    pub(crate) fn new(command: &'static str) -> Self {
        Report {
            schema: 1,
            version: env!("CARGO_PKG_VERSION"),
            command,
            outcome: Outcome::Failed(ExitStatus::Internal),
            exit_status: ExitStatus::Internal.code(),
            started_at: rfc3339(SystemTime::now()),
            duration_ms: 0,
            host: None,
            steps: Vec::new(),
            config: None,
            guard: Guard::default(),
            findings: Vec::new(),
            settings: BTreeMap::new(),
            kept_age_s: None,
            error: None,
            clock: Clock(Instant::now()),
            open: Vec::new(),
        }
    }

    /// Stops it, and says how the command ended.
    pub(crate) fn finish(&mut self, result: Result<Outcome, &Error>) {
        if let Err(error) = result {
            self.failed(error);
        }
        self.duration_ms = milliseconds(self.clock.now());
        self.outcome = result.unwrap_or_else(|error| Outcome::Failed(error.status()));
        self.exit_status = if let Outcome::Failed(word) = self.outcome { word.code() } else { 0 };
        self.error = result.err().map(Error::failure);
    }

    /// The clock that steps are timed by; a copy, for steps that run side by side.
    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    /// A step begins.
    pub(crate) fn enter(&mut self, step: &'static str) {
        crate::log::now(step);
        if !self.open.iter().any(|(open, _)| *open == step) {
            self.open.push((step, self.clock.now()));
        }
    }

    /// A step that was entered has gone well.
    pub(crate) fn done(&mut self, step: &'static str, attempts: u32, detail: impl Into<String>) {
        self.done_at(self.clock.now(), step, attempts, detail);
    }

    /// A step that was entered went well, at a moment that has passed: steps run side by side.
    pub(crate) fn done_at(
        &mut self,
        end: Duration,
        step: &'static str,
        attempts: u32,
        detail: impl Into<String>,
    ) {
        let (start, detail) = (self.leave(step), detail.into());
        tracing::info!("{step}: {detail} ({} ms)", milliseconds(end.saturating_sub(start)));
        self.close(step, StepOutcome::Ok, start, end, attempts, detail);
    }

    /// A step that has nothing to do.
    pub(crate) fn skip(&mut self, step: &'static str, why: &str) {
        let now = self.clock.now();
        self.close(step, StepOutcome::Skipped, now, now, 0, why.into());
    }

    /// The step that could not reach its source, while the last verified file stands.
    pub(crate) fn kept(&mut self, unreachable: &Error, age: Option<Duration>) {
        self.failed(unreachable);
        self.kept_age_s = age.map(|age| age.as_secs());
    }

    /// The step whose error ended the run, and those that it cut off. An error can come before its
    /// step: what cannot be replaced is found while the file is compared.
    fn failed(&mut self, error: &Error) {
        let now = self.clock.now();
        let open = std::mem::take(&mut self.open);
        let (own, others): (Vec<_>, Vec<_>) =
            open.into_iter().partition(|(step, _)| error.step.name() == *step);
        for (step, start) in others {
            self.close(
                step,
                StepOutcome::Skipped,
                start,
                now,
                1,
                "cut off by the failure of another step".into(),
            );
        }
        if let Some(step) = error.step.in_report() {
            let start = own.first().map_or(now, |(_, start)| *start);
            self.close(step, StepOutcome::Failed, start, now, 1, error.status().name().into());
        }
    }

    fn leave(&mut self, step: &'static str) -> Duration {
        let entered = self.open.iter().position(|(open, _)| *open == step);
        entered.map_or_else(|| self.clock.now(), |at| self.open.remove(at).1)
    }

    fn close(
        &mut self,
        step: &'static str,
        outcome: StepOutcome,
        start: Duration,
        end: Duration,
        attempts: u32,
        detail: String,
    ) {
        let (start_ms, duration_ms) =
            (milliseconds(start), milliseconds(end.saturating_sub(start)));
        self.steps.push(Step { step, outcome, start_ms, duration_ms, attempts, detail });
    }

    /// As it stands in the file and on stdout.
    pub(crate) fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("names, digests and times are JSON")
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A time as the report writes it.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    DateTime::from(time).fmt(Format::DateTime).expect("the present is within RFC 3339")
}

/// The time that [`rfc3339`] wrote.
pub(crate) fn parse_rfc3339(text: &str) -> Option<SystemTime> {
    SystemTime::try_from(DateTime::from_str(text, Format::DateTime).ok()?).ok()
}

fn kind_in_words(report: &serde_json::Value) -> String {
    let kind = if report["host"]["kind"] == "external" { "external, ECS Anywhere" } else { "EC2" };
    let identity =
        report["steps"].as_array().into_iter().flatten().find(|step| step["step"] == "identity");
    let of_batch = identity
        .and_then(|step| step["detail"].as_str())
        .is_some_and(|detail| detail.ends_with(OF_BATCH));
    format!("{kind}{}", if of_batch { OF_BATCH } else { "" })
}

/// A report in a few lines for people. Takes its JSON, since `status` has no more.
pub(crate) fn in_words(report: &serde_json::Value) -> String {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("unknown").to_owned();
    let mut lines = vec![format!(
        "{}: {} at {}",
        text(&report["command"]),
        text(&report["outcome"]),
        text(&report["started_at"])
    )];
    let host = &report["host"];
    if host.is_object() {
        let (role, account) = (text(&host["role"]), text(&host["account_id"]));
        let (id, region) = (text(&host["instance_id"]), text(&host["region"]));
        lines.push(format!(
            "host:   {id} ({}) in {region}, role {role}, account {account}",
            kind_in_words(report)
        ));
        lines.push(format!("arn:    {}", text(&host["arn"])));
    }
    let config = &report["config"];
    if config.is_object() {
        lines.push(format!(
            "file:   {}, {} bytes, sha256 {}",
            text(&config["path"]),
            config["bytes"],
            text(&config["sha256"])
        ));
        let keys = config["keys"].as_object();
        lines.extend(keys.into_iter().flatten().map(|(key, origin)| {
            format!("        {key} from {}:{}", text(&origin["from"]), origin["line"])
        }));
    }
    for finding in report["findings"].as_array().into_iter().flatten() {
        let place = format!("{}:{}", text(&finding["source"]), finding["line"]);
        lines.push(format!(
            "{}: {place}: {} ({})",
            text(&finding["severity"]),
            text(&finding["message"]),
            text(&finding["id"])
        ));
    }
    let error = &report["error"];
    if error.is_object() {
        lines.push(format!("what:   {}", text(&error["message"])));
        lines.push(format!("remedy: {}", text(&error["remedy"])));
    }
    lines.join("\n")
}

//! The health gate: whether the agent comes up with the configuration that was just installed, and
//! what is done if it does not.

use std::time::Duration;

use ecs_config::Effective;
use ecs_config::text::printable;
use http::Method;
use serde_json::Value;
use thiserror::Error;
use tokio::time::Instant;

use super::state::State;
use super::{Candidate, agent};
use crate::error::{Diagnostic, ExitStatus, Step};
use crate::files::HostFiles;
use crate::net::backoff::Poll;
use crate::net::{self, Http};
use crate::paths::{self, AGENT_METADATA, MAX_DOCUMENT};
use crate::settings::Settings;

/// How often the agent is asked. It answers some seconds after its start.
const INTERVAL: Duration = Duration::from_millis(500);
/// On loopback an answer comes at once, or there is none.
const WAIT: Duration = Duration::from_secs(2);
/// The cluster of an agent to which none is configured.
const DEFAULT_CLUSTER: &str = "default";

/// The agent does not come up with a configuration.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error(
        "{unit} did not come up in the cluster {cluster} within {} with the new configuration: {found}; {} is {back}",
        humantime::format_duration(*.within), paths::ECS_CONFIG
    )]
    NotUp {
        unit: &'static str,
        cluster: String,
        within: Duration,
        found: String,
        /// What becomes of it.
        back: &'static str,
    },
    #[error(
        "the agent did not come up with this configuration in an earlier run, and no verified file is in its place"
    )]
    RolledBack,
}

impl Diagnostic for Error {
    fn step(&self) -> Step {
        Step::Agent
    }

    fn status(&self) -> ExitStatus {
        ExitStatus::Unhealthy
    }

    fn remedy(&self) -> String {
        match self {
            Error::NotUp { unit, .. } => format!(
                "see why the agent does not start (`journalctl -u {unit}`, /var/log/ecs), and correct the source: the same \
                 configuration is not installed again"
            ),
            Error::RolledBack => {
                "correct the source: the same configuration is not installed again".into()
            }
        }
    }
}

/// Watches the agent after a restart.
pub(crate) struct Watch<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) files: &'a HostFiles,
    pub(crate) unit: &'static str,
    /// When the unit had started last, before its restart: the answers of its process then tell
    /// nothing.
    pub(crate) started_before: &'a str,
    pub(crate) deadline: Instant,
}

impl Watch<'_> {
    /// Waits until the agent has joined the cluster that is configured.
    ///
    /// The introspection endpoint answers once the agent has registered, and not before
    /// (aws/amazon-ecs-agent: agent/app/agent.go, startAsyncRoutines). One that exits again and
    /// again, or cannot reach ECS, never gets there.
    ///
    /// # Errors
    /// What the agent answered last, when the time was over.
    pub(crate) async fn wait(
        &self,
        candidate: &Candidate<'_>,
        gate: Duration,
    ) -> Result<String, Error> {
        let cluster = cluster(&candidate.composed.bytes, self.files);
        let end = (Instant::now() + gate).min(self.deadline);
        let poll = Poll::new(INTERVAL, end);
        let http = Http::direct();
        let mut found = "it has not started again".to_owned();
        loop {
            let started = agent::started(self.unit, end).await;
            if started.is_empty() || started != self.started_before {
                match joined(&http).await {
                    Ok(joined) if name(&joined) == name(&cluster) => return Ok(printable(&joined)),
                    Ok(other) => found = format!("it is in the cluster {}", printable(&other)),
                    Err(why) => found = why,
                }
            }
            if !poll.wait().await {
                let back = match candidate.present {
                    Some(_) => "the file before again",
                    None => "removed",
                };
                let (unit, cluster) = (self.unit, printable(&cluster));
                return Err(Error::NotUp { unit, cluster, within: gate, found, back });
            }
        }
    }

    /// Goes back to the file before, restarts the agent once, and gives the reason.
    pub(crate) async fn roll_back(
        &self,
        not_up: Error,
        candidate: &Candidate<'_>,
        state: &State,
    ) -> crate::error::Error {
        if let Err(error) = super::roll_back(self.settings, candidate, state.clone()) {
            return error.into();
        }
        let restarted = agent::restart_failed(self.unit, self.deadline).await.summary();
        tracing::warn!("agent: rolled back; {restarted}");
        not_up.into()
    }
}

/// The cluster that the agent is to join: a name or an ARN.
fn cluster(bytes: &[u8], files: &HostFiles) -> String {
    let effective = Effective::new(Some(bytes), files.instance_config());
    let cluster = effective.with_json(files.json_config()).text("ECS_CLUSTER");
    cluster.unwrap_or_else(|| DEFAULT_CLUSTER.into())
}

/// The agent may report an ARN's last part.
fn name(cluster: &str) -> &str {
    cluster.trim().rsplit('/').next().unwrap_or_default()
}

/// The cluster that the agent has joined.
async fn joined(http: &Http) -> Result<String, String> {
    let url = AGENT_METADATA.parse().expect("it is a URL");
    let request = net::request(Method::GET, &url).map_err(|_| "it cannot be asked".to_owned())?;
    let silent = |_| "its introspection endpoint does not answer".to_owned();
    let answer = http.send(request, WAIT, MAX_DOCUMENT).await.map_err(silent)?;
    let status = answer.status();
    let body = tokio::time::timeout(WAIT, answer.bytes()).await;
    let body = body.ok().and_then(Result::ok).filter(|_| status == 200).unwrap_or_default();
    let metadata: Value = serde_json::from_slice(&body).unwrap_or_default();
    let cluster = metadata["Cluster"].as_str().filter(|cluster| !cluster.is_empty());
    cluster
        .map(str::to_owned)
        .ok_or_else(|| format!("its introspection endpoint answers {status} without a cluster"))
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Error {
        /// Each kind, for the test over all errors.
        pub(crate) fn examples() -> Vec<(ExitStatus, Error)> {
            let not_up = |back| Error::NotUp {
                unit: "ecs.service",
                cluster: "prod".into(),
                within: Duration::from_secs(120),
                found: "its introspection endpoint does not answer".into(),
                back,
            };
            [not_up("the file before again"), not_up("removed"), Error::RolledBack]
                .map(|error| (ExitStatus::Unhealthy, error))
                .into()
        }
    }

    #[test]
    fn a_cluster_is_compared_by_its_name() {
        let arn = "arn:aws:ecs:eu-west-1:123456789012:cluster/prod";
        assert_eq!((name(arn), name("prod"), name(" prod ")), ("prod", "prod", "prod"));
    }
}

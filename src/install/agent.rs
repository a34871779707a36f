//! Restarts the ECS agent after its configuration changed, and never waits for it.
//!
//! Waiting would deadlock in user data: `ecs.service` waits for cloud-final, and cloud-final for
//! the script that called us (aws/amazon-ecs-agent#1707, #4818).

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use tokio::time::Instant;

use super::process;
use crate::{files, paths};

/// How long systemd has after the deadline: a file that came late is in place, and the agent is to
/// read it.
const LEAST: Duration = Duration::from_secs(1);

/// What became of the agent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Restarted {
    /// The unit was active; a restart is under way.
    Asked {
        unit: &'static str,
        /// When it had started before, as [`started`] gives it.
        started: String,
    },
    NotActive,
    /// systemctl could not be asked, or refused: the new configuration takes effect at the next
    /// start.
    Failed(String),
}

impl Restarted {
    /// What to say of it, in a report and in the log.
    pub(crate) fn summary(&self) -> String {
        match self {
            Restarted::Asked { unit, .. } => format!("{unit} is restarting"),
            Restarted::NotActive => "it is not running, and reads the file when it starts".into(),
            Restarted::Failed(why) => {
                tracing::warn!("agent: {why}; run `systemctl restart --no-block ecs`");
                why.clone()
            }
        }
    }
}

/// Notes that the agent must be restarted, however this run ends.
pub(crate) fn owe_restart(root: &Path) -> Result<(), files::Error> {
    files::replace(&paths::below(root, paths::RESTART_OWED), b"", 0o600).map(drop)
}

/// Whether a run changed the file and was ended before the agent's step.
pub(crate) fn is_owed(root: &Path) -> bool {
    paths::below(root, paths::RESTART_OWED).exists()
}

/// Asks systemd to restart the agent if it runs. What fails is owed to the next run.
pub(crate) async fn restart(root: &Path, deadline: Instant) -> Restarted {
    let restarted = restart_active(deadline).await;
    if !matches!(restarted, Restarted::Failed(_)) {
        // Without the note there is nothing to remove.
        let _ = std::fs::remove_file(paths::below(root, paths::RESTART_OWED));
    }
    restarted
}

/// Asks systemd to restart a unit that may have failed: after some failures it is not started again
/// until they are forgotten.
pub(crate) async fn restart_failed(unit: &'static str, deadline: Instant) -> Restarted {
    // What has not failed has nothing to forget.
    let _ = systemctl(["reset-failed", "--quiet", unit], deadline).await;
    ask(unit, deadline).await
}

async fn restart_active(deadline: Instant) -> Restarted {
    for unit in paths::AGENT_UNITS {
        match systemctl(["is-active", "--quiet", unit], deadline).await {
            Ok(true) => return ask(unit, deadline).await,
            Ok(false) => {}
            Err(why) => return Restarted::Failed(why),
        }
    }
    Restarted::NotActive
}

async fn ask(unit: &'static str, deadline: Instant) -> Restarted {
    let started = started(unit, deadline).await;
    match systemctl(["restart", "--no-block", unit], deadline).await {
        Ok(true) => Restarted::Asked { unit, started },
        Ok(false) => Restarted::Failed(format!("systemctl restart --no-block {unit} was refused")),
        Err(why) => Restarted::Failed(why),
    }
}

/// When the unit's process was started last, as systemd counts it; empty where it does not tell.
/// Other properties that change with each start are younger than systemd 219.
pub(crate) async fn started(unit: &'static str, deadline: Instant) -> String {
    let property = "--property=ExecMainStartTimestampMonotonic";
    let shown = output(["show", property, unit], deadline).await;
    shown.map(|shown| String::from_utf8_lossy(&shown.stdout).trim().to_owned()).unwrap_or_default()
}

/// Whether it ended with success.
async fn systemctl(arguments: [&'static str; 3], deadline: Instant) -> Result<bool, String> {
    match output(arguments, deadline).await?.status.code() {
        Some(code) => Ok(code == 0),
        None => Err("systemctl was ended by a signal".into()),
    }
}

async fn output(arguments: [&'static str; 3], deadline: Instant) -> Result<Output, String> {
    let left = deadline.saturating_duration_since(Instant::now()).max(LEAST);
    let ended = tokio::task::spawn_blocking(move || process::systemctl(&arguments, left)).await;
    let output = ended.map_err(std::io::Error::from).and_then(|output| output);
    output.map_err(|error| format!("systemctl: {error}"))
}

//! Restarts the ECS agent after its configuration changed, and never waits for it.
//!
//! Waiting would deadlock in user data: `ecs.service` waits for cloud-final, and cloud-final for
//! the script that called us (aws/amazon-ecs-agent#1707, #4818).

use std::path::Path;

use super::process;
use crate::{files, paths};

/// What became of the agent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Restarted {
    /// The unit was active; a restart is under way.
    Asked(&'static str),
    NotActive,
    /// systemctl could not be asked, or refused: the new configuration takes effect at the next
    /// start.
    Failed(String),
}

impl Restarted {
    /// What to say of it, in a report and in the log.
    pub(crate) fn summary(&self) -> String {
        match self {
            Restarted::Asked(unit) => format!("{unit} is restarting"),
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
pub(crate) async fn restart(root: &Path) -> Restarted {
    let restarted = restart_active().await;
    if !matches!(restarted, Restarted::Failed(_)) {
        // Without the note there is nothing to remove.
        let _ = std::fs::remove_file(paths::below(root, paths::RESTART_OWED));
    }
    restarted
}

async fn restart_active() -> Restarted {
    for unit in paths::AGENT_UNITS {
        match systemctl(["is-active", "--quiet", unit]).await {
            Ok(true) => return ask(unit).await,
            Ok(false) => {}
            Err(why) => return Restarted::Failed(why),
        }
    }
    Restarted::NotActive
}

async fn ask(unit: &'static str) -> Restarted {
    match systemctl(["restart", "--no-block", unit]).await {
        Ok(true) => Restarted::Asked(unit),
        Ok(false) => Restarted::Failed(format!("systemctl restart --no-block {unit} was refused")),
        Err(why) => Restarted::Failed(why),
    }
}

/// Whether it ended with success.
async fn systemctl(arguments: [&'static str; 3]) -> Result<bool, String> {
    let ended = tokio::task::spawn_blocking(move || process::systemctl(&arguments)).await;
    let output = ended.map_err(std::io::Error::from).and_then(|output| output);
    output.map(|output| output.status.success()).map_err(|error| format!("systemctl: {error}"))
}

//! The last run's report, and whether the installed file is still the one that a run of this boot
//! stood by.

use std::path::Path;
use std::time::SystemTime;

use crate::error::{Diagnostic, Error, ExitStatus, Step};
use crate::files::sha256;
use crate::install::state;
use crate::install::state::{State, boot_id};
use crate::paths;
use crate::report::parse_rfc3339;
use crate::{files, report};

/// Nothing vouches for the installed file.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
struct NotVerified {
    what: &'static str,
    remedy: &'static str,
}

impl Diagnostic for NotVerified {
    fn step(&self) -> Step {
        Step::Status
    }

    fn status(&self) -> ExitStatus {
        ExitStatus::Findings
    }

    fn remedy(&self) -> String {
        self.remedy.into()
    }
}

/// The last report's JSON, as it was written.
pub(crate) fn last(root: &Path) -> Result<serde_json::Value, Error> {
    let text = std::fs::read(below(root, paths::REPORT)).unwrap_or_default();
    serde_json::from_slice(&text).map_err(|_| NotVerified {
        what: "no run has left a report since this host started",
        remedy: "run `ecs-bootstrap run`; `systemctl status ecs-bootstrap` says whether the unit did",
    }.into())
}

/// Fails unless the installed file is, byte for byte, what a run of this boot verified (or kept, as
/// `--stale keep` allows).
pub(crate) fn check(root: &Path) -> Result<String, Error> {
    let file = files::current(&below(root, paths::ECS_CONFIG))?;
    let failed = |what| {
        Error::from(NotVerified {
            what,
            remedy: "run `ecs-bootstrap run` (or `systemctl restart ecs-bootstrap`): it puts the verified file back, or says why it cannot",
        })
    };
    let Some(bytes) = file else { return Err(failed("/etc/ecs/ecs.config is not there")) };
    let found = State::read(&below(root, paths::STATE));
    let Some(generation) = found.installed else {
        return Err(failed("no run has installed /etc/ecs/ecs.config"));
    };
    if generation.sha256 != sha256(&bytes) {
        return Err(failed("/etc/ecs/ecs.config was changed after the last run"));
    }
    if generation.boot_id != boot_id() {
        return Err(failed("no run of this boot has verified /etc/ecs/ecs.config"));
    }
    Ok(format!("verified: sha256 {}, {} ago", generation.sha256, age(&generation.verified_at)))
}

/// How long ago something was, in words.
pub(crate) fn age(rfc3339: &str) -> String {
    let elapsed =
        parse_rfc3339(rfc3339).and_then(|then| SystemTime::now().duration_since(then).ok());
    elapsed.map_or_else(
        || "an unknown time".into(),
        |age| humantime::format_duration(std::time::Duration::from_secs(age.as_secs())).to_string(),
    )
}

fn below(root: &Path, absolute: &str) -> std::path::PathBuf {
    root.join(absolute.trim_start_matches('/'))
}

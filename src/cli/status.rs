//! The last run's report, and whether the installed file is still the one that a run of this boot
//! stood by.

use std::path::Path;
use std::time::SystemTime;

use crate::error::Error;
use crate::files::sha256;
use crate::install::state;
use crate::install::state::{State, TARGET, boot_id};
use crate::report::parse_rfc3339;
use crate::{files, report};

/// The last report's JSON, as it was written.
pub fn last(root: &Path) -> Result<serde_json::Value, Error> {
    let text = std::fs::read(below(root, report::FILE)).unwrap_or_default();
    serde_json::from_slice(&text).map_err(|_| Error::Status {
        what: "no run has left a report since this host started".into(),
        remedy: "run `ecs-bootstrap run`; `systemctl status ecs-bootstrap` says whether the unit did",
    })
}

/// Fails unless the installed file is, byte for byte, what a run of this boot verified (or kept, as
/// `--stale keep` allows).
pub fn check(root: &Path) -> Result<String, Error> {
    let file = files::read(&below(root, TARGET))?;
    let failed = |what: &str| Error::Status {
        what: what.into(),
        remedy: "run `ecs-bootstrap run` (or `systemctl restart ecs-bootstrap`): it puts the verified file back, or says why it cannot",
    };
    let Some(bytes) = file else { return Err(failed("/etc/ecs/ecs.config is not there")) };
    let found = State::read(&below(root, state::FILE));
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
pub fn age(rfc3339: &str) -> String {
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

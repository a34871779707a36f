//! A later call that was refused: noted beside the report, which is still that of the boot.

use std::path::Path;
use std::time::SystemTime;

use ecs_config::text::printable;
use serde::{Deserialize, Serialize};

use super::rfc3339;
use crate::{files, paths};

/// A `run` whose command line or settings could not be used.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Refusal {
    /// RFC 3339.
    pub(crate) at: String,
    pub(crate) message: String,
}

/// Notes it, if that can be done: who may not write there is told on stderr alone.
pub(crate) fn record(root: &Path, message: &str) {
    let refusal = Refusal { at: rfc3339(SystemTime::now()), message: printable(message) };
    let text = serde_json::to_vec(&refusal).expect("two strings are JSON");
    // The refusal itself is what the caller reports.
    let _ = files::replace(&paths::below(root, paths::REFUSAL), &text, 0o644);
}

/// The last one since the report was written.
pub(crate) fn read(root: &Path) -> Option<Refusal> {
    let text = files::read(&paths::below(root, paths::REFUSAL), paths::MAX_DOCUMENT).ok()?;
    serde_json::from_slice(&text).ok()
}

/// A new report says more than what was refused before it.
pub(crate) fn forget(root: &Path) {
    // Mostly there is none.
    let _ = std::fs::remove_file(paths::below(root, paths::REFUSAL));
}

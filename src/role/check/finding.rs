//! What is wrong with a role, and the command that fixes it.

use ecs_config::lint::Severity;
use serde::Serialize;

use crate::source::Source;

/// One thing that was found, in the shape of the report's other findings. Only errors make `role
/// check` fail.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RoleFinding {
    /// Stable, in kebab-case.
    pub(super) id: &'static str,
    pub(super) severity: Severity,
    /// The layer of ecs.config it is about, if it is about one.
    pub(super) source: Option<String>,
    /// Always null: a role has no lines and keys.
    pub(super) line: Option<usize>,
    pub(super) column: Option<usize>,
    pub(super) end_column: Option<usize>,
    pub(super) key: Option<String>,
    pub(super) message: String,
    /// Runs in `sh` as it is printed, but for a source that could not be fetched: there it is a
    /// remedy in words. Empty where only a person can decide.
    pub(super) fix: String,
}

impl RoleFinding {
    pub(super) fn new(
        severity: Severity,
        id: &'static str,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> RoleFinding {
        let (message, fix) = (message.into(), fix.into());
        let (line, column, end_column, key) = (None, None, None, None);
        RoleFinding { id, severity, source: None, line, column, end_column, key, message, fix }
    }

    /// The id of the finding that the role may not read the source.
    pub(super) fn unreadable(source: &Source) -> &'static str {
        if source.secret().is_some() { "secret-not-readable" } else { "object-not-readable" }
    }
}

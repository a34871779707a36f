//! What is wrong with a role, and the command that mends it.

use serde::Serialize;

/// One thing that was found, in the shape of the report's other findings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// Stable, in kebab-case.
    pub(crate) id: &'static str,
    pub(crate) severity: Severity,
    /// The layer of ecs.config it is about, if it is about one.
    pub(crate) source: Option<String>,
    /// Always null: a role has no lines and keys.
    pub(crate) line: Option<usize>,
    pub(crate) key: Option<String>,
    pub(crate) message: String,
    /// Runs in `sh` as it is printed; empty where only a person can decide.
    pub(crate) fix: String,
}

/// Only errors make `role check` fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    Note,
    Warning,
    Error,
}

impl Severity {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

impl Finding {
    pub(crate) fn new(
        severity: Severity,
        id: &'static str,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Finding {
        Finding {
            id,
            severity,
            source: None,
            line: None,
            key: None,
            message: message.into(),
            fix: fix.into(),
        }
    }

    pub(crate) fn about(self, source: &str) -> Finding {
        Finding { source: Some(source.to_owned()), ..self }
    }
}

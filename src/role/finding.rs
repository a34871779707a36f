//! What is wrong with a role, and the command that mends it.

use serde::Serialize;

/// One thing that was found, in the shape of the report's other findings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable, in kebab-case.
    pub id: &'static str,
    pub severity: Severity,
    /// The layer of ecs.config it is about, if it is about one.
    pub source: Option<String>,
    /// Always null: a role has no lines and keys.
    pub line: Option<usize>,
    pub key: Option<String>,
    pub message: String,
    /// Runs in `sh` as it is printed; empty where only a person can decide.
    pub fix: String,
}

/// Only errors make `role check` fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Note,
    Warning,
    Error,
}

impl Severity {
    pub fn name(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

impl Finding {
    pub fn new(
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

    pub fn about(self, source: &str) -> Finding {
        Finding { source: Some(source.to_owned()), ..self }
    }
}

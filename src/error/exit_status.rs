//! The one word that names an outcome, and the exit status that goes with it.
//!
//! Users script against both, so they change only with a changelog entry. The table in README.md is
//! checked against [`ExitStatus::all`] by a test; each step's error says which word it is, and
//! [`Error`](crate::error::Error) joins them.

use serde::{Serialize, Serializer};

/// How a command failed. The success words (`installed`, `unchanged`, `kept`, `dry_run`) belong to
/// [`Outcome`](crate::report::Outcome).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    Internal,
    Settings,
    MetadataUnreachable,
    NoRole,
    IdentityMismatch,
    AccessDenied,
    NotFound,
    SourceUnreachable,
    Integrity,
    Lint,
    Conflict,
    Install,
    Guard,
    GuardLeak,
    GuardUnproven,
    Locked,
    Findings,
}

/// One row of the table of exit statuses.
struct Row {
    word: ExitStatus,
    name: &'static str,
    status: u8,
    meaning: &'static str,
}

const fn row(word: ExitStatus, status: u8, name: &'static str, meaning: &'static str) -> Row {
    Row { word, name, status, meaning }
}

/// In the order of [`ExitStatus`], which a test holds.
const TABLE: [Row; 17] = [
    row(ExitStatus::Internal, 1, "internal", "a bug: please report"),
    row(ExitStatus::Settings, 2, "settings", "flags, environment or settings file"),
    row(
        ExitStatus::MetadataUnreachable,
        10,
        "metadata_unreachable",
        "IMDS off, unreachable, or answered by something that is not IMDS",
    ),
    row(
        ExitStatus::NoRole,
        11,
        "no_role",
        "no role attached, or its credentials did not arrive in time",
    ),
    row(
        ExitStatus::IdentityMismatch,
        12,
        "identity_mismatch",
        "not the expected account, role or instance",
    ),
    row(ExitStatus::AccessDenied, 20, "access_denied", "S3 refused"),
    row(ExitStatus::NotFound, 21, "not_found", "no such bucket, key or version"),
    row(ExitStatus::SourceUnreachable, 22, "source_unreachable", "network, throttling, deadline"),
    row(
        ExitStatus::Integrity,
        23,
        "integrity",
        "digest, owner or size differ; or the bytes are no configuration",
    ),
    row(ExitStatus::Lint, 30, "lint", "the configuration has errors: nothing was written"),
    row(
        ExitStatus::Conflict,
        31,
        "conflict",
        "another owner's key would be overwritten; or the agent has already joined another cluster",
    ),
    row(ExitStatus::Install, 40, "install", "file system"),
    row(ExitStatus::Guard, 50, "guard", "the guard could not be installed"),
    row(
        ExitStatus::GuardLeak,
        51,
        "guard_leak",
        "a probe packet got through on at least one network",
    ),
    row(
        ExitStatus::GuardUnproven,
        52,
        "guard_unproven",
        "`guard prove` only: no verdict on some network",
    ),
    row(ExitStatus::Locked, 60, "locked", "another run held the lock until our deadline"),
    row(ExitStatus::Findings, 70, "findings", "`doctor` or `role check` found something wrong"),
];

impl ExitStatus {
    /// Every word, in the order of its exit status.
    pub(crate) fn all() -> impl Iterator<Item = ExitStatus> {
        TABLE.iter().map(|row| row.word)
    }

    fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// As the report spells it.
    pub(crate) fn name(self) -> &'static str {
        self.row().name
    }

    /// What the process exits with.
    pub(crate) fn code(self) -> u8 {
        self.row().status
    }

    /// Half a line of explanation, for the manual page.
    pub(crate) fn meaning(self) -> &'static str {
        self.row().meaning
    }
}

impl std::fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for ExitStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_stands_in_the_order_of_the_words() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.word as usize, index, "{}", row.name);
        }
    }

    #[test]
    fn statuses_rise_and_none_is_taken_twice() {
        assert!(TABLE.windows(2).all(|pair| pair[0].status < pair[1].status));
    }
}

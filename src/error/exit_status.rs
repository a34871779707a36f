//! Exit statuses, and the word that names each in reports.
//!
//! Users script against both, so they change only with a changelog entry. The table in
//! ecs-bootstrap(8) is compared with [`ExitStatus::all`] by a test.

use serde::{Serialize, Serializer};

/// How a command failed. The words of success (`installed`, `unchanged`, `kept`, `dry_run`) belong
/// to [`Outcome`](crate::report::Outcome).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ExitStatus {
    Internal = 1,
    Settings = 2,
    MetadataUnreachable = 10,
    NoRole = 11,
    IdentityMismatch = 12,
    AccessDenied = 20,
    NotFound = 21,
    SourceUnreachable = 22,
    Integrity = 23,
    Lint = 30,
    Conflict = 31,
    Unhealthy = 32,
    Install = 40,
    Guard = 50,
    GuardLeak = 51,
    GuardUnproven = 52,
    GuardProbe = 53,
    Locked = 60,
    Findings = 70,
    Hangup = 129,
    Interrupt = 130,
    Terminate = 143,
}

use ExitStatus::*;

/// The word and half a line of explanation, in the order of the statuses.
#[rustfmt::skip]
const TABLE: [(ExitStatus, &str, &str); 22] = [
    (Internal, "internal", "a bug: please report"),
    (Settings, "settings", "flags, environment or settings file"),
    (MetadataUnreachable, "metadata_unreachable", "IMDS off, unreachable, or answered by something that is not IMDS"),
    (NoRole, "no_role", "no role attached, or its credentials did not arrive in time"),
    (IdentityMismatch, "identity_mismatch", "not the expected account, role or instance"),
    (AccessDenied, "access_denied", "S3 refused"),
    (NotFound, "not_found", "no such bucket, key or version"),
    (SourceUnreachable, "source_unreachable", "network, throttling, deadline"),
    (Integrity, "integrity", "digest, owner or size differ; or the bytes are not a configuration"),
    (Lint, "lint", "the configuration has errors: nothing was written"),
    (Conflict, "conflict", "another owner's key would be overwritten; or the agent has already joined another cluster"),
    (Unhealthy, "unhealthy", "the agent did not come up with the new configuration: back to the file before (`health_gate`)"),
    (Install, "install", "file system"),
    (Guard, "guard", "the guard could not be installed"),
    (GuardLeak, "guard_leak", "a probe packet got through on at least one network"),
    (GuardUnproven, "guard_unproven", "`guard prove` only: no verdict on some network"),
    (GuardProbe, "guard_probe_failed", "`guard prove` only: the probe itself failed"),
    (Locked, "locked", "another run held the lock until our deadline"),
    (Findings, "findings", "`doctor` or `role check` found something wrong"),
    (Hangup, "interrupted", "SIGHUP ended the run"),
    (Interrupt, "interrupted", "SIGINT ended the run"),
    (Terminate, "interrupted", "SIGTERM ended the run"),
];

impl ExitStatus {
    /// Every status, in rising order.
    pub(crate) fn all() -> impl Iterator<Item = ExitStatus> {
        TABLE.iter().map(|(status, ..)| *status)
    }

    fn row(self) -> &'static (ExitStatus, &'static str, &'static str) {
        TABLE.iter().find(|(status, ..)| *status == self).expect("a test finds every status")
    }

    /// As the report spells it.
    pub(crate) fn name(self) -> &'static str {
        self.row().1
    }

    /// What the process exits with.
    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    /// Half a line of explanation, for the manual page.
    pub(crate) fn meaning(self) -> &'static str {
        self.row().2
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
    fn every_status_is_in_the_table_once_and_in_rising_order() {
        assert!(TABLE.windows(2).all(|pair| pair[0].0.code() < pair[1].0.code()));
        // A status that is added without a row does not compile here.
        let listed = |status| match status {
            Internal | Settings | MetadataUnreachable | NoRole | IdentityMismatch => 5,
            AccessDenied | NotFound | SourceUnreachable | Integrity | Lint | Conflict => 6,
            Unhealthy => 1,
            Install | Guard | GuardLeak | GuardUnproven | GuardProbe | Locked | Findings => 7,
            Hangup | Interrupt | Terminate => 3,
        };
        assert!(ExitStatus::all().map(listed).sum::<usize>() > 0);
        assert_eq!(TABLE.len(), 1 + 5 + 6 + 7 + 3);
    }
}

//! What the guard keeps until the next boot: which iptables rules it has inserted itself, and the
//! last proof.
//!
//! One small file, `/run/ecs-bootstrap/guard.json`, gone with a reboot as the rules are. Without it
//! everything still works, but `remove` leaves iptables rules alone that another program may have
//! inserted.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::Error;
use super::parts::GuardOptions;
use super::proof::Proof;
use crate::files;
use crate::net::backoff::Poll;
use crate::paths::{GUARD_STATE, MAX_CONFIG, below};

/// What the file holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct GuardState {
    /// What was installed last.
    #[serde(flatten)]
    pub(crate) options: GuardOptions,
    /// The first copy of the documented rule is the guard's.
    pub(crate) documented_is_ours: bool,
    /// How many copies there were before it.
    pub(crate) documented_copies: usize,
    /// iptables created its filter table for the documented rule.
    pub(crate) filter_table_is_ours: bool,
    /// An earlier version has inserted rules into iptables' mangle table.
    pub(crate) mangle_is_ours: bool,
    pub(crate) last_proof: Option<Proof>,
}

const LOCK: &str = "/run/ecs-bootstrap/guard.lock";

/// The state as written last; the default if the file is missing or unreadable.
pub(crate) fn read(root: &Path) -> GuardState {
    let bytes = files::read(&below(root, GUARD_STATE), MAX_CONFIG).ok();
    bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// Writes the state. The caller holds [`lock`].
pub(crate) fn write(root: &Path, state: &GuardState) -> Result<(), Error> {
    let bytes = serde_json::to_vec(state).expect("plain strings and numbers");
    files::replace(&below(root, GUARD_STATE), &bytes, 0o644)?;
    Ok(())
}

/// Removes the file.
pub(crate) fn clear(root: &Path) {
    _ = fs::remove_file(below(root, GUARD_STATE));
}

/// Until it is dropped, no other process of this program installs, removes or writes the state.
pub(crate) fn lock(root: &Path, timeout: Duration) -> Result<File, Error> {
    const INTERVAL: Duration = Duration::from_millis(10);
    let path = below(root, LOCK);
    let failed = |doing, source: io::Error| match source.kind() {
        io::ErrorKind::PermissionDenied => Error::Capability,
        _ => Error::File { doing, path: path.clone(), source },
    };
    let file = files::open_lock(&path).map_err(|source| failed("opening", source))?;
    let poll = Poll::lasting(INTERVAL, timeout);
    while !files::try_lock(&file).map_err(|source| failed("locking", source))? {
        if !poll.wait_blocking() {
            return Err(Error::Busy { path, seconds: timeout.as_secs() });
        }
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::parts::GuardPart;

    #[test]
    fn state_of_an_earlier_version_is_read() {
        let old = r#"{"interface":"docker0","without":"nftables","documented_copies":1}"#;
        let options = GuardOptions {
            interface: Some("docker0".into()),
            without: Some(GuardPart::Nftables),
            ..GuardOptions::default()
        };
        let wanted = GuardState { options, documented_copies: 1, ..GuardState::default() };
        assert_eq!(serde_json::from_str::<GuardState>(old).unwrap(), wanted);
    }
}

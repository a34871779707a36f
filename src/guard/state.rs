//! What the guard remembers until the next boot: which iptables rules were its own doing, and the
//! last proof.
//!
//! One small file, `/run/ecs-bootstrap/guard.json`, gone with a reboot as the rules are. Without it
//! everything still works, but `remove` leaves iptables rules alone that may have been another's.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use super::proof::Proof;
use super::{Error, Host};
use crate::files;

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    /// As `--interface` narrowed the fence.
    pub(crate) interface: Option<String>,
    /// We put the documented rule there; nobody had it before.
    pub(crate) documented_is_ours: bool,
    /// iptables made its filter table for our rule.
    pub(crate) filter_table_is_ours: bool,
    /// The fence stands in iptables' mangle table.
    pub(crate) mangle_is_ours: bool,
    pub(crate) last_proof: Option<Proof>,
}

fn folder(host: &Host) -> PathBuf {
    host.root.join("run/ecs-bootstrap")
}

fn file(host: &Host) -> PathBuf {
    folder(host).join("guard.json")
}

/// What was remembered; a missing or unreadable file is an empty memory.
pub(crate) fn read(host: &Host) -> State {
    fs::read(file(host))
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default()
}

/// Remembers `state`. The caller holds [`lock`].
pub(crate) fn write(host: &Host, state: &State) -> Result<(), Error> {
    let bytes = serde_json::to_vec(state).expect("plain strings and numbers");
    files::replace(&file(host), &bytes, 0o644)?;
    Ok(())
}

/// Forgets everything.
pub(crate) fn clear(host: &Host) {
    _ = fs::remove_file(file(host));
}

/// Ours alone until dropped, so that no two of us write to iptables or to the memory at once.
pub(crate) fn lock(host: &Host, patience: Duration) -> Result<Flock<File>, Error> {
    let path = folder(host).join("guard.lock");
    let open = || fs::create_dir_all(folder(host)).and_then(|()| File::create(&path));
    let mut file =
        open().map_err(|source| Error::File { doing: "opening", path: path.clone(), source })?;
    let start = Instant::now();
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((back, nix::errno::Errno::EWOULDBLOCK)) if start.elapsed() < patience => {
                file = back
            }
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => {
                return Err(Error::Busy { path, seconds: patience.as_secs() });
            }
            Err((_, errno)) => {
                return Err(Error::File { doing: "locking", path, source: io::Error::from(errno) });
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

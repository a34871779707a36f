//! The fence for tasks in host network mode: a systemd drop-in on the slice that the agent puts
//! every task in.
//!
//! `IPAddressDeny=` is a BPF program on the cgroup. systemd attaches it again whenever it makes the
//! slice again, where a netfilter match on a cgroup silently opens. The agent runs in another slice
//! and is not touched. It needs cgroup v2: the slice's name is the
//! agent's `DefaultTaskCgroupV2Prefix` (agent/config/config_unix.go), and on v1 tasks live
//! elsewhere.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::rules::{METADATA_V4, METADATA_V6};
use super::{Error, Host};
use crate::files;

const FOLDER: &str = "etc/systemd/system/ecstasks.slice.d";
const FILE: &str = "50-ecs-bootstrap-imds.conf";

fn text() -> String {
    format!(
        "# Written by `ecs-bootstrap guard install --block-imds-host-tasks`: no ECS task reaches instance metadata,\n\
         # whatever its network mode. `ecs-bootstrap guard remove` takes it away.\n\
         [Slice]\nIPAddressDeny={METADATA_V4} {METADATA_V6}\n"
    )
}

/// Where the drop-in lies.
pub(crate) fn path(root: &Path) -> PathBuf {
    root.join(FOLDER).join(FILE)
}

/// Whether it is there, as we write it.
pub(crate) fn present(root: &Path) -> bool {
    fs::read_to_string(path(root)).is_ok_and(|there| there == text())
}

/// Why it cannot work here, if so.
pub(crate) fn impossible(root: &Path) -> Option<&'static str> {
    let unified = root.join("sys/fs/cgroup/cgroup.controllers").exists();
    (!unified).then_some(
        "it has no unified cgroup v2 hierarchy, so that the tasks are in no slice of systemd",
    )
}

/// Writes the drop-in and lets systemd read it; running tasks are fenced at once. Says whether
/// anything changed.
pub(crate) fn install(host: &Host) -> Result<bool, Error> {
    if let Some(reason) = impossible(&host.root) {
        return Err(Error::HostTasks(reason));
    }
    if present(&host.root) {
        return Ok(false);
    }
    files::replace(&path(&host.root), text().as_bytes(), 0o644)?;
    reload(host).map(|()| true)
}

/// Takes the drop-in away. Says whether there was one.
pub(crate) fn remove(host: &Host) -> Result<bool, Error> {
    let path = path(&host.root);
    match fs::remove_file(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        done => done.map_err(|source| Error::File { doing: "removing", path, source })?,
    }
    // Only if nothing else is in it.
    _ = fs::remove_dir(host.root.join(FOLDER));
    reload(host).map(|()| true)
}

/// Nothing to do where systemd does not run, as in an image that is being built: it reads the file
/// at boot.
fn reload(host: &Host) -> Result<(), Error> {
    if !host.root.join("run/systemd/system").exists() {
        return Ok(());
    }
    let failed = |said: String| Err(Error::Reload(said));
    match Command::new(&host.systemctl).arg("daemon-reload").output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => failed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drop_in_names_both_addresses_in_the_slice_section() {
        assert!(
            text().ends_with("[Slice]\nIPAddressDeny=169.254.169.254 fd00:ec2::254\n"),
            "{}",
            text()
        );
    }
}

//! Blocks tasks in host network mode: a systemd drop-in on the slice that the agent puts every task
//! in.
//!
//! `IPAddressDeny=` is a BPF program on the cgroup. systemd attaches it again whenever it creates
//! the slice again, where a netfilter match on a cgroup would silently stop to match. The agent
//! runs in another slice and is not affected. It needs cgroup v2: the slice's name is the agent's
//! `DefaultTaskCgroupV2Prefix` (aws/amazon-ecs-agent: agent/config/config_unix.go), and on v1 tasks
//! are in other cgroups.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Error;
use super::addresses::{METADATA_V4, METADATA_V6};
use crate::files;
use crate::install::process;
use crate::paths::MAX_DOCUMENT;

const FOLDER: &str = "etc/systemd/system/ecstasks.slice.d";
const FILE: &str = "50-ecs-bootstrap-imds.conf";

fn drop_in() -> String {
    format!(
        "# Written by `ecs-bootstrap guard install --block-imds-host-tasks`: no ECS task reaches instance metadata,\n\
         # whatever its network mode. `ecs-bootstrap guard remove` removes this file.\n\
         [Slice]\nIPAddressDeny={METADATA_V4} {METADATA_V6}\n"
    )
}

fn path(root: &Path) -> PathBuf {
    root.join(FOLDER).join(FILE)
}

/// Whether the drop-in is there, as this program writes it.
pub(crate) fn is_installed(root: &Path) -> bool {
    files::read_text(&path(root), MAX_DOCUMENT).is_some_and(|text| text == drop_in())
}

/// Why it cannot work on this host, if it cannot.
pub(crate) fn unsupported(root: &Path) -> Option<&'static str> {
    let unified = root.join("sys/fs/cgroup/cgroup.controllers").exists();
    (!unified).then_some(
        "it has no unified cgroup v2 hierarchy, so that the tasks are not in a slice of systemd",
    )
}

/// Writes the drop-in and makes systemd read it; running tasks are blocked at once. Returns whether
/// anything changed. The caller has checked that it is not [`unsupported`].
pub(crate) fn install(root: &Path) -> Result<bool, Error> {
    if is_installed(root) {
        return Ok(false);
    }
    files::replace(&path(root), drop_in().as_bytes(), 0o644)?;
    reload(root).map(|()| true)
}

/// Removes the drop-in. Returns whether there was one.
pub(crate) fn remove(root: &Path) -> Result<bool, Error> {
    let path = path(root);
    match fs::remove_file(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        result => result.map_err(|source| Error::File { doing: "removing", path, source })?,
    }
    // Only if nothing else is in it.
    _ = fs::remove_dir(root.join(FOLDER));
    reload(root).map(|()| true)
}

/// Where systemd does not run, as in an image that is being built, it reads the file at boot.
fn reload(root: &Path) -> Result<(), Error> {
    if !root.join("run/systemd/system").exists() {
        return Ok(());
    }
    match process::systemctl(&["daemon-reload"], process::SYSTEMCTL_TIMEOUT) {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(Error::Reload(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
        Err(error) => Err(Error::Reload(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drop_in_denies_both_addresses_in_the_slice_section() {
        let text = drop_in();
        let section = "[Slice]\nIPAddressDeny=169.254.169.254 fd00:ec2::254\n";
        assert!(text.ends_with(section), "{text}");
    }
}

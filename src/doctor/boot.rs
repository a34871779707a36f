//! What the boot left behind before this program: cloud-init's result, space on the disks, denials
//! of the kernel's security modules.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ecs_config::text::plural;
use nix::sys::statvfs::{FsFlags, statvfs};
use serde_json::Value;

use super::Target;
use super::check::{Check, Found, check, failure, ok, settle, skipped, warning};
use super::user_data;
use crate::files;
use crate::paths::{CLOUD_INIT_RESULTS, CLOUD_INIT_STATUS, MAX_DOCUMENT};

pub(super) const CHECKS: &[Check] = &[
    check("cloud-init", "whether cloud-init found user data and ran it", check_cloud_init),
    check("disk", "space, inodes and write access where this program writes", check_disk),
    check("denials", "denials of SELinux and AppArmor that name our paths", check_denials),
];

/// The agent makes the same check for the first case only, and joins `default` in all others
/// (aws/amazon-ecs-agent#4988).
fn check_cloud_init(target: &Target) -> Found {
    let read = |paths: [&str; 2]| -> Option<Value> {
        let read = |path: &&str| files::read(&target.path(path), MAX_DOCUMENT).ok();
        serde_json::from_slice(&paths.iter().find_map(read)?).ok()
    };
    let documents = [read(CLOUD_INIT_RESULTS), read(CLOUD_INIT_STATUS)];
    let documents: Vec<&Value> = documents.iter().flatten().map(|it| &it["v1"]).collect();
    if documents.is_empty() {
        return skipped("cloud-init has left no result that can be read");
    }
    let mut sources = documents.iter().filter_map(|document| document["datasource"].as_str());
    if sources.any(|source| source.starts_with("DataSourceNone")) && !target.is_external() {
        return failure(
            "cloud-init found no data source (DataSourceNone): user data was never read",
            "see /var/log/cloud-init.log for why metadata did not answer in time; `cloud-init clean --reboot` reads it again",
        );
    }
    user_data::check_recognised(target)?;
    let see = "see `cloud-init status --long` and /var/log/cloud-init-output.log";
    let stages: Vec<&Value> = documents.iter().flat_map(|document| stages(document)).collect();
    let errors: BTreeSet<&str> = stages.iter().flat_map(|stage| texts(&stage["errors"])).collect();
    let recovered: BTreeSet<&str> = stages.iter().flat_map(|stage| recovered(stage)).collect();
    match (errors.len(), recovered.len()) {
        (0, 0) => ok("it ran without errors"),
        (0, recovered) => warning(
            format!("it recovered from {}: a part may not have run", plural(recovered, "error")),
            see,
        ),
        (errors, _) => warning(
            format!("it reports {}: user data may have run in part", plural(errors, "error")),
            see,
        ),
    }
}

/// Where a document of cloud-init has errors: at its top in result.json, and in each stage in
/// status.json, which alone has the recoverable ones (cloud-init's documentation, "Reported
/// status").
fn stages(document: &Value) -> impl Iterator<Item = &Value> {
    let inner = document.as_object().into_iter().flat_map(|object| object.values());
    std::iter::once(document).chain(inner)
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().map(|text| text.as_str().unwrap_or_default())
}

/// But for what is merely deprecated, which runs as before.
fn recovered(stage: &Value) -> impl Iterator<Item = &str> {
    let levels = stage["recoverable_errors"].as_object().into_iter().flatten();
    levels.filter(|(level, _)| *level != "DEPRECATED").flat_map(|(_, list)| texts(list))
}

/// What a file system has left for others than root.
#[derive(Clone, Copy, Debug)]
struct Space {
    bytes: u64,
    /// As many as one can count where the file system does not count them.
    inodes: u64,
    read_only: bool,
}

impl Space {
    fn of(path: &Path) -> Option<Space> {
        let found = statvfs(path).ok()?;
        Some(Space {
            bytes: found.blocks_available().saturating_mul(found.fragment_size()),
            inodes: if found.files() > 0 { found.files_available() } else { u64::MAX },
            read_only: found.flags().contains(FsFlags::ST_RDONLY),
        })
    }

    fn lacks(self, bytes: u64, inodes: u64) -> Option<&'static str> {
        match self.bytes < bytes {
            true => Some("space"),
            false => (self.inodes < inodes).then_some("inodes"),
        }
    }
}

fn check_disk(target: &Target) -> Found {
    let folders = ["/etc/ecs", "/var/lib/ecs-bootstrap", "/run/ecs-bootstrap"];
    let space = |folder| Some(space_verdict(folder, Space::of(&existing(target, folder))?));
    let verdicts = folders.into_iter().filter_map(space).map(settle);
    match verdicts.max_by_key(|verdict| verdict.outcome) {
        Some(worst) => Ok(worst),
        None => skipped("the kernel reports none"),
    }
}

/// The folder, or the nearest one above it that exists.
fn existing(target: &Target, folder: &str) -> PathBuf {
    let path = target.path(folder);
    path.ancestors().find(|path| path.exists()).unwrap_or(target.root()).to_owned()
}

fn space_verdict(folder: &str, space: Space) -> Found {
    if space.read_only {
        return failure(
            format!("the file system of {folder} is read-only"),
            "see `dmesg` for the disk's errors, or mount it read-write",
        );
    }
    // The files that this program writes are a few KiB, each a new inode, since they are replaced.
    match (space.lacks(1 << 20, 16), space.lacks(32 << 20, 256)) {
        (Some(what), _) => failure(
            format!("no {what} left in {folder}"),
            format!("free some: `df -h {folder}; df -i {folder}`"),
        ),
        (_, Some(what)) => warning(
            format!("little {what} left in {folder}"),
            "free some before Docker's images take the rest",
        ),
        _ => ok("enough space"),
    }
}

/// No more of a log than this is read, from its end.
const TAIL: usize = 4 << 20;

fn check_denials(target: &Target) -> Found {
    let Ok(log) = files::read_end(&target.path("/var/log/audit/audit.log"), TAIL) else {
        return skipped("/var/log/audit/audit.log is missing, or only root may read it");
    };
    let log = String::from_utf8_lossy(&log);
    let names_us = |line: &&str| line.contains("ecs.config") || line.contains("ecs-bootstrap");
    let denied = |line: &&str| line.contains("denied") || line.contains("apparmor=\"DENIED\"");
    match log.lines().filter(denied).filter(names_us).count() {
        0 => ok("none"),
        count => warning(
            format!("{} of ecs.config or ecs-bootstrap", plural(count, "denial")),
            "see `ausearch -m avc -c ecs-bootstrap`; after a move of files, `restorecon -Rv /etc/ecs /usr/bin/ecs-bootstrap`",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Outcome;
    use super::*;

    #[test]
    fn disk_verdict_depends_on_space_inodes_and_mount() {
        let space = |bytes, inodes, read_only| Space { bytes, inodes, read_only };
        let table = [
            (space(1 << 30, 1 << 20, false), Outcome::Ok, "enough space"),
            (space(1 << 30, u64::MAX, false), Outcome::Ok, "enough space"),
            (space(1 << 30, 1 << 20, true), Outcome::Failure, "read-only"),
            (space(4096, 1 << 20, false), Outcome::Failure, "no space"),
            (space(1 << 30, 3, false), Outcome::Failure, "no inodes"),
            (space(2 << 20, 1 << 20, false), Outcome::Warning, "little space"),
        ];
        for (space, outcome, words) in table {
            let verdict = settle(space_verdict("/etc/ecs", space));
            assert_eq!(verdict.outcome, outcome, "{space:?}");
            assert!(verdict.finding.contains(words), "{}", verdict.finding);
        }
    }
}

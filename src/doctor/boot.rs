//! What the boot left behind before us: cloud-init's result, room on the disks, denials of the
//! kernel's security modules.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use ecs_config::text::plural;
use nix::sys::statvfs::{FsFlags, statvfs};
use serde_json::Value;

use super::Patient;
use super::check::{Check, Verdict, check};

pub(crate) const CHECKS: [Check; 3] = [
    check(
        "cloud-init",
        "cloud-init's result.json: did it find the user data, and did it run without errors",
        cloud_init,
    ),
    check("disk", "room, inodes and write access where we write: /etc/ecs, /var/lib, /run", disk),
    check("denials", "SELinux's and AppArmor's denials that name our paths, in audit.log", denials),
];

const RESULTS: [&str; 2] = ["/var/lib/cloud/data/result.json", "/run/cloud-init/result.json"];

/// The agent makes the same check for the first case only, and joins `default` in all others
/// (aws/amazon-ecs-agent#4988).
fn cloud_init(patient: &Patient) -> Verdict {
    let Some(text) = RESULTS.iter().find_map(|path| fs::read(patient.settings.path(path)).ok())
    else {
        return Verdict::skipped("cloud-init has left no result that can be read");
    };
    let result: Value = serde_json::from_slice(&text).unwrap_or_default();
    let source = result["v1"]["datasource"].as_str().unwrap_or_default();
    let errors = result["v1"]["errors"].as_array().map_or(0, Vec::len);
    if source.starts_with("DataSourceNone") && !patient.external() {
        return Verdict::failure(
            "cloud-init found no data source (DataSourceNone): user data was never read",
            "see /var/log/cloud-init.log for why metadata did not answer in time; `cloud-init clean --reboot` reads it again",
        );
    }
    match errors {
        0 => Verdict::ok("it ran without errors"),
        _ => Verdict::warning(
            format!(
                "it reports {}: user data may have been carried out in part",
                plural(errors, "error")
            ),
            "see `cloud-init status --long` and /var/log/cloud-init-output.log",
        ),
    }
}

/// The files that we write are a few KiB; a new inode each, for they are replaced.
const LEAST: Space = Space { bytes: 1 << 20, inodes: Some(16), read_only: false };
const TIGHT: Space = Space { bytes: 32 << 20, inodes: Some(256), read_only: false };

/// What a file system has left for others than root.
#[derive(Clone, Copy, Debug)]
struct Space {
    bytes: u64,
    /// `None`: it does not count them.
    inodes: Option<u64>,
    read_only: bool,
}

impl Space {
    fn of(path: &Path) -> Option<Space> {
        let found = statvfs(path).ok()?;
        Some(Space {
            bytes: found.blocks_available().saturating_mul(found.fragment_size()),
            inodes: Some(found.files_available()).filter(|_| found.files() > 0),
            read_only: found.flags().contains(FsFlags::ST_RDONLY),
        })
    }

    fn lacks(self, wanted: Space) -> Option<&'static str> {
        let few = self.inodes.zip(wanted.inodes).is_some_and(|(left, least)| left < least);
        match (self.bytes < wanted.bytes, few) {
            (true, _) => Some("room"),
            (false, true) => Some("inodes"),
            (false, false) => None,
        }
    }
}

fn disk(patient: &Patient) -> Verdict {
    let folders = ["/etc/ecs", "/var/lib/ecs-bootstrap", "/run/ecs-bootstrap"];
    let spaces = folders
        .into_iter()
        .filter_map(|folder| Some((folder, Space::of(&existing(patient, folder))?)));
    let worst =
        spaces.map(|(folder, space)| room(folder, space)).max_by_key(|verdict| verdict.outcome);
    worst.unwrap_or_else(|| Verdict::skipped("the kernel does not say"))
}

/// The folder, or the nearest one above it that is there.
fn existing(patient: &Patient, folder: &str) -> PathBuf {
    let path = patient.settings.path(folder);
    path.ancestors().find(|path| path.exists()).unwrap_or(&patient.settings.root).to_owned()
}

fn room(folder: &str, space: Space) -> Verdict {
    if space.read_only {
        return Verdict::failure(
            format!("the file system of {folder} is read-only"),
            "see `dmesg` for the disk's errors, or mount it read-write",
        );
    }
    match (space.lacks(LEAST), space.lacks(TIGHT)) {
        (Some(what), _) => Verdict::failure(
            format!("no {what} left in {folder}"),
            format!("make room: `df -h {folder}; df -i {folder}`"),
        ),
        (_, Some(what)) => Verdict::warning(
            format!("little {what} left in {folder}"),
            "make room before Docker's images take the rest",
        ),
        _ => Verdict::ok("room enough"),
    }
}

/// No more of a log than this is read, from its end.
const TAIL: u64 = 4 << 20;

fn denials(patient: &Patient) -> Verdict {
    let Ok(log) = tail(&patient.settings.path("/var/log/audit/audit.log")) else {
        return Verdict::skipped("/var/log/audit/audit.log is not there, or not ours to read");
    };
    let names_us = |line: &&str| line.contains("ecs.config") || line.contains("ecs-bootstrap");
    let denied = |line: &&str| line.contains("denied") || line.contains("apparmor=\"DENIED\"");
    match log.lines().filter(denied).filter(names_us).count() {
        0 => Verdict::ok("none"),
        count => Verdict::warning(
            format!("{} of ecs.config or ecs-bootstrap", plural(count, "denial")),
            "see `ausearch -m avc -c ecs-bootstrap`; after a move of files, `restorecon -Rv /etc/ecs /usr/bin/ecs-bootstrap`",
        ),
    }
}

fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;

    #[test]
    fn a_disk_is_judged_by_what_is_left_and_by_whether_it_can_be_written() {
        let space = |bytes, inodes, read_only| Space { bytes, inodes, read_only };
        let table = [
            (space(1 << 30, Some(1 << 20), false), Outcome::Ok, "room enough"),
            (space(1 << 30, None, false), Outcome::Ok, "room enough"),
            (space(1 << 30, Some(1 << 20), true), Outcome::Failure, "read-only"),
            (space(4096, Some(1 << 20), false), Outcome::Failure, "no room"),
            (space(1 << 30, Some(3), false), Outcome::Failure, "no inodes"),
            (space(2 << 20, Some(1 << 20), false), Outcome::Warning, "little room"),
        ];
        for (space, outcome, words) in table {
            let verdict = room("/etc/ecs", space);
            assert_eq!(verdict.outcome, outcome, "{space:?}");
            assert!(verdict.finding.contains(words), "{}", verdict.finding);
        }
    }
}

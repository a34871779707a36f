//! What an engineer elsewhere needs to see of this host, in one archive for a ticket; nothing of it
//! is a secret.
//!
//! Takes the examination and where the host's files begin; reads files, and the firewall as `guard
//! status` does. What goes in stands in tables, each file with the function that says what of it
//! may leave (`redact`); there is no list of what may not.
//!
//! Every area has a thread of its own, so that a disk that hangs costs its own files and no others.

use std::fmt::Write;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use nix::fcntl::OFlag;
use serde_json::json;

use super::archive::{self, File};
use super::redact::{self, Redacted};
use super::unit_files;
use super::{Examination, Job, lock, side_by_side};
use crate::install::state;
use crate::paths;
use crate::report::{self, rfc3339};
use crate::{files, guard, settings};

const FOLDER: &str = "ecs-bootstrap-bundle";
/// Longer files are left out; what we know of is a few KiB.
const MOST: u64 = 1 << 20;
/// How long the files may take; and how long after the examination began all must be done.
const GATHER: Duration = Duration::from_secs(2);
const GATHERED: Duration = Duration::from_millis(14_000);
const WRITTEN: Duration = Duration::from_millis(14_800);

/// A file of the host, and what of it may leave.
#[derive(Clone, Copy)]
struct Row {
    path: &'static str,
    what: &'static str,
    redact: fn(&str) -> Redacted,
}

const fn row(path: &'static str, what: &'static str, redact: fn(&str) -> Redacted) -> Row {
    Row { path, what, redact }
}

const VARIABLES: &str =
    "names by line; every value, every comment and every line that is no assignment is redacted";

const FILES: [Row; 13] = [
    row(paths::REPORT, "the last run's report; it has no field for a value", redact::report),
    row(
        paths::STATE,
        "what that run installed: digest, names, sources; it has no field for a value",
        redact::state,
    ),
    row(
        "/run/ecs-bootstrap/guard.json",
        "what the fence remembers, and its last proof",
        redact::guard,
    ),
    row("/etc/ecs/ecs.config", VARIABLES, redact::variables),
    row("/var/lib/ecs/ecs.config", VARIABLES, redact::variables),
    row("/etc/ecs/ecs.config.json", "names; every value is redacted", redact::agent_json),
    row(
        "/etc/docker/daemon.json",
        "names; values of what decides over networks, cgroups and logs, all others redacted",
        redact::daemon_json,
    ),
    row(
        "/var/lib/cloud/data/result.json",
        "cloud-init's data source, and how many errors",
        redact::cloud_init,
    ),
    row(
        "/var/lib/cloud/data/status.json",
        "cloud-init's stages, and how many errors",
        redact::cloud_init,
    ),
    row("/run/cloud-init/result.json", "the same, of this boot", redact::cloud_init),
    row("/run/cloud-init/status.json", "the same, of this boot", redact::cloud_init),
    row("/usr/lib/os-release", "which distribution it is", redact::os_release),
    row("/etc/os-release", "the same, where it is a file of its own", redact::os_release),
];

const SETTINGS: &str =
    "the settings file: sources without their query, of `set` the names; comments are left out";
const UNIT: &str = "a unit or a drop-in: order and limits; of commands the program and its flags, of Environment= the names";

const UNITS: [&str; 9] = [
    "ecs-bootstrap.service",
    "ecs-bootstrap-refresh.service",
    "ecs-bootstrap-refresh.timer",
    "ecs-bootstrap-guard.service",
    "ecs-bootstrap-guard-verify.service",
    "ecs-bootstrap-guard-verify.timer",
    "ecs.service",
    "amazon-ecs.service",
    "docker.service",
];

const GUARD_STATUS: &str = "guard-status.json";

/// What is never looked at, and why.
const NEVER: &str = "Never taken, for nobody can tell what in them is secret: user data, credentials of any kind, variables of processes,\n\
    ecs.config.previous, the agent's database, logs and the journal.\n";

/// Where the host's files begin, and where the settings file is.
pub(crate) struct Place {
    pub(crate) root: PathBuf,
    pub(crate) settings: PathBuf,
}

/// One file of the bundle, or why it is none.
struct Entry {
    name: String,
    what: &'static str,
    content: Result<(String, u64), String>,
}

/// Gathers what there is, and replaces the file at `path` with the archive; the examination began
/// at `began`.
///
/// # Errors
/// Nothing was written, and a file that was there is as it was.
pub(crate) fn leave(
    path: &Path,
    examined: &Examination,
    place: Place,
    began: Instant,
) -> Result<(), files::Error> {
    let root = place.root.clone();
    let until = (Instant::now() + GATHER).min(began + GATHERED);
    let archive = archive::tar_gz(FOLDER, &files(examined, &root, gather(place, until)));
    let late = files::Error::Io { path: path.to_owned(), source: ErrorKind::TimedOut.into() };
    let (ended, target) = (Arc::new(Mutex::new(Err(late))), path.to_owned());
    let told = ended.clone();
    let write = Box::new(move || {
        let written = files::put(&target, &archive, 0o600);
        *lock(&told) = written;
    });
    side_by_side(vec![write], began + WRITTEN);
    std::mem::replace(&mut *lock(&ended), Ok(()))
}

/// The areas in the order of the manifest, whichever ends first.
fn gather(place: Place, until: Instant) -> Vec<Entry> {
    let areas: Vec<Area> = FILES
        .iter()
        .map(|row| Area::File(*row))
        .chain([Area::Settings, Area::Units, Area::Firewall])
        .collect();
    let found: Vec<Option<Vec<Entry>>> = areas.iter().map(|_| None).collect();
    let (place, found) = (Arc::new(place), Arc::new(Mutex::new(found)));
    let jobs = areas.iter().enumerate().map(|(number, area)| -> Job {
        let (area, place, found) = (*area, place.clone(), found.clone());
        Box::new(move || {
            let entries = area.read(&place);
            lock(&found)[number] = Some(entries);
        })
    });
    side_by_side(jobs.collect(), until);
    let mut found = lock(&found);
    areas
        .iter()
        .zip(found.iter_mut())
        .flat_map(|(area, entries)| entries.take().unwrap_or_else(|| area.stuck()))
        .collect()
}

/// What hangs together, or not.
#[derive(Clone, Copy)]
enum Area {
    File(Row),
    Settings,
    Units,
    Firewall,
}

impl Area {
    fn read(self, Place { root, settings }: &Place) -> Vec<Entry> {
        match self {
            Area::File(Row { path, what, redact }) => {
                vec![entry(&path[1..], &root.join(&path[1..]), what, redact)]
            }
            Area::Settings => {
                vec![entry(&paths::SETTINGS[1..], settings, SETTINGS, redact::settings)]
            }
            Area::Units => units(root),
            Area::Firewall => vec![guard_status(root)],
        }
    }

    fn stuck(self) -> Vec<Entry> {
        let name = match self {
            Area::File(row) => &row.path[1..],
            Area::Settings => &paths::SETTINGS[1..],
            Area::Units => "units",
            Area::Firewall => GUARD_STATUS,
        };
        vec![Entry {
            name: name.into(),
            what: "",
            content: Err("it could not be read in time".into()),
        }]
    }
}

fn entry(name: &str, path: &Path, what: &'static str, redact: fn(&str) -> Redacted) -> Entry {
    let content = read(path).and_then(|(text, modified)| Ok((redact(&text)?, modified)));
    Entry { name: name.into(), what, content }
}

/// A plain file's text, and when it was changed. Nothing else is opened: a pipe has no end, and a
/// link may lead anywhere.
fn read(path: &Path) -> Result<(String, u64), String> {
    let found = fs::symlink_metadata(path).map_err(|error| why(&error))?;
    if found.is_symlink() {
        let masked = fs::read_link(path).is_ok_and(|target| target == Path::new("/dev/null"));
        return Err(if masked {
            "it is masked: a link to /dev/null"
        } else {
            "it is a symbolic link, which is not followed"
        }
        .into());
    }
    if !found.is_file() {
        return Err("it is no plain file".into());
    }
    // What was put in its place since is not waited for either.
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(path)
        .map_err(|error| why(&error))?;
    let mut bytes = Vec::new();
    file.take(MOST + 1).read_to_end(&mut bytes).map_err(|error| why(&error))?;
    match bytes.len() as u64 > MOST {
        true => Err(format!("it is longer than {MOST} bytes")),
        false => Ok((
            String::from_utf8_lossy(&bytes).into_owned(),
            u64::try_from(found.mtime()).unwrap_or_default(),
        )),
    }
}

fn why(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "it is not there".into(),
        ErrorKind::PermissionDenied => "only root may read it".into(),
        _ => error.to_string(),
    }
}

fn units(root: &Path) -> Vec<Entry> {
    let paths = UNITS.iter().flat_map(|unit| unit_files::paths(root, unit));
    paths.map(|path| entry(&below(root, &path), &path, UNIT, redact::unit)).collect()
}

fn below(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned()
}

fn guard_status(root: &Path) -> Entry {
    let content = match guard::status(root) {
        Ok(status) => Ok((pretty(&status), now())),
        Err(error) => Err(super::words(&error)),
    };
    Entry {
        name: GUARD_STATUS.into(),
        what: "the fence in the kernel, as `ecs-bootstrap guard status` prints it",
        content,
    }
}

fn pretty(value: &impl serde::Serialize) -> String {
    format!("{:#}\n", json!(value))
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The manifest, what was made here, and what was read.
fn files(examined: &Examination, root: &Path, entries: Vec<Entry>) -> Vec<File> {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let versions = json!({
        "ecs-bootstrap": env!("CARGO_PKG_VERSION"),
        "kernel": kernel.trim(),
        "architecture": std::env::consts::ARCH,
        "boot_id": state::boot_id(),
        "root": root,
    });
    let made =
        |name: &str, what, text| Entry { name: name.into(), what, content: Ok((text, now())) };
    let made = [
        made(
            "doctor.json",
            "every check, as `ecs-bootstrap doctor --output json` prints it",
            examined.json(),
        ),
        made("versions.json", "of this program and of the kernel that runs", pretty(&versions)),
    ];
    let entries: Vec<Entry> = made.into_iter().chain(entries).map(named).collect();
    let manifest =
        File { name: "MANIFEST".into(), bytes: manifest(&entries).into_bytes(), modified: now() };
    let file = |entry: Entry| {
        entry.content.ok().map(|(text, modified)| File {
            name: entry.name,
            bytes: text.into_bytes(),
            modified,
        })
    };
    std::iter::once(manifest).chain(entries.into_iter().filter_map(file)).collect()
}

/// Names come from folders of the host: an odd one is somebody's text, and a long one does not fit.
fn named(entry: Entry) -> Entry {
    let plain =
        entry.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-@ '".contains(&byte));
    match plain && archive::fits(FOLDER, &entry.name) {
        true => entry,
        false => Entry {
            name: "a drop-in".into(),
            content: Err("its name is too long or too odd".into()),
            ..entry
        },
    }
}

fn manifest(entries: &[Entry]) -> String {
    let mut text = format!(
        "Support bundle of ecs-bootstrap {}, {}\n\n",
        env!("CARGO_PKG_VERSION"),
        rfc3339(SystemTime::now())
    );
    text += "It names this host's account, role, instance, buckets and files. It holds no value of a configuration key, no credential and no\n\
        query of a URL: what is not known to be harmless was replaced by [redacted], or left out.\n\nFiles\n";
    for Entry { name, what, content } in entries {
        if content.is_ok() {
            writeln!(text, "  {name}\n      {what}").expect("a String takes all");
        }
    }
    text += "\nLeft out\n";
    for Entry { name, content, .. } in entries {
        if let Err(why) = content {
            writeln!(text, "  {name}: {why}").expect("a String takes all");
        }
    }
    text + "\n" + NEVER
}

//! What an engineer elsewhere needs to see of this host, in one archive for a ticket; none of it is
//! a secret.
//!
//! Takes the report and where the host's files are; reads files, and the firewall as `guard status`
//! does. What goes in is in tables, each file with the function that decides what of it may leave
//! ([`redact`]); there is no list of what may not.
//!
//! Every file of the table, the units and the firewall are read in a thread of their own, so that a
//! disk that hangs costs its own files and no others.

use std::fmt::Write;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde_json::json;

use super::archive;
use super::redact::{self, Redacted, pretty};
use super::{DoctorReport, Job, run_all, unit_files, with_causes};
use crate::install::state;
use crate::paths::{self, MAX_CONFIG};
use crate::report::rfc3339;
use crate::{files, guard};

const FOLDER: &str = "ecs-bootstrap-bundle";
/// How long the files may take; and how long after the checks began all must be read, and written.
const READ_LIMIT: Duration = Duration::from_secs(2);
const READ_BY: Duration = Duration::from_millis(14_000);
const WRITTEN_BY: Duration = Duration::from_millis(14_800);

/// A file of the host, what it is, and what of it may leave.
type Row = (&'static str, &'static str, fn(&str) -> Redacted);

const NAMES_BY_LINE: &str = "the names that ecs-init reads, by line; every value is redacted";
const DOCKER: &str = "names; values of what decides over networks, cgroups and logs";
const SETTINGS: &str = "sources without their query, of `set` the names, no comments";
const STAGES: &str = "cloud-init's stages, and how many errors";
const RESULT: &str = "cloud-init's data source, and how many errors";

const FILES: [Row; 14] = [
    (paths::REPORT, "the last run's report; it has no field for a value", redact::report),
    (paths::STATE, "what that run installed: digest, names, sources", redact::state),
    (paths::GUARD_STATE, "what the guard has set, and its last proof", redact::guard),
    (paths::ECS_CONFIG, NAMES_BY_LINE, redact::variables),
    (paths::INSTANCE_CONFIG, NAMES_BY_LINE, redact::variables),
    (paths::JSON_CONFIG, "names; every value is redacted", redact::agent_json),
    (paths::DOCKER_CONFIG, DOCKER, redact::daemon_json),
    (paths::CLOUD_INIT_RESULTS[0], RESULT, redact::cloud_init),
    (paths::CLOUD_INIT_STATUS[0], STAGES, redact::cloud_init),
    (paths::CLOUD_INIT_RESULTS[1], "the same, of this boot", redact::cloud_init),
    (paths::CLOUD_INIT_STATUS[1], "the same, of this boot", redact::cloud_init),
    ("/usr/lib/os-release", "the distribution", redact::os_release),
    ("/etc/os-release", "the same, where it is a file of its own", redact::os_release),
    (paths::SETTINGS, SETTINGS, redact::settings),
];

const UNIT: &str = "a unit or a drop-in: order and limits; of commands the program and its flags, of Environment= the names";

const UNITS: [&str; 9] = [
    paths::RUN_UNIT,
    "ecs-bootstrap-refresh.service",
    "ecs-bootstrap-refresh.timer",
    paths::GUARD_UNIT,
    paths::GUARD_VERIFY_UNITS[0],
    paths::GUARD_VERIFY_UNITS[1],
    paths::AGENT_UNITS[0],
    paths::AGENT_UNITS[1],
    paths::DOCKER_UNIT,
];

const GUARD_STATUS: &str = "guard-status.json";

/// What is never read, and why.
const NEVER: &str = "Never included, since no program can tell what in them is secret: user data, credentials of any kind, variables of\n\
    processes, ecs.config.previous, the agent's database, logs and the journal.\n";

/// Where the host's files begin, and where the settings file is.
pub(crate) struct HostPaths {
    pub(crate) root: PathBuf,
    pub(crate) settings: PathBuf,
}

/// One file of the bundle, or why it was left out.
struct Entry {
    name: String,
    what: &'static str,
    /// Its text, and when it was changed, in seconds since 1970.
    content: Result<(String, u64), String>,
}

/// Reads what there is, and replaces the file at `path` with the archive; the checks began at
/// `began`.
///
/// # Errors
/// Nothing was written, and a file that was there is as it was.
pub(crate) fn write(
    path: &Path,
    report: &DoctorReport,
    host: HostPaths,
    began: Instant,
) -> Result<(), files::Error> {
    let root = host.root.clone();
    let until = (Instant::now() + READ_LIMIT).min(began + READ_BY);
    let archive = archive::tar_gz(FOLDER, &members(report, &root, read_all(host, until)));
    let target = path.to_owned();
    let job: Job<_> = Box::new(move || files::put(&target, &archive, 0o600));
    let written = run_all(vec![job], began + WRITTEN_BY).pop().flatten();
    let late = || files::Error::Io { path: path.to_owned(), source: ErrorKind::TimedOut.into() };
    written.unwrap_or_else(|| Err(late()))
}

/// In the order of the manifest, whichever ends first.
fn read_all(host: HostPaths, until: Instant) -> Vec<Entry> {
    let host = Arc::new(host);
    let mut jobs: Vec<(&str, Job<Vec<Entry>>)> = Vec::new();
    for (path, what, redact) in FILES {
        let (name, host) = (&path[1..], host.clone());
        let read = move || {
            let path = match path {
                paths::SETTINGS => host.settings.clone(),
                _ => host.root.join(name),
            };
            vec![entry(name, &path, what, redact)]
        };
        jobs.push((name, Box::new(read)));
    }
    let root = host.root.clone();
    jobs.push(("units", Box::new(move || units(&root))));
    jobs.push((GUARD_STATUS, Box::new(move || vec![guard_status(&host.root)])));
    let (names, jobs): (Vec<&str>, Vec<_>) = jobs.into_iter().unzip();
    let late = |name: &str| Entry {
        name: name.into(),
        what: "",
        content: Err("it could not be read in time".into()),
    };
    let entries = names.iter().zip(run_all(jobs, until));
    entries.flat_map(|(name, entries)| entries.unwrap_or_else(|| vec![late(name)])).collect()
}

fn units(root: &Path) -> Vec<Entry> {
    let paths = UNITS.iter().flat_map(|unit| unit_files::paths(root, unit));
    let name = |path: &Path| path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned();
    paths.map(|path| entry(&name(&path), &path, UNIT, redact::unit)).collect()
}

fn guard_status(root: &Path) -> Entry {
    Entry {
        name: GUARD_STATUS.into(),
        what: "the firewall rules in the kernel, as `ecs-bootstrap guard status` prints them",
        content: match guard::status(root) {
            Ok(status) => Ok((pretty(&status), now())),
            Err(error) => Err(with_causes(&error)),
        },
    }
}

fn entry(name: &str, path: &Path, what: &'static str, redact: fn(&str) -> Redacted) -> Entry {
    let content = read(path).and_then(|(text, modified)| Ok((redact(&text)?, modified)));
    Entry { name: name.into(), what, content }
}

/// A plain file's text, and when it was changed. A link is not followed: it may lead anywhere.
fn read(path: &Path) -> Result<(String, u64), String> {
    let found = path.symlink_metadata();
    if found.as_ref().is_ok_and(fs::Metadata::is_symlink) {
        let masked = fs::read_link(path).is_ok_and(|target| target == Path::new("/dev/null"));
        let link = "it is a symbolic link, which is not followed";
        return Err(if masked { "it is masked: a link to /dev/null" } else { link }.into());
    }
    match files::read(path, MAX_CONFIG) {
        Ok(bytes) => {
            let modified = found.map_or(0, |found| found.mtime()).try_into().unwrap_or_default();
            Ok((String::from_utf8_lossy(&bytes).into_owned(), modified))
        }
        Err(error) if error.is_missing() => Err("it is missing".into()),
        Err(error) if error.is_denied() => Err("only root may read it".into()),
        Err(error) => Err(error.to_string()),
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The manifest, what was made here, and what was read.
fn members(report: &DoctorReport, root: &Path, entries: Vec<Entry>) -> Vec<archive::Member> {
    let kernel = files::read_text(Path::new("/proc/sys/kernel/osrelease"), MAX_CONFIG);
    let versions = json!({
        "ecs-bootstrap": env!("CARGO_PKG_VERSION"),
        "kernel": kernel.unwrap_or_default().trim(),
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
            report.json(),
        ),
        made("versions.json", "of this program and of the running kernel", pretty(&versions)),
    ];
    let entries: Vec<Entry> = made.into_iter().chain(entries).map(with_fit_name).collect();
    let manifest = ("MANIFEST".to_owned(), manifest(&entries), now());
    let files = entries.into_iter().filter_map(|entry| {
        let (text, modified) = entry.content.ok()?;
        Some((entry.name, text, modified))
    });
    std::iter::once(manifest).chain(files).collect()
}

/// Names come from folders of the host: an odd one is foreign text, and a long one does not fit.
fn with_fit_name(entry: Entry) -> Entry {
    let plain =
        entry.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-@ '".contains(&byte));
    if plain && archive::fits(FOLDER, &entry.name) {
        return entry;
    }
    let content = Err("its name is too long or too odd".into());
    Entry { name: "a drop-in".into(), content, ..entry }
}

fn manifest(entries: &[Entry]) -> String {
    let (mut files, mut left_out) = (String::new(), String::new());
    for Entry { name, what, content } in entries {
        match content {
            Ok(_) => writeln!(files, "  {name}\n      {what}"),
            Err(why) => writeln!(left_out, "  {name}: {why}"),
        }
        .expect("a String takes all that is written to it");
    }
    format!(
        "Support bundle of ecs-bootstrap {}, {}\n\n\
        It names this host's account, role, instance, buckets and files. It holds no value of a configuration key, no credential and no\n\
        query of a URL: what is not known to be harmless was replaced by [redacted], or left out.\n\n\
        Files\n{files}\nLeft out\n{left_out}\n{NEVER}",
        env!("CARGO_PKG_VERSION"),
        rfc3339(SystemTime::now())
    )
}

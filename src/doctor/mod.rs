//! Everything that is wrong on this host, each with its remedy. Changes nothing; on demand it
//! writes a support [`bundle`].
//!
//! [`examine`] takes a [`Target`] (settings, variables and a root), first probes the network
//! ([`probes`]), everything at once and each request with a limit of its own, and then runs the
//! checks: plain functions of the files below the root and of what the probes observed. Files are
//! read, never written; only the guard's `status` starts programs.
//!
//! Whatever hangs, it ends within 15 s: the probes have [`PROBE_LIMIT`], the checks have
//! [`CHECK_LIMIT`], each in a thread of its own, so that a disk that hangs holds up its own check
//! and no other; the rest is for the bundle.
//!
//! # Adding a check
//!
//! A check is registered in one place: a row in the `CHECKS` of its area, in the order of the boot,
//! beside the function `check_…` that the row names. Then add a folder to `tests/doctor/cases` that
//! makes it fail, and a line to the table in `packaging/man/ecs-bootstrap-doctor.8.md`; tests fail
//! while one of them is missing.

mod archive;
mod boot;
pub(crate) mod bundle;
mod check;
mod config_file;
mod docker;
mod environment;
mod guard;
mod metadata;
mod network;
mod probes;
mod redact;
mod report;
mod unit_files;
mod units;
mod user_data;

use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) use check::Check;
use check::{Found, failure, settle};
pub(crate) use report::DoctorReport;
pub(crate) use user_data::waiting_line;

use crate::error::Diagnostic;
use crate::files::HostFiles;
use crate::identity::host_kind::Evidence;
use crate::net::{aws::Aws, vars};
use crate::settings::{self, Given, Settings};

/// How long the probes of the network may take.
const PROBE_LIMIT: Duration = Duration::from_secs(10);
/// How long the checks of the files, and of the kernel's rules, may take.
const CHECK_LIMIT: Duration = Duration::from_secs(3);

/// The areas of the table, in the order of the boot.
const TABLE: [&[Check]; 8] = [
    environment::CHECKS,
    boot::CHECKS,
    units::CHECKS,
    docker::CHECKS,
    metadata::CHECKS,
    network::CHECKS,
    config_file::CHECKS,
    guard::CHECKS,
];

/// Every check.
pub(crate) fn checks() -> impl Iterator<Item = &'static Check> {
    TABLE.into_iter().flatten()
}

/// What is examined: a host, or a folder with the files of one.
pub(crate) struct Target {
    settings: Settings,
    /// Why the settings cannot be used, and the remedy; then the defaults are used.
    settings_error: Option<(String, String)>,
    variables: Vec<(String, String)>,
    /// EC2 or external, and the evidence for it.
    kind: Evidence,
    /// The agent's files, read once.
    files: HostFiles,
    observed: probes::Observations,
}

impl Target {
    /// The settings as they were given, the variables of the process.
    pub(crate) fn new(
        root: PathBuf,
        given: Result<Given, settings::Error>,
        variables: &[(String, String)],
    ) -> Self {
        let observed = probes::Observations::default();
        let aws = Aws::from_vars(&vars(variables)).unwrap_or_else(|error| {
            observed.set_unreachable(&error);
            Aws::default()
        });
        let checked = given.and_then(|given| Settings::new(root.clone(), given, aws.clone()));
        let settings_error =
            checked.as_ref().err().map(|error| (error.to_string(), error.remedy()));
        let settings = checked.unwrap_or_else(|_| {
            Settings::new(root, Given::default(), aws).expect("the defaults are valid")
        });
        let files = HostFiles::read(&settings.root);
        let kind = Evidence::of(&settings, &files.effective());
        Target { settings, settings_error, variables: variables.to_vec(), kind, files, observed }
    }

    /// It gets its credentials from the SSM agent.
    fn is_external(&self) -> bool {
        self.kind.is_external()
    }

    fn root(&self) -> &Path {
        &self.settings.root
    }

    fn path(&self, absolute: &str) -> PathBuf {
        self.settings.path(absolute)
    }
}

/// Probes, checks, and reports what is wrong.
pub(crate) fn examine(mut target: Target) -> DoctorReport {
    let (began, limit) = (Instant::now(), PROBE_LIMIT.min(target.settings.timeout));
    probes::run_probes(&mut target, limit);
    let target = Arc::new(target);
    let jobs = checks().map(|check| {
        let target = target.clone();
        Box::new(move || (check.run)(&target)) as Job<Found>
    });
    let verdicts = run_all(jobs.collect(), Instant::now() + CHECK_LIMIT);
    let rows = checks().zip(verdicts);
    let rows = rows.map(|(check, found)| (check, settle(found.unwrap_or_else(hung))));
    DoctorReport::new(check::skip_consequences(rows.collect()), began.elapsed())
}

fn hung() -> Found {
    failure(
        format!("it did not end within {} s", CHECK_LIMIT.as_secs()),
        "look for a file system or a lock that hangs (`dmesg`, `df`, `ps` for processes in state D)",
    )
}

type Job<T> = Box<dyn FnOnce() -> T + Send>;

/// Runs each job in a thread of its own, until all have ended or time is up: then those that have
/// not are `None`, and their threads are left behind.
fn run_all<T: Send + 'static>(jobs: Vec<Job<T>>, until: Instant) -> Vec<Option<T>> {
    let mut results: Vec<Option<T>> = jobs.iter().map(|_| None).collect();
    let (sender, receiver) = mpsc::channel();
    for (number, job) in jobs.into_iter().enumerate() {
        let sender = sender.clone();
        // After the deadline no one receives. A job without a thread has no result.
        _ = thread::Builder::new().spawn(move || drop(sender.send((number, job()))));
    }
    drop(sender);
    let left = || until.saturating_duration_since(Instant::now());
    while let Ok((number, result)) = receiver.recv_timeout(left()) {
        results[number] = Some(result);
    }
    results
}

/// Whether a list, one word after the other, has this one.
fn has_word(list: &str, word: &str) -> bool {
    !word.is_empty() && list.split(' ').any(|one| one == word)
}

/// An error and its causes, on one line, each once.
fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    for cause in crate::error::chain(error).map(ToString::to_string) {
        if !texts.iter().any(|text| text.contains(&cause)) {
            texts.push(cause);
        }
    }
    texts.join(": ")
}

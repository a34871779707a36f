//! Everything that is wrong on this host, each with its remedy. Changes nothing; on demand it
//! leaves a support bundle.
//!
//! Takes a [`Patient`]: settings, variables and a root. [`examine`] first listens to the network
//! (`hear`), everything at once and each question with an end of its own, and then walks the table
//! of checks in the order of the boot: a check is a plain function on the files below the root and
//! on what was heard. Files are read, never written; programs are started by the guard's `status`
//! only.
//!
//! Whatever hangs, it ends within 15 s: the network has `LISTEN`, the checks have `LOOK`, each in a
//! thread of its own, so that a disk that hangs holds up its own check and no other; what is left
//! is the [`bundle`]'s.

mod archive;
mod boot;
pub(crate) mod bundle;
mod check;
mod file;
mod guard;
mod hear;
mod metadata;
mod place;
mod reach;
mod redact;
mod render;
mod unit_files;
mod units;

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub(crate) use check::{Check, Outcome, Verdict};
pub(crate) use render::Examination;

use crate::error::Diagnostic;
use crate::identity::host_kind::Evidence;
use crate::net::aws::Aws;
use crate::settings::{self, Given, Settings};

/// How long the network may take.
const LISTEN: Duration = Duration::from_secs(10);
/// How long the files, and the kernel's rules, may take.
const LOOK: Duration = Duration::from_secs(3);

/// What is examined.
pub(crate) struct Patient {
    pub(crate) settings: Settings,
    /// Why the settings are none, and what would mend them; the defaults stand in.
    unsettled: Option<(String, String)>,
    /// For instance tags to come between.
    given: Given,
    variables: Vec<(String, String)>,
    /// EC2 or external, and what says so.
    kind: Evidence,
    heard: hear::Heard,
}

impl Patient {
    /// The settings as they were given, the variables of the process.
    pub(crate) fn new(
        root: PathBuf,
        given: Result<Given, settings::Error>,
        variables: &[(String, String)],
    ) -> Self {
        let heard = hear::Heard::default();
        let aws = Aws::from_vars(variables.iter().cloned()).unwrap_or_else(|error| {
            heard.not_to_be_asked(&error, error.remedy());
            Aws::default()
        });
        let settled = given.and_then(|given| {
            Ok((Settings::new(root.clone(), given.clone(), aws.clone())?, given))
        });
        let unsettled = settled.as_ref().err().map(|error| (error.to_string(), error.remedy()));
        let defaults = |_| {
            (
                Settings::new(root, Given::default(), aws).expect("the defaults are sound"),
                Given::default(),
            )
        };
        let (settings, given) = settled.unwrap_or_else(defaults);
        let kind = Evidence::of(&settings);
        Patient { settings, unsettled, given, variables: variables.to_vec(), kind, heard }
    }

    /// It gets its credentials from the SSM agent.
    fn external(&self) -> bool {
        self.kind.is_external()
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.variables
            .iter()
            .find(|(known, value)| known == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// The host itself, not a folder that stands for one.
    fn is_this_host(&self) -> bool {
        self.settings.root == std::path::Path::new("/")
    }
}

/// The areas of the table, in the order of the boot.
const TABLE: [&[Check]; 7] = [
    &place::CHECKS,
    &boot::CHECKS,
    &units::CHECKS,
    &metadata::CHECKS,
    &reach::CHECKS,
    &file::CHECKS,
    &guard::CHECKS,
];

/// Every check.
pub(crate) fn checks() -> impl Iterator<Item = &'static Check> {
    TABLE.into_iter().flatten()
}

/// Listens, looks, and says what is wrong.
pub(crate) fn examine(mut patient: Patient) -> Examination {
    let (began, limit) = (Instant::now(), LISTEN.min(patient.settings.timeout));
    hear::listen(&mut patient, limit);
    Examination::new(check::settle(look(&Arc::new(patient))), began.elapsed())
}

fn look(patient: &Arc<Patient>) -> Vec<(&'static Check, Verdict)> {
    let verdicts: Arc<Mutex<Vec<Option<Verdict>>>> =
        Arc::new(Mutex::new(checks().map(|_| None).collect()));
    let jobs = checks().enumerate().map(|(number, check)| -> Job {
        let (patient, verdicts) = (patient.clone(), verdicts.clone());
        Box::new(move || {
            let verdict = (check.look)(&patient);
            lock(&verdicts)[number] = Some(verdict);
        })
    });
    side_by_side(jobs.collect(), Instant::now() + LOOK);
    let mut verdicts = lock(&verdicts);
    checks()
        .zip(verdicts.iter_mut())
        .map(|(check, verdict)| (check, verdict.take().unwrap_or_else(stuck)))
        .collect()
}

type Job = Box<dyn FnOnce() + Send>;

/// Each job in a thread of its own, until all are done or time is up. A thread that hangs is left
/// behind.
fn side_by_side(jobs: Vec<Job>, until: Instant) {
    let (left, done) = (Mutex::new(jobs.len()), Condvar::new());
    let waiting = Arc::new((left, done));
    for job in jobs {
        let waiting = waiting.clone();
        std::thread::spawn(move || {
            job();
            *lock(&waiting.0) -= 1;
            waiting.1.notify_one();
        });
    }
    let patience = until.saturating_duration_since(Instant::now());
    drop(waiting.1.wait_timeout_while(lock(&waiting.0), patience, |left| *left > 0));
}

/// What a thread that panicked left is as good as what any other did.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn stuck() -> Verdict {
    let finding = format!("it did not end within {} s", LOOK.as_secs());
    Verdict::failure(
        finding,
        "look for a file system or a lock that hangs (`dmesg`, `df`, `ps` for processes in state D)",
    )
}

/// An error and what lies under it, each once.
fn words(error: &(dyn std::error::Error + 'static)) -> String {
    let mut said: Vec<String> = Vec::new();
    for cause in crate::net::chain(error).map(ToString::to_string) {
        if !said.iter().any(|words| words.contains(&cause)) {
            said.push(cause);
        }
    }
    said.join(": ")
}

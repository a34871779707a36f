//! The guard's moments: installed before the first packet leaves, again if tags ask for another, and
//! proven beside identity and fetch if there is a network to prove it on.

use std::path::{Path, PathBuf};
use std::thread;

use tokio::sync::oneshot;

use crate::error::{Error, Step};
use crate::guard::{self, GuardRequest};
use crate::install::process;
use crate::paths::GUARD_UNIT;
use crate::report::{GuardReport, Timeline};
use crate::settings::Settings;

/// A proof that takes its time beside other steps.
type PendingProof = oneshot::Receiver<Result<GuardReport, guard::Error>>;

/// What is known of the guard so far.
#[derive(Default)]
pub(super) struct Guard {
    installed: Option<GuardRequest>,
    report: GuardReport,
    proof: Option<PendingProof>,
}

impl Guard {
    /// In place before the first packet leaves; only where tags may ask for it, it cannot be before
    /// they are read.
    pub(super) fn before_tags(
        &mut self,
        settings: &Settings,
        dry_run: bool,
        timeline: &Timeline,
    ) -> Result<(), Error> {
        match GuardRequest::of(settings) {
            _ if dry_run => timeline.skip(Step::Guard, "this is a dry run"),
            None if settings.from_tags => {}
            wanted => self.install(wanted, &settings.root, timeline)?,
        }
        Ok(())
    }

    /// Once more, if tags ask for another guard.
    pub(super) fn after_tags(
        &mut self,
        tagged: &Settings,
        dry_run: bool,
        timeline: &Timeline,
    ) -> Result<(), Error> {
        let wanted = GuardRequest::of(tagged);
        if dry_run || !tagged.from_tags || (wanted.is_some() && wanted == self.installed) {
            return Ok(());
        }
        self.install(wanted, &tagged.root, timeline)
    }

    /// Installs what is wanted, and begins to prove what it is worth.
    fn install(
        &mut self,
        wanted: Option<GuardRequest>,
        root: &Path,
        timeline: &Timeline,
    ) -> Result<(), Error> {
        let Some(wanted) = wanted else {
            timeline.skip(Step::Guard, "not asked for");
            return Ok(());
        };
        timeline.enter(Step::Guard);
        let (detail, proof) = match guard::install(&wanted, root) {
            Err(guard::Error::Capability) if unit_is_active() => (
                format!(
                    "installed by {GUARD_UNIT}, and proven by its verify unit when Docker is up"
                ),
                None,
            ),
            Err(error) => return Err(error.into()),
            Ok(installed) => {
                let not_first = installed.documented_rule.and_then(|rule| rule.reason);
                for note in installed.notes.iter().chain(&not_first) {
                    tracing::warn!("guard: {note}");
                }
                let detail = if installed.changed { "installed" } else { "unchanged" };
                (detail.into(), wanted.bridges.then(|| begin_to_prove(root.to_owned())))
            }
        };
        (self.report, self.proof) = (GuardReport::new("installed", detail), proof);
        self.installed = Some(wanted);
        Ok(())
    }

    /// What an installation would find: a dry run sets no guard.
    pub(super) fn of_installation(&self, settings: &Settings, dry_run: bool) -> GuardReport {
        match dry_run && GuardRequest::of(settings).is_some() {
            true => GuardReport::new("effective", "as far as a dry run can tell"),
            false => self.report.clone(),
        }
    }

    /// What `work` gives, when the proof is there as well. A leak ends both at once.
    pub(super) async fn beside<T>(
        &mut self,
        work: impl Future<Output = T>,
        timeline: &Timeline,
    ) -> Result<T, Error> {
        let proof = async {
            if let Some(proof) = self.proof.take() {
                self.report = proof.await.unwrap_or_else(|_| Ok(self.report.clone()))?;
            }
            if self.report.wanted {
                timeline.done(Step::Guard, 1, self.report.summary());
            }
            Ok(())
        };
        // On the heap: it is large, and an unoptimised build copies it at each step.
        let work = Box::pin(work);
        let ((), done) = tokio::try_join!(proof, async { Ok::<T, Error>(work.await) })?;
        Ok(done)
    }

    /// What it is worth at the end of the run, which an error of its own says.
    pub(super) fn at_end<T>(self, ended: &Result<T, Error>) -> GuardReport {
        match ended.as_ref().err().and_then(Error::cause) {
            None => self.report,
            Some(leak @ guard::Error::Leak(_)) => GuardReport::new("leaking", leak.to_string()),
            Some(_) => GuardReport::new("absent", "it could not be installed"),
        }
    }
}

/// In a thread of its own, which the process does not wait for when it ends: the probe leaves
/// nothing behind.
fn begin_to_prove(root: PathBuf) -> PendingProof {
    let (sender, receiver) = oneshot::channel();
    // A run that was interrupted does not want the result any more.
    thread::spawn(move || _ = sender.send(prove(&root)));
    receiver
}

/// The units divide the power: `ecs-bootstrap.service` may not even read the firewall, so it takes
/// systemd's word that the guard's unit, which comes before it and before Docker, has installed the
/// rules in this boot.
fn unit_is_active() -> bool {
    let asked =
        process::systemctl(&["is-active", "--quiet", GUARD_UNIT], process::SYSTEMCTL_TIMEOUT);
    asked.is_ok_and(|output| output.status.success())
}

/// A network that leaks is an error. One without a verdict is not: before Docker's first start there
/// is none, and the guard's own unit proves it afterwards.
fn prove(root: &Path) -> Result<GuardReport, guard::Error> {
    match guard::prove(root).and_then(|proof| proof.outcome()) {
        Ok(()) => Ok(GuardReport::new("effective", "a probe packet was stopped on every network")),
        Err(leak @ guard::Error::Leak(_)) => Err(leak),
        Err(unproven) => Ok(GuardReport::new("installed", unproven.to_string())),
    }
}

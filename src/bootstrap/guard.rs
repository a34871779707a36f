//! The guard's moments: installed before the first packet leaves, again if tags ask for another, and
//! proven beside identity and fetch.

use crate::error::{Error, Step};
use crate::guard::step::{self, PendingProof};
use crate::report::{GuardReport, Timeline};
use crate::settings::Settings;

/// What is known of the guard so far.
#[derive(Default)]
pub(super) struct Guard {
    pub(super) report: GuardReport,
    proof: Option<PendingProof>,
}

impl Guard {
    /// The guard is in place before the first packet leaves; only where tags may ask for it, it
    /// cannot be before they are read.
    pub(super) fn before_tags(
        &mut self,
        settings: &Settings,
        dry_run: bool,
        timeline: &Timeline,
    ) -> Result<(), Error> {
        match step::wanted(settings) {
            _ if dry_run => timeline.skip(Step::Guard, "this is a dry run"),
            None if settings.from_tags => {}
            _ => self.install(settings, timeline)?,
        }
        Ok(())
    }

    /// Once more, if tags ask for another guard.
    pub(super) fn after_tags(
        &mut self,
        before: &Settings,
        settings: &Settings,
        dry_run: bool,
        timeline: &Timeline,
    ) -> Result<(), Error> {
        let wanted = step::wanted(settings);
        if dry_run || !settings.from_tags || (wanted.is_some() && wanted == step::wanted(before)) {
            return Ok(());
        }
        self.install(settings, timeline)
    }

    fn install(&mut self, settings: &Settings, timeline: &Timeline) -> Result<(), Error> {
        let Some(wanted) = step::wanted(settings) else {
            timeline.skip(Step::Guard, "not asked for");
            return Ok(());
        };
        timeline.enter(Step::Guard);
        (self.report, self.proof) = step::install(&wanted, &settings.root)?;
        Ok(())
    }

    /// What an installation would find: a dry run sets no guard.
    pub(super) fn of_installation(&self, settings: &Settings, dry_run: bool) -> GuardReport {
        match dry_run && step::wanted(settings).is_some() {
            true => GuardReport::effective("as far as a dry run can tell"),
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
}

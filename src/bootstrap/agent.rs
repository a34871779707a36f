//! The last step: the agent is restarted, and watched if that is asked for.

use tokio::time::Instant;

use super::host::Host;
use crate::error::{Error, Step};
use crate::identity::HostFacts;
use crate::install::agent::{self, Restarted};
use crate::install::health::Watch;
use crate::install::{Candidate, stale};
use crate::report::{ConfigReport, Outcome, Timeline};
use crate::settings::Settings;

/// The only step whose failure is reported and does not fail the run, for the file is in place.
pub(super) async fn restart_agent(
    settings: &Settings,
    outcome: Outcome,
    deadline: Instant,
    timeline: &Timeline,
) -> Option<Restarted> {
    let not_needed = match outcome {
        _ if !settings.restart_agent => Some("not asked for"),
        _ if outcome != Outcome::Installed && !agent::is_owed(&settings.root) => {
            Some("its configuration did not change")
        }
        _ if settings.is_host_root() => None,
        _ => Some("the agent of this host does not read the files below --root"),
    };
    if let Some(why) = not_needed {
        timeline.skip(Step::Agent, why);
        return None;
    }
    timeline.enter(Step::Agent);
    let restarted = agent::restart(&settings.root, deadline).await;
    let is_watched = settings.health_gate.is_some() && outcome == Outcome::Installed;
    if !is_watched {
        timeline.done(Step::Agent, 1, restarted.summary());
    }
    Some(restarted).filter(|_| is_watched)
}

impl Host<'_> {
    /// The file before, if the agent did not come up with this one.
    pub(super) fn instead_of(
        &self,
        candidate: &Candidate<'_>,
        facts: &HostFacts,
    ) -> Result<Option<ConfigReport>, Error> {
        let Host { settings, files, state, .. } = self;
        let is_rejected = state.rejected.as_ref() == Some(&candidate.generation.sha256);
        let is_rejected = candidate.differs() && is_rejected;
        is_rejected.then(|| stale::keep_before(settings, files, state, facts)).transpose()
    }

    /// Watches the agent that was restarted, and goes back to the file before if it does not come up.
    pub(super) async fn health_gate(
        &self,
        candidate: Option<&Candidate<'_>>,
        restarted: Option<Restarted>,
        timeline: &Timeline,
    ) -> Result<(), Error> {
        let Some(restarted) = restarted else { return Ok(()) };
        let Host { settings, files, state, deadline, .. } = self;
        let (Some(gate), Some(candidate), Restarted::Asked { unit, started }) =
            (settings.health_gate, candidate, &restarted)
        else {
            timeline.done(Step::Agent, 1, restarted.summary());
            return Ok(());
        };
        let watch = Watch { settings, files, unit, started_before: started, deadline: *deadline };
        match watch.wait(candidate, gate).await {
            Ok(cluster) => {
                timeline.done(Step::Agent, 1, format!("{unit} is up in the cluster {cluster}"));
                Ok(())
            }
            Err(not_up) => Err(watch.roll_back(not_up, candidate, state).await),
        }
    }
}

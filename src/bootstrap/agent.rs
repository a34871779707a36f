//! The last step: the agent is restarted, and watched if that is asked for.

use super::host::Host;
use crate::error::{Error, Step};
use crate::identity::HostFacts;
use crate::install::agent::{self, Restarted};
use crate::install::health::Watch;
use crate::install::state::State;
use crate::install::{self, Candidate, stale};
use crate::report::{ConfigReport, Outcome, Timeline};
use crate::settings::Settings;

/// The only step whose failure is reported and does not fail the run, for the file is in place.
pub(super) async fn restart_agent(
    settings: &Settings,
    outcome: Outcome,
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
    let restarted = agent::restart(&settings.root).await;
    let is_watched = settings.health_gate.is_some() && outcome == Outcome::Installed;
    if !is_watched {
        timeline.done(Step::Agent, 1, restarted.summary());
    }
    Some(restarted).filter(|_| is_watched)
}

impl Host<'_> {
    /// Puts the file in place; but not one with which the agent did not come up before.
    pub(super) fn install(
        &self,
        candidate: &Candidate<'_>,
        facts: &HostFacts,
        timeline: &Timeline,
    ) -> Result<(Outcome, ConfigReport), Error> {
        let Host { settings, files, state, .. } = self;
        if candidate.differs() && state.is_rejected(&candidate.composed.bytes) {
            let config = stale::keep_before(settings, files, state, facts)?;
            timeline.done(Step::Install, 1, "the version that was rolled back is left out");
            return Ok((Outcome::Kept, config));
        }
        let changed = install::commit(settings, candidate, State::clone(state))?;
        timeline.done(Step::Install, 1, candidate.outcome(changed));
        let outcome = if changed { Outcome::Installed } else { Outcome::Unchanged };
        Ok((outcome, candidate.report(changed)))
    }

    /// Watches the agent that was restarted, and goes back to the file before if it does not come up.
    pub(super) async fn health_gate(
        &self,
        candidate: &Candidate<'_>,
        restarted: Restarted,
        timeline: &Timeline,
    ) -> Result<(), Error> {
        let Host { settings, files, state, deadline, .. } = self;
        let (Some(gate), Restarted::Asked { unit, started }) = (settings.health_gate, &restarted)
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
            Err(unhealthy) => Err(watch.roll_back(unhealthy, candidate, state).await),
        }
    }
}

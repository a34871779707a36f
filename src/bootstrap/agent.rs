//! The last step: the agent is restarted, and watched if that is asked for.

use super::host::Host;
use crate::error::{Error, Step};
use crate::identity::HostFacts;
use crate::install::agent::{self, Restarted};
use crate::install::health::Watch;
use crate::install::{Candidate, stale};
use crate::report::{ConfigReport, Outcome, Timeline};

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

    /// The only step whose failure is reported and does not fail the run, for the file is in place:
    /// but for an agent that is watched, and does not come up. Then the file before is again.
    pub(super) async fn restart_agent(
        &self,
        outcome: Outcome,
        candidate: Option<&Candidate<'_>>,
        timeline: &Timeline,
    ) -> Result<(), Error> {
        let Host { settings, files, state, deadline, .. } = self;
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
            return Ok(());
        }
        timeline.enter(Step::Agent);
        let restarted = agent::restart(&settings.root, *deadline).await;
        let gate = settings.health_gate.filter(|_| outcome == Outcome::Installed);
        let (Some(gate), Some(candidate), Restarted::Asked { unit, started }) =
            (gate, candidate, &restarted)
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

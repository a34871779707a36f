//! One boot, told once: [`run`] is the line, and what is beside it helps one of its steps.
//!
//! Each step returns what the next one needs. No step knows its place, and none is handed the
//! report: that is made at the end, from what they returned.

mod agent;
mod guard;
mod host;

use std::convert::Infallible;

use tokio::time::Instant;

use self::guard::Guard;
use self::host::Host;
use crate::error::{Diagnostic, Error, Step};
use crate::files::{self, HostFiles};
use crate::identity::{Clients, host_kind};
use crate::install;
use crate::install::lock::{self, Lock};
use crate::install::state::State;
use crate::paths;
use crate::report::{Outcome, Report, Results, Timeline};
use crate::settings::{Environment, Settings};

/// How a boot ended.
pub(crate) struct Boot {
    pub(crate) report: Report,
    /// Held until the report is written, so that of two runs the later one's is kept.
    pub(crate) lock: Option<Lock>,
    /// What an installation would change: of a dry run.
    pub(crate) diff: Option<String>,
}

/// One boot, from left to right.
pub(crate) async fn run(
    settings: Settings,
    environment: &Environment,
    dry_run: bool,
    interrupted: impl Future<Output = impl Diagnostic>,
) -> Boot {
    let (timeline, mut results) = (Timeline::start(), Results::default());
    let (mut lock, mut diff, mut guard) = (None, None, Guard::default());
    let line = async {
        let deadline = Instant::now() + settings.timeout;
        if !dry_run {
            lock = Some(take_lock(&settings, deadline, &timeline).await?);
        }
        let files = HostFiles::read(&settings.root);
        let state = State::read(&settings.root);
        let clients = Clients::new(&settings, &files, environment.variables(), deadline)?;
        clients.announce(environment);
        results.https = clients.https();
        guard.before_tags(&settings, dry_run, &timeline)?;
        let tagged = clients.with_tags(&settings).await?;
        guard.after_tags(&tagged, dry_run, &timeline)?;
        (results.settings, results.inventory) = (tagged.origins(), tagged.inventory);
        tagged.has_something_to_install()?;

        let host = Host { settings: &tagged, files: &files, state: &state, clients, deadline };
        let mut installed = None;
        // Boxed, since the compiler lays out types of a limited depth.
        let verified = Box::pin(host.identity_and_fetch(&timeline));
        let outcome = match guard.beside(verified, &timeline).await? {
            Ok(verified) => {
                results.host = Some(verified.identity.clone());
                let guard = guard.of_installation(&tagged, dry_run);
                let findings = &mut results.findings;
                let candidate = host.compose(&verified, &guard, findings, &timeline).await?;
                if dry_run {
                    results.config = Some(candidate.report(candidate.differs()));
                    diff = Some(candidate.diff());
                    return Ok(Outcome::DryRun);
                }
                let kept = host.instead_of(&candidate, &verified.facts)?;
                let (outcome, config) =
                    install::commit(&tagged, &candidate, state.clone(), kept, &timeline)?;
                (results.config, installed) = (Some(config), Some(candidate));
                outcome
            }
            Err(failed) => {
                let Some(kept) = host.keep(&failed, dry_run)? else { return Err(failed.error) };
                timeline.failed(&failed.error);
                (results.config, results.kept_age_s) = (Some(kept.config), kept.age_s);
                Outcome::Kept
            }
        };
        host.restart_agent(outcome, installed.as_ref(), &timeline).await?;
        Ok(outcome)
    };
    let ended = unless(interrupted, timeline.tell_of_waiting(settings.timeout), line).await;
    results.guard = guard.at_end(&ended);
    Boot { report: Report::new("run", timeline, results, ended), lock, diff }
}

/// The line to its end, or to a signal. Meanwhile it is told what is waited for.
async fn unless<T>(
    interrupted: impl Future<Output = impl Diagnostic>,
    waiting: impl Future<Output = Infallible>,
    line: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::select! {
        biased;
        ended = line => ended,
        signal = interrupted => Err(signal.into()),
        never = waiting => match never {},
    }
}

/// One run at a time. What a killed one left is removed by the next, whatever that does.
async fn take_lock(
    settings: &Settings,
    deadline: Instant,
    timeline: &Timeline,
) -> Result<Lock, lock::Error> {
    timeline.enter(Step::Lock);
    let lock = lock::take(&settings.path(paths::LOCK), deadline).await?;
    timeline.leave(Step::Lock);
    files::remove_temporaries(&settings.root);
    Ok(lock)
}

/// The first half of the line, for `verify`: who is this host?
pub(crate) async fn verify(settings: Settings, environment: &Environment) -> Report {
    let (timeline, mut results) = (Timeline::start(), Results::default());
    let ended = async {
        let deadline = Instant::now() + settings.timeout;
        let (files, state) = (HostFiles::read(&settings.root), State::default());
        let clients = Clients::new(&settings, &files, environment.variables(), deadline)?;
        clients.announce(environment);
        results.settings = settings.origins();
        if clients.source.imds().is_none() {
            let missing = host_kind::missing(&files.effective());
            missing.iter().for_each(|what| tracing::warn!("host: {what}"));
        }
        timeline.enter(Step::Identity);
        let host = Host { settings: &settings, files: &files, state: &state, clients, deadline };
        let identity = host.identity().await?;
        timeline.done(Step::Identity, 1 + host.clients.source.repeats(), host.who(&identity));
        results.host = Some(identity);
        Ok(Outcome::Verified)
    }
    .await;
    Report::new("verify", timeline, results, ended)
}

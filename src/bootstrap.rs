//! One boot, told once: [`run`] is the line, and what is below it helps one of its steps.
//!
//! Each step returns what the next one needs. No step knows its place, and none is handed the
//! report: that is made at the end, from what they returned.

use std::pin::pin;

use ecs_config::expand::Placeholder;
use ecs_config::lint::Finding;
use tokio::time::Instant;

use crate::error::{Diagnostic, Error, ExitStatus, Step};
use crate::files::{self, HostFiles};
use crate::guard::{GuardRequest, step as guard};
use crate::identity::host_kind;
use crate::identity::{self, Clients, HostFacts, HostKind, Identity};
use crate::install::compose::{self, Surroundings, Values};
use crate::install::lock::{self, Lock};
use crate::install::stale::{self, Kept};
use crate::install::state::State;
use crate::install::{self, Candidate, agent};
use crate::paths;
use crate::report::{GuardReport, OF_BATCH, Outcome, Report, Results, Timeline};
use crate::settings::{Environment, Settings, Stale};
use crate::source::{self, Access, Fetched};

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
    let (mut lock, mut diff) = (None, None);
    let line = async {
        let deadline = Instant::now() + settings.timeout;
        if !dry_run {
            lock = Some(take_lock(&settings, deadline, &timeline).await?);
        }
        let files = HostFiles::read(&settings.root);
        let state = State::read(&settings.path(paths::STATE));
        let clients = Clients::new(&settings, &files, environment.variables(), deadline)?;

        clients.announce(environment);
        results.guard = guard_before_tags(&settings, dry_run, &timeline)?;
        let tagged = clients.with_tags(&settings).await?;
        results.guard = guard_after_tags(&settings, &tagged, &results.guard, dry_run, &timeline)?;
        results.settings = tagged.origins();
        tagged.has_something_to_install()?;

        let host = Host { settings: &tagged, files: &files, state: &state, clients, deadline };
        let outcome = match host.identity_and_fetch(&timeline).await {
            Ok(verified) => {
                results.host = Some(verified.identity.clone());
                let (findings, candidate) = host.compose(&verified, &timeline).await;
                results.findings = findings;
                let candidate = candidate?;
                if dry_run {
                    results.config = Some(candidate.report(candidate.differs()));
                    diff = Some(candidate.diff());
                    return Ok(Outcome::DryRun);
                }
                timeline.enter(Step::Install);
                let changed = install::commit(&tagged, &candidate, state.clone())?;
                timeline.done(Step::Install, 1, candidate.outcome(changed));
                results.config = Some(candidate.report(changed));
                if changed { Outcome::Installed } else { Outcome::Unchanged }
            }
            Err(failed) => {
                let Some(kept) = host.keep(&failed, dry_run)? else { return Err(failed.error) };
                timeline.failed(&failed.error);
                (results.config, results.kept_age_s) = (Some(kept.config), kept.age_s);
                Outcome::Kept
            }
        };
        restart_agent(&tagged, outcome, &timeline).await;
        Ok(outcome)
    };
    let ended = tokio::select! {
        biased;
        ended = line => ended,
        signal = interrupted => Err(signal.into()),
        never = timeline.tell_of_waiting(settings.timeout) => match never {},
    };
    Boot { report: report(timeline, results, ended), lock, diff }
}

/// The report of the line. An error of the guard says what the guard is worth.
fn report(timeline: Timeline, mut results: Results, ended: Result<Outcome, Error>) -> Report {
    if let Some(error) = ended.as_ref().err().and_then(Error::cause) {
        results.guard = guard::failed(error);
    }
    Report::new("run", timeline, results, ended)
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
        let (_, identity) = host.identity().await?;
        timeline.done(Step::Identity, 1 + host.clients.source.repeats(), host.who(&identity));
        results.host = Some(identity);
        Ok(Outcome::Verified)
    }
    .await;
    Report::new("verify", timeline, results, ended)
}

/// The guard is in place before the first packet leaves; only where tags may ask for it, it cannot
/// be before they are read.
fn guard_before_tags(
    settings: &Settings,
    dry_run: bool,
    timeline: &Timeline,
) -> Result<GuardReport, Error> {
    match guard::wanted(settings) {
        _ if dry_run => timeline.skip(Step::Guard, "this is a dry run"),
        None if settings.from_tags => {}
        wanted => return Ok(guard(wanted, settings, timeline)?.unwrap_or_default()),
    }
    Ok(GuardReport::default())
}

/// Once more, if tags ask for another guard.
fn guard_after_tags(
    before: &Settings,
    settings: &Settings,
    installed: &GuardReport,
    dry_run: bool,
    timeline: &Timeline,
) -> Result<GuardReport, Error> {
    let wanted = guard::wanted(settings);
    if dry_run || !settings.from_tags || (wanted.is_some() && wanted == guard::wanted(before)) {
        return Ok(installed.clone());
    }
    Ok(guard(wanted, settings, timeline)?.unwrap_or_else(|| installed.clone()))
}

fn guard(
    wanted: Option<GuardRequest>,
    settings: &Settings,
    timeline: &Timeline,
) -> Result<Option<GuardReport>, Error> {
    let Some(wanted) = wanted else {
        timeline.skip(Step::Guard, "not asked for");
        return Ok(None);
    };
    timeline.enter(Step::Guard);
    let guard = guard::install_and_prove(&wanted, &settings.root)?;
    timeline.done(Step::Guard, 1, guard.summary());
    Ok(Some(guard))
}

/// A host between its tags and its agent: what the steps in between share.
struct Host<'a> {
    settings: &'a Settings,
    files: &'a HostFiles,
    state: &'a State,
    clients: Clients,
    deadline: Instant,
}

/// Who the host is, and what its sources gave.
struct Verified {
    facts: HostFacts,
    identity: Identity,
    layers: Vec<Fetched>,
}

/// Why there is no such pair, and what is known of the host all the same.
struct Unverified {
    error: Error,
    facts: Option<HostFacts>,
    /// STS has confirmed the host.
    is_proven: bool,
}

impl<E: Into<Error>> From<E> for Unverified {
    fn from(error: E) -> Self {
        Unverified { error: error.into(), facts: None, is_proven: false }
    }
}

impl Host<'_> {
    /// Identity and fetch, side by side once the role's credentials are there: STS does not wait
    /// for S3, nor S3 for STS. Once more with each rotation of the credentials, if STS does not
    /// accept these.
    async fn identity_and_fetch(&self, timeline: &Timeline) -> Result<Verified, Unverified> {
        timeline.enter(Step::Identity);
        loop {
            let facts = self.clients.source.facts().await?;
            timeline.enter(Step::Fetch);
            let identity = timeline.timed(self.prove(&facts));
            let layers = timeline.timed(self.fetch(&facts));
            let ((identity, proven), (layers, fetched)) =
                match identity_first(identity, layers).await {
                    Ok(both) => both,
                    Err((error, _)) if self.awaits_rotation(&facts, &error) => continue,
                    Err((error, is_proven)) => {
                        return Err(Unverified { error, facts: Some(facts), is_proven });
                    }
                };
            let repeats = self.clients.source.repeats();
            timeline.done_at(proven, Step::Identity, 1 + repeats, self.who(&identity));
            timeline.done_at(
                fetched,
                Step::Fetch,
                source::attempts(&layers),
                source::summary(&layers),
            );
            return Ok(Verified { facts, identity, layers });
        }
    }

    /// The identity alone, likewise.
    async fn identity(&self) -> Result<(HostFacts, Identity), Error> {
        loop {
            let facts = self.clients.source.facts().await?;
            match self.prove(&facts).await {
                Err(error) if self.awaits_rotation(&facts, &error) => {}
                proven => return Ok((facts, proven?)),
            }
        }
    }

    /// Who on what, for people.
    fn who(&self, identity: &Identity) -> String {
        let of_batch = if identity.kind == HostKind::Batch { OF_BATCH } else { "" };
        format!("{} on {}{of_batch}", identity.role, identity.instance_id)
    }

    fn awaits_rotation(&self, facts: &HostFacts, error: &Error) -> bool {
        let source = &self.clients.source;
        error.cause().is_some_and(|error| source.will_rotate(&facts.credentials, error))
    }

    /// Confirms with STS who we are, within the deadline.
    async fn prove(&self, facts: &HostFacts) -> Result<Identity, Error> {
        Ok(identity::confirm(facts, self.settings, &self.clients.http, self.deadline).await?)
    }

    async fn fetch(&self, facts: &HostFacts) -> Result<Vec<Fetched>, Error> {
        let cached = install::cached(self.files, self.state);
        let access = Access {
            http: &self.clients.http,
            aws: &self.settings.aws,
            credentials: Some(&facts.credentials),
            region: facts.region.clone(),
            deadline: self.deadline,
            cached: cached.as_ref(),
        };
        Ok(source::fetch_all(&self.settings.config, &access).await?)
    }

    /// The file to install, and what the linter found, errors too.
    async fn compose(
        &self,
        verified: &Verified,
        timeline: &Timeline,
    ) -> (Vec<Finding>, Result<Candidate<'_>, Error>) {
        timeline.enter(Step::Lint);
        let Verified { identity, layers, .. } = verified;
        let (values, present) = match self.values(verified).await {
            Ok(values) => match self.files.replaceable() {
                Ok(present) => (values, present),
                Err(error) => return (Vec::new(), Err(error.into())),
            },
            Err(error) => return (Vec::new(), Err(error)),
        };
        let around = Surroundings {
            settings: self.settings,
            files: self.files,
            state: self.state,
            present,
            instance_id: &identity.instance_id,
        };
        let (findings, composed) = compose::compose(layers, &values, &around);
        let candidate = composed.map(|composed| {
            let detail = format!("{} variables, {} findings", composed.keys.len(), findings.len());
            timeline.done(Step::Lint, 1, detail);
            Candidate::new(composed, layers, identity, self.settings, present)
        });
        (findings, candidate.map_err(Error::from))
    }

    /// What `${…}` stands for on this host. Tags are asked for one by one, and only those that some
    /// layer names.
    async fn values(&self, verified: &Verified) -> Result<Values, Error> {
        let Verified { facts, identity, layers } = verified;
        let mut values = Values::default();
        if !self.settings.expand {
            return Ok(values);
        }
        for placeholder in compose::placeholders(self.settings, layers) {
            let value = match &placeholder {
                Placeholder::Region => identity.region.clone(),
                Placeholder::AvailabilityZone => identity.availability_zone.clone(),
                Placeholder::InstanceId => Some(identity.instance_id.clone()),
                Placeholder::InstanceType => facts.instance_type.clone(),
                Placeholder::AmiId => facts.image_id.clone(),
                Placeholder::AccountId => Some(identity.account_id.clone()),
                Placeholder::Tag(name) => self.clients.source.tag(name).await?,
            };
            values.extend(value.map(|value| (placeholder, value)));
        }
        Ok(values)
    }

    /// Unreachable is not refused: a fleet that reboots while S3 is down keeps what it verified
    /// before. What is expected of the host must be proven, though, or at least not contradicted.
    fn keep(&self, failed: &Unverified, dry_run: bool) -> Result<Option<Kept>, Error> {
        let unreachable = failed.error.status() == ExitStatus::SourceUnreachable;
        let may_keep = !dry_run && unreachable && self.settings.stale == Stale::Keep;
        let Some(facts) = failed.facts.as_ref().filter(|_| may_keep) else { return Ok(None) };
        if !failed.is_proven && identity::has_expectations(self.settings) {
            identity::check_expectations(facts, self.settings)?;
            tracing::warn!("STS cannot be reached, and so the expected identity is not proven");
            return Ok(None);
        }
        stale::keep(self.settings, self.files, self.state.clone(), facts, &failed.error)
    }
}

/// Both, or the first failure that tells the cause: where the identity is wrong, S3's refusal
/// follows from it. With the failure, whether the identity is proven.
async fn identity_first<I, F>(
    identity: impl Future<Output = Result<I, Error>>,
    fetch: impl Future<Output = Result<F, Error>>,
) -> Result<(I, F), (Error, bool)> {
    let (mut identity, mut fetch) = (pin!(identity), pin!(fetch));
    let (proven, fetched) = tokio::select! {
        proven = &mut identity => match proven {
            Ok(proven) => (Ok(proven), fetch.await),
            Err(error) => return Err((error, false)),
        },
        fetched = &mut fetch => (identity.await, fetched),
    };
    match (proven, fetched) {
        (Ok(proven), Ok(fetched)) => Ok((proven, fetched)),
        (Ok(_), Err(error)) => Err((error, true)),
        // STS that is out of reach proves nothing wrong, and S3's refusal has its own cause.
        (Err(silent), Err(refused)) if silent.status() == ExitStatus::SourceUnreachable => {
            Err((refused, false))
        }
        (Err(error), _) => Err((error, false)),
    }
}

/// The only step whose failure is reported and does not fail the run, for the file is in place.
async fn restart_agent(settings: &Settings, outcome: Outcome, timeline: &Timeline) {
    let not_needed = match outcome {
        _ if !settings.restart_agent => Some("not asked for"),
        _ if outcome != Outcome::Installed && !agent::is_owed(&settings.root) => {
            Some("its configuration did not change")
        }
        _ if settings.is_host_root() => None,
        _ => Some("the agent of this host does not read the files below --root"),
    };
    if let Some(why) = not_needed {
        return timeline.skip(Step::Agent, why);
    }
    timeline.enter(Step::Agent);
    timeline.done(Step::Agent, 1, agent::restart(&settings.root).await.summary());
}

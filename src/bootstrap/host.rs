//! The host between its tags and its agent: who it is, what its sources give, what is kept.

use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use ecs_config::expand::Placeholder;
use ecs_config::lint::Finding;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::error::{Error, ExitStatus, Step};
use crate::files::HostFiles;
use crate::identity::{self, Clients, ConfirmedBy, HostFacts, HostKind, Identity};
use crate::install::compose::{self, Surroundings, Values};
use crate::install::stale::{self, Kept};
use crate::install::state::State;
use crate::install::{self, Candidate, attributes};
use crate::net::endpoint::Service;
use crate::report::{GuardReport, OF_BATCH, Timeline};
use crate::settings::{Settings, Stale, Sts};
use crate::source::{self, Access, Fetched, FetchedSecret, Source};

/// STS is usually as near as S3. A VPC without its endpoint drops the packets, and would cost every
/// boot as much.
const STS_GRACE: Duration = Duration::from_secs(2);

/// A host between its tags and its agent: what the steps in between share.
pub(super) struct Host<'a> {
    pub(super) settings: &'a Settings,
    pub(super) files: &'a HostFiles,
    pub(super) state: &'a State,
    pub(super) clients: Clients,
    pub(super) deadline: Instant,
}

/// Who the host is, and what its sources gave.
pub(super) struct Verified {
    pub(super) facts: HostFacts,
    pub(super) identity: Identity,
    pub(super) layers: Vec<Fetched>,
    pub(super) secrets: Vec<FetchedSecret>,
}

/// Why there is no such pair, and what is known of the host all the same.
pub(super) struct Unverified {
    pub(super) error: Error,
    pub(super) facts: Option<HostFacts>,
    /// STS has confirmed the host.
    pub(super) is_proven: bool,
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
    pub(super) async fn identity_and_fetch(
        &self,
        timeline: &Timeline,
    ) -> Result<Verified, Unverified> {
        timeline.enter(Step::Identity);
        let (sources, asks_sts) = (&self.settings.config, self.settings.sts() != Sts::Skip);
        loop {
            let facts = self.facts(sources, asks_sts).await?;
            timeline.enter(Step::Fetch);
            let done = Notify::new();
            let identity = timeline.timed(Step::Identity, async {
                match asks_sts {
                    true => self.prove(&facts, self.grace(&done)).await,
                    false => Ok(self.unproven(&facts)),
                }
            });
            let layers = timeline.timed(Step::Fetch, async {
                let layers = self.fetch(&facts).await;
                done.notify_one();
                layers
            });
            let is_needed = self.settings.sts() == Sts::Require;
            match identity_first(identity, layers, is_needed).await {
                Ok((identity, (layers, secrets))) => {
                    let identity = identity.unwrap_or_else(|| self.unproven(&facts));
                    let attempts = 1 + self.clients.source.repeats();
                    timeline.done(Step::Identity, attempts, self.who(&identity));
                    let attempts = source::attempts(&layers);
                    timeline.done(Step::Fetch, attempts, source::summary(&layers));
                    return Ok(Verified { facts, identity, layers, secrets });
                }
                Err((error, _)) if self.awaits_rotation(&facts, &error) => {}
                Err((error, is_proven)) => {
                    return Err(Unverified { error, facts: Some(facts), is_proven });
                }
            }
        }
    }

    /// The identity alone, likewise.
    pub(super) async fn identity(&self) -> Result<Identity, Error> {
        loop {
            let facts = self.facts(&[], true).await?;
            match self.prove(&facts, pending()).await {
                Err(error) if self.awaits_rotation(&facts, &error) => {}
                proven => return proven,
            }
        }
    }

    /// What the host reports of itself. The connections to STS, if it is asked, and to these sources
    /// are opened as soon as the region is known, beside the questions that are left.
    async fn facts(
        &self,
        sources: &[Source],
        asks_sts: bool,
    ) -> Result<HostFacts, identity::Error> {
        let Clients { http, source, .. } = &self.clients;
        let aws = &self.settings.aws;
        let open = |region: Option<&String>| {
            let region = aws.region.as_ref().or(region);
            let sts = Service::Sts.url(aws, region.map(String::as_str)).filter(|_| asks_sts);
            let sources = source::urls(sources, aws, region);
            sts.iter().chain(&sources).for_each(|url| http.open_early(url));
        };
        let expected_role = self.settings.expect_role.as_deref();
        if aws.region.is_some() {
            open(None);
            return source.facts(expected_role, &|_| {}).await;
        }
        source.facts(expected_role, &open).await
    }

    /// Who on what, for people.
    pub(super) fn who(&self, identity: &Identity) -> String {
        let of_batch = if identity.kind == HostKind::Batch { OF_BATCH } else { "" };
        let role = identity.role.as_deref().unwrap_or("a role that STS has not named");
        format!("{role} on {}{of_batch}", identity.instance_id)
    }

    fn awaits_rotation(&self, facts: &HostFacts, error: &Error) -> bool {
        let by_sts = error.cause().and_then(identity::Error::refused_credentials);
        let why = by_sts.or_else(|| error.cause().and_then(source::Error::refused_credentials));
        why.is_some_and(|why| self.clients.source.will_rotate(&facts.credentials, why))
    }

    /// Confirms with STS who we are, until `enough` is over.
    async fn prove(
        &self,
        facts: &HostFacts,
        enough: impl Future<Output = ()>,
    ) -> Result<Identity, Error> {
        let Host { settings, clients, deadline, .. } = self;
        let confirmed = identity::confirm(facts, settings, &clients.http, *deadline, enough);
        // In a box: the compiler's limit for futures within futures is near.
        Ok(Box::pin(confirmed).await?)
    }

    /// How long STS is waited for where S3 can take its place: so long after S3 is done.
    async fn grace(&self, fetched: &Notify) {
        if self.settings.sts() == Sts::Require {
            pending().await
        }
        fetched.notified().await;
        sleep(STS_GRACE).await;
    }

    /// Who the host is by its own report, where STS has not told.
    fn unproven(&self, facts: &HostFacts) -> Identity {
        let by = self.settings.has_s3_layer().then_some(ConfirmedBy::S3);
        facts.unproven(self.settings.aws.region.as_deref(), by)
    }

    /// The layers, and then the parameters and secrets that they name.
    async fn fetch(&self, facts: &HostFacts) -> Result<(Vec<Fetched>, Vec<FetchedSecret>), Error> {
        let cached = install::cached(self.files, self.state);
        let access = Access {
            http: &self.clients.http,
            aws: &self.settings.aws,
            credentials: Some(&facts.credentials),
            region: facts.reported.region.clone(),
            deadline: self.deadline,
            cached: cached.as_ref(),
        };
        let layers = source::fetch_all(&self.settings.config, &access).await?;
        let named = compose::placeholders(self.settings, &layers);
        compose::check_tags(&named)?;
        let secrets = source::fetch_secrets(named, &access).await?;
        Ok((layers, secrets))
    }

    /// The file to install. What the linter found is added to `findings`, errors too.
    pub(super) async fn compose(
        &self,
        verified: &Verified,
        guard: &GuardReport,
        findings: &mut Vec<Finding>,
        timeline: &Timeline,
    ) -> Result<Candidate<'_>, Error> {
        timeline.enter(Step::Lint);
        let Verified { identity, layers, secrets, .. } = verified;
        let values = self.values(verified).await?;
        let present = self.files.replaceable()?;
        let around = Surroundings {
            settings: self.settings,
            files: self.files,
            state: self.state,
            present,
            instance_id: &identity.instance_id,
            attributes: attributes::proven(self.settings, layers, identity, guard),
        };
        let composed = compose::compose(layers, &values, &around, findings)?;
        let detail = format!("{} variables, {} findings", composed.keys.len(), findings.len());
        timeline.done(Step::Lint, 1, detail);
        let fetched = (layers.as_slice(), secrets.as_slice());
        Ok(Candidate::new(composed, fetched, identity, self.settings, (self.state, present)))
    }

    /// What `${…}` stands for on this host. Tags are asked for one by one, and only those that some
    /// layer names.
    async fn values(&self, verified: &Verified) -> Result<Values, Error> {
        let Verified { facts, identity, layers, secrets } = verified;
        let mut values = Values::default();
        for placeholder in compose::placeholders(self.settings, layers) {
            let value = match &placeholder {
                Placeholder::Region => identity.region.clone(),
                Placeholder::AvailabilityZone => identity.availability_zone.clone(),
                Placeholder::InstanceId => Some(identity.instance_id.clone()),
                Placeholder::InstanceType => facts.instance_type.clone(),
                Placeholder::AmiId => facts.image_id.clone(),
                Placeholder::AccountId => identity.account_id.clone(),
                Placeholder::Tag(name) => self.clients.source.tag(name).await?,
                secret @ (Placeholder::Parameter(_) | Placeholder::Secret(..)) => {
                    let fetched = secrets.iter().find(|one| one.placeholder == *secret);
                    fetched.map(|one| one.value.clone())
                }
            };
            values.extend(value.map(|value| (placeholder, value)));
        }
        Ok(values)
    }

    /// Unreachable is not refused: a fleet that reboots while S3 is down keeps what it verified
    /// before. What is expected of the host must be proven, though, or at least not contradicted.
    pub(super) fn keep(&self, failed: &Unverified, dry_run: bool) -> Result<Option<Kept>, Error> {
        if let Some(facts) = failed.facts.as_ref().filter(|_| !dry_run) {
            stale::revoke(self.settings, self.files, self.state, facts);
        }
        let unreachable = failed.error.status() == ExitStatus::SourceUnreachable;
        let may_keep = !dry_run && unreachable && self.settings.stale == Stale::Keep;
        let Some(facts) = failed.facts.as_ref().filter(|_| may_keep) else { return Ok(None) };
        if !failed.is_proven && self.settings.has_expectations() {
            identity::check_expectations(&facts.reported, self.settings)?;
            tracing::warn!("STS cannot be reached, and so the expected identity is not proven");
            return Ok(None);
        }
        stale::keep(self.settings, self.files, self.state, facts, &failed.error)
    }
}

/// Both, or the first failure that tells the cause: where the identity is wrong, S3's refusal
/// follows from it. With the failure, whether the identity is proven. Unless STS is needed, there is
/// no identity where it is away.
async fn identity_first<I, F>(
    identity: impl Future<Output = Result<I, Error>>,
    fetch: impl Future<Output = Result<F, Error>>,
    is_needed: bool,
) -> Result<(Option<I>, F), (Error, bool)> {
    let is_away = |error: &Error| error.status() == ExitStatus::SourceUnreachable;
    let (mut identity, mut fetch) = (pin!(identity), pin!(fetch));
    let (proven, fetched) = tokio::select! {
        proven = &mut identity => match proven {
            Err(error) if is_needed || !is_away(&error) => return Err((error, false)),
            proven => (proven, fetch.await),
        },
        fetched = &mut fetch => (identity.await, fetched),
    };
    match (proven, fetched) {
        (Ok(proven), Ok(fetched)) => Ok((Some(proven), fetched)),
        (Ok(_), Err(error)) => Err((error, true)),
        // STS that is out of reach proves nothing wrong, and S3's refusal has its own cause.
        (Err(away), Err(refused)) if is_away(&away) => Err((refused, false)),
        (Err(away), Ok(fetched)) if !is_needed && is_away(&away) => {
            tracing::warn!(
                "{away}; it has not confirmed the host: S3 accepted the same credentials"
            );
            Ok((None, fetched))
        }
        (Err(error), _) => Err((error, false)),
    }
}

//! The host between its tags and its agent: who it is, what its sources give, what is kept.

use std::pin::pin;

use ecs_config::expand::Placeholder;
use ecs_config::lint::Finding;
use tokio::time::Instant;

use crate::error::{Error, ExitStatus, Step};
use crate::files::HostFiles;
use crate::identity::{self, Clients, HostFacts, HostKind, Identity};
use crate::install::compose::{self, Surroundings, Values};
use crate::install::stale::{self, Kept};
use crate::install::state::State;
use crate::install::{self, Candidate};
use crate::net::endpoint::Service;
use crate::report::{OF_BATCH, Timeline};
use crate::settings::{Settings, Stale};
use crate::source::{self, Access, Fetched, Source};

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
        let sources = &self.settings.config;
        loop {
            let facts = self.facts(sources).await?;
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
    pub(super) async fn identity(&self) -> Result<(HostFacts, Identity), Error> {
        loop {
            let facts = self.facts(&[]).await?;
            match self.prove(&facts).await {
                Err(error) if self.awaits_rotation(&facts, &error) => {}
                proven => return Ok((facts, proven?)),
            }
        }
    }

    /// What the host reports of itself. The connections to STS and to these sources are opened as
    /// soon as the region is known, beside the questions that are left.
    async fn facts(&self, sources: &[Source]) -> Result<HostFacts, identity::Error> {
        let Clients { http, source, .. } = &self.clients;
        let aws = &self.settings.aws;
        let open = |region: Option<&String>| {
            let region = aws.region.as_ref().or(region);
            let sts = Service::Sts.url(aws, region.map(String::as_str));
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
    pub(super) async fn compose(
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
    pub(super) fn keep(&self, failed: &Unverified, dry_run: bool) -> Result<Option<Kept>, Error> {
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

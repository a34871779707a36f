//! Probes the network: everything at once, and keeps whatever was answered before time was up.
//!
//! The order: session token, then region and role; with the role's credentials STS, the sources,
//! ECS and ECR; with the answer of ECS the agent's two endpoints.

use std::future::pending;
use std::sync::OnceLock;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::runtime::Runtime;
use tokio::time::{Instant, timeout, timeout_at};

use super::{Target, with_causes};
use crate::error::{Diagnostic, Error, RuntimeFailed};
use crate::identity::{self, Clients, HostFacts, Identity, imds};
use crate::install::compose;
use crate::net::endpoint::{self, ProbeResult, SERVICES, Service};
use crate::net::signed::{self, Action, Answer, DISCOVER_POLL_ENDPOINT, GET_AUTHORIZATION_TOKEN};
use crate::settings::{Given, Settings, Sts};
use crate::source::{self, Fetched};

/// What the probes observed. An empty cell: not asked, or not answered in time.
#[derive(Default)]
pub(super) struct Observations {
    /// Why nothing can be asked, and the remedy.
    pub(super) unreachable: OnceLock<(String, String)>,
    /// The endpoint that gave a token.
    pub(super) imds: OnceLock<Result<String, imds::Error>>,
    /// The status of a request without a token.
    pub(super) imds_v1: OnceLock<u16>,
    pub(super) imds_ipv6: OnceLock<Option<bool>>,
    /// The names of the instance's tags, one a line, if metadata shows them.
    pub(super) imds_tags: OnceLock<Result<Option<String>, imds::Error>>,
    pub(super) facts: OnceLock<Result<HostFacts, identity::Error>>,
    pub(super) identity: OnceLock<Result<Identity, identity::Error>>,
    pub(super) sources: OnceLock<Vec<Result<Fetched, source::Error>>>,
    pub(super) ecs: OnceLock<Result<Answer, String>>,
    pub(super) ecr: OnceLock<Result<Answer, String>>,
    endpoints: [OnceLock<ProbeResult>; Service::EcsTelemetry as usize + 1],
}

impl Observations {
    /// Nothing will be asked, for this reason; the first one counts.
    pub(super) fn set_unreachable(&self, error: &impl Diagnostic) {
        keep(&self.unreachable, (with_causes(error), error.remedy()));
    }

    /// Whether the instance has a tag of this name, as far as metadata shows tags.
    pub(super) fn is_tagged(&self, name: &str) -> bool {
        matches!(self.imds_tags.get(), Some(Ok(Some(names))) if names.lines().any(|line| line.trim() == name))
    }

    /// What came of connecting to an endpoint of AWS.
    pub(super) fn endpoint(&self, service: Service) -> Option<&ProbeResult> {
        self.endpoints[service as usize].get()
    }
}

/// Keeps the first answer; everything is asked once.
fn keep<T>(cell: &OnceLock<T>, answer: T) {
    let _first_counts = cell.set(answer);
}

/// Probes, for at most so long. Name look-ups that hang are left behind in threads of their own.
pub(super) fn run_probes(target: &mut Target, limit: Duration) {
    if target.observed.unreachable.get().is_some() {
        return;
    }
    let until = |share| Instant::now() + limit.mul_f32(share);
    let (deadline, grace) = (until(0.9), until(1.0));
    let (runtime, clients) = match start(target, until(0.4)) {
        Ok(started) => started,
        Err(error) => {
            let failure = error.failure();
            return keep(&target.observed.unreachable, (failure.why(), failure.remedy));
        }
    };
    runtime.block_on(async {
        if let Some(settings) = settings_with_tags(target, &clients).await {
            target.settings = settings;
        }
        // What came in time is kept; what did not is reported as such.
        let probes = Probes { target, clients: &clients, deadline };
        let _out_of_time = timeout_at(grace, probes.all()).await;
    });
    runtime.shutdown_background();
}

/// How this host reaches the network; metadata until then.
fn start(target: &Target, metadata: Instant) -> Result<(Runtime, Clients), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(RuntimeFailed)?;
    let clients = Clients::new(&target.settings, &target.files, &target.variables, metadata)?;
    Ok((runtime, clients))
}

/// The settings with those of instance tags, if they are asked for and can be read.
async fn settings_with_tags(target: &Target, clients: &Clients) -> Option<Settings> {
    if !target.settings.from_tags {
        return None;
    }
    let tags = timeout(Duration::from_secs(2), clients.source.tags()).await.ok()?.ok()??;
    let tags = tags.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    target.settings.clone().with_tags(Given::tags(tags).ok()?).ok()
}

#[derive(Clone, Copy)]
struct Probes<'p> {
    target: &'p Target,
    clients: &'p Clients,
    deadline: Instant,
}

impl Probes<'_> {
    async fn all(self) {
        if let Some(imds) = self.clients.source.imds() {
            keep(&self.target.observed.imds, imds.begin_session().await);
        }
        tokio::join!(self.metadata(), self.services(), self.role());
    }

    async fn metadata(self) {
        let (observed, imds) = (&self.target.observed, self.clients.source.imds());
        let Some((imds, Ok(_))) = imds.zip(observed.imds.get()) else { return };
        tokio::join!(
            async {
                if let Some(status) = imds.status_without_token().await {
                    keep(&observed.imds_v1, status);
                }
            },
            async { keep(&observed.imds_ipv6, imds.answers_ipv6().await) },
            async { keep(&observed.imds_tags, imds.get("meta-data/tags/instance/").await) },
        );
    }

    async fn services(self) {
        let aws = &self.target.settings.aws;
        let region = match &aws.region {
            Some(region) => Some(region.clone()),
            None => self.clients.source.region().await,
        };
        let url = |service: Service| service.url(aws, region.as_deref());
        let is_asked =
            |service: &Service| *service != Service::Sts || self.target.settings.sts() != Sts::Skip;
        let asked = SERVICES.into_iter().filter(is_asked);
        join_all(asked.map(|service| self.connect(service, url(service)))).await;
    }

    async fn connect(self, service: Service, url: Option<url::Url>) {
        let Some(url) = url else { return };
        let answer = endpoint::probe(&self.clients.http, &url).await;
        keep(&self.target.observed.endpoints[service as usize], answer);
    }

    /// The role's credentials, and what they give access to.
    async fn role(self) {
        let observed = &self.target.observed;
        keep(&observed.facts, self.clients.source.facts(None, &|_| {}).await);
        let Some(Ok(facts)) = observed.facts.get() else { return };
        tokio::join!(
            async {
                let Probes { target: Target { settings, .. }, clients, deadline } = self;
                if settings.sts() != Sts::Skip {
                    let confirmed =
                        identity::confirm(facts, settings, &clients.http, deadline, pending());
                    keep(&observed.identity, confirmed.await);
                }
            },
            async { keep(&observed.sources, self.sources(facts).await) },
            async { keep(&observed.ecr, self.attempt(&GET_AUTHORIZATION_TOKEN, facts).await) },
            self.ecs(facts),
        );
    }

    async fn sources(self, facts: &HostFacts) -> Vec<Result<Fetched, source::Error>> {
        let access = source::Access {
            http: &self.clients.http,
            aws: &self.target.settings.aws,
            credentials: Some(&facts.credentials),
            region: facts.reported.region.clone(),
            deadline: self.deadline,
            cached: None,
        };
        let settings = &self.target.settings;
        let sources = settings.config.iter().map(|source| source::fetch(source, &access));
        let mut fetched = join_all(sources).await;
        let layers: Vec<Fetched> = fetched.iter().flatten().cloned().collect();
        let named = compose::placeholders(settings, &layers);
        fetched.extend(source::fetch_secrets(named, &access).await.err().map(Err));
        fetched
    }

    async fn ecs(self, facts: &HostFacts) {
        let answer = self.attempt(&DISCOVER_POLL_ENDPOINT, facts).await;
        let url = |field| answer.as_ref().ok().and_then(|answer| answer.url(field));
        let (agent, telemetry) = (url("endpoint"), url("telemetryEndpoint"));
        keep(&self.target.observed.ecs, answer);
        tokio::join!(
            self.connect(Service::EcsAgent, agent),
            self.connect(Service::EcsTelemetry, telemetry)
        );
    }

    async fn attempt(self, action: &Action, facts: &HostFacts) -> Result<Answer, String> {
        let aws = &self.target.settings.aws;
        let region = aws.region.as_deref().or(facts.reported.region.as_deref());
        let http = &self.clients.http;
        signed::attempt(action, aws, region, &facts.credentials, http).await
    }
}

//! Listens to the network: asks everybody at once, and keeps whatever was answered before time was
//! up.
//!
//! Who depends on whom: session token, then region and role; with the role's credentials STS, the
//! sources, ECS and ECR; with the answer of ECS the agent's two endpoints.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::Patient;
use crate::error::Diagnostic;
use crate::identity::host_kind;
use crate::identity::{self, Claim, Expected, External, Identity, Imds, Witness, imds};
use crate::net::aws::Service;
use crate::net::endpoint::{self, Knock, Place, SERVICES};
use crate::net::signed::{self, Action, Answer, DISCOVER_POLL_ENDPOINT, GET_AUTHORIZATION_TOKEN};
use crate::net::{self, Http, Proxies};
use crate::settings::{self, Given, Settings};
use crate::source::{self, Fetched};

/// What was heard. An empty cell: nobody was asked, or nobody answered in time.
#[derive(Default)]
pub(crate) struct Heard {
    /// Why nobody can be asked, and what would mend it.
    pub(crate) unusable: OnceLock<(String, String)>,
    /// The endpoint that gave a token.
    pub(crate) metadata: OnceLock<Result<String, imds::Error>>,
    /// The status of a request without a token.
    pub(crate) version_1: OnceLock<Option<u16>>,
    pub(crate) ipv6: OnceLock<Option<bool>>,
    /// The names of the instance's tags, one a line, if metadata shows them.
    pub(crate) tags: OnceLock<Result<Option<String>, imds::Error>>,
    pub(crate) claim: OnceLock<Result<Claim, identity::Error>>,
    pub(crate) identity: OnceLock<Result<Identity, identity::Error>>,
    pub(crate) sources: OnceLock<Vec<Result<Fetched, source::Error>>>,
    pub(crate) ecs: OnceLock<Result<Answer, String>>,
    pub(crate) ecr: OnceLock<Result<Answer, String>>,
    knocks: Mutex<BTreeMap<Place, Knock>>,
}

impl Heard {
    pub(crate) fn not_to_be_asked(
        &self,
        error: &(dyn std::error::Error + 'static),
        remedy: String,
    ) {
        // The first reason stands.
        let _known = self.unusable.set((super::words(error), remedy));
    }

    /// Whether the instance has a tag of this name, as far as metadata shows tags.
    pub(crate) fn is_tagged(&self, name: &str) -> bool {
        matches!(self.tags.get(), Some(Ok(Some(names))) if names.lines().any(|line| line.trim() == name))
    }

    pub(crate) fn knock(&self, place: Place) -> Option<Knock> {
        self.knocks.lock().unwrap_or_else(PoisonError::into_inner).get(&place).cloned()
    }

    fn knocked(&self, place: Place, knock: Knock) {
        self.knocks.lock().unwrap_or_else(PoisonError::into_inner).insert(place, knock);
    }
}

/// Keeps the first answer to each question; every question is asked once.
fn keep<T>(cell: &OnceLock<T>, heard: T) {
    let _first = cell.set(heard);
}

/// How this host reaches the network.
struct Ways {
    http: Http,
    proxies: Proxies,
    imds: Imds,
    external: Option<External>,
    deadline: Instant,
}

impl Ways {
    fn new(patient: &Patient, limit: Duration) -> Result<Self, (String, String)> {
        let bad_http = |error: net::Error| (super::words(&error), error.remedy());
        let began = Instant::now();
        let variables =
            || patient.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let options = imds::Options::new(variables())
            .map_err(|why| (why, "correct or unset the variable".to_owned()))?;
        let network =
            net::Options::from_vars(patient.variables.iter().cloned()).map_err(bad_http)?;
        let metadata_until = began + limit.mul_f32(0.4);
        Ok(Ways {
            http: Http::new(&network).map_err(bad_http)?,
            proxies: network.proxies,
            imds: Imds::new(net::direct().map_err(bad_http)?, options, metadata_until),
            external: patient
                .external()
                .then(|| External::new(&patient.settings, variables(), metadata_until)),
            deadline: began + limit.mul_f32(0.9),
        })
    }

    fn witness(&self) -> Witness<'_> {
        self.external.as_ref().map_or(Witness::Ec2(&self.imds), Witness::External)
    }
}

/// Asks, for at most so long. Name look-ups that hang are left behind in threads of their own.
pub(crate) fn listen(patient: &mut Patient, limit: Duration) {
    if patient.heard.unusable.get().is_some() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            return patient
                .heard
                .not_to_be_asked(&error, "look for a lack of memory or file descriptors".into());
        }
    };
    let ways = match Ways::new(patient, limit) {
        Ok(ways) => ways,
        Err(why) => return keep(&patient.heard.unusable, why),
    };
    runtime.block_on(async {
        patient.settings =
            settled(patient, &ways).await.unwrap_or_else(|| patient.settings.clone());
        // What came in time is kept; what did not is told as such.
        let _out_of_time =
            timeout_at(ways.deadline + limit.mul_f32(0.1), hear(patient, &ways)).await;
    });
    runtime.shutdown_background();
}

/// The settings with those that instance tags give, if tags are asked for and can be read.
async fn settled(patient: &Patient, ways: &Ways) -> Option<Settings> {
    if !patient.settings.from_tags {
        return None;
    }
    let tags =
        timeout(Duration::from_secs(2), identity::tags(ways.witness())).await.ok()?.ok()??;
    let tags = tags.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    patient.settings.clone().with_tags(Given::tags(tags).ok()?).ok()
}

async fn hear(patient: &Patient, ways: &Ways) {
    if !patient.external() {
        let began = ways.imds.session_began().await;
        keep(&patient.heard.metadata, began.map(|()| ways.imds.endpoint().unwrap_or_default()));
    }
    tokio::join!(metadata(patient, ways), doors(patient, ways), role(patient, ways));
}

async fn metadata(patient: &Patient, ways: &Ways) {
    if patient.external() || !matches!(patient.heard.metadata.get(), Some(Ok(_))) {
        return;
    }
    let (version_1, ipv6, tags) = tokio::join!(
        ways.imds.status_without_token(),
        ways.imds.answers_ipv6(),
        ways.imds.get("meta-data/tags/instance/")
    );
    keep(&patient.heard.version_1, version_1);
    keep(&patient.heard.ipv6, ipv6);
    keep(&patient.heard.tags, tags);
}

async fn doors(patient: &Patient, ways: &Ways) {
    let region = region(patient, ways).await;
    let urls = SERVICES.into_iter().map(|(place, service)| {
        (place, endpoint::url(place, service, &patient.settings.aws, region.as_deref()))
    });
    let knocks = urls
        .filter_map(|(place, url)| Some((place, url?)))
        .map(|(place, url)| knock(patient, ways, place, url));
    futures_util::future::join_all(knocks).await;
}

async fn knock(patient: &Patient, ways: &Ways, place: Place, url: reqwest::Url) {
    patient.heard.knocked(place, endpoint::knock(&ways.http, &ways.proxies, &url).await);
}

async fn region(patient: &Patient, ways: &Ways) -> Option<String> {
    let settings = &patient.settings;
    if settings.aws.region.is_some() {
        return settings.aws.region.clone();
    }
    if patient.external() {
        return host_kind::configured(settings, "AWS_DEFAULT_REGION")
            .or_else(|| host_kind::registration(settings)?.region);
    }
    ways.imds.get("meta-data/placement/region").await.ok().flatten()
}

/// The role's credentials, and what they open.
async fn role(patient: &Patient, ways: &Ways) {
    let heard = &patient.heard;
    keep(&heard.claim, identity::claim(ways.witness()).await);
    let Some(Ok(claim)) = heard.claim.get() else { return };
    tokio::join!(
        async { keep(&heard.identity, identity(patient, ways, claim).await) },
        async { keep(&heard.sources, sources(patient, ways, claim).await) },
        ecs(patient, ways, claim),
        async {
            keep(
                &heard.ecr,
                attempt(&GET_AUTHORIZATION_TOKEN, (Place::Ecr, Service::Ecr), patient, ways, claim)
                    .await,
            )
        },
    );
}

async fn identity(
    patient: &Patient,
    ways: &Ways,
    claim: &Claim,
) -> Result<Identity, identity::Error> {
    let settings = &patient.settings;
    let expected = Expected {
        role: settings.expect_role.as_deref(),
        account: settings.expect_account.as_deref(),
    };
    identity::confirm(claim, expected, &settings.aws, &ways.http, ways.deadline).await
}

async fn sources(
    patient: &Patient,
    ways: &Ways,
    claim: &Claim,
) -> Vec<Result<Fetched, source::Error>> {
    let access = source::Access {
        http: &ways.http,
        aws: &patient.settings.aws,
        credentials: Some(&claim.credentials),
        region: claim.region.clone(),
        deadline: ways.deadline,
        held: None,
    };
    futures_util::future::join_all(
        patient.settings.config.iter().map(|source| source::fetch(source, &access)),
    )
    .await
}

async fn ecs(patient: &Patient, ways: &Ways, claim: &Claim) {
    let answer =
        attempt(&DISCOVER_POLL_ENDPOINT, (Place::Ecs, Service::Ecs), patient, ways, claim).await;
    let named = |field| answer.as_ref().ok().and_then(|answer| answer.url(field));
    let places =
        [(Place::Agent, named("endpoint")), (Place::Telemetry, named("telemetryEndpoint"))];
    keep(&patient.heard.ecs, answer);
    let knocks =
        places.into_iter().filter_map(|(place, url)| Some(knock(patient, ways, place, url?)));
    futures_util::future::join_all(knocks).await;
}

async fn attempt(
    action: &Action,
    at: (Place, Service),
    patient: &Patient,
    ways: &Ways,
    claim: &Claim,
) -> Result<Answer, String> {
    let aws = &patient.settings.aws;
    let region = aws.region.as_deref().or(claim.region.as_deref());
    let url = endpoint::url(at.0, at.1, aws, region);
    let (Some(url), Some(region)) = (url, region) else { return Err("no region is known".into()) };
    signed::attempt(action, &url, region, &claim.credentials, &ways.http).await
}

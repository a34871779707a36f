//! One boot, as a straight line: identity beside fetch, compose, install, agent. The fence comes
//! before all of it.
//!
//! Each step needs what the one before it made; no step knows its place.

use std::pin::pin;
use std::time::SystemTime;

use ecs_config::expand::Placeholder;
use tokio::time::Instant;

use crate::error::Error;
use crate::error::ExitStatus;
use crate::files::sha256;
use crate::files::{self, Replaced};
use crate::identity::host_kind;
use crate::identity::{self, Claim, Expected, Identity, Witness};
use crate::install::agent::{self, Restarted};
use crate::install::compose::{self, Composed, Facts, Surroundings};
use crate::install::state::{self, Generation, State, boot_id};
use crate::install::{diff, stale as keep};
use crate::net::Http;
use crate::paths::{self, ECS_CONFIG};
use crate::report::{Config, KeyOrigin, Outcome, Report, rfc3339};
use crate::settings::{self, Settings, Stale};
use crate::source::{self, Fetched, Held};

/// How this host reaches AWS, and until when it tries.
pub(crate) struct Boot<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) http: &'a Http,
    pub(crate) witness: Witness<'a>,
    pub(crate) deadline: Instant,
}

/// Walks the line, and installs. The caller holds the lock.
pub(crate) async fn run(boot: &Boot<'_>, report: &mut Report) -> Result<Outcome, Error> {
    something_to_install(boot.settings)?;
    let known = State::read(&boot.settings.path(paths::STATE));
    let outcome = match compose(boot, &known, report).await {
        Ok(ready) => put_in_place(boot.settings, &ready, known, report)?,
        // Unreachable is not refused: a fleet that reboots while S3 is down stays on what it
        // verified before.
        Err(error)
            if error.status() == ExitStatus::SourceUnreachable
                && boot.settings.stale == Stale::Keep =>
        {
            keep::last_verified(boot.settings, known, error, report)?
        }
        Err(error) => return Err(error),
    };
    restart_agent(boot.settings, outcome, report).await;
    Ok(outcome)
}

/// Walks the line up to the installation. Touches nothing; gives the difference that an
/// installation would make.
pub(crate) async fn dry_run(
    boot: &Boot<'_>,
    report: &mut Report,
) -> Result<(Outcome, String), Error> {
    something_to_install(boot.settings)?;
    let known = State::read(&boot.settings.path(paths::STATE));
    let ready = compose(boot, &known, report).await?;
    let old = ready.present.as_deref().unwrap_or_default();
    report.config = Some(ready.config(old != ready.composed.bytes));
    Ok((Outcome::DryRun, diff::unified(ECS_CONFIG, old, &ready.composed.bytes)))
}

fn something_to_install(settings: &Settings) -> Result<(), settings::Error> {
    if settings.config.is_empty() && settings.set.is_empty() {
        Err(settings::Error::NoConfig)
    } else {
        Ok(())
    }
}

/// What is ready to be installed, and on whose host.
struct Ready {
    identity: Identity,
    fetched: Vec<Fetched>,
    composed: Composed,
    present: Option<Vec<u8>>,
}

async fn compose(boot: &Boot<'_>, known: &State, report: &mut Report) -> Result<Ready, Error> {
    let held = held(boot.settings, known);
    let (claim, identity, fetched) = who_and_what(boot, held.as_ref(), report).await?;
    report.enter("lint");
    let facts = facts(boot, &claim, &identity, &fetched).await?;
    let present = files::current(&boot.settings.path(ECS_CONFIG))?;
    let surroundings = Surroundings::look(boot.settings, known, present.as_deref(), &identity);
    let composed =
        compose::compose(boot.settings, &fetched, &facts, &surroundings, &mut report.findings)?;
    report.done(
        "lint",
        1,
        format!("{} variables, {} findings", composed.keys.len(), report.findings.len()),
    );
    Ok(Ready { identity, fetched, composed, present })
}

/// Identity and fetch, side by side once the role's credentials are there: STS does not wait for
/// S3, nor S3 for STS. Once more with each rotation of the credentials, if STS does not take these.
async fn who_and_what(
    boot: &Boot<'_>,
    held: Option<&Held>,
    report: &mut Report,
) -> Result<(Claim, Identity, Vec<Fetched>), Error> {
    report.enter("identity");
    loop {
        let claim = identity::claim(boot.witness).await?;
        match side_by_side(boot, &claim, held, report).await {
            Err(error)
                if error.cause().is_some_and(|error| {
                    boot.witness.may_have_others(&claim.credentials, error)
                }) => {}
            done => return done.map(|(identity, fetched)| (claim, identity, fetched)),
        }
    }
}

/// The identity alone, likewise.
pub(crate) async fn who(boot: &Boot<'_>) -> Result<Identity, Error> {
    loop {
        let claim = identity::claim(boot.witness).await?;
        match prove(boot, &claim).await {
            Err(error)
                if error.cause().is_some_and(|error| {
                    boot.witness.may_have_others(&claim.credentials, error)
                }) => {}
            done => return done,
        }
    }
}

/// Who on what, for people.
pub(crate) fn on_its_host(identity: &Identity, settings: &Settings) -> String {
    let of_batch = if identity.kind == "ec2" && host_kind::is_batch(settings) {
        host_kind::OF_BATCH
    } else {
        ""
    };
    format!("{} on {}{of_batch}", identity.role, identity.instance_id)
}

async fn side_by_side(
    boot: &Boot<'_>,
    claim: &Claim,
    held: Option<&Held>,
    report: &mut Report,
) -> Result<(Identity, Vec<Fetched>), Error> {
    let clock = report.clock();
    report.enter("fetch");
    let identity = clock.timed(prove(boot, claim));
    let fetched = clock.timed(fetch_all(boot, claim, held));
    let ((identity, proven), (fetched, came)) = identity_first(identity, fetched).await?;
    report.done_at(
        proven,
        "identity",
        1 + boot.witness.repeats(),
        on_its_host(&identity, boot.settings),
    );
    report.done_at(came, "fetch", attempts(&fetched), in_words(&fetched));
    report.host = Some(identity.clone());
    Ok((identity, fetched))
}

/// Both, or the first failure that tells the cause: where the identity is wrong, S3's refusal
/// follows from it.
async fn identity_first<I, F>(
    identity: impl Future<Output = Result<I, Error>>,
    fetch: impl Future<Output = Result<F, Error>>,
) -> Result<(I, F), Error> {
    let (mut identity, mut fetch) = (pin!(identity), pin!(fetch));
    tokio::select! {
        proven = &mut identity => Ok((proven?, fetch.await?)),
        came = &mut fetch => match (identity.await, came) {
            // STS that is out of reach proves nothing wrong, and S3's refusal stands for itself.
            (Err(silent), Err(refused)) if silent.status() == ExitStatus::SourceUnreachable => Err(refused),
            (proven, came) => Ok((proven?, came?)),
        },
    }
}

/// Confirms with STS who we are, within the deadline.
async fn prove(boot: &Boot<'_>, claim: &Claim) -> Result<Identity, Error> {
    let settings = boot.settings;
    let expected = Expected {
        role: settings.expect_role.as_deref(),
        account: settings.expect_account.as_deref(),
    };
    let confirmed =
        identity::confirm(claim, expected, &settings.aws, boot.http, boot.deadline).await;
    Ok(confirmed?)
}

/// The file that stands, if it is one layer's bytes and nothing else: S3 then need not send them
/// again. Its digest says that nobody has changed it since.
fn held(settings: &Settings, known: &State) -> Option<Held> {
    let bytes = files::current(&settings.path(ECS_CONFIG)).ok()??;
    let generation = known.generation(&sha256(&bytes))?;
    match generation.layers.as_slice() {
        [layer] if layer.sha256 == generation.sha256 => Some(Held { layer: layer.clone(), bytes }),
        _ => None,
    }
}

async fn fetch_all(
    boot: &Boot<'_>,
    claim: &Claim,
    held: Option<&Held>,
) -> Result<Vec<Fetched>, Error> {
    let access = source::Access {
        http: boot.http,
        aws: &boot.settings.aws,
        credentials: Some(&claim.credentials),
        region: claim.region.clone(),
        deadline: boot.deadline,
        held,
    };
    Ok(source::fetch_all(&boot.settings.config, &access).await?)
}

fn attempts(fetched: &[Fetched]) -> u32 {
    fetched.iter().map(|layer| layer.attempts).max().unwrap_or(0)
}

fn in_words(fetched: &[Fetched]) -> String {
    let brought = |layer: &Fetched| {
        if layer.not_modified {
            "not modified".into()
        } else {
            format!("{} bytes", layer.bytes.len())
        }
    };
    let layers: Vec<String> =
        fetched.iter().map(|layer| format!("{} ({})", layer.source, brought(layer))).collect();
    if layers.is_empty() { "no layer but --set".into() } else { layers.join(", ") }
}

/// What `${…}` stands for on this host. Tags are asked for one by one, and only those that some
/// layer names.
async fn facts(
    boot: &Boot<'_>,
    claim: &Claim,
    identity: &Identity,
    fetched: &[Fetched],
) -> Result<Facts, Error> {
    let mut facts = Facts::default();
    if !boot.settings.expand {
        return Ok(facts);
    }
    for placeholder in compose::placeholders(boot.settings, fetched) {
        let value = match &placeholder {
            Placeholder::Region => identity.region.clone(),
            Placeholder::AvailabilityZone => identity.availability_zone.clone(),
            Placeholder::InstanceId => Some(identity.instance_id.clone()),
            Placeholder::InstanceType => claim.instance_type.clone(),
            Placeholder::AmiId => claim.image_id.clone(),
            Placeholder::AccountId => Some(identity.account_id.clone()),
            Placeholder::Tag(name) => identity::tag(boot.witness, name).await?,
        };
        facts.extend(value.map(|value| (placeholder, value)));
    }
    Ok(facts)
}

/// State before, file, state after: whenever we are killed, the next run knows which keys are ours.
fn put_in_place(
    settings: &Settings,
    ready: &Ready,
    mut known: State,
    report: &mut Report,
) -> Result<Outcome, Error> {
    report.enter("install");
    let (target, state) = (settings.path(ECS_CONFIG), settings.path(paths::STATE));
    let old = ready.present.as_deref().filter(|old| *old != ready.composed.bytes);
    if let Some(old) = old {
        files::replace(&settings.path(paths::PREVIOUS_CONFIG), old, 0o600)?;
    }
    if ready.present.is_none() || old.is_some() {
        known.announce(&state, ready.generation())?;
    }
    let installed = files::replace(&target, &ready.composed.bytes, 0o600)?;
    known.settle(&state, ready.generation())?;
    let changed = installed == Replaced::Written;
    report.config = Some(ready.config(changed));
    report.done(
        "install",
        1,
        format!("{ECS_CONFIG} {}", if changed { "written" } else { "is as it should be" }),
    );
    Ok(if changed { Outcome::Installed } else { Outcome::Unchanged })
}

impl Ready {
    fn config(&self, changed: bool) -> Config {
        let keys = self.composed.keys.iter();
        Config {
            path: ECS_CONFIG.into(),
            sha256: sha256(&self.composed.bytes),
            bytes: self.composed.bytes.len(),
            changed,
            layers: self.fetched.iter().map(Fetched::layer).collect(),
            keys: keys
                .map(|(key, origin)| {
                    (key.clone(), KeyOrigin { from: origin.from.clone(), line: origin.line })
                })
                .collect(),
        }
    }

    fn generation(&self) -> Generation {
        Generation {
            sha256: sha256(&self.composed.bytes),
            keys: self.composed.owned.clone(),
            layers: self.fetched.iter().map(Fetched::layer).collect(),
            verified_at: rfc3339(SystemTime::now()),
            boot_id: boot_id(),
            instance_id: Some(self.identity.instance_id.clone()),
        }
    }
}

/// The agent's step: the only one whose failure is told and no failure of the run, for the file is
/// in place.
async fn restart_agent(settings: &Settings, outcome: Outcome, report: &mut Report) {
    if !settings.restart_agent {
        return report.skip("agent", "not asked for");
    }
    if outcome != Outcome::Installed {
        return report.skip("agent", "its configuration did not change");
    }
    if settings.root != std::path::Path::new("/") {
        return report.skip("agent", "the agent of this host does not read the files below --root");
    }
    report.enter("agent");
    match agent::restart().await {
        Restarted::Asked(unit) => report.done("agent", 1, format!("{unit} is restarting")),
        Restarted::NotActive => {
            report.done("agent", 1, "it is not running, and reads the file when it starts")
        }
        Restarted::Failed(why) => {
            tracing::warn!("agent: {why}; run `systemctl restart --no-block ecs`");
            report.done("agent", 1, why);
        }
    }
}

//! Makes of the layers the file to install, or says why it cannot be: expand, lint each, merge,
//! lint the whole.
//!
//! Pure but for [`Surroundings::look`], which reads what lies around the file: the readers' other
//! two files, and what is known of a cluster that the agent has joined before.

use std::collections::{BTreeMap, BTreeSet};

use ecs_config::expand::{self, Placeholder};
use ecs_config::lint::registered::{self, Registered};
use ecs_config::lint::{self, Context, File, Finding, Owned, Severity};
use ecs_config::merge::{self, Layer, Merged, Present, Rules};
use ecs_config::readers::ecs_init;
use ecs_config::text::plural;
pub(crate) use merge::Origin;
use thiserror::Error;

use crate::error::{Diagnostic, ExitStatus, Step};
use crate::files::sha256;
use crate::identity::Identity;
use crate::install::state::State;
use crate::paths::{self, AGENT_DB};
use crate::settings::Settings;
use crate::source::{self, Fetched};

/// What the placeholders of `--expand` stand for on this host.
pub(crate) type Facts = BTreeMap<Placeholder, String>;

/// The file to install, and where each key of it comes from.
pub(crate) type Composed = Merged;

const SET: &str = "--set";

/// Why there is nothing to install. Names sources, lines and keys; never values.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("{from}: it is no configuration: {what}")]
    NoConfiguration { from: String, what: String },
    #[error("{from}: {source}")]
    Expand { from: String, source: expand::Error },
    #[error("{errors}, the first: {first}", errors = plural(*.count, "error"))]
    Findings { count: usize, first: String, fix: Option<String> },
    #[error(transparent)]
    Merge(#[from] merge::Error),
    #[error("ECS_CLUSTER names another cluster than the one that this host's agent has joined")]
    Joined,
}

impl Diagnostic for Error {
    fn step(&self) -> Step {
        Step::Lint
    }

    /// Which word of the report it is.
    fn status(&self) -> ExitStatus {
        match self {
            Error::NoConfiguration { .. } => ExitStatus::Integrity,
            Error::Expand { .. } | Error::Findings { .. } => ExitStatus::Lint,
            Error::Merge(merge::Error::Conflict { .. }) => ExitStatus::Conflict,
            Error::Merge(_) => ExitStatus::Lint,
            Error::Joined => ExitStatus::Conflict,
        }
    }

    /// What would mend it.
    fn remedy(&self) -> String {
        match self {
            Error::NoConfiguration { .. } => {
                "look at what is stored there: the object must be an ecs.config, lines of KEY=value"
                    .into()
            }
            Error::Expand { .. } => {
                "correct the placeholder, or leave `--expand` off: `$` is literal to ECS".into()
            }
            Error::Findings { fix, .. } => {
                let fix = fix.as_ref().map(|fix| format!("{fix}; ")).unwrap_or_default();
                format!("{fix}`ecs-bootstrap lint SOURCE` shows all of them, each with its fix")
            }
            Error::Merge(error) => error.remedy(),
            Error::Joined => format!(
                "the agent would exit with status 5: launch a new instance for the other cluster, or stop the agent, deregister the \
                 instance, remove {AGENT_DB} and run again"
            ),
        }
    }
}

/// What lies around the file to install.
#[derive(Debug, Default)]
pub(crate) struct Surroundings {
    present: Option<Vec<u8>>,
    owned: BTreeSet<String>,
    instance_file: Option<Vec<u8>>,
    json_file: Option<Vec<u8>>,
    registered: Registered,
}

impl Surroundings {
    /// Reads it. What cannot be read counts as not there, as it does for the readers themselves.
    pub(crate) fn look(
        settings: &Settings,
        known: &State,
        present: Option<&[u8]>,
        identity: &Identity,
    ) -> Self {
        let digest = present.map(sha256);
        Surroundings {
            present: present.map(Vec::from),
            owned: known.owned(digest.as_deref()),
            instance_file: std::fs::read(settings.path("/var/lib/ecs/ecs.config")).ok(),
            json_file: std::fs::read(settings.path("/etc/ecs/ecs.config.json")).ok(),
            registered: registered(settings, known, present, identity),
        }
    }
}

/// The cluster that the agent has joined, as far as we know it: if it has started on this host with
/// the file that we installed, it is the one in that file. The agent forgets it when the instance
/// id changes, as for a host made from an image of another.
fn registered(
    settings: &Settings,
    known: &State,
    present: Option<&[u8]>,
    identity: &Identity,
) -> Registered {
    if !settings.path(AGENT_DB).exists() {
        return Registered::Never;
    }
    let ours = present
        .and_then(|bytes| known.generation(&sha256(bytes)).map(|generation| (bytes, generation)));
    match ours {
        Some((_, generation)) if generation.instance_id.as_ref() != Some(&identity.instance_id) => {
            Registered::Never
        }
        Some((bytes, _)) => cluster(bytes).map_or(Registered::Unknown, Registered::In),
        None => Registered::Unknown,
    }
}

fn cluster(bytes: &[u8]) -> Option<String> {
    let read = ecs_init(bytes);
    let value = read.map().get("ECS_CLUSTER".as_bytes()).copied().flatten()?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// The placeholders that the layers name.
pub(crate) fn placeholders(settings: &Settings, fetched: &[Fetched]) -> BTreeSet<Placeholder> {
    let set = set_layer(settings);
    let layers = fetched.iter().map(|layer| layer.bytes.as_slice()).chain([set.as_slice()]);
    layers.flat_map(expand::placeholders).collect()
}

/// Makes the file. What the linter finds is added to `findings`, errors too.
pub(crate) fn compose(
    settings: &Settings,
    fetched: &[Fetched],
    facts: &Facts,
    around: &Surroundings,
    findings: &mut Vec<Finding>,
) -> Result<Composed, Error> {
    let layers = expanded(settings, fetched, facts)?;
    let context = context(settings, around);
    for (name, bytes) in &layers {
        // What is mended on the way in is no error of the file that will stand; the mending itself
        // is noted below.
        let (bytes, _) = merge::mend(bytes);
        findings.extend(lint::check_layer(&File { source: name, bytes: &bytes }, &context));
    }
    refuse_errors(findings)?;
    let merged = merged(settings, &layers, around)?;
    findings.extend(merged.mended.iter().map(mended));
    findings.extend(whole(&merged, &context));
    // Before the linter's error of the same meaning: a conflict with what is on the host is no
    // error in the configuration.
    if registered::conflict(cluster(&merged.bytes).as_deref(), &around.registered).is_some() {
        return Err(Error::Joined);
    }
    refuse_errors(findings)?;
    Ok(merged)
}

/// The layers by name, `--set` last, with their placeholders replaced if that was asked for.
fn expanded(
    settings: &Settings,
    fetched: &[Fetched],
    facts: &Facts,
) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let mut layers: Vec<(String, Vec<u8>)> = Vec::new();
    for layer in fetched {
        let from = layer.source.to_string();
        if let Some(what) = source::content_is_no_configuration(&layer.bytes) {
            return Err(Error::NoConfiguration { from, what: what.to_string() });
        }
        layers.push((from, layer.bytes.clone()));
    }
    if !settings.set.is_empty() {
        layers.push((SET.into(), set_layer(settings)));
    }
    if settings.expand {
        for (from, bytes) in &mut layers {
            let full = expand::expand(bytes, |placeholder| facts.get(placeholder).cloned());
            *bytes = full.map_err(|source| Error::Expand { from: from.clone(), source })?;
        }
    }
    Ok(layers)
}

fn set_layer(settings: &Settings) -> Vec<u8> {
    settings
        .set
        .iter()
        .map(|(key, value)| format!("{key}={value}\n"))
        .collect::<String>()
        .into_bytes()
}

fn context<'a>(settings: &Settings, around: &'a Surroundings) -> Context<'a> {
    Context {
        whole: true,
        instance_file: around.instance_file.as_deref(),
        json_file: around.json_file.as_deref(),
        allow_default_cluster: settings.allow_default_cluster,
        block_host_tasks: settings.block_imds_host_tasks,
        registered: around.registered.clone(),
        ..Context::default()
    }
}

fn merged(
    settings: &Settings,
    layers: &[(String, Vec<u8>)],
    around: &Surroundings,
) -> Result<Merged, Error> {
    let layers: Vec<Layer<'_>> = layers.iter().map(|(name, bytes)| Layer { name, bytes }).collect();
    let present = around.present.as_deref().map(|bytes| Present { bytes, owned: &around.owned });
    let rules = Rules { keep: &settings.keep, replace: settings.replace, path: paths::ECS_CONFIG };
    Ok(merge::merge(&layers, present, rules)?)
}

/// What the linter says of the merged file as a whole, each setting named by the layer that it came
/// from.
fn whole(merged: &Merged, context: &Context) -> Vec<Finding> {
    let text = String::from_utf8_lossy(&merged.bytes);
    let settings: Vec<Owned> = text
        .lines()
        .filter_map(|line| line.trim().split_once('='))
        .filter_map(|(name, value)| {
            merged.keys.get(name).map(|origin| Owned {
                name,
                value,
                source: &origin.from,
                line: origin.line,
            })
        })
        .collect();
    lint::check_together(&settings, context)
}

fn mended(mend: &merge::Mend) -> Finding {
    Finding {
        id: "mended",
        severity: Severity::Note,
        source: mend.from.clone(),
        line: Some(mend.line),
        key: None,
        message: mend.what.into(),
        fix: None,
        columns: 0..0,
    }
}

fn refuse_errors(findings: &[Finding]) -> Result<(), Error> {
    let errors = || findings.iter().filter(|finding| finding.severity == Severity::Error);
    let Some(first) = errors().next() else { return Ok(()) };
    // What is missing is missing nowhere in particular.
    let place = match (&*first.source, first.line) {
        ("", _) => String::new(),
        (source, Some(line)) => format!("{source}, line {line}: "),
        (source, None) => format!("{source}: "),
    };
    let first_in_words = format!("{place}{} ({})", first.message, first.id);
    Err(Error::Findings { count: errors().count(), first: first_in_words, fix: first.fix.clone() })
}

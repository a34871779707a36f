//! Makes of the layers the file to install, or says why it cannot be: expand, lint each, merge,
//! lint the whole.
//!
//! Pure but for one question: whether the agent has joined a cluster on this host.

use std::collections::{BTreeMap, BTreeSet};

use ecs_config::Effective;
use ecs_config::expand::{self, Placeholder};
use ecs_config::lint::{self, Context, File, Finding, Registered, Severity};
use ecs_config::merge::{self, Layer, Merged, Present};
use ecs_config::text::plural;
use thiserror::Error;

use crate::error::{Diagnostic, ExitStatus, Step};
use crate::files::HostFiles;
use crate::install::attributes::{self, Attributes};
use crate::install::foreign;
use crate::install::state::State;
use crate::paths::{self, AGENT_DB, MAX_CONFIG, MAX_KEYS, MAX_LAYERS_BYTES, MAX_LINES, MAX_TAGS};
use crate::settings::Settings;
use crate::source::{self, Fetched};

/// What the placeholders of `--expand` stand for on this host.
pub(crate) type Values = BTreeMap<Placeholder, String>;

/// The file to install, and where each key of it comes from.
pub(crate) type Composed = Merged;

const SET: &str = "--set";

/// Why there is nothing to install. Names sources, lines and keys; never values.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("{from}: it is not a configuration: {what}")]
    NoConfiguration { from: String, what: String },
    #[error("{from}: {count} {what}, and at most {most} are taken")]
    TooMany { from: String, count: usize, what: &'static str, most: usize },
    #[error("{from}: {source}")]
    Expand { from: String, source: expand::Error },
    #[error("{errors}, the first: {first}", errors = plural(*.count, "error"))]
    Findings { count: usize, first: String, fix: Option<String> },
    #[error(transparent)]
    Foreign(#[from] foreign::Error),
    #[error(transparent)]
    Merge(#[from] merge::Error),
    #[error("ECS_CLUSTER names another cluster than the one that this host's agent has joined")]
    Joined,
}

impl Diagnostic for Error {
    fn step(&self) -> Step {
        Step::Lint
    }

    fn status(&self) -> ExitStatus {
        match self {
            Error::NoConfiguration { .. } => ExitStatus::Integrity,
            Error::TooMany { .. } | Error::Expand { .. } | Error::Findings { .. } => {
                ExitStatus::Lint
            }
            Error::Foreign(error) => error.status(),
            Error::Merge(merge::Error::Conflict { .. }) => ExitStatus::Conflict,
            Error::Merge(_) => ExitStatus::Lint,
            Error::Joined => ExitStatus::Conflict,
        }
    }

    fn remedy(&self) -> String {
        match self {
            Error::NoConfiguration { .. } => {
                "look at what is stored there: the object must be an ecs.config, lines of KEY=value"
                    .into()
            }
            Error::TooMany { .. } => {
                "check what is stored there: an ecs.config has some dozens of variables".into()
            }
            Error::Expand { .. } => {
                "correct the placeholder, or leave `--expand` off: `$` is literal to ECS".into()
            }
            Error::Findings { fix, .. } => {
                let fix = fix.as_ref().map(|fix| format!("{fix}; ")).unwrap_or_default();
                format!("{fix}`ecs-bootstrap lint SOURCE` shows all of them, each with its fix")
            }
            Error::Foreign(error) => error.remedy(),
            Error::Merge(error) => error.remedy(),
            Error::Joined => format!(
                "the agent would exit with status 5: launch a new instance for the other cluster, or stop the agent, deregister the \
                 instance, remove {AGENT_DB} and run again"
            ),
        }
    }
}

/// What is on the host already: the agent's files and what earlier runs left.
pub(crate) struct Surroundings<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) files: &'a HostFiles,
    pub(crate) state: &'a State,
    /// The file that the result will replace.
    pub(crate) present: Option<&'a [u8]>,
    pub(crate) instance_id: &'a str,
    /// What the run has proven, if it is to be in the file.
    pub(crate) attributes: Attributes,
}

impl Surroundings<'_> {
    /// The cluster that the agent has joined, as far as we know it: if it has started on this host
    /// with the file that we installed, it is the one in that file. The agent forgets it when the
    /// instance id changes, as for a host made from an image of another.
    fn registered(&self) -> Registered {
        if !self.settings.path(AGENT_DB).exists() {
            return Registered::Never;
        }
        let Some(bytes) = self.present else { return Registered::Unknown };
        match self.files.digest().and_then(|digest| self.state.generation(digest)) {
            Some(ours) if ours.instance_id.as_deref() != Some(self.instance_id) => {
                Registered::Never
            }
            Some(_) => cluster(bytes).map_or(Registered::Unknown, Registered::In),
            None => Registered::Unknown,
        }
    }

    fn context(&self) -> Context<'_> {
        Context {
            whole: true,
            instance_file: self.files.instance_config(),
            json_file: self.files.json_config(),
            allow_default_cluster: self.settings.allow_default_cluster,
            block_host_tasks: self.settings.block_imds_host_tasks,
            registered: self.registered(),
            ..Context::default()
        }
    }
}

/// An empty value names no cluster, but it is what the file says.
fn cluster(bytes: &[u8]) -> Option<String> {
    Effective::new(Some(bytes), None).get("ECS_CLUSTER").map(|set| set.text())
}

/// The placeholders that the layers name, if they are to be replaced.
pub(crate) fn placeholders(settings: &Settings, fetched: &[Fetched]) -> BTreeSet<Placeholder> {
    if !settings.expand {
        return BTreeSet::new();
    }
    let set = set_layer(settings);
    texts(fetched, &set).flat_map(expand::placeholders).collect()
}

/// Each tag is a request.
///
/// # Errors
/// More tags than an instance has.
pub(crate) fn check_tags(placeholders: &BTreeSet<Placeholder>) -> Result<(), Error> {
    let tags = placeholders.iter().filter(|one| matches!(one, Placeholder::Tag(_)));
    at_most(MAX_TAGS, tags.count(), "instance tags", "the layers together")
}

fn at_most(most: usize, count: usize, what: &'static str, from: &str) -> Result<(), Error> {
    match count > most {
        true => Err(Error::TooMany { from: from.to_owned(), count, what, most }),
        false => Ok(()),
    }
}

/// The variables of the result whose values came from a parameter or a secret.
pub(crate) fn secret_keys(
    settings: &Settings,
    fetched: &[Fetched],
    composed: &Composed,
) -> BTreeSet<String> {
    let whole = fetched.iter().filter(|one| source::is_secret(&one.layer.source));
    let whole: Vec<Effective<'_>> =
        whole.map(|one| Effective::new(Some(&one.bytes), None)).collect();
    let is_set = |key: &&String| whole.iter().any(|layer| layer.get(key).is_some());
    let mut keys: BTreeSet<String> = composed.keys.keys().filter(is_set).cloned().collect();
    if settings.expand {
        keys.extend(texts(fetched, &set_layer(settings)).flat_map(expand::secret_names));
    }
    keys
}

/// Makes the file. What the linter finds is added to `findings`, errors too.
pub(crate) fn compose(
    fetched: &[Fetched],
    values: &Values,
    around: &Surroundings<'_>,
    findings: &mut Vec<Finding>,
) -> Result<Composed, Error> {
    let layers = expanded(around.settings, fetched, values)?;
    let context = around.context();
    for (name, bytes) in &layers {
        // What is normalised on the way in is not an error of the result; that it was is noted
        // below.
        let (bytes, _) = merge::normalise(bytes);
        findings.extend(lint::check_layer(&File { source: name, bytes: &bytes }, &context));
    }
    refuse_errors(findings)?;
    let merged = merged(&layers, around)?;
    at_most(MAX_CONFIG, merged.bytes.len(), "bytes of ecs.config", "all together")?;
    findings.extend(merged.changes.iter().map(Finding::from));
    let whole = lint::check_merged(&merged, &context).into_iter();
    let (mut of_others, ours): (Vec<Finding>, Vec<Finding>) = whole.partition(foreign::is);
    findings.extend(ours);
    // Before the linter's error of the same meaning: a conflict with what is on the host is not an
    // error in the configuration.
    let effective = Effective::new(Some(&merged.bytes), context.instance_file);
    let cluster = effective.with_json(context.json_file).text("ECS_CLUSTER");
    if context.registered.conflicts_with(cluster.as_deref()) {
        return Err(Error::Joined);
    }
    refuse_errors(findings)?;
    of_others.extend(foreign::findings(&merged, around.present, around.files, around.instance_id));
    let judged = foreign::judge(&mut of_others, around.settings.tolerate_foreign);
    findings.append(&mut of_others);
    judged?;
    Ok(merged)
}

/// The layers by name, `--set` last, with their placeholders replaced if that was asked for.
fn expanded(
    settings: &Settings,
    fetched: &[Fetched],
    values: &Values,
) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let mut layers: Vec<(String, Vec<u8>)> = Vec::new();
    for layer in fetched {
        let from = layer.layer.source.clone();
        if let Some(what) = source::not_a_configuration(&layer.bytes) {
            return Err(Error::NoConfiguration { from, what: what.to_string() });
        }
        let lines = layer.bytes.split(|byte| *byte == b'\n').count();
        at_most(MAX_KEYS, assignments(&layer.bytes), "variables", &from)?;
        at_most(MAX_LINES, lines, "lines", &from)?;
        layers.push((from, layer.bytes.clone()));
    }
    if !settings.set.is_empty() {
        layers.push((SET.into(), set_layer(settings)));
    }
    if settings.expand {
        let mut all = 0;
        for (from, bytes) in &mut layers {
            let full = expand::expand(bytes, |placeholder| values.get(placeholder).cloned());
            *bytes = full.map_err(|source| Error::Expand { from: from.clone(), source })?;
            all += bytes.len();
            at_most(MAX_LAYERS_BYTES, all, "bytes with those before it", from)?;
        }
    }
    Ok(layers)
}

/// Lines that may set something: a cheap bound on what is to be merged and reported.
fn assignments(bytes: &[u8]) -> usize {
    let lines = bytes.split(|byte| *byte == b'\n');
    lines.filter(|line| !line.starts_with(b"#") && line.contains(&b'=')).count()
}

/// `--set` as a layer.
fn set_layer(settings: &Settings) -> Vec<u8> {
    settings.set.iter().flat_map(|(key, value)| format!("{key}={value}\n").into_bytes()).collect()
}

/// The bytes of the layers, those of `--set` last.
fn texts<'a>(fetched: &'a [Fetched], set: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    fetched.iter().map(|layer| layer.bytes.as_slice()).chain([set])
}

fn merged(layers: &[(String, Vec<u8>)], around: &Surroundings<'_>) -> Result<Merged, Error> {
    let mut owned = around.state.owned(around.files.digest());
    let attributes = attributes::layer(layers, around, &mut owned);
    let layers = layers.iter().chain(attributes.iter().map(|ours| &ours.layer));
    let layers: Vec<Layer<'_>> = layers.map(|(name, bytes)| Layer { name, bytes }).collect();
    let present = Present {
        path: paths::ECS_CONFIG,
        bytes: around.present.unwrap_or_default(),
        owned: &owned,
        keep: &around.settings.keep,
        replace: around.settings.replace,
    };
    let mut merged = merge::merge(&layers, present)?;
    if attributes.is_some_and(|ours| ours.is_alone) {
        merged.owned.remove(attributes::KEY);
    }
    Ok(merged)
}

fn refuse_errors(findings: &[Finding]) -> Result<(), Error> {
    let errors = || findings.iter().filter(|finding| finding.severity == Severity::Error);
    let Some(first) = errors().next() else { return Ok(()) };
    Err(Error::Findings { count: errors().count(), first: in_words(first), fix: first.fix.clone() })
}

/// A finding on one line, with its place; what is missing has none.
pub(super) fn in_words(finding: &Finding) -> String {
    let place = match (&*finding.source, finding.line) {
        ("", _) => String::new(),
        (source, Some(line)) => format!("{source}, line {line}: "),
        (source, None) => format!("{source}: "),
    };
    format!("{place}{} ({})", finding.message, finding.id)
}

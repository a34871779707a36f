//! Flags, environment, instance tags and the settings file, made into one checked [`Settings`].
//!
//! Pure: it is handed what was given in each of the four ways, as text, strongest first, and keeps
//! where each effective value came from. `keys` is the list of all settings.

mod environment;
mod given;
mod keys;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use ecs_config::readers::is_name;
use ecs_config::text::printable;
pub(crate) use environment::Environment;
pub(crate) use given::Given;
pub(crate) use keys::{ABANDON, Commands, DOCTOR, GUARD, KEYS, Key, RUN, Shape, VERIFY, names};
use thiserror::Error;

use crate::error::{Diagnostic, ExitStatus, Step};
use crate::net::aws::Aws;
use crate::net::partition::is_account;
use crate::paths::MAX_LAYERS;
use crate::source::{self, Source};
use crate::{log, paths};

/// The deadline where none is given.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);

/// Longer than any run, and short enough to be added to any clock.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// Why the settings cannot be used.
#[derive(Clone, Debug, Error, PartialEq)]
pub(crate) enum Error {
    #[error("{origin}: unknown setting `{name}`")]
    Unknown { origin: String, name: String, nearest: Option<String> },
    #[error("{origin}: {name}: {why}")]
    Value { origin: String, name: &'static str, why: String },
    #[error("{origin}: {name}: {source}")]
    Source { origin: String, name: &'static str, source: source::Invalid },
    #[error("{path}: {why}", path = path.display())]
    File { path: PathBuf, why: String },
    #[error("the environment variable {0} is not UTF-8")]
    NotUtf8(String),
    #[error("`{0}` is not preceded by --config")]
    WithoutConfig(String),
    #[error("no configuration is named")]
    NoConfig,
    #[error("from_tags is set, and instance metadata shows no tags")]
    NoTags,
}

impl Error {
    /// A source on the command line that cannot be understood.
    pub(crate) fn source(source: source::Invalid) -> Self {
        Error::Source { origin: "argument".into(), name: "SOURCE", source }
    }

    /// A source that was typed without `--config`.
    pub(crate) fn without_config(source: &str) -> Self {
        let shown = source.parse::<Source>().map(|source| source.to_string());
        Error::WithoutConfig(shown.unwrap_or_else(|invalid| printable(&invalid.given)))
    }

    /// SARIF holds findings, which the other commands have none of.
    pub(crate) fn only_lint() -> Self {
        Error::Value {
            origin: "flag".into(),
            name: "output",
            why: "sarif is for `lint`; expected text or json".into(),
        }
    }
}

impl Diagnostic for Error {
    fn step(&self) -> Step {
        Step::Settings
    }

    fn status(&self) -> ExitStatus {
        ExitStatus::Settings
    }

    fn remedy(&self) -> String {
        match self {
            Error::Unknown { nearest: Some(near), .. } => format!("did you mean `{near}`?"),
            Error::Unknown { nearest: None, .. } => format!("the settings are {}", names().collect::<Vec<_>>().join(", ")),
            Error::Source { source, .. } => source.remedy(),
            Error::Value { .. } => "correct the value; `ecs-bootstrap run --help` lists what each setting takes".into(),
            Error::File { .. } => "correct the file; ecs-bootstrap.toml(5) shows an example".into(),
            Error::WithoutConfig(source) => format!("write `--config {source}`"),
            Error::NoConfig => {
                "name the source of ecs.config: `--config s3://BUCKET/KEY`, ECS_BOOTSTRAP_CONFIG, or `config` in the settings file".into()
            }
            Error::NotUtf8(_) => "write it in UTF-8, or unset it".into(),
            Error::NoTags => "allow tags in metadata: `aws ec2 modify-instance-metadata-options --instance-id ID --instance-metadata-tags \
                 enabled`, after tags with a blank or a slash in their names are renamed, or unset from_tags"
                .into(),
        }
    }
}

/// What a run does while the source cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stale {
    Fail,
    Keep,
}

/// How the host gets its credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Host {
    Auto,
    Ec2,
    External,
}

/// Whether STS is asked who the host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sts {
    /// It has the last word where it can be reached.
    Auto,
    Require,
    Skip,
}

/// Everything a run needs to know, checked.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Every path of ours hangs off this folder; `/` on a real host.
    pub(crate) root: PathBuf,
    pub(crate) config: Vec<Source>,
    /// `(KEY, VALUE)`, in the order given.
    pub(crate) set: Vec<(String, String)>,
    pub(crate) keep: Vec<String>,
    pub(crate) replace: bool,
    pub(crate) expand: bool,
    pub(crate) allow_default_cluster: bool,
    pub(crate) tolerate_foreign: bool,
    pub(crate) expect_role: Option<String>,
    pub(crate) expect_account: Option<String>,
    pub(crate) host: Host,
    sts: Sts,
    pub(crate) block_imds: bool,
    pub(crate) block_imds_host_tasks: bool,
    pub(crate) allow_local_proxy: bool,
    pub(crate) restart_agent: bool,
    /// How long a restarted agent may take to come up; `None`: it is not watched.
    pub(crate) health_gate: Option<Duration>,
    pub(crate) stale: Stale,
    /// How old the verification of a kept file may be; `None`: any age.
    pub(crate) max_age: Option<Duration>,
    /// One deadline for the whole run.
    pub(crate) timeout: Duration,
    pub(crate) from_tags: bool,
    /// What was proven becomes attributes of the container instance.
    pub(crate) attributes: bool,
    /// The outcome is left for the inventory of Systems Manager.
    pub(crate) inventory: bool,
    pub(crate) aws: Aws,
    given: Given,
}

/// One setting after another out of what was given.
impl Given {
    fn flag(&self, name: &'static str) -> Result<bool, Error> {
        match self.text(name) {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(_) => Err(self.bad(name, "expected true or false")),
        }
    }

    fn duration(&self, name: &'static str) -> Result<Option<Duration>, Error> {
        let bad = |_| self.bad(name, "expected a duration with a unit, such as 90s, 5m or 36h");
        self.text(name).map(|text| humantime::parse_duration(text).map_err(bad)).transpose()
    }

    fn timeout(&self) -> Result<Duration, Error> {
        match self.duration("timeout")? {
            Some(Duration::ZERO) => Err(self.bad("timeout", "expected more than 0")),
            timeout => Ok(timeout.unwrap_or(DEFAULT_TIMEOUT).min(FOREVER)),
        }
    }

    fn account(&self) -> Result<Option<String>, Error> {
        match self.text("expect_account") {
            Some(id) if !is_account(id) => Err(self.bad(
                "expect_account",
                "expected an account id of 12 digits (in the settings file between quotes)",
            )),
            other => Ok(other.map(str::to_owned)),
        }
    }

    fn sources(&self) -> Result<Vec<Source>, Error> {
        let items = self.items("config");
        if items.len() > MAX_LAYERS {
            let why = format!("{} sources; at most {MAX_LAYERS} are taken", items.len());
            return Err(self.bad("config", why));
        }
        let bad = |source| Error::Source { origin: self.origin("config"), name: "config", source };
        items.iter().map(|item| item.parse().map_err(bad)).collect()
    }

    /// The last layer, by hand. An error names the key only: its value may be a secret.
    fn assignments(&self) -> Result<Vec<(String, String)>, Error> {
        let parse = |item: &String| {
            let (key, value) =
                item.split_once('=').ok_or("expected KEY=VALUE, and `=` is missing")?;
            if !is_name(key.as_bytes()) {
                return Err("expected KEY=VALUE with a KEY of letters, digits and `_`, not beginning with a digit".to_owned());
            }
            match value.contains(['\n', '\r', '\0']) {
                true => Err(format!(
                    "the value of {key} holds a line break or a NUL, which no reader of ecs.config can take"
                )),
                false => Ok((key.to_owned(), value.to_owned())),
            }
        };
        self.items("set")
            .iter()
            .map(|item| parse(item).map_err(|why| self.bad("set", why)))
            .collect()
    }

    fn kept(&self) -> Result<Vec<String>, Error> {
        let keys = self.items("keep");
        let Some(key) = keys.iter().find(|key| !is_name(key.as_bytes())) else {
            return Ok(keys.to_vec());
        };
        // What follows a `=` is a value, and may be a secret.
        let shown = key.split_once('=').map(|(key, _)| format!("{key}=…"));
        let shown = printable(shown.as_ref().unwrap_or(key));
        Err(self.bad("keep", format!("`{shown}` is not a valid name of a variable")))
    }

    /// By its name or its ARN. Empty, as an unset variable of a script leaves it, it is no
    /// expectation and no role either.
    fn role(&self) -> Result<Option<String>, Error> {
        match self.text("expect_role").and_then(|role| role.rsplit('/').next()) {
            Some("") => Err(self.bad("expect_role", "expected the name of a role, found nothing")),
            name => Ok(name.map(str::to_owned)),
        }
    }
}

impl Settings {
    /// Checks everything that was given.
    pub(crate) fn new(root: PathBuf, given: Given, aws: Aws) -> Result<Settings, Error> {
        let settings = Settings {
            config: given.sources()?,
            set: given.assignments()?,
            keep: given.kept()?,
            replace: given.flag("replace")?,
            expand: given.flag("expand")?,
            allow_default_cluster: given.flag("allow_default_cluster")?,
            tolerate_foreign: given.flag("tolerate_foreign")?,
            expect_role: given.role()?,
            expect_account: given.account()?,
            host: given.one_of("host", Host::Auto)?,
            sts: given.one_of("sts", Sts::Auto)?,
            block_imds: given.flag("block_imds")?,
            block_imds_host_tasks: given.flag("block_imds_host_tasks")?,
            allow_local_proxy: given.flag("allow_local_proxy")?,
            restart_agent: given.flag("restart_agent")?,
            health_gate: given.duration("health_gate")?,
            stale: given.one_of("stale", Stale::Keep)?,
            max_age: given.duration("max_age")?,
            timeout: given.timeout()?,
            from_tags: given.flag("from_tags")?,
            attributes: given.flag("attributes")?,
            inventory: given.flag("inventory")?,
            given,
            root,
            aws,
        };
        if settings.sts == Sts::Skip && settings.has_expectations() {
            let why = "without STS, expect_role and expect_account cannot be proven";
            return Err(settings.given.bad("sts", why));
        }
        Ok(settings)
    }

    /// Whether an account or a role is expected.
    pub(crate) fn has_expectations(&self) -> bool {
        self.expect_role.is_some() || self.expect_account.is_some()
    }

    /// Whether STS is asked. Only STS tells role and account, and only S3 can take its place: with
    /// expectations, or with no layer in S3, `auto` means `require`.
    pub(crate) fn sts(&self) -> Sts {
        let is_replaceable = !self.has_expectations() && self.has_s3_layer();
        if self.sts == Sts::Auto && !is_replaceable { Sts::Require } else { self.sts }
    }

    /// Whether S3 is asked with the role's credentials.
    pub(crate) fn has_s3_layer(&self) -> bool {
        self.config.iter().any(Source::needs_credentials)
    }

    /// With what instance tags say: above the file, below all else.
    pub(crate) fn with_tags(self, tags: Given) -> Result<Settings, Error> {
        Settings::new(self.root, self.given.with_tags(tags), self.aws)
    }

    /// Where each setting that is not at its default came from.
    pub(crate) fn origins(&self) -> BTreeMap<&'static str, String> {
        let origins = self.given.origins();
        if log::is_verbose() {
            origins
                .iter()
                .for_each(|(name, from)| tracing::info!("settings: {name} is from {from}"));
        }
        origins
    }

    /// A run without a source and without `--set` has nothing to install.
    pub(crate) fn has_something_to_install(&self) -> Result<(), Error> {
        if self.config.is_empty() && self.set.is_empty() { Err(Error::NoConfig) } else { Ok(()) }
    }

    /// Whether the files are those of this very host.
    pub(crate) fn is_host_root(&self) -> bool {
        self.root == Path::new("/")
    }

    /// A path of a real host, below the root.
    pub(crate) fn path(&self, absolute: &str) -> PathBuf {
        paths::below(&self.root, absolute)
    }
}

#[cfg(test)]
mod tests;

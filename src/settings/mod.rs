//! Flags, environment, instance tags and the settings file, made into one checked [`Settings`].
//!
//! Pure: it is handed what was given in each of the four ways, as text, strongest first, and keeps
//! where each effective value came from. `keys` is the list of all settings.

mod environment;
mod given;
mod keys;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ecs_config::text::printable;
pub(crate) use environment::Environment;
pub(crate) use given::{Given, location};
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
    Value { origin: String, name: String, why: String },
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
            name: "output".into(),
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stale {
    Fail,
    Keep,
}

/// How the host gets its credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Auto,
    Ec2,
    External,
}

/// Whether STS is asked who the host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// Reads one setting after another out of what was given.
struct Reader<'a> {
    given: &'a Given,
}

impl Reader<'_> {
    fn bad(&self, name: &str, why: impl fmt::Display) -> Error {
        let origin = self.given.origin(name).to_string();
        Error::Value { origin, name: name.into(), why: why.to_string() }
    }

    fn bad_source(&self, source: source::Invalid) -> Error {
        let origin = self.given.origin("config").to_string();
        Error::Source { origin, name: "config", source }
    }

    fn flag(&self, name: &str) -> Result<bool, Error> {
        match self.given.text(name) {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(_) => Err(self.bad(name, "expected true or false")),
        }
    }

    fn one_of<T: Copy>(&self, name: &str, words: &[(&str, T)], default: T) -> Result<T, Error> {
        let Some(text) = self.given.text(name) else { return Ok(default) };
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        let all = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        found.ok_or_else(|| self.bad(name, format!("expected one of {all}")))
    }

    fn duration(&self, name: &str) -> Result<Option<Duration>, Error> {
        let parse = |text| {
            humantime::parse_duration(text).map_err(|_| {
                self.bad(name, "expected a duration with a unit, such as 90s, 5m or 36h")
            })
        };
        self.given.text(name).map(parse).transpose()
    }

    fn account(&self, name: &str) -> Result<Option<String>, Error> {
        match self.given.text(name) {
            Some(id) if !is_account(id) => Err(self.bad(
                name,
                "expected an account id of 12 digits (in the settings file between quotes)",
            )),
            other => Ok(other.map(str::to_owned)),
        }
    }

    fn sources(&self) -> Result<Vec<Source>, Error> {
        let items = self.given.items("config");
        if items.len() > MAX_LAYERS {
            let why = format!("{} sources; at most {MAX_LAYERS} are taken", items.len());
            return Err(self.bad("config", why));
        }
        items.iter().map(|item| item.parse().map_err(|source| self.bad_source(source))).collect()
    }

    fn timeout(&self) -> Result<Duration, Error> {
        match self.duration("timeout")? {
            Some(Duration::ZERO) => Err(self.bad("timeout", "expected more than 0")),
            timeout => Ok(timeout.unwrap_or(DEFAULT_TIMEOUT).min(FOREVER)),
        }
    }

    /// The last layer, by hand. An error names the key only: its value may be a secret.
    fn assignments(&self) -> Result<Vec<(String, String)>, Error> {
        self.given.items("set").iter().map(|item| self.assignment(item)).collect()
    }

    fn assignment(&self, item: &str) -> Result<(String, String), Error> {
        let (key, value) = item
            .split_once('=')
            .ok_or_else(|| self.bad("set", "expected KEY=VALUE, and `=` is missing"))?;
        if !is_name(key) {
            return Err(self.bad("set", "expected KEY=VALUE with a KEY of letters, digits and `_`, not beginning with a digit"));
        }
        match value.contains(['\n', '\r', '\0']) {
            true => Err(self.bad("set", format!("the value of {key} holds a line break or a NUL, which no reader of ecs.config can take"))),
            false => Ok((key.to_owned(), value.to_owned())),
        }
    }

    fn keys(&self, name: &str) -> Result<Vec<String>, Error> {
        let keys = self.given.items(name);
        match keys.iter().find(|key| !is_name(key)) {
            Some(key) => {
                // What follows a `=` is a value, and may be a secret.
                let shown = key.split_once('=').map(|(key, _)| format!("{key}=…"));
                let shown = printable(shown.as_ref().unwrap_or(key));
                Err(self.bad(name, format!("`{shown}` is not a valid name of a variable")))
            }
            None => Ok(keys.to_vec()),
        }
    }

    /// By its name or its ARN. Empty, as an unset variable of a script leaves it, it is no
    /// expectation and no role either.
    fn role(&self) -> Result<Option<String>, Error> {
        let name =
            self.given.text("expect_role").map(|role| role.rsplit('/').next().unwrap_or(role));
        match name {
            Some("") => Err(self.bad("expect_role", "expected the name of a role, found nothing")),
            name => Ok(name.map(str::to_owned)),
        }
    }
}

fn is_name(key: &str) -> bool {
    let starts = key.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    starts && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl Settings {
    /// Checks everything that was given.
    pub(crate) fn new(root: PathBuf, given: Given, aws: Aws) -> Result<Settings, Error> {
        let read = Reader { given: &given };
        let stale = [("fail", Stale::Fail), ("keep", Stale::Keep)];
        let sts = [("auto", Sts::Auto), ("require", Sts::Require), ("skip", Sts::Skip)];
        let host = [("auto", Host::Auto), ("ec2", Host::Ec2), ("external", Host::External)];
        let settings = Settings {
            config: read.sources()?,
            set: read.assignments()?,
            keep: read.keys("keep")?,
            replace: read.flag("replace")?,
            expand: read.flag("expand")?,
            allow_default_cluster: read.flag("allow_default_cluster")?,
            tolerate_foreign: read.flag("tolerate_foreign")?,
            expect_role: read.role()?,
            expect_account: read.account("expect_account")?,
            host: read.one_of("host", &host, Host::Auto)?,
            sts: read.one_of("sts", &sts, Sts::Auto)?,
            block_imds: read.flag("block_imds")?,
            block_imds_host_tasks: read.flag("block_imds_host_tasks")?,
            allow_local_proxy: read.flag("allow_local_proxy")?,
            restart_agent: read.flag("restart_agent")?,
            health_gate: read.duration("health_gate")?,
            stale: read.one_of("stale", &stale, Stale::Keep)?,
            max_age: read.duration("max_age")?,
            timeout: read.timeout()?,
            from_tags: read.flag("from_tags")?,
            attributes: read.flag("attributes")?,
            inventory: read.flag("inventory")?,
            given,
            root,
            aws,
        };
        settings.check_sts()?;
        Ok(settings)
    }

    fn check_sts(&self) -> Result<(), Error> {
        if self.sts == Sts::Skip && self.has_expectations() {
            let why = "without STS, expect_role and expect_account cannot be proven";
            return Err(Reader { given: &self.given }.bad("sts", why));
        }
        Ok(())
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

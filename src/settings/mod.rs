//! Flags, environment, instance tags and the settings file, made into one checked [`Settings`].
//!
//! Pure: it is handed what was given in each of the four ways, as text, strongest first, and says
//! where each effective value came from. There is one list of settings, `KEYS`; whatever is in it
//! can be given in every way, under the same name.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use ecs_config::text::nearest;
use thiserror::Error;

use crate::error::{Diagnostic, ExitStatus, Step};
use crate::net::aws::Aws;
use crate::source::{self, Source};
const ENVIRONMENT: &str = "ECS_BOOTSTRAP_";
const TAG: &str = "ecs-bootstrap:";

/// Longer than any run, and short enough to be added to any clock.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// What a value of a setting looks like, and so how several stand in one piece of text.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    One,
    /// Items separated by white space.
    Words,
    /// One item a line: values may hold spaces.
    Lines,
}

/// Every setting, in the order in which `-v` and the report show them.
const KEYS: [(&str, Shape); 18] = [
    ("config", Shape::Words),
    ("set", Shape::Lines),
    ("keep", Shape::Words),
    ("replace", Shape::One),
    ("expand", Shape::One),
    ("allow_default_cluster", Shape::One),
    ("expect_role", Shape::One),
    ("expect_account", Shape::One),
    ("host", Shape::One),
    ("block_imds", Shape::One),
    ("block_imds_host_tasks", Shape::One),
    ("restart_agent", Shape::One),
    ("stale", Shape::One),
    ("max_age", Shape::One),
    ("timeout", Shape::One),
    ("from_tags", Shape::One),
    ("output", Shape::One),
    ("log_format", Shape::One),
];

/// Two that say where to look, and so cannot stand in the file they name.
const PLACES: [&str; 2] = ["root", "settings"];

/// Where an effective setting came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Flag,
    Environment(String),
    Tag(String),
    File(PathBuf),
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Flag => f.write_str("flag"),
            Origin::Environment(name) => write!(f, "environment {name}"),
            Origin::Tag(name) => write!(f, "instance tag {name}"),
            Origin::File(path) => f.write_str(&path.display().to_string()),
            Origin::Default => f.write_str("default"),
        }
    }
}

/// Why the settings are no settings.
#[derive(Debug, Error, PartialEq)]
pub(crate) enum Error {
    #[error("{origin}: there is no setting `{name}`")]
    Unknown { origin: String, name: String, nearest: Option<String> },
    #[error("{origin}: {name}: {why}")]
    Value { origin: String, name: String, why: String },
    #[error("{origin}: {name}: {source}")]
    Source { origin: String, name: &'static str, source: source::Invalid },
    #[error("{path}: {why}", path = path.display())]
    File { path: PathBuf, why: String },
    #[error("no configuration is named")]
    NoConfig,
    #[error("{0}")]
    Aws(String),
    #[error("from_tags is set, and instance metadata shows no tags")]
    NoTags,
}

impl Error {
    /// A source on the command line that is none.
    pub(crate) fn source(source: source::Invalid) -> Self {
        Error::Source { origin: "argument".into(), name: "SOURCE", source }
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
            Error::Unknown { nearest: None, .. } => format!("known are: {}", names().collect::<Vec<_>>().join(", ")),
            Error::Source { source, .. } => source.remedy(),
            Error::Value { .. } => "correct the value; `ecs-bootstrap run --help` says what each setting takes".into(),
            Error::File { .. } => "correct the file; README.md, section Settings, shows an example".into(),
            Error::NoConfig => {
                "say where ecs.config is: `--config s3://BUCKET/KEY`, ECS_BOOTSTRAP_CONFIG, or `config` in the settings file".into()
            }
            Error::Aws(_) => "correct or unset the variable".into(),
            Error::NoTags => "let metadata show them: `aws ec2 modify-instance-metadata-options --instance-id ID --instance-metadata-tags \
                 enabled`, or unset from_tags"
                .into(),
        }
    }
}

/// What was given in one way: text by setting, with its origin.
pub(crate) type Given = BTreeMap<&'static str, (Vec<String>, Origin)>;

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
    pub(crate) expect_role: Option<String>,
    pub(crate) expect_account: Option<String>,
    pub(crate) host: Host,
    pub(crate) block_imds: bool,
    pub(crate) block_imds_host_tasks: bool,
    pub(crate) restart_agent: bool,
    pub(crate) stale: Stale,
    /// How old the verification of a kept file may be; `None`: any age.
    pub(crate) max_age: Option<Duration>,
    /// One deadline for the whole run.
    pub(crate) timeout: Duration,
    pub(crate) from_tags: bool,
    pub(crate) aws: Aws,
    pub(crate) origins: BTreeMap<&'static str, Origin>,
}

/// The names of all settings.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|(name, _)| *name)
}

/// Cuts one piece of text, as the environment and instance tags carry it, into the items of a
/// setting.
fn items(shape: Shape, text: &str) -> Vec<String> {
    match shape {
        Shape::One => vec![text.trim().to_owned()],
        Shape::Words => text.split_whitespace().map(str::to_owned).collect(),
        Shape::Lines => {
            text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
        }
    }
}

fn key(name: &str) -> Option<(&'static str, Shape)> {
    KEYS.iter().find(|(known, _)| *known == name).copied()
}

fn unknown(origin: &Origin, name: &str, spell: impl Fn(&str) -> String) -> Error {
    let nearest = nearest(name, names()).map(spell);
    Error::Unknown { origin: origin.to_string(), name: spell(name), nearest }
}

/// What `ECS_BOOTSTRAP_*` says. Where the settings file and the root are is said by
/// ECS_BOOTSTRAP_SETTINGS and ECS_BOOTSTRAP_ROOT, which [`place`] reads.
pub(crate) fn from_environment<'a>(
    variables: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<Given, Error> {
    let spell = |name: &str| format!("{ENVIRONMENT}{}", name.to_uppercase());
    let ours = variables.filter_map(|(name, value)| {
        Some((name, name.strip_prefix(ENVIRONMENT)?.to_lowercase(), value))
    });
    let mut given = Given::new();
    for (variable, name, text) in ours.filter(|(_, name, _)| !PLACES.contains(&name.as_str())) {
        let origin = Origin::Environment(variable.to_owned());
        let (name, shape) = key(&name)
            .ok_or_else(|| unknown(&Origin::Environment("variables".into()), &name, spell))?;
        let items = items(shape, text);
        if name == "config" {
            items.iter().try_for_each(|item| whole_source(&origin, item))?;
        }
        given.insert(name, (items, origin));
    }
    Ok(given)
}

/// What instance tags say: `ecs-bootstrap:config` and so on. Tags of other names are not ours to
/// judge.
pub(crate) fn from_tags<'a>(
    tags: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<Given, Error> {
    let mut given = Given::new();
    for (tag, text) in tags {
        let Some(name) = tag.strip_prefix(TAG) else { continue };
        let origin = Origin::Tag(tag.to_owned());
        let (name, shape) = key(name).ok_or_else(|| {
            unknown(&Origin::Tag("names".into()), name, |name| format!("{TAG}{name}"))
        })?;
        let items = items(shape, text);
        if name == "config" {
            items.iter().try_for_each(|item| whole_source(&origin, item))?;
        }
        given.insert(name, (items, origin));
    }
    Ok(given)
}

/// A source with a space in it would be cut in two here, and its second half read as the path of a
/// file.
fn whole_source(origin: &Origin, item: &str) -> Result<(), Error> {
    let starts = ["s3://", "arn:", "https://", "http://", "file://", "/"];
    match starts.iter().any(|start| item.starts_with(start)) {
        true => Ok(()),
        false => Err(Error::Value {
            origin: origin.to_string(),
            name: "config".into(),
            why: format!(
                "`{item}` is no source; sources are separated by spaces here, so write a space in a key as %20"
            ),
        }),
    }
}

/// What the settings file says.
pub(crate) fn from_file(path: &std::path::Path, text: &str) -> Result<Given, Error> {
    let bad = |why: String| Error::File { path: path.to_owned(), why };
    let table: toml::Table =
        text.parse().map_err(|error: toml::de::Error| bad(place_and_message(text, &error)))?;
    let origin = Origin::File(path.to_owned());
    let mut given = Given::new();
    for (name, value) in &table {
        let (name, shape) = key(name).ok_or_else(|| unknown(&origin, name, str::to_owned))?;
        let items = toml_items(shape, value).map_err(|why| bad(format!("{name}: {why}")))?;
        given.insert(name, (items, origin.clone()));
    }
    Ok(given)
}

/// `toml`'s own message quotes the line, which may hold a value; ours names the line and says what
/// is wrong with it.
fn place_and_message(text: &str, error: &toml::de::Error) -> String {
    let line =
        error.span().map_or(0, |span| text[..span.start.min(text.len())].lines().count().max(1));
    format!("line {line}: {}", error.message())
}

fn toml_items(shape: Shape, value: &toml::Value) -> Result<Vec<String>, String> {
    use toml::Value;
    match (shape, value) {
        (Shape::One, value) => scalar(value).map(|item| vec![item]),
        (_, Value::Array(items)) => items.iter().map(scalar).collect(),
        (Shape::Lines, Value::Table(table)) => {
            table.iter().map(|(key, value)| Ok(format!("{key}={}", scalar(value)?))).collect()
        }
        (_, value) => scalar(value).map(|item| vec![item]),
    }
}

fn scalar(value: &toml::Value) -> Result<String, String> {
    match value {
        toml::Value::String(text) => Ok(text.clone()),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Boolean(word) => Ok(word.to_string()),
        other => {
            Err(format!("expected a string, a number or true/false, found {}", other.type_str()))
        }
    }
}

/// Adds what a weaker way gave, where no stronger one spoke.
pub(crate) fn beneath(mut strong: Given, weak: Given) -> Given {
    for (name, value) in weak {
        strong.entry(name).or_insert(value);
    }
    strong
}

/// Adds what tags gave: above the file, below all else.
pub(crate) fn between(mut given: Given, tags: Given) -> Given {
    for (name, value) in tags {
        let weaker = given.get(name).is_none_or(|(_, origin)| matches!(origin, Origin::File(_)));
        if weaker {
            given.insert(name, value);
        }
    }
    given
}

/// The one text of a setting that takes one, if it was given.
pub(crate) fn text<'a>(given: &'a Given, name: &str) -> Option<&'a str> {
    given.get(name).and_then(|(items, _)| items.first()).map(String::as_str)
}

/// The root or the settings file's path, from the environment: flags are the caller's.
pub(crate) fn place<'a>(
    variables: impl Iterator<Item = (&'a str, &'a str)>,
    name: &str,
) -> Option<PathBuf> {
    let wanted = format!("{ENVIRONMENT}{}", name.to_uppercase());
    variables
        .filter(|(variable, _)| *variable == wanted)
        .map(|(_, value)| PathBuf::from(value))
        .next()
}

/// Reads one setting after another out of what was given.
struct Reader<'a> {
    given: &'a Given,
}

impl Reader<'_> {
    fn bad(&self, name: &str, why: impl fmt::Display) -> Error {
        let origin = self.given.get(name).map_or(Origin::Default, |(_, origin)| origin.clone());
        Error::Value { origin: origin.to_string(), name: name.into(), why: why.to_string() }
    }

    fn bad_source(&self, source: source::Invalid) -> Error {
        let origin = self.given.get("config").map_or(Origin::Default, |(_, origin)| origin.clone());
        Error::Source { origin: origin.to_string(), name: "config", source }
    }

    fn list(&self, name: &str) -> &[String] {
        self.given.get(name).map_or(&[], |(items, _)| items)
    }

    fn flag(&self, name: &str) -> Result<bool, Error> {
        match text(self.given, name) {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(_) => Err(self.bad(name, "expected true or false")),
        }
    }

    fn word<T: Copy>(&self, name: &str, words: &[(&str, T)], default: T) -> Result<T, Error> {
        let Some(text) = text(self.given, name) else { return Ok(default) };
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
        text(self.given, name).map(parse).transpose()
    }

    fn account(&self, name: &str) -> Result<Option<String>, Error> {
        match text(self.given, name) {
            Some(id) if id.len() != 12 || !id.bytes().all(|byte| byte.is_ascii_digit()) => {
                Err(self.bad(
                    name,
                    "expected an account id of 12 digits (in the settings file between quotes)",
                ))
            }
            other => Ok(other.map(str::to_owned)),
        }
    }

    fn sources(&self) -> Result<Vec<Source>, Error> {
        self.list("config")
            .iter()
            .map(|item| item.parse().map_err(|source| self.bad_source(source)))
            .collect()
    }

    /// The last layer, by hand. An error names the key only: what stands behind it may be a secret.
    fn assignments(&self) -> Result<Vec<(String, String)>, Error> {
        self.list("set").iter().map(|item| self.assignment(item)).collect()
    }

    fn assignment(&self, item: &str) -> Result<(String, String), Error> {
        let (key, value) = item
            .split_once('=')
            .ok_or_else(|| self.bad("set", "expected KEY=VALUE, and there is no `=`"))?;
        if !is_name(key) {
            return Err(self.bad("set", "expected KEY=VALUE with a KEY of letters, digits and `_`, not beginning with a digit"));
        }
        match value.contains(['\n', '\r', '\0']) {
            true => Err(self.bad("set", format!("the value of {key} holds a line break or a NUL, which no reader of ecs.config can take"))),
            false => Ok((key.to_owned(), value.to_owned())),
        }
    }

    fn keys(&self, name: &str) -> Result<Vec<String>, Error> {
        let keys = self.list(name);
        match keys.iter().find(|key| !is_name(key)) {
            Some(key) => Err(self.bad(name, format!("`{key}` is no name of a variable"))),
            None => Ok(keys.to_vec()),
        }
    }

    /// By its name or its ARN. Empty, as an unset variable of a script leaves it, it is no
    /// expectation and no role either.
    fn role(&self) -> Result<Option<String>, Error> {
        let name =
            text(self.given, "expect_role").map(|role| role.rsplit('/').next().unwrap_or(role));
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
    pub(crate) fn new(root: PathBuf, given: &Given, aws: Aws) -> Result<Settings, Error> {
        let read = Reader { given };
        let stale = [("fail", Stale::Fail), ("keep", Stale::Keep)];
        let host = [("auto", Host::Auto), ("ec2", Host::Ec2), ("external", Host::External)];
        Ok(Settings {
            config: read.sources()?,
            set: read.assignments()?,
            keep: read.keys("keep")?,
            replace: read.flag("replace")?,
            expand: read.flag("expand")?,
            allow_default_cluster: read.flag("allow_default_cluster")?,
            expect_role: read.role()?,
            expect_account: read.account("expect_account")?,
            host: read.word("host", &host, Host::Auto)?,
            block_imds: read.flag("block_imds")?,
            block_imds_host_tasks: read.flag("block_imds_host_tasks")?,
            restart_agent: read.flag("restart_agent")?,
            stale: read.word("stale", &stale, Stale::Keep)?,
            max_age: read.duration("max_age")?,
            timeout: read.duration("timeout")?.unwrap_or(Duration::from_secs(300)).min(FOREVER),
            from_tags: read.flag("from_tags")?,
            origins: names()
                .map(|name| {
                    (name, given.get(name).map_or(Origin::Default, |(_, origin)| origin.clone()))
                })
                .collect(),
            root,
            aws,
        })
    }

    /// A path of the contract, below the root.
    pub(crate) fn path(&self, absolute: &str) -> PathBuf {
        self.root.join(absolute.trim_start_matches('/'))
    }
}

#[cfg(test)]
mod tests;

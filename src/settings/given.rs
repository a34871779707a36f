//! What was given in each way, as text by setting: flags, environment, instance tags, settings
//! file.

use std::collections::BTreeMap;
use std::path::Path;

use clap::ValueEnum;
use ecs_config::text::{nearest, printable};

use super::Error;
use super::keys::{self, Key, Shape};

const ENVIRONMENT: &str = "ECS_BOOTSTRAP_";
const TAG: &str = "ecs-bootstrap:";

/// Variables that say where to look, and so cannot be in the file that they name.
const LOCATIONS: [&str; 2] = ["root", "settings"];

/// What was given of one setting.
#[derive(Clone, Debug, PartialEq)]
struct Value {
    items: Vec<String>,
    /// Where it came from, as people are told.
    origin: String,
    /// It is from the settings file, the weakest way.
    is_of_file: bool,
}

/// Text by setting, with its origin. Each way makes one; they are joined from strongest to weakest.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Given(BTreeMap<&'static str, Value>);

impl Given {
    /// Flags: their items by setting. A flag without items was not typed.
    pub(crate) fn flags(flags: impl IntoIterator<Item = (&'static str, Vec<String>)>) -> Self {
        let typed = flags.into_iter().filter(|(_, items)| !items.is_empty());
        let value = |items| Value { items, origin: "flag".into(), is_of_file: false };
        Given(typed.map(|(name, items)| (name, value(items))).collect())
    }

    /// What `ECS_BOOTSTRAP_*` says, but for ECS_BOOTSTRAP_SETTINGS and ECS_BOOTSTRAP_ROOT.
    pub(crate) fn environment<'a>(
        variables: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Error> {
        let spell = |name: &str| format!("{ENVIRONMENT}{}", name.to_uppercase());
        let ours = variables.filter_map(|(variable, text)| {
            let name = variable.strip_prefix(ENVIRONMENT)?.to_lowercase();
            let origin = format!("environment {variable}");
            (!LOCATIONS.contains(&&*name)).then_some((name, origin, text))
        });
        Given::texts(ours, "environment variables", spell)
    }

    /// What instance tags say: `ecs-bootstrap:config` and so on. Tags of other names are not ours
    /// to judge.
    pub(crate) fn tags<'a>(tags: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Self, Error> {
        let ours = tags.filter_map(|(tag, text)| {
            Some((tag.strip_prefix(TAG)?.to_owned(), format!("instance tag {tag}"), text))
        });
        Given::texts(ours, "instance tag names", |name| format!("{TAG}{name}"))
    }

    /// Texts that were written in one piece each; `all` is where a name that is unknown came from.
    fn texts<'a>(
        texts: impl Iterator<Item = (String, String, &'a str)>,
        all: &str,
        spell: impl Fn(&str) -> String,
    ) -> Result<Self, Error> {
        let mut given = Given::default();
        for (name, origin, text) in texts {
            let key = keys::find(&name).ok_or_else(|| unknown(all, &name, &spell))?;
            let items = items(key.shape, text);
            if key.name == "config" {
                whole_sources(&origin, &items)?;
            }
            given.0.insert(key.name, Value { items, origin, is_of_file: false });
        }
        Ok(given)
    }

    /// What the settings file at `path` says.
    pub(crate) fn file(path: &Path, text: &str) -> Result<Self, Error> {
        let bad = |why: String| Error::File { path: path.to_owned(), why };
        let parsed = text.parse::<toml::Table>();
        let table = parsed.map_err(|error| bad(line_and_message(text, &error)))?;
        let origin = path.display().to_string();
        let mut given = Given::default();
        for (name, value) in &table {
            let key = keys::find(name).ok_or_else(|| unknown(&origin, name, str::to_owned))?;
            let items = toml_items(key, value).map_err(|why| bad(format!("{name}: {why}")))?;
            given.0.insert(key.name, Value { items, origin: origin.clone(), is_of_file: true });
        }
        Ok(given)
    }

    /// Adds what a weaker way gave, where no stronger one spoke.
    pub(crate) fn or(mut self, weaker: Given) -> Self {
        for (name, value) in weaker.0 {
            self.0.entry(name).or_insert(value);
        }
        self
    }

    /// Adds what tags gave: above the file, below all else.
    pub(crate) fn with_tags(mut self, tags: Given) -> Self {
        self.0.retain(|name, value| !(value.is_of_file && tags.0.contains_key(name)));
        self.or(tags)
    }

    /// Every setting that was given, with its items.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &[String])> {
        self.0.iter().map(|(name, value)| (*name, value.items.as_slice()))
    }

    pub(super) fn items(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], |value| &value.items)
    }

    /// The one text of a setting that takes one, if it was given.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.items(name).first().map(String::as_str)
    }

    /// Where each setting that is not at its default came from.
    pub(super) fn origins(&self) -> BTreeMap<&'static str, String> {
        self.0.iter().map(|(name, value)| (*name, value.origin.clone())).collect()
    }

    /// What is wrong with the value of a setting.
    pub(super) fn bad(&self, name: &'static str, why: impl Into<String>) -> Error {
        Error::Value { origin: self.origin(name), name, why: why.into() }
    }

    pub(super) fn origin(&self, name: &str) -> String {
        self.0.get(name).map_or("default", |value| &value.origin).to_owned()
    }

    /// The value that is called by this word.
    pub(crate) fn one_of<E: ValueEnum>(&self, name: &'static str, default: E) -> Result<E, Error> {
        let Some(text) = self.text(name) else { return Ok(default) };
        E::from_str(text, false).map_err(|_| {
            let words = E::value_variants().iter().filter_map(E::to_possible_value);
            let words: Vec<String> = words.map(|word| word.get_name().to_owned()).collect();
            self.bad(name, format!("expected one of {}", words.join(", ")))
        })
    }
}

fn unknown(origin: &str, name: &str, spell: impl Fn(&str) -> String) -> Error {
    let nearest = nearest(name, keys::names()).map(&spell);
    Error::Unknown { origin: origin.to_owned(), name: printable(&spell(name)), nearest }
}

/// Cuts one piece of text into the items of a setting.
fn items(shape: Shape, text: &str) -> Vec<String> {
    match shape {
        Shape::One | Shape::Switch => vec![text.trim().to_owned()],
        Shape::Words => text.split_whitespace().map(str::to_owned).collect(),
        Shape::Lines => {
            text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
        }
    }
}

/// A source with a space in it would be cut in two here, and its second half read as the path of a
/// file. That half may be of a signed URL, and is not shown then.
fn whole_sources(origin: &str, items: &[String]) -> Result<(), Error> {
    let starts = ["s3://", "arn:", "https://", "http://", "file://", "/"];
    let is_source = |item: &&String| starts.iter().any(|start| item.starts_with(start));
    let Some(item) = items.iter().find(|item| !is_source(item)) else { return Ok(()) };
    let has_url = items.iter().any(|item| item.to_ascii_lowercase().starts_with("http"));
    let shown = if has_url { "a part of it".into() } else { format!("`{}`", printable(item)) };
    Err(Error::Value {
        origin: origin.to_owned(),
        name: "config",
        why: format!(
            "{shown} is not a source; sources are separated by spaces here, so write a space in a key as %20"
        ),
    })
}

/// `toml`'s own message quotes the line, which may hold a value; ours names the line and says what
/// is wrong with it.
fn line_and_message(text: &str, error: &toml::de::Error) -> String {
    let start = error.span().map_or(0, |span| span.start.min(text.len()));
    format!("line {}: {}", text[..start].lines().count().max(1), error.message())
}

fn toml_items(key: &Key, value: &toml::Value) -> Result<Vec<String>, String> {
    use toml::Value;
    match (key.shape, value) {
        (Shape::Words | Shape::Lines, Value::Array(items)) => items.iter().map(scalar).collect(),
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
        toml::Value::Boolean(switch) => Ok(switch.to_string()),
        other => {
            Err(format!("expected a string, a number or true/false, found {}", other.type_str()))
        }
    }
}

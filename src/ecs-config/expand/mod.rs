//! `${region}` and its like in values become what the host is (`run --expand`).
//!
//! Takes bytes and a closure that knows the host, gives bytes; touches nothing. Only values are
//! looked at, not names and comments; `$` without `{` is literal. The linter checks values after
//! the expansion; here only that they stay on their line.

use std::collections::BTreeSet;
use std::fmt;

use crate::lines::{Kind, Line, lines};
use crate::{MAX_BYTES, text};

/// What is between `${` and `}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Placeholder {
    /// `${region}`, as in `eu-west-1`.
    Region,
    /// `${availability_zone}`, as in `eu-west-1b`.
    AvailabilityZone,
    /// `${instance_id}`
    InstanceId,
    /// `${instance_type}`
    InstanceType,
    /// `${ami_id}`
    AmiId,
    /// `${account_id}`
    AccountId,
    /// `${tag:KEY}`, an instance tag by its key.
    Tag(String),
    /// `${ssm:/PATH}`, a parameter of Systems Manager.
    Parameter(String),
    /// `${secret:NAME}`, a secret of Secrets Manager, or with `#FIELD` a top-level key of the JSON
    /// object that it is.
    Secret(String, Option<String>),
}

/// So many different ones are listed, at most.
const MAX_PLACEHOLDERS: usize = 4096;

/// What is in front of the name of a placeholder that has one.
const NAMED: [&str; 3] = ["tag:KEY", "ssm:/PATH", "secret:NAME"];

const PLAIN: [(&str, Placeholder); 6] = [
    ("region", Placeholder::Region),
    ("availability_zone", Placeholder::AvailabilityZone),
    ("instance_id", Placeholder::InstanceId),
    ("instance_type", Placeholder::InstanceType),
    ("ami_id", Placeholder::AmiId),
    ("account_id", Placeholder::AccountId),
];

/// Why a value cannot be expanded. `line` counts from 1, in the file. Holds what the user wrote
/// between the braces, never a value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("line {line}: ${{{name}}} is not a placeholder{}", did_you_mean(.nearest))]
    Unknown { line: usize, name: String, nearest: Option<&'static str> },
    #[error("line {line}: {placeholder} is empty or unknown on this host")]
    Empty { line: usize, placeholder: Placeholder },
    #[error("line {line}: the value of {placeholder} holds a control character")]
    Control { line: usize, placeholder: Placeholder },
    #[error("line {line}: ${{ without a closing }}")]
    Unclosed { line: usize },
    #[error(
        "line {line}: with what its placeholders stand for, the file has more than {MAX_BYTES} bytes"
    )]
    TooLong { line: usize },
}

fn did_you_mean(nearest: &Option<&'static str>) -> String {
    nearest.map(|near| format!("; did you mean ${{{near}}}?")).unwrap_or_default()
}

impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Placeholder::Tag(key) => write!(f, "${{tag:{key}}}"),
            Placeholder::Parameter(path) => write!(f, "${{ssm:{path}}}"),
            Placeholder::Secret(name, None) => write!(f, "${{secret:{name}}}"),
            Placeholder::Secret(name, Some(field)) => write!(f, "${{secret:{name}#{field}}}"),
            plain => {
                let name = PLAIN.iter().find(|(_, known)| known == plain).map_or("", |row| row.0);
                write!(f, "${{{name}}}")
            }
        }
    }
}

impl Placeholder {
    /// The source that holds it, as `--config` takes it; `None`: the host itself knows.
    pub fn source(&self) -> Option<String> {
        match self {
            Placeholder::Parameter(path) => Some(format!("ssm://{path}")),
            Placeholder::Secret(name, _) => Some(format!("secretsmanager://{name}")),
            _ => None,
        }
    }

    /// The key in the JSON object of a secret, if it is not the whole secret.
    pub fn field(&self) -> Option<&str> {
        match self {
            Placeholder::Secret(_, field) => field.as_deref(),
            _ => None,
        }
    }

    fn parse(line: usize, name: &[u8]) -> Result<Self, Error> {
        let name = String::from_utf8_lossy(name);
        if let Some((_, known)) = PLAIN.into_iter().find(|(known, _)| *known == name) {
            return Ok(known);
        }
        match name.split_once(':').unwrap_or_default() {
            ("tag", key) if !key.is_empty() => Ok(Placeholder::Tag(key.into())),
            ("ssm", path) if path.starts_with('/') => Ok(Placeholder::Parameter(path.into())),
            ("secret", secret) if !secret.is_empty() => {
                let (name, field) = secret.split_once('#').unzip();
                Ok(Placeholder::Secret(name.unwrap_or(secret).into(), field.map(str::to_owned)))
            }
            _ => Err(Error::Unknown {
                line,
                nearest: text::nearest(&name, PLAIN.iter().map(|(known, _)| *known).chain(NAMED)),
                name: shown(&name),
            }),
        }
    }
}

/// What may be shown: between a stray `${` and the next `}` there may be anything.
fn shown(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.:/#".contains(c);
    if name.chars().all(is_plain) { name.to_owned() } else { "…".into() }
}

/// Replaces every placeholder in the values of `bytes`. `lookup` gives the host's value.
///
/// # Errors
/// A placeholder that is unknown or not closed, or for which `lookup` gives `None`, `""` or a text
/// with control characters; or more than [`MAX_BYTES`] in all.
pub fn expand(
    bytes: &[u8],
    mut lookup: impl FnMut(&Placeholder) -> Option<String>,
) -> Result<Vec<u8>, Error> {
    let mut out = Vec::with_capacity(bytes.len());
    for Line { number: line, raw, kind, .. } in lines(bytes) {
        let equals = raw.iter().position(|&c| c == b'=');
        let equals = equals.filter(|_| matches!(kind, Kind::Assignment(..)));
        let (name, mut rest) = raw.split_at(equals.unwrap_or(raw.len()));
        out.extend_from_slice(name);
        while let Some(open) = rest.windows(2).position(|pair| pair == b"${") {
            let inside = &rest[open + 2..];
            let close = inside.iter().position(|&c| c == b'}').ok_or(Error::Unclosed { line })?;
            let placeholder = Placeholder::parse(line, &inside[..close])?;
            out.extend_from_slice(&rest[..open]);
            match lookup(&placeholder) {
                Some(value) if value.contains(char::is_control) => {
                    return Err(Error::Control { line, placeholder });
                }
                Some(_) if out.len() > MAX_BYTES => return Err(Error::TooLong { line }),
                Some(value) if !value.is_empty() => out.extend_from_slice(value.as_bytes()),
                _ => return Err(Error::Empty { line, placeholder }),
            }
            rest = &inside[close + 1..];
        }
        out.extend_from_slice(rest);
        // A few bytes name a value of thousands.
        if out.len() > MAX_BYTES {
            return Err(Error::TooLong { line });
        }
    }
    Ok(out)
}

/// The names of the variables whose values are, or contain, what a parameter or a secret holds.
pub fn secret_names(bytes: &[u8]) -> BTreeSet<String> {
    let is_secret = |placeholder: &Placeholder| placeholder.source().is_some();
    let secret = lines(bytes).filter(|line| placeholders(line.raw).iter().any(is_secret));
    let names = secret.filter_map(|line| Some(text::lossy(line.assignment()?.0)));
    // `export NAME=` is a name, too.
    names.filter_map(|name| name.split_whitespace().last().map(str::to_owned)).collect()
}

/// The placeholders that [`expand`] would look up, so that the caller can fetch them before;
/// unknown ones are left to [`expand`].
pub fn placeholders(bytes: &[u8]) -> BTreeSet<Placeholder> {
    let mut found = BTreeSet::new();
    // An error ends this one as it will end the expansion: what follows is not needed then. So does
    // what no host can answer for.
    let _ = expand(bytes, |placeholder| {
        if found.len() == MAX_PLACEHOLDERS {
            return None;
        }
        found.insert(placeholder.clone());
        // Shorter than any placeholder: only the real values can be too long.
        Some("x".into())
    });
    found
}

#[cfg(test)]
mod tests;

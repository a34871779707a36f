//! `--expand`: `${region}` and its kin in values become what the host is.
//!
//! Takes bytes and a closure that knows the host, gives bytes; touches nothing. Only values are
//! looked at, not names and comments; `$` without `{` is literal. The values are checked after
//! expansion by the linter, like any others; here only that they stay on their line.

use std::collections::BTreeSet;
use std::fmt;

/// What stands between `${` and `}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Placeholder {
    Region,
    AvailabilityZone,
    InstanceId,
    InstanceType,
    AmiId,
    AccountId,
    /// An instance tag, by its key.
    Tag(String),
}

const PLAIN: [(&str, Placeholder); 6] = [
    ("region", Placeholder::Region),
    ("availability_zone", Placeholder::AvailabilityZone),
    ("instance_id", Placeholder::InstanceId),
    ("instance_type", Placeholder::InstanceType),
    ("ami_id", Placeholder::AmiId),
    ("account_id", Placeholder::AccountId),
];

/// Why a value cannot be expanded. `line` counts from 1, in the layer. Holds what the user wrote
/// between the braces, never a value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("line {line}: ${{{name}}} is no placeholder; the nearest is ${{{nearest}}}")]
    Unknown { line: usize, name: String, nearest: &'static str },
    #[error("line {line}: {placeholder} is empty or unknown on this host")]
    Empty { line: usize, placeholder: Placeholder },
    #[error("line {line}: the value of {placeholder} holds a control character")]
    Control { line: usize, placeholder: Placeholder },
    #[error("line {line}: ${{ without a closing }}")]
    Unclosed { line: usize },
}

impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Placeholder::Tag(key) => write!(f, "${{tag:{key}}}"),
            plain => write!(
                f,
                "${{{}}}",
                PLAIN.iter().find(|(_, known)| known == plain).map_or("", |(name, _)| name)
            ),
        }
    }
}

impl Placeholder {
    fn parse(line: usize, name: &[u8]) -> Result<Self, Error> {
        let name = String::from_utf8_lossy(name);
        if let Some(key) = name.strip_prefix("tag:").filter(|key| !key.is_empty()) {
            return Ok(Placeholder::Tag(key.to_owned()));
        }
        match PLAIN.iter().find(|(known, _)| *known == name) {
            Some((_, placeholder)) => Ok(placeholder.clone()),
            None => Err(Error::Unknown { line, nearest: nearest(&name), name: shown(&name) }),
        }
    }
}

/// What may be shown. Behind a stray `${` anything may stand, up to the next `}`.
fn shown(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.:".contains(c);
    if name.chars().all(is_plain) { name.to_owned() } else { "…".into() }
}

fn nearest(name: &str) -> &'static str {
    let known = PLAIN.iter().map(|(known, _)| *known).chain(["tag:NAME"]);
    known
        .max_by(|a, b| strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name)))
        .expect("the list is not empty")
}

/// Replaces every placeholder in the values of `bytes`. `lookup` gives the host's value; `None` and
/// `""` are errors.
pub fn expand(
    bytes: &[u8],
    lookup: impl Fn(&Placeholder) -> Option<String>,
) -> Result<Vec<u8>, Error> {
    let mut out = Vec::with_capacity(bytes.len());
    walk(bytes, &mut |piece| {
        match piece {
            Piece::Literal(text) => out.extend_from_slice(text),
            Piece::Placeholder(line, name) => {
                out.extend(value(line, Placeholder::parse(line, name)?, &lookup)?.into_bytes())
            }
        }
        Ok(())
    })?;
    Ok(out)
}

/// The placeholders that [`expand`] would ask for, so that the caller can fetch them before;
/// unknown ones are left to [`expand`].
pub fn placeholders(bytes: &[u8]) -> BTreeSet<Placeholder> {
    let mut found = BTreeSet::new();
    // An error ends the walk, as it will end the expansion: what follows is not needed then.
    let _ = walk(bytes, &mut |piece| {
        if let Piece::Placeholder(line, name) = piece {
            found.insert(Placeholder::parse(line, name)?);
        }
        Ok(())
    });
    found
}

fn value(
    line: usize,
    placeholder: Placeholder,
    lookup: impl Fn(&Placeholder) -> Option<String>,
) -> Result<String, Error> {
    match lookup(&placeholder) {
        Some(value) if value.contains(char::is_control) => {
            Err(Error::Control { line, placeholder })
        }
        Some(value) if !value.is_empty() => Ok(value),
        _ => Err(Error::Empty { line, placeholder }),
    }
}

enum Piece<'a> {
    Literal(&'a [u8]),
    /// The line, and what stands between the braces.
    Placeholder(usize, &'a [u8]),
}

type Visit<'a, 'v> = dyn FnMut(Piece<'a>) -> Result<(), Error> + 'v;

fn walk<'a>(bytes: &'a [u8], visit: &mut Visit<'a, '_>) -> Result<(), Error> {
    (1..)
        .zip(bytes.split_inclusive(|&c| c == b'\n'))
        .try_for_each(|(number, line)| walk_line(number, line, visit))
}

fn walk_line<'a>(number: usize, line: &'a [u8], visit: &mut Visit<'a, '_>) -> Result<(), Error> {
    let is_comment = matches!(line.trim_ascii_start().first(), Some(b'#' | b';'));
    let name_end = line
        .iter()
        .position(|&c| c == b'=')
        .filter(|_| !is_comment)
        .map_or(line.len(), |at| at + 1);
    let (name, mut rest) = line.split_at(name_end);
    visit(Piece::Literal(name))?;
    while let Some(open) = rest.windows(2).position(|pair| pair == b"${") {
        let inside = &rest[open + 2..];
        let close =
            inside.iter().position(|&c| c == b'}').ok_or(Error::Unclosed { line: number })?;
        visit(Piece::Literal(&rest[..open]))?;
        visit(Piece::Placeholder(number, &inside[..close]))?;
        rest = &inside[close + 1..];
    }
    visit(Piece::Literal(rest))
}

#[cfg(test)]
mod tests;

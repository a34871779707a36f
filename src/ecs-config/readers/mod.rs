//! The programs that read `/etc/ecs/ecs.config`: each gives the variables that the real one would
//! set for the same bytes.
//!
//! Every reader takes time linear in the text and never fails: one that would reject the file says
//! so in [`Reading::error`]. `tests/real_readers` compares them with the real programs.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use crate::text::lossy;

mod docker;
mod ecs_init;
mod json;
mod systemd;

pub use docker::docker;
pub use ecs_init::ecs_init;
pub use json::json;
pub use systemd::{Generation, systemd};

/// What one reader makes of a file.
#[derive(Debug, Default)]
pub struct Reading<'a> {
    /// Every assignment it takes, in the order of the file, those that a later line overrides
    /// included. Empty if `error` is set.
    pub variables: Vec<Assignment<'a>>,
    /// What it skips although it is neither blank nor a comment.
    pub dropped: Vec<Note>,
    /// Why it rejects the whole file: no variable is set at all.
    pub error: Option<Note>,
}

/// One variable, as one reader sets it.
#[derive(Clone, PartialEq, Eq)]
pub struct Assignment<'a> {
    /// Bytes, which only systemd checks.
    pub name: &'a [u8],
    /// `None`: the name is alone on its line, and docker copies the value from the environment of
    /// its CLI, if that has one.
    pub value: Option<Cow<'a, [u8]>>,
    /// The line of the name, from 1; a line ends with a line feed.
    pub line: usize,
}

/// What a reader skips, or rejects a file for. Holds neither values nor names: what looks like a
/// name may be a piece of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// From 1.
    pub line: usize,
    /// The rest of a sentence about the line, as in `has no =; skipped`.
    pub what: &'static str,
}

/// One of the readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// systemd, for `EnvironmentFile=` of the unit of ecs-init: [`systemd()`].
    Systemd(Generation),
    /// ecs-init, for the agent's container: [`ecs_init()`].
    EcsInit,
    /// `docker run --env-file`: [`docker()`].
    Docker,
}

impl<'a> Reading<'a> {
    fn rejected(note: Note) -> Self {
        Reading { error: Some(note), ..Reading::default() }
    }

    /// The effective variables: of several assignments to one name the last wins, in every reader.
    pub fn map(&self) -> BTreeMap<&[u8], Option<&[u8]>> {
        self.variables.iter().map(|set| (set.name, set.value.as_deref())).collect()
    }
}

impl Note {
    const fn new(line: usize, what: &'static str) -> Self {
        Note { line, what }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// Without the value, which may be a secret.
impl fmt::Debug for Assignment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}=…", self.line, lossy(self.name))
    }
}

impl Reader {
    /// All of them, in the order in which `lint --readers` shows them.
    pub const ALL: [Reader; 5] = [
        Reader::Systemd(Generation::V252),
        Reader::Systemd(Generation::V254),
        Reader::Systemd(Generation::V219),
        Reader::EcsInit,
        Reader::Docker,
    ];

    /// The name that users know it by: a key of `lint --readers --output json`.
    pub fn name(self) -> &'static str {
        match self {
            Reader::Systemd(Generation::V252) => "systemd",
            Reader::Systemd(Generation::V254) => "systemd-254",
            Reader::Systemd(Generation::V219) => "systemd-219",
            Reader::EcsInit => "ecs-init",
            Reader::Docker => "docker",
        }
    }

    /// What it makes of these bytes.
    pub fn read(self, bytes: &[u8]) -> Reading<'_> {
        match self {
            Reader::Systemd(generation) => systemd(bytes, generation),
            Reader::EcsInit => ecs_init(bytes),
            Reader::Docker => docker(bytes),
        }
    }

    /// Whether it makes exactly this variable of these bytes.
    pub(crate) fn reads_as(self, bytes: &[u8], name: &[u8], value: &[u8]) -> bool {
        let variables = self.read(bytes).variables;
        matches!(&variables[..], [set] if set.name == name && set.value.as_deref() == Some(value))
    }
}

/// Go's `strings.TrimLeftFunc(text, unicode.IsSpace)`: the white space of Unicode, and no byte that
/// is not UTF-8. systemd knows only blanks and line ends.
fn trim_start(text: &[u8]) -> &[u8] {
    let valid = text.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    &text[valid.len() - valid.trim_start().len()..]
}

/// Go's `strings.TrimSpace`, likewise.
fn trim(text: &[u8]) -> &[u8] {
    let text = trim_start(text);
    let last = text.utf8_chunks().last().filter(|chunk| chunk.invalid().is_empty());
    let valid = last.map_or("", |chunk| chunk.valid());
    &text[..text.len() - (valid.len() - valid.trim_end().len())]
}

/// Whether this is a name to systemd, and to POSIX: ASCII letters, digits and `_`, no digit first
/// (systemd src/basic/env-util.c, `env_name_is_valid`).
pub fn is_name(name: &[u8]) -> bool {
    name.first().is_some_and(|c| !c.is_ascii_digit())
        && name.iter().all(|&c| c.is_ascii_alphanumeric() || c == b'_')
}

/// Cuts a line at its first `=`, as all readers do.
fn cut(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = line.iter().position(|&c| c == b'=')?;
    Some((&line[..at], &line[at + 1..]))
}

#[cfg(test)]
mod tests;

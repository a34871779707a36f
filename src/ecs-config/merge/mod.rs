//! Layers of several owners: what the layers set and what other programs wrote into the present
//! file become one file.
//!
//! Takes bytes, gives bytes and, for each key, the layer and line it comes from; touches nothing.
//! The order of the result: first the keys that stay from the present file, then the layers in
//! their order. So what the next run finds in front is again what others wrote, and running twice
//! gives the same bytes.
//!
//! - A later layer's key wins, within a layer the later line. The line that loses is removed,
//!   comments stay.
//! - A key of the present file that our last run did not write is foreign. It stays, with the
//!   comments above it, unless a layer sets it. [`Present::keep`] makes it win over the layers,
//!   [`Present::replace`] drops it. One that we wrote and another program then wrote again with
//!   another value, as scripts do that append, is foreign.
//! - A line of the present file that sets nothing (no `=`) is left out, with a note: ECS's own
//!   readers skip it, docker would reject the whole file. Such a line in a layer is an error.
//! - An `ECS_CLUSTER` that AWS Batch generated is never replaced silently: [`Error::Conflict`].
//! - Comments that some reader would not skip are left out, with a note (`# K=old` is a variable to
//!   ecs-init).
//! - What is rendered is read again by every reader of
//!   [`Reader::ALL`](super::readers::Reader::ALL); they must agree on all of it, else
//!   [`Error::Misread`].
//!
//! One layer and nothing to merge: the layer's bytes, normalised ([`normalise()`]); what is wrong
//! with them is for the linter to report.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::Serialize;

use crate::lines::{self, Kind, Line};

mod batch;
mod normalise;
mod render;

pub use batch::is_batch;
pub use normalise::normalise;
use render::Page;

/// One source of settings, in the order of `--config`; the last may be made of `--set`.
#[derive(Clone, Copy)]
pub struct Layer<'a> {
    /// How it is shown: `s3://bucket/key`, `--set`. Never a secret.
    pub name: &'a str,
    /// Lines of `KEY=VALUE`.
    pub bytes: &'a [u8],
}

/// The file as it is now, and what the user decided about the keys in it that are not ours.
#[derive(Clone, Copy)]
pub struct Present<'a> {
    /// How it is shown.
    pub path: &'a str,
    /// Its content; empty if there is no file.
    pub bytes: &'a [u8],
    /// The keys that our last run wrote: its [`Merged::owned`].
    pub owned: &'a BTreeSet<String>,
    /// If the file has one of these and we did not write it, its value stays.
    pub keep: &'a [String],
    /// Foreign keys are dropped, except those in `keep`.
    pub replace: bool,
}

/// The file to install.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Its content.
    pub bytes: Vec<u8>,
    /// Where each key of the result comes from.
    pub keys: BTreeMap<String, Origin>,
    /// The keys that the layers set: ours from now on.
    pub owned: BTreeSet<String>,
    /// What differs from the layers.
    pub changes: Vec<Change>,
}

/// Where a key comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// The layer's name, or [`Present::path`].
    pub from: String,
    /// From 1.
    pub line: usize,
}

/// Something that was corrected, or left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The layer's name, or [`Present::path`].
    pub from: String,
    /// From 1.
    pub line: usize,
    /// As in `byte order mark removed`.
    pub what: &'static str,
}

/// Why there is no file that all readers read alike. Names keys and lines, never values.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error(
        "{path}, line {line}: AWS Batch generated this ECS_CLUSTER; {by} would make the host leave it"
    )]
    Conflict { path: String, line: usize, by: String },
    #[error("{from}, line {line}: {reader} would not read {key} as it is written")]
    Misread { from: String, line: usize, key: String, reader: &'static str },
    #[error("{from}, line {line}: not KEY=VALUE")]
    Malformed { from: String, line: usize },
}

impl Error {
    /// What would fix it.
    pub fn remedy(&self) -> String {
        match self {
            Error::Conflict { .. } => {
                "take ECS_CLUSTER out of the layers, or pass --keep ECS_CLUSTER so that Batch's value \
                 stays: a Batch host must join the cluster of its compute environment"
                    .into()
            }
            Error::Misread { from, .. } => format!(
                "write it as KEY=VALUE without quotes, backslashes or spaces around \
                 (`ecs-bootstrap lint {from}` says more); if another program wrote it, set the key \
                 in a layer, or pass --replace"
            ),
            Error::Malformed { .. } => "put # in front of the line, or remove it".into(),
        }
    }
}

/// Makes one file of `layers` and of what others wrote into `present`, in linear time.
///
/// # Errors
/// No file that all readers read alike is possible, or the host would leave AWS Batch.
pub fn merge(layers: &[Layer<'_>], present: Present<'_>) -> Result<Merged, Error> {
    let normalised: Vec<_> = layers.iter().map(|layer| normalise(layer.bytes)).collect();
    let layers = layers.iter().zip(&normalised);
    let texts: Vec<Text<'_>> =
        layers.clone().map(|(layer, (bytes, _))| Text::new(layer.name, bytes)).collect();
    let (bytes, _) = normalise(present.bytes);
    let foreign = Text::new(present.path, &bytes);
    let retained = Retained { text: &foreign, present, layers: &texts };
    retained.refuse_to_leave_batch()?;

    let mut page = Page::default();
    for (layer, (_, changes)) in layers {
        let change = |&(line, what)| Change { from: layer.name.into(), line, what };
        page.changes.extend(changes.iter().map(change));
    }
    let kept = retained.keys();
    if let ([only], true) = (&texts[..], kept.is_empty()) {
        return Ok(page.verbatim(only));
    }
    let comments = texts.iter().flat_map(Text::lines).filter(|line| line.kind == Kind::Comment);
    page.present(&foreign, &kept, &comments.map(|line| line.text()).collect());
    for (index, text) in texts.iter().enumerate() {
        page.layer(text, |name, line| {
            let is_set_again = texts[index + 1..].iter().any(|later| later.last.contains_key(name));
            !kept.contains(name) && text.is_last(name, line) && !is_set_again
        })?;
    }
    page.finish(&kept)
}

/// A source as lines, with the last value and line of each name.
struct Text<'a> {
    name: &'a str,
    bytes: &'a [u8],
    last: HashMap<&'a [u8], (&'a [u8], usize)>,
}

impl<'a> Text<'a> {
    fn new(name: &'a str, bytes: &'a [u8]) -> Self {
        let set = |line: Line<'a>| {
            let (name, value) = line.assignment()?;
            Some((name, (value, line.number)))
        };
        Text { name, bytes, last: lines::lines(bytes).filter_map(set).collect() }
    }

    /// Split each time they are asked for: a list of them would be seven times the text.
    fn lines(&self) -> impl Iterator<Item = Line<'a>> + use<'a> {
        lines::lines(self.bytes)
    }

    /// Whether this line is the last that sets the name.
    fn is_last(&self, name: &[u8], line: usize) -> bool {
        self.last.get(name).is_some_and(|(_, last)| *last == line)
    }
}

/// Decides which keys of the present file stay.
struct Retained<'a> {
    text: &'a Text<'a>,
    present: Present<'a>,
    layers: &'a [Text<'a>],
}

impl<'a> Retained<'a> {
    fn keys(&self) -> HashSet<&'a [u8]> {
        let rewritten = self.rewritten();
        let is_foreign = |name: &[u8]| !self.is_owned(name) || rewritten.contains(name);
        let is_set = |name: &[u8]| self.layers.iter().any(|layer| layer.last.contains_key(name));
        let stays = |name: &&[u8]| {
            is_foreign(name) && (self.is_kept(name) || !(self.present.replace || is_set(name)))
        };
        self.text.last.keys().copied().filter(stays).collect()
    }

    /// Names that the file sets to different values. Our own files hold no such names, since the
    /// linter refuses them: another program has appended to ours.
    fn rewritten(&self) -> HashSet<&'a [u8]> {
        let set = self.text.lines().filter_map(|line| line.assignment());
        let differs = |(name, value): &(&[u8], &[u8])| self.text.last[name].0 != *value;
        set.filter(differs).map(|(name, _)| name).collect()
    }

    fn is_owned(&self, name: &[u8]) -> bool {
        str::from_utf8(name).is_ok_and(|name| self.present.owned.contains(name))
    }

    fn is_kept(&self, name: &[u8]) -> bool {
        self.present.keep.iter().any(|key| key.as_bytes() == name)
    }

    /// A host that leaves the cluster of its compute environment is lost to Batch, which starts the
    /// next one: the result must have that cluster, whoever writes it.
    fn refuse_to_leave_batch(&self) -> Result<(), Error> {
        let name = batch::ECS_CLUSTER.as_bytes();
        let Some(&(value, line)) = self.text.last.get(name) else { return Ok(()) };
        let is_ours = self.is_owned(name) && !self.rewritten().contains(name);
        if !batch::is_generated(value) || is_ours || self.is_kept(name) {
            return Ok(());
        }
        let last =
            self.layers.iter().rev().find_map(|layer| Some((layer.name, layer.last.get(name)?)));
        let by = match last {
            Some((_, (new, _))) if *new == value => return Ok(()),
            Some((layer, _)) => layer,
            None if self.present.replace => "--replace",
            None => return Ok(()),
        };
        Err(Error::Conflict { path: self.present.path.into(), line, by: by.into() })
    }
}

#[cfg(test)]
mod tests;

//! Layers with owners: what the layers say and what others wrote into the present file become one
//! file.
//!
//! Takes bytes, gives bytes and, for each key, the layer and line it comes from; touches nothing.
//! The order of the result: first the keys that stay from the present file, then the layers in
//! their order. So what the next run finds in front is again what others wrote, and running twice
//! gives the same bytes.
//!
//! - A later layer's key wins, within a layer the later line. The line that loses goes away,
//!   comments stay.
//! - A key of the present file that our last run did not write belongs to somebody else. It stays,
//!   with the comments above it, unless a layer sets it. [`Rules::keep`] makes it win over the
//!   layers, [`Rules::replace`] drops it. One that we wrote and somebody then wrote again with
//!   another value, as scripts do that append, is theirs.
//! - A line of the present file that sets nothing (no `=`) belongs to nobody and is left out, with
//!   a note: ECS's own readers pass over it, docker would reject the whole file. Such a line in a
//!   layer is an error.
//! - An `ECS_CLUSTER` that AWS Batch generated never gives way silently: [`Error::Conflict`].
//! - Comments that some reader would not pass over are left out, with a note (`# K=old` is a
//!   variable to ecs-init).
//! - What is rendered is read again by every reader of
//!   [`Reader::ALL`](super::readers::Reader::ALL); they must agree on all of it, else
//!   [`Error::Misread`].
//!
//! One layer and nothing to merge: the layer's bytes, mended ([`mend`]); what is wrong with them is
//! the linter's to say.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

mod batch;
mod lines;
mod render;

pub use batch::is_batch;
pub use lines::mend;
use lines::{Kind, Line};
use render::Page;

/// One source of settings, in the order of `--config`; the last may be made of `--set`.
#[derive(Clone, Copy)]
pub struct Layer<'a> {
    /// How it is shown: `s3://bucket/key`, `--set`. Never a secret.
    pub name: &'a str,
    pub bytes: &'a [u8],
}

/// The file as it is.
#[derive(Clone, Copy)]
pub struct Present<'a> {
    pub bytes: &'a [u8],
    /// The keys that our last run wrote: [`Merged::owned`] of then.
    pub owned: &'a BTreeSet<String>,
}

/// What the user decided about keys of others.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// If the present file has one of these and we did not write it, its value stands.
    pub keep: &'a [String],
    /// Keys that others wrote are dropped, except those in `keep`.
    pub replace: bool,
    /// How the present file is shown.
    pub path: &'a str,
}

/// The file to install.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    pub bytes: Vec<u8>,
    /// Where each key of the result comes from.
    pub keys: BTreeMap<String, Origin>,
    /// The keys that the layers set: ours from now on.
    pub owned: BTreeSet<String>,
    /// What was changed or left out on the way.
    pub mended: Vec<Mend>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The layer's name, or [`Rules::path`].
    pub from: String,
    /// From 1.
    pub line: usize,
}

/// Something that the result holds otherwise than the layer did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mend {
    pub from: String,
    pub line: usize,
    pub what: &'static str,
}

/// Why there is no file that all readers read alike. Names keys and lines, never values.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error(
        "{path}, line {line}: AWS Batch generated this ECS_CLUSTER; {by} would make the host leave it"
    )]
    Conflict { path: String, line: usize, by: String },
    #[error("{from}, line {line}: {reader} would read {key} otherwise than it is written")]
    Misread { from: String, line: usize, key: String, reader: &'static str },
    #[error("{from}, line {line}: not KEY=VALUE")]
    Malformed { from: String, line: usize },
}

impl Error {
    pub fn remedy(&self) -> String {
        match self {
            Error::Conflict { .. } => {
                "a Batch host must join the cluster of its compute environment: take ECS_CLUSTER out of the layers, or \
                                       pass --keep ECS_CLUSTER, and Batch's value stands"
                    .into()
            }
            Error::Misread { from, .. } => format!(
                "write it as KEY=VALUE without quotes, backslashes or spaces around (ecs-bootstrap lint {from} says more); if somebody else \
                 wrote it, set the key in a layer, or pass --replace"
            ),
            Error::Malformed { .. } => "make it a comment with # in front, or take it out".into(),
        }
    }
}

/// Makes one file of `layers` and of what others wrote into `present`. Time is linear in their
/// sizes.
pub fn merge(
    layers: &[Layer<'_>],
    present: Option<Present<'_>>,
    rules: Rules<'_>,
) -> Result<Merged, Error> {
    let mended: Vec<_> = layers.iter().map(|layer| mend(layer.bytes)).collect();
    let texts: Vec<Text<'_>> = layers
        .iter()
        .zip(&mended)
        .map(|(layer, (bytes, _))| Text::new(layer.name, bytes))
        .collect();
    let (bytes, _) = mend(present.map_or(&[], |present| present.bytes));
    let theirs = Text::new(rules.path, &bytes);
    let nobody = BTreeSet::new();
    let stays = Stays {
        theirs: &theirs,
        owned: present.map_or(&nobody, |present| present.owned),
        layers: &texts,
        rules,
    };
    stays.refuse_to_leave_batch()?;

    let mut page = Page::default();
    for (layer, (_, notes)) in layers.iter().zip(&mended) {
        page.mended.extend(notes.iter().map(|&(line, what)| Mend {
            from: layer.name.into(),
            line,
            what,
        }));
    }
    let kept = stays.keys();
    if let ([only], true) = (&texts[..], kept.is_empty()) {
        return Ok(page.verbatim(only));
    }
    page.present(&theirs, &kept, &comments(&texts));
    for (index, text) in texts.iter().enumerate() {
        page.layer(text, |name, line| {
            !kept.contains(name) && last_word(&texts, index, name, line)
        })?;
    }
    page.finish(&kept)
}

/// A source, cut into lines, with the last line of each name.
struct Text<'a> {
    name: &'a str,
    bytes: &'a [u8],
    lines: Vec<Line<'a>>,
    last: HashMap<&'a [u8], &'a [u8]>,
    last_line: HashMap<&'a [u8], usize>,
}

impl<'a> Text<'a> {
    fn new(name: &'a str, bytes: &'a [u8]) -> Self {
        let lines = lines::lines(bytes);
        let set = || {
            lines.iter().filter_map(|line| {
                line.assignment().map(|(name, value)| (name, value, line.number))
            })
        };
        let last = set().map(|(name, value, _)| (name, value)).collect();
        let last_line = set().map(|(name, _, number)| (name, number)).collect();
        Text { name, bytes, lines, last, last_line }
    }
}

/// Whether no later line and no later layer sets the name again.
fn last_word(texts: &[Text<'_>], index: usize, name: &[u8], line: usize) -> bool {
    texts[index].last_line.get(name) == Some(&line)
        && !texts[index + 1..].iter().any(|text| text.last.contains_key(name))
}

fn comments<'a>(texts: &[Text<'a>]) -> HashSet<&'a [u8]> {
    texts
        .iter()
        .flat_map(|text| &text.lines)
        .filter(|line| line.kind == Kind::Comment)
        .map(|line| line.text)
        .collect()
}

/// Decides which keys of the present file stay.
struct Stays<'a> {
    theirs: &'a Text<'a>,
    owned: &'a BTreeSet<String>,
    layers: &'a [Text<'a>],
    rules: Rules<'a>,
}

impl<'a> Stays<'a> {
    fn keys(&self) -> HashSet<&'a [u8]> {
        let rewritten = self.rewritten();
        let is_theirs = |name: &[u8]| !contains(self.owned, name) || rewritten.contains(name);
        let names = self.theirs.last.keys().copied();
        names
            .filter(|name| {
                is_theirs(name)
                    && (self.is_protected(name) || !(self.rules.replace || self.is_set(name)))
            })
            .collect()
    }

    /// Names that stand in the file with different values. Our own files hold no such names, since
    /// the linter refuses them: somebody has appended to ours.
    fn rewritten(&self) -> HashSet<&'a [u8]> {
        let set = self.theirs.lines.iter().filter_map(Line::assignment);
        set.filter(|(name, value)| self.theirs.last[name] != *value).map(|(name, _)| name).collect()
    }

    fn is_protected(&self, name: &[u8]) -> bool {
        self.rules.keep.iter().any(|key| key.as_bytes() == name)
    }

    fn is_set(&self, name: &[u8]) -> bool {
        self.layers.iter().any(|layer| layer.last.contains_key(name))
    }

    /// A host that leaves the cluster of its compute environment is lost to Batch, which starts the
    /// next one: the result must have that cluster, whoever writes it.
    fn refuse_to_leave_batch(&self) -> Result<(), Error> {
        let Some((value, line)) = batch::cluster(self.theirs) else { return Ok(()) };
        let ours = contains(self.owned, batch::ECS_CLUSTER)
            && !self.rewritten().contains(batch::ECS_CLUSTER);
        let setter = self
            .layers
            .iter()
            .rev()
            .find_map(|layer| Some((layer.name, *layer.last.get(batch::ECS_CLUSTER)?)));
        let by = match setter {
            Some((_, new)) if new == value => return Ok(()),
            Some((name, _)) => name,
            None if self.rules.replace => "--replace",
            None => return Ok(()),
        };
        if ours || self.is_protected(batch::ECS_CLUSTER) {
            return Ok(());
        }
        Err(Error::Conflict { path: self.rules.path.into(), line, by: by.into() })
    }
}

fn contains(keys: &BTreeSet<String>, name: &[u8]) -> bool {
    str::from_utf8(name).is_ok_and(|name| keys.contains(name))
}

#[cfg(test)]
mod tests;

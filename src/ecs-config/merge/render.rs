//! Writes the merged file, and makes sure that every reader reads what was written.

use std::collections::{BTreeMap, HashSet};

use super::{Change, Error, Merged, Origin, Text};
use crate::lines::{Kind, Line};
use crate::readers::Reader;
use crate::text::lossy;

/// The file under way.
#[derive(Default)]
pub(super) struct Page<'a> {
    bytes: Vec<u8>,
    /// The lines that set something, each with where it comes from.
    set: Vec<(&'a str, Line<'a>)>,
    pub(super) changes: Vec<Change>,
}

const SILENT: &str = "a comment that some reader would not skip: left out";
const NOTHING: &str = "sets nothing and is not a comment: left out";

impl<'a> Page<'a> {
    /// One layer and nothing to merge with it: its own bytes.
    pub(super) fn verbatim(mut self, text: &Text<'a>) -> Merged {
        self.bytes = text.bytes.to_vec();
        let set = text.lines().filter(|line| line.assignment().is_some());
        self.set.extend(set.map(|line| (text.name, line)));
        self.merged(&HashSet::new())
    }

    /// The lines that stay from the present file. A comment goes with the key below it; one that a
    /// layer brings too is the layer's.
    pub(super) fn present(
        &mut self,
        text: &Text<'a>,
        kept: &HashSet<&[u8]>,
        ours: &HashSet<&[u8]>,
    ) {
        let mut above = Vec::new();
        for line in text.lines() {
            match line.assignment() {
                Some((name, _)) if kept.contains(name) => {
                    above.drain(..).for_each(|line| self.comment(text, line));
                    if text.is_last(name, line.number) {
                        self.assign(text, line);
                    }
                }
                Some(_) => above.clear(),
                None if line.kind == Kind::Other => self.leave_out(text, line, NOTHING),
                None if ours.contains(line.text()) => {}
                None => above.push(line),
            }
        }
    }

    /// The lines of a layer; of its assignments those that `wins` picks by name and line.
    pub(super) fn layer(
        &mut self,
        text: &Text<'a>,
        wins: impl Fn(&[u8], usize) -> bool,
    ) -> Result<(), Error> {
        for line in text.lines() {
            match line.assignment() {
                Some((name, _)) if wins(name, line.number) => self.assign(text, line),
                Some(_) => self.gap(),
                None if line.kind == Kind::Other => {
                    return Err(Error::Malformed { from: text.name.into(), line: line.number });
                }
                None => self.comment(text, line),
            }
        }
        Ok(())
    }

    fn assign(&mut self, text: &Text<'a>, line: Line<'a>) {
        self.write(line.text());
        self.set.push((text.name, line));
    }

    /// A comment or a blank line.
    fn comment(&mut self, text: &Text<'a>, line: Line<'a>) {
        match line.kind == Kind::Blank || is_silent(line.text()) {
            true => self.write(line.text()),
            false => self.leave_out(text, line, SILENT),
        }
    }

    /// Where a line lost to a later one, so that the comment above it does not seem to be about the
    /// line below.
    fn gap(&mut self) {
        let last =
            self.bytes.strip_suffix(b"\n").and_then(|text| text.rsplit(|&c| c == b'\n').next());
        if last.is_some_and(|line| line.starts_with(b"#")) {
            self.write(b"");
        }
    }

    fn write(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.bytes.push(b'\n');
    }

    fn leave_out(&mut self, text: &Text<'a>, line: Line<'a>, what: &'static str) {
        self.changes.push(Change { from: text.name.into(), line: line.number, what });
    }

    /// The last check, always: all readers must read from the page what was meant.
    pub(super) fn finish(self, kept: &HashSet<&[u8]>) -> Result<Merged, Error> {
        let intended = self.set.iter().filter_map(|(_, line)| line.assignment());
        let intended: BTreeMap<&[u8], Option<&[u8]>> =
            intended.map(|(name, value)| (name, Some(value))).collect();
        for reader in Reader::ALL {
            let reading = reader.read(&self.bytes);
            if reading.error.is_some() || reading.map() != intended {
                return Err(self.blame(reader));
            }
        }
        Ok(self.merged(kept))
    }

    /// The first line that the reader reads in another way, even alone.
    fn blame(&self, reader: Reader) -> Error {
        let is_read = |line: &Line<'_>| {
            let set = line.assignment();
            set.is_some_and(|(name, value)| reader.reads_as(line.text(), name, value))
        };
        let differing = self.set.iter().find(|(_, line)| !is_read(line));
        let (from, line) =
            differing.or(self.set.last()).expect("an empty page reads the same everywhere");
        Error::Misread {
            from: (*from).into(),
            line: line.number,
            key: shown(line.assignment().unwrap_or_default().0),
            reader: reader.name(),
        }
    }

    fn merged(self, kept: &HashSet<&[u8]>) -> Merged {
        let mut merged = Merged { bytes: self.bytes, changes: self.changes, ..Merged::default() };
        for (from, line) in self.set {
            let Some((name, _)) = line.assignment().filter(|(name, _)| is_key(name)) else {
                continue;
            };
            let key = lossy(name);
            if !kept.contains(name) {
                merged.owned.insert(key.clone());
            }
            merged.keys.insert(key, Origin { from: from.into(), line: line.number });
        }
        merged
    }
}

/// Whether every reader skips the line and takes the next one whole.
fn is_silent(comment: &[u8]) -> bool {
    let probe = [comment, b"\nNEXT=1\n"].concat();
    Reader::ALL.into_iter().all(|reader| reader.reads_as(&probe, b"NEXT", b"1"))
}

/// What may be shown as a key. Anything else may be a piece of a value with line feeds in it.
fn is_key(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|c| c.is_ascii_alphanumeric() || b"_.-".contains(c))
}

fn shown(name: &[u8]) -> String {
    let exported = name.strip_prefix(b"export ").map(<[u8]>::trim_ascii);
    match exported {
        Some(key) if is_key(key) => format!("`export {}`", lossy(key)),
        _ if is_key(name) => lossy(name),
        _ if name.contains(&0) => "UTF-16".into(),
        _ => "what is before the =".into(),
    }
}

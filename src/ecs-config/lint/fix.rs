//! Mends what can be mended without changing what the author meant.
//!
//! Takes the bytes of a file; gives mended bytes and which finding went away in which line. A line
//! is rewritten only if every reader then takes it as its author meant it; lines are neither added
//! nor removed.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use serde::Serialize;

use super::lines::{self, Setting};
use super::meant::is_json;
use super::{Context, File, Findings, Readers, bytes, check_layer};
use crate::go;
use crate::merge;
use crate::readers::Reader;
use crate::variables::{self, Kind};

/// A finding that mending made go away.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Mended {
    pub line: usize,
    pub id: &'static str,
}

/// The mended file. What is no text, or no configuration, stays as it is.
pub fn mend(file: &[u8]) -> (Vec<u8>, Vec<Mended>) {
    let (ended, _) = merge::mend(file);
    let text = match bytes::look(&ended, &mut sink()) {
        Some(Cow::Borrowed(text)) if !text.contains('\0') => text,
        _ => return (file.to_vec(), Vec::new()),
    };
    let settings: HashMap<usize, Setting> =
        lines::scan(text, &mut sink()).into_iter().map(|one| (one.line, one)).collect();
    let lines = text.split('\n').enumerate().map(|(at, line)| match settings.get(&(at + 1)) {
        Some(setting) => setting_line(line, setting),
        None => other_line(line),
    });
    let mended = lines.collect::<Vec<_>>().join("\n").into_bytes();
    let done = gone(file, &mended);
    (mended, done)
}

fn sink() -> Findings<'static> {
    Findings::new("", Readers::ALL)
}

/// NAME=value as it was meant, if all readers agree on that.
fn setting_line<'t>(line: &'t str, setting: &Setting<'t>) -> Cow<'t, str> {
    let value = straight(setting).unwrap_or(Cow::Borrowed(setting.value));
    let meant = format!("{}={value}", setting.name);
    let remark = line.contains('#') && !setting.value.contains('#');
    match setting.whole && !remark && reads_as(&meant, setting.name, &value) {
        true => Cow::Owned(meant),
        false => Cow::Borrowed(line),
    }
}

fn reads_as(line: &str, name: &str, value: &str) -> bool {
    let exactly = |reader: Reader| {
        let reading = reader.read(line.as_bytes());
        matches!(&reading.variables[..], [one] if one.name == name.as_bytes() && one.value.as_deref() == Some(value.as_bytes()))
    };
    Reader::ALL.into_iter().all(exactly)
}

/// The value in the word or with the quotes that the agent takes, where there is no doubt which.
fn straight<'t>(setting: &Setting<'t>) -> Option<Cow<'t, str>> {
    let known = variables::find(setting.name)?;
    let value = setting.value;
    match known.kind {
        Kind::Bool => go::meant_boolean(value)
            .map(|meant| Cow::Borrowed(if meant { "true" } else { "false" })),
        Kind::StringList | Kind::StringMap | Kind::Auth | Kind::PortList | Kind::CidrList
            if !value.is_ascii() =>
        {
            let straight = value.replace(['\u{201c}', '\u{201d}', '\u{201e}'], "\"");
            is_json(&straight).then_some(Cow::Owned(straight))
        }
        _ => None,
    }
}

/// Comments: `;` becomes `#`, and the backslash that makes systemd read on goes.
fn other_line(line: &str) -> Cow<'_, str> {
    let comment = match line.trim_start().as_bytes() {
        [b'#', ..] => Cow::Borrowed(line),
        [b';', ..] => Cow::Owned(line.replacen(';', "#", 1)),
        _ => return Cow::Borrowed(line),
    };
    match comment.ends_with('\\') {
        // A lone CR before it would next be taken for a line's end.
        true => Cow::Owned(comment.trim_end_matches(['\\', '\r']).to_owned()),
        false => comment,
    }
}

fn gone(before: &[u8], after: &[u8]) -> Vec<Mended> {
    let after: BTreeSet<Mended> = findings(after);
    findings(before).difference(&after).cloned().collect()
}

fn findings(bytes: &[u8]) -> BTreeSet<Mended> {
    let found = check_layer(&File { source: "", bytes }, &Context::default());
    found
        .into_iter()
        .filter_map(|finding| Some(Mended { line: finding.line?, id: finding.id }))
        .collect()
}

//! Fixes what can be fixed without changing what the author meant.
//!
//! A line is rewritten only if every reader then takes it as its author meant it; lines are neither
//! added nor removed.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};

use serde::Serialize;

use super::findings::Findings;
use super::parsed_value::is_json;
use super::scan::{self, Setting};
use super::{Context, File, check_layer, encoding};
use crate::go;
use crate::lines::{Line, lines};
use crate::merge;
use crate::readers::Reader;
use crate::variables::{self, Kind};

/// A finding that is gone after [`fix`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Fixed {
    /// From 1.
    pub line: usize,
    /// The id of the rule.
    pub id: &'static str,
}

/// The fixed file, and what was fixed. What is not text, or not a configuration, stays as it is.
pub fn fix(file: &[u8]) -> (Vec<u8>, Vec<Fixed>) {
    let (normalised, _) = merge::normalise(file);
    let text = match encoding::check(&normalised, &mut Findings::ignored()) {
        Some(Cow::Borrowed(text)) if !text.contains('\0') => text,
        _ => return (file.to_vec(), Vec::new()),
    };
    let settings = scan::scan(text, &mut Findings::ignored());
    let ambiguous = ambiguous(&settings);
    let settings: HashMap<usize, Setting<'_>> =
        settings.into_iter().map(|one| (one.line, one)).collect();
    let fixed_line = |line: Line<'_>| {
        let body = &text[line.start..line.start + line.body().len()];
        let fixed = match settings.get(&line.number) {
            Some(setting) if ambiguous.contains(setting.name) => Cow::Borrowed(body),
            Some(setting) => setting_line(body, setting),
            None => other_line(body),
        };
        [&fixed, "\n"].concat()
    };
    let fixed = lines(text.as_bytes()).map(fixed_line).collect::<String>().into_bytes();
    let gone = findings(file).difference(&findings(&fixed)).cloned().collect();
    (fixed, gone)
}

/// The names that are set to different values: correcting one line may change which of them counts.
fn ambiguous<'t>(settings: &[Setting<'t>]) -> HashSet<&'t str> {
    let mut values = HashMap::new();
    let differs = |one: &&Setting<'t>| *values.entry(one.name).or_insert(one.value) != one.value;
    settings.iter().filter(differs).map(|one| one.name).collect()
}

/// NAME=value as it was meant, if all readers agree on that.
fn setting_line<'t>(line: &'t str, setting: &Setting<'t>) -> Cow<'t, str> {
    let value = corrected(setting).unwrap_or(Cow::Borrowed(setting.value));
    let intended = format!("{}={value}", setting.name);
    let has_comment = line.contains('#') && !setting.value.contains('#');
    let (line_bytes, name) = (intended.as_bytes(), setting.name.as_bytes());
    let agrees = |reader: Reader| reader.reads_as(line_bytes, name, value.as_bytes());
    match setting.is_whole && !has_comment && Reader::ALL.into_iter().all(agrees) {
        true => Cow::Owned(intended),
        false => Cow::Borrowed(line),
    }
}

/// The value in the word or with the quotes that the agent takes, where there is no doubt which.
fn corrected<'t>(setting: &Setting<'t>) -> Option<Cow<'t, str>> {
    let value = setting.value;
    match variables::find(setting.name)?.kind {
        // What only people take for a boolean is left: the agent ignores it until now.
        Kind::Bool => {
            let word = if go::boolean(value)? { "true" } else { "false" };
            Some(Cow::Borrowed(word))
        }
        Kind::StringList | Kind::StringMap | Kind::Auth | Kind::PortList | Kind::CidrList
            if !value.is_ascii() =>
        {
            let straight = value.replace(['\u{201c}', '\u{201d}', '\u{201e}'], "\"");
            is_json(&straight).then_some(Cow::Owned(straight))
        }
        // Escaped for a shell, which did not read it.
        Kind::StringList | Kind::StringMap | Kind::Auth | Kind::PortList | Kind::CidrList
            if value.contains("\\\"") && !is_json(value) =>
        {
            let plain = value.replace("\\\"", "\"");
            is_json(&plain).then_some(Cow::Owned(plain))
        }
        _ => None,
    }
}

/// Comments: `;` becomes `#`, and the backslash that makes systemd read on is removed, with a lone
/// CR before it, which would be taken for the end of the line next.
fn other_line(line: &str) -> Cow<'_, str> {
    let comment = match line.trim_start().as_bytes() {
        [b'#', ..] => Cow::Borrowed(line),
        [b';', ..] => Cow::Owned(line.replacen(';', "#", 1)),
        _ => return Cow::Borrowed(line),
    };
    match comment.ends_with('\\') {
        true => Cow::Owned(comment.trim_end_matches(['\\', '\r']).to_owned()),
        false => comment,
    }
}

fn findings(bytes: &[u8]) -> BTreeSet<Fixed> {
    let found = check_layer(&File { source: "", bytes }, &Context::default());
    let fixed = found.into_iter().filter_map(|one| Some(Fixed { line: one.line?, id: one.id }));
    fixed.collect()
}

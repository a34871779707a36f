//! Fixes what can be fixed without changing what the author meant.
//!
//! A line is rewritten only if every reader then takes it as its author meant it; lines are neither
//! added nor removed.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};

use serde::Serialize;

use super::findings::Findings;
use super::parsed_value::{ParsedValue, is_json};
use super::scan::{self, Setting};
use super::{Context, File, check_layer, encoding};
use crate::Effective;
use crate::go;
use crate::lines::{Line, lines};
use crate::merge;
use crate::readers::Reader;
use crate::variables::{self, Kind, Variable};

/// A finding that is gone after [`fix`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Fixed {
    /// From 1.
    pub line: usize,
    /// The id of the rule.
    pub id: &'static str,
}

/// The fixed file, and what was fixed. What is not text, or not a configuration, stays as it is, and
/// so does a line that would begin to give up a protection.
pub fn fix(file: &[u8]) -> (Vec<u8>, Vec<Fixed>) {
    let (normalised, _) = merge::normalise(file);
    let text = match encoding::check(&normalised, &mut Findings::default()) {
        Some(Cow::Borrowed(text)) if !text.contains('\0') => text,
        _ => return (file.to_vec(), Vec::new()),
    };
    let settings = scan::scan(text, &mut Findings::default());
    // Of a name that is set more than once, correcting one line may change which of them counts,
    // and a value that a later line overrides is not reported.
    let mut left: HashSet<&str> =
        settings.iter().filter(|one| !one.counts).map(|one| one.name).collect();
    let settings: HashMap<usize, Setting<'_>> =
        settings.into_iter().map(|one| (one.line, one)).collect();
    loop {
        let fixed = rewritten(text, &settings, &left);
        let exposed = exposed(file, &fixed);
        if exposed.is_empty() {
            let gone = findings(file).difference(&findings(&fixed)).cloned().collect();
            return (fixed, gone);
        }
        let known = left.len();
        left.extend(exposed);
        if left.len() == known {
            return (file.to_vec(), Vec::new());
        }
    }
}

fn rewritten(text: &str, settings: &HashMap<usize, Setting<'_>>, left: &HashSet<&str>) -> Vec<u8> {
    let fixed_line = |line: Line<'_>| {
        let body = &text[line.start..line.start + line.body().len()];
        let fixed = match settings.get(&line.number) {
            Some(setting) if left.contains(setting.name) => Cow::Borrowed(body),
            Some(setting) => setting_line(body, setting),
            None => other_line(body),
        };
        [&fixed, "\n"].concat()
    };
    lines(text.as_bytes()).map(fixed_line).collect::<String>().into_bytes()
}

/// The word with which a switch gives up a protection.
const UNSAFE: [(&str, bool); 9] = [
    ("ECS_AGENT_PID_NAMESPACE_HOST", true),
    ("ECS_AGENT_RUN_PRIVILEGED", true),
    ("ECS_ALLOW_OFFHOST_INTROSPECTION_ACCESS", true),
    ("ECS_APPARMOR_CAPABLE", false),
    ("ECS_AWSVPC_BLOCK_IMDS", false),
    ("ECS_DISABLE_PRIVILEGED", false),
    ("ECS_ENABLE_TASK_CPU_MEM_LIMIT", false),
    ("ECS_SELINUX_CAPABLE", false),
    ("ECS_SKIP_LOCALHOST_TRAFFIC_FILTER", true),
];

/// The switches with which some reader has a protection before, and no longer afterwards.
fn exposed(before: &[u8], after: &[u8]) -> Vec<&'static str> {
    let reads = |reader: &Reader| reader.read(before).error.is_none();
    let is_exposed = |(name, word): &&(&'static str, bool)| {
        let known = variables::find(name);
        let is_exact = known.is_some_and(Variable::wants_exactly_true);
        let is_safe = |reader, bytes| {
            let effective = Effective::read_by(reader, Some(bytes), None);
            let set = effective.in_environment(name);
            match set.filter(|set| !is_exact || set.value == b"true").and_then(|set| set.boolean())
            {
                Some(is_on) => is_on != *word,
                None => known.and_then(|known| go::boolean(known.default)) != Some(*word),
            }
        };
        let has = |bytes: &[u8]| bytes.windows(name.len()).any(|bytes| bytes == name.as_bytes());
        let mut readers = Reader::ALL.into_iter().filter(reads);
        has(before) && readers.any(|reader| is_safe(reader, before) && !is_safe(reader, after))
    };
    UNSAFE.iter().filter(is_exposed).map(|(name, _)| *name).collect()
}

/// NAME=value as it was meant, if all readers agree on that, and no comment is lost.
fn setting_line<'t>(line: &'t str, setting: &Setting<'t>) -> Cow<'t, str> {
    let name = setting.name;
    let value = corrected(setting).unwrap_or(Cow::Borrowed(setting.value()));
    let intended = format!("{name}={value}");
    let agrees =
        |reader: Reader| reader.reads_as(intended.as_bytes(), name.as_bytes(), value.as_bytes());
    // As the linter will read it next.
    let plain = ParsedValue::new(value.trim());
    let is_plain = plain.value == value && plain.shape.is_none();
    let is_open = setting.is_whole() && !setting.parsed.has_comment && is_plain;
    match is_open && Reader::ALL.into_iter().all(agrees) {
        true => Cow::Owned(intended),
        false => Cow::Borrowed(line),
    }
}

/// The value in the word or with the quotes that the agent takes, where there is no doubt which.
fn corrected<'t>(setting: &Setting<'t>) -> Option<Cow<'t, str>> {
    let value = setting.value();
    match setting.known?.kind {
        // What only people take for a boolean is left: the agent ignores it until now.
        Kind::Bool => {
            let word = if go::boolean(value)? { "true" } else { "false" };
            Some(Cow::Borrowed(word))
        }
        Kind::StringList | Kind::StringMap | Kind::Auth | Kind::PortList | Kind::CidrList
            if !is_json(value) =>
        {
            // Pasted from a document, or escaped for a shell, which did not read it, or both.
            let straight = value.replace(['\u{201c}', '\u{201d}', '\u{201e}'], "\"");
            let plain = straight.replace("\\\"", "\"");
            [straight, plain].into_iter().find(|text| is_json(text)).map(Cow::Owned)
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
    found.into_iter().filter_map(|one| Some(Fixed { line: one.line?, id: one.id })).collect()
}

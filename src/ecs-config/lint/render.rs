//! Findings for people, in the manner of rustc: the line, the place in it, what each reader makes
//! of it, the fix.
//!
//! This is the one place that shows values, those of the user's own file on the user's own
//! terminal; secrets are not.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

use super::disagree::READERS;
use super::excerpt::{self, Excerpt, Quoted};
use super::rules::{self, Kind};
use super::{File, Finding, Readers, Severity, plain};
use crate::readers::{Reader, Reading, lossy};
use crate::text::plural;
use crate::variables;

/// How to write.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    pub color: bool,
    /// The readers to compare.
    pub readers: Readers,
}

/// Everything about one file, and nothing if there is nothing to say.
pub fn text(file: &File, findings: &[Finding], style: Style) -> String {
    if findings.is_empty() {
        return String::new();
    }
    let compared = compared(file.bytes, findings);
    let page = Page {
        file,
        quoted: Quoted::new(file.bytes),
        readings: Readings::of(&compared, style.readers),
        style,
    };
    findings.iter().map(|finding| page.finding(finding)).collect()
}

/// Whether it helps to see what each reader sets. Of a key that stands twice the message says all.
fn compares(finding: &Finding) -> bool {
    let about_readers = rules::find(finding.id).is_some_and(|rule| rule.kind == Kind::Readers);
    about_readers && !["duplicate-key", "conflicting-duplicate"].contains(&finding.id)
}

/// What must be read to compare the readers on the keys of the findings: their lines, and those
/// that set these keys; or all lines, if something goes on over the end of one.
fn compared<'b>(bytes: &'b [u8], findings: &[Finding]) -> Cow<'b, [u8]> {
    const SPANNING: [&str; 5] = [
        "unclosed-quote",
        "line-continuation",
        "comment-continuation",
        "multi-line-value",
        "cr-only",
    ];
    let keys: HashSet<&[u8]> = findings
        .iter()
        .filter(|finding| compares(finding))
        .filter_map(|one| one.key.as_deref())
        .map(str::as_bytes)
        .collect();
    let lines: HashSet<usize> = findings.iter().filter_map(|finding| finding.line).collect();
    let sets_key = |line: &[u8]| {
        line.iter().position(|byte| *byte == b'=').is_some_and(|cut| keys.contains(&line[..cut]))
    };
    match findings.iter().any(|finding| SPANNING.contains(&finding.id)) {
        _ if keys.is_empty() => Cow::Borrowed(b""),
        true => Cow::Borrowed(bytes),
        false => {
            Cow::Owned(plain::only(bytes, |number, line| lines.contains(&number) || sets_key(line)))
        }
    }
}

/// `2 errors, 1 warning`, or `no findings`.
pub fn summary(findings: &[Finding]) -> String {
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let counts = [Severity::Error, Severity::Warning, Severity::Note]
        .map(|severity| (count(severity), severity.word()));
    match counts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| plural(count, word))
        .collect::<Vec<_>>()
    {
        none if none.is_empty() => "no findings".to_owned(),
        some => some.join(", "),
    }
}

const RESET: &str = "\x1b[0m";
const BOLD: &str = "\x1b[1m";
const BLUE: &str = "\x1b[1;34m";

fn color(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "\x1b[1;31m",
        Severity::Warning => "\x1b[1;33m",
        Severity::Note => "\x1b[1;36m",
    }
}

struct Page<'p> {
    file: &'p File<'p>,
    quoted: Quoted<'p>,
    readings: Readings<'p>,
    style: Style,
}

impl Page<'_> {
    fn paint(&self, color: &str, text: &str) -> String {
        if self.style.color { format!("{color}{text}{RESET}") } else { text.to_owned() }
    }

    fn finding(&self, finding: &Finding) -> String {
        let number = finding.line.map_or(String::new(), |line| line.to_string());
        let margin = " ".repeat(number.len());
        let mut out = self.head(finding, &margin);
        out.push_str(&self.quote(finding, &number, &margin).unwrap_or_default());
        let equals = self.paint(BLUE, "=");
        for (names, what) in self.readings.about(finding) {
            let _ = writeln!(out, "{margin} {equals} {names}: {what}");
        }
        if let Some(fix) = &finding.fix {
            let _ = writeln!(out, "{margin} {equals} {} {fix}", self.paint(BOLD, "fix:"));
        }
        out.push('\n');
        out
    }

    fn head(&self, finding: &Finding, margin: &str) -> String {
        let id = self.paint(
            color(finding.severity),
            &format!("{}[{}]", finding.severity.word(), finding.id),
        );
        let message = self.paint(BOLD, &format!(": {}", finding.message));
        let place = finding
            .line
            .map_or(String::new(), |line| format!(":{line}:{}", finding.columns.start + 1));
        format!("{id}{message}\n{margin}{} {}{place}\n", self.paint(BLUE, "-->"), finding.source)
    }

    /// The line with its place marked. A merged view has findings of other files than this one:
    /// their lines are not here.
    fn quote(&self, finding: &Finding, number: &str, margin: &str) -> Option<String> {
        let line = finding.line.filter(|_| finding.source == self.file.source)?;
        let Excerpt { text, marked } = self.quoted.excerpt(line, &finding.columns)?;
        let (bar, number) = (self.paint(BLUE, "|"), self.paint(BLUE, number));
        let carets = self.paint(color(finding.severity), &"^".repeat(marked.len()));
        Some(format!(
            "{margin} {bar}\n{number} {bar} {text}\n{margin} {bar} {}{carets}\n",
            " ".repeat(marked.start)
        ))
    }
}

/// What each reader makes of the file.
struct Readings<'b> {
    list: Vec<(Reader, Reading<'b>, BTreeMap<String, String>)>,
}

impl<'b> Readings<'b> {
    fn of(bytes: &'b [u8], readers: Readers) -> Self {
        let read = |(reader, _): (Reader, Readers)| {
            let reading = reader.read(bytes);
            let set = reading
                .variables
                .iter()
                .map(|one| (lossy(one.name), one.value.as_deref().map_or(String::new(), shown)))
                .collect();
            (reader, reading, set)
        };
        Self {
            list: READERS.into_iter().filter(|(_, set)| readers.meets(*set)).map(read).collect(),
        }
    }

    /// For a finding about readers: what they set, those that agree together. Nothing if all do.
    fn about(&self, finding: &Finding) -> Vec<(String, String)> {
        let Some(key) = finding.key.as_deref().filter(|_| compares(finding)) else {
            return Vec::new();
        };
        let mut outcomes: Vec<(String, String)> = Vec::new();
        for (reader, reading, set) in &self.list {
            let outcome = outcome(key, reading, set);
            match outcomes.iter_mut().find(|(_, what)| *what == outcome) {
                Some((names, _)) => *names = format!("{names}, {}", reader.name()),
                None => outcomes.push((reader.name().to_owned(), outcome)),
            }
        }
        if outcomes.len() > 1 || finding.severity == Severity::Error {
            conceal(key, outcomes)
        } else {
            Vec::new()
        }
    }
}

fn outcome(key: &str, reading: &Reading, set: &BTreeMap<String, String>) -> String {
    match (&reading.error, set.get(key)) {
        (Some(note), _) => format!("refuses the file ({note})"),
        (None, Some(value)) => format!("{key} is `{value}`"),
        (None, None) => format!("{key} is not set"),
    }
}

/// Outcomes are compared with their values and shown without, if the key is a secret.
fn conceal(key: &str, outcomes: Vec<(String, String)>) -> Vec<(String, String)> {
    let hide = |what: String| {
        if what.starts_with(&format!("{key} is `")) { format!("{key} is [redacted]") } else { what }
    };
    match variables::is_secret(key) {
        true => outcomes.into_iter().map(|(names, what)| (names, hide(what))).collect(),
        false => outcomes,
    }
}

/// A value that fits on a line.
fn shown(value: &[u8]) -> String {
    const LONGEST: usize = 60;
    let text: String = lossy(value).chars().flat_map(excerpt::visible).collect();
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// What every reader would set, for `lint --readers`.
pub fn readers(bytes: &[u8], readers: Readers, show_secrets: bool) -> String {
    let mut out = String::new();
    for (reader, reading, _) in &Readings::of(bytes, readers).list {
        let _ = writeln!(out, "{}", reader.name());
        for one in &reading.variables {
            let name = lossy(one.name);
            let shown = if show_secrets || surely_a_name(&name) {
                escaped(one.name)
            } else {
                "[no name: redacted]".to_owned()
            };
            let value = match &one.value {
                None => " (the variable of that name where docker runs)".to_owned(),
                Some(_) if !show_secrets && variables::is_secret(&name) => "=[redacted]".to_owned(),
                Some(value) => format!("={}", escaped(value)),
            };
            let _ = writeln!(out, "  {shown}{value}");
        }
        for note in &reading.dropped {
            let _ = writeln!(out, "  dropped: {note}");
        }
        if let Some(note) = &reading.error {
            let _ = writeln!(out, "  refuses the file: {note}");
        }
    }
    out
}

/// What stands left of `=` may be a piece of a secret that goes on over its line; a name, or a
/// remark in front of one, is not.
fn surely_a_name(name: &str) -> bool {
    let bare = name.trim_start_matches(['#', ';']).trim();
    let bare = bare.strip_prefix("export ").unwrap_or(bare).trim();
    bare.is_empty() || super::fit_to_show(bare)
}

fn escaped(bytes: &[u8]) -> String {
    lossy(bytes).chars().flat_map(excerpt::visible).collect()
}

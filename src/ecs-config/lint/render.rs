//! Findings for people, in the manner of rustc: the line, the place in it, what each reader sets,
//! the fix.
//!
//! This is the one place that shows values, those of the user's own file on the user's own
//! terminal; secrets are not.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

use super::context::ReaderSet;
use super::excerpt::{Excerpt, Quoted, visible};
use super::reader_consistency::READERS;
use super::rules::{self, Kind};
use super::{File, Finding, Severity, is_presentable};
use crate::lines::keep_only;
use crate::readers::{Reader, Reading};
use crate::redact::REDACTED;
use crate::text::{lossy, plural};
use crate::variables;

/// How to write.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// With the escape sequences of terminals.
    pub color: bool,
    /// The readers to compare.
    pub readers: ReaderSet,
}

/// Everything about one file; empty if there are no findings.
pub fn text(file: &File<'_>, findings: &[Finding], style: Style) -> String {
    if findings.is_empty() {
        return String::new();
    }
    let compared = compared(file.bytes, findings);
    let readings = readings(&compared, style.readers);
    let sets = readings.iter().map(|(reader, reading)| {
        let refusal = reading.error.as_ref().map(ToString::to_string);
        Sets { reader: *reader, refusal, values: reading.map() }
    });
    let sets = sets.collect();
    let page = Page { file, quoted: Quoted::new(file.bytes), sets, style };
    findings.iter().map(|finding| page.finding(finding)).collect()
}

/// Whether it helps to see what each reader sets. Of a key that is set twice the message says all.
fn compares(finding: &Finding) -> bool {
    let is_about_readers = rules::find(finding.id).is_some_and(|rule| rule.kind == Kind::Readers);
    is_about_readers && !["duplicate-key", "conflicting-duplicate"].contains(&finding.id)
}

/// What must be read to compare the readers on the keys of the findings: their lines, and those
/// that set these keys; or all lines, if something does not end on its line.
fn compared<'b>(bytes: &'b [u8], findings: &[Finding]) -> Cow<'b, [u8]> {
    let keys = findings.iter().filter(|finding| compares(finding));
    let keys: HashSet<&[u8]> = keys.filter_map(|one| Some(one.key.as_ref()?.as_bytes())).collect();
    let lines: HashSet<usize> = findings.iter().filter_map(|finding| finding.line).collect();
    if keys.is_empty() {
        return Cow::Borrowed(b"");
    }
    let spanning = "unclosed-quote line-continuation comment-continuation multi-line-value cr-only";
    let spans = |finding: &Finding| spanning.split(' ').any(|id| id == finding.id);
    if findings.iter().any(spans) {
        return Cow::Borrowed(bytes);
    }
    Cow::Owned(keep_only(bytes, |line| {
        let sets_key = line.assignment().is_some_and(|(name, _)| keys.contains(name));
        sets_key || lines.contains(&line.number)
    }))
}

/// `2 errors, 1 warning`, or `no findings`.
pub fn summary(findings: &[Finding]) -> String {
    let count = |severity: Severity| {
        let count = findings.iter().filter(|finding| finding.severity == severity).count();
        (count > 0).then(|| plural(count, severity.word()))
    };
    let counts = [Severity::Error, Severity::Warning, Severity::Note].into_iter().filter_map(count);
    let counts = counts.collect::<Vec<_>>().join(", ");
    if counts.is_empty() { "no findings".to_owned() } else { counts }
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
    sets: Vec<Sets<'p>>,
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
        for (names, what) in self.views(finding) {
            let _ = writeln!(out, "{margin} {equals} {names}: {what}");
        }
        if let Some(fix) = &finding.fix {
            let _ = writeln!(out, "{margin} {equals} {} {fix}", self.paint(BOLD, "fix:"));
        }
        out.push('\n');
        out
    }

    fn head(&self, finding: &Finding, margin: &str) -> String {
        let id = format!("{}[{}]", finding.severity.word(), finding.id);
        let id = self.paint(color(finding.severity), &id);
        let message = self.paint(BOLD, &format!(": {}", finding.message));
        let place = finding
            .line
            .map_or(String::new(), |line| format!(":{line}:{}", finding.columns.start + 1));
        format!("{id}{message}\n{margin}{} {}{place}\n", self.paint(BLUE, "-->"), finding.source)
    }

    /// The line with its place marked. The lines of other files are not at hand.
    fn quote(&self, finding: &Finding, number: &str, margin: &str) -> Option<String> {
        let line = finding.line.filter(|_| finding.source == self.file.source)?;
        let Excerpt { text, marked } = self.quoted.excerpt(line, &finding.columns)?;
        let (bar, number) = (self.paint(BLUE, "|"), self.paint(BLUE, number));
        let carets = self.paint(color(finding.severity), &"^".repeat(marked.len()));
        let indent = " ".repeat(marked.start);
        Some(format!("{margin} {bar}\n{number} {bar} {text}\n{margin} {bar} {indent}{carets}\n"))
    }

    /// For a finding about readers: what they set, those that agree together. Nothing if all do.
    fn views(&self, finding: &Finding) -> Vec<(String, String)> {
        let Some(key) = finding.key.as_deref().filter(|_| compares(finding)) else {
            return Vec::new();
        };
        let mut views: Vec<(String, _)> = Vec::new();
        for Sets { reader, refusal, values } in &self.sets {
            let value = values.get(key.as_bytes()).map(|value| value.unwrap_or_default());
            let (name, view) = (reader.name(), (refusal.as_deref(), value));
            match views.iter_mut().find(|(_, other)| *other == view) {
                Some((names, _)) => *names = format!("{names}, {name}"),
                None => views.push((name.to_owned(), view)),
            }
        }
        if views.len() < 2 && finding.severity != Severity::Error {
            return Vec::new();
        }
        let shown = |(names, (refusal, value))| (names, view(key, refusal, value));
        views.into_iter().map(shown).collect()
    }
}

/// What one reader makes of a file: why it refuses it, or what it sets.
struct Sets<'r> {
    reader: Reader,
    refusal: Option<String>,
    values: BTreeMap<&'r [u8], Option<&'r [u8]>>,
}

/// What a reader makes of one key, to be compared with its value. The value of a secret is not
/// shown.
fn view(key: &str, refusal: Option<&str>, value: Option<&[u8]>) -> String {
    match (refusal, value) {
        (Some(note), _) => format!("refuses the file ({note})"),
        (None, Some(_)) if variables::is_secret(key) => format!("{key} is {REDACTED}"),
        (None, Some(value)) => format!("{key} is `{}`", shortened(&visible(&lossy(value)))),
        (None, None) => format!("{key} is not set"),
    }
}

/// A value that fits on a line.
fn shortened(text: &str) -> Cow<'_, str> {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]).into(),
        None => text.into(),
    }
}

fn readings(bytes: &[u8], readers: ReaderSet) -> Vec<(Reader, Reading<'_>)> {
    let wanted = READERS.into_iter().filter(|(_, set)| readers.meets(*set));
    wanted.map(|(reader, _)| (reader, reader.read(bytes))).collect()
}

/// What every reader would set, for `lint --readers`.
pub fn readers(bytes: &[u8], readers: ReaderSet, show_secrets: bool) -> String {
    let mut out = String::new();
    for (reader, reading) in readings(bytes, readers) {
        let _ = writeln!(out, "{}", reader.name());
        for one in &reading.variables {
            let name = lossy(one.name);
            let is_shown = show_secrets || is_surely_a_name(&name);
            let shown = if is_shown { visible(&name) } else { "[not a name: redacted]".into() };
            let value = match &one.value {
                None => " (the variable of that name where docker runs)".to_owned(),
                Some(_) if !show_secrets && variables::is_secret(&name) => format!("={REDACTED}"),
                Some(value) => format!("={}", visible(&lossy(value))),
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

/// What is before `=` may be a piece of a secret that does not end on its line; a name, or a
/// comment mark in front of one, is not.
fn is_surely_a_name(name: &str) -> bool {
    let bare = name.trim_start_matches(['#', ';']).trim();
    let bare = bare.strip_prefix("export ").unwrap_or(bare).trim();
    bare.is_empty() || is_presentable(bare)
}

//! Findings for people, in the manner of rustc: the line, the place in it, what each reader sets,
//! the fix.
//!
//! This is the one place that shows values, those of the user's own file on the user's own
//! terminal; secrets are not.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::context::ReaderSet;
use super::excerpt::{Excerpt, Quoted, visible};
use super::rules;
use super::{File, Finding, Severity, is_presentable};
use crate::readers::Reader;
use crate::redact::{REDACTED, hides};
use crate::text::{lossy, plural};

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
    let readers = style.readers.members().filter(|_| findings.iter().any(compares));
    let readings: Vec<_> = readers.map(|reader| (reader, reader.read(file.bytes))).collect();
    let sets = readings.iter().map(|(reader, reading)| {
        let refusal = reading.error.as_ref().map(ToString::to_string);
        Sets { reader: *reader, refusal, values: reading.map() }
    });
    let page = Page { file, quoted: Quoted::new(file.bytes), sets: sets.collect(), style };
    findings.iter().map(|finding| page.finding(finding)).collect()
}

/// Whether it helps to see what each reader sets. Of a key that is set twice the message says all.
fn compares(finding: &Finding) -> bool {
    let is_about_readers = rules::find(finding.id).is_some_and(|rule| rule.about_readers);
    is_about_readers && !["duplicate-key", "conflicting-duplicate"].contains(&finding.id)
}

/// `2 errors, 1 warning`, or `no findings`.
pub fn summary(findings: &[Finding]) -> String {
    let count = |severity: Severity| {
        let count = findings.iter().filter(|finding| finding.severity == severity).count();
        (count > 0).then(|| plural(count, severity.word()))
    };
    let all = [Severity::Error, Severity::Warning, Severity::Note];
    let counts: Vec<String> = all.into_iter().filter_map(count).collect();
    if counts.is_empty() { "no findings".to_owned() } else { counts.join(", ") }
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
    match (refusal, value.map(lossy)) {
        (Some(note), _) => format!("refuses the file ({note})"),
        (None, Some(value)) if hides(key, &value) => format!("{key} is {REDACTED}"),
        (None, Some(value)) => format!("{key} is `{}`", shortened(&visible(&value))),
        (None, None) => format!("{key} is not set"),
    }
}

/// A value that fits on a line.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// What every reader would set, for `lint --readers`.
pub fn readers(bytes: &[u8], readers: ReaderSet, show_secrets: bool) -> String {
    let mut out = String::new();
    for reader in readers.members() {
        let reading = reader.read(bytes);
        let _ = writeln!(out, "{}", reader.name());
        for one in &reading.variables {
            let name = lossy(one.name);
            let is_shown = show_secrets || is_surely_a_name(&name);
            let shown = if is_shown { visible(&name) } else { "[not a name: redacted]".into() };
            let value = match one.value.as_deref().map(lossy) {
                None => " (the variable of that name where docker runs)".to_owned(),
                Some(value) if !show_secrets && hides(&name, &value) => format!("={REDACTED}"),
                Some(value) => format!("={}", visible(&value)),
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

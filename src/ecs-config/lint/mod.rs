//! The linter: what every reader of an ecs.config would make of it, and what is wrong with that.
//!
//! Takes the bytes of a file and a [`Context`]; gives [`Finding`]s. Pure, linear in the size of the
//! file, never panics. A finding names lines, names and rules, never a value: findings go into
//! reports and logs.

mod bytes;
pub mod context;
mod disagree;
mod excerpt;
pub mod explain;
pub mod fix;
mod json;
mod lines;
mod meant;
mod names;
mod plain;
pub mod registered;
pub mod render;
pub mod rules;
pub mod sarif;
mod together;
mod values;

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

pub use context::{Context, Host, Place, Readers};
use lines::Setting;
pub use rules::Rule;
use serde::Serialize;

use super::merge::Merged;

/// How bad a finding is. An error means: some reader would set something else than the author
/// wrote, or the agent would not start, or would lose a default that protects it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
    Note,
}

impl Severity {
    /// As reports, SARIF and people write it.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

/// One thing that is wrong, as the report shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub id: &'static str,
    pub severity: Severity,
    pub source: String,
    pub line: Option<usize>,
    pub key: Option<String>,
    pub message: String,
    pub fix: Option<String>,
    /// Where in the line, in bytes, for the caret under it.
    #[serde(skip)]
    pub columns: Range<usize>,
}

/// The bytes to check and the name to call them by.
#[derive(Debug, Clone, Copy)]
pub struct File<'a> {
    pub source: &'a str,
    pub bytes: &'a [u8],
}

/// Everything that is wrong with one file, in the order of its lines.
pub fn check(file: &File, context: &Context) -> Vec<Finding> {
    let mut found = Findings::new(file.source, context.readers());
    if let Some(text) = bytes::look(file.bytes, &mut found) {
        let settings = check_lines(&text, file.bytes, context, &mut found);
        together::check(&together::view(&settings, file.source), context, &mut found);
    }
    found.finish()
}

/// What is wrong with a layer by itself, before it is merged with others.
pub fn check_layer(file: &File, context: &Context) -> Vec<Finding> {
    let mut found = Findings::new(file.source, context.readers());
    if let Some(text) = bytes::look(file.bytes, &mut found) {
        check_lines(&text, file.bytes, context, &mut found);
    }
    found.finish()
}

/// What is wrong with settings as a whole, each with the layer and line that it came from.
pub fn check_together(settings: &[Owned], context: &Context) -> Vec<Finding> {
    let mut found = Findings::new("", context.readers());
    together::check(&together::owned_view(settings), context, &mut found);
    found.finish()
}

/// What is wrong with the merged file as a whole: `run` checks each layer by itself, and then this.
pub fn check_merged(merged: &Merged, context: &Context) -> Vec<Finding> {
    let text = String::from_utf8_lossy(&merged.bytes);
    let settings =
        text.lines().filter_map(|line| line.trim().split_once('=')).filter_map(|(name, value)| {
            let origin = merged.keys.get(name)?;
            Some(Owned { name, value, source: &origin.from, line: origin.line })
        });
    check_together(&settings.collect::<Vec<_>>(), context)
}

/// A setting of the merged result and where it came from.
#[derive(Debug, Clone, Copy)]
pub struct Owned<'a> {
    pub name: &'a str,
    pub value: &'a str,
    pub source: &'a str,
    pub line: usize,
}

fn check_lines<'t>(
    text: &'t str,
    bytes: &[u8],
    context: &Context,
    found: &mut Findings,
) -> Vec<Setting<'t>> {
    let settings = lines::scan(text, found);
    disagree::check(bytes, &settings, found);
    let consulted = |setting: &&Setting<'t>| values::CONSULTED.contains(&setting.name);
    let siblings: BTreeMap<&str, &str> =
        settings.iter().filter(consulted).map(|setting| (setting.name, setting.value)).collect();
    for setting in &settings {
        names::check(setting, context, found);
        values::check(setting, &siblings, found);
    }
    settings
}

/// Findings of one rule that are listed one by one; what comes after is counted. Nobody reads a
/// million lines.
const LISTED: usize = 100;

/// Collects what the rules find.
pub(crate) struct Findings<'a> {
    source: &'a str,
    readers: Readers,
    counts: BTreeMap<&'static str, usize>,
    list: Vec<Finding>,
    /// Lines of which a rule has said that readers disagree about them.
    explained: HashSet<usize>,
    /// One of those rules was an error.
    misread: bool,
}

/// Where a finding is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct At<'a> {
    pub source: Option<&'a str>,
    pub line: Option<usize>,
    pub columns: (usize, usize),
    pub key: Option<&'a str>,
}

/// What a finding says.
pub(crate) struct Said {
    message: String,
    fix: Option<String>,
}

pub(crate) fn say(message: impl Into<String>) -> Said {
    Said { message: message.into(), fix: None }
}

impl Said {
    pub fn fix(self, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..self }
    }
}

impl<'a> Findings<'a> {
    fn new(source: &'a str, readers: Readers) -> Self {
        Self {
            source,
            readers,
            counts: BTreeMap::new(),
            list: Vec::new(),
            explained: HashSet::new(),
            misread: false,
        }
    }

    /// Adds a finding, unless none of the readers that go wrong reads the file. The words are made
    /// only if they are listed.
    pub fn add(&mut self, rule: &'static Rule, at: At, said: impl FnOnce() -> Said) {
        if !rule.wrong.meets(self.readers) {
            return;
        }
        if rule.kind == rules::Kind::Readers {
            self.misread |= rule.severity == Severity::Error;
            self.explained.extend(at.line);
        }
        let count = self.counts.entry(rule.id).or_default();
        *count += 1;
        if *count > LISTED {
            return;
        }
        let said = said();
        self.list.push(Finding {
            id: rule.id,
            severity: rule.severity,
            source: at.source.unwrap_or(self.source).to_owned(),
            line: at.line,
            key: at.key.filter(|key| fit_to_show(key)).map(str::to_owned),
            message: said.message,
            fix: said.fix,
            columns: at.columns.0..at.columns.1,
        });
    }

    fn finish(mut self) -> Vec<Finding> {
        self.list.sort_by_key(|finding| finding.line);
        for (id, count) in &self.counts {
            if let (Some(rule), Some(more)) =
                (rules::find(id), count.checked_sub(LISTED).filter(|more| *more > 0))
            {
                self.list.push(more_like_these(rule, more, self.source));
            }
        }
        self.list
    }
}

fn more_like_these(rule: &Rule, more: usize, source: &str) -> Finding {
    Finding {
        id: rule.id,
        severity: rule.severity,
        source: source.to_owned(),
        line: None,
        key: None,
        message: format!("and {more} more like these"),
        fix: None,
        columns: 0..0,
    }
}

/// Whether a name may appear in a report. What stands left of `=` need not be a name: a line of
/// base64 or JSON has one too. Known names and names all in one case pass; anything else is shown
/// by its line number only.
pub fn fit_to_show(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let one_case = !(name.bytes().any(|b| b.is_ascii_lowercase())
        && name.bytes().any(|b| b.is_ascii_uppercase()));
    (1..=80).contains(&name.len()) && name.bytes().all(plain) && one_case
}

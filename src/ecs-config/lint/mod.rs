//! The linter: what every reader of an ecs.config would make of it, and what is wrong with that.
//!
//! [`check()`] takes the bytes of a file and a [`Context`], and gives [`Finding`]s. It is pure,
//! linear in the size of the file, and never panics. A finding names lines, names and rules, never
//! a value: findings go into reports and logs.

mod context;
mod cross_checks;
mod encoding;
mod excerpt;
mod explain;
mod findings;
mod fix;
mod foreign;
mod leftovers;
mod names;
mod parsed_value;
mod reader_consistency;
mod registered;
pub mod render;
pub mod rules;
pub mod sarif;
mod scan;
mod values;
mod written;

use std::ops::Range;

pub use context::{Context, HOSTS, Host, ReaderSet};
pub use explain::explain;
use findings::{At, Findings};
pub use fix::{Fixed, fix};
pub use registered::Registered;
use serde::{Serialize, Serializer};

use crate::lines::lines;
use crate::merge::{Change, Merged};

/// How bad a finding is. An error means: some reader would set something else than the author
/// wrote, or the agent would not start, or would lose a default that protects it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
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

/// One thing that is wrong. Serialised, it is an element of `findings` in a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The id of the rule, as [`rules::find`] takes it.
    pub id: &'static str,
    /// The rule's severity, unless the user decided otherwise.
    pub severity: Severity,
    /// [`File::source`], or the layer that a merged setting comes from.
    pub source: String,
    /// From 1; `None` for what is missing, or about the file as a whole.
    pub line: Option<usize>,
    /// Where in the line, in bytes; empty for the line as a whole. Serialised as `column` and
    /// `end_column`, which count from 1 as editors do.
    #[serde(flatten, serialize_with = "as_columns")]
    pub columns: Range<usize>,
    /// The name of the setting, if it may be shown.
    pub key: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What would fix it.
    pub fix: Option<String>,
}

fn as_columns<S: Serializer>(columns: &Range<usize>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Columns {
        column: Option<usize>,
        end_column: Option<usize>,
    }
    let number = |byte: usize| (!columns.is_empty()).then_some(byte + 1);
    let columns = Columns { column: number(columns.start), end_column: number(columns.end) };
    columns.serialize(serializer)
}

/// The bytes to check and the name to call them by.
#[derive(Debug, Clone, Copy)]
pub struct File<'a> {
    /// A path or an address; never a secret.
    pub source: &'a str,
    /// The content.
    pub bytes: &'a [u8],
}

/// Everything that is wrong with one file, in the order of its lines.
pub fn check(file: &File<'_>, context: &Context<'_>) -> Vec<Finding> {
    check_file(file, context, true)
}

/// What is wrong with a layer by itself, before it is merged with others.
pub fn check_layer(file: &File<'_>, context: &Context<'_>) -> Vec<Finding> {
    check_file(file, context, false)
}

fn check_file(file: &File<'_>, context: &Context<'_>, cross: bool) -> Vec<Finding> {
    let mut found = Findings::new(file.source, context.readers());
    if let Some(text) = encoding::check(file.bytes, &mut found) {
        let settings = scan::scan(&text, &mut found);
        written::check(&settings, &mut found);
        reader_consistency::check(file.bytes, &settings, &mut found);
        for setting in settings.iter().filter(|setting| setting.counts) {
            names::check(setting, context, &mut found);
            match context.expand && setting.value().contains("${") {
                true => values::check_placeholders(setting, &mut found),
                false => values::check(setting, &settings, &mut found),
            }
        }
        if cross {
            let placed = settings.iter().map(|setting| cross_checks::Placed {
                name: setting.name,
                value: setting.value(),
                source: file.source,
                line: setting.line,
            });
            cross_checks::check(&placed.collect::<Vec<_>>(), context, &mut found);
        }
    }
    let mut findings = found.finish();
    // Something does expand it.
    findings.retain(|finding| !context.expand || finding.id != rules::readers::NO_EXPANSION.id);
    findings
}

/// What is wrong with the merged file as a whole, each setting with the layer and line that it
/// comes from: after [`check_layer`] for each layer.
pub fn check_merged(merged: &Merged, context: &Context<'_>) -> Vec<Finding> {
    let mut found = Findings::new("", context.readers());
    let placed = lines(&merged.bytes).filter_map(|line| {
        let (name, value) = line.assignment()?;
        let (name, value) = (str::from_utf8(name).ok()?, str::from_utf8(value).ok()?);
        let origin = merged.keys.get(name)?;
        Some(cross_checks::Placed { name, value, source: &origin.from, line: origin.line })
    });
    cross_checks::check(&placed.collect::<Vec<_>>(), context, &mut found);
    found.finish()
}

/// A note: what was installed is not what was fetched, byte by byte.
impl From<&Change> for Finding {
    fn from(change: &Change) -> Self {
        let at = At { line: Some(change.line), ..At::default() };
        findings::finding(&rules::readers::NORMALISED, &change.from, at, change.what, "")
    }
}

/// Whether a name may appear in a report. What is before `=` need not be a name: a line of base64
/// or JSON has one too. Names all in one case pass; of anything else only the line number is shown.
fn is_presentable(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let has = |is_of_case: fn(&u8) -> bool| name.as_bytes().iter().any(is_of_case);
    (1..=80).contains(&name.len())
        && name.bytes().all(is_plain)
        && !(has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase))
}

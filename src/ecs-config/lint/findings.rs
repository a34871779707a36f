//! Collects what the rules find.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Display;

use super::context::ReaderSet;
use super::rules::{self, Rule};
use super::{Finding, Severity, is_presentable};

/// Findings of one rule that are listed one by one; further ones are counted.
const LISTED: usize = 100;

/// Where a finding is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct At<'a> {
    /// If it is not the file as a whole.
    pub(super) source: Option<&'a str>,
    pub(super) line: Option<usize>,
    /// From and to, in bytes of the line.
    pub(super) columns: (usize, usize),
    pub(super) key: Option<&'a str>,
    /// The finding is no worse than this.
    pub(super) at_most: Option<Severity>,
}

impl At<'_> {
    pub(super) fn line(line: usize, columns: (usize, usize)) -> Self {
        At { line: Some(line), columns, ..At::default() }
    }
}

#[derive(Default)]
pub(super) struct Findings<'a> {
    source: &'a str,
    pub(super) readers: ReaderSet,
    counts: BTreeMap<&'static str, usize>,
    list: Vec<Finding>,
    /// Lines of which a rule says that readers disagree about them.
    pub(super) explained: HashSet<usize>,
    /// One of those rules was an error.
    pub(super) misread: bool,
}

impl<'a> Findings<'a> {
    /// The default is for a scan whose findings do not matter.
    pub(super) fn new(source: &'a str, readers: ReaderSet) -> Self {
        Self { source, readers, ..Self::default() }
    }

    /// Adds a finding in the rule's own words, unless none of the readers that go wrong reads the
    /// file.
    pub(super) fn add(&mut self, rule: &'static Rule, at: At<'_>) {
        self.add_with(rule, at, rule.message, rule.fix);
    }

    /// The same in other words, which are made only if they are listed.
    pub(super) fn add_with(
        &mut self,
        rule: &'static Rule,
        at: At<'_>,
        message: impl Display,
        fix: impl Display,
    ) {
        if !rule.wrong.meets(self.readers) {
            return;
        }
        if rule.about_readers {
            self.misread |= rule.severity == Severity::Error && at.at_most.is_none();
            self.explained.extend(at.line);
        }
        let count = self.counts.entry(rule.id).or_default();
        *count += 1;
        if *count <= LISTED {
            self.list.push(finding(rule, self.source, at, message, fix));
        }
    }

    /// In the order of the lines.
    pub(super) fn finish(mut self) -> Vec<Finding> {
        self.list.sort_by_key(|finding| finding.line);
        for (id, count) in self.counts {
            if let (Some(rule), Some(more @ 1..)) = (rules::find(id), count.checked_sub(LISTED)) {
                let message = format_args!("and {more} more like these");
                self.list.push(finding(rule, self.source, At::default(), message, ""));
            }
        }
        self.list
    }
}

/// Without a fix if that is empty. `source` is that of the file, unless the place has another one.
pub(super) fn finding(
    rule: &Rule,
    source: &str,
    at: At<'_>,
    message: impl Display,
    fix: impl Display,
) -> Finding {
    Finding {
        id: rule.id,
        severity: at.at_most.map_or(rule.severity, |mildest| mildest.max(rule.severity)),
        source: at.source.unwrap_or(source).to_owned(),
        line: at.line,
        key: at.key.filter(|key| is_presentable(key)).map(str::to_owned),
        message: message.to_string(),
        fix: Some(fix.to_string()).filter(|fix| !fix.is_empty()),
        columns: at.columns.0..at.columns.1,
    }
}

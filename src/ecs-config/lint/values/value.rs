//! One value under examination.

use crate::lint::Severity;
use crate::lint::findings::{At, Findings, words};
use crate::lint::rules::Rule;
use crate::lint::scan::Setting;
use crate::variables::Variable;

pub(super) struct Value<'c, 'a> {
    pub(super) known: &'static Variable,
    pub(super) text: &'c str,
    at: At<'c>,
    found: &'c mut Findings<'a>,
}

impl<'c, 'a> Value<'c, 'a> {
    pub(super) fn new(
        setting: &Setting<'c>,
        known: &'static Variable,
        found: &'c mut Findings<'a>,
    ) -> Self {
        Value { known, text: setting.value, at: setting.at_value(), found }
    }

    /// Adds a finding in the rule's own words.
    pub(super) fn breaks(&mut self, rule: &'static Rule) {
        self.found.add(rule, self.at);
    }

    /// Adds a finding in other words.
    pub(super) fn breaks_with(
        &mut self,
        rule: &'static Rule,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.found.add_with(rule, self.at, || words(message, fix));
    }

    /// The same, as a warning at most: the program takes the value all the same.
    pub(super) fn warns(
        &mut self,
        rule: &'static Rule,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        let at = At { at_most: Some(Severity::Warning), ..self.at };
        self.found.add_with(rule, at, || words(message, fix));
    }
}

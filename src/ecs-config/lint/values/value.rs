//! One value under examination.

use std::fmt::Display;

use crate::lint::Severity;
use crate::lint::findings::{At, Findings};
use crate::lint::rules::Rule;
use crate::variables::Variable;

pub(super) struct Value<'c, 'a> {
    pub(super) known: &'static Variable,
    pub(super) text: &'c str,
    pub(super) at: At<'c>,
    pub(super) found: &'c mut Findings<'a>,
}

impl Value<'_, '_> {
    /// Adds a finding in the rule's own words.
    pub(super) fn breaks(&mut self, rule: &'static Rule) {
        self.found.add(rule, self.at);
    }

    /// Adds a finding in other words.
    pub(super) fn breaks_with(
        &mut self,
        rule: &'static Rule,
        message: impl Display,
        fix: impl Display,
    ) {
        self.found.add_with(rule, self.at, message, fix);
    }

    /// The same, as a warning at most: the program takes the value all the same.
    pub(super) fn warns(&mut self, rule: &'static Rule, message: impl Display, fix: impl Display) {
        let at = At { at_most: Some(Severity::Warning), ..self.at };
        self.found.add_with(rule, at, message, fix);
    }
}

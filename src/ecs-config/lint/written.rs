//! How each setting is written: its name, its value, and other lines that set it too.

use std::collections::HashMap;

use super::Severity;
use super::findings::{At, Findings};
use super::parsed_value::looks_expandable;
use super::rules::{readers as rule, values};
use super::scan::{Setting, is_name};
use crate::variables::{self, Variable};

pub(super) fn check(settings: &[Setting<'_>], found: &mut Findings<'_>) {
    let mut first: HashMap<&str, &Setting<'_>> = HashMap::new();
    for setting in settings {
        name(setting, found);
        // What a later line overrides counts for nothing, if it ends on its line.
        if setting.counts || !setting.parsed.is_whole || setting.parsed.has_comment {
            value(setting, found);
        }
        if let Some(rule) = setting.leftover.filter(|_| setting.counts) {
            found.add(rule, setting.at_value());
        }
        let first = first.entry(setting.name).or_insert(setting);
        if first.line != setting.line {
            let is_same = first.value() == setting.value();
            let rule = if is_same { &rule::DUPLICATE_KEY } else { &rule::CONFLICTING_DUPLICATE };
            let message = format_args!("already set in line {}; the last one counts", first.line);
            found.add_with(rule, setting.at_name(), message, "keep one of them");
        }
    }
}

fn name(setting: &Setting<'_>, found: &mut Findings<'_>) {
    let name = setting.name;
    let is_odd = || name.bytes().all(|c| c.is_ascii_alphanumeric() || b"_-.".contains(&c));
    let has_lower = || name.bytes().any(|c| c.is_ascii_lowercase());
    let rule = match is_name(name) {
        true if variables::in_another_case(name).is_some() => return,
        true if has_lower() && setting.known.is_none() => &rule::LOWER_CASE_NAME,
        true => return,
        false if !name.is_empty() && is_odd() => &rule::ODD_NAME,
        false => &rule::BAD_NAME,
    };
    found.add(rule, setting.at_name());
}

fn value(setting: &Setting<'_>, found: &mut Findings<'_>) {
    let (value, at) = (setting.value(), setting.at_value());
    if let Some(rule) = setting.parsed.shape {
        let is_escaped = rule.id == rule::QUOTED_VALUE.id && value.contains("\\\"");
        let escapes = if is_escaped { " and without the backslashes in it" } else { "" };
        found.add_with(rule, at, rule.message, format_args!("{}{escapes}", rule.fix));
    }
    if setting.parsed.has_comment {
        found.add(&rule::TRAILING_COMMENT, at);
    }
    if setting.is_whole() && setting.parsed.shape.is_none() && value.contains('\\') {
        let is_lost = setting.known.is_some_and(Variable::from_process_environment);
        found.add(if is_lost { &rule::BACKSLASH_LOST } else { &rule::BACKSLASH }, at);
    }
    if value.chars().any(|c| c.is_control() && c != '\0' && !c.is_whitespace()) {
        found.add(&rule::CONTROL_CHARACTER, at);
    }
    if value.contains(['\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}', '\u{201e}']) {
        found.add(&values::TYPOGRAPHIC_QUOTES, at);
    }
    let is_secret = || variables::sounds_secret(setting.name);
    if looks_expandable(value) && setting.leftover.is_none() && !is_secret() {
        found.add(&rule::NO_EXPANSION, at);
    }
    if setting.name.len() + 1 + value.len() >= 131_072 {
        found.add(&rule::TOO_LONG, at);
    }
    if setting.is_empty() && is_name(setting.name) {
        let has_default = setting.known.is_some_and(|known| !known.ecs_init_sets.is_empty());
        let rule = if has_default { &rule::EMPTY_OVERRIDES_DEFAULT } else { &rule::EMPTY_VALUE };
        // What AWS's console writes into the user data of every cluster.
        let is_usual = setting.name == "ECS_BACKEND_HOST";
        let at_most = is_usual.then_some(Severity::Note);
        found.add(rule, At { at_most, ..setting.at_name() });
    }
}

//! Lines: what the author of each meant, and what makes the readers see something else.
//!
//! Takes the text; gives the settings that it was meant to hold, as slices of it. There is one rule
//! in rules/readers.txt for each shape of line on which the readers were found to differ.

use std::collections::HashMap;

use super::findings::{At, Findings};
use super::leftovers;
use super::parsed_value::{ParsedValue, bracket_depth};
use super::rules::{Rule, names, readers as rule};
use crate::lines::lines;
use crate::readers;
use crate::text::is_invisible;
use crate::variables::{self, Variable};

/// One setting as its author meant it: without quotes, blanks and comments around the value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting<'t> {
    pub(super) line: usize,
    pub(super) name: &'t str,
    /// The variable of that name.
    pub(super) known: Option<&'static Variable>,
    pub(super) parsed: ParsedValue<'t>,
    /// What a shell or a template was to replace in the value.
    pub(super) leftover: Option<&'static Rule>,
    /// No later line sets the name.
    pub(super) counts: bool,
    name_at: (usize, usize),
    value_at: (usize, usize),
}

impl<'t> Setting<'t> {
    pub(super) fn value(&self) -> &'t str {
        self.parsed.value
    }

    /// The value is all there and means one thing; else the rules for values do not apply.
    pub(super) fn is_whole(&self) -> bool {
        self.parsed.is_whole && self.leftover.is_none()
    }

    /// Nothing is right of `=`.
    pub(super) fn is_empty(&self) -> bool {
        self.value_at.0 == self.value_at.1
    }

    pub(super) fn at_name(&self) -> At<'t> {
        At { key: Some(self.name), ..At::line(self.line, self.name_at) }
    }

    pub(super) fn at_value(&self) -> At<'t> {
        At { key: Some(self.name), ..At::line(self.line, self.value_at) }
    }
}

/// The settings of a text, in its order.
pub(super) fn scan<'t>(text: &'t str, found: &mut Findings<'_>) -> Vec<Setting<'t>> {
    let settings = Vec::new();
    let mut scan = Scan { found, settings, open_brackets: 0, continues: false, comment: None };
    for line in lines(text.as_bytes()) {
        scan.line(&Line::new(line.number, &text[line.start..line.start + line.body().len()]));
    }
    let mut settings = scan.settings;
    let last: HashMap<&str, usize> = settings.iter().map(|one| (one.name, one.line)).collect();
    for one in &mut settings {
        one.counts = last.get(one.name) == Some(&one.line);
    }
    settings
}

struct Scan<'t, 'f, 'a> {
    found: &'f mut Findings<'a>,
    settings: Vec<Setting<'t>>,
    /// Of a JSON value that does not end on its line.
    open_brackets: i32,
    /// The line before ended in a backslash.
    continues: bool,
    /// The line of a comment that ended in a backslash.
    comment: Option<usize>,
}

/// A line without its end, and its text without white space around it.
struct Line<'t> {
    number: usize,
    body: &'t str,
    core: &'t str,
    /// Where `core` starts in the line.
    start: usize,
}

impl<'t> Line<'t> {
    fn new(number: usize, text: &'t str) -> Self {
        let body = text.strip_suffix('\r').unwrap_or(text);
        let start = body.len() - body.trim_start().len();
        Self { number, body, core: body.trim(), start }
    }

    fn at(&self) -> At<'static> {
        At::line(self.number, (self.start, self.start + self.core.len()))
    }
}

impl<'t> Scan<'t, '_, '_> {
    fn line(&mut self, line: &Line<'t>) {
        if line.core.is_empty() {
            return;
        }
        if line.body.contains('\r') {
            self.open_brackets = 0;
            return self.found.add(&rule::CR_ONLY, line.at());
        }
        if line.core.starts_with(['#', ';']) {
            return self.comment(line);
        }
        self.invisible(line);
        if self.is_rest_of_value(line) {
            return;
        }
        if let Some(number) = self.comment.take().filter(|number| number + 1 == line.number) {
            self.found.add(&rule::COMMENT_CONTINUATION, At::line(number, (0, 0)));
        }
        let shape = match line.core.split_once('=') {
            _ if is_heredoc(line.core) => &rule::HEREDOC_LEFT_IN,
            _ if is_boundary(line.core) => &rule::MIME_BOUNDARY,
            Some(("", _)) => &rule::EMPTY_NAME,
            Some((name, value)) => return self.assignment(line, name, value),
            None if is_command(line.core) => &rule::SHELL_COMMAND,
            None => &rule::NOT_AN_ASSIGNMENT,
        };
        self.found.add(shape, line.at());
    }

    fn comment(&mut self, line: &Line<'t>) {
        self.open_brackets = 0;
        self.comment = line.body.ends_with('\\').then_some(line.number);
        if line.core.starts_with(';') {
            let at = At::line(line.number, (line.start, line.start + 1));
            return self.found.add(&rule::SEMICOLON_COMMENT, at);
        }
        let assignment = line.core.split_once('=');
        if assignment.is_some() {
            self.found.add(&rule::COMMENT_WITH_EQUALS, line.at());
        }
        let names_secret = |(name, value): (&str, &str)| {
            variables::sounds_secret(last_word(name)) && !value.trim().is_empty()
        };
        if assignment.is_some_and(names_secret) || holds_access_key(line.core) {
            self.found.add(&names::SECRET_IN_COMMENT, line.at());
        }
    }

    /// Whether the line belongs to a value that began above. A line that is a setting by itself
    /// does not.
    fn is_rest_of_value(&mut self, line: &Line<'_>) -> bool {
        let is_setting = line.core.split_once('=').is_some_and(|(name, _)| is_name(name.trim()));
        let continues = std::mem::take(&mut self.continues);
        if is_setting || (self.open_brackets <= 0 && !continues) {
            self.open_brackets = 0;
            return false;
        }
        self.continues = continues && line.core.ends_with('\\');
        self.open_brackets += bracket_depth(line.core);
        true
    }

    fn invisible(&mut self, line: &Line<'_>) {
        let ends = line.body.trim_matches([' ', '\t']);
        let is_hidden =
            |c: char| is_invisible(c) || (c.is_whitespace() && !matches!(c, ' ' | '\t'));
        let value = line.core.split_once('=').map_or("", |(_, value)| value);
        let edges = [ends.chars().next(), ends.chars().next_back(), value.chars().next()];
        let has_hidden = edges.into_iter().flatten().any(is_hidden);
        if has_hidden || (!line.core.is_ascii() && line.core.contains(is_invisible)) {
            self.found.add(&rule::INVISIBLE_CHARACTER, line.at());
        }
    }

    fn assignment(&mut self, line: &Line<'t>, left: &'t str, right: &'t str) {
        let (name, prefix) = without_prefix(left);
        if prefix.is_none() && !is_name(name.trim()) && is_command(line.core) {
            return self.found.add(&rule::SHELL_COMMAND, line.at());
        }
        let (name, value) = (name.trim(), right.trim());
        let known = variables::find(name);
        let parsed = ParsedValue::new(value);
        let equals = line.start + left.len();
        let name_start = line.start + left.rfind(name).unwrap_or(0);
        let value_start = equals + 1 + right.len() - right.trim_start().len();
        let setting = Setting {
            line: line.number,
            name,
            known,
            parsed,
            leftover: leftovers::rule(known, parsed.value),
            counts: true,
            name_at: (name_start, line.start + left.trim_end().len()),
            value_at: (value_start, value_start + value.len()),
        };
        let is_blank = |c: char| c == ' ' || c == '\t';
        let has_space = left.ends_with(char::is_whitespace)
            || (right.starts_with(is_blank) && !value.is_empty());
        let end = line.start + line.core.len();
        let shapes = [
            prefix.map(|rule| (rule, (line.start, name_start))),
            has_space.then_some((&rule::SPACE_AROUND_EQUALS, (equals, equals + 1))),
            line.body.starts_with(is_blank).then_some((&rule::LEADING_SPACE, (0, line.start))),
            line.body
                .ends_with(is_blank)
                .then_some((&rule::TRAILING_SPACE, (end, line.body.len()))),
        ];
        for (rule, columns) in shapes.into_iter().flatten() {
            self.found.add(rule, At { columns, ..setting.at_name() });
        }
        self.open_brackets = parsed.open_brackets;
        self.continues = parsed.shape.is_some_and(|shape| shape.id == rule::LINE_CONTINUATION.id);
        self.settings.push(setting);
    }
}

pub(super) fn is_name(name: &str) -> bool {
    readers::is_name(name.as_bytes())
}

/// The name without what a shell was to take away, and the rule that this breaks.
fn without_prefix(name: &str) -> (&str, Option<&'static Rule>) {
    const PREFIXES: [(&str, &Rule); 9] = [
        ("export", &rule::EXPORT_PREFIX),
        ("declare -x", &rule::EXPORT_PREFIX),
        ("readonly", &rule::EXPORT_PREFIX),
        ("setenv", &rule::EXPORT_PREFIX),
        ("env", &rule::EXPORT_PREFIX),
        ("-e", &rule::ECHO_OPTION),
        ("-n", &rule::ECHO_OPTION),
        ("-ne", &rule::ECHO_OPTION),
        ("-en", &rule::ECHO_OPTION),
    ];
    let split = |(prefix, rule): &(&str, &'static Rule)| {
        let rest = name.strip_prefix(prefix).filter(|rest| rest.starts_with([' ', '\t']))?;
        Some((rest, Some(*rule)))
    };
    PREFIXES.iter().find_map(split).unwrap_or((name, None))
}

/// A line that separates the parts of a MIME message: `--`, and a word without blanks.
fn is_boundary(core: &str) -> bool {
    core.strip_prefix("--")
        .is_some_and(|rest| rest.contains(|c| c != '-') && !rest.contains([' ', '\t']))
}

/// The start of a here-document, or a word that scripts end one with.
fn is_heredoc(core: &str) -> bool {
    (core.starts_with("cat ") && core.contains('<'))
        || ["EOF", "EOT", "END", "EOL", "ECS", "EOC"].contains(&core)
}

/// A command of scripts that write an ecs.config, with something behind it.
fn is_command(core: &str) -> bool {
    const COMMANDS: &str =
        "echo sudo tee printf mkdir touch systemctl service start aws yum if fi set";
    let Some((first, _)) = core.split_once([' ', '\t']) else { return false };
    first.starts_with("#!") || COMMANDS.split(' ').any(|command| command == first)
}

fn last_word(name: &str) -> &str {
    name.trim_start_matches('#').split_whitespace().next_back().unwrap_or("")
}

/// The form of AWS access key ids: a prefix and sixteen more letters and digits.
fn holds_access_key(text: &str) -> bool {
    text.as_bytes().windows(20).any(|key| {
        (key.starts_with(b"AKIA") || key.starts_with(b"ASIA"))
            && key[4..].iter().all(u8::is_ascii_alphanumeric)
    })
}

//! Lines: what the author of each meant, and what makes the readers see something else.
//!
//! Takes the text; gives the settings that it was meant to hold, as slices of it. There is one rule
//! in rules/readers.rs for each shape of line on which the readers were found to differ.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::Severity;
use super::findings::{At, Findings, words};
use super::leftovers;
use super::parsed_value::{ParsedValue, bracket_depth, looks_expandable};
use super::rules::{Rule, names, readers as rule, values};
use crate::lines::lines;
use crate::readers;
use crate::text::is_invisible;
use crate::variables::{self, Variable};

/// One setting as its author meant it: without quotes, blanks and comments around the value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting<'t> {
    pub(super) line: usize,
    pub(super) name: &'t str,
    pub(super) value: &'t str,
    name_at: (usize, usize),
    value_at: (usize, usize),
    /// The value is all there and means one thing; else the rules for values do not apply.
    pub(super) is_whole: bool,
}

impl<'t> Setting<'t> {
    pub(super) fn at_name(&self) -> At<'t> {
        At { key: Some(self.name), ..At::line(self.line, self.name_at) }
    }

    pub(super) fn at_value(&self) -> At<'t> {
        At { key: Some(self.name), ..At::line(self.line, self.value_at) }
    }
}

/// The settings of a text, in its order; the last one of a name is the one that counts.
pub(super) fn scan<'t>(text: &'t str, found: &mut Findings<'_>) -> Vec<Setting<'t>> {
    let (settings, first) = Default::default();
    let last = last_lines(text);
    let mut scan =
        Scan { found, settings, first, last, open_brackets: 0, continues: false, comment: None };
    for line in lines(text.as_bytes()) {
        let body = &text[line.start..line.start + line.body().len()];
        scan.line(&Line::new(line.number, body));
    }
    scan.settings
}

struct Scan<'t, 'f, 'a> {
    found: &'f mut Findings<'a>,
    settings: Vec<Setting<'t>>,
    /// Where each name is set first, and to which value.
    first: HashMap<&'t str, (usize, &'t str)>,
    /// The line that sets each name last.
    last: HashMap<&'t str, usize>,
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
        let core = body.trim();
        let start = body.len() - body.trim_start().len();
        Self { number, body, core, start }
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
        match line.core.as_bytes() {
            [b'#', ..] => return self.comment(line),
            [b';', ..] => {
                self.open_brackets = 0;
                self.comment = line.body.ends_with('\\').then_some(line.number);
                let at = At::line(line.number, (line.start, line.start + 1));
                return self.found.add(&rule::SEMICOLON_COMMENT, at);
            }
            _ => self.invisible(line),
        }
        if self.is_rest_of_value(line) {
            return;
        }
        self.after_comment(line.number);
        match line.core.split_once('=') {
            _ if is_heredoc(line.core) => self.found.add(&rule::HEREDOC_LEFT_IN, line.at()),
            _ if is_boundary(line.core) => self.found.add(&rule::MIME_BOUNDARY, line.at()),
            Some(("", _)) => self.found.add(&rule::EMPTY_NAME, line.at()),
            Some((name, value)) => self.assignment(line, name, value),
            None if is_command(line.core) => self.found.add(&rule::SHELL_COMMAND, line.at()),
            None => self.found.add(&rule::NOT_AN_ASSIGNMENT, line.at()),
        }
    }

    fn comment(&mut self, line: &Line<'t>) {
        self.open_brackets = 0;
        self.comment = line.body.ends_with('\\').then_some(line.number);
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

    fn after_comment(&mut self, line: usize) {
        if let Some(number) = self.comment.take().filter(|number| number + 1 == line) {
            self.found.add(&rule::COMMENT_CONTINUATION, At::line(number, (0, 0)));
        }
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

    fn assignment(&mut self, line: &Line<'t>, name: &'t str, value: &'t str) {
        let (bare, prefix) = without_prefix(name);
        if prefix.is_none() && !is_name(name.trim()) && is_command(line.core) {
            return self.found.add(&rule::SHELL_COMMAND, line.at());
        }
        let equals = line.start + name.len();
        let name_start = line.start + name.rfind(bare.trim()).unwrap_or(0);
        let parsed = ParsedValue::new(value);
        let value_start = equals + 1 + parsed.offset;
        let leftover = leftovers::rule(bare.trim(), parsed.value);
        let setting = Setting {
            line: line.number,
            name: bare.trim(),
            value: parsed.value,
            name_at: (name_start, line.start + name.trim_end().len()),
            value_at: (value_start, value_start + parsed.width),
            is_whole: parsed.is_whole && leftover.is_none(),
        };
        let at = |from, to| At { columns: (from, to), ..setting.at_name() };
        if let Some(rule) = prefix {
            self.found.add(rule, at(line.start, name_start));
        }
        let is_blank = |c: char| c == ' ' || c == '\t';
        if name.ends_with(char::is_whitespace)
            || (value.starts_with(is_blank) && !value.trim().is_empty())
        {
            self.found.add(&rule::SPACE_AROUND_EQUALS, at(equals, equals + 1));
        }
        if line.body.starts_with(is_blank) {
            self.found.add(&rule::LEADING_SPACE, at(0, line.start));
        }
        if line.body.ends_with(is_blank) {
            let end = line.start + line.core.len();
            self.found.add(&rule::TRAILING_SPACE, at(end, line.body.len()));
        }
        self.name(&setting);
        // What a later line overrides counts for nothing, if it ends on its line.
        let is_last = self.last.get(setting.name).is_none_or(|last| *last == line.number);
        self.open_brackets = parsed.open_brackets;
        if is_last || !parsed.is_whole || parsed.has_comment {
            self.value(&setting, &parsed);
        }
        if let Some(rule) = leftover.filter(|_| is_last) {
            self.found.add(rule, setting.at_value());
        }
        self.repeated(&setting);
        self.settings.push(setting);
    }

    fn name(&mut self, setting: &Setting<'_>) {
        let name = setting.name;
        let is_odd = || name.bytes().all(|c| c.is_ascii_alphanumeric() || b"_-.".contains(&c));
        let has_lower = || name.bytes().any(|c| c.is_ascii_lowercase());
        let rule = match is_name(name) {
            true if variables::in_another_case(name).is_some() => return,
            true if has_lower() && variables::find(name).is_none() => &rule::LOWER_CASE_NAME,
            true => return,
            false if !name.is_empty() && is_odd() => &rule::ODD_NAME,
            false => &rule::BAD_NAME,
        };
        self.found.add(rule, setting.at_name());
    }

    fn value(&mut self, setting: &Setting<'t>, parsed: &ParsedValue<'_>) {
        let (value, at) = (setting.value, setting.at_value());
        if let Some(rule) = parsed.shape {
            let is_escaped = rule.id == rule::QUOTED_VALUE.id && value.contains("\\\"");
            let escapes = if is_escaped { " and without the backslashes in it" } else { "" };
            self.found.add_with(rule, at, || words(rule.message, [rule.fix, escapes].concat()));
        }
        if parsed.has_comment {
            self.found.add(&rule::TRAILING_COMMENT, at);
        }
        if parsed.continues {
            self.continues = true;
            self.found.add(&rule::LINE_CONTINUATION, at);
        } else if setting.is_whole && !parsed.is_quoted && value.contains('\\') {
            let known = variables::find(setting.name);
            let is_lost = known.is_some_and(Variable::from_process_environment);
            self.found.add(if is_lost { &rule::BACKSLASH_LOST } else { &rule::BACKSLASH }, at);
        }
        if value.chars().any(|c| c.is_control() && c != '\0' && !c.is_whitespace()) {
            self.found.add(&rule::CONTROL_CHARACTER, at);
        }
        let quotes = ['\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}', '\u{201e}'];
        if !value.is_ascii() && value.contains(quotes) {
            self.found.add(&values::TYPOGRAPHIC_QUOTES, at);
        }
        let is_shell = leftovers::rule(setting.name, value).is_some();
        if looks_expandable(value) && !is_shell && !variables::sounds_secret(setting.name) {
            self.found.add(&rule::NO_EXPANSION, at);
        }
        if setting.name.len() + 1 + value.len() >= 131_072 {
            self.found.add(&rule::TOO_LONG, at);
        }
        if parsed.width == 0 && is_name(setting.name) {
            let known = variables::find(setting.name);
            let has_default = known.is_some_and(|known| !known.ecs_init_sets.is_empty());
            let rule =
                if has_default { &rule::EMPTY_OVERRIDES_DEFAULT } else { &rule::EMPTY_VALUE };
            // What AWS's console writes into the user data of every cluster.
            let is_usual = setting.name == "ECS_BACKEND_HOST";
            let at_most = is_usual.then_some(Severity::Note);
            self.found.add(rule, At { at_most, ..setting.at_name() });
        }
    }

    fn repeated(&mut self, setting: &Setting<'t>) {
        let (line, value) = match self.first.entry(setting.name) {
            Entry::Occupied(first) => *first.get(),
            Entry::Vacant(free) => {
                free.insert((setting.line, setting.value));
                return;
            }
        };
        let is_same = value == setting.value;
        let rule = if is_same { &rule::DUPLICATE_KEY } else { &rule::CONFLICTING_DUPLICATE };
        self.found.add_with(rule, setting.at_name(), || {
            let message = format!("already set in line {line}; the last one counts");
            words(message, "keep one of them")
        });
    }
}

/// The last line that sets each name.
fn last_lines(text: &str) -> HashMap<&str, usize> {
    let mut last = HashMap::new();
    for (number, line) in (1..).zip(text.split('\n')) {
        if let Some((name, _)) = line.split_once('=') {
            last.insert(without_prefix(name.trim()).0.trim(), number);
        }
    }
    last
}

fn is_name(name: &str) -> bool {
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

//! Lines: what the author of each meant, and what makes the readers see something else.
//!
//! Takes the text; gives the settings it was meant to hold, as slices of it. The shapes are those
//! of the table that came from running all readers on them (rules/readers.rs has one rule for
//! each).

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::meant::{Meant, depth, looks_expandable};
use super::plain;
use super::rules::{names, readers as rule, values};
use super::{At, Findings, Said, say};
use crate::variables::{self, Variable};

/// One setting as its author meant it: without quotes, blanks and remarks around the value.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'t> {
    pub line: usize,
    pub name: &'t str,
    pub value: &'t str,
    pub name_at: (usize, usize),
    pub value_at: (usize, usize),
    /// The value is all there and means one thing; else its rules have nothing to look at.
    pub whole: bool,
}

impl<'t> Setting<'t> {
    /// The place of the name.
    pub fn name_place(&self) -> At<'t> {
        At { line: Some(self.line), columns: self.name_at, key: Some(self.name), source: None }
    }

    /// The place of the value.
    pub fn value_place(&self) -> At<'t> {
        At { columns: self.value_at, ..self.name_place() }
    }
}

/// The settings of a text, in its order; the last one of a name is the one that counts.
pub fn scan<'t>(text: &'t str, found: &mut Findings) -> Vec<Setting<'t>> {
    let mut scan = Scan {
        found,
        settings: Vec::new(),
        first: HashMap::new(),
        swallow: 0,
        joined: false,
        remark: None,
    };
    for (at, raw) in text.split('\n').enumerate() {
        match plain::setting(raw) {
            Some(cut) => scan.plain(at + 1, raw, cut),
            None => scan.line(&Line::new(at + 1, raw)),
        }
    }
    scan.settings
}

struct Scan<'t, 'f, 'a> {
    found: &'f mut Findings<'a>,
    settings: Vec<Setting<'t>>,
    /// Where each name stands first, and its value there.
    first: HashMap<&'t str, (usize, &'t str)>,
    /// Brackets still open of a JSON value that went on over its line.
    swallow: i32,
    /// The line before ended in a backslash.
    joined: bool,
    /// The line of a comment that ended in a backslash.
    remark: Option<usize>,
}

/// A line without its end, and its text without blanks around it.
struct Line<'t> {
    number: usize,
    body: &'t str,
    core: &'t str,
    /// Where `core` starts in the line.
    start: usize,
}

impl<'t> Line<'t> {
    fn new(number: usize, raw: &'t str) -> Self {
        let body = raw.strip_suffix('\r').unwrap_or(raw);
        let core = body.trim();
        let start = body.len() - body.trim_start().len();
        Self { number, body, core, start }
    }

    fn at(&self, columns: (usize, usize)) -> At<'static> {
        At { line: Some(self.number), columns, ..At::default() }
    }

    fn all(&self) -> At<'static> {
        self.at((self.start, self.start + self.core.len()))
    }
}

/// Commands that scripts around an ecs.config are made of.
const COMMANDS: [&str; 14] = [
    "echo",
    "sudo",
    "tee",
    "printf",
    "mkdir",
    "touch",
    "systemctl",
    "service",
    "start",
    "aws",
    "yum",
    "if",
    "fi",
    "set",
];

/// Words that scripts end a here-document with.
const END_MARKS: [&str; 6] = ["EOF", "EOT", "END", "EOL", "ECS", "EOC"];

impl<'t> Scan<'t, '_, '_> {
    /// A line that is a setting and nothing else.
    fn plain(&mut self, line: usize, text: &'t str, cut: usize) {
        (self.swallow, self.joined) = (0, false);
        self.after_remark(line);
        let (name, value) = (&text[..cut], &text[cut + 1..]);
        let setting = Setting {
            line,
            name,
            value,
            name_at: (0, cut),
            value_at: (cut + 1, text.len()),
            whole: true,
        };
        self.repeated(&setting);
        self.settings.push(setting);
    }

    fn line(&mut self, line: &Line<'t>) {
        if line.core.is_empty() {
            return;
        }
        if line.body.contains('\r') {
            self.swallow = 0;
            return self.found.add(&rule::CR_ONLY, line.all(), || {
                say("a lone CR in the line").fix("end lines with LF")
            });
        }
        match line.core.as_bytes() {
            [b'#', ..] => return self.comment(line),
            [b';', ..] => return self.semicolon(line),
            _ => self.invisible(line),
        }
        if self.continues(line) {
            return;
        }
        self.after_remark(line.number);
        match line.core.split_once('=') {
            _ if is_heredoc(line.core) => self.heredoc(line),
            Some(("", _)) => self.nameless(line),
            Some((name, value)) => self.assignment(line, name, value),
            None => self.no_equals(line),
        }
    }

    fn comment(&mut self, line: &Line<'t>) {
        self.swallow = 0;
        self.remark = line.body.ends_with('\\').then_some(line.number);
        let remark = line.core.split_once('=');
        if remark.is_some() {
            let said = || {
                say("ecs-init reads this comment as a variable")
                    .fix("reword it without `=`, or remove it")
            };
            self.found.add(&rule::COMMENT_WITH_EQUALS, line.all(), said);
        }
        let named = |(name, value): (&str, &str)| {
            variables::sounds_secret(last_word(name)) && !value.trim().is_empty()
        };
        if remark.is_some_and(named) || holds_access_key(line.core) {
            let said =
                || say("the comment holds what looks like a credential").fix("remove the line");
            self.found.add(&names::SECRET_IN_COMMENT, line.all(), said);
        }
    }

    fn semicolon(&mut self, line: &Line) {
        let said =
            || say("`;` begins a comment for systemd only").fix("begin the comment with `#`");
        self.found.add(&rule::SEMICOLON_COMMENT, line.at((line.start, line.start + 1)), said);
    }

    /// Whether the line belongs to a value that began above. A line that is a setting by itself
    /// does not.
    fn continues(&mut self, line: &Line) -> bool {
        let own = line.core.split_once('=').is_some_and(|(name, _)| is_name(name.trim()));
        let joined = std::mem::take(&mut self.joined);
        if own || (self.swallow <= 0 && !joined) {
            self.swallow = 0;
            return false;
        }
        self.joined = joined && line.core.ends_with('\\');
        self.swallow += depth(line.core);
        true
    }

    fn after_remark(&mut self, line: usize) {
        if let Some(number) = self.remark.take().filter(|number| number + 1 == line) {
            let place = At { line: Some(number), ..At::default() };
            let said = || {
                say("systemd up to 253 joins the next line to this comment")
                    .fix("remove the backslash")
            };
            self.found.add(&rule::COMMENT_CONTINUATION, place, said);
        }
    }

    fn heredoc(&mut self, line: &Line) {
        let said = || say("a line of a here-document was left in").fix("remove the line");
        self.found.add(&rule::HEREDOC_LEFT_IN, line.all(), said);
    }

    fn nameless(&mut self, line: &Line) {
        let said = || {
            say("nothing stands before `=`")
                .fix("write a name, or begin the line with `#` and leave `=` out")
        };
        self.found.add(&rule::EMPTY_NAME, line.all(), said);
    }

    fn no_equals(&mut self, line: &Line) {
        if is_command(line.core) {
            return self.command(line);
        }
        let said =
            || say("expected NAME=value").fix("write NAME=value, or begin the line with `#`");
        self.found.add(&rule::NOT_AN_ASSIGNMENT, line.all(), said);
    }

    fn command(&mut self, line: &Line) {
        let said = || {
            say("a shell command was left in").fix("keep only the NAME=value that it was to write")
        };
        self.found.add(&rule::SHELL_COMMAND, line.all(), said);
    }

    fn invisible(&mut self, line: &Line) {
        let ends = line.body.trim_matches([' ', '\t']);
        let hidden = |c: char| is_zero_width(c) || (c.is_whitespace() && !matches!(c, ' ' | '\t'));
        let edge = |c: Option<char>| c.is_some_and(hidden);
        let value = line.core.split_once('=').map_or("", |(_, value)| value);
        let found = edge(ends.chars().next())
            || edge(ends.chars().next_back())
            || edge(value.chars().next());
        if found || (!line.core.is_ascii() && line.core.contains(is_zero_width)) {
            let said = || say("a character that nobody sees").fix("retype the line");
            self.found.add(&rule::INVISIBLE_CHARACTER, line.all(), said);
        }
    }

    fn assignment(&mut self, line: &Line<'t>, name: &'t str, value: &'t str) {
        let (bare, exported) = without_export(name);
        if !exported && !is_name(name.trim()) && is_command(line.core) {
            return self.command(line);
        }
        let name_end = line.start + name.len();
        let name_at = (
            name_end - (name.len() - name.rfind(bare.trim()).unwrap_or(0)),
            line.start + name.trim_end().len(),
        );
        let meant = Meant::new(value);
        let value_start = name_end + 1 + meant.offset;
        let setting = Setting {
            line: line.number,
            name: bare.trim(),
            value: meant.value,
            name_at,
            value_at: (value_start, value_start + meant.shown),
            whole: meant.whole,
        };
        if exported {
            let said = || say("`export ` becomes part of the name").fix("remove `export `");
            self.found.add(
                &rule::EXPORT_PREFIX,
                At { columns: (line.start, name_at.0), ..setting.name_place() },
                said,
            );
        }
        self.blanks(line, &setting, name, value);
        self.name(&setting);
        self.value(&setting, &meant);
        self.repeated(&setting);
        self.settings.push(setting);
    }

    fn blanks(&mut self, line: &Line, setting: &Setting, name: &str, value: &str) {
        let blank = |c: char| c == ' ' || c == '\t';
        if name.ends_with(char::is_whitespace)
            || (value.starts_with(blank) && !value.trim().is_empty())
        {
            let said = || {
                say("only systemd removes blanks around `=`").fix("write NAME=value without blanks")
            };
            let equals = line.start + name.len();
            self.found.add(
                &rule::SPACE_AROUND_EQUALS,
                At { columns: (equals, equals + 1), ..setting.name_place() },
                said,
            );
        }
        if line.body.starts_with(blank) {
            let place = At { columns: (0, line.start), ..setting.name_place() };
            self.found.add(&rule::LEADING_SPACE, place, || {
                say("blanks before the name").fix("remove them")
            });
        }
        if line.body.ends_with(blank) {
            let place = At {
                columns: (line.start + line.core.len(), line.body.len()),
                ..setting.name_place()
            };
            self.found.add(&rule::TRAILING_SPACE, place, || {
                say("docker keeps the blanks at the end").fix("remove them")
            });
        }
    }

    fn name(&mut self, setting: &Setting) {
        let (rule, said): (_, fn() -> Said) = match setting.name {
            name if is_name(name) => match is_lower(name) && variables::find(name).is_none() {
                true => (&rule::LOWER_CASE_NAME, || {
                    say("the agent's variables are in upper case")
                        .fix("write the name in upper case")
                }),
                false => return,
            },
            name if is_odd_name(name) => (&rule::ODD_NAME, || {
                say("systemd drops a name like this").fix("use letters, digits and `_`")
            }),
            _ => (&rule::BAD_NAME, || {
                say("this is no name of a variable").fix("use letters, digits and `_`")
            }),
        };
        self.found.add(rule, setting.name_place(), said);
    }

    fn value(&mut self, setting: &Setting<'t>, meant: &Meant) {
        let place = setting.value_place();
        self.swallow = meant.open;
        if let Some((rule, words, mend)) = meant.shape {
            self.found.add(rule, place, || say(words).fix(mend));
        }
        if meant.remark {
            let said = || {
                say("no reader strips a comment after a value")
                    .fix("put the comment on its own line")
            };
            self.found.add(&rule::TRAILING_COMMENT, place, said);
        }
        if meant.goes_on {
            self.joined = true;
            let said = || {
                say("a backslash joins lines for systemd only").fix("write the value on one line")
            };
            self.found.add(&rule::LINE_CONTINUATION, place, said);
        } else if setting.whole && !meant.quoted && setting.value.contains('\\') {
            self.backslash(setting);
        }
        self.characters(setting);
        if setting.name.len() + 1 + setting.value.len() >= 131_072 {
            self.found.add(&rule::TOO_LONG, place, || {
                say("NAME=value has 131072 bytes or more").fix("shorten it")
            });
        }
        if meant.shown == 0 && is_name(setting.name) {
            self.empty(setting);
        }
    }

    fn backslash(&mut self, setting: &Setting) {
        let process = variables::find(setting.name).is_some_and(Variable::from_process_environment);
        let rule = if process { &rule::BACKSLASH_LOST } else { &rule::BACKSLASH };
        let said = || {
            say("systemd removes the backslash, ecs-init keeps it")
                .fix("write the value without one")
        };
        self.found.add(rule, setting.value_place(), said);
    }

    fn characters(&mut self, setting: &Setting) {
        let (value, place) = (setting.value, setting.value_place());
        if value.chars().any(|c| c.is_control() && c != '\t' && c != '\0' && !c.is_whitespace()) {
            let said = || say("a control character in the value").fix("remove it");
            self.found.add(&rule::CONTROL_CHARACTER, place, said);
        }
        if !value.is_ascii()
            && value.contains(['\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}', '\u{201e}'])
        {
            let said = || {
                say("curly quotes, as from a text document").fix("type straight quotes (U+0022)")
            };
            self.found.add(&values::TYPOGRAPHIC_QUOTES, place, said);
        }
        if looks_expandable(value) && !variables::sounds_secret(setting.name) {
            self.found.add(&rule::NO_EXPANSION, place, || {
                say("nothing expands `$`, `%` or `~` in this file")
            });
        }
    }

    fn empty(&mut self, setting: &Setting) {
        let default = variables::find(setting.name).map_or("", |known| known.ecs_init_sets);
        let (rule, words) = match default {
            "" => (&rule::EMPTY_VALUE, "empty is not unset"),
            _ => (&rule::EMPTY_OVERRIDES_DEFAULT, "the empty value takes away what ecs-init sets"),
        };
        self.found.add(rule, setting.name_place(), || say(words).fix("remove the line"));
    }

    fn repeated(&mut self, setting: &Setting<'t>) {
        let (line, value) = match self.first.entry(setting.name) {
            Entry::Occupied(first) => *first.get(),
            Entry::Vacant(free) => {
                free.insert((setting.line, setting.value));
                return;
            }
        };
        let rule = if value == setting.value {
            &rule::DUPLICATE_KEY
        } else {
            &rule::CONFLICTING_DUPLICATE
        };
        let said = || {
            say(format!("already set in line {line}; the last one counts")).fix("keep one of them")
        };
        self.found.add(rule, setting.name_place(), said);
    }
}

fn without_export(name: &str) -> (&str, bool) {
    match name.strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t'])) {
        Some(rest) => (rest, true),
        None => (name, false),
    }
}

fn is_heredoc(core: &str) -> bool {
    (core.starts_with("cat ") && core.contains('<'))
        || (core.len() == 3 && END_MARKS.contains(&core))
}

fn is_command(core: &str) -> bool {
    let first = core.split([' ', '\t']).next().unwrap_or(core);
    first.len() < core.len() && (COMMANDS.contains(&first) || first.starts_with("#!"))
}

/// Letters, digits and `_`, not beginning with a digit: what POSIX calls a name, and all that
/// systemd takes.
pub fn is_name(name: &str) -> bool {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    plain && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

fn is_odd_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

fn is_lower(name: &str) -> bool {
    name.bytes().any(|byte| byte.is_ascii_lowercase())
}

pub fn is_zero_width(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{ad}' | '\u{202a}'..='\u{202e}')
}

fn last_word(name: &str) -> &str {
    name.trim_start_matches('#').split_whitespace().next_back().unwrap_or("")
}

/// The form of AWS access key ids: a prefix and sixteen more letters and digits.
fn holds_access_key(text: &str) -> bool {
    let bytes = text.as_bytes();
    let key = |at: usize| {
        bytes.get(at + 4..at + 20).is_some_and(|rest| rest.iter().all(u8::is_ascii_alphanumeric))
    };
    let prefix = |four: &[u8]| four == b"AKIA" || four == b"ASIA";
    bytes.windows(4).enumerate().any(|(at, four)| prefix(four) && key(at))
}

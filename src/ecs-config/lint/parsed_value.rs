//! What is right of `=`, taken apart: quotes, comments and values that do not end on their line.

use serde::de::IgnoredAny;

use super::rules::{Rule, readers as rule};

pub(super) struct ParsedValue<'t> {
    pub(super) value: &'t str,
    /// Where the written value starts after `=`, and how long it is.
    pub(super) offset: usize,
    pub(super) width: usize,
    /// The rule that its shape breaks.
    pub(super) shape: Option<&'static Rule>,
    pub(super) is_quoted: bool,
    /// A comment follows the value.
    pub(super) has_comment: bool,
    /// A backslash at its end makes systemd read on.
    pub(super) continues: bool,
    /// How many brackets it opens and does not close, if it is JSON that stops.
    pub(super) open_brackets: i32,
    pub(super) is_whole: bool,
}

impl<'t> ParsedValue<'t> {
    pub(super) fn new(raw: &'t str) -> Self {
        let value = raw.trim();
        let parsed = Self {
            value,
            offset: raw.len() - raw.trim_start().len(),
            width: value.len(),
            shape: None,
            is_quoted: false,
            has_comment: false,
            continues: false,
            open_brackets: 0,
            is_whole: true,
        };
        match value.as_bytes() {
            [quote @ (b'"' | b'\''), ..] => parsed.unquoted(*quote),
            _ => parsed.without_comment(),
        }
    }

    fn unquoted(mut self, quote: u8) -> Self {
        self.is_quoted = true;
        // JSON whose own quotes are not escaped, as in `"{"a":"b"}"`.
        let outer = char::from(quote);
        let inner = self.value[1..].strip_suffix(outer).filter(|inner| is_json(inner));
        if let Some(inner) = inner {
            self.shape = Some(&rule::QUOTED_VALUE);
            self.value = inner;
            return self;
        }
        let Some(end) = closing_quote(self.value, quote) else {
            self.shape = Some(&rule::UNCLOSED_QUOTE);
            self.is_whole = false;
            self.open_brackets = bracket_depth(&self.value[1..]);
            return self;
        };
        self.shape = Some(&rule::QUOTED_VALUE);
        let rest = self.value[end + 1..].trim_start();
        self.has_comment = rest.starts_with('#');
        self.is_whole = rest.is_empty() || self.has_comment;
        if self.is_whole {
            self.value = &self.value[1..end];
        }
        self
    }

    fn without_comment(mut self) -> Self {
        let is_start = |pair: &[u8]| matches!(pair, [b' ' | b'\t', b'#']);
        let comment = self.value.as_bytes().windows(2).position(is_start);
        if let Some(at) = comment.filter(|_| !is_json(self.value)) {
            self.has_comment = true;
            self.value = self.value[..at].trim_end();
        } else if self.value.ends_with('\\') {
            self.continues = true;
            self.is_whole = false;
        } else if is_cut_json(self.value) {
            self.shape = Some(&rule::MULTI_LINE_VALUE);
            self.open_brackets = bracket_depth(self.value).max(1);
            self.is_whole = false;
        }
        self
    }
}

/// Where the quote closes. In double quotes a backslash hides the character after it.
fn closing_quote(value: &str, quote: u8) -> Option<usize> {
    let mut is_escaped = false;
    for (at, c) in value.bytes().enumerate().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            b'\\' if quote == b'"' => is_escaped = true,
            _ if c == quote => return Some(at),
            _ => {}
        }
    }
    None
}

pub(super) fn is_json(value: &str) -> bool {
    value.starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(value).is_ok()
}

/// JSON that is right so far and then stops.
fn is_cut_json(value: &str) -> bool {
    value.starts_with(['{', '['])
        && bracket_depth(value) > 0
        && serde_json::from_str::<IgnoredAny>(value).is_err_and(|error| error.is_eof())
}

/// Brackets opened less brackets closed, outside strings.
pub(super) fn bracket_depth(text: &str) -> i32 {
    let (mut depth, mut in_string, mut is_escaped) = (0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth -= 1,
            _ => {}
        }
    }
    depth
}

/// `$NAME`, `${…}`, `$(…)`, `%i` alone, or a home directory.
pub(super) fn looks_expandable(value: &str) -> bool {
    let starts_name = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '{' | '(');
    let is_specifier = matches!(value.as_bytes(), [b'%', c] if c.is_ascii_alphabetic());
    is_specifier
        || value == "~"
        || value.starts_with("~/")
        || value.split('$').skip(1).any(|rest| rest.starts_with(starts_name))
}

//! What is right of `=`, taken apart: quotes, comments and values that do not end on their line.

use serde::de::IgnoredAny;

use super::rules::{Rule, readers as rule};

#[derive(Debug, Clone, Copy)]
pub(super) struct ParsedValue<'t> {
    pub(super) value: &'t str,
    /// The rule that its shape breaks.
    pub(super) shape: Option<&'static Rule>,
    /// A comment follows the value.
    pub(super) has_comment: bool,
    /// How many brackets it opens and does not close, if it does not end on its line.
    pub(super) open_brackets: i32,
    /// It is all there and means one thing.
    pub(super) is_whole: bool,
}

impl<'t> ParsedValue<'t> {
    /// Of a text without white space around it.
    pub(super) fn new(text: &'t str) -> Self {
        let plain =
            Self { value: text, shape: None, has_comment: false, open_brackets: 0, is_whole: true };
        match text.as_bytes() {
            [quote @ (b'"' | b'\''), ..] => plain.unquoted(*quote),
            _ => plain.without_comment(),
        }
    }

    fn unquoted(self, quote: u8) -> Self {
        let inside = &self.value[1..];
        let quoted = Self { shape: Some(&rule::QUOTED_VALUE), ..self };
        // JSON whose own quotes are not escaped, as in `"{"a":"b"}"`.
        if let Some(json) = inside.strip_suffix(char::from(quote)).filter(|inner| is_json(inner)) {
            return Self { value: json, ..quoted };
        }
        let Some(end) = closing_quote(inside, quote) else {
            return self.cut(&rule::UNCLOSED_QUOTE, bracket_depth(inside));
        };
        let rest = inside[end + 1..].trim_start();
        match rest.is_empty() || rest.starts_with('#') {
            true => Self { value: &inside[..end], has_comment: !rest.is_empty(), ..quoted },
            false => Self { is_whole: false, ..quoted },
        }
    }

    fn without_comment(self) -> Self {
        let value = self.value;
        let is_start = |pair: &[u8]| matches!(pair, [b' ' | b'\t', b'#']);
        let comment = value.as_bytes().windows(2).position(is_start);
        if let Some(at) = comment.filter(|_| !is_json(value)) {
            Self { value: value[..at].trim_end(), has_comment: true, ..self }
        } else if value.ends_with('\\') {
            self.cut(&rule::LINE_CONTINUATION, 0)
        } else if is_cut_json(value) {
            self.cut(&rule::MULTI_LINE_VALUE, bracket_depth(value))
        } else {
            self
        }
    }

    fn cut(self, shape: &'static Rule, open_brackets: i32) -> Self {
        Self { shape: Some(shape), open_brackets, is_whole: false, ..self }
    }
}

/// Where the quote closes. In double quotes a backslash hides the character after it.
fn closing_quote(inside: &str, quote: u8) -> Option<usize> {
    let mut is_escaped = false;
    inside.bytes().position(|c| {
        let closes = c == quote && !is_escaped;
        is_escaped = c == b'\\' && quote == b'"' && !is_escaped;
        closes
    })
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

//! What stands right of `=`, taken apart: quotes, remarks and values that go on over their line.

use serde::de::IgnoredAny;

use super::rules::readers as rule;

type Shape = (&'static super::Rule, &'static str, &'static str);

/// What stands right of `=`, taken apart.
pub struct Meant<'t> {
    pub value: &'t str,
    /// Where the written value starts after `=`, and how long it is.
    pub offset: usize,
    pub shown: usize,
    pub shape: Option<Shape>,
    pub quoted: bool,
    /// A comment follows the value.
    pub remark: bool,
    /// A backslash at its end makes systemd read on.
    pub goes_on: bool,
    /// JSON that opens brackets and stops; how many.
    pub open: i32,
    pub whole: bool,
}

impl<'t> Meant<'t> {
    pub fn new(raw: &'t str) -> Self {
        let value = raw.trim();
        let offset = raw.len() - raw.trim_start().len();
        let meant = Self {
            value,
            offset,
            shown: value.len(),
            shape: None,
            quoted: false,
            remark: false,
            goes_on: false,
            open: 0,
            whole: true,
        };
        match value.as_bytes() {
            [quote @ (b'"' | b'\''), ..] => meant.unquoted(*quote as char),
            _ => meant.without_remark(),
        }
    }

    fn unquoted(mut self, quote: char) -> Self {
        self.quoted = true;
        let Some(end) = closing(self.value, quote) else {
            self.shape = Some((
                &rule::UNCLOSED_QUOTE,
                "systemd reads on to the next quote, or to the end",
                "remove the quote",
            ));
            self.whole = false;
            self.open = depth(&self.value[1..]);
            return self;
        };
        self.shape = Some((
            &rule::QUOTED_VALUE,
            "only systemd removes the quotes",
            "write the value without quotes",
        ));
        let rest = self.value[end + 1..].trim_start();
        self.remark = rest.starts_with('#');
        self.whole = rest.is_empty() || self.remark;
        if self.whole {
            self.value = &self.value[1..end];
        }
        self
    }

    fn without_remark(mut self) -> Self {
        let blank_and_hash = |pair: &[u8]| matches!(pair, [b' ' | b'\t', b'#']);
        let remark = self.value.as_bytes().windows(2).position(blank_and_hash);
        if let Some(at) = remark.filter(|_| !is_json(self.value)) {
            self.remark = true;
            self.value = self.value[..at].trim_end();
        } else if self.value.ends_with('\\') {
            self.goes_on = true;
            self.whole = false;
        } else if is_cut_json(self.value) {
            self.shape = Some((
                &rule::MULTI_LINE_VALUE,
                "the JSON does not end on its line",
                "write it on one line",
            ));
            self.open = depth(self.value).max(1);
            self.whole = false;
        }
        self
    }
}

/// Where the quote closes. In double quotes a backslash hides the character after it.
fn closing(value: &str, quote: char) -> Option<usize> {
    let mut hidden = false;
    for (at, c) in value.char_indices().skip(1) {
        match c {
            _ if hidden => hidden = false,
            '\\' if quote == '"' => hidden = true,
            _ if c == quote => return Some(at),
            _ => {}
        }
    }
    None
}

pub fn is_json(value: &str) -> bool {
    value.starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(value).is_ok()
}

/// JSON that is right so far and then stops.
fn is_cut_json(value: &str) -> bool {
    let open = value.starts_with(['{', '[']) && depth(value) > 0;
    open && serde_json::from_str::<IgnoredAny>(value).is_err_and(|error| error.is_eof())
}

/// Brackets opened less brackets closed, outside strings.
pub fn depth(text: &str) -> i32 {
    let (mut open, mut inside, mut hidden) = (0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if hidden => hidden = false,
            b'\\' if inside => hidden = true,
            b'"' => inside = !inside,
            b'{' | b'[' if !inside => open += 1,
            b'}' | b']' if !inside => open -= 1,
            _ => {}
        }
    }
    open
}

/// `$NAME`, `${…}`, `$(…)`, `%i` alone, or a home directory.
pub fn looks_expandable(value: &str) -> bool {
    let starts_name = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '{' | '(');
    let dollar = || value.split('$').skip(1).any(|rest| rest.starts_with(starts_name));
    let specifier = || {
        value.len() == 2
            && value.starts_with('%')
            && value.ends_with(|c: char| c.is_ascii_alphabetic())
    };
    value.starts_with("~/") || value == "~" || dollar() || specifier()
}

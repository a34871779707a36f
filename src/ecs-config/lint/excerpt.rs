//! One line of the user's file, as it can be printed: secrets redacted, odd characters visible, not
//! too wide.

use std::cell::OnceCell;
use std::cmp::Ordering;
use std::ops::Range;

use super::findings::Findings;
use super::scan::{self, Setting};
use crate::lines::{BOM, lines};
use crate::redact::{REDACTED, secret_start};
use crate::text::is_invisible;
use crate::variables;

/// A printable line and the place to mark in it, in characters.
pub(super) struct Excerpt {
    pub(super) text: String,
    pub(super) marked: Range<usize>,
}

/// This many characters are shown of a line; a longer one is cut around the mark.
const WIDTH: usize = 100;

/// A file, ready to be quoted from.
pub(super) struct Quoted<'b> {
    bytes: &'b [u8],
    lines: Vec<&'b [u8]>,
    /// Lines that may be pieces of a secret which does not end on its line; found out when first
    /// asked.
    secret: OnceCell<Vec<Range<usize>>>,
}

impl<'b> Quoted<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        let bytes = bytes.strip_prefix(BOM).unwrap_or(bytes);
        let lines = lines(bytes).map(|line| line.body()).collect();
        Self { bytes, lines, secret: OnceCell::new() }
    }

    /// The line of that number, counted from one; `columns` are bytes of it.
    pub(super) fn excerpt(&self, number: usize, columns: &Range<usize>) -> Option<Excerpt> {
        let line = self.lines.get(number.checked_sub(1)?)?;
        let text = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
        let secret = self.secret_part(number, &text);
        let mut shown: Vec<char> = Vec::new();
        let (mut start, mut end) = (None, 0);
        for (at, c) in text.char_indices() {
            if at >= columns.start {
                start.get_or_insert(shown.len());
            }
            match at.cmp(&secret) {
                Ordering::Less => push_visible(&mut shown, c),
                Ordering::Equal => shown.extend(REDACTED.chars()),
                Ordering::Greater => {}
            }
            if at < columns.end {
                end = shown.len();
            }
        }
        let start = start.unwrap_or(shown.len());
        Some(window(&shown, start..end.max(start + 1)))
    }

    /// Where the part of the line begins that must not be shown; its length if there is none.
    fn secret_part(&self, number: usize, line: &str) -> usize {
        let name = line.split_once('=').map_or("", |(name, _)| name);
        let name = name.split_whitespace().next_back().unwrap_or("").trim_start_matches(['#', ';']);
        if variables::find(name).is_none() && self.follows_secret(number) {
            return 0;
        }
        secret_start(line).unwrap_or(line.len())
    }

    fn follows_secret(&self, number: usize) -> bool {
        let find = || {
            let text = String::from_utf8_lossy(self.bytes);
            after_secrets(&scan::scan(&text, &mut Findings::default()))
        };
        self.secret.get_or_init(find).iter().any(|lines| lines.contains(&number))
    }
}

/// From a secret that does not end on its line to the next setting that surely is one.
fn after_secrets(settings: &[Setting<'_>]) -> Vec<Range<usize>> {
    let is_sure = |one: &&Setting<'_>| {
        variables::find(one.name).is_some() || variables::sounds_secret(one.name)
    };
    let mut sure = settings.iter().filter(is_sure).peekable();
    let mut ranges = Vec::new();
    while let Some(one) = sure.next() {
        if !one.is_whole() && variables::is_secret(one.name) {
            ranges.push(one.line + 1..sure.peek().map_or(usize::MAX, |next| next.line));
        }
    }
    ranges
}

fn window(text: &[char], marked: Range<usize>) -> Excerpt {
    let from = if marked.start > WIDTH * 2 / 3 { marked.start - WIDTH / 3 } else { 0 };
    let to = text.len().min(from + WIDTH);
    let mut shown: String = text[from.min(to)..to].iter().collect();
    if to < text.len() {
        shown.push('…');
    }
    let (mut start, mut end) = (marked.start - from, (marked.end - from).min(WIDTH));
    if from > 0 {
        shown.insert(0, '…');
        (start, end) = (start + 1, end + 1);
    }
    Excerpt { text: shown, marked: start..end.max(start + 1) }
}

/// The text with the code of each character that a terminal would not show, or would obey.
pub(super) fn visible(text: &str) -> String {
    let mut shown = Vec::new();
    text.chars().for_each(|c| push_visible(&mut shown, c));
    shown.into_iter().collect()
}

fn push_visible(shown: &mut Vec<char>, c: char) {
    match c.is_control() || (c.is_whitespace() && c != ' ') || is_invisible(c) {
        true => shown.extend(format!("<U+{:04X}>", u32::from(c)).chars()),
        false => shown.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str, columns: Range<usize>) -> (String, Range<usize>) {
        let excerpt = Quoted::new(line.as_bytes()).excerpt(1, &columns).expect("there is a line");
        (excerpt.text, excerpt.marked)
    }

    #[test]
    fn the_mark_is_below_its_characters() {
        assert_eq!(shown("ECS_CLUSTER=\"a\"", 12..15), ("ECS_CLUSTER=\"a\"".into(), 12..15));
        assert_eq!(shown("A=\u{a0}b", 2..5), ("A=<U+00A0>b".into(), 2..11));
    }

    #[test]
    fn secrets_are_not_shown_whatever_their_shape() {
        for line in [
            "DB_PASSWORD=hunter2",
            "export DB_PASSWORD = hunter2",
            "# DB_PASSWORD=hunter2",
            ";DB_PASSWORD='hunter2",
            "ECS_ENGINE_AUTH_DATA={\"hunter2",
        ] {
            assert!(!shown(line, 0..3).0.contains("hunter2"), "{line}");
        }
        let quoted = Quoted::new(b"ECS_ENGINE_AUTH_DATA={\nhunter2=\n\"password\": \"hunter2\"\n");
        for line in [2, 3] {
            let excerpt = quoted.excerpt(line, &(0..5)).expect("there is a line");
            assert_eq!(excerpt.text, REDACTED);
        }
    }

    #[test]
    fn long_lines_are_cut_around_the_mark() {
        let line = format!("A={}!{}", "x".repeat(500), "y".repeat(500));
        let (text, marked) = shown(&line, 502..503);
        assert_eq!(text.chars().nth(marked.start), Some('!'));
        assert!(text.chars().count() <= WIDTH + 2);
    }
}

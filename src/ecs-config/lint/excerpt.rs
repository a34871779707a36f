//! One line of the user's file, as it can be printed: secrets redacted, odd characters visible, not
//! too wide.

use std::cell::OnceCell;
use std::cmp::Ordering;
use std::ops::Range;

use super::lines::{self, Setting};
use super::{Findings, Readers};
use crate::variables;

/// A printable line and the place to mark in it, in characters.
pub struct Excerpt {
    pub text: String,
    pub marked: Range<usize>,
}

/// So many characters are shown of a line; a longer one is cut around the mark.
const WIDTH: usize = 100;

/// A file, ready to be quoted from.
pub struct Quoted<'b> {
    bytes: &'b [u8],
    lines: Vec<&'b [u8]>,
    /// Lines that may be pieces of a secret which goes on over its own line; found out when first
    /// asked.
    secret: OnceCell<Vec<Range<usize>>>,
}

impl<'b> Quoted<'b> {
    pub fn new(bytes: &'b [u8]) -> Self {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        Self { bytes, lines: bytes.split(|byte| *byte == b'\n').collect(), secret: OnceCell::new() }
    }

    fn follows_secret(&self, number: usize) -> bool {
        let find = || {
            let text = String::from_utf8_lossy(self.bytes);
            after_secrets(&lines::scan(&text, &mut Findings::new("", Readers::ALL)))
        };
        self.secret.get_or_init(find).iter().any(|lines| lines.contains(&number))
    }

    /// The line of that number, counted from one; `columns` are bytes of it.
    pub fn excerpt(&self, number: usize, columns: &Range<usize>) -> Option<Excerpt> {
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
                Ordering::Less => shown.extend(visible(c)),
                Ordering::Equal => shown.extend("[redacted]".chars()),
                Ordering::Greater => {}
            }
            if at < columns.end {
                end = shown.len();
            }
        }
        let start = start.unwrap_or(shown.len());
        Some(window(&shown, start..end.max(start + 1)))
    }

    /// Where the part of the line begins that nobody may see; its length if there is none.
    fn secret_part(&self, number: usize, line: &str) -> usize {
        let known = line
            .split_once('=')
            .is_some_and(|(name, _)| variables::find(last_word(name)).is_some());
        if !known && self.follows_secret(number) {
            return 0;
        }
        let secret = words(line).find(|word| variables::is_secret(word));
        secret.and_then(|word| Some(line.find(word)? + word.len() + 1)).unwrap_or(line.len())
    }
}

/// What may be names: the words left of `=`, or the first few of a line without one.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let names = line.split('=').next().unwrap_or(line);
    names.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).take(4)
}

/// From a secret that does not end on its line to the next setting that is known to be one.
fn after_secrets(settings: &[Setting]) -> Vec<Range<usize>> {
    let mut sure = settings
        .iter()
        .filter(|one| variables::find(one.name).is_some() || variables::sounds_secret(one.name))
        .peekable();
    let mut ranges = Vec::new();
    while let Some(one) = sure.next() {
        if !one.whole && variables::is_secret(one.name) {
            ranges.push(one.line + 1..sure.peek().map_or(usize::MAX, |next| next.line));
        }
    }
    ranges
}

fn last_word(name: &str) -> &str {
    name.split_whitespace().next_back().unwrap_or("").trim_start_matches(['#', ';'])
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

/// The character itself, or its code where a terminal would show nothing or do something.
pub fn visible(c: char) -> impl Iterator<Item = char> {
    let odd = c.is_control() || (c.is_whitespace() && c != ' ') || lines::is_zero_width(c);
    let code = odd.then(|| format!("<U+{:04X}>", u32::from(c)));
    let plain = (!odd).then_some(c);
    code.map(|code| code.chars().collect::<Vec<_>>()).unwrap_or_default().into_iter().chain(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str, columns: Range<usize>) -> (String, Range<usize>) {
        let excerpt = Quoted::new(line.as_bytes()).excerpt(1, &columns).expect("there is a line");
        (excerpt.text, excerpt.marked)
    }

    #[test]
    fn the_mark_stands_under_what_it_means() {
        assert_eq!(shown("ECS_CLUSTER=\"a\"", 12..15), ("ECS_CLUSTER=\"a\"".into(), 12..15));
        assert_eq!(shown("A=\u{a0}b", 2..5), ("A=<U+00A0>b".into(), 2..11));
    }

    #[test]
    fn a_secret_is_not_shown_whatever_its_shape() {
        for line in [
            "DB_PASSWORD=hunter2",
            "export DB_PASSWORD = hunter2",
            "# DB_PASSWORD=hunter2",
            ";DB_PASSWORD='hunter2",
            "ECS_ENGINE_AUTH_DATA={\"hunter2",
        ] {
            assert!(!shown(line, 0..3).0.contains("hunter2"), "{line}");
        }
        let over_lines =
            Quoted::new(b"ECS_ENGINE_AUTH_DATA={\nhunter2=\n\"password\": \"hunter2\"\n");
        for line in [2, 3] {
            assert_eq!(
                over_lines.excerpt(line, &(0..5)).map(|excerpt| excerpt.text),
                Some("[redacted]".into())
            );
        }
    }

    #[test]
    fn a_long_line_is_cut_around_the_mark() {
        let line = format!("A={}!{}", "x".repeat(500), "y".repeat(500));
        let (text, marked) = shown(&line, 502..503);
        assert_eq!(text.chars().nth(marked.start), Some('!'));
        assert!(text.chars().count() <= WIDTH + 2);
    }
}

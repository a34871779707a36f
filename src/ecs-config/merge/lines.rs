//! A file as lines, each of one kind. This is how its author means it; whether the readers agree is
//! checked on what is rendered.

use std::borrow::Cow;

const BOM: &[u8] = b"\xef\xbb\xbf";

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Blank,
    /// Begins with `#`, or with `;`, which only systemd takes for a comment.
    Comment,
    /// Has an `=`, at this place.
    Assignment(usize),
    Other,
}

#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    /// From 1.
    pub number: usize,
    /// Without spaces and tabs at both ends: all readers agree only without them.
    pub text: &'a [u8],
    pub kind: Kind,
}

impl<'a> Line<'a> {
    fn new(number: usize, text: &'a [u8]) -> Self {
        let text = trim_blanks(text);
        let kind = match text {
            [] => Kind::Blank,
            [b'#' | b';', ..] => Kind::Comment,
            text => text.iter().position(|&c| c == b'=').map_or(Kind::Other, Kind::Assignment),
        };
        Line { number, text, kind }
    }

    /// Name and value.
    pub fn assignment(&self) -> Option<(&'a [u8], &'a [u8])> {
        match self.kind {
            Kind::Assignment(at) => Some((&self.text[..at], &self.text[at + 1..])),
            _ => None,
        }
    }
}

fn trim_blanks(text: &[u8]) -> &[u8] {
    let is_ink = |c: &u8| !matches!(c, b' ' | b'\t');
    let Some(start) = text.iter().position(is_ink) else { return &[] };
    let end = text.iter().rposition(is_ink).map_or(start, |last| last + 1);
    &text[start..end]
}

pub(super) fn lines(bytes: &[u8]) -> Vec<Line<'_>> {
    let ended =
        bytes.split_inclusive(|&c| c == b'\n').map(|line| line.strip_suffix(b"\n").unwrap_or(line));
    (1..).zip(ended).map(|(number, text)| Line::new(number, text)).collect()
}

/// What may be mended without asking: a BOM goes away, CRLF becomes LF, and the last line gets its
/// line feed, since what others append with `>>` would run into it. Returns what it did, with the
/// first line of each.
pub fn mend(bytes: &[u8]) -> (Cow<'_, [u8]>, Vec<(usize, &'static str)>) {
    let mut notes = Vec::new();
    let mut text = bytes;
    while let Some(rest) = text.strip_prefix(BOM) {
        text = rest;
    }
    if text.len() < bytes.len() {
        notes.push((1, "byte order mark removed"));
    }
    let mut text = Cow::Borrowed(text);
    if text.last().is_some_and(|&c| c != b'\n') {
        text.to_mut().push(b'\n');
        notes.push((newlines(&text), "final newline added"));
    }
    if let Some(at) = text.windows(2).position(|pair| pair == b"\r\n") {
        notes.push((newlines(&text[..at]) + 1, "CRLF replaced by LF"));
        text = Cow::Owned(
            text.split_inclusive(|&c| c == b'\n').flat_map(without_cr).copied().collect(),
        );
    }
    (text, notes)
}

/// The line with its line feed, but without the carriage returns before it.
fn without_cr(line: &[u8]) -> impl Iterator<Item = &u8> {
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    let end = text.iter().rposition(|&c| c != b'\r').map_or(0, |last| last + 1);
    line[..end].iter().chain(&line[text.len()..])
}

fn newlines(text: &[u8]) -> usize {
    text.iter().filter(|&&c| c == b'\n').count()
}

//! A file as numbered lines, each of one kind: what its author means, whatever the readers make of
//! it. Shared by everything here but the readers, which split files in their own ways.

pub(crate) const BOM: &[u8] = b"\xef\xbb\xbf";

/// One line of a file.
#[derive(Clone, Copy)]
pub(crate) struct Line<'a> {
    /// From 1.
    pub(crate) number: usize,
    /// Where it starts in the file.
    pub(crate) start: usize,
    /// As it is in the file, with its line feed if it has one.
    pub(crate) raw: &'a [u8],
    pub(crate) kind: Kind<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind<'a> {
    Blank,
    /// Begins with `#`, or with `;`, which only systemd takes for a comment.
    Comment,
    /// Name and value, on the two sides of the first `=`.
    Assignment(&'a [u8], &'a [u8]),
    Other,
}

/// The lines of a file. What follows the last line feed is a line only if it is not empty.
pub(crate) fn lines(bytes: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let mut start = 0;
    (1..).zip(bytes.split_inclusive(|&c| c == b'\n')).map(move |(number, raw)| {
        let line = Line { number, start, raw, kind: kind(raw) };
        start += raw.len();
        line
    })
}

fn kind(raw: &[u8]) -> Kind<'_> {
    match trim_blanks(body(raw)) {
        [] => Kind::Blank,
        [b'#' | b';', ..] => Kind::Comment,
        text => match text.iter().position(|&c| c == b'=') {
            Some(at) => Kind::Assignment(&text[..at], &text[at + 1..]),
            None => Kind::Other,
        },
    }
}

impl<'a> Line<'a> {
    /// Without its line feed.
    pub(crate) fn body(&self) -> &'a [u8] {
        body(self.raw)
    }

    /// Without its line feed and without spaces and tabs at both ends.
    pub(crate) fn text(&self) -> &'a [u8] {
        trim_blanks(self.body())
    }

    /// Name and value, if the line sets something.
    pub(crate) fn assignment(&self) -> Option<(&'a [u8], &'a [u8])> {
        match self.kind {
            Kind::Assignment(name, value) => Some((name, value)),
            _ => None,
        }
    }
}

/// The file with all lines emptied but those to keep; numbers stay as they are.
///
/// What is left reads as before only if no construct continues on the next line; the caller knows.
pub(crate) fn keep_only(bytes: &[u8], keep: impl Fn(&Line<'_>) -> bool) -> Vec<u8> {
    let mut left = Vec::new();
    for line in lines(bytes) {
        let from = if keep(&line) { 0 } else { line.body().len() };
        left.extend_from_slice(&line.raw[from..]);
    }
    left
}

fn body(raw: &[u8]) -> &[u8] {
    raw.strip_suffix(b"\n").unwrap_or(raw)
}

fn trim_blanks(text: &[u8]) -> &[u8] {
    let is_blank = |c: &u8| matches!(c, b' ' | b'\t');
    let Some(start) = text.iter().position(|c| !is_blank(c)) else { return &[] };
    let end = text.iter().rposition(|c| !is_blank(c)).map_or(start, |last| last + 1);
    &text[start..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_numbers_places_and_bytes() {
        let file = b"# c\n\n A=1=2\t\r\n;x\nword";
        let found: Vec<_> = lines(file).map(|line| (line.number, line.start)).collect();
        assert_eq!(found, [(1, 0), (2, 4), (3, 5), (4, 14), (5, 17)]);
        let sets: Vec<_> = lines(file).filter_map(|line| line.assignment()).collect();
        assert_eq!(sets, [(b"A".as_slice(), b"1=2\t\r".as_slice())]);
        let raw: Vec<u8> = lines(file).flat_map(|line| line.raw.iter().copied()).collect();
        assert_eq!(raw, file);
    }

    #[test]
    fn keep_only_empties_the_other_lines() {
        assert_eq!(keep_only(b"A\nB\nC", |line| line.body() == b"B"), b"\nB\n");
    }
}

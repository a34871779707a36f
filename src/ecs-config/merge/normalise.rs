//! What may be corrected without asking.

use std::borrow::Cow;

use crate::lines::BOM;

/// Without a byte order mark, with LF for CR LF, and with a final line feed, since what others
/// append with `>>` would continue the last line. Also what was changed, with the first line of
/// each kind.
pub fn normalise(bytes: &[u8]) -> (Cow<'_, [u8]>, Vec<(usize, &'static str)>) {
    let mut changes = Vec::new();
    let mut text = bytes;
    while let Some(rest) = text.strip_prefix(BOM) {
        text = rest;
    }
    if text.len() < bytes.len() {
        changes.push((1, "byte order mark removed"));
    }
    let mut text = Cow::Borrowed(text);
    if text.last().is_some_and(|&c| c != b'\n') {
        text.to_mut().push(b'\n');
        changes.push((line_feeds(&text), "final newline added"));
    }
    if let Some(at) = text.windows(2).position(|pair| pair == b"\r\n") {
        changes.push((line_feeds(&text[..at]) + 1, "CRLF replaced by LF"));
        let lines = text.split_inclusive(|&c| c == b'\n');
        text = Cow::Owned(lines.flat_map(without_cr).copied().collect());
    }
    (text, changes)
}

/// The line with its line feed, but without the carriage returns before it.
fn without_cr(line: &[u8]) -> impl Iterator<Item = &u8> {
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    let end = text.iter().rposition(|&c| c != b'\r').map_or(0, |last| last + 1);
    line[..end].iter().chain(&line[text.len()..])
}

fn line_feeds(text: &[u8]) -> usize {
    text.iter().filter(|&&c| c == b'\n').count()
}

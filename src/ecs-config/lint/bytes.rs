//! The file as bytes, before there are lines: encodings, NULs, marks and line ends.

use std::borrow::Cow;

use super::rules::readers as rule;
use super::{At, Findings, say};

const MARK: &[u8] = b"\xef\xbb\xbf";

/// The text of the file, unless it is none and every further finding would be noise.
pub fn look<'b>(bytes: &'b [u8], found: &mut Findings) -> Option<Cow<'b, str>> {
    if is_utf_16(bytes) {
        found
            .add(&rule::UTF_16, first_line(), || say("the file is UTF-16").fix("save it as UTF-8"));
        return None;
    }
    let (marked, rest) = bytes.strip_prefix(MARK).map_or((false, bytes), |rest| (true, rest));
    if rest.trim_ascii_start().starts_with(b"<") {
        found.add(&rule::NOT_A_CONFIGURATION, first_line(), || {
            say("the file is XML or HTML, not a configuration")
        });
        return None;
    }
    if marked {
        mark(rest, found);
    }
    line_ends(rest, found);
    nul(rest, found);
    let text = String::from_utf8_lossy(rest);
    if matches!(text, Cow::Owned(_)) {
        encodings(rest, found);
    }
    Some(text)
}

fn first_line() -> At<'static> {
    At { line: Some(1), columns: (0, 1), ..At::default() }
}

/// With a byte order mark, or with a NUL in every second byte of its beginning.
fn is_utf_16(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(64)];
    let every_second =
        |from: usize| start.len() >= 4 && start.iter().skip(from).step_by(2).all(|byte| *byte == 0);
    bytes.starts_with(b"\xff\xfe")
        || bytes.starts_with(b"\xfe\xff")
        || every_second(0)
        || every_second(1)
}

fn mark(rest: &[u8], found: &mut Findings) {
    let harmless = rest.starts_with(b"#") || rest.trim_ascii().is_empty();
    let rule = if harmless { &rule::BOM_BEFORE_COMMENT } else { &rule::BOM };
    found.add(rule, first_line(), || {
        say("the file begins with a byte order mark").fix("save it without")
    });
}

fn line_ends(bytes: &[u8], found: &mut Findings) {
    let lines = || bytes.split(|byte| *byte == b'\n').enumerate();
    if let Some((at, line)) = lines().find(|(_, line)| line.ends_with(b"\r")) {
        let place =
            At { line: Some(at + 1), columns: (line.len() - 1, line.len()), ..At::default() };
        let count = lines().filter(|(_, line)| line.ends_with(b"\r")).count();
        found.add(&rule::CRLF, place, || {
            say(format!("{count} of the lines end with CR LF")).fix("end them with LF")
        });
    }
    if !bytes.is_empty() && !bytes.ends_with(b"\n") {
        let (at, line) = lines().last().unwrap_or((0, bytes));
        let place = At { line: Some(at + 1), columns: (line.len(), line.len()), ..At::default() };
        found.add(&rule::MISSING_FINAL_NEWLINE, place, || {
            say("the last line has no newline").fix("add one")
        });
    }
}

fn nul(bytes: &[u8], found: &mut Findings) {
    let Some(at) = bytes.iter().position(|byte| *byte == 0) else { return };
    found.add(&rule::NUL, place_of(bytes, at), || say("a NUL byte").fix("remove it"));
}

fn place_of(bytes: &[u8], at: usize) -> At<'static> {
    let before = &bytes[..at];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count();
    At { line: Some(line), columns: (column, column + 1), ..At::default() }
}

/// One finding for each line with a byte that is no UTF-8.
fn encodings(bytes: &[u8], found: &mut Findings) {
    for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let Err(error) = std::str::from_utf8(line) else { continue };
        let column = error.valid_up_to();
        let comment = line.trim_ascii_start().starts_with(b"#");
        let rule = if comment { &rule::INVALID_UTF8_COMMENT } else { &rule::INVALID_UTF8 };
        let place = At { line: Some(at + 1), columns: (column, column + 1), ..At::default() };
        found.add(rule, place, || say("a byte here is no UTF-8").fix("save the file as UTF-8"));
    }
}

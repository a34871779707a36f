//! The file as bytes, before there are lines: encodings, NULs, marks and line ends.

use std::borrow::Cow;

use super::findings::{At, Findings};
use super::foreign;
use super::rules::readers as rule;
use crate::lines::{BOM, Line, lines};

/// The text of the file, unless it is not text and every further finding would be noise.
pub(super) fn check<'b>(bytes: &'b [u8], found: &mut Findings<'_>) -> Option<Cow<'b, str>> {
    let start = At::line(1, (0, 1));
    if is_utf_16(bytes) {
        found.add(&rule::UTF_16, start);
        return None;
    }
    let text = bytes.strip_prefix(BOM).unwrap_or(bytes);
    if let Some((what, fix)) = foreign::kind(text) {
        let message = format_args!("the file is {what}, not a configuration");
        found.add_with(&rule::NOT_A_CONFIGURATION, start, message, fix);
        return None;
    }
    if text.len() < bytes.len() {
        let is_harmless = text.starts_with(b"#") || text.trim_ascii().is_empty();
        found.add(if is_harmless { &rule::BOM_BEFORE_COMMENT } else { &rule::BOM }, start);
    }
    line_ends(text, found);
    let nul = |line: Line<'_>| {
        let column = line.raw.iter().position(|byte| *byte == 0)?;
        Some(At::line(line.number, (column, column + 1)))
    };
    if let Some(at) = lines(text).find_map(nul) {
        found.add(&rule::NUL, at);
    }
    let decoded = String::from_utf8_lossy(text);
    if matches!(decoded, Cow::Owned(_)) {
        not_utf_8(text, found);
    }
    Some(decoded)
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

fn line_ends(bytes: &[u8], found: &mut Findings<'_>) {
    let with_cr = || lines(bytes).filter(|line| line.body().ends_with(b"\r"));
    if let Some(line) = with_cr().next() {
        let end = line.body().len();
        let message = format_args!("{} of the lines end with CR LF", with_cr().count());
        found.add_with(
            &rule::CRLF,
            At::line(line.number, (end - 1, end)),
            message,
            "end them with LF",
        );
    }
    if let Some(last) = lines(bytes).last().filter(|line| !line.raw.ends_with(b"\n")) {
        let end = last.raw.len();
        found.add(&rule::MISSING_FINAL_NEWLINE, At::line(last.number, (end, end)));
    }
}

/// One finding for each line with a byte that is not UTF-8.
fn not_utf_8(bytes: &[u8], found: &mut Findings<'_>) {
    for line in lines(bytes) {
        let Err(error) = str::from_utf8(line.raw) else { continue };
        let is_comment = line.raw.trim_ascii_start().starts_with(b"#");
        let rule = if is_comment { &rule::INVALID_UTF8_COMMENT } else { &rule::INVALID_UTF8 };
        let column = error.valid_up_to();
        found.add(rule, At::line(line.number, (column, column + 1)));
    }
}

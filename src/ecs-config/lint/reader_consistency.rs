//! What no rule for lines has explained: the readers' real views, compared with what the author of
//! the file meant.
//!
//! A file without an error about readers reads the same to every reader that matters; the tests
//! hold us to that.

use std::collections::HashMap;
use std::fmt;

use super::findings::{At, Findings};
use super::rules::readers::READERS_DISAGREE;
use super::scan::Setting;
use crate::lines::{Kind, Line, keep_only};
use crate::readers::{Reader, Reading, is_name};

pub(super) fn check(bytes: &[u8], settings: &[Setting<'_>], found: &mut Findings<'_>) {
    if found.misread {
        return;
    }
    // Without an error so far no line continues on the next one, so those that all readers take
    // alike need not be read five times: two thirds of the time that a large file takes.
    let bytes = &keep_only(bytes, |line| !is_same_to_all(line));
    let is_left: Vec<bool> =
        bytes.split(|byte| *byte == b'\n').map(|line| !line.is_empty()).collect();
    let left = settings.iter().filter(|setting| is_left.get(setting.line - 1) == Some(&true));
    let intended: HashMap<&[u8], &Setting<'_>> =
        left.map(|setting| (setting.name.as_bytes(), setting)).collect();
    for reader in found.readers.members() {
        compare(reader, &reader.read(bytes), &intended, found);
    }
}

/// A line that every reader takes alike: a comment, nothing, or an assignment in printable ASCII
/// without blanks at its edges, without a quote before its value and without a backslash. Far
/// shorter than the 64 KiB that docker takes.
fn is_same_to_all(line: &Line<'_>) -> bool {
    let body = line.body();
    let is_printable = |byte: &u8| (b' '..=b'~').contains(byte) && *byte != b'\\';
    body.len() < 60_000
        && body.iter().all(is_printable)
        && match line.kind {
            Kind::Blank => body.is_empty(),
            Kind::Comment => body[0] == b'#',
            Kind::Assignment(name, value) => {
                is_name(name)
                    && body.len() == line.text().len()
                    && !value.first().is_some_and(|first| b" \"'".contains(first))
            }
            Kind::Other => false,
        }
}

fn compare(
    reader: Reader,
    reading: &Reading<'_>,
    intended: &HashMap<&[u8], &Setting<'_>>,
    found: &mut Findings<'_>,
) {
    let by = reader.name();
    let mut unexplained = |at: At<'_>, what: fmt::Arguments<'_>| {
        if at.line.is_none_or(|line| found.explained.insert(line)) {
            found.add_with(&READERS_DISAGREE, at, format_args!("{by} {what}"), "");
        }
    };
    if let Some(note) = &reading.error {
        let what = format_args!("refuses the whole file: this line {}", note.what);
        return unexplained(At::line(note.line, (0, 0)), what);
    }
    let set: HashMap<&[u8], _> = reading.variables.iter().map(|one| (one.name, one)).collect();
    for (name, setting) in intended {
        let value = set.get(name).and_then(|one| one.value.as_deref());
        if is_name(name) && value != Some(setting.value().as_bytes()) {
            unexplained(
                setting.at_value(),
                format_args!("sets another value than the one written"),
            );
        }
    }
    for one in set.values().filter(|one| is_name(one.name) && !intended.contains_key(one.name)) {
        let what = format_args!("sets a variable that is not written here");
        unexplained(At::line(one.line, (0, 0)), what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_that_all_readers_take_alike_are_left_out() {
        let file = b"# a\nA=b\nA=\"b\"\nB=c\\\nA={\"b\":1}\nC= d\n\nB=x";
        let left = keep_only(file, |line| !is_same_to_all(line));
        assert_eq!(left, b"\n\nA=\"b\"\nB=c\\\n\nC= d\n\n");
    }
}

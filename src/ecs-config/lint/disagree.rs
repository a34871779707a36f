//! The net below the rules for lines: what the readers really make of the file, compared with what
//! its author meant.
//!
//! A file without an error of kind `Readers` reads the same to every reader that matters; the tests
//! hold us to that.

use std::collections::HashMap;

use super::lines::{Setting, is_name};
use super::rules::readers::READERS_DISAGREE;
use super::{At, Findings, Readers, plain, say};
use crate::readers::{Generation, Reader, Reading};

/// Which set each real reader stands in.
pub const READERS: [(Reader, Readers); 5] = [
    (Reader::Systemd(Generation::V219), Readers::SYSTEMD_219),
    (Reader::Systemd(Generation::V252), Readers::SYSTEMD_252),
    (Reader::Systemd(Generation::V254), Readers::SYSTEMD_254),
    (Reader::EcsInit, Readers::ECS_INIT),
    (Reader::Docker, Readers::DOCKER),
];

/// Adds what no rule for lines has explained.
pub fn check(bytes: &[u8], settings: &[Setting], found: &mut Findings) {
    if found.misread {
        return;
    }
    // Without an error so far every line stands for itself, so those that nobody can take amiss
    // need not be read.
    let bytes = &plain::only(bytes, |_, line| !plain::same_to_all(line));
    let lines: Vec<bool> =
        bytes.split(|byte| *byte == b'\n').map(|line| !line.is_empty()).collect();
    let left = settings.iter().filter(|setting| lines.get(setting.line - 1) == Some(&true));
    let meant: HashMap<&[u8], &Setting> =
        left.map(|setting| (setting.name.as_bytes(), setting)).collect();
    for (reader, set) in READERS {
        if found.readers.meets(set) {
            compare(reader, &reader.read(bytes), &meant, found);
        }
    }
}

fn compare(
    reader: Reader,
    reading: &Reading,
    meant: &HashMap<&[u8], &Setting>,
    found: &mut Findings,
) {
    if let Some(note) = &reading.error {
        let place = At { line: Some(note.line), ..At::default() };
        let said =
            || say(format!("{} refuses the whole file: this line {}", reader.name(), note.what));
        return unexplained(place, said, found);
    }
    let set: HashMap<&[u8], _> = reading.variables.iter().map(|one| (one.name, one)).collect();
    for (name, setting) in meant {
        let value = set.get(name).and_then(|one| one.value.as_deref());
        if is_name(setting.name) && value != Some(setting.value.as_bytes()) {
            let said = || say(format!("{} sets another value than the one written", reader.name()));
            unexplained(setting.value_place(), said, found);
        }
    }
    for one in set.values().filter(|one| !meant.contains_key(one.name)) {
        if str::from_utf8(one.name).is_ok_and(is_name) {
            let said = || say(format!("{} sets a variable that nobody wrote", reader.name()));
            unexplained(At { line: Some(one.line), ..At::default() }, said, found);
        }
    }
}

fn unexplained(place: At, said: impl FnOnce() -> super::Said, found: &mut Findings) {
    if place.line.is_none_or(|line| found.explained.insert(line)) {
        found.add(&READERS_DISAGREE, place, said);
    }
}

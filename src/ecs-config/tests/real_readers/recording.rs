//! What the real readers answered, recorded: so that a change of ours shows on a machine without
//! them, too.
//!
//! `data/real-readers.txt` names their versions. A line is a file: digests of its bytes, of what
//! systemd sets, and of what the docker CLI sends; dashes where it rejects the file.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use ecs_config::lint::{self, Context, File, Severity};
use ecs_config::readers::{self, Generation};

use super::generator;

const RECORDING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/real-readers.txt");
const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fuzz/corpus");
const REJECTED: &str = "--------";
/// So many generated files are recorded, beside those that were picked by hand.
const GENERATED: usize = 6000;

/// The generated files, and those that were picked: the examples of the rules, and what fuzzers
/// found.
pub(crate) fn files() -> Vec<Vec<u8>> {
    let folders =
        ["lint", "systemd", "docker", "ecs_init", "merge"].map(|name| Path::new(CORPUS).join(name));
    let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let mut picked: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    picked.sort();
    generator::files(GENERATED).chain(picked.iter().map(|path| fs::read(path).unwrap())).collect()
}

/// FNV-1a: <http://www.isthe.com/chongo/tech/comp/fnv/>.
fn digest(bytes: &[u8]) -> String {
    let hash = bytes
        .iter()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    format!("{hash:08x}")
}

/// The digest of a list of assignments; `None` where the file is rejected.
fn answer(lines: Option<&[String]>) -> String {
    lines.map_or_else(|| REJECTED.into(), |lines| digest(lines.join("\n").as_bytes()))
}

fn line(file: &[u8], systemd: Option<&[String]>, docker: Option<&[String]>) -> String {
    format!("{}{}{}", digest(file), answer(systemd), answer(docker))
}

/// Our own answers, in the form of the recording.
fn ours(file: &[u8]) -> String {
    let systemd = super::shown(&super::ours(&readers::systemd(file, Generation::V252)));
    let docker = super::docker::expected(file);
    line(file, systemd.as_deref(), docker.as_deref())
}

#[test]
fn readers_agree_with_the_recording() {
    if std::env::var_os("RECORD").is_some() {
        record_the_real_readers();
    }
    let recorded = fs::read_to_string(RECORDING).unwrap();
    let lines = recorded.lines().filter(|line| !line.starts_with('#'));
    let by_file: HashMap<&str, &str> = lines.map(|line| (&line[..8], line)).collect();
    let (mut compared, mut different) = (0, Vec::new());
    for (index, file) in files().iter().enumerate() {
        match by_file.get(digest(file).as_str()) {
            Some(recorded) => {
                compared += 1;
                if *recorded != ours(file) {
                    different.push(format!("file {index}: {}", file.escape_ascii()));
                }
            }
            // What was picked later has no record yet.
            None => assert!(index >= GENERATED, "the generator makes other files than it did"),
        }
    }
    assert!(different.is_empty(), "{}: {}", different.len(), different.join("\n"));
    assert!(compared > 6000, "{compared} files");
}

/// Writes the recording anew: `RECORD=1 cargo test -p ecs-config --test real_readers`. Needs systemd
/// 252 and Debian's docker CLI.
fn record_the_real_readers() {
    let real = super::systemd::Library::find().unwrap();
    assert_eq!(real.generation, Generation::V252);
    let folder = tempfile::tempdir().unwrap();
    let daemon = super::docker::Daemon::start(folder.path());
    let mut text = format!("# systemd {}\n# {}\n", real.version, super::docker::version());
    let mut cases = Vec::new();
    for (index, file) in files().iter().enumerate() {
        let path = super::write(folder.path(), index, file);
        let systemd = super::shown(&real.read(&path));
        let case = super::docker::Case::new(path, file);
        // It is what the real CLI sends: `compare` below ends the test otherwise.
        writeln!(text, "{}", line(file, systemd.as_deref(), case.expected.as_deref())).unwrap();
        cases.push(case);
    }
    daemon.compare(&cases);
    fs::write(RECORDING, text).unwrap();
}

/// By the recording, which the readers agree with.
#[test]
fn linter_reports_files_that_the_real_readers_take_differently() {
    let mut different = 0;
    for file in files() {
        let systemd = readers::systemd(&file, Generation::V252);
        let docker = readers::docker(&file);
        if systemd.error.is_none() == docker.error.is_none() && systemd.map() == docker.map() {
            continue;
        }
        different += 1;
        let found = lint::check(&File { source: "", bytes: &file }, &Context::default());
        let is_reported = found.iter().any(|one| one.severity != Severity::Note);
        assert!(is_reported, "{}", file.escape_ascii());
    }
    assert!(different > 1000, "{different} files");
}

//! The readers agree with the real ones: systemd's own code from libsystemd-shared, and the docker
//! CLI. Both get the same 12,000 generated files. Without them the tests are skipped, except with
//! CI=true, where that is a failure.

mod docker;
mod generator;
mod recording;
mod systemd;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ecs_config::readers::Reading;

const FILES: usize = 12_000;

/// What a reader makes of a file: name to value, or `None` if it rejects it.
type Variables = Option<BTreeMap<Vec<u8>, Vec<u8>>>;

#[test]
fn systemd_agrees_on_generated_files() {
    let Some(real) = systemd::Library::find() else {
        return skip("no libsystemd-shared on this machine");
    };
    let folder = tempfile::tempdir().unwrap();
    let mut tally = Tally::default();
    for (index, file) in generator::files(FILES).enumerate() {
        let path = write(folder.path(), index, &file);
        let ours = ours(&ecs_config::readers::systemd(&file, real.generation));
        assert_eq!(
            shown(&ours),
            shown(&real.read(&path)),
            "file {index}: {:?}",
            file.escape_ascii().to_string()
        );
        tally.count(&ours);
    }
    tally.check();
}

#[test]
fn docker_agrees_on_generated_files() {
    if !docker::is_here() {
        return skip("no docker command on this machine");
    }
    let folder = tempfile::tempdir().unwrap();
    let daemon = docker::Daemon::start(folder.path());
    let mut tally = Tally::default();
    let files: Vec<Vec<u8>> = generator::files(FILES).collect();
    let cases: Vec<docker::Case> = (0..)
        .zip(&files)
        .map(|(index, file)| docker::Case::new(write(folder.path(), index, file), file))
        .collect();
    cases.iter().for_each(|case| {
        tally.count(
            &case
                .expected
                .clone()
                .map(|list| list.into_iter().map(|set| (set.into_bytes(), vec![])).collect()),
        )
    });
    daemon.compare(&cases);
    tally.check();
}

/// Keeps the generator honest: both outcomes must be common.
#[derive(Default)]
struct Tally {
    rejected: usize,
    set: usize,
}

impl Tally {
    fn count(&mut self, variables: &Variables) {
        match variables {
            None => self.rejected += 1,
            Some(map) => self.set += usize::from(!map.is_empty()),
        }
    }

    fn check(&self) {
        eprintln!("{FILES} files: {} rejected, {} with variables", self.rejected, self.set);
        assert!(
            self.rejected > FILES / 40 && self.set > FILES / 4,
            "the generator makes too few files of one kind"
        );
    }
}

fn ours(reading: &Reading<'_>) -> Variables {
    let own =
        |(name, value): (&[u8], Option<&[u8]>)| (name.to_vec(), value.unwrap_or_default().to_vec());
    reading.error.is_none().then(|| reading.map().into_iter().map(own).collect())
}

fn shown(variables: &Variables) -> Option<Vec<String>> {
    let line = |(name, value): (&Vec<u8>, &Vec<u8>)| {
        format!("{}={}", name.escape_ascii(), value.escape_ascii())
    };
    variables.as_ref().map(|map| map.iter().map(line).collect())
}

fn skip(reason: &str) {
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{reason}");
    println!("skipped: {reason}");
}

fn write(folder: &Path, index: usize, file: &[u8]) -> PathBuf {
    let path = folder.join(index.to_string());
    fs::write(&path, file).unwrap();
    path
}

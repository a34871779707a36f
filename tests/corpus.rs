//! Replays what the fuzzers found worth keeping. To fuzz: see `tests/fuzz/src/lib.rs`.

use std::fs;

use ecs_bootstrap::testing;

#[path = "fuzz/src/checks.rs"]
mod checks;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = format!("{}/tests/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 10, "{folder} has lost its files");
    for path in files {
        println!("{}", path.display());
        check(&fs::read(path).unwrap());
    }
}

#[test]
fn the_systemd_corpus_holds() {
    replay("systemd", checks::systemd);
}

#[test]
fn the_ecs_init_corpus_holds() {
    replay("ecs_init", checks::ecs_init);
}

#[test]
fn the_docker_corpus_holds() {
    replay("docker", checks::docker);
}

#[test]
fn the_merge_corpus_holds() {
    replay("merge", checks::merge);
}

#[test]
fn the_source_corpus_holds() {
    replay("source", checks::source);
}

//! Replays what the fuzzers found worth keeping. To fuzz: see `tests/fuzz/src/lib.rs`.

use std::fs;

#[path = "fuzz/src/checks.rs"]
#[allow(unreachable_pub, reason = "the fuzzers' crate is another one")]
mod checks;
#[path = "fuzz/src/documents.rs"]
#[allow(unreachable_pub, reason = "the fuzzers' crate is another one")]
mod documents;
#[path = "fuzz/src/source.rs"]
#[allow(unreachable_pub, reason = "the fuzzers' crate is another one")]
mod source;

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
fn systemd_corpus_passes() {
    replay("systemd", checks::systemd);
}

#[test]
fn ecs_init_corpus_passes() {
    replay("ecs_init", checks::ecs_init);
}

#[test]
fn docker_corpus_passes() {
    replay("docker", checks::docker);
}

#[test]
fn merge_corpus_passes() {
    replay("merge", checks::merge);
}

#[test]
fn lint_corpus_passes() {
    replay("lint", checks::lint);
}

#[test]
fn source_corpus_passes() {
    replay("source", source::source);
}

#[test]
fn settings_corpus_passes() {
    replay("settings", documents::settings);
}

#[test]
fn documents_corpus_passes() {
    replay("documents", documents::documents);
}

#[test]
fn aws_error_corpus_passes() {
    replay("aws_error", documents::aws_error);
}

#[test]
fn netlink_corpus_passes() {
    replay("netlink", documents::netlink);
}

#[test]
fn expand_corpus_passes() {
    replay("expand", checks::expand);
}

#[test]
fn no_proxy_corpus_passes() {
    replay("no_proxy", checks::no_proxy);
}

#[test]
fn nftables_corpus_passes() {
    replay("nftables", documents::nftables);
}

#[test]
fn packet_corpus_passes() {
    replay("packet", documents::packet);
}

#[test]
fn user_data_corpus_passes() {
    replay("user_data", documents::user_data);
}

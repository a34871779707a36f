//! A refused command line names the remedy and does not replace the report of the boot.

mod support;

use std::os::unix::ffi::OsStringExt;

use support::{Host, REPORT, SOURCE};

#[test]
fn refused_settings_keep_the_report_of_the_boot() {
    let host = Host::default();
    host.boots("installed");
    let report = host.machine.read(REPORT);
    host.run(&["--config", "s3://Bucket!/k"]).fails_as("settings", 2, &["Bucket"]);
    assert_eq!(host.machine.read(REPORT), report);
    let status = host.call(&["status"]);
    assert_eq!(status.status, 0);
    assert!(status.stdout.starts_with("run: installed"), "{}", status.stdout);
    assert!(status.stdout.contains("later:  a run was refused at"), "{}", status.stdout);
}

#[test]
fn status_shows_a_refused_command_line_until_the_next_run() {
    let host = Host::default();
    host.boots("installed");
    assert_eq!(host.call(&["run", "--bogus"]).status, 2);
    let json = host.call(&["status", "--output", "json"]);
    assert!(json.report["refused"]["message"].as_str().unwrap().contains("--bogus"));
    assert_eq!(json.report["outcome"], "installed");
    host.boots("unchanged");
    assert_eq!(
        host.call(&["status", "--output", "json"]).report["refused"],
        serde_json::Value::Null
    );
}

#[test]
fn refused_first_run_writes_its_own_report() {
    let host = Host::default();
    host.run(&["--config", "s3://Bucket!/k"]).fails_as("settings", 2, &["Bucket"]);
    assert_eq!(host.json(REPORT)["outcome"], "settings");
}

#[test]
fn source_without_config_has_a_remedy() {
    let refused = Host::default().call(&["run", SOURCE]);
    assert_eq!(refused.status, 2);
    assert!(refused.stderr.contains(&format!("remedy: write `--config {SOURCE}`")));
    let secret = Host::default().call(&["run", "https://host.test/key?X-Amz-Signature=PLANTED"]);
    assert!(!secret.stderr.contains("PLANTED"), "{}", secret.stderr);
}

#[test]
fn each_kind_of_invalid_source_has_its_own_remedy() {
    let table = [
        ("s3://bucket/100%", "%25"),
        ("s4://bucket/k", "s3://BUCKET/KEY"),
        ("s3://Bucket!/k", "lower-case"),
        ("file://etc/x", "three slashes"),
        ("http://host.test/k", "https://"),
        ("s3://bucket", "key"),
        ("s3://bucket/folder/", "%2F"),
        ("s3://bucket/k?version=1", "versionId"),
        ("s3://bucket/k#sha1=0", "#sha256="),
    ];
    let host = Host::default();
    for (source, remedy) in table {
        let ended = host.run(&["--config", source]);
        ended.fails_as("settings", 2, &[remedy]);
        let error = ended.report["error"]["remedy"].as_str().unwrap().to_owned();
        assert!(error.contains(remedy), "{source}: {error}");
        assert!(error.starts_with(|c: char| !c.is_uppercase()) && !error.ends_with('.'), "{error}");
        let lint = host.call(&["lint", source]);
        if source.contains("://") {
            assert!(lint.stderr.contains(remedy), "{source}: {}", lint.stderr);
        }
    }
}

#[test]
fn variable_that_is_not_utf8_is_refused() {
    let host = Host::default();
    for name in ["ECS_BOOTSTRAP_EXPECT_ROLE", "AWS_CA_BUNDLE", "HTTPS_PROXY"] {
        let mut command = host.command();
        let value = std::ffi::OsString::from_vec(b"true\xff".to_vec());
        let ended = support::Ended::of(
            command.env(name, value).args(["run", "--output", "json", "--config", SOURCE]),
        );
        ended.fails_as("settings", 2, &[name, "UTF-8"]);
    }
    assert_eq!(host.installed(), None);
}

#[test]
fn zero_timeout_and_too_many_layers_are_refused() {
    let host = Host::default();
    host.run(&["--config", SOURCE, "--timeout", "0s"]).fails_as("settings", 2, &["timeout"]);
    let layers: Vec<&str> = std::iter::repeat_n(["--config", SOURCE], 65).flatten().collect();
    host.run(&layers).fails_as("settings", 2, &["65 sources", "64"]);
}

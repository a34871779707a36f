//! The main job: a boot installs, and the next one changes nothing. If only one test could be kept,
//! it would be the first.

mod support;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::thread;

use rehearsal::Service;
use serde_json::{Value, json};
use support::{Host, LOCK, PREVIOUS, REPORT, SOURCE, STATE, TARGET, TEXT};

#[test]
fn boot_installs_and_the_next_boot_is_unchanged() {
    let host = Host::default();
    host.boots("installed");
    assert_eq!(host.installed().as_deref(), Some(TEXT));
    let before = fs::metadata(host.machine.path(TARGET)).unwrap();
    host.boots("unchanged");
    let after = fs::metadata(host.machine.path(TARGET)).unwrap();
    assert_eq!(
        (before.ino(), before.mtime(), before.mtime_nsec()),
        (after.ino(), after.mtime(), after.mtime_nsec())
    );
    assert_eq!(host.names("/etc/ecs"), ["ecs.config"]);
}

#[test]
fn unchanged_object_is_not_sent_again() {
    let host = Host::default();
    let answered = |host: &Host| {
        host.cloud
            .requests()
            .iter()
            .filter(|seen| seen.service == Service::S3)
            .map(|seen| seen.status)
            .next_back()
    };
    host.boots("installed");
    assert!(host.boots("unchanged").stderr.contains("(not modified)"));
    assert_eq!(answered(&host), Some(304));
    // An edited file is no longer the object, and neither is a file made of several layers.
    host.machine.write(TARGET, "ECS_CLUSTER=edited\n");
    host.boots("installed");
    assert_eq!((answered(&host), host.installed().as_deref()), (Some(200), Some(TEXT)));
    let set = ["--config", SOURCE, "--set", "ECS_LOGLEVEL=warn"];
    host.run(&set).succeeds_as("installed");
    host.run(&set).succeeds_as("unchanged");
    assert_eq!(answered(&host), Some(200));
    let host = host.stores("ECS_CLUSTER=blue\n");
    host.boots("installed");
    assert_eq!(
        (answered(&host), host.installed().as_deref()),
        (Some(200), Some("ECS_CLUSTER=blue\n"))
    );
}

fn mode(host: &Host, path: &str) -> u32 {
    fs::metadata(host.machine.path(path)).unwrap_or_else(|error| panic!("{path}: {error}")).mode()
        & 0o7777
}

#[test]
fn installed_files_have_their_documented_paths_and_modes() {
    let host = Host::default();
    host.boots("installed");
    assert!(host.machine.read(PREVIOUS).is_none(), "there was no file before");
    let host = host.stores("ECS_CLUSTER=blue\n");
    host.boots("installed");
    assert_eq!(host.installed().as_deref(), Some("ECS_CLUSTER=blue\n"));
    assert_eq!(host.machine.read(PREVIOUS).as_deref(), Some(TEXT.as_bytes()));
    let modes =
        [(TARGET, 0o600), (PREVIOUS, 0o600), (STATE, 0o600), (REPORT, 0o644), (LOCK, 0o600)];
    for (path, wanted) in modes {
        assert_eq!(format!("{path} {:o}", mode(&host, path)), format!("{path} {wanted:o}"));
    }
}

#[test]
fn report_on_stdout_and_in_the_file_is_complete() {
    let host = Host::default();
    let report = host.boots("installed").report;
    assert_eq!(report, host.json(REPORT));
    let names: Vec<&String> = report.as_object().unwrap().keys().collect();
    let wanted = [
        "schema",
        "version",
        "command",
        "outcome",
        "exit_status",
        "started_at",
        "duration_ms",
        "host",
        "steps",
        "config",
        "guard",
        "findings",
    ];
    assert!(wanted.iter().all(|name| names.iter().any(|found| found == name)), "{names:?}");
    let host_wanted = json!({"kind": "ec2", "instance_id": "i-0ec5b007572a90001", "region": "eu-west-1", "availability_zone": "eu-west-1b",
        "account_id": "123456789012", "role": "ecsInstanceRole",
        "arn": "arn:aws:sts::123456789012:assumed-role/ecsInstanceRole/i-0ec5b007572a90001",
        "confirmed_by": "sts"});
    assert_eq!(report["host"], host_wanted);
    let config = &report["config"];
    assert_eq!(
        (&config["path"], &config["changed"], &config["bytes"]),
        (&json!(TARGET), &json!(true), &json!(TEXT.len()))
    );
    assert_eq!(config["keys"]["ECS_CLUSTER"], json!({"from": SOURCE, "line": 2}));
    assert_eq!(
        (&config["layers"][0]["source"], &config["layers"][0]["sha256"]),
        (&json!(SOURCE), &config["sha256"])
    );
    assert_eq!(
        (&report["guard"]["wanted"], &report["guard"]["state"]),
        (&json!(false), &json!("absent"))
    );
    let steps: Vec<(&str, &str)> = report["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| (text(&step["step"]), text(&step["outcome"])))
        .collect();
    for step in [
        ("guard", "skipped"),
        ("identity", "ok"),
        ("fetch", "ok"),
        ("lint", "ok"),
        ("install", "ok"),
        ("agent", "skipped"),
    ] {
        assert!(steps.contains(&step), "{step:?} is not in {steps:?}");
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[test]
fn one_of_ten_concurrent_runs_installs() {
    let host = Host::default();
    let run = || host.boot();
    let outcomes: Vec<String> = thread::scope(|scope| {
        let runs: Vec<_> = (0..10).map(|_| scope.spawn(run)).collect();
        runs.into_iter().map(|run| run.join().unwrap().outcome().to_owned()).collect()
    });
    assert_eq!(
        outcomes.iter().filter(|outcome| *outcome == "installed").count(),
        1,
        "{outcomes:?}"
    );
    assert_eq!(
        outcomes.iter().filter(|outcome| *outcome == "unchanged").count(),
        9,
        "{outcomes:?}"
    );
    assert_eq!(host.installed().as_deref(), Some(TEXT));
    assert_eq!(host.names("/etc/ecs"), ["ecs.config"]);
}

#[test]
fn dry_run_prints_the_diff_and_changes_nothing() {
    let host =
        Host::default().with_file(TARGET, "ECS_CLUSTER=old\nECS_ENGINE_AUTH_DATA=PLANTED-OLD\n");
    let host = host.stores(
        "ECS_CLUSTER=new\nECS_ENGINE_AUTH_TYPE=docker\nECS_ENGINE_AUTH_DATA={\"r.test\":{\"username\":\"u\",\"password\":\"PLANTED-NEW\"}}\n",
    );
    let files = || host.machine.files().into_iter().map(|(path, _)| path).collect::<Vec<_>>();
    let before = files();
    let ended = host.call(&["run", "--dry-run", "--config", SOURCE, "--replace"]);
    assert_eq!((ended.status, files()), (0, before), "{}", ended.stderr);
    assert!(ended.stdout.contains("-ECS_CLUSTER=old\n"), "{}", ended.stdout);
    assert!(ended.stdout.contains("+ECS_CLUSTER=new\n"), "{}", ended.stdout);
    assert!(
        ended.stdout.contains("+ECS_ENGINE_AUTH_DATA=[redacted, another value]"),
        "{}",
        ended.stdout
    );
    assert!(!format!("{}{}", ended.stdout, ended.stderr).contains("PLANTED"), "{}", ended.stdout);
    let ended = host.run(&["--dry-run", "--config", SOURCE, "--replace"]);
    ended.succeeds_as("dry_run");
    assert_eq!(ended.report["config"]["changed"], true);
}

#[test]
fn verify_proves_the_identity_and_writes_no_file() {
    let host = Host::default();
    let ended = host.call(&["verify", "--output", "json"]);
    assert_eq!(
        (ended.status, &ended.report["outcome"]),
        (0, &json!("verified")),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.report["host"]["instance_id"], "i-0ec5b007572a90001");
    assert!(host.machine.files().is_empty(), "{:?}", host.machine.files());
    let text = host.call(&["verify"]).stdout;
    assert!(text.contains("i-0ec5b007572a90001") && text.contains("ecsInstanceRole"), "{text}");
}

#[test]
fn bom_crlf_and_missing_newline_are_normalised_and_reported() {
    let host = Host::default().stores("\u{feff}ECS_CLUSTER=prod\r\nECS_CONTAINER_STOP_TIMEOUT=90s");
    let ended = host.boots("installed");
    assert_eq!(
        host.installed().as_deref(),
        Some("ECS_CLUSTER=prod\nECS_CONTAINER_STOP_TIMEOUT=90s\n")
    );
    assert!(
        ended.report["findings"].as_array().is_some_and(|findings| !findings.is_empty()),
        "{:#}",
        ended.report
    );
    host.boots("unchanged");
}

#[test]
fn credentials_in_the_environment_are_ignored_with_a_warning() {
    let host = Host::default();
    let env = [
        ("AWS_ACCESS_KEY_ID", "AKIAFOREIGN"),
        ("AWS_SECRET_ACCESS_KEY", "PLANTED-FOREIGN"),
        ("AWS_PROFILE", "admin"),
    ];
    let ended = host.run_with(&env, &["--config", SOURCE]);
    ended.succeeds_as("installed");
    assert!(
        ended.stderr.contains("warning: AWS_ACCESS_KEY_ID is set and ignored"),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.report["host"]["role"], "ecsInstanceRole");
    assert!(!ended.stderr.contains("PLANTED"), "{}", ended.stderr);
}

#[test]
fn journald_format_prefixes_every_line_with_its_priority() {
    let ended =
        Host::default().with_fault("s3-403").run(&["--config", SOURCE, "--log-format", "journald"]);
    assert!(ended.stderr.lines().all(|line| line.starts_with('<')), "{}", ended.stderr);
    assert!(
        ended.stderr.lines().any(|line| line.starts_with("<3>") && line.contains("access_denied")),
        "{}",
        ended.stderr
    );
}

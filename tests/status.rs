//! `status`: the last report; `status --check`: the installed file is the one that a run of this
//! boot installed or confirmed.

mod support;

use serde_json::json;
use support::{Ended, Host, REPORT, STATE, TARGET, VERIFIED};

fn check(host: &Host) -> Ended {
    host.call(&["status", "--check", "--output", "json"])
}

#[track_caller]
fn fails(host: &Host, why: &str) {
    check(host).fails_as("findings", 70, &[why, "ecs-bootstrap run"]);
}

#[test]
fn status_shows_the_last_report_as_text_and_json() {
    let host = Host::default();
    host.call(&["status", "--output", "json"]).fails_as(
        "findings",
        70,
        &["no run has left a report", "ecs-bootstrap run"],
    );
    host.boots("installed");
    let ended = host.call(&["status", "--output", "json"]);
    assert_eq!((ended.status, &ended.report), (0, &host.json(REPORT)));
    let text = host.call(&["status"]).stdout;
    assert!(
        text.starts_with("run: installed at ") && text.contains("role ecsInstanceRole"),
        "{text}"
    );
    host.machine.write(REPORT, "{ truncated");
    assert_eq!(host.call(&["status"]).status, 70);
}

#[test]
fn status_of_a_failed_run_shows_cause_and_remedy() {
    let host = Host::default().with_fault("s3-403");
    assert_eq!(host.boot().status, 20);
    let ended = host.call(&["status"]);
    assert_eq!(ended.status, 0, "the report is there");
    assert!(
        ended.stdout.contains("run: access_denied")
            && ended.stdout.contains("remedy: allow the role s3:GetObject: add the statement"),
        "{}",
        ended.stdout
    );
}

#[test]
fn check_passes_after_a_run_of_this_boot() {
    let host = Host::default();
    host.boots("installed");
    let ended = check(&host);
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    host.boots("unchanged");
    assert_eq!(check(&host).status, 0);
    let host = host.with_fault("s3-refused");
    host.run(&["--config", support::SOURCE, "--timeout", "3s"]).succeeds_as("kept");
    assert_eq!(check(&host).status, 0);
}

#[test]
fn check_fails_for_missing_foreign_edited_or_old_files() {
    let host = Host::default();
    fails(&host, "is not there");
    host.machine.write(TARGET, "ECS_CLUSTER=byhand\n");
    fails(&host, "no run has installed");
    let host = Host::default();
    host.boots("installed");
    let installed = host.installed().unwrap();
    host.machine.write(TARGET, "ECS_CLUSTER=byhand\n");
    fails(&host, "was changed after the last run");
    host.machine.write(TARGET, installed);
    assert_eq!(check(&host).status, 0);
    let mut verified = host.json(VERIFIED);
    verified["boot_id"] = json!("00000000-0000-0000-0000-000000000000");
    host.machine.write(VERIFIED, verified.to_string());
    fails(&host, "no run of this boot");
    std::fs::remove_file(host.machine.path(STATE)).unwrap();
    fails(&host, "no run has installed");
}

#[test]
fn check_fails_after_a_run_that_verified_nothing() {
    let host = Host::default();
    host.boots("installed");
    let mut verified = host.json(VERIFIED);
    verified["boot_id"] = json!("the boot before");
    host.machine.write(VERIFIED, verified.to_string());
    let host = host.with_fault("s3-403");
    assert_eq!(host.boot().status, 20);
    fails(&host, "no run of this boot");
}

//! `status`: the last report; `status --check`: the installed file is the one that a run of this
//! boot stood by.

mod support;

use serde_json::json;
use support::{Ended, Host, REPORT, STATE, TARGET};

fn check(host: &Host) -> Ended {
    host.says(&["status", "--check", "--output", "json"])
}

#[track_caller]
fn fails(host: &Host, why: &str) {
    check(host).fails_as("findings", 70, &[why, "ecs-bootstrap run"]);
}

#[test]
fn the_status_is_the_last_runs_report_in_words_and_as_json() {
    let host = Host::default();
    host.says(&["status", "--output", "json"]).fails_as(
        "findings",
        70,
        &["no run has left a report", "ecs-bootstrap run"],
    );
    host.boots("installed");
    let ended = host.says(&["status", "--output", "json"]);
    assert_eq!((ended.status, &ended.report), (0, &host.json(REPORT)));
    let words = host.says(&["status"]).stdout;
    assert!(
        words.starts_with("run: installed at ") && words.contains("role ecsInstanceRole"),
        "{words}"
    );
    host.machine.write(REPORT, "{ torn");
    assert_eq!(host.says(&["status"]).status, 70);
}

#[test]
fn the_status_of_a_failed_run_says_why_and_what_to_do() {
    let host = Host::default().with_fault("s3-403");
    assert_eq!(host.boot().status, 20);
    let ended = host.says(&["status"]);
    assert_eq!(ended.status, 0, "the report is there");
    assert!(
        ended.stdout.contains("run: access_denied")
            && ended.stdout.contains("remedy: Allow the role s3:GetObject: add the statement"),
        "{}",
        ended.stdout
    );
}

#[test]
fn a_check_passes_after_a_run_of_this_boot_also_one_that_kept_the_file() {
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
fn a_check_fails_where_the_file_is_missing_foreign_edited_or_of_another_boot() {
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
    let mut state = host.json(STATE);
    state["installed"]["boot_id"] = json!("00000000-0000-0000-0000-000000000000");
    host.machine.write(STATE, state.to_string());
    fails(&host, "no run of this boot");
    std::fs::remove_file(host.machine.path(STATE)).unwrap();
    fails(&host, "no run has installed");
}

#[test]
fn a_check_fails_after_a_run_that_failed_before_it_could_verify() {
    let host = Host::default();
    host.boots("installed");
    let mut state = host.json(STATE);
    state["installed"]["boot_id"] = json!("the boot before");
    host.machine.write(STATE, state.to_string());
    let host = host.with_fault("s3-403");
    assert_eq!(host.boot().status, 20);
    fails(&host, "no run of this boot");
}

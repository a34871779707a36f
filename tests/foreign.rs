//! A run vouches for the whole configuration: what other programs wrote is judged as well.

mod support;

use support::{Host, SOURCE, TARGET};

const VAR: &str = "/var/lib/ecs/ecs.config";
const JSON: &str = "/etc/ecs/ecs.config.json";
/// The agent ends within a tenth of a second, for ever.
const ATTRIBUTES: &str = "ECS_INSTANCE_ATTRIBUTES={\"a\":1}\n";

/// Each file with something in it that keeps the agent from starting, and what names the place.
const WRONG: [(&str, &str, &str); 3] = [
    (TARGET, ATTRIBUTES, "/etc/ecs/ecs.config, line 1: "),
    (VAR, ATTRIBUTES, "/var/lib/ecs/ecs.config, line 1: "),
    (JSON, "{\"Cluster\": 1}", "/etc/ecs/ecs.config.json: "),
];

#[test]
fn what_another_program_wrote_wrong_is_an_error() {
    for (path, text, place) in WRONG {
        let host = Host::default().with_file(path, text);
        host.boot().fails_as(
            "lint",
            30,
            &["another program wrote this", place, "tolerate_foreign"],
        );
        assert_eq!(host.installed().as_deref(), (path == TARGET).then_some(text), "{path}");
    }
}

#[test]
fn tolerated_foreign_errors_are_warnings_in_the_report() {
    for (path, text, _) in WRONG {
        let host = Host::default().with_file(path, text);
        let ended = host.run(&["--config", SOURCE, "--tolerate-foreign"]);
        ended.succeeds_as("installed");
        let finding = &ended.report["findings"][0];
        assert_eq!((&finding["severity"], &finding["source"]), (&"warning".into(), &path.into()));
        assert_eq!(host.call(&["status", "--check"]).status, 0, "{path}");
    }
}

#[test]
fn status_check_judges_the_files_beside_ours() {
    let host = Host::default();
    host.boots("installed");
    assert_eq!(host.call(&["status", "--check"]).status, 0);
    for (path, text, place) in &WRONG[1..] {
        host.machine.write(path, text);
        let ended = host.call(&["status", "--check"]);
        assert_eq!(ended.status, 70, "{path}");
        assert!(ended.stderr.contains(place), "{}", ended.stderr);
        std::fs::remove_file(host.machine.path(path)).unwrap();
    }
}

#[test]
fn kept_file_beside_a_wrong_one_is_not_kept() {
    let host = Host::default();
    host.boots("installed");
    let host = host.with_file(VAR, ATTRIBUTES).with_fault("s3-500");
    host.run(&["--config", SOURCE, "--timeout", "3s"]).fails_as("lint", 30, &[VAR]);
}

#[test]
fn what_our_file_overrides_in_the_instance_file_is_not_judged() {
    let host = Host::default().stores("ECS_CLUSTER=prod\nECS_INSTANCE_ATTRIBUTES={\"a\":\"b\"}\n");
    let host = host.with_file(VAR, ATTRIBUTES);
    host.boots("installed");
    assert_eq!(host.call(&["status", "--check"]).status, 0);
}

#[test]
fn folder_that_others_can_write_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;

    let host = Host::default().with_file(TARGET, "");
    let folder = host.machine.path("/etc/ecs");
    for (mode, warned) in [(0o755, false), (0o777, true), (0o775, true)] {
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(mode)).unwrap();
        let stderr = host.boot().stderr;
        assert_eq!(stderr.contains("others than root can write /etc/ecs"), warned, "{stderr}");
    }
}

#[test]
fn cluster_in_the_instance_file_is_one() {
    let host = Host::default().stores("ECS_LOGLEVEL=info\n");
    host.boot().fails_as("lint", 30, &["ECS_CLUSTER is not set"]);
    host.with_file(VAR, "ECS_CLUSTER=prod\n").boots("installed");
}

#[test]
fn limits_that_the_guard_of_host_tasks_needs_are_judged() {
    let host = Host::default().stores("ECS_CLUSTER=prod\nECS_ENABLE_TASK_CPU_MEM_LIMIT=false\n");
    host.boots("installed");
    let args = ["--config", SOURCE, "--dry-run", "--block-imds-host-tasks"];
    host.run(&args).fails_as("lint", 30, &["host-tasks-escape"]);
}

//! The source cannot be reached, and the last verified file is kept; or is not, where that would be
//! wrong.

mod support;

use serde_json::json;
use support::{Host, PREVIOUS, REPORT, SOURCE, TARGET, TEXT, VERIFIED};

const SHORT: [&str; 4] = ["--config", SOURCE, "--timeout", "2s"];

/// A host that booted once, and whose S3 is unreachable since.
fn host_without_s3() -> Host {
    let host = Host::default();
    host.boots("installed");
    host.with_fault("s3-refused")
}

fn run(host: &Host, more: &[&str]) -> support::Ended {
    host.run(&[&SHORT, more].concat())
}

/// Moves the last verification to the year 2020.
fn verified_long_ago(host: &Host) {
    let mut verified = host.json(VERIFIED);
    verified["verified_at"] = json!("2020-01-01T00:00:00Z");
    host.machine.write(VERIFIED, verified.to_string());
}

#[test]
fn unreachable_source_keeps_the_verified_file() {
    let host = host_without_s3();
    let ended = run(&host, &[]);
    ended.succeeds_as("kept");
    assert_eq!(host.installed().as_deref(), Some(TEXT));
    assert!(
        ended.stderr.contains("warning: the source cannot be reached; keeping /etc/ecs/ecs.config"),
        "{}",
        ended.stderr
    );
    assert!(ended.report["kept_age_s"].is_u64(), "{:#}", ended.report);
    let steps = ended.report["steps"].as_array().unwrap();
    assert!(
        steps.iter().any(|step| step["step"] == "fetch" && step["outcome"] == "failed"),
        "{:#}",
        ended.report
    );
    assert_eq!(ended.report, host.json(REPORT));
    assert_eq!(ended.report["config"]["changed"], false);
}

#[test]
fn unreachable_sts_keeps_the_verified_file() {
    let host = Host::default();
    host.boots("installed");
    host.cloud.fault("sts-503", rehearsal::Extent::Always);
    run(&host, &["--sts", "require"]).succeeds_as("kept");
    let ended = host.run(&["--config", SOURCE]);
    ended.succeeds_as("unchanged");
    assert_eq!(ended.report["host"]["confirmed_by"], "s3");
}

#[test]
fn stale_fail_fails() {
    run(&host_without_s3(), &["--stale", "fail"]).fails_as(
        "source_unreachable",
        22,
        &["Connection refused"],
    );
}

#[test]
fn changed_set_value_is_not_served_by_a_kept_file() {
    let host = Host::default();
    host.run(&[&SHORT[..], &["--set", "ECS_LOGLEVEL=info"]].concat()).succeeds_as("installed");
    let host = host.with_fault("s3-refused");
    run(&host, &["--set", "ECS_LOGLEVEL=debug", "--set", "ECS_LOGLEVEL=info"]).succeeds_as("kept");
    let ended = run(&host, &["--set", "ECS_LOGLEVEL=warn"]);
    ended.fails_as("source_unreachable", 22, &[]);
    assert!(ended.stderr.contains("before `--set`"), "{}", ended.stderr);
}

#[test]
fn refusal_keeps_nothing() {
    for (fault, word, status) in [
        ("s3-403", "access_denied", 20),
        ("s3-404-key", "not_found", 21),
        ("s3-bad-checksum", "integrity", 23),
    ] {
        let host = Host::default();
        host.boots("installed");
        host.stores("ECS_CLUSTER=blue\n").with_fault(fault).boot().fails_as(word, status, &[]);
    }
}

#[test]
fn refusal_is_reported_even_if_sts_is_unreachable() {
    let host = Host::default();
    host.boots("installed");
    host.cloud.fault("sts-503", rehearsal::Extent::Always);
    run(&host.with_fault("s3-403"), &[]).fails_as("access_denied", 20, &["s3:GetObject"]);
}

#[test]
fn unverified_file_is_not_kept() {
    run(&Host::default().with_fault("s3-refused"), &[]).fails_as("source_unreachable", 22, &[]);
    let host = Host::default().with_fault("s3-refused").with_file(TARGET, "ECS_CLUSTER=byhand\n");
    run(&host, &[]).fails_as("source_unreachable", 22, &[]);
    let host = host_without_s3();
    host.machine.write(TARGET, format!("{TEXT}ECS_LOGLEVEL=debug\n"));
    let ended = run(&host, &[]);
    ended.fails_as("source_unreachable", 22, &[]);
    assert!(
        ended.stderr.contains("is not a file that an earlier run verified"),
        "{}",
        ended.stderr
    );
}

#[test]
fn verification_older_than_max_age_is_not_kept() {
    let host = host_without_s3();
    run(&host, &["--max-age", "1h"]).succeeds_as("kept");
    verified_long_ago(&host);
    run(&host, &[]).succeeds_as("kept");
    run(&host, &["--max-age", "52w"]).fails_as("source_unreachable", 22, &[]);
}

#[test]
fn keeping_does_not_renew_the_verification() {
    let host = host_without_s3();
    verified_long_ago(&host);
    run(&host, &[]).succeeds_as("kept");
    assert_eq!(host.json(VERIFIED)["verified_at"], "2020-01-01T00:00:00Z");
    assert!(host.machine.read(PREVIOUS).is_none());
}

#[test]
fn file_verified_from_another_source_is_not_kept() {
    let host = host_without_s3();
    let ended = host.run(&["--config", "s3://other-bucket/ecs.config", "--timeout", "2s"]);
    ended.fails_as("source_unreachable", 22, &["s3://other-bucket/ecs.config"]);
    assert!(ended.stderr.contains("was verified from other sources"), "{}", ended.stderr);
    let ended = host.run(&[
        "--config",
        SOURCE,
        "--config",
        "s3://other-bucket/ecs.config",
        "--timeout",
        "2s",
    ]);
    ended.fails_as("source_unreachable", 22, &[]);
}

/// An image of a running host carries its file and state to another one, here in another account.
#[test]
fn file_of_another_host_is_not_kept() {
    let host = host_without_s3();
    let other = rehearsal::Host {
        instance_id: "i-0ffffffffffffffff".into(),
        account_id: "999999999999".into(),
        ..rehearsal::Host::default()
    };
    let cloud = rehearsal::Cloud::start(rehearsal::Options { host: other, ..Default::default() });
    cloud.usual_fault("s3-refused");
    let image = Host { cloud, machine: host.machine };
    let ended = run(&image, &[]);
    ended.fails_as("source_unreachable", 22, &[]);
    assert!(ended.stderr.contains("was verified on another host"), "{}", ended.stderr);
    let check = image.call(&["status", "--check"]);
    assert_eq!(check.status, 70, "in whichever boot the other host verified it: {}", check.stderr);
}

#[test]
fn expectations_are_compared_even_if_sts_is_unreachable() {
    let host = Host::default();
    host.boots("installed");
    host.cloud.fault("sts-503", rehearsal::Extent::Always);
    run(&host, &["--expect-role", "another"]).fails_as("identity_mismatch", 12, &["another"]);
    let ended = run(&host, &["--expect-role", "ecsInstanceRole"]);
    ended.fails_as("source_unreachable", 22, &[]);
    assert!(ended.stderr.contains("is not proven"), "{}", ended.stderr);
}

#[test]
fn proven_expectations_keep_the_file_while_s3_is_away() {
    run(&host_without_s3(), &["--expect-role", "ecsInstanceRole"]).succeeds_as("kept");
}

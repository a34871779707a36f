//! `role check` on the host itself, whose role may not read IAM: what the role's own credentials
//! can do is the evidence. Needs the feature `role-check`: tests/role/run.
#![cfg(feature = "role-check")]

#[path = "support/doctor_host.rs"]
mod doctor_host;

use std::process::Command;

use doctor_host::{DENIED, DoctorHost, POLL, TOKEN};
use serde_json::Value;

/// The name of IAM's requests here: they have no target.
const IAM: &str = "";
const NO_IAM: &str = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no iam:GetRole</Message></Error></ErrorResponse>";
const SOURCE: &str = "s3://fleet-config/ecs.config";

fn host() -> DoctorHost {
    let mut ward = DoctorHost::healthy();
    ward.ecs.answers(IAM, 403, NO_IAM);
    let address = ward.ecs.address.clone();
    ward.set("AWS_ENDPOINT_URL_IAM", address);
    ward.set("AWS_REGION", "eu-west-1");
    ward
}

/// The report, whose exit status is that of the process; and no secret is in it.
fn check(ward: &DoctorHost, args: &[&str]) -> Value {
    let mut command: Command =
        ward.machine.command_with(ward.env.iter().map(|(name, value)| (name, value)));
    let output = command
        .args(["role", "check", "--config", SOURCE, "--output", "json"])
        .args(args)
        .output()
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        ward.cloud.secrets().iter().all(|secret| !said.contains(secret))
            && !said.contains("PLANTED"),
        "{said}"
    );
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}"));
    assert_eq!(report["exit_status"], output.status.code().unwrap(), "{said}");
    report
}

fn only(report: &Value) -> &Value {
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1, "{report:#}");
    &findings[0]
}

fn unseen(report: &Value) -> String {
    report["not_seen"].to_string()
}

#[test]
fn a_role_that_may_do_all_is_found_right_and_what_was_not_seen_is_said() {
    let report = check(&host(), &[]);
    assert_eq!(
        (&report["exit_status"], report["findings"].as_array().unwrap().len()),
        (&0.into(), 0),
        "{report:#}"
    );
    assert!(
        unseen(&report).contains("iam:GetRole") && !unseen(&report).contains("whether it may"),
        "{report:#}"
    );
}

#[test]
fn what_ecs_refuses_is_an_error_with_the_command_that_attaches_the_policy() {
    let ward = host();
    ward.ecs.answers(POLL, 400, DENIED);
    let report = check(&ward, &[]);
    let finding = only(&report);
    assert_eq!(
        (&report["exit_status"], &finding["id"], &finding["severity"]),
        (&70.into(), &"ecs-policy-missing".into(), &"error".into())
    );
    let (message, fix) = (finding["message"].as_str().unwrap(), finding["fix"].as_str().unwrap());
    assert!(
        message.contains("ecs:DiscoverPollEndpoint")
            && message.contains("is not authorized")
            && !message.contains("ecr:"),
        "{message}"
    );
    assert!(
        fix.starts_with("aws iam attach-role-policy")
            && fix.contains("AmazonEC2ContainerServiceforEC2Role"),
        "{fix}"
    );
    ward.ecs.answers(TOKEN, 400, DENIED);
    let report = check(&ward, &["--custom", "--with-task-execution"]);
    let (message, fix) = (only(&report)["message"].to_string(), only(&report)["fix"].to_string());
    assert!(
        message.contains("ecs:DiscoverPollEndpoint")
            && message.contains("ecr:GetAuthorizationToken"),
        "{message}"
    );
    // The whole policy, for what it held before was not seen and is replaced.
    assert!(
        fix.contains("put-role-policy")
            && fix.contains("ecs:Poll")
            && fix.contains("ecr:GetAuthorizationToken"),
        "{fix}"
    );
}

#[test]
fn what_ecr_refuses_is_an_error_only_where_tasks_need_it_of_the_host() {
    let ward = host();
    ward.ecs.answers(TOKEN, 400, DENIED);
    for (args, status, severity) in
        [(&[][..], 0, "warning"), (&["--with-task-execution"], 70, "error")]
    {
        let report = check(&ward, args);
        assert_eq!(
            (&report["exit_status"], &only(&report)["severity"]),
            (&status.into(), &severity.into()),
            "{report:#}"
        );
        assert!(
            only(&report)["message"].as_str().unwrap().contains("ecr:GetAuthorizationToken"),
            "{report:#}"
        );
    }
    assert_eq!(check(&ward, &["--custom"])["findings"].as_array().unwrap().len(), 0);
}

#[test]
fn what_could_not_be_tried_is_not_vouched_for_and_is_no_finding() {
    let mut ward = host();
    ward.ecs.answers(TOKEN, 500, "{}");
    ward.set("AWS_ENDPOINT_URL_ECS", "http://127.0.0.1:1");
    let report = check(&ward, &[]);
    assert_eq!(report["findings"].as_array().unwrap().len(), 0, "{report:#}");
    let unseen = unseen(&report);
    assert!(
        unseen.contains("whether it may ecs:DiscoverPollEndpoint (no connection")
            && unseen
                .contains("whether it may ecr:GetAuthorizationToken (ECR says HTTP status 500"),
        "{unseen}"
    );
}

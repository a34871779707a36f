//! `role check` on the host itself, whose role may not read IAM: what the role's own credentials
//! can do is the evidence. Needs the feature `role-check`, which tests/role/run gives; a build
//! without it names the package that has it.

#[cfg(feature = "role-check")]
#[path = "support/doctor_host.rs"]
mod doctor_host;

#[cfg(not(feature = "role-check"))]
mod without_the_feature {
    use std::process::{Command, Output};

    fn ecs_bootstrap(args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_ecs-bootstrap")).args(args).output().unwrap()
    }

    #[test]
    fn help_and_completions_do_not_offer_role_check() {
        for args in [&["role", "--help"][..], &["role", "help"], &["completions", "fish"]] {
            let output = ecs_bootstrap(args);
            let text = String::from_utf8(output.stdout).unwrap();
            let offered = text.contains("Check a role") || text.contains("a \"check\"");
            assert!(output.status.success() && text.contains("print") && !offered, "{text}");
        }
    }

    #[test]
    fn role_check_names_the_package_that_has_it() {
        for args in [&["role", "check"][..], &["role", "check", "--role", "r"]] {
            let output = ecs_bootstrap(args);
            let text = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{text}");
            assert!(text.contains("administrators' package (ecs-bootstrap-admin)"), "{text}");
        }
    }

    #[test]
    fn unknown_role_command_is_refused_with_the_known_one() {
        let output = ecs_bootstrap(&["role", "prnt"]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains("`role prnt` is not a command"), "{text}");
        assert!(text.contains("ecs-bootstrap role print"), "{text}");
    }
}

#[cfg(feature = "role-check")]
mod on_the_host {
    use serde_json::Value;

    use super::doctor_host::{DENIED, DoctorHost, POLL, TOKEN, collect};

    /// The name of IAM's requests here: they have no target.
    const IAM: &str = "";
    const NO_IAM: &str = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>\
         <Message>no iam:GetRole</Message></Error></ErrorResponse>";
    const SOURCE: &str = "s3://fleet-config/ecs.config";

    fn host() -> DoctorHost {
        let mut host = DoctorHost::healthy();
        host.ecs.answers(IAM, 403, NO_IAM);
        let address = host.ecs.address.clone();
        host.set("AWS_ENDPOINT_URL_IAM", address);
        host.set("AWS_REGION", "eu-west-1");
        host
    }

    /// The report, whose exit status is that of the process; and no secret is in it.
    #[track_caller]
    fn check(host: &DoctorHost, args: &[&str]) -> Value {
        let variables = host.env.iter().map(|(name, value)| (name, value));
        let mut command = host.machine.command_with(variables);
        let role_check = ["role", "check", "--config", SOURCE, "--output", "json"];
        let output = command.args(role_check).args(args).output().unwrap();
        let [stdout, stderr] =
            [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it));
        let text = format!("{stdout}{stderr}");
        let has_secret = host.cloud.secrets().iter().any(|secret| text.contains(secret));
        assert!(!has_secret && !text.contains("PLANTED"), "{text}");
        collect::collect(&output.stdout);
        let report: Value = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{text}"));
        assert_eq!(report["exit_status"], output.status.code().unwrap(), "{text}");
        report
    }

    #[track_caller]
    fn assert_no_findings(report: &Value) {
        assert_eq!(report["findings"].as_array().unwrap().len(), 0, "{report:#}");
        assert_eq!(report["exit_status"], 0, "{report:#}");
    }

    #[track_caller]
    fn only_finding(report: &Value) -> &Value {
        let findings = report["findings"].as_array().unwrap();
        assert_eq!(findings.len(), 1, "{report:#}");
        &findings[0]
    }

    #[track_caller]
    fn assert_contains(text: &Value, parts: &[&str]) {
        let text = text.as_str().unwrap();
        assert!(parts.iter().all(|part| text.contains(part)), "{text} lacks one of {parts:?}");
    }

    #[test]
    fn sufficient_role_has_no_findings_and_unseen_parts_are_listed() {
        let report = check(&host(), &[]);
        assert_no_findings(&report);
        let unseen = report["not_seen"].to_string();
        assert!(unseen.contains("iam:GetRole") && !unseen.contains("whether it may"), "{unseen}");
    }

    #[test]
    fn ecs_refusal_is_an_error_fixed_by_attaching_the_policy() {
        let host = host();
        host.ecs.answers(POLL, 400, DENIED);
        let report = check(&host, &[]);
        let finding = only_finding(&report);
        assert_eq!(report["exit_status"], 70);
        assert_eq!(finding["id"], "ecs-policy-missing");
        assert_eq!(finding["severity"], "error");
        assert_contains(&finding["message"], &["ecs:DiscoverPollEndpoint", "is not authorized"]);
        assert!(!finding["message"].as_str().unwrap().contains("ecr:"), "{finding}");
        let attach = ["aws iam attach-role-policy", "AmazonEC2ContainerServiceforEC2Role"];
        assert_contains(&finding["fix"], &attach);
    }

    #[test]
    fn custom_role_is_fixed_by_writing_its_whole_policy() {
        let host = host();
        host.ecs.answers(POLL, 400, DENIED);
        host.ecs.answers(TOKEN, 400, DENIED);
        let report = check(&host, &["--custom", "--with-task-execution"]);
        let finding = only_finding(&report);
        let refused = ["ecs:DiscoverPollEndpoint", "ecr:GetAuthorizationToken"];
        assert_contains(&finding["message"], &refused);
        // The whole policy, for what it held before was not seen and is replaced.
        let whole = ["put-role-policy", "ecs:Poll", "ecr:GetAuthorizationToken"];
        assert_contains(&finding["fix"], &whole);
    }

    #[test]
    fn ecr_refusal_is_an_error_only_with_task_execution() {
        let host = host();
        host.ecs.answers(TOKEN, 400, DENIED);
        for (args, status, severity) in
            [(&[][..], 0, "warning"), (&["--with-task-execution"], 70, "error")]
        {
            let report = check(&host, args);
            assert_eq!(report["exit_status"], status, "{report:#}");
            let finding = only_finding(&report);
            assert_eq!(finding["severity"], severity, "{report:#}");
            assert_contains(&finding["message"], &["ecr:GetAuthorizationToken"]);
        }
        assert_no_findings(&check(&host, &["--custom"]));
    }

    #[test]
    fn refused_parameters_are_named_once_as_secrets() {
        let mut host = host();
        host.ecs.answers("AmazonSSM.GetParameter", 400, DENIED);
        let address = host.ecs.address.clone();
        host.set("AWS_ENDPOINT_URL_SSM", address);
        host.set("ECS_BOOTSTRAP_EXPAND", "true");
        host.set("ECS_BOOTSTRAP_SET", "A=${ssm:/set}");
        let report = check(&host, &["--config", "ssm:///layer"]);
        let findings = report["findings"].as_array().unwrap();
        let found: Vec<_> =
            findings.iter().map(|one| (one["id"].as_str(), one["source"].as_str())).collect();
        let refused = |source| (Some("secret-not-readable"), Some(source));
        assert_eq!(found, [refused("ssm:///layer"), refused("ssm:///set")], "{report:#}");
        for finding in findings {
            assert_contains(&finding["fix"], &["put-role-policy", "ssm:GetParameter"]);
        }
    }

    #[test]
    fn actions_that_could_not_be_tried_are_listed_as_unseen() {
        let mut host = host();
        host.ecs.answers(TOKEN, 500, "{}");
        host.set("AWS_ENDPOINT_URL_ECS", "http://127.0.0.1:1");
        let report = check(&host, &[]);
        assert_no_findings(&report);
        let unseen = report["not_seen"].to_string();
        for part in [
            "whether it may ecs:DiscoverPollEndpoint (no connection",
            "whether it may ecr:GetAuthorizationToken (ECR answered with HTTP status 500",
        ] {
            assert!(unseen.contains(part), "{unseen}");
        }
    }
}

//! How a boot handles metadata that comes late, changes or stops answering. How it fails is in
//! `exit_statuses.rs`.

mod support;

use rehearsal::{Extent, Options, Service};
use support::{Host, SOURCE, for_each};

fn imds_requests(host: &Host, path: &str) -> usize {
    host.cloud
        .requests()
        .iter()
        .filter(|seen| seen.service == Service::Imds && seen.path.ends_with(path))
        .count()
}

/// What an instance sees that is launched together with its role.
#[test]
fn late_tokens_and_a_late_role_are_waited_for() {
    let host = Host::default();
    host.cloud.fault("token-503", 4);
    host.cloud.fault("role-404", 4);
    let ended = host.run(&["--config", SOURCE, "--timeout", "2m"]);
    ended.succeeds_as("installed");
    assert!(ended.stderr.contains("identity: waiting"), "{}", ended.stderr);
    let steps = ended.report["steps"].as_array().unwrap();
    let identity = steps.iter().find(|step| step["step"] == "identity").unwrap();
    assert!(identity["attempts"].as_u64().unwrap() > 8, "{identity:#}");
}

#[test]
fn transient_faults_are_retried() {
    let faults = [
        "late-imds",
        "slow-imds",
        "token-revoked",
        "role-renamed",
        "sts-503",
        "s3-throttle",
        "s3-wrong-region-400",
    ];
    for_each(&faults, ToString::to_string, |fault| {
        drop(Host::default().with_fault(fault).boots("installed"))
    });
}

#[test]
fn revoked_token_costs_one_new_token() {
    let host = Host::default().with_fault("token-revoked");
    host.boots("installed");
    assert_eq!(imds_requests(&host, "/api/token"), 2, "{:#?}", host.cloud.requests());
}

#[test]
fn final_answers_are_not_retried() {
    for fault in ["imds-off", "token-400", "imds-proxy-html"] {
        let host = Host::default().with_fault(fault);
        assert_eq!(host.boot().status, 10);
        assert_eq!(host.cloud.requests().len(), 1, "{fault}");
    }
}

#[test]
fn imds_version_1_is_never_used() {
    for fault in ["token-400", "token-503", "hop-limit", "imds-off"] {
        let host = Host::default();
        host.cloud.fault(fault, Extent::Always);
        assert_eq!(host.run(&["--config", SOURCE, "--timeout", "3s"]).status, 10);
        // A GET without a token shows that the network is open, and asks for no data: version 2
        // answers 401.
        let is_version_1 = |seen: &&rehearsal::Seen| {
            seen.method == "GET" && !seen.had_token && seen.path != "/latest/meta-data/"
        };
        assert_eq!(host.cloud.requests().iter().filter(is_version_1).count(), 0, "{fault}");
    }
}

/// The last request before the deadline may hang: its silence must not hide the answers before it.
#[test]
fn missing_role_is_reported_even_if_the_last_request_hangs() {
    let role = "/iam/security-credentials/";
    // So many requests for the role or its credentials are answered, two rounds in both cases.
    for (fault, answered, says) in
        [("no-role", 2, "did not arrive in time"), ("role-code-failed", 4, "could not assume")]
    {
        let host = Host::default().with_fault(fault);
        host.cloud.fault("role-hang", Extent::After(answered));
        // One attempt that lasts until the deadline, not several.
        let env = [("AWS_METADATA_SERVICE_TIMEOUT", "60")];
        let args = ["--config", SOURCE, "--stale", "fail", "--timeout", "4s"];
        host.run_with(&env, &args).fails_as("no_role", 11, &[says]);
        assert!(imds_requests(&host, role) > 2, "{:#?}", host.cloud.requests());
    }
}

#[test]
fn metadata_on_ipv6_is_supported() {
    let host = Host::of(Options { imds_v6: true, ..Options::default() });
    host.boots("installed");
    assert!(host.cloud.url(Service::Imds).contains("[::1]"));
}

#[test]
fn other_partitions_are_supported() {
    for (partition, region, domain) in [
        ("aws-cn", "cn-north-1", "amazonaws.com.cn"),
        ("aws-us-gov", "us-gov-west-1", "amazonaws.com"),
    ] {
        let host = Host::default();
        host.cloud.set_host(|host| {
            (host.partition, host.region, host.domain) =
                (partition.into(), region.into(), domain.into());
        });
        host.cloud.set_bucket("fleet-config", |bucket| bucket.region = region.into());
        let ended = host.boots("installed");
        assert_eq!(
            ended.report["host"]["arn"],
            format!(
                "arn:{partition}:sts::123456789012:assumed-role/ecsInstanceRole/i-0ec5b007572a90001"
            )
        );
    }
}

#[test]
fn expected_role_and_account_pass() {
    let host = Host::default();
    host.run(&[
        "--config",
        SOURCE,
        "--expect-role",
        "ecsInstanceRole",
        "--expect-account",
        "123456789012",
    ])
    .succeeds_as("installed");
}

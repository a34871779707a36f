//! Who the host is: what a boot makes of metadata that comes late, changes or breaks off. How it
//! fails is in `exit_statuses.rs`.

mod support;

use std::time::Duration;

use rehearsal::{Options, Service};
use support::{Host, SOURCE, for_each};

fn imds_requests(host: &Host, path: &str) -> usize {
    host.cloud
        .requests()
        .iter()
        .filter(|seen| seen.service == Service::Imds && seen.path.ends_with(path))
        .count()
}

/// In real time: what an instance does that is launched together with its role.
#[test]
fn tokens_that_are_503_for_5_s_and_then_a_role_that_is_404_for_5_s_are_waited_for() {
    let host = Host::default();
    host.cloud.fault("token-503", Duration::from_secs(5));
    host.cloud.fault("role-404", Duration::from_secs(5));
    let ended = host.run(&["--config", SOURCE, "--timeout", "60s"]);
    ended.succeeds_as("installed");
    assert!(
        ended.took >= Duration::from_secs(10),
        "{:?}: nothing had to be waited for",
        ended.took
    );
    assert!(ended.stderr.contains("identity: waiting"), "{}", ended.stderr);
    let identity = ended.report["steps"]
        .as_array()
        .unwrap()
        .iter()
        .find(|step| step["step"] == "identity")
        .unwrap();
    assert!(identity["attempts"].as_u64().unwrap() > 5, "{identity:#}");
}

#[test]
fn what_passes_with_time_is_waited_for() {
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
fn a_revoked_token_costs_one_new_token() {
    let host = Host::default().with_fault("token-revoked");
    host.boots("installed");
    assert_eq!(imds_requests(&host, "/api/token"), 2, "{:#?}", host.cloud.requests());
}

#[test]
fn what_is_final_is_not_asked_again() {
    for fault in ["imds-off", "token-400", "imds-proxy-html"] {
        let host = Host::default().with_fault(fault);
        assert_eq!(host.boot().status, 10);
        assert_eq!(host.cloud.requests().len(), 1, "{fault}");
    }
}

#[test]
fn version_1_is_never_used() {
    for fault in ["token-400", "token-503", "hop-limit", "imds-off"] {
        let host = Host::default();
        host.cloud.fault(fault, rehearsal::Extent::Always);
        assert_eq!(host.run(&["--config", SOURCE, "--timeout", "3s"]).status, 10);
        // A GET without a token proves that the way is open, and asks for nothing: its answer is
        // 401 on version 2.
        let told = |seen: &&rehearsal::Seen| {
            seen.method == "GET" && !seen.had_token && seen.path != "/latest/meta-data/"
        };
        assert_eq!(host.cloud.requests().iter().filter(told).count(), 0, "{fault}");
    }
}

/// Who asks for as long as time is left asks once when none is: that question's silence hides no
/// answer that came before.
#[test]
fn a_role_that_is_missing_until_the_deadline_is_named_even_if_the_last_question_is_cut_off() {
    for (fault, says) in
        [("no-role", "did not arrive in time"), ("role-code-failed", "could not assume")]
    {
        // A busy machine may leave no time for the third question, and so no silence to look at.
        let ended = (0..10)
            .find_map(|_| cut_off_at_the_third_question(fault))
            .expect("in ten boots one has time for a third question");
        ended.fails_as("no_role", 11, &[says]);
    }
}

fn cut_off_at_the_third_question(fault: &str) -> Option<support::Ended> {
    let host = Host::default();
    host.cloud.usual_fault(fault);
    let roles = || imds_requests(&host, "/iam/security-credentials/");
    let ended = std::thread::scope(|scope| {
        let run =
            scope.spawn(|| host.run(&["--config", SOURCE, "--stale", "fail", "--timeout", "1s"]));
        let began = std::time::Instant::now();
        while roles() < 2 && began.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(1));
        }
        // What is asked after the second question is answered too late.
        std::thread::sleep(Duration::from_millis(20));
        host.cloud.fault("slow-imds", rehearsal::Extent::By(Duration::from_secs(5)));
        run.join().unwrap()
    });
    (roles() > 2).then_some(ended)
}

#[test]
fn metadata_on_ipv6_is_as_good() {
    let host = Host::of(Options { imds_v6: true, ..Options::default() });
    host.boots("installed");
    assert!(host.cloud.url(Service::Imds).contains("[::1]"));
}

#[test]
fn other_partitions_are_proven_like_the_first() {
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
fn expectations_that_are_met_say_nothing() {
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

//! A host whose S3 answers and whose STS does not: with `sts = auto` S3's acceptance of the same
//! credentials is enough, and in time; where a role or an account is expected it is not.

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use rehearsal::{Extent, Service};
use serde_json::{Value, json};
use support::{Ended, Host, SOURCE, TEXT, for_each, machine};

/// Status and code of AWS's answers that ask for less traffic.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html>
const THROTTLED: [(u16, &str); 10] = [
    (400, "Throttling"),
    (400, "ThrottlingException"),
    (400, "ThrottledException"),
    (400, "RequestThrottled"),
    (400, "RequestThrottledException"),
    (400, "TooManyRequestsException"),
    (503, "RequestLimitExceeded"),
    (503, "SlowDown"),
    (509, "BandwidthLimitExceeded"),
    (429, "anything"),
];

/// What a proxy, a portal or a broken load balancer answers in the place of STS.
const NOT_STS: [(u16, &str); 7] = [
    (200, "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:sts::1234"),
    (200, "<html><body>Sign in to the network</body></html>"),
    (200, "{}"),
    (200, ""),
    (301, ""),
    (403, "<html><body>Blocked by policy</body></html>"),
    (502, "Bad gateway"),
];

/// A server that gives every request this answer, as STS would.
fn throttling_sts((status, code): (u16, &'static str)) -> String {
    let body = format!(
        "<ErrorResponse><Error><Code>{code}</Code><Message>Rate exceeded</Message></Error></ErrorResponse>"
    );
    server(status, &body)
}

/// A server that gives every request this answer.
fn server(status: u16, body: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 8192];
            let _length = stream.read(&mut request).unwrap_or(0);
            // The program may have gone.
            let _sent = stream.write_all(answer.as_bytes());
        }
    });
    url
}

/// What a boot without STS must look like.
#[track_caller]
fn is_confirmed_by_s3(host: &Host, ended: &Ended, began: Instant) {
    is_confirmed_by_s3_although(host, ended, began, "asking STS who we are");
}

#[track_caller]
fn is_confirmed_by_s3_although(host: &Host, ended: &Ended, began: Instant, why: &str) {
    // Two seconds and a bit on an idle machine; nothing else would end it before its deadline.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}: {}", began.elapsed(), ended.stderr);
    ended.succeeds_as("installed");
    assert_eq!(host.installed().as_deref(), Some(TEXT));
    assert_eq!(ended.report["host"]["confirmed_by"], "s3");
    assert_eq!(ended.report["host"]["arn"], Value::Null);
    assert_eq!(ended.report["host"]["role"], "ecsInstanceRole");
    assert!(ended.stderr.contains(&format!("warning: identity: {why}")), "{}", ended.stderr);
    assert!(ended.stderr.contains("S3 accepted the same credentials"), "{}", ended.stderr);
}

#[test]
fn absent_sts_is_not_needed_where_s3_accepts() {
    for fault in ["sts-refused", "sts-blackhole"] {
        let host = Host::default().with_fault(fault);
        let began = Instant::now();
        is_confirmed_by_s3(&host, &host.boot(), began);
    }
    let host = Host::default();
    host.cloud.fault("sts-503", Extent::Always);
    let began = Instant::now();
    is_confirmed_by_s3(&host, &host.boot(), began);
}

/// RFC 6761: no resolver knows a name below `invalid`.
#[test]
fn sts_without_a_name_in_dns_is_not_needed() {
    let host = Host::default();
    let began = Instant::now();
    let env = [("AWS_ENDPOINT_URL_STS", "http://sts.invalid")];
    is_confirmed_by_s3(&host, &host.run_with(&env, &["--config", SOURCE]), began);
}

#[test]
fn throttling_sts_is_not_needed_whatever_its_code() {
    for_each(
        &THROTTLED,
        |(_, code)| (*code).into(),
        |answer| {
            let (host, url) = (Host::default(), throttling_sts(*answer));
            let began = Instant::now();
            let env = [("AWS_ENDPOINT_URL_STS", &*url)];
            let ended = host.run_with(&env, &["--config", SOURCE]);
            is_confirmed_by_s3(&host, &ended, began);
            assert!(ended.stderr.contains(&format!("less traffic ({})", answer.0)), "{answer:?}");
        },
    );
}

#[test]
fn what_answers_in_the_place_of_sts_is_not_needed() {
    for_each(
        &NOT_STS,
        |(status, body)| format!("{status} {body}"),
        |(status, body)| {
            let (host, url) = (Host::default(), server(*status, body));
            let env = [("AWS_ENDPOINT_URL_STS", &*url)];
            let ended = host.run_with(&env, &["--config", SOURCE]);
            is_confirmed_by_s3_although(
                &host,
                &ended,
                Instant::now(),
                match status {
                    502 => "asking STS who we are: the server fails (502)",
                    _ => "what STS answered is not an identity",
                },
            );
        },
    );
}

#[test]
fn expectations_and_require_need_sts() {
    let table: [&[&str]; 3] = [
        &["--expect-role", "ecsInstanceRole"],
        &["--expect-account", "123456789012"],
        &["--sts", "require"],
    ];
    for_each(
        &table,
        |args| args.concat(),
        |args| {
            let host = Host::default().with_fault("sts-refused");
            let ended = host.run(&[&["--config", SOURCE, "--timeout", "4s"], *args].concat());
            ended.fails_as(
                "source_unreachable",
                22,
                &["asking STS who we are", "Connection refused"],
            );
            assert_eq!(host.installed(), None);
        },
    );
}

#[test]
fn file_that_needs_no_credentials_is_no_proof() {
    let host = Host::default().with_fault("sts-refused");
    let file = host.machine.path("/layer");
    std::fs::write(&file, TEXT).unwrap();
    let file = file.to_str().unwrap();
    let ended = host.run(&["--config", file, "--timeout", "4s"]);
    ended.fails_as("source_unreachable", 22, &["asking STS"]);
    let ended = host.run(&["--config", file, "--sts", "skip"]);
    ended.succeeds_as("installed");
    assert_eq!(ended.report["host"]["confirmed_by"], Value::Null);
}

#[test]
fn skipped_sts_gets_no_request() {
    let host = Host::default();
    let ended = host.run(&["--config", SOURCE, "--sts", "skip"]);
    ended.succeeds_as("installed");
    assert_eq!(ended.report["host"]["confirmed_by"], "s3");
    assert!(host.cloud.requests().iter().all(|seen| seen.service != Service::Sts));
    let ended = host.run(&["--config", SOURCE, "--sts", "skip", "--expect-role", "web"]);
    ended.fails_as("settings", 2, &["sts", "expect_role"]);
}

#[test]
fn reachable_sts_has_the_last_word() {
    assert_eq!(Host::default().boots("installed").report["host"]["confirmed_by"], "sts");
    for (fault, says) in [("sts-denied", "does not accept"), ("sts-wrong-account", "999999999999")]
    {
        let host = Host::default().with_fault(fault);
        host.boot().fails_as("identity_mismatch", 12, &[says]);
        assert_eq!(host.installed(), None);
    }
}

#[test]
fn verify_asks_sts_whatever_is_set() {
    let host = Host { machine: machine(), ..Host::default() };
    host.machine.write("/etc/ecs-bootstrap/ecs-bootstrap.toml", "sts = \"skip\"\n");
    let ended = host.call(&["verify", "--output", "json"]);
    ended.succeeds_as("verified");
    assert_eq!(ended.report["host"]["confirmed_by"], json!("sts"));
}

//! Every exit status, each produced by a real cause; and what the error contains.
//!
//! Which fault of the cloud ends how is also in the rehearsal's own table; here are the messages,
//! the remedies, and the causes that are not faults of the cloud: settings and the host's own
//! files. 40 and 60 have files of their own.

mod support;

use rehearsal::{Extent, Service};
use support::{Ended, Host, SOURCE, TARGET, TEXT, for_each};

/// A cause, how to make it, and what the error must contain.
struct Case {
    cause: &'static str,
    make: Box<dyn Fn() -> Host + Sync>,
    env: &'static [(&'static str, &'static str)],
    args: &'static [&'static str],
    contains: &'static [&'static str],
}

const USUAL: &[&str] = &["--config", SOURCE];
const SHORT: &[&str] = &["--config", SOURCE, "--timeout", "3s"];
const NEEDS_STS: &[&str] = &["--config", SOURCE, "--timeout", "3s", "--sts", "require"];
const EXPAND: &[&str] = &["--config", SOURCE, "--expand"];

type Texts = &'static [&'static str];

/// A fault of the cloud, for as long as its table says.
fn fault(name: &'static str, args: Texts, contains: Texts) -> Case {
    let make = Box::new(move || Host::default().with_fault(name));
    Case { cause: name, make, env: &[], args, contains }
}

/// A fault of the cloud that does not end.
fn lasting(name: &'static str, args: Texts, contains: Texts) -> Case {
    let make = move || {
        let host = Host::default();
        host.cloud.fault(name, Extent::Always);
        host
    };
    Case { cause: name, make: Box::new(make), env: &[], args, contains }
}

/// An object in the bucket.
fn object(cause: &'static str, bytes: &'static [u8], args: Texts, contains: Texts) -> Case {
    let make = Box::new(move || Host::default().stores(bytes));
    Case { cause, make, env: &[], args, contains }
}

fn host(cause: &'static str, make: fn() -> Host, args: Texts, contains: Texts) -> Case {
    Case { cause, make: Box::new(make), env: &[], args, contains }
}

fn args(cause: &'static str, args: Texts, contains: Texts) -> Case {
    host(cause, Host::default, args, contains)
}

fn env(
    cause: &'static str,
    env: &'static [(&'static str, &'static str)],
    args: Texts,
    contains: Texts,
) -> Case {
    Case { env, ..host(cause, Host::default, args, contains) }
}

fn check(word: &str, status: i32, cases: &[Case]) {
    for_each(
        cases,
        |case| case.cause.into(),
        |case| {
            let host = (case.make)();
            let ended = host.run_with(case.env, case.args);
            println!("{}: {}", case.cause, ended.stderr);
            ended.fails_as(word, status, case.contains);
            nothing_was_installed(&host, &ended);
        },
    );
}

fn nothing_was_installed(host: &Host, ended: &Ended) {
    let before = host.machine.read("/before");
    assert_eq!(host.machine.read(TARGET), before, "{}", ended.stderr);
    let names = host.names("/etc/ecs");
    assert!(names.iter().all(|name| !name.starts_with('.')), "a temporary file is left: {names:?}");
}

#[test]
#[rustfmt::skip]
fn settings_is_2() {
    check("settings", 2, &[
        args("no source", &[], &["--config s3://BUCKET/KEY", "ECS_BOOTSTRAP_CONFIG"]),
        args("unknown scheme", &["--config", "ftp://a/b"], &["flag"]),
        args("invalid bucket name", &["--config", "s3://UPPER_CASE!/k"], &["config"]),
        args("stray %", &["--config", "s3://fleet-config/100%"], &["%25"]),
        args("short digest", &["--config", "s3://fleet-config/k#sha256=abc"], &["sha256"]),
        args("--set without =", &["--set", "ECS_CLUSTER"], &["KEY=VALUE"]),
        args("duration without unit", &["--config", SOURCE, "--timeout", "90"], &["90s", "timeout"]),
        args("account of 3 digits", &["--config", SOURCE, "--expect-account", "123"], &["12 digits"]),
        args("STS skipped, and an expectation", &["--config", SOURCE, "--sts", "skip", "--expect-role", "x"], &["expect_role", "sts"]),
        args("invalid stale", &["--config", SOURCE, "--stale", "maybe"], &["fail, keep"]),
        args("--from-tags without tags", &["--config", SOURCE, "--from-tags"], &["instance-metadata-tags"]),
        env("empty role", &[("ECS_BOOTSTRAP_EXPECT_ROLE", "")], USUAL, &["the name of a role"]),
        env("invalid host", &[("ECS_BOOTSTRAP_HOST", "azure")], USUAL, &["environment ECS_BOOTSTRAP_HOST", "auto, ec2, external"]),
        env("misspelled variable", &[("ECS_BOOTSTRAP_EXPECT_ROL", "x")], USUAL, &["ECS_BOOTSTRAP_EXPECT_ROLE"]),
        env("invalid region", &[("AWS_REGION", "US West")], USUAL, &["AWS_REGION"]),
        env("invalid metadata mode", &[("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "v5")], USUAL, &["IPv4 or IPv6"]),
        env("invalid proxy", &[("HTTPS_PROXY", "socks5://proxy.test")], USUAL, &["HTTPS_PROXY"]),
        env("missing CA file", &[("AWS_CA_BUNDLE", "/no/such/ca.pem")], USUAL, &["AWS_CA_BUNDLE", "/no/such/ca.pem"]),
        env("missing settings file", &[("ECS_BOOTSTRAP_SETTINGS", "/no/such/file.toml")], USUAL, &["/no/such/file.toml"]),
    ]);
}

#[test]
#[rustfmt::skip]
fn metadata_unreachable_is_10() {
    check("metadata_unreachable", 10, &[
        fault("imds-refused", SHORT, &["Connection refused", "127.0.0.1"]),
        fault("imds-blackhole", SHORT, &["did not answer in time"]),
        fault("imds-off", USUAL, &["403", "--http-endpoint enabled"]),
        fault("imds-proxy-html", USUAL, &["HTML"]),
        fault("hop-limit", USUAL, &["hop limit", "--http-put-response-hop-limit"]),
        fault("token-400", USUAL, &["400"]),
        fault("truncated-json", SHORT, &["cut short"]),
        lasting("token-503", SHORT, &["503", "attempts"]),
        env("IMDS disabled by variable", &[("AWS_EC2_METADATA_DISABLED", "TRUE")], USUAL, &["AWS_EC2_METADATA_DISABLED"]),
        Case {
            env: &[("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "2")],
            ..fault("imds-refused", USUAL, &["after 2 attempts"])
        },
    ]);
}

#[test]
#[rustfmt::skip]
fn no_role_is_11() {
    check("no_role", 11, &[
        host("no instance profile", no_profile, SHORT, &["no IAM role is attached", "associate-iam-instance-profile"]),
        fault("no-role", SHORT, &["did not arrive in time"]),
        fault("no-role-empty", SHORT, &["did not arrive in time"]),
        lasting("role-404", SHORT, &["did not arrive in time"]),
        fault("role-code-failed", SHORT, &["AssumeRoleUnauthorizedAccess", "trust policy"]),
        fault("role-expired", SHORT, &["expired 1h", "clock"]),
    ]);
}

fn no_profile() -> Host {
    let host = Host::default();
    host.cloud.set_host(|host| host.role = None);
    host
}

#[test]
#[rustfmt::skip]
fn identity_mismatch_is_12() {
    check("identity_mismatch", 12, &[
        fault("sts-wrong-account", USUAL, &["999999999999", "123456789012"]),
        fault("sts-wrong-instance", USUAL, &["i-0ec5b007572a90001"]),
        fault("sts-denied", USUAL, &["AccessDenied"]),
        args("another role is expected", &["--config", SOURCE, "--expect-role", "web"], &["ecsInstanceRole", "expected web (--expect-role)"]),
        args("another account is expected", &["--config", SOURCE, "--expect-account", "210987654321"], &["210987654321"]),
    ]);
}

/// As S3 names it.
const KMS_KEY: &str = "arn:aws:kms:eu-west-1:123456789012:key/0ec5b007-572a-4000-8000-0000000000ff";

#[test]
#[rustfmt::skip]
fn access_denied_is_20() {
    check("access_denied", 20, &[
        fault("s3-403", USUAL, &["s3:GetObject", "arn:aws:s3:::fleet-config/ecs.config", "s3:ListBucket"]),
        args("missing key without s3:ListBucket", &["--config", "s3://fleet-config/missing"], &["the key may not exist"]),
        fault("s3-kms-denied", USUAL, &["kms:Decrypt", KMS_KEY]),
        fault("s3-kms-disabled", USUAL, &["KMS", "enable"]),
    ]);
}

#[test]
#[rustfmt::skip]
fn not_found_is_21() {
    check("not_found", 21, &[
        fault("s3-404-key", USUAL, &["no such key", "spelling"]),
        fault("s3-404-bucket", USUAL, &["no such bucket"]),
        fault("s3-404-version", USUAL, &["no such version"]),
        args("missing bucket", &["--config", "s3://no-such-bucket/k"], &["no such bucket", "s3://no-such-bucket/k"]),
        args("missing file", &["--config", "file:///no/such/file"], &["no such file"]),
    ]);
}

#[test]
#[rustfmt::skip]
fn source_unreachable_is_22() {
    check("source_unreachable", 22, &[
        fault("s3-refused", SHORT, &["Connection refused"]),
        fault("s3-hang", SHORT, &["deadline"]),
        fault("s3-throttle-forever", SHORT, &["503", "attempts"]),
        fault("s3-500", SHORT, &["500"]),
        fault("s3-cut-body", SHORT, &["cut off"]),
        fault("s3-redirect-loop", SHORT, &["another region"]),
        lasting("sts-503", NEEDS_STS, &["STS", "503"]),
        env("STS refuses connections", &[("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1")], NEEDS_STS, &["refused", "REGION.sts"]),
    ]);
}

#[test]
#[rustfmt::skip]
fn integrity_is_23() {
    const DIGEST: &str = "s3://fleet-config/ecs.config#sha256=0000000000000000000000000000000000000000000000000000000000000000";
    check("integrity", 23, &[
        fault("s3-bad-checksum", USUAL, &["checksum"]),
        fault("s3-oversize", USUAL, &["1 MiB"]),
        fault("s3-oversize-unsaid", USUAL, &["1 MiB"]),
        fault("s3-oversize-lie", USUAL, &["1 MiB"]),
        fault("s3-html", USUAL, &["HTML"]),
        fault("s3-utf16", USUAL, &["UTF-16", "save it as UTF-8"]),
        args("another digest is expected", &["--config", DIGEST], &["SHA-256"]),
        args("another owner is expected", &["--config", "s3://fleet-config/ecs.config?owner=210987654321"], &["another account than 210987654321"]),
        object("a stored error of S3", b"<?xml version=\"1.0\"?><Error/>", USUAL, &["XML"]),
        object("a NUL byte", b"ECS_CLUSTER=a\0b\n", USUAL, &["NUL"]),
    ]);
}

#[test]
#[rustfmt::skip]
fn lint_is_30() {
    check("lint", 30, &[
        object("a line without =", b"ECS_CLUSTER=prod\nnonsense\n", USUAL, &["line 2"]),
        object("no cluster", b"ECS_LOGLEVEL=info\n", USUAL, &["the first: ECS_CLUSTER is not set"]),
        object("an empty object", b"", USUAL, &["ECS_CLUSTER"]),
        object("quotes that ecs-init keeps", b"ECS_CLUSTER=prod\nECS_AVAILABLE_LOGGING_DRIVERS='[\"awslogs\"]'\n", USUAL, &["line 2"]),
        object("invalid UTF-8", b"ECS_CLUSTER=pr\xffod\n", USUAL, &[]),
        object("unknown placeholder", b"ECS_CLUSTER=${regoin}\n", EXPAND, &["${region}"]),
        object("missing tag", b"ECS_CLUSTER=${tag:Fleet}\n", EXPAND, &["tag:Fleet"]),
        args("--set that no reader accepts", &["--set", "ECS_CLUSTER='prod'"], &["--set"]),
    ]);
}

#[test]
#[rustfmt::skip]
fn conflict_is_31() {
    check("conflict", 31, &[
        host("the generated cluster of AWS Batch", batch_wrote_a_cluster, USUAL, &["ECS_CLUSTER"]),
        host("the agent has joined another cluster", agent_has_joined_prod, USUAL, &["agent.db"]),
    ]);
}

/// As Batch's user data writes it: https://docs.aws.amazon.com/batch/latest/userguide/launch-templates.html
fn batch_wrote_a_cluster() -> Host {
    let batch = "ECS_CLUSTER=fleet_Batch_0ec5b007-572a-3b5e-9d5c-0123456789ab\nECS_INSTANCE_ATTRIBUTES={\"purchaseLifecycle\":\"on-demand\"}\n";
    Host::default().with_file(TARGET, batch).with_file("/before", batch)
}

fn agent_has_joined_prod() -> Host {
    let host = Host::default();
    host.boots("installed");
    host.stores("ECS_CLUSTER=blue\n")
        .with_file("/var/lib/ecs/data/agent.db", "bolt")
        .with_file("/before", TEXT)
}

#[test]
fn failure_as_text_ends_with_three_lines_on_stderr() {
    let host = Host::default().with_fault("s3-403");
    let ended = host.call(&["run", "--config", SOURCE]);
    assert_eq!((ended.status, ended.stdout.as_str()), (20, ""));
    let lines: Vec<&str> = ended.stderr.lines().collect();
    let [what, why, remedy] = lines[lines.len() - 3..] else { panic!("{}", ended.stderr) };
    assert_eq!(
        what,
        "what:   failed while fetching the configuration (access_denied, exit status 20)"
    );
    assert!(
        why.starts_with("why:    fetch: s3://fleet-config/ecs.config: S3 refused access (403)"),
        "{why}"
    );
    let remedy = remedy.to_lowercase();
    assert!(
        remedy.starts_with("remedy: allow the role s3:getobject: add the statement"),
        "{remedy}"
    );
}

#[test]
fn identity_mismatch_is_reported_before_a_failed_fetch() {
    let host = Host::default().with_fault("sts-wrong-account").with_fault("s3-403");
    host.boot().fails_as("identity_mismatch", 12, &[]);
    assert!(
        host.cloud.requests().iter().any(|seen| seen.service == Service::S3),
        "S3 does not wait for STS"
    );
}

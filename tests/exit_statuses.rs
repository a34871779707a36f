//! Every exit status, each produced by a cause that really is there; and what is said of it.
//!
//! Which fault of the cloud ends how is also in the cloud's own table; here are the words, the
//! remedy, and the causes that are no fault of the cloud: settings and the host's own files. 40 and
//! 60 have files of their own.

mod support;

use rehearsal::Service;
use support::{Ended, Host, SOURCE, TARGET, TEXT, for_each};

/// A cause, how to make it, and what must be said of it.
struct Case {
    cause: &'static str,
    make: fn() -> Host,
    env: &'static [(&'static str, &'static str)],
    args: &'static [&'static str],
    says: &'static [&'static str],
}

const USUAL: &[&str] = &["--config", SOURCE];
const SHORT: &[&str] = &["--config", SOURCE, "--timeout", "3s"];

fn faulty(
    cause: &'static str,
    make: fn() -> Host,
    args: &'static [&'static str],
    says: &'static [&'static str],
) -> Case {
    Case { cause, make, env: &[], args, says }
}

fn with_env(
    cause: &'static str,
    env: &'static [(&'static str, &'static str)],
    args: &'static [&'static str],
    says: &'static [&'static str],
) -> Case {
    Case { cause, make: Host::default, env, args, says }
}

fn check(word: &str, status: i32, cases: &[Case]) {
    for_each(
        cases,
        |case| case.cause.into(),
        |case| {
            let host = (case.make)();
            let ended = host.run_with(case.env, case.args);
            println!("{}: {}", case.cause, ended.stderr);
            ended.fails_as(word, status, case.says);
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
fn settings_is_2() {
    let cases = [
        with_env("no source", &[], &[], &["--config s3://BUCKET/KEY", "ECS_BOOTSTRAP_CONFIG"]),
        with_env("no such scheme", &[], &["--config", "ftp://a/b"], &["flag"]),
        with_env(
            "a bucket's name that cannot be",
            &[],
            &["--config", "s3://UPPER_CASE!/k"],
            &["config"],
        ),
        with_env("a stray %", &[], &["--config", "s3://fleet-config/100%"], &["%25"]),
        with_env(
            "a digest too short",
            &[],
            &["--config", "s3://fleet-config/k#sha256=abc"],
            &["sha256"],
        ),
        with_env("--set without =", &[], &["--set", "ECS_CLUSTER"], &["KEY=VALUE"]),
        with_env(
            "a duration without unit",
            &[],
            &["--config", SOURCE, "--timeout", "90"],
            &["90s", "timeout"],
        ),
        with_env(
            "an account of 3 digits",
            &[],
            &["--config", SOURCE, "--expect-account", "123"],
            &["12 digits"],
        ),
        with_env(
            "a role that a script left empty",
            &[("ECS_BOOTSTRAP_EXPECT_ROLE", "")],
            USUAL,
            &["the name of a role"],
        ),
        with_env(
            "stale is a word",
            &[],
            &["--config", SOURCE, "--stale", "maybe"],
            &["fail, keep"],
        ),
        with_env(
            "host is a word",
            &[("ECS_BOOTSTRAP_HOST", "azure")],
            USUAL,
            &["environment ECS_BOOTSTRAP_HOST", "auto, ec2, external"],
        ),
        with_env(
            "a misspelled variable",
            &[("ECS_BOOTSTRAP_EXPECT_ROL", "x")],
            USUAL,
            &["ECS_BOOTSTRAP_EXPECT_ROLE"],
        ),
        with_env("a region that is none", &[("AWS_REGION", "US West")], USUAL, &["AWS_REGION"]),
        with_env(
            "a metadata mode that is none",
            &[("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "v5")],
            USUAL,
            &["IPv4 or IPv6"],
        ),
        with_env(
            "a proxy that is none",
            &[("HTTPS_PROXY", "socks5://proxy.test")],
            USUAL,
            &["HTTPS_PROXY"],
        ),
        with_env(
            "a CA file that is not there",
            &[("AWS_CA_BUNDLE", "/no/such/ca.pem")],
            USUAL,
            &["AWS_CA_BUNDLE", "/no/such/ca.pem"],
        ),
        with_env(
            "a settings file that is not there",
            &[("ECS_BOOTSTRAP_SETTINGS", "/no/such/file.toml")],
            USUAL,
            &["/no/such/file.toml"],
        ),
        faulty(
            "from_tags where metadata shows none",
            Host::default,
            &["--config", SOURCE, "--from-tags"],
            &["instance-metadata-tags"],
        ),
    ];
    check("settings", 2, &cases);
}

#[test]
fn metadata_unreachable_is_10() {
    let cases = [
        faulty(
            "IMDS refuses connections",
            || Host::default().with_fault("imds-refused"),
            SHORT,
            &["Connection refused", "127.0.0.1"],
        ),
        faulty(
            "IMDS swallows packets",
            || Host::default().with_fault("imds-blackhole"),
            SHORT,
            &["no answer within"],
        ),
        faulty(
            "IMDS is off",
            || Host::default().with_fault("imds-off"),
            USUAL,
            &["403", "--http-endpoint enabled"],
        ),
        faulty(
            "a proxy's page instead of IMDS",
            || Host::default().with_fault("imds-proxy-html"),
            USUAL,
            &["HTML"],
        ),
        faulty(
            "the hop limit is too low",
            || Host::default().with_fault("hop-limit"),
            USUAL,
            &["hop limit", "--http-put-response-hop-limit"],
        ),
        faulty(
            "a token request is bad",
            || Host::default().with_fault("token-400"),
            USUAL,
            &["400"],
        ),
        faulty(
            "tokens are 503 for ever",
            || never_ending("token-503"),
            SHORT,
            &["503", "attempts"],
        ),
        faulty(
            "half of the credentials",
            || Host::default().with_fault("truncated-json"),
            SHORT,
            &["cut short"],
        ),
        with_env(
            "IMDS is switched off for programs",
            &[("AWS_EC2_METADATA_DISABLED", "TRUE")],
            USUAL,
            &["AWS_EC2_METADATA_DISABLED"],
        ),
        Case {
            cause: "no more attempts than AWS's variable allows",
            make: || Host::default().with_fault("imds-refused"),
            env: &[("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "2")],
            args: USUAL,
            says: &["after 2 attempts"],
        },
    ];
    check("metadata_unreachable", 10, &cases);
}

fn never_ending(fault: &str) -> Host {
    let host = Host::default();
    host.cloud.fault(fault, rehearsal::Extent::Always);
    host
}

#[test]
fn no_role_is_11() {
    let cases = [
        faulty(
            "no instance profile",
            no_profile,
            SHORT,
            &["no IAM role is attached", "associate-iam-instance-profile"],
        ),
        faulty(
            "the role is listed nowhere",
            || Host::default().with_fault("no-role"),
            SHORT,
            &["did not arrive in time"],
        ),
        faulty(
            "an empty list of roles",
            || Host::default().with_fault("no-role-empty"),
            SHORT,
            &["did not arrive in time"],
        ),
        faulty(
            "credentials of another role for ever",
            || never_ending("role-404"),
            SHORT,
            &["did not arrive in time"],
        ),
        faulty(
            "EC2 may not assume it",
            || Host::default().with_fault("role-code-failed"),
            SHORT,
            &["AssumeRoleUnauthorizedAccess", "trust policy"],
        ),
        faulty(
            "they expired an hour ago",
            || Host::default().with_fault("role-expired"),
            SHORT,
            &["expired 1h", "clock"],
        ),
    ];
    check("no_role", 11, &cases);
}

fn no_profile() -> Host {
    let host = Host::default();
    host.cloud.set_host(|host| host.role = None);
    host
}

#[test]
fn identity_mismatch_is_12() {
    let cases = [
        faulty(
            "STS names another account",
            || Host::default().with_fault("sts-wrong-account"),
            USUAL,
            &["999999999999", "123456789012"],
        ),
        faulty(
            "STS names another instance",
            || Host::default().with_fault("sts-wrong-instance"),
            USUAL,
            &["i-0ec5b007572a90001"],
        ),
        faulty(
            "STS refuses",
            || Host::default().with_fault("sts-denied"),
            USUAL,
            &["AccessDenied"],
        ),
        faulty(
            "another role is expected",
            Host::default,
            &["--config", SOURCE, "--expect-role", "web"],
            &["ecsInstanceRole", "--expect-role says web"],
        ),
        faulty(
            "another account is expected",
            Host::default,
            &["--config", SOURCE, "--expect-account", "210987654321"],
            &["210987654321"],
        ),
    ];
    check("identity_mismatch", 12, &cases);
}

/// With the key that S3 names.
const KMS_REMEDY: &str = "Allow the role kms:Decrypt on arn:aws:kms:eu-west-1:123456789012:key/0ec5b007-572a-4000-8000-0000000000ff: add the statement";

#[test]
fn access_denied_is_20() {
    let cases = [
        faulty(
            "the role may not read",
            || Host::default().with_fault("s3-403"),
            USUAL,
            &["s3:GetObject", "arn:aws:s3:::fleet-config/ecs.config", "s3:ListBucket"],
        ),
        faulty(
            "a missing key, and no right to list",
            Host::default,
            &["--config", "s3://fleet-config/missing"],
            &["the key may not exist"],
        ),
        faulty(
            "KMS refuses to decrypt",
            || Host::default().with_fault("s3-kms-denied"),
            USUAL,
            &["kms:Decrypt", KMS_REMEDY],
        ),
        faulty(
            "the KMS key is disabled",
            || Host::default().with_fault("s3-kms-disabled"),
            USUAL,
            &["KMS", "Enable"],
        ),
    ];
    check("access_denied", 20, &cases);
}

#[test]
fn not_found_is_21() {
    let cases = [
        faulty(
            "no such key",
            || Host::default().with_fault("s3-404-key"),
            USUAL,
            &["no such key", "spelling"],
        ),
        faulty(
            "no such bucket",
            || Host::default().with_fault("s3-404-bucket"),
            USUAL,
            &["no such bucket"],
        ),
        faulty(
            "no such version",
            || Host::default().with_fault("s3-404-version"),
            USUAL,
            &["no such version"],
        ),
        faulty(
            "no such bucket, really",
            Host::default,
            &["--config", "s3://no-such-bucket/k"],
            &["no such bucket", "s3://no-such-bucket/k"],
        ),
        faulty(
            "no such file",
            Host::default,
            &["--config", "file:///no/such/file"],
            &["no such file"],
        ),
    ];
    check("not_found", 21, &cases);
}

#[test]
fn source_unreachable_is_22() {
    let cases = [
        faulty(
            "S3 refuses connections",
            || Host::default().with_fault("s3-refused"),
            SHORT,
            &["Connection refused"],
        ),
        faulty("S3 never answers", || Host::default().with_fault("s3-hang"), SHORT, &["deadline"]),
        faulty(
            "S3 throttles until the deadline",
            || Host::default().with_fault("s3-throttle-forever"),
            SHORT,
            &["503", "attempts"],
        ),
        faulty("S3 fails", || Host::default().with_fault("s3-500"), SHORT, &["500"]),
        faulty(
            "S3 cuts the body",
            || Host::default().with_fault("s3-cut-body"),
            SHORT,
            &["cut off"],
        ),
        faulty(
            "S3 leads round in circles",
            || Host::default().with_fault("s3-redirect-loop"),
            SHORT,
            &["another region"],
        ),
        faulty("STS fails for ever", || never_ending("sts-503"), SHORT, &["STS", "503"]),
        with_env(
            "STS refuses connections",
            &[("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1")],
            SHORT,
            &["refused", "REGION.sts"],
        ),
    ];
    check("source_unreachable", 22, &cases);
}

#[test]
fn integrity_is_23() {
    let digest = "s3://fleet-config/ecs.config#sha256=0000000000000000000000000000000000000000000000000000000000000000";
    let digest: &'static [&'static str] = Vec::leak(vec!["--config", digest]);
    let cases = [
        faulty(
            "the checksum differs",
            || Host::default().with_fault("s3-bad-checksum"),
            USUAL,
            &["checksum"],
        ),
        faulty("another digest is expected", Host::default, digest, &["SHA-256"]),
        faulty(
            "another owner is expected",
            Host::default,
            &["--config", "s3://fleet-config/ecs.config?owner=210987654321"],
            &["another account than 210987654321"],
        ),
        faulty(
            "a MiB and one byte",
            || Host::default().with_fault("s3-oversize"),
            USUAL,
            &["1 MiB"],
        ),
        faulty(
            "the same without its length",
            || Host::default().with_fault("s3-oversize-unsaid"),
            USUAL,
            &["1 MiB"],
        ),
        faulty(
            "a length of a terabyte",
            || Host::default().with_fault("s3-oversize-lie"),
            USUAL,
            &["1 MiB"],
        ),
        faulty("a web page", || Host::default().with_fault("s3-html"), USUAL, &["HTML"]),
        faulty(
            "UTF-16",
            || Host::default().with_fault("s3-utf16"),
            USUAL,
            &["UTF-16", "save it as UTF-8"],
        ),
        faulty(
            "an error of S3, stored",
            || Host::default().stores("<?xml version=\"1.0\"?><Error/>"),
            USUAL,
            &["XML"],
        ),
        faulty("a NUL byte", || Host::default().stores("ECS_CLUSTER=a\0b\n"), USUAL, &["NUL"]),
    ];
    check("integrity", 23, &cases);
}

#[test]
fn lint_is_30() {
    let cases = [
        faulty(
            "a line that is no setting",
            || Host::default().stores("ECS_CLUSTER=prod\nnonsense\n"),
            USUAL,
            &["line 2"],
        ),
        faulty(
            "no cluster",
            || Host::default().stores("ECS_LOGLEVEL=info\n"),
            USUAL,
            &["the first: ECS_CLUSTER is not set"],
        ),
        faulty("an empty object", || Host::default().stores(""), USUAL, &["ECS_CLUSTER"]),
        faulty(
            "quotes that ecs-init keeps",
            || {
                Host::default()
                    .stores("ECS_CLUSTER=prod\nECS_AVAILABLE_LOGGING_DRIVERS='[\"awslogs\"]'\n")
            },
            USUAL,
            &["line 2"],
        ),
        faulty(
            "bytes that are no UTF-8",
            || Host::default().stores(&b"ECS_CLUSTER=pr\xffod\n"[..]),
            USUAL,
            &[],
        ),
        faulty(
            "--set that no reader takes",
            Host::default,
            &["--set", "ECS_CLUSTER='prod'"],
            &["--set"],
        ),
        faulty(
            "a placeholder that is none",
            || Host::default().stores("ECS_CLUSTER=${regoin}\n"),
            &["--config", SOURCE, "--expand"],
            &["${region}"],
        ),
        faulty(
            "a tag that is not there",
            || Host::default().stores("ECS_CLUSTER=${tag:Fleet}\n"),
            &["--config", SOURCE, "--expand"],
            &["tag:Fleet"],
        ),
    ];
    check("lint", 30, &cases);
}

#[test]
fn conflict_is_31() {
    let cases = [
        faulty("AWS Batch's generated cluster", batch_wrote_a_cluster, USUAL, &["ECS_CLUSTER"]),
        faulty(
            "the agent has joined another cluster",
            the_agent_has_joined_prod,
            USUAL,
            &["agent.db"],
        ),
    ];
    check("conflict", 31, &cases);
}

/// As Batch's user data writes it: https://docs.aws.amazon.com/batch/latest/userguide/launch-templates.html
fn batch_wrote_a_cluster() -> Host {
    let batch = "ECS_CLUSTER=fleet_Batch_0ec5b007-572a-3b5e-9d5c-0123456789ab\nECS_INSTANCE_ATTRIBUTES={\"purchaseLifecycle\":\"on-demand\"}\n";
    Host::default().with_file(TARGET, batch).with_file("/before", batch)
}

fn the_agent_has_joined_prod() -> Host {
    let host = Host::default();
    host.boots("installed");
    host.stores("ECS_CLUSTER=blue\n")
        .with_file("/var/lib/ecs/data/agent.db", "bolt")
        .with_file("/before", TEXT)
}

#[test]
fn a_failure_in_words_ends_with_three_lines_and_prints_nothing_on_stdout() {
    let host = Host::default().with_fault("s3-403");
    let ended = host.says(&["run", "--config", SOURCE]);
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
    assert!(
        remedy.starts_with("remedy: Allow the role s3:GetObject: add the statement"),
        "{remedy}"
    );
}

#[test]
fn where_the_identity_is_wrong_its_failure_is_told_and_not_s3s() {
    let host = Host::default().with_fault("sts-wrong-account").with_fault("s3-403");
    host.boot().fails_as("identity_mismatch", 12, &[]);
    assert!(
        host.cloud.requests().iter().any(|seen| seen.service == Service::S3),
        "S3 does not wait for STS"
    );
}

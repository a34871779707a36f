//! No secret is ever shown: not on stdout or stderr in any format, with the most verbose log, nor
//! in any file but the one that is to contain it.

mod support;

use std::time::Duration;

use rehearsal::{Certificate, FAULTS, Options, Response, Service};
use support::{Ended, Host, PREVIOUS, SOURCE, STATE, TARGET, for_each};

/// Keys whose values are secrets: a registry's password, one in a comment, one of a proxy.
const CONFIG: &str = "ECS_CLUSTER=prod\nECS_ENGINE_AUTH_TYPE=docker\n\
    ECS_ENGINE_AUTH_DATA={\"r.test\":{\"username\":\"u\",\"password\":\"PLANTED-PASSWORD\"}}\n\
    # ECS_ENGINE_AUTH_DATA=PLANTED-COMMENT\nHTTP_PROXY=http://user:PLANTED-PROXY@10.0.0.1:3128\n\
    NO_PROXY=169.254.169.254,169.254.170.2,/var/run/docker.sock\n";
/// The same with mistakes, so that the linter has findings in the very lines that contain secrets.
const WRONG: &str = "ECS_CLUSTER=prod\nECS_ENGINE_AUTH_DATA PLANTED-NO-EQUALS\nECS_ENGINE_AUTH_DATA='{\"PLANTED-QUOTED\": \"x\"}'\n\
    AWS_SECRET_ACCESS_KEY=PLANTED-KEY ${PLANTED}\n";

const VERBOSE: [&[&str]; 3] =
    [&["-v"], &["-vv", "--log-format", "json"], &["--output", "json", "--log-format", "text"]];

fn is_clean(host: &Host, ended: &Ended) {
    check_text("stdout", &ended.stdout);
    check_text("stderr", &ended.stderr);
    for (path, bytes) in host.machine.files() {
        let name = path.strip_prefix(host.machine.root()).unwrap().display().to_string();
        // These two are to contain the secrets; settings were written by the test itself.
        if ![&TARGET[1..], &PREVIOUS[1..]].contains(&name.as_str()) && !name.ends_with(".toml") {
            check_text(&name, &String::from_utf8_lossy(&bytes));
        }
    }
    let printed = format!("{}{}", ended.stdout, ended.stderr);
    for secret in host.cloud.secrets() {
        assert!(!printed.contains(&secret), "a secret of the cloud is in {printed}");
    }
}

fn check_text(name: &str, text: &str) {
    let clean =
        !["PLANTED", "X-Amz-Signature", "X-Amz-Security-Token", "PLANTED-".to_lowercase().as_str()]
            .iter()
            .any(|mark| text.contains(mark));
    assert!(clean, "a secret is in {name}: {text}");
}

fn run_verbosely(host: &Host, format: usize, args: &[&str]) -> Ended {
    let mut command = host.command();
    command.args(["run", "--timeout", "2s"]).args(VERBOSE[format]).args(args);
    command
        .env("RUST_LOG", "trace")
        .env("AWS_SECRET_ACCESS_KEY", "PLANTED-ENVIRONMENT")
        .env("AWS_SESSION_TOKEN", "PLANTED-ENVIRONMENT");
    Ended::of(&mut command)
}

#[test]
fn no_fault_of_the_cloud_leaks_a_secret() {
    for_each(
        FAULTS,
        |fault| fault.name.into(),
        |fault| {
            let host = Host::default().stores(CONFIG);
            host.cloud.fault(fault.name, rehearsal::Extent::For(Duration::from_millis(500)));
            let format = fault.name.len() % VERBOSE.len();
            let ended = run_verbosely(&host, format, &["--config", SOURCE]);
            assert!(!ended.stderr.is_empty());
            is_clean(&host, &ended);
        },
    );
}

#[test]
fn success_status_and_second_run_leak_no_secret() {
    for format in 0..VERBOSE.len() {
        let host = Host::default()
            .stores(CONFIG)
            .with_file(TARGET, "ECS_ENGINE_AUTH_DATA=PLANTED-BEFORE\n");
        for args in [
            &["--dry-run", "--config", SOURCE][..],
            &["--config", SOURCE],
            &["--config", SOURCE, "--set", "X_PASSWORD=PLANTED-SET"],
        ] {
            let ended = run_verbosely(&host, format, args);
            assert_eq!(ended.status, 0, "{}", ended.stderr);
            is_clean(&host, &ended);
        }
        is_clean(&host, &host.call(&["status"]));
        is_clean(&host, &host.call(&["status", "--output", "json"]));
        assert!(host.machine.read(STATE).is_some());
    }
}

/// A marker in every secret: in a whole layer with a comment, in a parameter, in fields, and in
/// variables whose names do not tell that they are secret.
#[test]
fn values_from_secret_stores_are_never_shown() {
    const LAYER: &str = "ECS_CLUSTER=PLANTED-BEFORE\nX_PLAIN=${ssm:/plain}\nECS_ENGINE_AUTH_TYPE=docker\n\
        ECS_ENGINE_AUTH_DATA={\"r.test\":{\"username\":\"${secret:registry#user}\",\"password\":\"${secret:registry#password}\"}}\n";
    for format in 0..VERBOSE.len() {
        let host = Host::default().stores(LAYER.replace("PLANTED-BEFORE", "prod").as_str());
        let args = ["--config", SOURCE, "--config", "secretsmanager://layer", "--expand"];
        for version in 1..3 {
            host.cloud.set_parameter("/plain", &format!("PLANTED-PLAIN-{version}"));
            let fields = format!(r#"{{"user": "PLANTED-U{version}", "password": "PLANTED-P"}}"#);
            host.cloud.set_secret("registry", &fields);
            let layer = format!("# PLANTED-{version}\nECS_HOST_DATA_DIR=/PLANTED/{version}\n");
            host.cloud.set_secret("layer", &layer);
            for more in [&["--dry-run"][..], &[]] {
                let ended = run_verbosely(&host, format, &[&args, more].concat());
                assert_eq!(ended.status, 0, "{}", ended.stderr);
                is_clean(&host, &ended);
            }
        }
        assert!(host.installed().unwrap().contains("PLANTED-PLAIN-2"));
        // Without them, the file before still holds what they gave.
        let ended = run_verbosely(&host, format, &["--config", SOURCE, "--dry-run"]);
        is_clean(&host, &ended);
        is_clean(&host, &host.call(&["status", "--output", "json"]));
        let bundle = host.machine.path("/bundle.tar.gz").display().to_string();
        let mut doctor = host.command();
        doctor.env("ECS_BOOTSTRAP_EXPAND", "true").args(["doctor", "--bundle", &bundle]);
        let doctor = Ended::of(doctor.args(["--config", SOURCE]));
        is_clean(&host, &doctor);
        let unpacked = std::process::Command::new("tar").args(["-xzOf", &bundle]).output().unwrap();
        let unpacked = String::from_utf8_lossy(&unpacked.stdout);
        assert!(unpacked.contains("secretsmanager://registry"), "{unpacked}{}", doctor.stderr);
        check_text("the bundle", &unpacked);
    }
}

#[test]
fn findings_in_lines_with_secrets_are_redacted() {
    for format in 0..VERBOSE.len() {
        let host = Host::default().stores(WRONG);
        let ended = run_verbosely(&host, format, &["--config", SOURCE]);
        assert_eq!(ended.status, 30, "{}", ended.stderr);
        is_clean(&host, &ended);
        let ended = run_verbosely(&host, format, &["--config", SOURCE, "--expand"]);
        assert_eq!(ended.status, 30, "{}", ended.stderr);
        assert!(
            !ended.stdout.contains("PLANTED-KEY") && !ended.stderr.contains("PLANTED-KEY"),
            "{}",
            ended.stderr
        );
    }
}

#[test]
fn errors_in_settings_with_secrets_are_redacted() {
    let table: [&[&str]; 4] = [
        &["--set", "ECS_ENGINE_AUTH_DATA:PLANTED"],
        &["--set", "9ECS=PLANTED"],
        &["--set", "ECS_ENGINE_AUTH_DATA=PLANTED\nX=Y"],
        &["--config", "https://bucket.test/k?X-Amz-Signature=PLANTED#sha256=short"],
    ];
    for args in table {
        let host = Host::default();
        let ended = run_verbosely(&host, 2, args);
        assert_eq!(ended.status, 2, "{args:?}: {}", ended.stderr);
        is_clean(&host, &ended);
    }
    let host = Host::default().with_file(
        "/etc/ecs-bootstrap/ecs-bootstrap.toml",
        "config = \"s3://a/b\"\nset = { ECS_ENGINE_AUTH_DATA = \"PLANTED }\n",
    );
    let ended = run_verbosely(&host, 0, &[]);
    assert_eq!(ended.status, 2, "{}", ended.stderr);
    is_clean(&host, &ended);
}

#[test]
fn presigned_url_is_shown_without_its_query() {
    let host =
        Host::of(Options { tls: Some(Certificate::Good), ..Options::default() }).stores(CONFIG);
    host.machine.write("/ca.pem", host.cloud.ca_pem().unwrap());
    let ca = host.machine.path("/ca.pem");
    let url = host.cloud.presigned("fleet-config", "ecs.config", Duration::from_secs(60));
    let run = |url: &str, args: &[&str]| {
        let mut command = host.command();
        command
            .env("AWS_CA_BUNDLE", &ca)
            .args(["run", "-v", "--output", "json", "--timeout", "5s", "--config", url])
            .args(args);
        let ended = Ended::of(&mut command);
        is_clean(&host, &ended);
        ended
    };
    assert!(url.contains("X-Amz-Signature"), "{url}");
    run(&url, &[]).succeeds_as("installed");
    run(&format!("{url}0"), &[]).fails_as("access_denied", 20, &["presigned"]);
    run(&format!("{url}#sha256={}", "0".repeat(64)), &[]).fails_as("integrity", 23, &["SHA-256"]);
    let page = format!("{}/page?X-Amz-Signature=PLANTED", host.cloud.url(Service::Web));
    host.cloud.set_page(
        "/page?X-Amz-Signature=PLANTED",
        Response::new(302, "text/html", "moved")
            .with("Location", "https://a.test/?X-Amz-Signature=PLANTED"),
    );
    run(&page, &["--stale", "fail"]).fails_as("source_unreachable", 22, &["redirect"]);
    run("https://user:PLANTED@127.0.0.1:1/k", &["--stale", "fail"]).fails_as(
        "source_unreachable",
        22,
        &["Connection refused"],
    );
    host.cloud.usual_fault("s3-refused");
    run(&url, &["--stale", "fail"]).fails_as("source_unreachable", 22, &["Connection refused"]);
}

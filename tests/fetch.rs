//! Sources of layers, as a user writes them. How they fail is in `exit_statuses.rs`.

mod support;

use rehearsal::{Certificate, Options, Service};
use support::{Ended, Host, for_each};

fn config(key: &str) -> String {
    format!("ECS_CLUSTER=prod\nECS_INSTANCE_ATTRIBUTES={{\"n\":\"{}\"}}\n", key.len())
}

/// A key as S3's console shows it, and how a user may write it.
const KEYS: [(&str, &str); 9] = [
    ("ecs.config", "ecs.config"),
    ("fleet a/ecs.config", "fleet a/ecs.config"),
    ("fleet a/ecs.config", "fleet%20a/ecs.config"),
    ("a+b", "a+b"),
    ("100%", "100%25"),
    ("a#b", "a%23b"),
    ("why?", "why%3F"),
    ("größe/日本", "größe/日本"),
    ("/leading", "/leading"),
];

#[test]
fn every_key_of_the_s3_console_can_be_a_source() {
    for_each(
        &KEYS,
        |(key, _)| (*key).into(),
        |(key, written)| {
            let host = Host::default();
            host.cloud.set_object("fleet-config", key, config(key).as_str());
            host.run(&["--config", &format!("s3://fleet-config/{written}")])
                .succeeds_as("installed");
            assert_eq!(host.installed(), Some(config(key)));
        },
    );
}

#[test]
fn version_region_owner_and_digest_are_honoured() {
    let host = Host::default();
    host.cloud.set_bucket("versions", |bucket| {
        (bucket.versioned, bucket.region) = (true, "us-west-2".into())
    });
    let old = host.cloud.set_object("versions", "k", "ECS_CLUSTER=old\n");
    host.cloud.set_object("versions", "k", "ECS_CLUSTER=new\n");
    let ended = host.run(&[
        "--config",
        &format!("s3://versions/k?versionId={old}&region=us-west-2&owner=123456789012"),
    ]);
    ended.succeeds_as("installed");
    assert_eq!(host.installed().as_deref(), Some("ECS_CLUSTER=old\n"));
    let layer = &ended.report["config"]["layers"][0];
    assert_eq!((&layer["version_id"], layer["etag"].is_string()), (&old.as_str().into(), true));
    assert_eq!(
        host.cloud.requests().iter().filter(|seen| seen.service == Service::S3).count(),
        1,
        "the region was named"
    );
    let sha256 = layer["sha256"].as_str().unwrap();
    host.run(&["--config", &format!("s3://versions/k?versionId={old}#sha256={sha256}")])
        .succeeds_as("unchanged");
    host.run(&["--config", &format!("s3://versions/k#sha256={sha256}")]).fails_as(
        "integrity",
        23,
        &["SHA-256"],
    );
}

#[test]
fn arn_is_a_source() {
    let host = Host::default();
    host.run(&["--config", "arn:aws:s3:::fleet-config/ecs.config"]).succeeds_as("installed");
}

#[test]
fn clock_skew_is_corrected() {
    let host = Host::default().with_fault("clock-skew");
    host.boots("installed");
}

fn over_tls(certificate: Certificate) -> (Host, String) {
    let host = Host::of(Options { tls: Some(certificate), ..Options::default() });
    host.machine.write("/ca.pem", host.cloud.ca_pem().unwrap());
    let ca = host.machine.path("/ca.pem").display().to_string();
    (host, ca)
}

fn run(host: &Host, env: &[(&str, &str)]) -> Ended {
    host.run_with(env, &["--config", support::SOURCE, "--timeout", "10s"])
}

#[test]
fn custom_ca_is_trusted_only_when_configured() {
    let (host, ca) = over_tls(Certificate::Good);
    run(&host, &[]).fails_as("source_unreachable", 22, &["not trusted", "AWS_CA_BUNDLE"]);
    run(&host, &[("AWS_CA_BUNDLE", &ca)]).succeeds_as("installed");
    run(&host, &[("SSL_CERT_FILE", &ca)]).succeeds_as("unchanged");
}

#[test]
fn expired_and_misnamed_certificates_are_refused() {
    let (host, ca) = over_tls(Certificate::Expired);
    run(&host, &[("AWS_CA_BUNDLE", &ca)]).fails_as(
        "source_unreachable",
        22,
        &["not valid at this time", "clock"],
    );
    let (host, ca) = over_tls(Certificate::WrongName);
    run(&host, &[("AWS_CA_BUNDLE", &ca)]).fails_as(
        "source_unreachable",
        22,
        &["certificate of another name"],
    );
}

/// Sources that cannot be understood, each with the remedy that the user reads.
const INVALID: [(&str, &str); 16] = [
    ("s4://bucket/key", "write s3://BUCKET/KEY, arn:PARTITION:s3:::BUCKET/KEY"),
    ("arn:aws:sqs:::bucket/key", "write arn:PARTITION:s3:::BUCKET/KEY or arn:"),
    ("s3://bucket/a\tb", "write control characters in keys as %XX"),
    ("http://store.test/ecs.config", "write https://: http:// is for loopback addresses only"),
    ("s3://Bucket!/key", "compare the name with the S3 console"),
    ("s3://bucket", "add the object's key, as in s3://BUCKET/path/ecs.config"),
    ("s3://bucket/folder/", "add the object's name; if the key itself ends in a slash"),
    ("s3://bucket/a/../b", "copy the object to another key"),
    ("s3://bucket/100%", "write a % in a key as %25"),
    ("s3://bucket/%FF", "write each character's UTF-8 bytes, or the character itself"),
    ("s3://bucket/key?versionID=1", "write options as in ?versionId=V&region=R&owner="),
    ("s3://bucket/key?owner=1", "correct the option, or leave it out"),
    ("s3://bucket/key#sha256=1", "write #sha256= and 64 hexadecimal digits"),
    ("file://etc/ecs.config", "write three slashes before an absolute path"),
    ("file:///etc/ecs.config?owner=1", "leave the options out; write a ? in a path as %3F"),
    ("https://", "write s3://BUCKET/KEY, arn:PARTITION:s3:::BUCKET/KEY"),
];

#[test]
fn every_remedy_for_an_invalid_source_reaches_the_user() {
    for_each(
        &INVALID,
        |(source, _)| (*source).into(),
        |(source, remedy)| {
            let host = Host::default();
            let ended = host.run(&["--config", source]);
            ended.fails_as("settings", 2, &[remedy]);
            assert!(ended.stderr.contains(&format!("remedy: {remedy}")), "{}", ended.stderr);
        },
    );
}

#[test]
fn lint_shows_the_remedy_for_an_invalid_source() {
    let ended = Host::default().call(&["lint", "s3://bucket/100%"]);
    assert_eq!(ended.status, 2, "{}", ended.stderr);
    assert!(ended.stderr.contains("remedy: write a % in a key as %25"), "{}", ended.stderr);
}

//! Each fault of the table, met by a plain client: what the cloud does when it is set, and that it
//! ends.

mod client;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use client::{Answer, Signed, ask, eventually, item, key, token};
use rehearsal::{Cloud, Extent, FAULTS, Options, Service};

const TTL: &str = "X-aws-ec2-metadata-token-ttl-seconds";
const CONFIG: &str = "ECS_CLUSTER=prod\n# thirty-two bytes\n";

fn cloud() -> Cloud {
    let cloud = Cloud::start(Options::default());
    cloud.set_object("fleet", "ecs.config", CONFIG);
    cloud
}

/// A cloud with a fault, and credentials that were fetched before it.
fn with_fault(name: &str) -> (Cloud, aws_credential_types::Credentials) {
    let cloud = cloud();
    let key = key(&cloud);
    cloud.usual_fault(name);
    (cloud, key)
}

fn put_token(name: &str) -> String {
    let (cloud, _) = with_fault(name);
    let answer = ask(cloud.address(Service::Imds), "PUT", "/latest/api/token", &[(TTL, "60")], "");
    format!("{} {}", answer.status, answer.header("content-type").unwrap_or_default())
}

/// The status of a request without a token, and of one with a token.
fn version_1(name: &str) -> String {
    let (cloud, _) = with_fault(name);
    let bare = ask(cloud.address(Service::Imds), "GET", "/latest/meta-data/", &[], "");
    format!("{} {}", bare.status, item(&cloud, "meta-data/instance-id").status)
}

fn role(name: &str) -> String {
    let (cloud, _) = with_fault(name);
    let answer = item(&cloud, "meta-data/iam/security-credentials/");
    format!("{} {}", answer.status, answer.text().lines().next().unwrap_or("empty"))
}

/// Whether IMDS hands out credentials of the past, and how STS answers them.
fn expired(name: &str) -> String {
    let (cloud, _) = with_fault(name);
    let document = item(&cloud, "meta-data/iam/security-credentials/ecsInstanceRole").body;
    let document: serde_json::Value = serde_json::from_slice(&document).unwrap();
    let past = document["Expiration"].as_str().unwrap() < document["LastUpdated"].as_str().unwrap();
    format!("{past} {}", Signed::sts(&cloud).send(&cloud).xml("Code").unwrap())
}

/// Status and (if it is JSON) `Code` of the credentials, then the status of a second attempt.
fn credentials(name: &str) -> String {
    let (cloud, _) = with_fault(name);
    let first = item(&cloud, "meta-data/iam/security-credentials/ecsInstanceRole");
    let role = item(&cloud, "meta-data/iam/security-credentials/").text();
    let second = item(&cloud, &format!("meta-data/iam/security-credentials/{}", role.trim()));
    let document = serde_json::from_slice::<serde_json::Value>(&first.body);
    let code =
        document.map_or("unreadable".into(), |d| d["Code"].as_str().unwrap_or_default().to_owned());
    format!("{} {code} {}", first.status, second.status)
}

fn sts(name: &str) -> String {
    let (cloud, key) = with_fault(name);
    let answer = Signed { key, ..Signed::sts(&Cloud::start(Options::default())) }.send(&cloud);
    format!("{} {}", answer.status, answer.xml("Code").or(answer.xml("Arn")).unwrap_or_default())
}

fn get(cloud: &Cloud, key: aws_credential_types::Credentials, region: &str) -> Answer {
    let headers =
        &[("x-amz-expected-bucket-owner", "123456789012"), ("x-amz-checksum-mode", "ENABLED")];
    Signed { key, region, headers, ..Signed::s3(&self::cloud(), "/fleet/ecs.config") }.send(cloud)
}

fn s3(name: &str) -> String {
    let (cloud, key) = with_fault(name);
    let answer = get(&cloud, key, "eu-west-1");
    format!(
        "{} {}",
        answer.status,
        answer.xml("Code").unwrap_or_else(|| answer.body.len().to_string())
    )
}

/// How S3 answers one who signs for the region that the first answer named.
fn s3_elsewhere(name: &str) -> String {
    let (cloud, key) = with_fault(name);
    let first = get(&cloud, key.clone(), "eu-west-1");
    let region =
        first.xml("Region").or(first.header("x-amz-bucket-region").map(str::to_owned)).unwrap();
    format!("{} {region} {}", first.status, get(&cloud, key, &region).status)
}

/// How connecting fails.
fn connect(name: &str) -> String {
    let cloud = cloud();
    cloud.fault(name, Extent::Always);
    let service = match name.split('-').next() {
        Some("s3") => Service::S3,
        Some("sts") => Service::Sts,
        _ => Service::Imds,
    };
    let error = TcpStream::connect_timeout(&cloud.address(service), Duration::from_millis(300))
        .unwrap_err();
    format!("{:?}", error.kind())
}

/// Whether a request is left without a byte of answer while another one is answered.
fn hangs(name: &str) -> String {
    let (cloud, _) = with_fault(name);
    let before = cloud.requests().len();
    let (service, request) = match name {
        "hop-limit" => (Service::Imds, "PUT /latest/api/token"),
        "role-hang" => (Service::Imds, "GET /latest/meta-data/iam/security-credentials/"),
        _ => (Service::S3, "GET /fleet/ecs.config"),
    };
    let mut stream = TcpStream::connect(cloud.address(service)).unwrap();
    stream.write_all(format!("{request} HTTP/1.1\r\n\r\n").as_bytes()).unwrap();
    eventually(|| cloud.requests().len() > before);
    let tokenless =
        ask(cloud.address(Service::Imds), "GET", "/latest/meta-data/mac", &[], "").status;
    stream.set_nonblocking(true).unwrap();
    let silent = stream.read(&mut [0]).is_err_and(|e| e.kind() == ErrorKind::WouldBlock);
    format!("{silent} {tokenless}")
}

/// Whether the answer takes at least the usual time of the fault.
fn takes_longer(name: &str) -> String {
    let Extent::By(size) = FAULTS.iter().find(|fault| fault.name == name).unwrap().extent else {
        panic!("{name} has a size")
    };
    let (cloud, key) = with_fault(name);
    let began = Instant::now();
    match name {
        "s3-slow-body" => drop(get(&cloud, key, "eu-west-1")),
        _ => drop(token(&cloud)),
    }
    (began.elapsed() >= size).to_string()
}

/// By how many hours the server's clock is ahead, and how S3 answers.
fn skew(name: &str) -> String {
    let (cloud, key) = with_fault(name);
    let answer = get(&cloud, key, "eu-west-1");
    let hour = |xml: &str, at: usize| answer.xml(xml).unwrap()[at..at + 2].parse::<u32>().unwrap();
    let ahead = (24 + hour("ServerTime", 11) - hour("RequestTime", 9)) % 24;
    format!("{} {} {ahead}", answer.status, answer.xml("Code").unwrap())
}

/// Claimed length, and bytes that really came.
fn body(name: &str) -> String {
    let (cloud, key) = with_fault(name);
    let answer = get(&cloud, key, "eu-west-1");
    format!("{} {}", answer.header("content-length").unwrap_or("unsaid"), answer.body.len())
}

fn content(name: &str) -> String {
    let (cloud, key) = with_fault(name);
    let answer = get(&cloud, key, "eu-west-1");
    let sum = answer.header("x-amz-checksum-crc32").is_some();
    format!(
        "{} {sum} {}",
        answer.status,
        String::from_utf8_lossy(&answer.body[..4]).escape_default()
    )
}

type Case = (&'static str, fn(&str) -> String, &'static str);

#[rustfmt::skip]
const CASES: &[Case] = &[
    ("late-imds", connect, "ConnectionRefused"),
    ("imds-refused", connect, "ConnectionRefused"),
    ("imds-blackhole", connect, "TimedOut"),
    ("imds-off", put_token, "403 text/html"),
    ("imds-v1", version_1, "200 200"),
    ("imds-proxy-html", put_token, "200 text/html; charset=utf-8"),
    ("hop-limit", hangs, "true 401"),
    ("token-503", put_token, "503 text/html"),
    ("token-400", put_token, "400 text/html"),
    ("slow-imds", takes_longer, "true"),
    ("token-revoked", credentials, "401 unreadable 200"),
    ("no-role", role, "404 <?xml version=\"1.0\" encoding=\"iso-8859-1\"?>"),
    ("no-role-empty", role, "200 empty"),
    ("role-hang", hangs, "true 401"),
    ("role-404", role, "404 <?xml version=\"1.0\" encoding=\"iso-8859-1\"?>"),
    ("role-renamed", credentials, "404 unreadable 200"),
    ("role-code-failed", credentials, "200 AssumeRoleUnauthorizedAccess 200"),
    ("role-expired", expired, "true ExpiredToken"),
    ("truncated-json", credentials, "200 unreadable 200"),
    ("sts-wrong-account", sts, "200 arn:aws:sts::999999999999:assumed-role/ecsInstanceRole/i-0ec5b007572a90001"),
    ("sts-wrong-instance", sts, "200 arn:aws:sts::123456789012:assumed-role/ecsInstanceRole/i-0ec5b007572affff1"),
    ("sts-denied", sts, "403 AccessDenied"),
    ("sts-503", sts, "503 ServiceUnavailable"),
    ("sts-refused", connect, "ConnectionRefused"),
    ("sts-blackhole", connect, "TimedOut"),
    ("s3-403", s3, "403 AccessDenied"),
    ("s3-404-key", s3, "404 NoSuchKey"),
    ("s3-404-bucket", s3, "404 NoSuchBucket"),
    ("s3-404-version", s3, "404 NoSuchVersion"),
    ("s3-wrong-owner", s3, "403 AccessDenied"),
    ("s3-wrong-region", s3_elsewhere, "301 us-west-2 200"),
    ("s3-wrong-region-400", s3_elsewhere, "400 us-west-2 200"),
    ("s3-redirect-loop", s3_elsewhere, "301 us-west-2 301"),
    ("s3-kms-denied", s3, "403 AccessDenied"),
    ("s3-kms-disabled", s3, "400 KMS.DisabledException"),
    ("s3-slow-body", takes_longer, "true"),
    ("s3-cut-body", body, "36 18"),
    ("s3-bad-checksum", content, "200 true DCS_"),
    ("s3-oversize", body, "1048577 1048577"),
    ("s3-oversize-unsaid", body, "unsaid 1048577"),
    ("s3-oversize-lie", body, "1099511627776 1048577"),
    ("s3-throttle", s3, "503 SlowDown"),
    ("s3-throttle-forever", s3, "503 SlowDown"),
    ("s3-500", s3, "500 InternalError"),
    ("s3-hang", hangs, "true 401"),
    ("s3-refused", connect, "ConnectionRefused"),
    ("s3-html", content, "200 false <!DO"),
    ("s3-utf16", content, "200 false \\u{fffd}\\u{fffd}E\\u{0}"),
    ("clock-skew", skew, "403 RequestTimeTooSkewed 1"),
    ("delay", takes_longer, "true"),
];

#[test]
fn every_fault_does_what_its_row_describes() {
    let wrong: Vec<String> = CASES
        .iter()
        .filter_map(|(name, probe, expected)| {
            let got = probe(name);
            (got != *expected).then(|| format!("{name}: expected {expected}, got {got}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_fault_has_a_case() {
    let tested: Vec<&str> = CASES.iter().map(|case| case.0).collect();
    let faults: Vec<&str> = FAULTS.iter().map(|fault| fault.name).collect();
    assert_eq!(faults, tested);
}

#[test]
fn fault_ends_after_its_time_or_its_count() {
    let cloud = cloud();
    let token =
        || ask(cloud.address(Service::Imds), "PUT", "/latest/api/token", &[(TTL, "60")], "").status;
    cloud.fault("token-503", Duration::from_millis(200));
    std::thread::sleep(Duration::from_millis(250));
    assert_eq!(token(), 503, "it counts from the first request that meets it");
    eventually(|| token() == 200);
    cloud.fault("token-503", 2);
    assert_eq!([token(), token(), token()], [503, 503, 200]);
    cloud.fault("token-503", Extent::After(1));
    assert_eq!([token(), token(), token()], [200, 503, 503]);
    cloud.clear_faults();
    assert_eq!(token(), 200);
}

#[test]
fn closed_listeners_open_after_their_time_or_when_faults_end() {
    let cloud = cloud();
    let open = |service| TcpStream::connect(cloud.address(service)).is_ok();
    cloud.fault("late-imds", Duration::from_secs(2));
    eventually(|| open(Service::Imds));
    for fault in ["s3-refused", "imds-refused"] {
        cloud.usual_fault(fault);
    }
    assert!(!open(Service::S3) && !open(Service::Imds));
    cloud.clear_faults();
    assert!(open(Service::S3) && open(Service::Imds));
}

#[test]
fn two_faults_apply_one_after_the_other() {
    let cloud = cloud();
    cloud.fault("s3-throttle", 1);
    cloud.usual_fault("s3-wrong-region");
    let key = key(&cloud);
    let status = |region| get(&cloud, key.clone(), region).status;
    assert_eq!([status("eu-west-1"), status("eu-west-1"), status("us-west-2")], [503, 301, 200]);
}

#[test]
#[should_panic(expected = "no fault is called s3-402; there are: late-imds")]
fn unknown_fault_panics_with_the_known_names() {
    cloud().usual_fault("s3-402");
}

#[test]
fn signature_is_checked_before_a_fault_answers() {
    let cloud = cloud();
    cloud.usual_fault("s3-404-key");
    assert_eq!(
        ask(cloud.address(Service::S3), "GET", "/fleet/ecs.config", &[], "").xml("Code").unwrap(),
        "AccessDenied"
    );
}

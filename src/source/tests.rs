//! `fetch` against a server of a few lines that says what S3 documents; moto, radosgw and the
//! rehearsal cloud say the rest.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread::JoinHandle;
use std::time::Duration;

use super::*;
use crate::error::Diagnostic;
use crate::error::ExitStatus;
use crate::net::Options;

const SECRET: &str = "MARKER-SECRET-KEY";
const TOKEN: &str = "MARKER-SESSION-TOKEN";

/// Answers one connection after the other with the given bytes, and gives back the heads of the
/// requests.
fn serve(answers: Vec<String>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let requests = move || answers.iter().map(|answer| one(&listener, answer)).collect();
    (address, std::thread::spawn(requests))
}

fn one(listener: &TcpListener, answer: &str) -> String {
    let (mut connection, _) = listener.accept().unwrap();
    let mut head = Vec::new();
    let mut byte = [0];
    // A TLS handshake begins with 22, and has no empty line to wait for.
    while head.first() != Some(&22)
        && !head.ends_with(b"\r\n\r\n")
        && connection.read(&mut byte).unwrap() == 1
    {
        head.push(byte[0]);
    }
    connection.write_all(answer.as_bytes()).unwrap();
    String::from_utf8_lossy(&head).into_owned()
}

fn answer(status: u16, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}",
        body.len()
    )
}

fn error(status: u16, code: &str, message: &str, headers: &str) -> String {
    let body = format!(
        "<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>{message}</Message><RequestId>R1</RequestId></Error>"
    );
    answer(status, headers, &body)
}

fn found(body: &str) -> String {
    answer(200, "ETag: \"e1\"\r\nx-amz-version-id: v1\r\n", body)
}

fn vars(vars: &[(&str, &str)]) -> Vec<(String, String)> {
    vars.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

fn fetch_with(
    environment: &[(&str, &str)],
    source: &str,
    patience: Duration,
) -> Result<Fetched, Error> {
    fetch_beside(environment, source, patience, None)
}

fn fetch_beside(
    environment: &[(&str, &str)],
    source: &str,
    patience: Duration,
    held: Option<&Held>,
) -> Result<Fetched, Error> {
    let http = Http::new(&Options::from_vars(vars(environment)).unwrap()).unwrap();
    let aws = Aws::from_vars(vars(environment)).unwrap();
    let credentials = Credentials::new("AKIDTEST", SECRET, Some(TOKEN.into()), None, "test");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (deadline, region) = (Instant::now() + patience, Some("us-west-2".into()));
        let access = Access {
            http: &http,
            aws: &aws,
            credentials: Some(&credentials),
            region,
            deadline,
            held,
        };
        fetch(&source.parse().unwrap(), &access).await
    })
}

/// Fetches from an S3 that gives these answers, and returns what it was asked.
fn s3(source: &str, answers: Vec<String>) -> (Result<Fetched, Error>, Vec<String>) {
    let (address, requests) = serve(answers);
    let fetched = fetch_with(
        &[("AWS_ENDPOINT_URL_S3", &format!("http://{address}"))],
        source,
        Duration::from_secs(20),
    );
    (fetched, requests.join().unwrap())
}

fn kind(source: &str, answers: Vec<String>) -> Kind {
    let (fetched, requests) = s3(source, answers);
    let error = fetched.unwrap_err();
    let all = format!("{error} {error:?} {}", error.remedy());
    assert!(!all.contains("MARKER"), "{all}");
    assert!(!requests.is_empty());
    error.kind
}

fn signed_for(request: &str) -> &str {
    request.split("Credential=AKIDTEST/").nth(1).and_then(|scope| scope.split('/').nth(1)).unwrap()
}

#[test]
fn an_object_is_asked_for_by_its_exact_key_version_and_owner() {
    let table = [
        ("s3://bucket/a/ecs.config", "GET /bucket/a/ecs.config?x-id=GetObject "),
        ("s3://bucket//lead", "GET /bucket//lead?x-id=GetObject "),
        ("s3://bucket/a//b", "GET /bucket/a//b?x-id=GetObject "),
        ("s3://bucket/a b+c%25%23%3F", "GET /bucket/a%20b%2Bc%25%23%3F?x-id=GetObject "),
        ("s3://bucket/größe", "GET /bucket/gr%C3%B6%C3%9Fe?x-id=GetObject "),
        ("s3://bucket/folder%2F", "GET /bucket/folder/?x-id=GetObject "),
        ("s3://bucket/k?versionId=a%26b/c", "GET /bucket/k?x-id=GetObject&versionId=a%26b%2Fc "),
    ];
    for (source, line) in table {
        let (fetched, requests) = s3(source, vec![found("ECS_CLUSTER=a\n")]);
        let fetched = fetched.unwrap();
        assert!(requests[0].starts_with(line), "{source}: {}", requests[0]);
        assert_eq!((fetched.bytes.as_slice(), fetched.attempts), (&b"ECS_CLUSTER=a\n"[..], 1));
        assert_eq!(
            (fetched.etag.as_deref(), fetched.version_id.as_deref()),
            (Some("\"e1\""), Some("v1"))
        );
        assert_eq!(fetched.region.as_deref(), Some("us-west-2"));
    }
    let (_, requests) = s3("s3://bucket/k?owner=123456789012", vec![found("")]);
    let head = requests[0].to_lowercase();
    assert!(
        head.contains("x-amz-expected-bucket-owner: 123456789012")
            && head.contains("x-amz-checksum-mode: enabled"),
        "{head}"
    );
}

#[test]
fn what_is_held_is_not_sent_again_and_nothing_else_is_taken_for_it() {
    let bytes = b"ECS_CLUSTER=held\n".to_vec();
    let (source, sha256) = ("s3://bucket/k".to_owned(), sha256(&bytes));
    let layer = Layer {
        source,
        etag: Some("\"e1\"".into()),
        version_id: Some("v1".into()),
        sha256,
        bytes: bytes.len(),
    };
    let held = Held { layer, bytes };
    let from = |source: &str, said: String| {
        let (address, requests) = serve(vec![said]);
        let at = format!("http://{address}");
        let fetched = fetch_beside(
            &[("AWS_ENDPOINT_URL_S3", &at)],
            source,
            Duration::from_secs(5),
            Some(&held),
        );
        (fetched, requests.join().unwrap().remove(0).to_lowercase())
    };
    let (fetched, head) = from(
        "s3://bucket/k",
        "HTTP/1.1 304 Not Modified\r\nx-amz-version-id: v2\r\nConnection: close\r\n\r\n".into(),
    );
    let fetched = fetched.unwrap();
    assert!(head.contains("if-none-match: \"e1\""), "{head}");
    assert_eq!((fetched.bytes.as_slice(), fetched.not_modified), (&held.bytes[..], true));
    assert_eq!(
        (fetched.etag.as_deref(), fetched.version_id.as_deref()),
        (Some("\"e1\""), Some("v2"))
    );
    let (fetched, _) = from("s3://bucket/k", found("ECS_CLUSTER=new\n"));
    assert_eq!(fetched.unwrap().bytes, b"ECS_CLUSTER=new\n");
    for other in ["s3://bucket/k2", "s3://bucket/k?versionId=v1"] {
        let (fetched, head) = from(other, found("ECS_CLUSTER=new\n"));
        assert!(!fetched.unwrap().not_modified && !head.contains("if-none-match"), "{head}");
    }
    let refused = from("s3://bucket/k2", answer(304, "", "")).0.unwrap_err();
    assert_eq!(
        refused.status(),
        ExitStatus::AccessDenied,
        "an answer to a question that was not asked: {refused}"
    );
}

#[test]
fn a_wrong_region_costs_one_more_request() {
    let moved = [
        error(301, "PermanentRedirect", "The bucket …", "x-amz-bucket-region: eu-central-1\r\n"),
        answer(
            301,
            "",
            "<Error><Code>PermanentRedirect</Code><Endpoint>bucket.s3.eu-central-1.amazonaws.com</Endpoint></Error>",
        ),
        answer(
            301,
            "",
            "<Error><Code>PermanentRedirect</Code><Endpoint>bucket.s3-eu-central-1.amazonaws.com</Endpoint></Error>",
        ),
        answer(
            307,
            "",
            "<Error><Code>TemporaryRedirect</Code><Endpoint>bucket.s3.eu-central-1.amazonaws.com</Endpoint></Error>",
        ),
        answer(
            400,
            "",
            "<Error><Code>AuthorizationHeaderMalformed</Code><Message>wrong</Message><Region>eu-central-1</Region></Error>",
        ),
        error(
            400,
            "IllegalLocationConstraintException",
            "incompatible",
            "x-amz-bucket-region: eu-central-1\r\n",
        ),
        answer(400, "x-amz-bucket-region: eu-central-1\r\n", ""),
    ];
    for first in moved {
        let (fetched, requests) =
            s3("s3://bucket/k", vec![first.clone(), found("ECS_CLUSTER=a\n")]);
        let fetched = fetched.unwrap_or_else(|error| panic!("{error} after {first}"));
        assert_eq!((fetched.region.as_deref(), fetched.attempts), (Some("eu-central-1"), 2));
        assert_eq!(
            requests.iter().map(|request| signed_for(request)).collect::<Vec<_>>(),
            ["us-west-2", "eu-central-1"]
        );
    }
}

#[test]
fn regions_that_point_to_each_other_end_in_an_error_that_names_them() {
    let to =
        |region| error(301, "PermanentRedirect", "", &format!("x-amz-bucket-region: {region}\r\n"));
    let tried = |regions: &[&str]| {
        Kind::RegionLoop(regions.iter().map(|region| (*region).to_owned()).collect())
    };
    assert_eq!(
        kind("s3://bucket/k", vec![to("eu-west-1"), to("us-west-2")]),
        tried(&["us-west-2", "eu-west-1"])
    );
    assert_eq!(kind("s3://bucket/k", vec![to("us-west-2")]), tried(&["us-west-2"]));
    let far = vec![to("eu-west-1"), to("eu-west-2"), to("eu-west-3")];
    assert_eq!(kind("s3://bucket/k", far), tried(&["us-west-2", "eu-west-1", "eu-west-2"]));
}

#[test]
fn the_region_is_the_sources_then_the_environments_then_the_hosts_then_the_partitions() {
    let table = [
        ("s3://bucket/k?region=eu-west-3", Some("eu-west-1"), "eu-west-3"),
        ("s3://bucket/k", Some("eu-west-1"), "eu-west-1"),
        ("s3://bucket/k", None, "us-west-2"),
        ("arn:aws-cn:s3:::bucket/k", Some("eu-west-1"), "cn-north-1"),
    ];
    for (source, region, wanted) in table {
        let (address, requests) = serve(vec![found("")]);
        let endpoint = format!("http://{address}");
        let environment =
            [("AWS_ENDPOINT_URL", &*endpoint), ("AWS_REGION", region.unwrap_or_default())];
        fetch_with(&environment, source, Duration::from_secs(20)).unwrap();
        assert_eq!(signed_for(&requests.join().unwrap()[0]), wanted, "{source}");
    }
}

#[test]
fn a_refusal_is_final_and_prints_the_statement_that_would_have_allowed_it() {
    let refusal = error(
        403,
        "AccessDenied",
        "User: arn:aws:sts::1:assumed-role/r/i-1 is not authorized to perform: s3:GetObject",
        "",
    );
    let (fetched, requests) = s3("s3://bucket/a/k", vec![refusal]);
    let error = fetched.unwrap_err();
    assert_eq!((error.status(), requests.len()), (ExitStatus::AccessDenied, 1));
    assert!(
        error.to_string().contains(
            r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/a/k"}"#
        ),
        "{error}"
    );
    assert!(
        error.remedy().contains(r#""Action":"s3:ListBucket","Resource":"arn:aws:s3:::bucket""#),
        "{}",
        error.remedy()
    );
    assert!(
        error.causes[0].contains("not authorized to perform: s3:GetObject"),
        "{:?}",
        error.causes
    );
    assert!(!error.remedy().contains("owner"));
}

#[test]
fn a_wrong_owner_is_told_from_a_missing_permission_by_asking_without_one() {
    let denied = || error(403, "AccessDenied", "Access Denied", "");
    let source = "s3://bucket/k?owner=123456789012";
    assert_eq!(
        kind(source, vec![denied(), found("")]),
        Kind::Owner { owner: "123456789012".into() }
    );
    let (fetched, requests) = s3(source, vec![denied(), answer(403, "", "")]);
    let error = fetched.unwrap_err();
    assert_eq!(error.status(), ExitStatus::AccessDenied);
    assert!(error.remedy().contains("owner="), "{}", error.remedy());
    assert!(
        requests[1].starts_with("HEAD ")
            && !requests[1].to_lowercase().contains("expected-bucket-owner"),
        "{}",
        requests[1]
    );
}

#[test]
fn what_may_pass_is_tried_again() {
    let failing = |status, code| vec![error(status, code, "", ""), found("ECS_CLUSTER=a\n")];
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nECS_CLUS".to_owned();
    let table = [
        failing(503, "SlowDown"),
        failing(500, "InternalError"),
        failing(400, "RequestTimeout"),
        failing(429, ""),
        vec![answer(502, "", "<html>proxy</html>"), found("ECS_CLUSTER=a\n")],
        vec![cut, found("ECS_CLUSTER=a\n")],
        vec![String::new(), found("ECS_CLUSTER=a\n")],
    ];
    for answers in table {
        let first = answers[0].clone();
        let fetched =
            s3("s3://bucket/k", answers).0.unwrap_or_else(|error| panic!("{error} after {first}"));
        assert_eq!((fetched.attempts, fetched.bytes.len()), (2, 14));
    }
}

#[test]
fn no_more_than_a_mebibyte_is_read_whatever_the_length_says() {
    let large = "#".repeat(LIMIT + 1);
    let full = answer(200, "", &large);
    let lie = "HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\nECS_CLUSTER=a\n".to_owned();
    let endless = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{large}\r\n0\r\n\r\n",
        large.len()
    );
    for body in [full, lie, endless] {
        assert!(matches!(kind("s3://bucket/k", vec![body.clone()]), Kind::TooLarge(_)));
        let (address, _requests) = serve(vec![body]);
        let error = fetch_with(&[], &format!("http://{address}/k?MARKER"), Duration::from_secs(20))
            .unwrap_err();
        assert_eq!(error.status(), ExitStatus::Integrity);
    }
    let (fetched, _) = s3("s3://bucket/k", vec![found(&"#".repeat(LIMIT))]);
    assert_eq!(fetched.unwrap().bytes.len(), LIMIT);
}

#[test]
fn bytes_that_differ_from_their_checksum_or_digest_are_refused() {
    let wrong = || answer(200, "x-amz-checksum-crc32: AAAAAA==\r\n", "ECS_CLUSTER=a\n");
    assert_eq!(kind("s3://bucket/k", vec![wrong(), wrong(), wrong()]), Kind::Checksum);
    let digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let source = format!("s3://bucket/k#sha256={digest}");
    assert_eq!(s3(&source, vec![found("")]).0.unwrap().sha256, digest);
    let error = s3(&source, vec![found("ECS_CLUSTER=MARKER\n")]).0.unwrap_err();
    assert_eq!(error.status(), ExitStatus::Integrity);
    assert!(error.to_string().contains(digest) && !error.to_string().contains("MARKER"), "{error}");
}

#[test]
fn a_skewed_clock_is_corrected_once_and_else_told_in_seconds() {
    let skewed = || {
        error(
            403,
            "RequestTimeTooSkewed",
            "The difference …",
            "Date: Mon, 05 Jan 2015 10:00:00 GMT\r\n",
        )
    };
    let (fetched, requests) = s3("s3://bucket/k", vec![skewed(), found("ECS_CLUSTER=a\n")]);
    assert_eq!(fetched.unwrap().attempts, 2);
    assert!(requests[1].contains("20150105T10"), "{}", requests[1]);
    let Kind::ClockSkew { ahead: Some(ahead) } = kind("s3://bucket/k", vec![skewed(), skewed()])
    else {
        panic!()
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!(ahead.unsigned_abs().abs_diff(now - 1_420_452_000) < 60, "{ahead}");
}

#[test]
fn a_network_that_fails_is_named_with_its_cause() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let at = |url: &str, source: &str| {
        fetch_with(&[("AWS_ENDPOINT_URL", url)], source, Duration::from_secs(1)).unwrap_err()
    };
    let error = at(&format!("http://{closed}"), "s3://bucket/k");
    assert!(
        matches!(&error.kind, Kind::Connect { host, why } if host == "127.0.0.1" && why.contains("refused")),
        "{error:?}"
    );
    assert!(error.attempts > 1 && error.to_string().contains("attempts"), "{error}");
    // A label of 64 characters is one too many: the resolver refuses it without asking anybody.
    let nowhere = format!("{}.invalid", "n".repeat(64));
    let error = at(&format!("http://{nowhere}"), "s3://bucket/k");
    assert_eq!(error.kind, Kind::Dns(nowhere));
    assert_eq!(error.status(), ExitStatus::SourceUnreachable);
    let (plain, _requests) = serve(vec![answer(400, "", "this is no TLS")]);
    let error = at(&format!("https://{plain}"), "s3://bucket/k");
    assert!(matches!(&error.kind, Kind::Tls { host, .. } if host == "127.0.0.1"), "{error:?}");
    assert_eq!(error.attempts, 1);
}

#[test]
fn a_host_name_that_aws_does_not_have_is_a_matter_of_settings() {
    let error = fetch_with(
        &[("AWS_USE_FIPS_ENDPOINT", "true")],
        "arn:aws-cn:s3:::bucket/k",
        Duration::from_secs(5),
    )
    .unwrap_err();
    assert!(matches!(&error.kind, Kind::Unusable(why) if why.contains("FIPS")), "{error:?}");
    assert_eq!(error.status(), ExitStatus::Settings);
}

#[test]
fn a_server_that_says_nothing_ends_at_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let error =
        fetch_with(&[("AWS_ENDPOINT_URL", &url)], "s3://bucket/k", Duration::from_millis(300))
            .unwrap_err();
    assert_eq!(
        (error.kind.clone(), error.status()),
        (Kind::Deadline, ExitStatus::SourceUnreachable)
    );
}

#[test]
fn s3_goes_through_the_proxy_and_its_refusal_is_the_proxys() {
    let (address, requests) = serve(vec![answer(403, "", "not for you")]);
    let proxy = format!("http://user:MARKER@{address}");
    let error = fetch_with(&[("HTTPS_PROXY", &proxy)], "s3://bucket/k", Duration::from_secs(1))
        .unwrap_err();
    assert!(
        matches!(&error.kind, Kind::Proxy { proxy, to } if *proxy == address && to.starts_with("bucket.s3.us-west-2.amazonaws.com: ")),
        "{error:?}"
    );
    assert!(!format!("{error} {error:?} {}", error.remedy()).contains("MARKER"));
    let head = &requests.join().unwrap()[0];
    assert!(
        head.starts_with("CONNECT bucket.s3.us-west-2.amazonaws.com:443 ")
            && head.to_lowercase().contains("proxy-authorization"),
        "{head}"
    );
}

#[test]
fn fips_dual_stack_and_access_points_have_the_host_names_that_aws_documents() {
    let point = "arn:aws:s3:eu-west-1:123456789012:accesspoint/mine/object/k";
    let table = [
        (vec![], "s3://bucket/k", "bucket.s3.us-west-2.amazonaws.com:443"),
        (
            vec![("AWS_USE_FIPS_ENDPOINT", "true")],
            "s3://bucket/k",
            "bucket.s3-fips.us-west-2.amazonaws.com:443",
        ),
        (
            vec![("AWS_USE_DUALSTACK_ENDPOINT", "true")],
            "s3://bucket/k",
            "bucket.s3.dualstack.us-west-2.amazonaws.com:443",
        ),
        (vec![], "s3://dotted.bucket/k", "s3.us-west-2.amazonaws.com:443"),
        (vec![], "arn:aws-cn:s3:::bucket/k", "bucket.s3.cn-north-1.amazonaws.com.cn:443"),
        (vec![], point, "mine-123456789012.s3-accesspoint.eu-west-1.amazonaws.com:443"),
    ];
    for (mut environment, source, host) in table {
        let (address, requests) = serve(vec![answer(403, "", "")]);
        let proxy = format!("http://{address}");
        environment.push(("HTTPS_PROXY", &proxy));
        fetch_with(&environment, source, Duration::from_secs(1)).unwrap_err();
        assert!(requests.join().unwrap()[0].starts_with(&format!("CONNECT {host} ")), "{source}");
    }
}

/// One attempt, not tried again.
fn web(answer: String) -> Error {
    let (address, _requests) = serve(vec![answer]);
    let source: Source =
        format!("http://u:MARKER@{address}/k?X-Amz-Signature=MARKER").parse().unwrap();
    let Place::Https(url) = &source.place else { unreachable!() };
    let http = Http::new(&Options::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let Failure { kind, causes, .. } = runtime.block_on(https::get(&http, url)).unwrap_err();
    Error { from: source.to_string(), kind, attempts: 1, causes }
}

#[test]
fn a_url_is_fetched_as_it_stands_and_without_the_roles_credentials() {
    let (address, requests) = serve(vec![found("ECS_CLUSTER=a\n")]);
    let fetched = fetch_with(
        &[],
        &format!("http://{address}/a//b?X-Amz-Signature=s%2Fg&x"),
        Duration::from_secs(5),
    )
    .unwrap();
    assert_eq!(
        (fetched.bytes.len(), fetched.attempts, fetched.etag.as_deref()),
        (14, 1, Some("\"e1\""))
    );
    let head = &requests.join().unwrap()[0];
    assert!(
        head.starts_with("GET /a//b?X-Amz-Signature=s%2Fg&x ")
            && !head.to_lowercase().contains("authorization"),
        "{head}"
    );
}

#[test]
fn a_url_that_yields_nothing_says_why_and_never_its_query() {
    let table = [
        (
            answer(302, "Location: http://elsewhere.test/x?MARKER\r\n", ""),
            "redirects to http://elsewhere.test/x",
            ExitStatus::SourceUnreachable,
        ),
        (answer(301, "", ""), "answered 301", ExitStatus::SourceUnreachable),
        (
            error(403, "AccessDenied", "Request has expired", ""),
            "403: Request has expired",
            ExitStatus::AccessDenied,
        ),
        (answer(401, "", ""), "refused the URL (401)", ExitStatus::AccessDenied),
        (answer(404, "", ""), "nothing at this URL (404)", ExitStatus::NotFound),
        (answer(204, "", ""), "answered 204", ExitStatus::SourceUnreachable),
        (answer(503, "", ""), "fails (503)", ExitStatus::SourceUnreachable),
        (answer(429, "", ""), "less traffic (429)", ExitStatus::SourceUnreachable),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nECS".into(),
            "cut off",
            ExitStatus::SourceUnreachable,
        ),
        ("no HTTP\r\n\r\n".into(), "cut off", ExitStatus::SourceUnreachable),
    ];
    for (said, why, word) in table {
        let error = web(said);
        let all = format!("{error} {error:?} {}", error.remedy());
        assert!(error.to_string().contains(why) && error.status() == word, "{all}");
        assert!(!all.contains("MARKER"), "{all}");
    }
}

#[test]
fn s3_without_credentials_is_a_missing_role() {
    let (http, aws) = (Http::new(&Options::default()).unwrap(), Aws::default());
    let access = Access {
        http: &http,
        aws: &aws,
        credentials: None,
        region: None,
        deadline: Instant::now(),
        held: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = runtime.block_on(fetch(&"s3://bucket/k".parse().unwrap(), &access)).unwrap_err();
    assert_eq!((error.status(), error.attempts), (ExitStatus::NoRole, 0));
}

//! Objects in S3: how they are asked for, and what becomes of each answer.

use super::*;

#[test]
fn object_is_requested_by_exact_key_version_and_owner() {
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
            (fetched.layer.etag.as_deref(), fetched.layer.version_id.as_deref()),
            (Some("\"e1\""), Some("v1"))
        );
        assert_eq!(signed_for(&requests[0]), "us-west-2");
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
fn cached_layer_is_not_sent_again() {
    let bytes = b"ECS_CLUSTER=cached\n".to_vec();
    let (source, sha256) = ("s3://bucket/k".to_owned(), sha256(&bytes));
    let layer = Layer {
        source,
        etag: Some("\"e1\"".into()),
        version_id: Some("v1".into()),
        sha256,
        bytes: bytes.len(),
    };
    let cached = Cached { layer, bytes };
    let from = |source: &str, said: String| {
        let server = Server::start(vec![said]);
        let at = [("AWS_ENDPOINT_URL_S3", &*server.url())];
        let fetched = fetch_beside(&at, source, PLENTY, Some(&cached));
        (fetched, server.requests().remove(0).to_lowercase())
    };
    let (fetched, head) = from(
        "s3://bucket/k",
        "HTTP/1.1 304 Not Modified\r\nx-amz-version-id: v2\r\nConnection: close\r\n\r\n".into(),
    );
    let fetched = fetched.unwrap();
    assert!(head.contains("if-none-match: \"e1\""), "{head}");
    assert_eq!((fetched.bytes.as_slice(), fetched.not_modified), (&cached.bytes[..], true));
    assert_eq!(
        (fetched.layer.etag.as_deref(), fetched.layer.version_id.as_deref()),
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
        ExitStatus::SourceUnreachable,
        "an answer to a question that was not asked: {refused}"
    );
}

#[test]
fn wrong_region_costs_one_more_request() {
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
        assert_eq!(fetched.attempts, 2);
        assert_eq!(
            requests.iter().map(|request| signed_for(request)).collect::<Vec<_>>(),
            ["us-west-2", "eu-central-1"]
        );
    }
}

#[test]
fn regions_pointing_at_each_other_are_named_in_the_error() {
    let to =
        |region| error(301, "PermanentRedirect", "", &format!("x-amz-bucket-region: {region}\r\n"));
    let tried = |regions: &[&str]| {
        ErrorKind::RegionLoop(regions.iter().map(|region| (*region).to_owned()).collect())
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
fn region_of_source_beats_environment_beats_host_beats_partition() {
    let table = [
        ("s3://bucket/k?region=eu-west-3", Some("eu-west-1"), "eu-west-3"),
        ("s3://bucket/k", Some("eu-west-1"), "eu-west-1"),
        ("s3://bucket/k", None, "us-west-2"),
        ("arn:aws-cn:s3:::bucket/k", Some("eu-west-1"), "cn-north-1"),
    ];
    for (source, region, wanted) in table {
        let server = Server::start(vec![found("")]);
        let endpoint = server.url();
        let environment =
            [("AWS_ENDPOINT_URL", &*endpoint), ("AWS_REGION", region.unwrap_or_default())];
        fetch_with(&environment, source, PLENTY).unwrap();
        assert_eq!(signed_for(&server.requests()[0]), wanted, "{source}");
    }
}

#[test]
fn refusal_is_final_and_prints_the_missing_statement() {
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
fn wrong_owner_is_told_from_a_missing_permission() {
    let denied = || error(403, "AccessDenied", "Access Denied", "");
    let source = "s3://bucket/k?owner=123456789012";
    assert_eq!(
        kind(source, vec![denied(), found("")]),
        ErrorKind::Owner { owner: "123456789012".into() }
    );
    let (fetched, requests) = s3(source, vec![denied(), denied()]);
    let error = fetched.unwrap_err();
    assert_eq!(error.status(), ExitStatus::AccessDenied);
    assert!(error.remedy().contains("owner="), "{}", error.remedy());
    assert!(requests[0].to_lowercase().contains("expected-bucket-owner"), "{}", requests[0]);
    assert!(!requests[1].to_lowercase().contains("expected-bucket-owner"), "{}", requests[1]);
}

#[test]
fn transient_failures_are_tried_again() {
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
fn checksum_or_digest_mismatch_is_refused() {
    let wrong = || answer(200, "x-amz-checksum-crc32: AAAAAA==\r\n", "ECS_CLUSTER=a\n");
    assert_eq!(kind("s3://bucket/k", vec![wrong(), wrong(), wrong()]), ErrorKind::Checksum);
    let digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let source = format!("s3://bucket/k#sha256={digest}");
    assert_eq!(s3(&source, vec![found("")]).0.unwrap().layer.sha256, digest);
    let error = s3(&source, vec![found("ECS_CLUSTER=MARKER\n")]).0.unwrap_err();
    assert_eq!(error.status(), ExitStatus::Integrity);
    assert!(error.to_string().contains(digest) && !error.to_string().contains("MARKER"), "{error}");
}

#[test]
fn clock_skew_is_corrected_once_then_reported_in_seconds() {
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
    let twice = kind("s3://bucket/k", vec![skewed(), skewed()]);
    let ErrorKind::Network(NetworkError::ClockSkew { ahead: Some(ahead) }) = twice else {
        panic!("{twice}")
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!(ahead.unsigned_abs().abs_diff(now - 1_420_452_000) < 60, "{ahead}");
}

#[test]
fn s3_without_credentials_is_a_missing_role() {
    let (http, aws) = (Http::new(&Vars::new()).unwrap(), Aws::default());
    let access = Access {
        http: &http,
        aws: &aws,
        credentials: None,
        region: None,
        deadline: Instant::now(),
        cached: None,
    };
    let error = run(fetch(&"s3://bucket/k".parse().unwrap(), &access)).unwrap_err();
    assert_eq!((error.status(), error.attempts), (ExitStatus::NoRole, 0));
}

#[test]
fn object_larger_than_a_mebibyte_is_refused() {
    let large = "#".repeat(MAX_CONFIG + 1);
    let announced = "HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\n";
    let chunk = format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
    let chunked = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}");
    for body in [answer(200, "", &large), format!("{announced}{large}"), chunked] {
        assert_eq!(kind("s3://bucket/k", vec![body]), ErrorKind::TooLarge);
    }
    let (fetched, _) = s3("s3://bucket/k", vec![found(&"#".repeat(MAX_CONFIG))]);
    assert_eq!(fetched.unwrap().bytes.len(), MAX_CONFIG);
}

#[test]
fn endless_answer_ends_with_the_error_of_its_status() {
    let table = [
        (200, ExitStatus::Integrity),
        (403, ExitStatus::AccessDenied),
        (404, ExitStatus::NotFound),
        (400, ExitStatus::AccessDenied),
    ];
    for (status, exit) in table {
        let server = Server::start(vec![endless(status)]);
        let at = [("AWS_ENDPOINT_URL_S3", &*server.url())];
        let error = fetch_with(&at, "s3://bucket/k", PLENTY).unwrap_err();
        let sent = server.exchanges()[0].sent;
        assert_eq!((error.status(), error.attempts), (exit, 1), "{status}: {error}");
        assert!(sent < BUFFERS, "{status}: {sent} bytes were sent");
    }
}

#[test]
fn endless_refusal_of_a_parameter_is_one_too() {
    for (status, exit) in [(200, ExitStatus::Integrity), (403, ExitStatus::AccessDenied)] {
        let server = Server::start(vec![endless(status)]);
        let at = [("AWS_ENDPOINT_URL_SSM", &*server.url())];
        let error = fetch_with(&at, "ssm:///a", PLENTY).unwrap_err();
        assert_eq!((error.status(), error.attempts), (exit, 1), "{status}: {error}");
        assert!(server.exchanges()[0].sent < BUFFERS, "{status}");
    }
}

#[test]
fn part_of_an_object_is_asked_for_again() {
    for status in [201, 203, 206] {
        let part = answer(status, "Content-Range: bytes 0-13/100\r\n", "ECS_CLUSTER=ne");
        let (fetched, requests) = s3("s3://bucket/k", vec![part, found("ECS_CLUSTER=new\n")]);
        assert_eq!(fetched.unwrap().bytes, b"ECS_CLUSTER=new\n", "{status}");
        assert_eq!(requests.len(), 2, "{status}");
    }
}

//! What is between this program and S3: the network, proxies, host names.

use super::*;

#[test]
fn network_failure_is_named_with_its_cause() {
    let (_held, closed) = refusing();
    let at = |url: &str, source: &str| {
        fetch_with(&[("AWS_ENDPOINT_URL", url)], source, Duration::from_secs(1)).unwrap_err()
    };
    let error = at(&format!("http://{closed}"), "s3://bucket/k");
    let ErrorKind::Network(NetworkError::Connect { host, why }) = &error.kind else {
        panic!("{error:?}")
    };
    assert!(host == "127.0.0.1" && why.contains("refused"), "{error:?}");
    assert!(error.attempts > 1 && error.to_string().contains("attempts"), "{error}");
    // A label of 64 characters is one too many: the resolver refuses it without asking a server.
    let nowhere = format!("{}.invalid", "n".repeat(64));
    let error = at(&format!("http://{nowhere}"), "s3://bucket/k");
    assert_eq!(error.kind, NetworkError::Dns(nowhere).into());
    assert_eq!(error.status(), ExitStatus::SourceUnreachable);
    let plain = Server::start(vec![answer(400, "", "this is not TLS")]);
    let error = at(&format!("https://{}", plain.address), "s3://bucket/k");
    let ErrorKind::Network(NetworkError::Tls { host, .. }) = &error.kind else {
        panic!("{error:?}")
    };
    assert_eq!(host, "127.0.0.1");
    assert_eq!(error.attempts, 1);
}

#[test]
fn host_name_that_aws_lacks_is_a_settings_error() {
    let error = fetch_with(
        &[("AWS_USE_FIPS_ENDPOINT", "true")],
        "arn:aws-cn:s3:::bucket/k",
        Duration::from_secs(5),
    )
    .unwrap_err();
    let ErrorKind::Network(NetworkError::Unusable(why)) = &error.kind else { panic!("{error:?}") };
    assert!(why.contains("FIPS"), "{why}");
    assert_eq!(error.status(), ExitStatus::Settings);
}

#[test]
fn silent_server_ends_at_the_deadline() {
    let server = Server::start(vec![]);
    let at = [("AWS_ENDPOINT_URL", &*server.url())];
    let error = fetch_with(&at, "s3://bucket/k", Duration::from_millis(300)).unwrap_err();
    assert_eq!(error.status(), ExitStatus::SourceUnreachable);
    assert_eq!(error.kind, NetworkError::Deadline.into());
}

#[test]
fn refusal_of_the_proxy_names_the_proxy() {
    let server = Server::start(vec![answer(403, "", "not for you")]);
    let proxy = format!("http://user:MARKER@{}", server.address);
    let error = fetch_with(&[("HTTPS_PROXY", &proxy)], "s3://bucket/k", Duration::from_secs(1))
        .unwrap_err();
    let ErrorKind::Network(NetworkError::Proxy { proxy, to }) = &error.kind else {
        panic!("{error:?}")
    };
    assert_eq!(*proxy, server.address);
    assert!(to.starts_with("bucket.s3.us-west-2.amazonaws.com: "), "{to}");
    assert!(!format!("{error} {error:?} {}", error.remedy()).contains("MARKER"));
    let head = &server.requests()[0];
    assert!(
        head.starts_with("CONNECT bucket.s3.us-west-2.amazonaws.com:443 ")
            && head.to_lowercase().contains("proxy-authorization"),
        "{head}"
    );
}

#[test]
fn fips_dual_stack_and_access_point_host_names_are_aws() {
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
        (vec![], "s3://Old_Bucket/k", "s3.us-east-1.amazonaws.com:443"),
        (vec![], "arn:aws-cn:s3:::bucket/k", "bucket.s3.cn-north-1.amazonaws.com.cn:443"),
        (vec![], point, "mine-123456789012.s3-accesspoint.eu-west-1.amazonaws.com:443"),
    ];
    for (mut environment, source, host) in table {
        let server = Server::start(vec![answer(403, "", "")]);
        let proxy = server.url();
        environment.push(("HTTPS_PROXY", &proxy));
        fetch_with(&environment, source, Duration::from_millis(300)).unwrap_err();
        assert!(server.requests()[0].starts_with(&format!("CONNECT {host} ")), "{source}");
    }
}

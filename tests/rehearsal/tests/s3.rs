//! The double's S3 against what AWS documents, signed by the SDK's signer.

mod client;

use std::time::{Duration, SystemTime};

use client::{Signed, ask};
use rehearsal::{Checksum, Cloud, Object, Options, Service};

fn cloud() -> Cloud {
    let cloud = Cloud::start(Options::default());
    cloud.set_object("fleet", "ecs.config", "ECS_CLUSTER=prod\n");
    cloud
}

/// Status and error code of a signed GET.
fn refusal(cloud: &Cloud, target: &str) -> (u16, String) {
    let answer = Signed::s3(cloud, target).send(cloud);
    (answer.status, answer.xml("Code").unwrap_or_default())
}

fn code(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[test]
fn object_has_etag_checksum_and_date() {
    let cloud = cloud();
    let answer = Signed {
        headers: &[("x-amz-checksum-mode", "ENABLED")],
        ..Signed::s3(&cloud, "/fleet/ecs.config")
    }
    .send(&cloud);
    assert_eq!((answer.status, answer.text().as_str()), (200, "ECS_CLUSTER=prod\n"));
    // `printf 'ECS_CLUSTER=prod\n' | md5sum`
    assert_eq!(answer.header("etag"), Some("\"00afeedeaf65afd0305842a69967c8df\""));
    assert!(
        answer.header("x-amz-checksum-crc32").is_some() && answer.header("date").is_some(),
        "{}",
        answer.head
    );
    assert_eq!(answer.header("content-length"), Some("17"));
}

#[test]
fn key_may_contain_blanks_plus_signs_and_umlauts() {
    let cloud = cloud();
    cloud.set_object("fleet", "dir/ecs config+ü.txt", "A=1\n");
    let answer = Signed::s3(&cloud, "/fleet/dir/ecs%20config%2B%C3%BC.txt").send(&cloud);
    assert_eq!(answer.text(), "A=1\n", "{answer:?}");
}

#[test]
fn bucket_is_found_by_host_name_and_access_point() {
    let cloud = cloud();
    cloud.set_access_point("config", "fleet");
    for host in [
        "fleet.s3.eu-west-1.amazonaws.com",
        "config-123456789012.s3-accesspoint.eu-west-1.amazonaws.com",
        "fleet.localhost",
    ] {
        let answer =
            Signed { headers: &[("host", host)], ..Signed::s3(&cloud, "/ecs.config") }.send(&cloud);
        assert_eq!(answer.text(), "ECS_CLUSTER=prod\n", "{host}");
    }
}

#[test]
fn missing_key_is_404_only_with_list_permission() {
    let cloud = cloud();
    assert_eq!(refusal(&cloud, "/fleet/nothing"), code(403, "AccessDenied"));
    cloud.set_bucket("fleet", |bucket| bucket.listable = true);
    assert_eq!(refusal(&cloud, "/fleet/nothing"), code(404, "NoSuchKey"));
    assert_eq!(refusal(&cloud, "/nowhere/nothing"), code(404, "NoSuchBucket"));
    assert_eq!(refusal(&cloud, "/fleet/ecs.config?versionId=none"), code(404, "NoSuchVersion"));
}

#[test]
fn versions_are_kept_in_versioned_buckets_only() {
    let cloud = cloud();
    cloud.set_bucket("fleet", |bucket| bucket.versioned = true);
    let first = cloud.set_object("fleet", "k", "one");
    let second = cloud.set_object("fleet", "k", "two");
    let version = |id: &str| Signed::s3(&cloud, &format!("/fleet/k?versionId={id}")).send(&cloud);
    assert_eq!((version(&first).text(), version(&second).text()), ("one".into(), "two".into()));
    let current = Signed::s3(&cloud, "/fleet/k").send(&cloud);
    assert_eq!(
        (current.text(), current.header("x-amz-version-id")),
        ("two".into(), Some(second.as_str()))
    );
}

#[test]
fn conditions_and_ranges_are_honoured() {
    let cloud = cloud();
    let etag =
        Signed::s3(&cloud, "/fleet/ecs.config").send(&cloud).header("etag").unwrap().to_owned();
    let with = |headers: &[(&str, &str)]| {
        Signed { headers, ..Signed::s3(&cloud, "/fleet/ecs.config") }.send(&cloud)
    };
    assert_eq!(with(&[("if-none-match", &etag)]).status, 304);
    assert_eq!(with(&[("if-none-match", "\"other\"")]).status, 200);
    assert_eq!(with(&[("if-match", "\"other\"")]).status, 412);
    let part = with(&[("range", "bytes=4-10")]);
    assert_eq!(
        (part.status, part.text().as_str(), part.header("content-range")),
        (206, "CLUSTER", Some("bytes 4-10/17"))
    );
    assert_eq!(with(&[("range", "bytes=17-")]).xml("Code").unwrap(), "InvalidRange");
}

#[test]
fn head_answers_have_headers_and_no_body() {
    let cloud = cloud();
    let head = |target| Signed { method: "HEAD", ..Signed::s3(&cloud, target) }.send(&cloud);
    assert_eq!(
        (head("/fleet/ecs.config").status, head("/fleet/ecs.config").header("content-length")),
        (200, Some("17"))
    );
    assert_eq!(head("/fleet/nothing").status, 403);
    assert_eq!(head("/fleet").header("x-amz-bucket-region"), Some("eu-west-1"));
}

#[test]
fn checksum_is_the_one_that_was_stored() {
    let cloud = cloud();
    let sum = |checksum, name: &str| {
        cloud.set_object("fleet", "sum", Object { checksum, ..Object::from("abc") });
        let answer = Signed {
            headers: &[("x-amz-checksum-mode", "ENABLED")],
            ..Signed::s3(&cloud, "/fleet/sum")
        }
        .send(&cloud);
        answer.header(name).map(str::to_owned)
    };
    // CRC-32 and SHA-256 of "abc" are in every textbook: 352441c2 and ba7816bf…
    assert_eq!(sum(Checksum::Crc32, "x-amz-checksum-crc32").as_deref(), Some("NSRBwg=="));
    assert_eq!(
        sum(Checksum::Sha256, "x-amz-checksum-sha256").as_deref(),
        Some("ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=")
    );
    assert_eq!(sum(Checksum::None, "x-amz-checksum-crc32"), None);
}

#[test]
fn wrong_keys_tokens_signatures_and_clocks_are_refused() {
    let cloud = cloud();
    let good = client::key(&cloud);
    let (id, secret, token) =
        (good.access_key_id(), good.secret_access_key(), good.session_token().unwrap());
    let key = |id: &str, secret: &str, token: &str| {
        aws_credential_types::Credentials::new(id, secret, Some(token.into()), None, "test")
    };
    let refusal = |key, time| {
        let answer = Signed { key, time, ..Signed::s3(&cloud, "/fleet/ecs.config") }.send(&cloud);
        (answer.status, answer.xml("Code").unwrap_or_default())
    };
    let (now, quarter) = (SystemTime::now(), Duration::from_secs(905));
    assert_eq!(refusal(good.clone(), now), code(200, ""));
    assert_eq!(refusal(key("ASIANOBODY", secret, token), now), code(403, "InvalidAccessKeyId"));
    assert_eq!(refusal(key(id, "PLANTED-WRONG", token), now), code(403, "SignatureDoesNotMatch"));
    assert_eq!(refusal(key(id, secret, "PLANTED-WRONG"), now), code(400, "InvalidToken"));
    assert_eq!(refusal(good.clone(), now - quarter), code(403, "RequestTimeTooSkewed"));
    assert_eq!(refusal(good, now + quarter), code(403, "RequestTimeTooSkewed"));
    assert_eq!(
        ask(cloud.address(Service::S3), "GET", "/fleet/ecs.config", &[], "")
            .xml("Message")
            .unwrap(),
        "Access Denied"
    );
}

#[test]
fn expired_credentials_are_an_expired_token() {
    let cloud = cloud();
    cloud.renew_credentials(Duration::ZERO);
    assert_eq!(refusal(&cloud, "/fleet/ecs.config"), code(400, "ExpiredToken"));
}

#[test]
fn wrong_region_is_301_with_the_right_region() {
    let cloud = cloud();
    cloud.set_bucket("fleet", |bucket| bucket.region = "us-west-2".into());
    let answer = Signed::s3(&cloud, "/fleet/ecs.config").send(&cloud);
    assert_eq!((answer.status, answer.header("x-amz-bucket-region")), (301, Some("us-west-2")));
    assert_eq!(answer.xml("Code").unwrap(), "PermanentRedirect");
    assert_eq!(answer.xml("Endpoint").unwrap(), "fleet.s3.us-west-2.amazonaws.com");
    let again =
        Signed { region: "us-west-2", ..Signed::s3(&cloud, "/fleet/ecs.config") }.send(&cloud);
    assert_eq!(again.status, 200);
}

#[test]
fn expected_bucket_owner_must_match() {
    let cloud = cloud();
    let owned = |owner| {
        Signed {
            headers: &[("x-amz-expected-bucket-owner", owner)],
            ..Signed::s3(&cloud, "/fleet/ecs.config")
        }
        .send(&cloud)
        .status
    };
    assert_eq!((owned("123456789012"), owned("999999999999")), (200, 403));
}

#[test]
fn denied_read_names_caller_action_and_resource() {
    let cloud = cloud();
    cloud.set_bucket("fleet", |bucket| bucket.readable = false);
    let message = Signed::s3(&cloud, "/fleet/ecs.config").send(&cloud).xml("Message").unwrap();
    assert_eq!(
        message,
        "User: arn:aws:sts::123456789012:assumed-role/ecsInstanceRole/i-0ec5b007572a90001 is not authorized to perform: s3:GetObject on resource: &quot;arn:aws:s3:::fleet/ecs.config&quot; because no identity-based policy allows the s3:GetObject action"
    );
}

#[test]
fn presigned_url_needs_no_other_credentials() {
    let cloud = cloud();
    let target = |lifetime| {
        cloud
            .presigned("fleet", "ecs.config", lifetime)
            .strip_prefix(&cloud.url(Service::S3))
            .unwrap()
            .to_owned()
    };
    let answer = |target: &str| ask(cloud.address(Service::S3), "GET", target, &[], "");
    let good = target(Duration::from_secs(60));
    assert_eq!(answer(&good).text(), "ECS_CLUSTER=prod\n");
    assert_eq!(
        answer(&good.replace("ecs.config", "other")).xml("Code").unwrap(),
        "SignatureDoesNotMatch"
    );
    assert!(cloud.requests().iter().all(|seen| !format!("{seen:?}").contains("PLANTED")));
}

#[test]
fn public_prefix_is_readable_without_signature() {
    let cloud = cloud();
    cloud.set_object("fleet", "public/file", "A=1\n");
    cloud.set_bucket("fleet", |bucket| bucket.public_prefix = Some("public/".into()));
    let status = |target: &str| ask(cloud.address(Service::S3), "GET", target, &[], "").status;
    assert_eq!([status("/fleet/public/file"), status("/fleet/ecs.config")], [200, 403]);
}

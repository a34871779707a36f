//! The double's instance metadata against what AWS documents ("Use IMDS") and what
//! amazon-ec2-metadata-mock answers.

mod client;

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::time::Duration;

use client::{Answer, ask, eventually, item, token};
use rehearsal::{Cloud, Options, Service};
use serde_json::Value;

const TTL: &str = "X-aws-ec2-metadata-token-ttl-seconds";

fn cloud() -> Cloud {
    Cloud::start(Options::default())
}

fn put(cloud: &Cloud, path: &str, headers: &[(&str, &str)]) -> Answer {
    ask(cloud.address(Service::Imds), "PUT", path, headers, "")
}

fn get(cloud: &Cloud, path: &str, token: &str) -> Answer {
    ask(cloud.address(Service::Imds), "GET", path, &[("X-aws-ec2-metadata-token", token)], "")
}

#[test]
fn token_answer_repeats_the_ttl() {
    let answer = put(&cloud(), "/latest/api/token", &[(TTL, "21600")]);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/plain")));
    assert_eq!(answer.header("x-aws-ec2-metadata-token-ttl-seconds"), Some("21600"));
    assert_eq!(answer.body.len(), 56);
}

#[test]
fn token_requires_a_ttl_from_1_to_21600() {
    let cloud = cloud();
    for ttl in ["0", "21601", "x", "-1", ""] {
        assert_eq!(put(&cloud, "/latest/api/token", &[(TTL, ttl)]).status, 400, "{ttl}");
    }
    let missing = put(&cloud, "/latest/api/token", &[]);
    assert!(
        missing.status == 400 && missing.text().contains("<title>400 - Bad Request</title>"),
        "{missing:?}"
    );
}

#[test]
fn forwarded_or_versioned_token_request_is_403() {
    let cloud = cloud();
    assert_eq!(
        put(&cloud, "/latest/api/token", &[(TTL, "60"), ("X-Forwarded-For", "10.0.0.1")]).status,
        403
    );
    assert_eq!(put(&cloud, "/2021-07-15/api/token", &[(TTL, "60")]).status, 403);
}

#[test]
fn every_item_requires_a_valid_token() {
    let cloud = cloud();
    for given in ["", "wrong"] {
        let answer = get(&cloud, "/latest/meta-data/instance-id", given);
        assert!(answer.status == 401 && answer.text().contains("401 - Unauthorized"), "{answer:?}");
    }
    assert_eq!(get(&cloud, "/latest/meta-data/nothing", "wrong").status, 401);
}

#[test]
fn token_expires_after_its_ttl() {
    let cloud = cloud();
    let token = |ttl: &str| put(&cloud, "/latest/api/token", &[(TTL, ttl)]).text();
    let (short, long) = (token("1"), token("21600"));
    let status = |token: &str| get(&cloud, "/latest/meta-data/mac", token).status;
    eventually(|| status(&short) == 401);
    assert_eq!(status(&long), 200);
}

#[test]
fn items_and_folders_answer_with_and_without_slash() {
    let cloud = cloud();
    for path in ["meta-data/placement", "meta-data/placement/"] {
        assert_eq!(item(&cloud, path).text(), "availability-zone\nregion", "{path}");
    }
    assert!(item(&cloud, "meta-data/").text().contains("\nplacement/\n"));
    assert_eq!(item(&cloud, "meta-data/iam/security-credentials/").text(), "ecsInstanceRole");
    assert_eq!(item(&cloud, "meta-data/placement/region").text(), "eu-west-1");
    assert_eq!(item(&cloud, "meta-data/placement/region/").text(), "eu-west-1");
}

#[test]
fn known_versions_answer_like_latest_and_others_are_404() {
    let cloud = cloud();
    let token = token(&cloud);
    assert_eq!(get(&cloud, "/2021-07-15/meta-data/mac", &token).text(), "02:00:00:00:00:01");
    assert_eq!(get(&cloud, "/1999-01-01/meta-data/mac", &token).status, 404);
}

#[test]
fn credentials_and_documents_have_the_fields_of_ec2() {
    let cloud = cloud();
    let keys = |path: &str| {
        let document: Value = serde_json::from_slice(&item(&cloud, path).body).unwrap();
        document.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        keys("meta-data/iam/security-credentials/ecsInstanceRole"),
        "Code LastUpdated Type AccessKeyId SecretAccessKey Token Expiration"
    );
    assert_eq!(keys("meta-data/iam/info"), "Code LastUpdated InstanceProfileArn InstanceProfileId");
    for key in ["accountId", "instanceId", "region", "availabilityZone", "instanceType", "imageId"]
    {
        assert!(keys("dynamic/instance-identity/document").contains(key), "{key}");
    }
}

#[test]
fn missing_items_are_404_until_set() {
    let cloud = cloud();
    for path in [
        "user-data",
        "meta-data/tags/instance/Name",
        "meta-data/autoscaling/target-lifecycle-state",
        "meta-data/iam/security-credentials/other",
    ] {
        let answer = item(&cloud, path);
        assert!(answer.status == 404 && answer.text().contains("404 - Not Found"), "{path}");
    }
    cloud.set_host(|host| host.role = None);
    assert_eq!(item(&cloud, "meta-data/iam/info").status, 404);
    cloud.set_host(|host| {
        host.tags = Some(BTreeMap::from([("ecs-bootstrap:config".into(), "s3://b/k".into())]));
        host.user_data = Some("#!/bin/sh\n".into());
        host.lifecycle_state = Some("InService".into());
    });
    assert_eq!(item(&cloud, "meta-data/tags/instance/ecs-bootstrap:config").text(), "s3://b/k");
    assert_eq!(item(&cloud, "meta-data/tags/instance").text(), "ecs-bootstrap:config");
    assert_eq!(item(&cloud, "user-data").text(), "#!/bin/sh\n");
    assert_eq!(item(&cloud, "meta-data/autoscaling/target-lifecycle-state").text(), "InService");
}

#[test]
fn imds_answers_on_ipv6() {
    if TcpStream::connect_timeout(&"[::1]:1".parse().unwrap(), Duration::from_millis(100))
        .is_err_and(|e| e.kind() != std::io::ErrorKind::ConnectionRefused)
    {
        println!("skipped: no IPv6 loopback here");
        return assert!(std::env::var_os("CI").is_none());
    }
    let cloud = Cloud::start(Options { imds_v6: true, ..Options::default() });
    assert!(cloud.url(Service::Imds).starts_with("http://[::1]:"));
    assert_eq!(item(&cloud, "meta-data/mac").status, 200);
}

#[test]
fn journal_records_requests_without_tokens() {
    let cloud = cloud();
    item(&cloud, "meta-data/mac");
    let seen = cloud.requests();
    let recorded: Vec<_> =
        seen.iter().map(|s| (s.method.as_str(), s.path.as_str(), s.had_token, s.status)).collect();
    assert_eq!(
        recorded,
        [("PUT", "/latest/api/token", false, 200), ("GET", "/latest/meta-data/mac", true, 200)]
    );
    assert!(seen[0].end.unwrap() <= seen[1].start && seen[0].connection != seen[1].connection);
    assert!(!format!("{seen:?}").contains("PLANTED"));
}

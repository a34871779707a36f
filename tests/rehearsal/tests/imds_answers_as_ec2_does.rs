//! The double's instance metadata against what AWS documents and what was measured on EC2's own
//! mock.

mod client;

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::time::Duration;

use client::{Answer, ask, item, token};
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
fn a_token_comes_with_its_time_to_live() {
    let answer = put(&cloud(), "/latest/api/token", &[(TTL, "21600")]);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/plain")));
    assert_eq!(answer.header("x-aws-ec2-metadata-token-ttl-seconds"), Some("21600"));
    assert_eq!(answer.body.len(), 56);
}

#[test]
fn a_token_needs_a_time_to_live_from_1_to_21600() {
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
fn a_forwarded_put_and_a_versioned_token_path_are_403() {
    let cloud = cloud();
    assert_eq!(
        put(&cloud, "/latest/api/token", &[(TTL, "60"), ("X-Forwarded-For", "10.0.0.1")]).status,
        403
    );
    assert_eq!(put(&cloud, "/2021-07-15/api/token", &[(TTL, "60")]).status, 403);
}

#[test]
fn nothing_is_told_without_a_good_token() {
    let cloud = cloud();
    for given in ["", "wrong"] {
        let answer = get(&cloud, "/latest/meta-data/instance-id", given);
        assert!(answer.status == 401 && answer.text().contains("401 - Unauthorized"), "{answer:?}");
    }
    assert_eq!(get(&cloud, "/latest/meta-data/nothing", "wrong").status, 401);
}

#[test]
fn a_token_ends_with_its_time() {
    let cloud = cloud();
    let token = put(&cloud, "/latest/api/token", &[(TTL, "1")]).text();
    assert_eq!(get(&cloud, "/latest/meta-data/mac", &token).status, 200);
    let gone = || get(&cloud, "/latest/meta-data/mac", &token).status == 401;
    assert!((0..40).any(|_| gone() || {
        std::thread::sleep(Duration::from_millis(50));
        false
    }));
}

#[test]
fn items_and_folders_answer_with_and_without_a_slash() {
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
fn a_pinned_version_answers_like_latest_and_an_unknown_one_does_not() {
    let cloud = cloud();
    let token = token(&cloud);
    assert_eq!(get(&cloud, "/2021-07-15/meta-data/mac", &token).text(), "02:00:00:00:00:01");
    assert_eq!(get(&cloud, "/1999-01-01/meta-data/mac", &token).status, 404);
}

#[test]
fn credentials_and_documents_have_ec2s_fields() {
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
fn what_a_host_does_not_have_is_404() {
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
fn imds_speaks_on_ipv6_too() {
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
fn the_journal_knows_who_asked_what_and_no_token() {
    let cloud = cloud();
    item(&cloud, "meta-data/mac");
    let seen = cloud.requests();
    let told: Vec<_> =
        seen.iter().map(|s| (s.method.as_str(), s.path.as_str(), s.had_token, s.status)).collect();
    assert_eq!(
        told,
        [("PUT", "/latest/api/token", false, 200), ("GET", "/latest/meta-data/mac", true, 200)]
    );
    assert!(seen[0].end.unwrap() <= seen[1].start && seen[0].connection != seen[1].connection);
    assert!(!format!("{seen:?}").contains("PLANTED"));
}

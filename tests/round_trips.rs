//! A boot waits for no answer that it does not need: requests that do not depend on each other are
//! under way at the same time, and none is made twice.
//!
//! The chain is token → role's name → credentials → STS beside S3. How long it takes is measured by
//! tests/bench/run.

mod support;

use std::collections::BTreeSet;

use rehearsal::{CONNECTION, Service};
use support::{Host, SOURCE};

const DOCUMENT: &str = "/latest/dynamic/instance-identity/document";
const ROLE: &str = "/latest/meta-data/iam/security-credentials/";
const OBJECT: &str = "/fleet-config/ecs.config";

/// A host whose cloud answers only requests that come together; a busy machine may take its time to
/// send them.
fn host() -> Host {
    let host = Host::default();
    let second_link = [DOCUMENT, ROLE].map(|path| (Service::Imds, path));
    host.cloud.expect_concurrent(&second_link);
    host
}

fn boot(host: &Host, sources: &[&str]) {
    let args: Vec<&str> = sources.iter().flat_map(|source| ["--config", source]).collect();
    host.run_with(&[("AWS_METADATA_SERVICE_TIMEOUT", "30")], &args).succeeds_as("installed");
}

fn paths(host: &Host, service: Service) -> Vec<String> {
    let requests = host.cloud.requests().into_iter().filter(|seen| seen.service == service);
    let mut paths: Vec<String> = requests.map(|seen| seen.path).collect();
    paths.sort();
    paths
}

#[test]
fn boot_makes_six_requests_in_a_chain_of_four() {
    let host = host();
    host.cloud.expect_concurrent(&[(Service::Sts, "/"), (Service::S3, OBJECT)]);
    boot(&host, &[SOURCE]);
    assert!(host.cloud.were_concurrent(), "{:#?}", host.cloud.requests());
    let credentials = format!("{ROLE}ecsInstanceRole");
    let wanted = ["/latest/api/token", DOCUMENT, ROLE, &credentials];
    assert_eq!(paths(&host, Service::Imds), wanted);
    assert_eq!(paths(&host, Service::Sts), ["/"]);
    assert_eq!(paths(&host, Service::S3), [OBJECT]);
}

#[test]
fn expected_role_shortens_the_chain_to_three() {
    let host = Host::default();
    let credentials = format!("{ROLE}ecsInstanceRole");
    let second_link = [DOCUMENT, ROLE, &credentials].map(|path| (Service::Imds, path));
    host.cloud.expect_concurrent(&second_link);
    let more = ["--config", SOURCE, "--expect-role", "ecsInstanceRole"];
    host.run_with(&[("AWS_METADATA_SERVICE_TIMEOUT", "30")], &more).succeeds_as("installed");
    assert!(host.cloud.were_concurrent(), "{:#?}", host.cloud.requests());
    assert_eq!(host.cloud.requests().len(), 6);
}

#[test]
fn another_role_than_the_expected_one_is_a_mismatch() {
    let host = Host::default();
    let ended = host.run_with(&[], &["--config", SOURCE, "--expect-role", "web"]);
    ended.fails_as("identity_mismatch", 12, &["--expect-role"]);
    let asked = paths(&host, Service::Imds);
    for role in ["web", "ecsInstanceRole"] {
        assert!(asked.contains(&format!("{ROLE}{role}")), "{asked:?}");
    }
}

#[test]
fn connections_are_open_before_the_credentials_arrive() {
    let host = Host::default();
    let credentials = format!("{ROLE}ecsInstanceRole");
    let early =
        [(Service::Imds, &*credentials), (Service::S3, CONNECTION), (Service::Sts, CONNECTION)];
    host.cloud.expect_concurrent(&early);
    boot(&host, &[SOURCE]);
    assert!(host.cloud.were_concurrent(), "{:#?}", host.cloud.requests());
}

#[test]
fn thirty_layers_share_four_connections() {
    let host = Host::default();
    let keys: Vec<String> = (0..30).map(|number| format!("layer-{number}")).collect();
    for key in &keys {
        host.cloud.set_object("fleet-config", key, "ECS_LOGLEVEL=debug\n");
    }
    let sources: Vec<String> = keys.iter().map(|key| format!("s3://fleet-config/{key}")).collect();
    let sources: Vec<&str> = sources.iter().map(String::as_str).chain([SOURCE]).collect();
    boot(&host, &sources);
    assert_eq!(connections(&host, Service::S3), 4);
}

#[test]
fn layers_are_fetched_concurrently() {
    let host = host();
    host.cloud.set_object("fleet-config", "b", "ECS_LOGLEVEL=debug\n");
    host.cloud.set_object("fleet-config", "c", "ECS_ENABLE_TASK_IAM_ROLE=true\n");
    let objects = [OBJECT, "/fleet-config/b", "/fleet-config/c"].map(|path| (Service::S3, path));
    host.cloud.expect_concurrent(&[&objects[..], &[(Service::Sts, "/")]].concat());
    boot(&host, &[SOURCE, "s3://fleet-config/b", "s3://fleet-config/c"]);
    assert!(host.cloud.were_concurrent(), "{:#?}", host.cloud.requests());
}

#[test]
fn bucket_in_another_region_costs_one_more_request() {
    let host = host().with_fault("s3-wrong-region");
    host.cloud.expect_concurrent(&[(Service::Sts, "/"), (Service::S3, OBJECT)]);
    boot(&host, &[SOURCE]);
    assert!(host.cloud.were_concurrent(), "{:#?}", host.cloud.requests());
    assert_eq!(paths(&host, Service::S3), [OBJECT, OBJECT]);
    assert_eq!(paths(&host, Service::Sts), ["/"]);
}

#[test]
fn metadata_requests_reuse_at_most_two_connections() {
    let host = Host::default();
    host.boots("installed");
    let found = connections(&host, Service::Imds);
    assert!(found <= 2, "two requests are concurrent: {found}");
}

/// How many connections the requests to a service took.
fn connections(host: &Host, service: Service) -> usize {
    let requests = host.cloud.requests().into_iter().filter(|seen| seen.service == service);
    requests.map(|seen| seen.connection).collect::<BTreeSet<_>>().len()
}

//! A boot waits for no answer that it does not need: requests that do not depend on each other are
//! under way at the same time, and none is made twice.
//!
//! The chain is token → role's name → credentials → STS beside S3. How long it takes is measured by
//! tests/bench/latency.

mod support;

use rehearsal::Service;
use support::{Host, SOURCE};

const DOCUMENT: &str = "/latest/dynamic/instance-identity/document";
const PROFILE: &str = "/latest/meta-data/iam/info";
const ROLE: &str = "/latest/meta-data/iam/security-credentials/";
const OBJECT: &str = "/fleet-config/ecs.config";

/// A host whose cloud answers only requests that come together; a busy machine may take its time to
/// send them.
fn host() -> Host {
    let host = Host::default();
    let second_link = [DOCUMENT, PROFILE, ROLE].map(|path| (Service::Imds, path));
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
fn boot_makes_seven_requests_in_a_chain_of_four() {
    let host = host();
    host.cloud.expect_concurrent(&[(Service::Sts, "/"), (Service::S3, OBJECT)]);
    boot(&host, &[SOURCE]);
    assert!(host.cloud.were_concurrent(), "{:#?}", host.cloud.requests());
    let credentials = format!("{ROLE}ecsInstanceRole");
    let wanted = ["/latest/api/token", DOCUMENT, PROFILE, ROLE, &credentials];
    assert_eq!(paths(&host, Service::Imds), wanted);
    assert_eq!(paths(&host, Service::Sts), ["/"]);
    assert_eq!(paths(&host, Service::S3), [OBJECT]);
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
fn metadata_requests_reuse_at_most_three_connections() {
    let host = Host::default();
    host.boots("installed");
    let requests = host.cloud.requests().into_iter();
    let mut connections: Vec<u64> =
        requests.filter(|seen| seen.service == Service::Imds).map(|seen| seen.connection).collect();
    connections.sort_unstable();
    connections.dedup();
    assert!(connections.len() <= 3, "three requests are concurrent: {connections:?}");
}

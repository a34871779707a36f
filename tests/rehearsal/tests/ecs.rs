//! The double's ECS, as far as `ecs-bootstrap doctor` asks it, signed by the SDK's signer.

mod client;

use client::{Answer, Signed};
use rehearsal::{Cloud, Options, Service};

fn call(cloud: &Cloud, action: &str) -> Answer {
    let target = format!("AmazonEC2ContainerServiceV20141113.{action}");
    let headers = [("host", "ecs.eu-west-1.amazonaws.com"), ("x-amz-target", target.as_str())];
    let signed = Signed { headers: &headers, ..Signed::sts(cloud) };
    Signed { service: Service::Ecs, ..signed }.send(cloud)
}

#[test]
fn discover_poll_endpoint_names_agent_and_telemetry_endpoints() {
    let cloud = Cloud::start(Options::default());
    let answer = call(&cloud, "DiscoverPollEndpoint");
    assert_eq!(answer.status, 200, "{answer:?}");
    let document: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(document["endpoint"], "https://ecs-a-1.eu-west-1.amazonaws.com/");
    assert_eq!(document["telemetryEndpoint"], "https://ecs-t-1.eu-west-1.amazonaws.com/");
    assert_eq!(cloud.requests().last().unwrap().service, Service::Ecs);
}

#[test]
fn unknown_actions_are_refused() {
    let answer = call(&Cloud::start(Options::default()), "DeleteCluster");
    assert!(answer.status == 400 && answer.text().contains("UnknownOperation"), "{answer:?}");
}

//! What a run has proven, where others look for it: attributes of the container instance, the
//! inventory of Systems Manager, a metric of CloudWatch.

mod support;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use support::{Ended, Host, SOURCE, TARGET, TEXT};

const INVENTORY: &str =
    "/var/lib/amazon/ssm/i-0ec5b007572a90001/inventory/custom/ecs-bootstrap.json";

fn boots(host: &Host, more: &[&str]) -> Ended {
    host.run(&[&["--config", SOURCE][..], more].concat())
}

/// The attributes in the installed file.
fn attributes(host: &Host) -> BTreeMap<String, Value> {
    let text = host.installed().unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("ECS_INSTANCE_ATTRIBUTES="));
    serde_json::from_str(line.unwrap_or("{}")).unwrap()
}

/// The same without ours.
fn others(host: &Host) -> BTreeMap<String, Value> {
    let mut all = attributes(host);
    all.retain(|name, _| !name.starts_with("ecs-bootstrap."));
    all
}

fn rack(rack: &str) -> BTreeMap<String, Value> {
    BTreeMap::from([("rack".to_owned(), json!(rack))])
}

#[test]
fn attributes_are_added_and_a_second_run_writes_nothing() {
    let host = Host::default();
    let ended = boots(&host, &["--attributes"]);
    ended.succeeds_as("installed");
    let layer = ended.report["config"]["layers"][0]["sha256"].as_str().unwrap();
    let expected = json!({
        "ecs-bootstrap.version": env!("CARGO_PKG_VERSION"),
        "ecs-bootstrap.config": layer[..12],
        "ecs-bootstrap.guard": "absent",
        "ecs-bootstrap.identity": "sts",
    });
    assert_eq!(json!(attributes(&host)), expected);
    assert!(host.installed().unwrap().starts_with(TEXT));
    assert_eq!(ended.report["config"]["keys"]["ECS_INSTANCE_ATTRIBUTES"]["from"], "--attributes");
    boots(&host, &["--attributes"]).succeeds_as("unchanged");
    boots(&host, &[]).succeeds_as("installed");
    assert_eq!(
        host.installed().as_deref(),
        Some(TEXT),
        "nothing of ours stays without the setting"
    );
}

#[test]
fn attributes_of_a_layer_are_merged() {
    let text =
        format!("{TEXT}ECS_INSTANCE_ATTRIBUTES={{\"rack\":\"a\",\"ecs-bootstrap.guard\":\"x\"}}\n");
    let host = Host::default().stores(text.as_str());
    boots(&host, &["--attributes"]).succeeds_as("installed");
    assert_eq!(others(&host), rack("a"));
    assert_eq!(attributes(&host)["ecs-bootstrap.guard"], "absent");
    boots(&host, &["--attributes"]).succeeds_as("unchanged");
    let host = host.stores(TEXT);
    boots(&host, &["--attributes"]).succeeds_as("installed");
    assert_eq!(others(&host), BTreeMap::new(), "what the layer no longer sets goes");
}

#[test]
fn attributes_of_other_programs_stay() {
    let foreign = "ECS_INSTANCE_ATTRIBUTES={\"rack\":\"b\"}\n";
    let host = Host::default().with_file(TARGET, foreign);
    for outcome in ["installed", "unchanged"] {
        boots(&host, &["--attributes"]).succeeds_as(outcome);
        assert_eq!((others(&host), attributes(&host).len()), (rack("b"), 5));
    }
    boots(&host, &[]).succeeds_as("installed");
    assert_eq!(attributes(&host), rack("b"));
    let host = Host::default().with_file("/var/lib/ecs/ecs.config", foreign);
    boots(&host, &["--attributes"]).succeeds_as("installed");
    assert_eq!(others(&host), rack("b"), "the file of the instance would be hidden");
}

#[test]
fn configuration_attribute_is_of_all_layers_in_order() {
    let host = Host::default();
    host.cloud.set_object("fleet-config", "b", "ECS_LOGLEVEL=warn\n");
    let layers = ["--config", "s3://fleet-config/b", "--attributes"];
    let ended = boots(&host, &layers);
    ended.succeeds_as("installed");
    let of = |at: usize| ended.report["config"]["layers"][at]["sha256"].as_str().unwrap();
    let both = [of(0), of(1)].concat();
    let digest = std::process::Command::new("sh")
        .args(["-c", "printf %s \"$0\" | sha256sum", &both])
        .output()
        .unwrap();
    let digest = String::from_utf8(digest.stdout).unwrap();
    assert_eq!(attributes(&host)["ecs-bootstrap.config"], digest[..12]);
}

#[test]
fn values_that_are_not_an_object_are_left_to_the_linter() {
    let host = Host::default().stores("ECS_CLUSTER=a\nECS_INSTANCE_ATTRIBUTES=[1]\n");
    boots(&host, &["--attributes"]).fails_as("lint", 30, &["json-shape"]);
}

/// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_InventoryItem.html>
fn is_inventory(item: &Value) {
    let keys: Vec<_> = item.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["SchemaVersion", "TypeName", "Content"]);
    // Type names: `^(AWS|Custom):.*$`, 1 to 100 characters.
    let name = item["TypeName"].as_str().unwrap();
    assert!(name.starts_with("Custom:") && name.len() <= 100);
    // Versions of schemas: `^([0-9]{1,6})(\.[0-9]{1,6})$`.
    let version = item["SchemaVersion"].as_str().unwrap();
    let parts: Vec<&str> = version.split('.').collect();
    let is_number = |part: &&str| part.len() <= 6 && part.parse::<u32>().is_ok();
    assert!(parts.len() == 2 && parts.iter().all(is_number), "{version}");
    // One entry: up to 50 attributes, names of 1 to 64 characters, values of 0 to 4096.
    let content = item["Content"].as_object().unwrap();
    assert!((1..=50).contains(&content.len()));
    for (name, value) in content {
        let value = value.as_str().unwrap_or_else(|| panic!("{name} is not a string: {value}"));
        assert!((1..=64).contains(&name.len()) && value.chars().count() <= 4096, "{name}");
    }
}

#[test]
fn inventory_has_the_documented_schema_and_is_written_once() {
    let host = Host::default();
    boots(&host, &[]).succeeds_as("installed");
    assert!(host.machine.read(INVENTORY).is_none());
    let ended = boots(&host, &["--inventory"]);
    ended.succeeds_as("unchanged");
    let item = host.json(INVENTORY);
    is_inventory(&item);
    let content = &item["Content"];
    assert_eq!((&content["Outcome"], &content["ExitStatus"]), (&json!("verified"), &json!("0")));
    assert_eq!(content["ConfigSha256"], ended.report["config"]["sha256"]);
    assert!(content["Sources"].as_str().unwrap().starts_with(SOURCE));
    let written = || std::fs::metadata(host.machine.path(INVENTORY)).unwrap().modified().unwrap();
    let before = written();
    boots(&host, &["--inventory"]).succeeds_as("unchanged");
    assert_eq!(written(), before);
    let host = host.stores("ECS_CLUSTER = a\nECS_ENABLE_TASK_IAM_ROLE=yes\n");
    boots(&host, &["--inventory"]).fails_as("lint", 30, &[]);
    is_inventory(&host.json(INVENTORY));
    assert_eq!(host.json(INVENTORY)["Content"]["Outcome"], "lint");
}

#[test]
fn emf_ends_with_a_metric_of_cloudwatch() {
    let host = Host::default();
    let ended = boots(&host, &["--log-format", "emf"]);
    let lines: Vec<Value> =
        ended.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = lines.last().unwrap();
    let directive = &last["_aws"]["CloudWatchMetrics"][0];
    assert!(last["_aws"]["Timestamp"].as_u64().unwrap() > 1_600_000_000_000);
    assert_eq!(directive["Namespace"], "EcsBootstrap");
    // Every dimension and metric that is named is a member of the line.
    for dimension in
        directive["Dimensions"].as_array().unwrap().iter().flat_map(|set| set.as_array().unwrap())
    {
        assert!(last[dimension.as_str().unwrap()].is_string(), "{dimension}");
    }
    for metric in directive["Metrics"].as_array().unwrap() {
        assert!(last[metric["Name"].as_str().unwrap()].is_number(), "{metric}");
    }
    assert_eq!((&last["Outcome"], &last["Failed"]), (&json!("installed"), &json!(0)));
}

//! Several layers, values from the command line, foreign keys, and placeholders.

mod support;

use serde_json::json;
use support::{Host, SOURCE, TARGET};

const SECOND: &str = "s3://fleet-config/second";

fn two_layers() -> Host {
    let host = Host::default();
    host.cloud.set_object("fleet-config", "second", "ECS_CLUSTER=blue\nECS_LOGLEVEL=debug\n");
    host
}

fn value(host: &Host, key: &str) -> Option<String> {
    let text = host.installed()?;
    let values: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect();
    assert!(values.len() <= 1, "{key} is set twice: {text}");
    values.first().map(|value| (*value).to_owned())
}

#[test]
fn later_layers_win_and_set_is_the_last() {
    let host = two_layers();
    let ended = host.run(&["--config", SOURCE, "--config", SECOND, "--set", "ECS_LOGLEVEL=warn"]);
    ended.succeeds_as("installed");
    let found = ["ECS_CLUSTER", "ECS_LOGLEVEL", "ECS_ENABLE_SPOT_INSTANCE_DRAINING"]
        .map(|key| value(&host, key).unwrap());
    assert_eq!(found, ["blue", "warn", "true"]);
    let keys = &ended.report["config"]["keys"];
    assert_eq!(keys["ECS_CLUSTER"], json!({"from": SECOND, "line": 1}));
    assert_eq!(
        (&keys["ECS_LOGLEVEL"]["from"], &keys["ECS_ENABLE_SPOT_INSTANCE_DRAINING"]["from"]),
        (&json!("--set"), &json!(SOURCE))
    );
    let sources: Vec<_> = ended.report["config"]["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| &layer["source"])
        .collect();
    assert_eq!(sources, [SOURCE, SECOND]);
    host.run(&["--config", SOURCE, "--config", SECOND, "--set", "ECS_LOGLEVEL=warn"])
        .succeeds_as("unchanged");
}

#[test]
fn set_alone_is_a_configuration() {
    let host = Host::default();
    host.run(&["--set", "ECS_CLUSTER=by-hand"]).succeeds_as("installed");
    assert_eq!(host.installed().as_deref(), Some("ECS_CLUSTER=by-hand\n"));
}

#[test]
fn files_and_plain_paths_are_layers() {
    let host = Host::default().with_file("/base", "ECS_CLUSTER=base\nECS_LOGLEVEL=info\n");
    let path = host.machine.path("/base").display().to_string();
    host.run(&["--config", &path]).succeeds_as("installed");
    host.run(&["--config", &format!("file://{path}")]).succeeds_as("unchanged");
    assert_eq!(value(&host, "ECS_CLUSTER").as_deref(), Some("base"));
}

#[test]
fn foreign_keys_stay_unless_set_or_replaced() {
    let host = Host::default().with_file(
        TARGET,
        "# theirs\nECS_RESERVED_MEMORY=128\nECS_ENABLE_SPOT_INSTANCE_DRAINING=false\n",
    );
    host.boots("installed");
    let keys = ["ECS_RESERVED_MEMORY", "ECS_ENABLE_SPOT_INSTANCE_DRAINING", "ECS_CLUSTER"];
    assert_eq!(keys.map(|key| value(&host, key).unwrap()), ["128", "true", "prod"]);
    host.boots("unchanged");
    host.run(&["--config", SOURCE, "--replace"]).succeeds_as("installed");
    assert_eq!(host.installed().as_deref(), Some(support::TEXT));
}

#[test]
fn keep_applies_only_to_foreign_values() {
    let host = Host::default().with_file(TARGET, "ECS_ENABLE_SPOT_INSTANCE_DRAINING=false\n");
    let keep = [
        "--config",
        SOURCE,
        "--keep",
        "ECS_ENABLE_SPOT_INSTANCE_DRAINING",
        "--keep",
        "ECS_CLUSTER",
    ];
    host.run(&keep).succeeds_as("installed");
    assert_eq!(value(&host, "ECS_ENABLE_SPOT_INSTANCE_DRAINING").as_deref(), Some("false"));
    assert_eq!(
        value(&host, "ECS_CLUSTER").as_deref(),
        Some("prod"),
        "no other program had written it"
    );
    host.run(&keep).succeeds_as("unchanged");
    let host = host.stores("ECS_CLUSTER=blue\nECS_ENABLE_SPOT_INSTANCE_DRAINING=true\n");
    host.run(&keep).succeeds_as("installed");
    assert_eq!(value(&host, "ECS_CLUSTER").as_deref(), Some("blue"), "this program had written it");
    assert_eq!(value(&host, "ECS_ENABLE_SPOT_INSTANCE_DRAINING").as_deref(), Some("false"));
}

#[test]
fn removed_keys_leave_the_file_and_foreign_keys_stay() {
    let host = Host::default().stores("ECS_CLUSTER=prod\nECS_LOGLEVEL=debug\n");
    host.boots("installed");
    host.machine.write(TARGET, format!("{}ECS_RESERVED_MEMORY=128\n", host.installed().unwrap()));
    let host = host.stores("ECS_CLUSTER=prod\n");
    host.boots("installed");
    assert_eq!(
        (value(&host, "ECS_LOGLEVEL"), value(&host, "ECS_RESERVED_MEMORY").as_deref()),
        (None, Some("128"))
    );
}

#[test]
fn keep_preserves_the_cluster_of_batch() {
    let batch = "ECS_CLUSTER=fleet_Batch_0ec5b007-572a-3b5e-9d5c-0123456789ab\n";
    let host = Host::default().with_file(TARGET, batch);
    host.run(&["--config", SOURCE, "--keep", "ECS_CLUSTER"]).succeeds_as("installed");
    assert_eq!(
        value(&host, "ECS_CLUSTER").as_deref(),
        Some("fleet_Batch_0ec5b007-572a-3b5e-9d5c-0123456789ab")
    );
    assert_eq!(value(&host, "ECS_ENABLE_SPOT_INSTANCE_DRAINING").as_deref(), Some("true"));
}

#[test]
fn same_cluster_may_be_installed_again() {
    let host = Host::default();
    host.boots("installed");
    let host = host
        .with_file("/var/lib/ecs/data/agent.db", "bolt")
        .stores("ECS_CLUSTER=prod\nECS_LOGLEVEL=debug\n");
    host.boots("installed");
}

const EXPANDED: &str = "ECS_CLUSTER=${tag:Fleet}-${region}\nECS_INSTANCE_ATTRIBUTES={\"zone\":\"${availability_zone}\",\"type\":\"${instance_type}\",\
    \"image\":\"${ami_id}\",\"id\":\"${instance_id}\",\"account\":\"${account_id}\"}\n";

#[test]
fn expand_fills_in_host_facts_and_named_tags() {
    let host = Host::default().stores(EXPANDED);
    let tags = [("Fleet", "blue"), ("Other", "x")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    host.cloud.set_host(|host| host.tags = Some(tags.into()));
    host.run(&["--config", SOURCE, "--expand"]).succeeds_as("installed");
    assert_eq!(value(&host, "ECS_CLUSTER").as_deref(), Some("blue-eu-west-1"));
    let attributes: serde_json::Value =
        serde_json::from_str(&value(&host, "ECS_INSTANCE_ATTRIBUTES").unwrap()).unwrap();
    assert_eq!(
        attributes,
        json!({"zone": "eu-west-1b", "type": "m7i.large", "image": "ami-0ec5b007572a90002",
        "id": "i-0ec5b007572a90001", "account": "123456789012"})
    );
    let tags: Vec<String> = host
        .cloud
        .requests()
        .into_iter()
        .map(|seen| seen.path)
        .filter(|path| path.contains("/tags/"))
        .collect();
    assert_eq!(tags, ["/latest/meta-data/tags/instance/Fleet"]);
}

#[test]
fn placeholders_stay_without_expand() {
    let host = Host::default()
        .stores("ECS_CLUSTER=prod\nECS_IMAGE_PULL_BEHAVIOR=once\nX_LITERAL=${region}\n");
    host.boots("installed");
    assert_eq!(value(&host, "X_LITERAL").as_deref(), Some("${region}"));
}

#[test]
fn explicit_or_allowed_default_cluster_is_installed() {
    Host::default().stores("ECS_CLUSTER=default\n").boots("installed");
    let host = Host::default().stores("ECS_LOGLEVEL=info\n");
    host.run(&["--config", SOURCE, "--allow-default-cluster"]).succeeds_as("installed");
}

#[test]
fn more_variables_than_any_configuration_has_are_refused() {
    let host = Host::default();
    let many: String = (0..5000).map(|number| format!("K{number}=\n")).collect();
    host.stores(many.as_bytes()).boot().fails_as("lint", 30, &["5000 variables", "4096"]);
}

#[test]
fn layers_that_grow_too_large_together_are_refused() {
    let host = Host::default();
    let tags = [("Long".to_owned(), "x".repeat(256))];
    host.cloud.set_host(|host| host.tags = Some(tags.into()));
    let three: Vec<String> = (0..3).map(|number| format!("s3://fleet-config/{number}")).collect();
    for number in ["0", "1", "2"] {
        let lines =
            (0..12).map(|line| format!("X_{number}_{line}={}\n", "${tag:Long}".repeat(255)));
        host.cloud.set_object("fleet-config", number, lines.collect::<String>().as_str());
    }
    let sources: Vec<&str> = three.iter().flat_map(|source| ["--config", source]).collect();
    for outcome in ["installed", "unchanged"] {
        host.run(&[&sources[..2], &["--expand", "--set", "ECS_CLUSTER=prod"]].concat())
            .succeeds_as(outcome);
    }
    let refused = [
        (&sources[..4], &["all together: 156", "bytes of ecs.config", "1048576"]),
        (&sources[..], &["s3://fleet-config/2: 235", "bytes with those before it", "2097152"]),
    ];
    for (sources, why) in refused {
        host.run(&[sources, &["--expand"]].concat()).fails_as("lint", 30, why);
    }
}

#[test]
fn longest_names_that_are_installed_are_known_again() {
    let host = Host::default();
    let long = "K".repeat(253);
    let many: String = (1000..5000).map(|number| format!("{long}{number}=1\n")).collect();
    let host = host.stores(many.as_bytes());
    for outcome in ["installed", "unchanged"] {
        host.run(&["--config", SOURCE, "--allow-default-cluster"]).succeeds_as(outcome);
    }
    assert_eq!(host.call(&["status", "--check"]).status, 0);
}

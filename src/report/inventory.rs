//! The outcome of a run where other programs take it from: the inventory of Systems Manager, which
//! the SSM agent uploads by itself, and a metric of CloudWatch on the log. No request of ours.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::{Outcome, Report, Results};
use crate::install::attributes;
use crate::{files, paths};

/// More than this of a value Systems Manager refuses, in characters.
/// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_InventoryItem.html>
const LONGEST: usize = 4096;

/// `verified`, where the file is what its sources say; else how the run ended. Without a
/// difference between `installed` and `unchanged` a run that changes nothing writes nothing.
fn outcome(report: &Report) -> Value {
    match report.outcome {
        Outcome::Installed | Outcome::Unchanged => "verified".into(),
        other => json!(other),
    }
}

/// A custom item of inventory. Names, digests and sources, as in the report.
/// <https://docs.aws.amazon.com/systems-manager/latest/userguide/inventory-custom.html>
fn item(report: &Report) -> Value {
    let Results { config, host, guard, .. } = &report.results;
    let layers = config.iter().flat_map(|config| &config.layers);
    let layers = layers.map(|layer| (&layer.source, &layer.version_id));
    let secrets = config.iter().flat_map(|config| &config.secrets);
    let sources = layers.chain(secrets.map(|one| (&one.source, &one.version_id)));
    let sources = sources.map(|(source, version)| match version {
        Some(version) => format!("{source} (version {version})"),
        None => source.clone(),
    });
    let mut item = json!({
        "SchemaVersion": "1.0",
        "TypeName": "Custom:EcsBootstrap",
        "Content": {
            "Version": report.version,
            "Outcome": outcome(report),
            "ExitStatus": report.exit_status,
            "ConfigSha256": config.as_ref().map(|config| &config.sha256),
            "Sources": sources.collect::<Vec<_>>().join(" "),
            "Guard": attributes::word(guard),
            "Identity": host.as_ref().and_then(|host| host.confirmed_by),
            "Error": report.error.as_ref().map(|error| error.why()),
            "Remedy": report.error.as_ref().map(|error| &error.remedy),
        },
    });
    let content = item["Content"].as_object_mut().into_iter().flatten();
    content.for_each(|(_, value)| *value = text(value).into());
    item
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.chars().take(LONGEST).collect(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Leaves it where the SSM agent looks, if the host is known.
pub(crate) fn leave(root: &std::path::Path, report: &Report) {
    let Some(host) = &report.results.host else { return };
    let path = paths::below(root, &paths::inventory(&host.instance_id));
    if let Err(error) = files::replace(&path, format!("{:#}\n", item(report)).as_bytes(), 0o600) {
        tracing::warn!("the inventory of Systems Manager could not be written: {error}");
    }
}

/// A line in CloudWatch's embedded metric format.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
pub(crate) fn metric(report: &Report) -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let metric = |name: &str, unit: &str| json!({"Name": name, "Unit": unit});
    let metrics = [metric("Failed", "Count"), metric("Duration", "Milliseconds")];
    let directive = json!({
        "Namespace": "EcsBootstrap",
        "Dimensions": [["Command"], ["Command", "Outcome"]],
        "Metrics": metrics,
    });
    json!({
        "_aws": {"Timestamp": since.as_millis() as u64, "CloudWatchMetrics": [directive]},
        "Command": report.command,
        "Outcome": report.outcome,
        "Version": report.version,
        "InstanceId": report.results.host.as_ref().map(|host| &host.instance_id),
        "Failed": u8::from(report.exit_status != 0),
        "Duration": report.duration_ms,
    })
    .to_string()
}

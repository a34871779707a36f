//! A report in a few lines for people. Takes its JSON, since `status` has no more.

use serde_json::Value;

use super::bounds::bound;
use crate::paths::MAX_LISTED;

/// One line a fact, without a line feed at the end.
pub(crate) fn to_text(mut report: Value) -> String {
    bound(&mut report, MAX_LISTED);
    let report = &report;
    let mut lines = vec![format!(
        "{}: {} at {}",
        text(&report["command"]),
        text(&report["outcome"]),
        text(&report["started_at"])
    )];
    host(report, &mut lines);
    config(&report["config"], &mut lines);
    for finding in list(&report["findings"]) {
        let source = format!("{}:{}", text(&finding["source"]), finding["line"]);
        let [severity, message, id] =
            ["severity", "message", "id"].map(|name| text(&finding[name]));
        lines.push(format!("{severity}: {source}: {message} ({id})"));
    }
    let error = &report["error"];
    if error.is_object() {
        lines.push(format!("what:   {}", text(&error["message"])));
        lines.push(format!("remedy: {}", text(&error["remedy"])));
    }
    lines.join("\n")
}

fn host(report: &Value, lines: &mut Vec<String>) {
    let host = &report["host"];
    if !host.is_object() {
        return;
    }
    let [id, region, role, account] =
        ["instance_id", "region", "role", "account_id"].map(|name| text(&host[name]));
    let kind = kind_of_host(report);
    lines.push(format!("host:   {id} ({kind}) in {region}, role {role}, account {account}"));
    lines.push(match (&host["arn"], &host["confirmed_by"]) {
        (Value::String(arn), _) => format!("arn:    {arn}"),
        (_, Value::Null) => "proof:  none, STS was not asked".into(),
        _ => "proof:  S3 accepted the credentials, STS did not confirm them".into(),
    });
}

fn config(config: &Value, lines: &mut Vec<String>) {
    if !config.is_object() {
        return;
    }
    let [path, sha256] = ["path", "sha256"].map(|name| text(&config[name]));
    lines.push(format!("file:   {path}, {} bytes, sha256 {sha256}", config["bytes"]));
    let keys = config["keys"].as_object().into_iter().flatten();
    lines.extend(keys.map(|(key, origin)| {
        format!("        {key} from {}:{}", text(&origin["from"]), origin["line"])
    }));
}

/// The identity step's detail alone says that a host is AWS Batch's: the report's fields do not.
fn kind_of_host(report: &Value) -> String {
    let kind = if report["host"]["kind"] == "external" { "external, ECS Anywhere" } else { "EC2" };
    let identity = list(&report["steps"]).find(|step| step["step"] == "identity");
    let detail = identity.and_then(|step| step["detail"].as_str()).unwrap_or_default();
    let of_batch = if detail.ends_with(super::OF_BATCH) { super::OF_BATCH } else { "" };
    format!("{kind}{of_batch}")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("unknown").to_owned()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

//! Findings as SARIF 2.1.0, which code hosts turn into annotations of a pull request.
//!
//! Lines only, no columns: ours count bytes and SARIF's count UTF-16, and an annotation is shown
//! below a line anyway.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Finding, explain, rules};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// One run with its results; `version` is that of the program.
pub fn document(findings: &[Finding], version: &str) -> Value {
    let used: BTreeSet<&str> = findings.iter().map(|finding| finding.id).collect();
    let rules: Vec<Value> = used.iter().filter_map(|id| rules::find(id)).map(rule).collect();
    let index = |finding: &Finding| used.iter().position(|id| *id == finding.id);
    let results: Vec<Value> =
        findings.iter().map(|finding| result(finding, index(finding))).collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "ecs-bootstrap", "semanticVersion": version, "rules": rules}},
            "results": results,
        }],
    })
}

fn rule(rule: &rules::Rule) -> Value {
    json!({
        "id": rule.id,
        "shortDescription": {"text": rule.id.replace('-', " ")},
        "fullDescription": {"text": rule.why},
        "help": {"text": explain(rule)},
        "defaultConfiguration": {"level": rule.severity.word()},
    })
}

fn result(finding: &Finding, index: Option<usize>) -> Value {
    let message = match &finding.fix {
        Some(fix) => format!("{}; {fix}", finding.message),
        None => finding.message.clone(),
    };
    let mut place = json!({"artifactLocation": {"uri": uri(&finding.source)}});
    if let Some(line) = finding.line {
        place["region"] = json!({"startLine": line});
    }
    json!({
        "ruleId": finding.id,
        "ruleIndex": index,
        "level": finding.severity.word(),
        "message": {"text": message},
        "locations": [{"physicalLocation": place}],
    })
}

/// A path or an address as a URI reference (RFC 3986).
fn uri(source: &str) -> String {
    let escaped = |byte: u8| match byte.is_ascii_graphic() && !b"\"<>\\^`{|}%".contains(&byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    source.bytes().map(escaped).collect()
}

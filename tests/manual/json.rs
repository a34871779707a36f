//! JSON: every field of what the program prints is described in ecs-bootstrap-report(5).

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::page::{Page, code, rows};
use crate::support::{Host, SOURCE, collect, skip, works};

/// The fields that the tables of a section describe.
fn described(section: &str) -> BTreeSet<String> {
    rows(section)
        .iter()
        .flat_map(|row| code(row[0]).map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

/// The paths of all leaves of an object; a key that is a name of the user's is `NAME`.
fn leaves(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    const NAMES: [&str; 2] = ["config.keys", "settings"];
    // What is below them is not ours: variables, and IAM's documents.
    const OPAQUE: [&str; 3] = ["readers", "trust_policy", "inline_policies"];
    match value {
        Value::Object(fields) if !OPAQUE.contains(&path) && !fields.is_empty() => {
            for (name, value) in fields {
                let name = if NAMES.contains(&path) { "NAME" } else { name };
                leaves(
                    value,
                    &format!("{path}{}{name}", if path.is_empty() { "" } else { "." }),
                    found,
                );
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.iter().for_each(|item| leaves(item, &format!("{path}[]"), found));
        }
        Value::Array(_) => drop(found.insert(format!("{path}[]"))),
        _ => drop(found.insert(path.to_owned())),
    }
}

/// A null or an empty list counts as described if what is below it is.
fn is_described(leaf: &str, fields: &BTreeSet<String>) -> bool {
    let (dot, brackets) = (format!("{leaf}."), format!("{leaf}["));
    fields
        .iter()
        .any(|field| field == leaf || field.starts_with(&dot) || field.starts_with(&brackets))
}

#[track_caller]
fn check_fields(sections: &[&str], value: &Value) -> BTreeSet<String> {
    let page = Page::named("ecs-bootstrap-report.5");
    let fields: BTreeSet<String> =
        sections.iter().flat_map(|section| described(page.section(section))).collect();
    let mut found = BTreeSet::new();
    leaves(value, "", &mut found);
    let missing: Vec<&String> = found.iter().filter(|leaf| !is_described(leaf, &fields)).collect();
    assert!(!found.is_empty() && missing.is_empty(), "{sections:?} describe no {missing:?}");
    found
}

#[test]
fn every_field_of_a_report_is_described_and_no_other_is() {
    let host = Host::default().stores("ECS_CLUSTER=prod\r\n");
    let installed = host.boots("installed").report;
    let kept = host.with_fault("s3-refused").run(&["--config", SOURCE, "--timeout", "3s"]).report;
    let refused = Host::default().with_fault("s3-403").boot().report;
    let mut found = BTreeSet::new();
    let host = Host::default().stores("ECS_CLUSTER=${secret:cluster}\n");
    host.cloud.set_secret("cluster", "prod");
    let expanded = host.run(&["--config", SOURCE, "--expand"]).report;
    for report in [&installed, &kept, &refused, &expanded] {
        found.extend(check_fields(&["REPORT"], report));
    }
    let page = Page::named("ecs-bootstrap-report.5");
    let invented: Vec<String> = described(page.section("REPORT"))
        .into_iter()
        .filter(|field| !found.iter().any(|leaf| leaf.starts_with(field.as_str())))
        .collect();
    assert!(invented.is_empty(), "no report has {invented:?}");
}

#[test]
fn a_refused_run_is_described() {
    let host = Host::default();
    host.boots("installed");
    assert_eq!(host.run(&["--timeout", "soon"]).status, 2);
    let status = host.call(&["status", "--output", "json"]).report;
    assert!(status["refused"].is_object(), "{status:#}");
    check_fields(&["REPORT", "STATUS"], &status);
}

#[test]
fn every_field_of_lint_and_role_is_described() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ecs.config");
    fs::write(&file, "export ECS_CLUSTER=prod\nA=\n").unwrap();
    let json = |args: &[&str]| -> Value {
        let made = Command::new(env!("CARGO_BIN_EXE_ecs-bootstrap"))
            .args(["--output", "json"])
            .args(args)
            .output()
            .unwrap();
        collect(&made.stdout);
        serde_json::from_slice(&made.stdout).expect("it prints JSON")
    };
    let lint = json(&["lint", "--fix", "--readers", file.to_str().unwrap()]);
    assert!(["findings", "readers", "fixed"].iter().all(|name| lint.get(name).is_some()));
    check_fields(&["REPORT", "LINT"], &lint);
    let role = json(&["role", "print", "--config", "s3://my-bucket/ecs.config", "--custom"]);
    check_fields(&["ROLE"], &role);
}

#[test]
fn every_field_of_doctor_is_described() {
    let report = Host::default().call(&["doctor", "--output", "json"]).report;
    check_fields(&["REPORT", "DOCTOR"], &report);
}

/// In a network namespace of its own, where nothing can be reached and nothing is changed.
#[test]
fn every_field_of_guard_is_described() {
    let isolates = |ways: &&[&str]| works("unshare", &[ways, &["true"][..]].concat()).is_some();
    let ways: [&[&str]; 2] = [&["--user", "--map-root-user", "--net"], &["--net"]];
    let Some(isolate) = ways.into_iter().find(isolates) else {
        return skip("no network namespaces here");
    };
    let root = tempfile::tempdir().unwrap();
    let script = "ip link add br0 type bridge && ip addr add 172.30.0.1/24 dev br0 && ip link set br0 up; \
        for verb in install prove status remove; do \"$0\" --root \"$1\" --output json guard $verb; done";
    let made = Command::new("unshare")
        .args(isolate)
        .args(["sh", "-c", script, env!("CARGO_BIN_EXE_ecs-bootstrap")])
        .arg(root.path())
        .output()
        .unwrap();
    let objects: Vec<Value> = serde_json::Deserializer::from_slice(&made.stdout)
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(objects.len(), 4, "{}", String::from_utf8_lossy(&made.stderr));
    for mut object in objects {
        collect(object.to_string().as_bytes());
        // `last_proof` is what `prove` printed.
        if let Some(proof) = object.as_object_mut().and_then(|fields| fields.remove("last_proof")) {
            let fields = proof.as_object().into_iter().flatten();
            let proof = fields.filter(|(name, _)| *name != "age_seconds");
            proof.for_each(|(name, value)| {
                drop(check_fields(&["GUARD"], &serde_json::json!({name: value})))
            });
        }
        check_fields(&["REPORT", "GUARD"], &object);
    }
}

//! Files and reports of the field: public issues, ecs.config files and user data, each reduced to a
//! small file of the same kind.

mod auth;
mod columns;
mod fix;
mod foreign;
mod json_file;
mod layers;
mod leftovers;
mod lines;
mod present;
mod urls;
mod values;

use ecs_config::lint::{self, Context, File, Finding, Severity};

const ERROR: Severity = Severity::Error;
const WARNING: Severity = Severity::Warning;
const NOTE: Severity = Severity::Note;

/// What is wrong with a source of several, the missing cluster aside.
fn check(bytes: &[u8]) -> Vec<Finding> {
    check_in(bytes, &Context::default())
}

fn check_in(bytes: &[u8], context: &Context<'_>) -> Vec<Finding> {
    let mut found = lint::check(&File { source: "ecs.config", bytes }, context);
    found.retain(|one| !one.id.starts_with("no-cluster"));
    found
}

fn shown(findings: &[Finding]) -> Vec<(&str, Severity, &str)> {
    findings.iter().map(|one| (one.id, one.severity, one.message.as_str())).collect()
}

/// The file has these findings, and no other.
#[track_caller]
fn finds(file: &str, expected: &[(&str, Severity)]) {
    let found = check(file.as_bytes());
    let ids: Vec<_> = found.iter().map(|one| (one.id, one.severity)).collect();
    assert_eq!(ids, expected, "{file}\n{:#?}", shown(&found));
}

/// The one finding has this message and fix.
#[track_caller]
fn explains(file: &str, message: &str, fix: &str) {
    let found = check(file.as_bytes());
    assert!(found.iter().any(|one| one.message == message), "{file}\n{:#?}", shown(&found));
    let has_fix = |one: &Finding| one.fix.as_deref().unwrap_or_default() == fix;
    assert!(found.iter().any(has_fix), "{file}\n{found:#?}");
}

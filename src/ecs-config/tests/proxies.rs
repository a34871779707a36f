//! What Go itself answered: `http.ProxyFromEnvironment` for instance metadata and for task
//! credentials, recorded in 555 environments (`data/go-proxies.jsonl`).

use std::collections::BTreeMap;

use ecs_config::lint::{self, Context, File, Finding, Severity};
use ecs_config::proxy::{METADATA, TASK_CREDENTIALS, exposed, is_direct};
use serde::Deserialize;

#[derive(Deserialize)]
struct Recorded {
    environment: BTreeMap<String, String>,
    metadata: String,
    credentials: String,
}

fn recorded() -> Vec<Recorded> {
    let lines = include_str!("data/go-proxies.jsonl").lines();
    let all: Vec<Recorded> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(all.len(), 555);
    all
}

#[test]
fn a_request_is_direct_where_go_asks_directly() {
    for Recorded { environment, metadata, credentials } in recorded() {
        let is_direct = |host| is_direct(|name| environment.get(name).cloned(), host, 80);
        assert_eq!(is_direct(METADATA), metadata == "direct", "{environment:?}");
        assert_eq!(is_direct(TASK_CREDENTIALS), credentials == "direct", "{environment:?}");
    }
}

#[test]
fn linter_reports_an_error_exactly_where_an_address_is_exposed() {
    for Recorded { environment, metadata, credentials } in recorded() {
        let is_exposed = metadata != "direct" || credentials != "direct";
        let variable = |name: &str| environment.get(name).cloned();
        assert_eq!(!exposed(variable).is_empty(), is_exposed, "{environment:?}");

        let line = |(name, value): (&String, &String)| format!("{name}={}\n", value.trim());
        let file: String = environment.iter().map(line).collect();
        let file = File { source: "ecs.config", bytes: file.as_bytes() };
        let findings = lint::check(&file, &Context { whole: true, ..Context::default() });
        let is_error = |finding: &Finding| {
            finding.id == "proxy-without-no-proxy" && finding.severity == Severity::Error
        };
        let is_reported = findings.iter().any(is_error);
        assert_eq!(is_reported, is_exposed, "{environment:?}");
    }
}

//! What Go itself answered: `http.ProxyFromEnvironment` for instance metadata and for task
//! credentials, recorded in 555 environments (`data/go-proxies.jsonl`).

use std::collections::BTreeMap;

use ecs_config::lint::{self, Context, File, Finding, Severity};
use ecs_config::proxy::{METADATA, Route, TASK_CREDENTIALS, exposed, route_of_http};
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
fn route_is_the_one_that_go_takes() {
    for Recorded { environment, metadata, credentials } in recorded() {
        let route = |host| match route_of_http(|name| environment.get(name).cloned(), host, 80) {
            Route::Direct => "direct",
            Route::Proxy => "proxy",
            Route::Refused => "error",
        };
        assert_eq!(route(METADATA), metadata, "{environment:?}");
        assert_eq!(route(TASK_CREDENTIALS), credentials, "{environment:?}");
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

//! The linter against values recorded from the real configuration loader of amazon-ecs-agent
//! 1.105.1 (agent/config, `NewConfig`), in `data/agent-values.jsonl`.
//!
//! `agent` is `stops` where the loader returns an error, `changed` where the configuration differs
//! from the one without the variable, otherwise `same`; `+warned` where the loader logs a warning.

use ecs_config::lint::{self, Context, File, Severity};
use serde::Deserialize;

#[derive(Deserialize)]
struct Recorded {
    variable: String,
    value: String,
    agent: String,
}

impl Recorded {
    /// Without metadata, the loader has no region but this one; on an instance it has.
    fn is_about_the_host(&self) -> bool {
        self.variable == "AWS_DEFAULT_REGION" && self.value.is_empty()
    }

    /// The worst finding about the setting, in a file that holds nothing else.
    fn worst(&self) -> Option<Severity> {
        let line = format!("{}={}\n", self.variable, self.value);
        let file = File { source: "ecs.config", bytes: line.as_bytes() };
        let findings = lint::check(&file, &Context { whole: true, ..Context::default() });
        let about = findings.into_iter().filter(|one| one.line == Some(1));
        about.map(|one| one.severity).min()
    }
}

#[test]
fn linter_reports_what_stops_or_warns_the_agent() {
    let lines = include_str!("data/agent-values.jsonl").lines();
    let all: Vec<Recorded> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(all.len(), 7274);
    let is_silent = |one: &&Recorded| match one.agent.as_str() {
        "stops" => one.worst() != Some(Severity::Error),
        agent => agent.ends_with("+warned") && one.worst().is_none(),
    };
    let silent: Vec<String> = all
        .iter()
        .filter(|one| !one.is_about_the_host())
        .filter(is_silent)
        .map(|one| format!("{}={} {}", one.variable, one.value, one.agent))
        .collect();
    assert!(silent.is_empty(), "{}:\n{}", silent.len(), silent.join("\n"));
}

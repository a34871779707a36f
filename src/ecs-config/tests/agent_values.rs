//! The linter against values recorded from the real configuration loader of amazon-ecs-agent
//! 1.105.1 (agent/config, `NewConfig`), in `data/agent-values.jsonl`.
//!
//! `agent` is `stops` where the loader returns an error, `changed` where the configuration differs
//! from the one without the variable, otherwise `same`; `+warned` where the loader logs a warning.

use ecs_config::lint::{self, Context, File, Finding, Severity};
use ecs_config::variables::{self, Kind};
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

    /// What is found about the setting, in a file that holds nothing else.
    fn findings(&self) -> Vec<Finding> {
        let line = format!("{}={}\n", self.variable, self.value);
        let file = File { source: "ecs.config", bytes: line.as_bytes() };
        let mut found = lint::check(&file, &Context { whole: true, ..Context::default() });
        found.retain(|one| one.line == Some(1));
        found
    }

    fn worst(&self) -> Option<Severity> {
        self.findings().iter().map(|one| one.severity).min()
    }

    fn errors(&self) -> impl Iterator<Item = &'static str> {
        let errors = self.findings().into_iter().filter(|one| one.severity == Severity::Error);
        errors.map(|one| one.id)
    }
}

fn recorded() -> Vec<Recorded> {
    let lines = include_str!("data/agent-values.jsonl").lines();
    let all: Vec<Recorded> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(all.len(), 7274);
    all
}

/// Whatever the agent does, ecs-init, systemd or docker do not take these, or ECS does not.
const OTHERS: [&str; 6] = [
    "space-around-equals",
    "not-exactly-true",
    "external-without-region",
    "trailing-comment",
    "quoted-value",
    "aws-tag-key",
];

#[test]
fn linter_has_no_error_where_the_agent_takes_a_value() {
    let is_free =
        |kind| matches!(kind, Kind::String | Kind::Path | Kind::Url | Kind::Csv | Kind::Auth);
    for one in recorded().iter().filter(|one| one.agent == "changed") {
        let known = variables::find(&one.variable).unwrap();
        if is_free(known.kind) || one.variable == "ECS_ENGINE_AUTH_TYPE" {
            continue;
        }
        let errors: Vec<_> = one.errors().filter(|id| !OTHERS.contains(id)).collect();
        assert!(errors.is_empty(), "{}={} {errors:?}", one.variable, one.value);
    }
}

#[test]
fn linter_reports_what_stops_or_warns_the_agent() {
    let all = recorded();
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

//! The manual's table of wrong values is what the recording of the agent's loader says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use ecs_config::lint::{self, Context, File, Severity};
use ecs_config::variables::{self, Kind};
use serde::Deserialize;

const PAGE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/man/ecs-bootstrap-lint.1.md");
const HEADING: &str = "\n## WRONG VALUES\n";

#[derive(Deserialize)]
struct Recorded {
    variable: String,
    value: String,
    agent: String,
}

/// The kinds of variables, and for each the values that people write by mistake.
#[rustfmt::skip]
const KINDS: [(Kind, &str, &[&str]); 10] = [
    (Kind::Bool, "booleans", &["yes", "on", "enabled", "off", "no", "tRuE", "true;", "true # x"]),
    (Kind::Int, "numbers", &["-1", "1e3", "0x10", "1m", "40,", "abc", "65536", "4294967296"]),
    (Kind::Duration, "durations", &["5", "90", "10", "1d", "1H", "5 m", "-5m", "0.5s", "500ms", "59s", "9m", "abc"]),
    (Kind::Enum, "words", &["Always", "abc", "yes", "Docker", "dualstack"]),
    (Kind::StringList, "lists of strings", &["json-file", "[json-file]", "['json-file']", "[\"json-file\",]", "[\"json-file\",\"nope\"]", "[1]", "[22]"]),
    (Kind::StringMap, "objects of strings", &["{a:b}", "{'a':'b'}", "{\"a\":\"b\"", "{\"a\":1}", "{\"a\":true}", "{\"a\":[\"b\"]}", "a:1,b:2"]),
    (Kind::CidrList, "lists of networks", &["10.0.0.0/8", "[\"10.0.0.0\"]", "[\"22\"]", "[22]", "a,b"]),
    (Kind::PortList, "lists of ports", &["22", "22,80", "[22,80", "[\"22\"]", "[70000]", "[-1]"]),
    (Kind::PortRange, "ranges of ports", &["60999-32768", "1-70000", "40,60", "abc", "65536"]),
    (Kind::RateLimit, "rates", &["40", "40,", "60,40", "-1,5", "0,0", "a,b"]),
];

/// What the loader did, in words; `None` where it took the value.
fn effect(recorded: &Recorded, is_reported: bool) -> Option<&'static str> {
    match recorded.agent.as_str() {
        "stops" => Some("it stops, and ecs-init restarts it for ever"),
        "same+warned" => Some("the default stays; a warning in its log"),
        "changed+warned" => Some("another value than was written; a warning in its log"),
        // The default may be what is written.
        "same" if is_reported => Some("the default stays; its log has nothing"),
        _ => None,
    }
}

/// The linter has an error or a warning of the line.
fn is_reported(recorded: &Recorded) -> bool {
    let line = format!("{}={}\n", recorded.variable, recorded.value);
    let file = File { source: "ecs.config", bytes: line.as_bytes() };
    let found = lint::check(&file, &Context { whole: true, ..Context::default() });
    found.iter().any(|one| one.line == Some(1) && one.severity != Severity::Note)
}

fn recorded() -> Vec<Recorded> {
    let lines = include_str!("data/agent-values.jsonl").lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The loader itself reads it: some value changes what it gives.
fn read_by_the_loader(all: &[Recorded]) -> BTreeSet<&str> {
    let changes = all.iter().filter(|one| one.agent != "same");
    changes.map(|one| one.variable.as_str()).collect()
}

/// One row of the table before it is text.
#[derive(Default)]
struct Row<'a>(Vec<(&'a str, usize)>);

impl<'a> Row<'a> {
    /// The names and the places of their values, without the values that have this effect on some
    /// of the names only.
    fn consistent(&self, others: &[(&str, usize)]) -> (BTreeSet<&'a str>, BTreeSet<usize>) {
        let names: BTreeSet<&str> = self.0.iter().map(|(name, _)| *name).collect();
        let differs = |place| others.iter().any(|(name, at)| *at == place && names.contains(name));
        let kept = || self.0.iter().filter(|(_, place)| !differs(*place));
        (kept().map(|(name, _)| *name).collect(), kept().map(|(_, place)| *place).collect())
    }
}

fn table() -> String {
    let all = recorded();
    let read = read_by_the_loader(&all);
    let mut text = "| setting | value | the agent |\n|---|---|---|\n".to_owned();
    for (kind, kinds, values) in KINDS {
        let mut rows: BTreeMap<Option<&str>, Row<'_>> = BTreeMap::new();
        for one in all.iter().filter(|one| read.contains(one.variable.as_str())) {
            let is_of_kind = variables::find(&one.variable).is_some_and(|known| known.kind == kind);
            let place = values.iter().position(|value| *value == one.value);
            if let (true, Some(place)) = (is_of_kind, place) {
                let row = rows.entry(effect(one, is_reported(one))).or_default();
                row.0.push((&one.variable, place));
            }
        }
        for (effect, row) in &rows {
            let Some(words) = effect else { continue };
            let others = rows.iter().filter(|(other, _)| *other != effect);
            let others: Vec<_> = others.flat_map(|(_, row)| row.0.clone()).collect();
            let (names, places) = row.consistent(&others);
            let shown = places.into_iter().take(6).map(|place| format!("`{}`", values[place]));
            let shown = shown.collect::<Vec<_>>().join(" ");
            if !names.is_empty() {
                text += &format!("| {} | {shown} | {words} |\n", listed(&names, kinds));
            }
        }
    }
    text
}

/// Up to three names, and how many more.
fn listed(names: &BTreeSet<&str>, kinds: &str) -> String {
    let shown: Vec<String> = names.iter().take(3).map(|name| format!("`{name}`")).collect();
    match names.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more {kinds}", shown.join(", ")),
    }
}

fn page() -> (String, String, String) {
    let page = fs::read_to_string(PAGE).unwrap();
    let (before, section) = page.split_once(HEADING).expect("the page has the section");
    let (section, after) = section.split_once("\n## ").unwrap();
    let (words, old) = section.split_once("| setting |").unwrap();
    let after = format!("\n## {after}");
    (format!("{before}{HEADING}{words}"), format!("| setting |{old}"), after)
}

#[test]
fn the_manual_has_what_the_agent_does_with_wrong_values() {
    if std::env::var_os("RECORD").is_some() {
        let (before, _, after) = page();
        fs::write(PAGE, before + &table() + &after).unwrap();
    }
    assert_eq!(page().1, table(), "write it anew: RECORD=1 cargo test --test wrong_values");
}

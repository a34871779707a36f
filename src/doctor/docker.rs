//! Docker as it will start: its unit, its command line with what that takes from environment files,
//! and `daemon.json`.
//!
//! What Docker refuses was tried with dockerd 20.10; an empty `daemon.json` is accepted since 23.0
//! (docs.docker.com, "Docker Engine 23.0 release notes").

use std::collections::BTreeMap;

use ecs_config::readers::{Generation, Reader};
use ecs_config::text::nearest;
use serde_json::{Map, Value};

use super::check::{Check, Found, check, failure, ok, skipped, warning};
use super::unit_files::{self, Unit, items};
use super::{Target, has_word, units};
use crate::files;
use crate::paths::{DOCKER_CONFIG, DOCKER_UNIT, MAX_CONFIG};

pub(super) const CHECKS: &[Check] = &[
    check("docker-unit", "whether Docker's unit is there and can start", check_unit),
    check("docker-firewall", "Docker's options: valid, and with which firewall", check_firewall)
        .needs(&["docker-unit"]),
];

fn check_unit(target: &Target) -> Found {
    let Some(unit) = unit_files::read(target.root(), DOCKER_UNIT) else {
        if units::agent(target.root()).is_none() {
            return skipped("neither Docker nor an agent is installed");
        }
        return failure(
            format!("{DOCKER_UNIT} is missing: the agent's unit cannot start without it"),
            "install Docker (`dnf install docker`, `apt-get install docker.io`)",
        );
    };
    if unit.masked {
        return failure(
            format!("{DOCKER_UNIT} is masked: the agent will never start"),
            format!("systemctl unmask {DOCKER_UNIT}"),
        );
    }
    ok("it is there and not masked")
}

fn check_firewall(target: &Target) -> Found {
    let unit = unit_files::read(target.root(), DOCKER_UNIT).unwrap_or_default();
    let flags = flags(&command_line(target, &unit));
    let path = flags.get("config-file").map_or(DOCKER_CONFIG, String::as_str);
    let file = settings(target, path)?;
    check_twice(&flags, &file, path)?;
    let flag = |name: &str| flags.get(name).map(String::as_str);
    let off = match (flag("iptables"), file.get("iptables")) {
        (Some(value), _) if is_false(value) => Some(("--iptables=false", "its command line")),
        (_, Some(Value::Bool(false))) => Some(("\"iptables\": false", path)),
        _ => None,
    };
    if let Some((what, place)) = off {
        return warning(
            format!(
                "{what} in {place} switches Docker's rules off: bridge networks have no way out and ports are not published, unless other rules do it"
            ),
            format!("remove `{what}` from {place} (`systemctl cat {DOCKER_UNIT}`)"),
        );
    }
    let file_says = |name: &str| file.get(name).and_then(Value::as_str);
    if flag("bridge").or_else(|| file_says("bridge")) == Some("none") {
        return warning(
            "Docker is started without its bridge (`bridge`: `none`): tasks in bridge network mode fail",
            "remove that option, or use other network modes only",
        );
    }
    match flag("firewall-backend").or_else(|| file_says("firewall-backend")) {
        Some("nftables") => {
            ok("nftables: without a DOCKER-USER chain, which the guard does not need")
        }
        _ => ok("iptables, Docker's default"),
    }
}

/// As Go's strconv.ParseBool has it.
fn is_false(value: &str) -> bool {
    ["0", "f", "F", "false", "FALSE", "False"].contains(&value)
}

/// The words of `ExecStart=` after the program, with their variables replaced (systemd.service(5),
/// "COMMAND LINES").
fn command_line(target: &Target, unit: &Unit) -> Vec<String> {
    let mut variables: BTreeMap<String, String> = unit.environment().into_iter().collect();
    for file in unit.values("EnvironmentFile") {
        let path = target.path(file.trim_start_matches('-'));
        let bytes = files::read(&path, MAX_CONFIG).unwrap_or_default();
        for (name, value) in Reader::Systemd(Generation::V252).read(&bytes).map() {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            variables.insert(text(name), value.map(text).unwrap_or_default());
        }
    }
    let line = unit.last("ExecStart").unwrap_or_default();
    let words = items(line).into_iter().skip(1).flat_map(|word| match word.strip_prefix('$') {
        Some(name) if !name.starts_with(['{', '$']) => {
            variables.get(name).map(|value| items(value)).unwrap_or_default()
        }
        _ => vec![with_variables(word, &variables)],
    });
    words.collect()
}

fn with_variables(word: String, variables: &BTreeMap<String, String>) -> String {
    variables.iter().fold(word, |word, (name, value)| word.replace(&format!("${{{name}}}"), value))
}

/// A row of `docker-options.tsv`: a key of `daemon.json`, what it holds, and the flags that set it
/// where they have other names.
struct Known {
    key: &'static str,
    kind: &'static str,
    flags: &'static str,
}

fn known() -> impl Iterator<Item = Known> {
    let lines = include_str!("docker-options.tsv").lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| {
        let mut columns = line.split('\t');
        let mut column = || columns.next().unwrap_or_default();
        Known { key: column(), kind: column(), flags: column() }
    })
}

/// Each option with its value, by its name in `daemon.json`.
fn flags(words: &[String]) -> BTreeMap<String, String> {
    let mut flags = BTreeMap::new();
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        let Some(option) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else {
            continue;
        };
        let (name, value) = option
            .split_once('=')
            .map_or((option, None), |(name, value)| (name, Some(value.to_owned())));
        let known = known().find(|known| known.key == name || has_word(known.flags, name));
        let is_switch = known.as_ref().is_some_and(|known| known.kind == "bool");
        let is_value = |next: &&String| !is_switch && !next.starts_with('-');
        let value = value.or_else(|| words.next_if(is_value).cloned());
        let key = known.map_or(name, |known| known.key);
        flags.insert(key.to_owned(), value.unwrap_or_else(|| "true".into()));
    }
    flags
}

fn settings(target: &Target, path: &str) -> Found<Map<String, Value>> {
    let Ok(text) = files::read(&target.path(path), MAX_CONFIG) else { return Ok(Map::new()) };
    let stops = |why: &str| {
        let correct = format!("correct it: `jq . {path}` shows what is in it");
        failure(format!("{path} {why}: Docker does not start"), correct)
    };
    if text.trim_ascii().is_empty() {
        return match major_version(target) {
            Some(version) if version < 23 => stops("is empty, which Docker accepts from 23.0 on"),
            _ => Ok(Map::new()),
        };
    }
    let object = match serde_json::from_slice(&text) {
        Ok(Value::Object(object)) => object,
        Ok(Value::Null) => Map::new(),
        Ok(_) => return stops("is not a JSON object"),
        Err(_) => return stops("is not valid JSON"),
    };
    // Newer versions know more; what is nearly one of these is misspelt.
    for (key, value) in &object {
        match known().find(|known| known.key == key) {
            Some(Known { kind, .. }) if !fits(value, kind) => {
                return stops(&format!("has a value of the wrong type for `{key}`"));
            }
            Some(_) => {}
            None => {
                if let Some(near) = nearest(key, known().map(|known| known.key)) {
                    return stops(&format!("has the unknown key `{key}` (did you mean `{near}`?)"));
                }
            }
        }
    }
    Ok(object)
}

fn fits(value: &Value, kind: &str) -> bool {
    let each = |is: fn(&Value) -> bool| value.as_array().is_some_and(|all| all.iter().all(is));
    let map = |is: fn(&Value) -> bool| value.as_object().is_some_and(|all| all.values().all(is));
    match kind {
        _ if value.is_null() => true,
        "bool" => value.is_boolean(),
        "number" => value.is_i64(),
        "text" => value.is_string(),
        "texts" => each(Value::is_string),
        "objects" => each(Value::is_object),
        "bool-map" => map(Value::is_boolean),
        "text-map" => map(Value::is_string),
        "object-map" => map(Value::is_object),
        _ => true,
    }
}

/// An option that is set twice, which Docker refuses; but it merges runtimes.
fn check_twice(
    flags: &BTreeMap<String, String>,
    file: &Map<String, Value>,
    path: &str,
) -> Found<()> {
    let is_twice = |name: &&String| *name != "runtimes" && file.contains_key(*name);
    let Some(name) = flags.keys().find(is_twice) else { return Ok(()) };
    failure(
        format!("`{name}` is set on Docker's command line and in {path}: Docker does not start"),
        format!(
            "remove it from one of them (`systemctl cat {DOCKER_UNIT}` shows the command line)"
        ),
    )
}

/// Docker's version as dpkg has it; rpm's database is not readable text.
fn major_version(target: &Target) -> Option<u32> {
    const MAX_STATUS: usize = 8 << 20;
    let status = files::read(&target.path("/var/lib/dpkg/status"), MAX_STATUS).ok()?;
    let status = String::from_utf8_lossy(&status);
    let is_docker = |line: &str| ["Package: docker.io", "Package: docker-ce"].contains(&line);
    let docker = status.split("\n\n").find(|package| package.lines().any(is_docker))?;
    let version = docker.lines().find_map(|line| line.strip_prefix("Version: "))?;
    version.rsplit(':').next()?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_have_known_kinds_and_no_name_twice() {
        let kinds = "bool number text texts objects bool-map text-map object-map other";
        let mut names = std::collections::BTreeSet::new();
        for Known { key, kind, flags } in known() {
            assert!(has_word(kinds, kind), "{key}");
            for name in std::iter::once(key).chain(flags.split_whitespace()) {
                assert!(names.insert(name), "{name}");
            }
        }
    }

    #[test]
    fn flags_have_the_names_of_daemon_json() {
        let words =
            ["-H", "fd://", "--iptables=false", "--debug", "--bridge", "none", "-s=overlay2"];
        let flags = flags(&words.map(String::from));
        let pairs: Vec<_> =
            flags.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            pairs,
            [
                ("bridge", "none"),
                ("debug", "true"),
                ("hosts", "fd://"),
                ("iptables", "false"),
                ("storage-driver", "overlay2")
            ]
        );
    }
}

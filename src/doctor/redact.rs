//! What may leave the host of each file, by lists of what is known to be harmless. Pure.
//!
//! Each function parses a file and writes what it has found: names, order and shapes. What no list
//! has is redacted, and what the parser leaves out, comments and broken lines, never gets there:
//! that is where people keep last week's password.

use ecs_config::readers::ecs_init;
use ecs_config::text::lossy;
use ecs_config::variables;
use serde_json::{Map, Value, json};

use super::{has_word, unit_files};
use crate::paths;
use crate::settings::Given;
use crate::source::Source;

/// In place of what was taken out.
const REDACTED: &str = "[redacted]";

/// The text that may leave; or why none of it may.
pub(super) type Redacted = Result<String, &'static str>;

/// A file of variables: the names that ecs-init reads, by line, and whether they are empty.
pub(super) fn variables(text: &str) -> Redacted {
    let set = ecs_init(text.as_bytes()).variables;
    let lines = set.iter().map(|set| {
        let value = set.value.as_deref().unwrap_or_default();
        format!("{:>4}  {}\n", set.line, assignment(&lossy(set.name), value))
    });
    Ok(lines.collect())
}

/// Only published names: a piece of a value over several lines can look like a
/// name, too.
fn name(name: &str) -> &str {
    let ours = ["ECS_", "AWS_"].iter().any(|start| name.starts_with(start)) && name.len() <= 64;
    let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let public = variables::find(name).is_some() || ours && name.bytes().all(plain);
    if public { name } else { "[another name]" }
}

fn assignment(variable: &str, value: &[u8]) -> String {
    format!("{}={}", name(variable), if value.is_empty() { "" } else { REDACTED })
}

/// Directives of units that are about order, conditions, limits and folders: their values are names
/// of units, paths and numbers.
const PLAIN: &str = "After Also AmbientCapabilities Before BindsTo CapabilityBoundingSet ConditionPathExists ConfigurationDirectory Conflicts \
    DefaultDependencies Delegate DeviceAllow DevicePolicy EnvironmentFile FailureAction Group IPAddressAllow IPAddressDeny \
    KeyringMode KillMode NoNewPrivileges NotifyAccess OnBootSec OnFailure OnUnitActiveSec OnUnitInactiveSec PartOf Persistent \
    RandomizedDelaySec RemainAfterExit RemoveIPC RequiredBy Slice StateDirectory SuccessExitStatus Type UMask Unit User WantedBy \
    Wants";

/// The same, by how they begin.
const FAMILIES: &str = "Limit Lock Memory OOM Private Protect Read Requires Restart Restrict RuntimeDirectory StartLimit SystemCall Timeout";

/// Directives that hold commands.
const COMMANDS: &str =
    "ExecCondition ExecReload ExecStart ExecStartPost ExecStartPre ExecStop ExecStopPost";

/// Words of commands that are not a secret of anybody: those of this program, of systemctl and of
/// ecs-init.
const WORDS: &str = "check docker ecs ecs-bootstrap ecs-bootstrap.service guard install post-stop pre-start pre-stop prove refresh reload \
    reload-cache remove restart run start status stop try-restart verify";

/// A unit or a drop-in: its order and its limits; of commands the program and the flags; of the
/// environment the names.
pub(super) fn unit(text: &str) -> Redacted {
    let assignments = unit_files::assignments(text);
    Ok(assignments.iter().map(|(name, value)| directive(name, value) + "\n").collect())
}

fn directive(name: &str, value: &str) -> String {
    let shown = match name {
        _ if has_word(PLAIN, name) => value.to_owned(),
        _ if FAMILIES.split(' ').any(|start| name.starts_with(start)) => value.to_owned(),
        _ if has_word(COMMANDS, name) => command(value),
        "Environment" => {
            let shown = unit_files::items(value).into_iter().map(|item| {
                let (name, value) = item.split_once('=').unwrap_or_default();
                assignment(name, value.as_bytes())
            });
            shown.collect::<Vec<_>>().join(" ")
        }
        "Description" | "Documentation" => REDACTED.into(),
        _ => return format!("[another directive]={REDACTED}"),
    };
    format!("{name}={shown}")
}

/// The program, and flags without their values.
fn command(line: &str) -> String {
    let mut shown: Vec<&str> = Vec::new();
    for (at, word) in line.split_whitespace().enumerate() {
        match flag(word).or((at == 0 || has_word(WORDS, word)).then_some(word)) {
            Some(word) => shown.push(word),
            None if shown.last() != Some(&REDACTED) => shown.push(REDACTED),
            None => {}
        }
    }
    shown.join(" ")
}

fn flag(word: &str) -> Option<&str> {
    let name = word.split('=').next()?;
    let letters = name.strip_prefix("--").filter(|letters| !letters.is_empty())?;
    letters.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-').then_some(name)
}

/// The settings file: every setting, but of `set` and `keep` the names alone, and sources without
/// their query.
pub(super) fn settings(text: &str) -> Redacted {
    let short = Some(text).filter(|text| text.len() <= paths::MAX_DOCUMENT);
    let given =
        short.and_then(|text| Given::file(std::path::Path::new(paths::SETTINGS), text).ok());
    let given = given.ok_or("it cannot be read: see `settings` in doctor.json")?;
    let lines = given.iter().flat_map(|(name, items)| {
        items.iter().map(move |item| format!("{name} = {}\n", setting(name, item)))
    });
    Ok(lines.collect())
}

fn setting(setting: &str, item: &str) -> String {
    let harmless = item.len() <= 64
        && item.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte));
    match setting {
        "config" => {
            item.parse::<Source>().map_or_else(|_| REDACTED.into(), |source| source.to_string())
        }
        "set" => format!("{}={REDACTED}", name(item.split('=').next().unwrap_or_default().trim())),
        "keep" => name(item).to_owned(),
        _ if harmless => item.to_owned(),
        _ => REDACTED.into(),
    }
}

/// Files of our own, which have no field for a value of a configuration: whole, but for what is not
/// one of their fields.
pub(super) fn report(text: &str) -> Redacted {
    const FIELDS: &str = "schema version command outcome exit_status started_at duration_ms host steps connections config guard findings \
        settings kept_age_s error";
    json(text, FIELDS, |_| false)
}

pub(super) fn state(text: &str) -> Redacted {
    json(text, "schema installed pending rejected", |_| false)
}

pub(super) fn guard(text: &str) -> Redacted {
    const FIELDS: &str = "interface without allow_local_proxy documented_is_ours documented_copies filter_table_is_ours mangle_is_ours \
        last_proof";
    json(text, FIELDS, |_| false)
}

/// The agent's JSON file: names, no values.
pub(super) fn agent_json(text: &str) -> Redacted {
    if text.trim().is_empty() {
        return Ok(String::new());
    }
    json(text, "", |name| name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// Docker's: what decides over networks, cgroups and logs. Proxies and mirrors carry passwords.
pub(super) fn daemon_json(text: &str) -> Redacted {
    const HARMLESS: &str = "bridge cgroup-parent data-root debug default-runtime exec-opts experimental firewall-backend icc ip-forward \
        ip-forward-no-drop ip-masq ip6tables iptables ipv6 live-restore log-driver mtu selinux-enabled storage-driver \
        userland-proxy userns-remap";
    json(text, HARMLESS, |name| {
        name.len() <= 40
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || b"-6".contains(&byte))
    })
}

fn object(text: &str) -> Result<Map<String, Value>, &'static str> {
    serde_json::from_str(text).map_err(|_| "it is not a JSON object")
}

pub(super) fn pretty(value: &impl serde::Serialize) -> String {
    format!("{:#}\n", json!(value))
}

/// An object's fields: those of the list whole, of those with a harmless name the name, and of the
/// others how many there are.
fn json(text: &str, whole: &str, named: fn(&str) -> bool) -> Redacted {
    let mut shown = Map::new();
    let mut others = 0;
    for (name, value) in object(text)? {
        match (has_word(whole, &name), named(&name)) {
            (true, _) => _ = shown.insert(name, value),
            (false, true) => _ = shown.insert(name, REDACTED.into()),
            (false, false) => others += 1,
        }
    }
    if others > 0 {
        shown.insert("[other names]".into(), others.into());
    }
    Ok(pretty(&shown))
}

/// cloud-init's result and status: its source and its stages' times, and of errors, which quote
/// commands, how many there are.
pub(super) fn cloud_init(text: &str) -> Redacted {
    match object(text)?.remove("v1") {
        Some(Value::Object(fields)) => Ok(pretty(&cloud_init_fields(fields))),
        _ => Err("it is not of version 1"),
    }
}

fn cloud_init_fields(fields: Map<String, Value>) -> Map<String, Value> {
    const STAGES: &str = "init-local init modules-config modules-final";
    let shown = |(name, value): (String, Value)| {
        let value = match (name.as_str(), value) {
            ("datasource", Value::String(source)) => {
                source.split(|c: char| !c.is_ascii_alphanumeric()).next()?.into()
            }
            ("stage", Value::String(stage)) if has_word(STAGES, &stage) => stage.into(),
            ("stage", Value::Null) => Value::Null,
            ("start" | "finished", value @ (Value::Number(_) | Value::Null)) => value,
            ("errors", Value::Array(errors)) => errors.len().into(),
            (stage, Value::Object(fields)) if has_word(STAGES, stage) => {
                Value::Object(cloud_init_fields(fields))
            }
            _ => return None,
        };
        Some((name, value))
    };
    fields.into_iter().filter_map(shown).collect()
}

/// The distribution.
pub(super) fn os_release(text: &str) -> Redacted {
    const FIELDS: &str = "ID ID_LIKE NAME PLATFORM_ID PRETTY_NAME VARIANT_ID VERSION VERSION_ID";
    let known = text
        .lines()
        .filter(|line| line.split_once('=').is_some_and(|(name, _)| has_word(FIELDS, name)));
    Ok(known.map(|line| format!("{line}\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(redact: fn(&str) -> Redacted, text: &str, shown: &str) {
        assert_eq!(redact(text).as_deref(), Ok(shown));
    }

    #[test]
    fn variables_keep_public_names_and_lines_only() {
        check(
            variables,
            "ECS_CLUSTER=a\n# b\n\nECS_NEW_ONE = \nHTTP_PROXY=c\n",
            "   1  ECS_CLUSTER=[redacted]\n   4  [another name]=\n   5  HTTP_PROXY=[redacted]\n",
        );
        check(
            variables,
            "ECS_ENGINE_AUTH_DATA hunter2\nQUJDRA==\nhunter2=x\n[hunter2]\n# hunter2=\nECS_hunter2=\n",
            "   2  [another name]=[redacted]\n   3  [another name]=[redacted]\n   5  [another name]=\n   6  [another name]=\n",
        );
    }

    #[test]
    fn units_keep_order_programs_and_flags_only() {
        check(
            unit,
            "[Service]\nAfter=a.service\nX-Key=hunter2\nhunter2\n# After=hunter2\n",
            "After=a.service\n[another directive]=[redacted]\n",
        );
        check(
            unit,
            "ExecStart=/bin/x --quiet guard --set A=hunter2 \\\n  After=hunter2\nType=oneshot\n",
            "ExecStart=/bin/x --quiet guard --set [redacted]\nType=oneshot\n",
        );
        check(
            unit,
            "ExecStart=/bin/x --token=hunter2 --Hunter2 -phunter2 x\n",
            "ExecStart=/bin/x --token [redacted]\n",
        );
        check(
            unit,
            "ExecStart=/bin/x \\\n# remark\nAfter=hunter2\nType=exec\n",
            "ExecStart=/bin/x [redacted]\nType=exec\n",
        );
    }

    #[test]
    fn unit_environment_keeps_public_names_only() {
        check(
            unit,
            "Environment=\"HTTP_PROXY=http://u:hunter2@p\" HUNTER2=1 'A B=hunter2' \"NO_PROXY=hunter2 hunter2\" hunter2\n",
            "Environment=HTTP_PROXY=[redacted] [another name]=[redacted] [another name]=[redacted] NO_PROXY=[redacted] [another name]=\n",
        );
    }

    #[test]
    fn our_own_units_keep_every_directive() {
        for text in [
            include_str!("../../systemd/ecs-bootstrap.service"),
            include_str!("../../systemd/ecs-bootstrap-guard-verify.timer"),
        ] {
            let shown = unit(text).unwrap();
            assert!(!shown.contains("another directive"), "{shown}");
            assert_eq!(shown.lines().count(), unit_files::assignments(text).len(), "{shown}");
        }
    }

    #[test]
    fn settings_keep_sources_without_query_and_harmless_values() {
        check(
            settings,
            "config = [\"https://b.test/k?X-Amz-Signature=hunter2\"]\nset = [\"ECS_CLUSTER=hunter2\"]\nexpect_role = \"hunter 2\"\nstale = \"keep\"\n",
            "config = https://b.test/k\nexpect_role = [redacted]\nset = ECS_CLUSTER=[redacted]\nstale = keep\n",
        );
        assert!(settings("stale = hunter2\n").is_err());
    }

    #[test]
    fn json_keeps_known_fields_only() {
        check(
            daemon_json,
            "{\"iptables\": false, \"http-proxy\": \"hunter2\", \"HUNTER2\": 1}",
            "{\n  \"iptables\": false,\n  \"http-proxy\": \"[redacted]\",\n  \"[other names]\": 1\n}\n",
        );
        check(
            cloud_init,
            "{\"v1\": {\"datasource\": \"DataSourceEc2 [hunter2]\", \"errors\": [\"hunter2\"], \"x\": \"hunter2\", \"init\": {\"start\": 1.5, \"x\": \"hunter2\"}}}",
            "{\n  \"datasource\": \"DataSourceEc2\",\n  \"errors\": 1,\n  \"init\": {\n    \"start\": 1.5\n  }\n}\n",
        );
        check(agent_json, "{\"\": \"hunter2\"}", "{\n  \"\": \"[redacted]\"\n}\n");
        assert!(daemon_json("{\"iptables\": hunter2").is_err());
    }
}

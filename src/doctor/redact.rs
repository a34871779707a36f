//! What may leave the host of each file, by lists of what is known to be harmless. Pure.
//!
//! Each function takes a file's text and gives another: names, lines and shapes. What no list knows
//! is replaced, comments and lines that nobody understands too, for those are where people keep the
//! password of last week.

use ecs_config::variables;
use serde_json::{Map, Value};

use crate::paths;
use crate::settings;
use crate::settings::Given;
use crate::source::Source;

/// Stands in place of what was taken out.
pub(crate) const REDACTED: &str = "[redacted]";
const OTHER_NAME: &str = "[another name]";

/// Whether a list, one word after the other, has this one.
fn has(list: &str, word: &str) -> bool {
    !word.is_empty() && list.split(' ').any(|one| one == word)
}

/// The text that may leave; or why none of it may.
pub(crate) type Redacted = Result<String, &'static str>;

/// A file of variables: their names, by line. No value.
pub(crate) fn variables(text: &str) -> Redacted {
    Ok(by_line(text, &|line| match line.split_once('=') {
        Some((name, value)) => assignment(name.trim().trim_start_matches("export "), value),
        None => "[no assignment]".into(),
    }))
}

/// Only names that somebody has published: a piece of a value over several lines can look like a
/// name, too.
fn assignment(name: &str, value: &str) -> String {
    let ours = ["ECS_", "AWS_"].iter().any(|start| name.starts_with(start));
    let plain =
        name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    let public = variables::find(name).is_some() || ours && plain && name.len() <= 64;
    let value = if value.trim().is_empty() { "" } else { REDACTED };
    format!("{}={value}", if public { name } else { OTHER_NAME })
}

/// Each line with its number. Comments are no more to be trusted than values.
fn by_line(text: &str, show: &dyn Fn(&str) -> String) -> String {
    let shown = text.lines().map(str::trim).map(|line| match line.chars().next() {
        None => String::new(),
        Some('#' | ';') => "[comment]".into(),
        Some('[') if has(SECTIONS, line) => line.into(),
        Some(_) => show(line),
    });
    shown.enumerate().map(|(at, line)| format!("{:>4}  {line}\n", at + 1)).collect()
}

const SECTIONS: &str = "[Unit] [Service] [Install] [Timer] [Socket] [Slice] [Path]";

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

/// Words of commands that are nobody's secret: those of this program, of systemctl and of ecs-init.
const WORDS: &str = "check docker ecs ecs-bootstrap ecs-bootstrap.service guard install post-stop pre-start pre-stop prove refresh reload \
    reload-cache remove restart run start status stop try-restart verify";

/// A unit or a drop-in: its order and its limits; of commands the program and the flags; of the
/// environment the names.
pub(crate) fn unit(text: &str) -> Redacted {
    let joined = joined(text);
    Ok(by_line(&joined, &|line| match line.split_once('=') {
        Some((name, value)) => directive(name.trim(), value.trim()),
        None => "[no directive]".into(),
    }))
}

/// A line that goes on made one, or its second half could pass for a directive; comments between
/// are left out (systemd.syntax(7)). Empty lines keep the numbers of the lines after it right.
fn joined(text: &str) -> String {
    let (mut joined, mut owed) = (String::new(), 0);
    for line in text.lines() {
        let (comment, begun) = (line.trim_start().starts_with(['#', ';']), line.strip_suffix('\\'));
        match begun {
            _ if comment && owed > 0 => owed += 1,
            Some(begun) if !comment => {
                joined.push_str(begun);
                owed += 1;
            }
            _ => {
                joined.push_str(line);
                joined.push_str(&"\n".repeat(1 + std::mem::take(&mut owed)));
            }
        }
    }
    joined
}

fn directive(name: &str, value: &str) -> String {
    let shown = match name {
        _ if has(PLAIN, name) => value.to_owned(),
        _ if FAMILIES.split(' ').any(|start| name.starts_with(start)) => value.to_owned(),
        _ if has(COMMANDS, name) => command(value),
        "Environment" => value.split_whitespace().map(variable).collect::<Vec<_>>().join(" "),
        "Description" | "Documentation" => REDACTED.into(),
        _ => return format!("[another directive]={REDACTED}"),
    };
    format!("{name}={shown}")
}

/// One word of `Environment=`. Quotes go around whole assignments.
fn variable(word: &str) -> String {
    match word.trim_matches(['"', '\'']).split_once('=') {
        Some((name, value)) => assignment(name, value),
        None => REDACTED.into(),
    }
}

/// The program, and flags without what is given to them.
fn command(line: &str) -> String {
    let mut words: Vec<&str> = Vec::new();
    for (at, word) in line.split_whitespace().enumerate() {
        let shown = match at {
            0 => word,
            _ if has(WORDS, word) => word,
            _ => flag(word).unwrap_or(REDACTED),
        };
        if shown != REDACTED || words.last() != Some(&REDACTED) {
            words.push(shown);
        }
    }
    words.join(" ")
}

fn flag(word: &str) -> Option<&str> {
    let name = word.split('=').next().unwrap_or_default();
    let plain = |letters: &str| {
        !letters.is_empty() && letters.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
    };
    name.strip_prefix("--").filter(|letters| plain(letters)).map(|_| name)
}

/// The settings file: every setting, but of `set` and `keep` the names alone, and sources without
/// their query.
pub(crate) fn settings(text: &str) -> Redacted {
    let given = Given::file(std::path::Path::new(paths::SETTINGS), text)
        .map_err(|_| "it cannot be read: see `settings` in doctor.json")?;
    let lines = given.iter().flat_map(|(name, items)| {
        items.iter().map(move |item| format!("{name} = {}\n", setting(name, item)))
    });
    Ok(lines.collect())
}

fn setting(name: &str, item: &str) -> String {
    let harmless = item.len() <= 64
        && item.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte));
    match name {
        "config" => {
            item.parse::<Source>().map_or_else(|_| REDACTED.into(), |source| source.to_string())
        }
        "set" => assignment(item.split('=').next().unwrap_or_default().trim(), REDACTED),
        "keep" => assignment(item, "").trim_end_matches('=').to_owned(),
        _ if harmless => item.to_owned(),
        _ => REDACTED.into(),
    }
}

/// Files of our own that have no field for a value of a configuration: whole, but for what is none
/// of their fields.
pub(crate) fn report(text: &str) -> Redacted {
    const FIELDS: &str = "schema version command outcome exit_status started_at duration_ms host steps config guard findings settings kept_age_s \
        error";
    json(text, FIELDS, |_| false)
}

pub(crate) fn state(text: &str) -> Redacted {
    json(text, "schema installed pending", |_| false)
}

pub(crate) fn guard(text: &str) -> Redacted {
    json(
        text,
        "interface documented_is_ours filter_table_is_ours mangle_is_ours last_proof",
        |_| false,
    )
}

/// The agent's JSON file: names, no values.
pub(crate) fn agent_json(text: &str) -> Redacted {
    match text.trim().is_empty() {
        true => Ok(String::new()),
        false => json(text, "", |name| {
            name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
        }),
    }
}

/// Docker's: what decides over networks, cgroups and logs. Proxies and mirrors carry passwords.
pub(crate) fn daemon_json(text: &str) -> Redacted {
    const HARMLESS: &str = "bridge cgroup-parent data-root debug default-runtime exec-opts experimental firewall-backend icc ip-forward \
        ip-forward-no-drop ip-masq ip6tables iptables ipv6 live-restore log-driver mtu selinux-enabled storage-driver \
        userland-proxy userns-remap";
    json(text, HARMLESS, |name| {
        name.len() <= 40
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || b"-6".contains(&byte))
    })
}

/// An object's fields: those of the list whole, of those with a harmless name the name, and of the
/// others how many there are.
fn json(text: &str, whole: &str, named: fn(&str) -> bool) -> Redacted {
    let Ok(Value::Object(fields)) = serde_json::from_str(text) else {
        return Err("it is no JSON object");
    };
    let mut shown = Map::new();
    let mut others = 0;
    for (name, value) in fields {
        match (has(whole, &name), named(&name)) {
            (true, _) => _ = shown.insert(name, value),
            (false, true) => _ = shown.insert(name, REDACTED.into()),
            (false, false) => others += 1,
        }
    }
    if others > 0 {
        shown.insert("[other names]".into(), others.into());
    }
    Ok(format!("{:#}\n", Value::Object(shown)))
}

/// cloud-init's result and status: its source and its stages' times, and of errors how many there
/// are, for they quote commands.
pub(crate) fn cloud_init(text: &str) -> Redacted {
    let Ok(Value::Object(file)) = serde_json::from_str(text) else {
        return Err("it is no JSON object");
    };
    let Some(Value::Object(fields)) = file.get("v1") else { return Err("it is not of version 1") };
    const STAGES: &str = "init-local init modules-config modules-final";
    let mut shown = Map::new();
    for (name, value) in fields {
        let value = match (name.as_str(), value) {
            ("datasource", Value::String(source)) => {
                source.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default().into()
            }
            ("stage", Value::String(stage)) if has(STAGES, stage) => stage.as_str().into(),
            ("stage", Value::Null) => Value::Null,
            ("errors", Value::Array(errors)) => errors.len().into(),
            (stage, Value::Object(fields)) if has(STAGES, stage) => times(fields),
            _ => continue,
        };
        shown.insert(name.clone(), value);
    }
    Ok(format!("{:#}\n", Value::Object(shown)))
}

fn times(stage: &Map<String, Value>) -> Value {
    let shown = stage.iter().filter_map(|(name, value)| match (name.as_str(), value) {
        ("start" | "finished", Value::Number(_) | Value::Null) => {
            Some((name.clone(), value.clone()))
        }
        ("errors", Value::Array(errors)) => Some((name.clone(), errors.len().into())),
        _ => None,
    });
    Value::Object(shown.collect())
}

/// Which distribution it is.
pub(crate) fn os_release(text: &str) -> Redacted {
    const FIELDS: &str = "ID ID_LIKE NAME PLATFORM_ID PRETTY_NAME VARIANT_ID VERSION VERSION_ID";
    let known =
        text.lines().filter(|line| line.split_once('=').is_some_and(|(name, _)| has(FIELDS, name)));
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
    fn of_variables_public_names_are_left_and_nothing_of_lines_that_are_none() {
        check(
            variables,
            "ECS_CLUSTER=a\n# b\n\nECS_NEW_ONE = \nexport HTTP_PROXY=c\n",
            "   1  ECS_CLUSTER=[redacted]\n   2  [comment]\n   3  \n   4  ECS_NEW_ONE=\n   5  HTTP_PROXY=[redacted]\n",
        );
        check(
            variables,
            "ECS_ENGINE_AUTH_DATA hunter2\nQUJDRA==\nhunter2=x\n[hunter2]\n",
            "   1  [no assignment]\n   2  [another name]=[redacted]\n   3  [another name]=[redacted]\n   4  [no assignment]\n",
        );
    }

    #[test]
    fn of_units_order_is_left_and_of_commands_the_program_and_the_flags() {
        check(
            unit,
            "[Service]\nAfter=a.service\nX-Key=hunter2\n",
            "   1  [Service]\n   2  After=a.service\n   3  [another directive]=[redacted]\n",
        );
        check(
            unit,
            "ExecStart=/bin/x --quiet guard --set A=hunter2 \\\n  After=hunter2\nType=oneshot\n",
            "   1  ExecStart=/bin/x --quiet guard --set [redacted]\n   2  \n   3  Type=oneshot\n",
        );
        check(
            unit,
            "ExecStart=/bin/x --token=hunter2 --Hunter2 -phunter2 x\n",
            "   1  ExecStart=/bin/x --token [redacted]\n",
        );
        check(
            unit,
            "Environment=\"HTTP_PROXY=http://u:hunter2@p\" HUNTER2=1 'A B=hunter2'\nhunter2\n",
            "   1  Environment=HTTP_PROXY=[redacted] [another name]=[redacted] [redacted] [another name]=[redacted]\n   2  [no directive]\n",
        );
    }

    #[test]
    fn of_our_own_units_every_directive_is_left() {
        for text in [
            include_str!("../../systemd/ecs-bootstrap.service"),
            include_str!("../../systemd/ecs-bootstrap-guard-verify.timer"),
        ] {
            let shown = unit(text).unwrap();
            assert!(
                !shown.contains("another directive")
                    && shown.lines().count() == text.lines().count(),
                "{shown}"
            );
        }
    }

    #[test]
    fn a_line_that_goes_on_over_a_comment_is_one_line() {
        check(
            unit,
            "ExecStart=/bin/x \\\n# remark\nAfter=hunter2\nType=exec\n",
            "   1  ExecStart=/bin/x [redacted]\n   2  \n   3  \n   4  Type=exec\n",
        );
    }

    #[test]
    fn of_settings_the_sources_lose_their_query_and_the_rest_its_values() {
        check(
            settings,
            "config = [\"https://b.test/k?X-Amz-Signature=hunter2\"]\nset = [\"ECS_CLUSTER=hunter2\"]\nexpect_role = \"hunter 2\"\nstale = \"keep\"\n",
            "config = https://b.test/k\nexpect_role = [redacted]\nset = ECS_CLUSTER=[redacted]\nstale = keep\n",
        );
        assert!(settings("stale = hunter2\n").is_err());
    }

    #[test]
    fn of_json_only_known_fields_are_left() {
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

//! Values that are JSON: lists, maps, ports, prefixes and registry credentials.
//!
//! Positions are counted from one. Messages name positions and shapes, never elements.

use std::collections::BTreeMap;
use std::net::IpAddr;

use base64::Engine as _;
use serde_json::{Map, Value};

use super::rules::values as rule;
use super::values::Check;
use crate::variables::OnInvalid;

/// The value as JSON; says so when it is none, and how the program takes that.
fn parsed(check: &mut Check) -> Option<Value> {
    match serde_json::from_str(check.value) {
        Ok(value) => Some(value),
        Err(error) => {
            let end = match check.known.on_invalid {
                OnInvalid::Fatal => "the agent stops",
                _ => "the value is ignored",
            };
            let message = format!("no valid JSON at column {}: {end}", error.column());
            check.broken(&rule::BAD_JSON, message, format!("write {}, on one line", wanted(check)));
            None
        }
    }
}

fn wanted(check: &Check) -> &'static str {
    use crate::variables::Kind;
    match check.known.kind {
        Kind::StringList => r#"a list of strings, as in ["a","b"]"#,
        Kind::PortList => "a list of numbers, as in [22,8080]",
        Kind::CidrList => r#"a list of prefixes, as in ["10.0.0.0/16"]"#,
        Kind::Auth => "an object with one entry for each registry",
        _ => r#"an object of strings, as in {"name":"value"}"#,
    }
}

fn shape(check: &mut Check, message: &str) {
    let fix = format!("write {}", wanted(check));
    check.broken(&rule::JSON_SHAPE, message, fix);
}

fn list(check: &mut Check) -> Option<Vec<Value>> {
    match parsed(check)? {
        Value::Array(elements) => Some(elements),
        Value::Null => None,
        _ => {
            shape(check, "a list is wanted here");
            None
        }
    }
}

fn object(check: &mut Check) -> Option<Map<String, Value>> {
    match parsed(check)? {
        Value::Object(map) => Some(map),
        Value::Null => None,
        Value::Array(_) => {
            shape(check, "an object is wanted here, not a list");
            None
        }
        _ => {
            shape(check, "an object is wanted here");
            None
        }
    }
}

/// The first element, counted from one, that fails.
fn first_bad<T>(elements: &[T], good: impl Fn(&T) -> bool) -> Option<usize> {
    elements.iter().position(|element| !good(element)).map(|at| at + 1)
}

pub fn string_list(check: &mut Check) {
    let Some(elements) = list(check) else { return };
    if let Some(at) = first_bad(&elements, Value::is_string) {
        return shape(check, &format!("element {at} is no string"));
    }
    let words: Vec<&str> = check.known.words().collect();
    let known = |element: &Value| {
        words.is_empty() || element.as_str().is_some_and(|word| words.contains(&word))
    };
    if let Some(at) = first_bad(&elements, known) {
        let fix = format!("choose from {}", words.join(", "));
        check.broken(
            &rule::UNKNOWN_LOG_DRIVER,
            format!("element {at} is no log driver: the agent stops"),
            fix,
        );
    }
}

pub fn string_map(check: &mut Check) {
    let Some(map) = object(check) else { return };
    let entries: Vec<(&str, Option<&str>)> =
        map.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    if let Some(at) = first_bad(&entries, |(_, value)| value.is_some()) {
        return shape(check, &format!("the value of entry {at} is no string"));
    }
    let pairs: Vec<(&str, &str)> =
        entries.into_iter().map(|(key, value)| (key, value.unwrap_or(""))).collect();
    match check.known.name {
        "ECS_CONTAINER_INSTANCE_TAGS" => tags(check, &pairs),
        "ECS_INSTANCE_ATTRIBUTES" => attributes(check, &pairs),
        _ => {}
    }
}

fn tags(check: &mut Check, pairs: &[(&str, &str)]) {
    if let Some(at) = first_bad(pairs, |(key, _)| !key.to_ascii_lowercase().starts_with("aws:")) {
        let message = format!("the key of tag {at} begins with aws:, which is reserved");
        check.broken(&rule::AWS_TAG_KEY, message, "choose another key");
    }
    let plain = |text: &str| {
        text.chars().all(|c| c.is_alphanumeric() || c == ' ' || "+-=._:/@".contains(c))
    };
    let long = |text: &str, most| text.chars().count() <= most;
    let good = |(key, value): &(&str, &str)| {
        !key.is_empty() && long(key, 128) && long(value, 256) && plain(key) && plain(value)
    };
    match first_bad(pairs, good) {
        Some(at) => check.broken(
            &rule::TAG_LIMITS,
            format!("ECS refuses tag {at}"),
            "keep to the lengths and characters of tags",
        ),
        None if pairs.len() > 50 => {
            check.broken(&rule::TAG_LIMITS, "there are more than 50 tags", "keep at most 50")
        }
        None => {}
    }
}

fn attributes(check: &mut Check, pairs: &[(&str, &str)]) {
    let plain = |text: &str, more: &str| {
        text.bytes().all(|b| {
            b.is_ascii_alphanumeric() || b"-_./\\".contains(&b) || more.as_bytes().contains(&b)
        })
    };
    let fits = |text: &str| (1..=128).contains(&text.len()) && text.trim() == text;
    let good = |(name, value): &(&str, &str)| {
        fits(name) && fits(value) && plain(name, "") && plain(value, "@: ")
    };
    if let Some(at) = first_bad(pairs, good) {
        let message = format!("ECS refuses attribute {at}");
        check.broken(
            &rule::ATTRIBUTE_LIMITS,
            message,
            "keep to the lengths and characters of attributes",
        );
    }
}

/// The ports that the agent reserves unless a list replaces them.
const DEFAULT_PORTS: [u64; 5] = [22, 2375, 2376, 51678, 51679];

pub fn port_list(check: &mut Check) {
    let Some(elements) = list(check) else { return };
    let port = |element: &Value| element.as_u64().is_some_and(|port| port <= 65_535);
    if let Some(at) = first_bad(&elements, port) {
        let text = elements.get(at - 1).is_some_and(Value::is_string);
        let what = if text { "a string, not a number" } else { "no port" };
        let message = format!(
            "element {at} is {what}: it counts as port 0, and the default ports are handed out"
        );
        return check.broken(
            &rule::BAD_PORT,
            message,
            "write numbers from 0 to 65535, without quotes",
        );
    }
    let holds = |port: &u64| elements.iter().any(|element| element.as_u64() == Some(*port));
    let dropped: Vec<String> =
        DEFAULT_PORTS.iter().filter(|port| !holds(port)).map(u64::to_string).collect();
    if check.known.name == "ECS_RESERVED_PORTS" && !elements.is_empty() && !dropped.is_empty() {
        let message =
            format!("the list replaces the default one and leaves out {}", dropped.join(", "));
        check.broken(&rule::DEFAULT_PORTS_DROPPED, message, "add them, unless tasks may have them");
    }
}

pub fn prefix_list(check: &mut Check) {
    let Some(elements) = list(check) else { return };
    if let Some(at) = first_bad(&elements, |element| element.as_str().is_some_and(is_prefix)) {
        let message = format!("element {at} is no address prefix: the agent stops");
        check.broken(&rule::BAD_PREFIX, message, "write an address, a slash and a length");
    }
}

fn is_prefix(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let longest = match address.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    length.parse::<u8>().is_ok_and(|length| length <= longest)
}

pub fn auth(check: &mut Check, siblings: &BTreeMap<&str, &str>) {
    let Some(registries) = object(check) else { return };
    if registries.contains_key("auths") {
        let message =
            "this is a whole Docker config.json: every private pull would run without credentials";
        return check.broken(&rule::AUTHS_WRAPPER, message, "keep only the object inside `auths`");
    }
    let kind = siblings.get("ECS_ENGINE_AUTH_TYPE").copied().unwrap_or("");
    for (at, (registry, entry)) in registries.iter().enumerate().map(|(at, pair)| (at + 1, pair)) {
        if !is_registry(registry) {
            check.broken(
                &rule::REGISTRY_NAME,
                format!("key {at} is no registry's name"),
                "write the registry's host name",
            );
        }
        credential(check, at, kind, entry);
    }
}

fn is_registry(key: &str) -> bool {
    let host = key.split_once("://").map_or(key, |(_, rest)| rest);
    !host.is_empty() && !host.starts_with('/') && !host.contains(char::is_whitespace)
}

fn credential(check: &mut Check, at: usize, kind: &str, entry: &Value) {
    let text =
        |field: &str| entry.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
    match (kind, text("auth")) {
        ("docker", _) if text("username").is_none() || text("password").is_none() => {
            let message = format!("the entry of registry {at} lacks username or password");
            check.broken(
                &rule::AUTH_SHAPE,
                message,
                "ECS_ENGINE_AUTH_TYPE=docker needs both; dockercfg needs `auth`",
            );
        }
        ("dockercfg", None) => {
            let message = format!("the entry of registry {at} lacks auth");
            check.broken(
                &rule::AUTH_SHAPE,
                message,
                "ECS_ENGINE_AUTH_TYPE=dockercfg needs `auth`; docker needs username and password",
            );
        }
        ("docker", _) | (_, None) => {}
        (_, Some(example)) if example.contains("EXAMPLE") => {
            let message =
                format!("the credential of registry {at} is one of the documentation's inventions");
            check.broken(&rule::EXAMPLE_CREDENTIAL, message, "put in the real one");
        }
        (_, Some(auth)) if !holds_user_and_password(auth) => {
            let message = format!("auth of registry {at} is no base64 of user:password");
            check.broken(
                &rule::AUTH_NOT_USER_PASSWORD,
                message,
                "copy it from the file that `docker login` writes",
            );
        }
        _ => {}
    }
}

fn holds_user_and_password(auth: &str) -> bool {
    base64::engine::general_purpose::STANDARD
        .decode(auth)
        .is_ok_and(|plain| plain.iter().skip(1).any(|byte| *byte == b':'))
}

//! Values that are JSON: lists, maps, ports, prefixes and registry credentials. Positions are
//! counted from one.

use std::net::IpAddr;

use base64::Engine as _;
use serde_json::{Map, Value as Json};

use super::value::Value;
use crate::lint::rules::values as rule;
use crate::variables::{Kind, OnInvalid};

/// The value as JSON; reports if it is not, and how the program takes that.
fn parsed(value: &mut Value<'_, '_>) -> Option<Json> {
    match serde_json::from_str(value.text) {
        Ok(json) => Some(json),
        Err(error) => {
            let end = match value.known.on_invalid {
                OnInvalid::Fatal => "the agent stops",
                _ => "the value is ignored",
            };
            let message = format!("not valid JSON at column {}: {end}", error.column());
            let fix = format!("write {}, on one line", wanted(value));
            value.breaks_with(&rule::BAD_JSON, message, fix);
            None
        }
    }
}

fn wanted(value: &Value<'_, '_>) -> &'static str {
    match value.known.kind {
        Kind::StringList => r#"a list of strings, as in ["a","b"]"#,
        Kind::PortList => "a list of numbers, as in [22,8080]",
        Kind::CidrList => r#"a list of prefixes, as in ["10.0.0.0/16"]"#,
        Kind::Auth => "an object with one entry for each registry",
        _ => r#"an object of strings, as in {"name":"value"}"#,
    }
}

fn shape(value: &mut Value<'_, '_>, message: impl Into<String>) {
    let fix = format!("write {}", wanted(value));
    value.breaks_with(&rule::JSON_SHAPE, message, fix);
}

/// The elements; `null` counts as not set.
fn list(value: &mut Value<'_, '_>) -> Option<Vec<Json>> {
    match parsed(value)? {
        Json::Array(elements) => return Some(elements),
        Json::Null => {}
        _ => shape(value, "expected a list"),
    }
    None
}

fn object(value: &mut Value<'_, '_>) -> Option<Map<String, Json>> {
    match parsed(value)? {
        Json::Object(map) => return Some(map),
        Json::Null => {}
        Json::Array(_) => shape(value, "expected an object, not a list"),
        _ => shape(value, "expected an object"),
    }
    None
}

/// The first element, counted from one, that fails.
fn first_bad<T>(elements: &[T], is_good: impl Fn(&T) -> bool) -> Option<usize> {
    elements.iter().position(|element| !is_good(element)).map(|at| at + 1)
}

pub(super) fn string_list(value: &mut Value<'_, '_>) {
    let Some(elements) = list(value) else { return };
    if let Some(at) = first_bad(&elements, Json::is_string) {
        return shape(value, format!("element {at} is not a string"));
    }
    let words: Vec<&str> = value.known.words().collect();
    let is_known = |element: &Json| {
        words.is_empty() || element.as_str().is_some_and(|word| words.contains(&word))
    };
    if let Some(at) = first_bad(&elements, is_known) {
        let message = format!("element {at} is not a known log driver: the agent stops");
        let fix = format!("choose from {}", words.join(", "));
        value.breaks_with(&rule::UNKNOWN_LOG_DRIVER, message, fix);
    }
}

pub(super) fn string_map(value: &mut Value<'_, '_>) {
    let Some(map) = object(value) else { return };
    let entries: Vec<Option<Pair<'_>>> =
        map.iter().map(|(key, value)| Some((key.as_str(), value.as_str()?))).collect();
    if let Some(at) = first_bad(&entries, Option::is_some) {
        return shape(value, format!("the value of entry {at} is not a string"));
    }
    let pairs: Vec<Pair<'_>> = entries.into_iter().flatten().collect();
    match value.known.name {
        "ECS_CONTAINER_INSTANCE_TAGS" => tags(value, &pairs),
        "ECS_INSTANCE_ATTRIBUTES" => attributes(value, &pairs),
        _ => {}
    }
}

type Pair<'j> = (&'j str, &'j str);

fn tags(value: &mut Value<'_, '_>, pairs: &[Pair<'_>]) {
    let is_reserved = |key: &str| key.to_ascii_lowercase().starts_with("aws:");
    if let Some(at) = first_bad(pairs, |(key, _)| !is_reserved(key)) {
        let message = format!("the key of tag {at} begins with aws:, which is reserved");
        value.breaks_with(&rule::AWS_TAG_KEY, message, "choose another key");
    }
    let fits = |text: &str, most| {
        text.chars().count() <= most
            && text.chars().all(|c| c.is_alphanumeric() || " +-=._:/@".contains(c))
    };
    let is_good = |(key, value): &Pair<'_>| !key.is_empty() && fits(key, 128) && fits(value, 256);
    if let Some(at) = first_bad(pairs, is_good) {
        let fix = "keep to the lengths and characters of tags";
        value.breaks_with(&rule::TAG_LIMITS, format!("ECS refuses tag {at}"), fix);
    } else if pairs.len() > 50 {
        value.breaks_with(&rule::TAG_LIMITS, "there are more than 50 tags", "keep at most 50");
    }
}

fn attributes(value: &mut Value<'_, '_>, pairs: &[Pair<'_>]) {
    let fits = |text: &str, more: &str| {
        (1..=128).contains(&text.len())
            && text.trim() == text
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_./\\".contains(c) || more.contains(c))
    };
    if let Some(at) = first_bad(pairs, |(name, value)| fits(name, "") && fits(value, "@: ")) {
        let fix = "keep to the lengths and characters of attributes";
        value.breaks_with(&rule::ATTRIBUTE_LIMITS, format!("ECS refuses attribute {at}"), fix);
    }
}

/// The ports that the agent reserves unless a list replaces them.
const DEFAULT_PORTS: [u64; 5] = [22, 2375, 2376, 51678, 51679];

pub(super) fn port_list(value: &mut Value<'_, '_>) {
    let Some(elements) = list(value) else { return };
    let is_port = |element: &Json| element.as_u64().is_some_and(|port| port <= 65_535);
    if let Some(at) = first_bad(&elements, is_port) {
        let what =
            if elements[at - 1].is_string() { "a string, not a number" } else { "not a port" };
        let message = format!(
            "element {at} is {what}: it counts as port 0, and the default ports are handed out"
        );
        let fix = "write numbers from 0 to 65535, without quotes";
        return value.breaks_with(&rule::BAD_PORT, message, fix);
    }
    let is_dropped = |port: &u64| !elements.iter().any(|element| element.as_u64() == Some(*port));
    let dropped: Vec<String> =
        DEFAULT_PORTS.into_iter().filter(is_dropped).map(|port| port.to_string()).collect();
    if value.known.name == "ECS_RESERVED_PORTS" && !elements.is_empty() && !dropped.is_empty() {
        let message =
            format!("the list replaces the default one and leaves out {}", dropped.join(", "));
        let fix = "add them, unless tasks may have them";
        value.breaks_with(&rule::DEFAULT_PORTS_DROPPED, message, fix);
    }
}

pub(super) fn prefix_list(value: &mut Value<'_, '_>) {
    let Some(elements) = list(value) else { return };
    if let Some(at) = first_bad(&elements, |element| element.as_str().is_some_and(is_prefix)) {
        let message = format!("element {at} is not an address prefix: the agent stops");
        value.breaks_with(&rule::BAD_PREFIX, message, "write an address, a slash and a length");
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

pub(super) fn auth(value: &mut Value<'_, '_>, auth_type: &str) {
    let Some(registries) = object(value) else { return };
    if registries.contains_key("auths") {
        return value.breaks(&rule::AUTHS_WRAPPER);
    }
    for (at, (registry, entry)) in (1..).zip(&registries) {
        if !is_registry(registry) {
            let message = format!("key {at} is not the name of a registry");
            value.breaks_with(&rule::REGISTRY_NAME, message, "write the registry's host name");
        }
        credential(value, at, auth_type, entry);
    }
}

fn is_registry(key: &str) -> bool {
    let host = key.split_once("://").map_or(key, |(_, rest)| rest);
    !host.is_empty() && !host.starts_with('/') && !host.contains(char::is_whitespace)
}

fn credential(value: &mut Value<'_, '_>, at: usize, auth_type: &str, entry: &Json) {
    let text =
        |field: &str| entry.get(field).and_then(Json::as_str).filter(|text| !text.is_empty());
    let (rule, message, fix) = match (auth_type, text("auth")) {
        ("docker", _) if text("username").is_none() || text("password").is_none() => (
            &rule::AUTH_SHAPE,
            format!("the entry of registry {at} lacks username or password"),
            "ECS_ENGINE_AUTH_TYPE=docker needs both; dockercfg needs `auth`",
        ),
        ("dockercfg", None) => (
            &rule::AUTH_SHAPE,
            format!("the entry of registry {at} lacks auth"),
            "ECS_ENGINE_AUTH_TYPE=dockercfg needs `auth`; docker needs username and password",
        ),
        ("docker", _) | (_, None) => return,
        (_, Some(example)) if example.contains("EXAMPLE") => (
            &rule::EXAMPLE_CREDENTIAL,
            format!("the credential of registry {at} is an example from the documentation"),
            "put in the real one",
        ),
        (_, Some(auth)) if !holds_user_and_password(auth) => (
            &rule::AUTH_NOT_USER_PASSWORD,
            format!("auth of registry {at} is not base64 of user:password"),
            "copy it from the file that `docker login` writes",
        ),
        _ => return,
    };
    value.breaks_with(rule, message, fix);
}

fn holds_user_and_password(auth: &str) -> bool {
    base64::engine::general_purpose::STANDARD
        .decode(auth)
        .is_ok_and(|plain| plain.iter().skip(1).any(|byte| *byte == b':'))
}

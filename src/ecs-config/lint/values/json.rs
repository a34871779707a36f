//! Values that are JSON: lists, maps, ports, prefixes and registry credentials. Positions are
//! counted from one.

use std::fmt::Display;

use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine as _, alphabet};
use serde_json::{Map, Value as Json};

use super::value::Value;
use crate::json_file::entries;
use crate::lint::rules::values as rule;
use crate::proxy::is_network;
use crate::variables::{Kind, OnInvalid, Variable};

/// The value as JSON; reports if it is not, and how the program takes that.
fn parsed(value: &mut Value<'_, '_>) -> Option<Json> {
    let error = match serde_json::from_str(value.text) {
        Ok(json) => return Some(json),
        Err(error) => error,
    };
    // Of a list the agent takes the first JSON value, whatever is behind it (json.Decoder).
    let first = serde_json::Deserializer::from_str(value.text).into_iter().next();
    let list = first.and_then(Result::ok).filter(Json::is_array);
    if list.is_some() && matches!(value.known.kind, Kind::StringList | Kind::PortList) {
        value.warns(&rule::BAD_JSON, "the agent ignores what is behind the list", "remove it");
        return list;
    }
    let end = match value.known.on_invalid {
        OnInvalid::Fatal => "the agent stops",
        _ => "the value is ignored",
    };
    let message = format_args!("not valid JSON at column {}: {end}", error.column());
    let fix = format_args!("write {}, on one line", wanted(value.known));
    value.breaks_with(&rule::BAD_JSON, message, fix);
    None
}

fn wanted(known: &Variable) -> &'static str {
    match known.kind {
        Kind::StringList => r#"a list of strings, as in ["a","b"]"#,
        Kind::PortList => "a list of numbers, as in [22,8080]",
        Kind::CidrList => r#"a list of prefixes, as in ["10.0.0.0/16"]"#,
        Kind::Auth => "an object with one entry for each registry",
        _ => r#"an object of strings, as in {"name":"value"}"#,
    }
}

fn shape(value: &mut Value<'_, '_>, message: impl Display) {
    let fix = format_args!("write {}", wanted(value.known));
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

/// The entries of an object, also those that a later one of the same key replaces: Go stops at any
/// of a wrong type.
fn object(value: &mut Value<'_, '_>) -> Option<Vec<(String, Json)>> {
    match parsed(value)? {
        Json::Object(map) => {
            let entries = entries(value.text.as_bytes()).unwrap_or_default();
            if entries.len() > map.len() {
                value.breaks(&rule::DUPLICATE_JSON_KEY);
            }
            return Some(entries);
        }
        Json::Null => {}
        Json::Array(_) => shape(value, "expected an object, not a list"),
        _ => shape(value, "expected an object"),
    }
    None
}

/// Those that fail, counted from one: `element 2`, `elements 2, 3 and 5`.
fn bad<T>(noun: &str, elements: &[T], is_good: impl Fn(&T) -> bool) -> Option<String> {
    let numbered = (1..).zip(elements).filter(|(_, element)| !is_good(element));
    let numbers: Vec<String> = numbered.map(|(number, _)| number.to_string()).collect();
    match numbers.split_last()? {
        (one, []) => Some(format!("{noun} {one}")),
        (last, first) if first.len() < 10 => {
            Some(format!("{noun}s {} and {last}", first.join(", ")))
        }
        (_, first) => {
            Some(format!("{noun}s {} and {} more", first[..9].join(", "), first.len() - 8))
        }
    }
}

pub(super) fn string_list(value: &mut Value<'_, '_>) {
    let Some(elements) = list(value) else { return };
    let words: Vec<&str> = value.known.words().collect();
    let is_known = |element: &Json| {
        words.is_empty() || element.as_str().is_some_and(|word| words.contains(&word))
    };
    if let Some(which) = bad("element", &elements, Json::is_string) {
        shape(value, format_args!("not a string: {which}"));
    } else if let Some(which) = bad("element", &elements, is_known) {
        let message = format_args!("the agent stops, since it does not know {which}");
        let fix = format_args!("choose from {}", words.join(", "));
        value.breaks_with(&rule::UNKNOWN_LOG_DRIVER, message, fix);
    }
}

pub(super) fn string_map(value: &mut Value<'_, '_>) {
    let Some(entries) = object(value) else { return };
    if let Some(which) = bad("value", &entries, |(_, value)| string(value).is_some()) {
        return shape(value, format_args!("not a string: {which}"));
    }
    let last: Map<String, Json> = entries.into_iter().collect();
    let pairs: Vec<Pair<'_>> =
        last.iter().filter_map(|(key, value)| Some((key.as_str(), string(value)?))).collect();
    match value.known.name {
        "ECS_CONTAINER_INSTANCE_TAGS" => tags(value, &pairs),
        "ECS_INSTANCE_ATTRIBUTES" => attributes(value, &pairs),
        _ => {}
    }
}

/// Go makes an empty string of null.
fn string(json: &Json) -> Option<&str> {
    if json.is_null() { Some("") } else { json.as_str() }
}

type Pair<'j> = (&'j str, &'j str);

fn tags(value: &mut Value<'_, '_>, pairs: &[Pair<'_>]) {
    let is_reserved = |key: &str| key.to_ascii_lowercase().starts_with("aws:");
    if let Some(which) = bad("tag", pairs, |(key, _)| !is_reserved(key)) {
        let message = format!("the key begins with aws:, which is reserved: {which}");
        value.breaks_with(&rule::AWS_TAG_KEY, message, "choose another key");
    }
    let fits = |text: &str, most| {
        text.chars().count() <= most
            && text.chars().all(|c| c.is_alphanumeric() || " +-=._:/@".contains(c))
    };
    let is_good = |(key, value): &Pair<'_>| !key.is_empty() && fits(key, 128) && fits(value, 256);
    if let Some(which) = bad("tag", pairs, is_good) {
        let fix = "keep to the lengths and characters of tags";
        value.breaks_with(&rule::TAG_LIMITS, format!("ECS refuses {which}"), fix);
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
    let is_good = |(name, value): &Pair<'_>| fits(name, "") && fits(value, "@: ");
    if let Some(which) = bad("attribute", pairs, is_good) {
        let fix = "keep to the lengths and characters of attributes";
        value.breaks_with(&rule::ATTRIBUTE_LIMITS, format!("ECS refuses {which}"), fix);
    }
}

/// The ports that the agent reserves unless a list replaces them.
const DEFAULT_PORTS: [u64; 5] = [22, 2375, 2376, 51678, 51679];

pub(super) fn port_list(value: &mut Value<'_, '_>) {
    let Some(elements) = list(value) else { return };
    let is_port = |element: &Json| element.as_u64().is_some_and(|port| port <= 65_535);
    if let Some(which) = bad("element", &elements, is_port) {
        let is_text = |element: &Json| element.is_string();
        let what = if elements.iter().any(is_text) { "a string" } else { "not a port" };
        let message =
            format!("{what}, which counts as port 0 and drops the default ports: {which}");
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
    let is_good = |element: &Json| element.as_str().is_some_and(is_network);
    if let Some(which) = bad("element", &elements, is_good) {
        let message = format!("not an address prefix, so the agent stops: {which}");
        value.breaks_with(&rule::BAD_PREFIX, message, "write an address, a slash and a length");
    }
}

pub(super) fn auth(value: &mut Value<'_, '_>, auth_type: &str) {
    let Some(registries) = object(value) else { return };
    if registries.iter().any(|(key, _)| key == "auths") {
        return value.breaks(&rule::AUTHS_WRAPPER);
    }
    for (at, (registry, entry)) in (1..).zip(&registries) {
        if let Some((problem, fix)) = never_looked_up(registry) {
            let message = format!("key {at} {problem}: the agent looks it up for no image");
            value.breaks_with(&rule::REGISTRY_NAME, message, fix);
        }
        credential(value, at, auth_type, entry);
    }
}

/// The one key that is looked up for images of Docker Hub, and the hosts that mean it
/// (agent/dockerclient/dockerauth/dockerauth.go).
const DOCKER_HUB: &str = "index.docker.io/v1/";
const DOCKER_HUB_HOSTS: [&str; 4] =
    ["docker.io", "index.docker.io", "registry-1.docker.io", "hub.docker.com"];

/// Why the agent looks a key up for no image. It cuts off one `http://` or `https://`, and compares
/// what is before the next slash with the image's host, with regard to case. A first part of an
/// image's name without a dot or a colon is not a host, except `localhost`.
fn never_looked_up(key: &str) -> Option<(&'static str, &'static str)> {
    let bare = ["http://", "https://"].iter().find_map(|scheme| key.strip_prefix(scheme));
    let bare = bare.unwrap_or(key);
    let host = bare.split('/').next().unwrap_or_default();
    let is_taken = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
    if DOCKER_HUB_HOSTS.contains(&host.to_ascii_lowercase().as_str()) {
        let fix = "write https://index.docker.io/v1/";
        return (bare != DOCKER_HUB).then_some(("is not the one of Docker Hub", fix));
    }
    let is_host = host == "localhost" || host.contains(['.', ':']) && !host.ends_with(':');
    let is_good = is_host && host.chars().all(is_taken);
    (!is_good).then_some(("is not a registry's host name", "write the registry's host name"))
}

fn credential(value: &mut Value<'_, '_>, at: usize, auth_type: &str, entry: &Json) {
    // Go takes the names of fields in any case.
    let text = |field: &str| {
        let mut fields = entry.as_object().into_iter().flatten();
        let (_, found) = fields.rfind(|(name, _)| name.eq_ignore_ascii_case(field))?;
        found.as_str().filter(|text| !text.is_empty())
    };
    let has_token = text("identitytoken").or_else(|| text("registrytoken")).is_some();
    let has_both = text("username").is_some() && text("password").is_some();
    let (rule, message, fix) = match (auth_type, text("auth")) {
        _ if !entry.is_object() => (
            &rule::AUTH_SHAPE,
            format!("the entry of registry {at} is not an object"),
            "write an object with `auth`, or with username and password",
        ),
        _ if has_wrong_type(entry, auth_type) => (
            &rule::AUTH_SHAPE,
            format!("a field of registry {at} is not a string: the agent uses no entry at all"),
            "write its value in quotes, or remove it",
        ),
        ("docker", _) if has_both || has_token => return,
        ("docker", _) => (
            &rule::AUTH_SHAPE,
            format!("the entry of registry {at} lacks username or password"),
            "ECS_ENGINE_AUTH_TYPE=docker needs both; dockercfg needs `auth`",
        ),
        ("dockercfg", None) => (
            &rule::AUTH_SHAPE,
            match has_token {
                true => format!("the agent does not read the token of registry {at}, only `auth`"),
                false => format!("the entry of registry {at} lacks auth"),
            },
            "ECS_ENGINE_AUTH_TYPE=dockercfg needs `auth`; docker needs username and password",
        ),
        (_, None) => return,
        (_, Some(auth)) if auth.contains("EXAMPLE") => (
            &rule::EXAMPLE_CREDENTIAL,
            format!("the credential of registry {at} is an example from the documentation"),
            "put in the real one",
        ),
        (_, Some(auth)) => match password(auth) {
            None => (
                &rule::AUTH_NOT_USER_PASSWORD,
                format!("auth of registry {at} is not base64 of user:password"),
                "copy it from the file that `docker login` writes",
            ),
            Some(password) if password.is_empty() => (
                &rule::AUTH_NOT_USER_PASSWORD,
                match has_token {
                    true => format!("the agent does not read the token of registry {at}"),
                    false => format!("auth of registry {at} has an empty password"),
                },
                "use a user and a password",
            ),
            Some(_) => return,
        },
    };
    value.breaks_with(rule, message, fix);
}

/// The fields that the agent reads, all of them strings, for docker and for dockercfg
/// (docker/docker, api/types/registry/authconfig.go; dockerauth.go).
fn has_wrong_type(entry: &Json, auth_type: &str) -> bool {
    const FIELDS: &str = "auth username password email serveraddress identitytoken registrytoken";
    let fields = if auth_type == "docker" { FIELDS } else { "auth" };
    entry.as_object().into_iter().flatten().any(|(name, value)| {
        let is_read = fields.split(' ').any(|field| field.eq_ignore_ascii_case(name));
        is_read && !value.is_string() && !value.is_null()
    })
}

/// What is behind `user:`, as Go's `base64.StdEncoding` decodes: line ends are skipped, left-over
/// bits ignored.
fn password(auth: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
    let plain = GeneralPurpose::new(&alphabet::STANDARD, config)
        .decode(auth.replace(['\r', '\n'], ""))
        .ok()?;
    let colon = plain.iter().position(|byte| *byte == b':').filter(|at| *at > 0)?;
    Some(plain[colon + 1..].to_vec())
}

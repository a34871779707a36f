//! Values that are one thing, or a list with commas.

use super::value::Value;
use crate::go;
use crate::lint::rules::{Rule, values as rule};
use crate::proxy;
use crate::variables::{OnInvalid, Variable};

pub(super) fn string(value: &mut Value<'_, '_>) {
    match value.known.name {
        "ECS_CLUSTER" if !is_cluster(value.text) => value.breaks(&rule::CLUSTER_NAME),
        "AWS_DEFAULT_REGION" | "AWS_REGION" if !is_region(value.text) => {
            value.breaks(&rule::BAD_REGION)
        }
        _ => {}
    }
}

pub(super) fn boolean(value: &mut Value<'_, '_>) {
    let (known, word) = (value.known, value.text.trim());
    if matches!(value.text, "true" | "false") {
        return;
    }
    let lower = word.to_lowercase();
    let taken = match known.consumer {
        "aws-sdk" => lower.parse().ok(),
        _ => go::boolean(word),
    };
    let fix = match go::boolean(&lower) {
        Some(true) => "write true",
        Some(false) => "write false",
        None => "write true or false",
    };
    if taken.is_none() {
        let message = format_args!("{} {}", known.name, outcome(known));
        value.breaks_with(&rule::NOT_A_BOOLEAN, message, fix);
    } else if known.wants_exactly_true() && taken == Some(true) {
        value.breaks(&rule::NOT_EXACTLY_TRUE);
    } else {
        value.breaks_with(&rule::BOOLEAN_SPELLING, "not every program takes this word", fix);
    }
}

pub(super) fn number(value: &mut Value<'_, '_>) {
    let known = value.known;
    let parse = |text: &str| {
        // Where the lowest is 0 the agent takes no sign (strconv.ParseUint, not Atoi).
        let is_signed = text.starts_with(['+', '-']) && known.min == "0";
        let is_good = !is_signed && (known.allows_fraction() || text.parse::<i64>().is_ok());
        text.parse().ok().filter(|_| is_good)
    };
    let fix = "write digits only, without a unit";
    bounded(value, parse, &rule::NOT_A_NUMBER, "a plain decimal number", fix);
}

pub(super) fn duration(value: &mut Value<'_, '_>) {
    let fix = "write a number and a unit: ms, s, m or h, as in 1h30m";
    bounded(value, go::duration, &rule::BAD_DURATION, "a duration with a unit", fix);
}

/// `wanted` and `fix` are for what does not parse.
fn bounded(
    value: &mut Value<'_, '_>,
    parse: impl Fn(&str) -> Option<f64>,
    rule: &'static Rule,
    wanted: &str,
    fix: &str,
) {
    let known = value.known;
    let Some(number) = parse(value.text) else {
        return value.breaks_with(rule, format_args!("{} wants {wanted}", known.name), fix);
    };
    let (bound, side, beyond) = if parse(known.min).is_some_and(|min| number < min) {
        (known.min, "at least", "more")
    } else if parse(known.max).is_some_and(|max| number > max) {
        (known.max, "at most", "less")
    } else {
        // Go's zero value counts as not set (agent/config/config.go, Merge).
        let is_merged = known.json_fields().next().is_some();
        let is_replaced = || parse(known.default).is_some_and(|default| default != 0.0);
        if number == 0.0 && is_merged && is_replaced() {
            let message = format_args!("0 counts as not set: the agent uses {}", known.default);
            value.warns(&rule::OUT_OF_RANGE, message, "write another value");
        }
        return;
    };
    // Zero means "not set" where the agent clamps, so it is not clamped but replaced by the
    // default.
    let is_clamped = known.on_invalid == OnInvalid::ClampedWithWarning && number != 0.0;
    value.breaks_with(
        if is_clamped { &rule::CLAMPED } else { &rule::OUT_OF_RANGE },
        format_args!("{} must be {side} {bound}", known.name),
        format_args!("write {bound} or {beyond}"),
    );
}

/// A log's size above zero (docker/go-units, size.go, and moby's jsonfilelog.go).
pub(super) fn size(value: &mut Value<'_, '_>) {
    let text = value.text.to_ascii_lowercase();
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let (unit, number) = (&text[number.len()..], number.strip_suffix(' ').unwrap_or(number));
    let is_unit = match unit.as_bytes() {
        [] | [b'b'] => true,
        [first, rest @ ..] => b"kmgtp".contains(first) && [&b""[..], b"b", b"ib"].contains(&rest),
    };
    if !is_unit || !number.parse::<f64>().is_ok_and(|number| number > 0.0) {
        value.breaks(&rule::BAD_SIZE);
    }
}

pub(super) fn word(value: &mut Value<'_, '_>, log_level_on_instance: &str) {
    let (known, text) = (value.known, value.text);
    let is_same = |word: &str| match known.any_case() {
        true => word.eq_ignore_ascii_case(text),
        false => word == text,
    };
    if known.words().any(is_same) {
        return;
    }
    let words: Vec<&str> = known.words().collect();
    let fix = match words.iter().find(|word| word.eq_ignore_ascii_case(text.trim())) {
        Some(word) => format!("write {word}: case matters"),
        None => format!("write one of {}", words.join(", ")),
    };
    if known.on_invalid != OnInvalid::BreaksLogging {
        let message = format_args!("{} {}", known.name, outcome(known));
        value.breaks_with(&rule::UNKNOWN_WORD, message, fix);
    } else if known.name != "ECS_LOGLEVEL" || !words.contains(&log_level_on_instance) {
        let message = "this word breaks the agent's log set-up";
        value.breaks_with(&rule::BREAKS_LOGGING, message, fix);
    }
}

pub(super) fn comma_list(value: &mut Value<'_, '_>) {
    let is_trimmed = value.known.name.eq_ignore_ascii_case("NO_PROXY");
    if value.text.starts_with('[') {
        let message = "this list is separated by commas, it is not JSON";
        let fix = "write the elements with commas between them";
        value.breaks_with(&rule::JSON_SHAPE, message, fix);
    } else if go::boolean(&value.text.to_lowercase()).is_some() && value.text.len() > 1 {
        value.breaks(&rule::BOOLEAN_FOR_LIST);
    } else if !is_trimmed && value.text.split(',').any(|element| element.trim() != element) {
        value.breaks(&rule::BLANK_IN_LIST);
    }
}

pub(super) fn port_range(value: &mut Value<'_, '_>) {
    // One port alone is a range of one; 0, and what is behind a second hyphen, does not stop the
    // agent (docker/go-connections, nat/parse.go).
    let port = |text: &str| text.parse::<u16>().ok().filter(|_| !text.starts_with('+'));
    let mut parts = value.text.split('-').map(port);
    let from = parts.next().flatten();
    let to = parts.next().unwrap_or(from);
    if from.zip(to).is_none_or(|(from, to)| from > to) {
        value.breaks(&rule::BAD_PORT_RANGE);
    } else if from == Some(0) || parts.next().is_some() {
        let message = "the agent takes this, but not as a range of usable ports";
        value.warns(&rule::BAD_PORT_RANGE, message, rule::BAD_PORT_RANGE.fix);
    }
}

pub(super) fn rate_limit(value: &mut Value<'_, '_>) {
    let is_rate = |text: &str| text.trim().parse::<i64>().is_ok_and(|rate| rate > 0);
    let rates = value.text.split_once(',');
    if !rates.is_some_and(|(steady, burst)| is_rate(steady) && is_rate(burst)) {
        value.breaks(&rule::BAD_RATE_LIMIT);
    }
}

pub(super) fn url(value: &mut Value<'_, '_>) {
    let name = value.known.name;
    let is_socket = matches!(name, "DOCKER_HOST" | "CREDENTIALS_FETCHER_HOST");
    let is_good = match name {
        _ if is_socket => value.text.starts_with("unix:///"),
        _ if name.starts_with("AWS_") => is_url(value.text, &WEB, true),
        "ECS_BACKEND_HOST" => is_url(value.text, &WEB, false),
        _ => is_url(value.text, &PROXY, false),
    };
    if !is_good {
        let fix = match is_socket {
            true => "write unix:// and the socket's path",
            false => "write http:// or https:// and a host",
        };
        value.breaks_with(&rule::BAD_URL, format_args!("{name} is not a usable address"), fix);
    }
}

const WEB: [&str; 2] = ["http", "https"];
/// Any other scheme of a proxy is taken for a host (golang/net, http/httpproxy/proxy.go).
const PROXY: [&str; 4] = ["http", "https", "socks5", "socks5h"];

/// `SCHEME://USER@HOST:PORT/PATH`. A scheme without `://` would be the host.
fn is_url(text: &str, schemes: &[&str], needs_scheme: bool) -> bool {
    let is_scheme = |word: &str| schemes.contains(&word.to_ascii_lowercase().as_str());
    let rest = match text.split_once("://") {
        Some((scheme, _)) if !is_scheme(scheme) => return false,
        Some((_, rest)) => rest,
        None if needs_scheme || is_scheme(text.split([':', '/']).next().unwrap_or("")) => {
            return false;
        }
        None => text,
    };
    if !proxy::parses(&format!("http://{rest}")) {
        return false;
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let end = host.rfind(']').map_or(0, |at| at + 1);
    let (tail, port) = host[end..].rsplit_once(':').unwrap_or((&host[end..], ""));
    let is_name = |c: char| c.is_alphanumeric() || "-._".contains(c);
    let is_host = match end {
        0 => !tail.is_empty() && tail.chars().all(is_name),
        _ => tail.is_empty() && host[..end].starts_with('[') && host.len() > 2,
    };
    is_host && (port.is_empty() || port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// What happens to a value that the program does not take, for the end of a sentence.
fn outcome(known: &Variable) -> &'static str {
    match known.on_invalid {
        OnInvalid::Fatal => "stops the agent with this value",
        OnInvalid::TreatedAsFalse => "counts as false with this value",
        OnInvalid::ClampedWithWarning | OnInvalid::BreaksLogging => "is not used as written",
        OnInvalid::IgnoredWithWarning | OnInvalid::Default | OnInvalid::NotValidated => {
            "counts as not set with this value"
        }
    }
}

fn is_cluster(text: &str) -> bool {
    let name = match text.strip_prefix("arn:") {
        Some(rest) => rest.split_once(":cluster/").map_or("", |(_, name)| name),
        None => text,
    };
    (1..=255).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Lower case words and a number at the end, with hyphens between: the form of every region so far.
fn is_region(text: &str) -> bool {
    let Some((words, number)) = text.rsplit_once('-') else { return false };
    let is_word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    let is_number = !number.starts_with('+') && number.parse::<u8>().is_ok();
    is_number && words.contains('-') && words.split('-').all(is_word)
}

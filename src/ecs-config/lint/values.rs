//! Values: does the program that reads a variable take what stands there?
//!
//! Types, bounds and words come from the catalogue. Messages say where and what is allowed, never
//! what was written.

use std::collections::BTreeMap;

use super::lines::Setting;
use super::rules::values as rule;
use super::{Findings, Rule, json, say};
use crate::go;
use crate::variables::{self, Kind, OnInvalid, Variable};

/// Settings that decide how another one is checked.
pub const CONSULTED: [&str; 2] = ["ECS_LOGLEVEL_ON_INSTANCE", "ECS_ENGINE_AUTH_TYPE"];

/// Checks the value of one setting; `siblings` are those of [`CONSULTED`] that stand in its file.
pub fn check(setting: &Setting, siblings: &BTreeMap<&str, &str>, found: &mut Findings) {
    let Some(known) = variables::find(setting.name) else { return };
    if setting.whole && !setting.value.is_empty() {
        Check { setting, known, value: setting.value, found }.by_kind(siblings);
    }
}

/// One value under examination.
pub(super) struct Check<'c, 'a> {
    pub setting: &'c Setting<'c>,
    pub known: &'static Variable,
    pub value: &'c str,
    pub found: &'c mut Findings<'a>,
}

impl Check<'_, '_> {
    fn by_kind(mut self, siblings: &BTreeMap<&str, &str>) {
        match self.known.kind {
            Kind::String => self.string(),
            Kind::Bool => self.boolean(),
            Kind::Int => self.number(),
            Kind::Duration => self.duration(),
            Kind::Size => self.size(),
            Kind::Enum => self.word(siblings),
            Kind::Csv => self.comma_list(),
            Kind::PortRange => self.port_range(),
            Kind::RateLimit => self.rate_limit(),
            Kind::Url => self.url(),
            Kind::StringList => json::string_list(&mut self),
            Kind::StringMap => json::string_map(&mut self),
            Kind::PortList => json::port_list(&mut self),
            Kind::CidrList => json::prefix_list(&mut self),
            Kind::Auth => json::auth(&mut self, siblings),
            Kind::Path => {}
        }
    }

    /// Adds a finding at the value.
    pub fn broken(
        &mut self,
        rule: &'static Rule,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.found.add(rule, self.setting.value_place(), || say(message).fix(fix));
    }

    fn string(&mut self) {
        match self.known.name {
            "ECS_CLUSTER" if !is_cluster(self.value) => {
                let fix = "write 1 to 255 letters, digits, `-` and `_`, or the cluster's ARN";
                self.broken(&rule::CLUSTER_NAME, "this is no name of a cluster", fix);
            }
            "AWS_DEFAULT_REGION" | "AWS_REGION" if !is_region(self.value) => {
                let fix = "write a region such as eu-west-1, without the letter of a zone";
                self.broken(&rule::BAD_REGION, "this is no name of a region", fix);
            }
            _ => {}
        }
    }

    fn boolean(&mut self) {
        let (exact, known) = (matches!(self.value, "true" | "false"), self.known);
        let value = self.value.trim();
        let taken = match known.consumer {
            "aws-sdk" => value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false"),
            _ => go::boolean(value).is_some(),
        };
        let fix = match go::meant_boolean(value) {
            Some(true) => "write true",
            Some(false) => "write false",
            None => "write true or false",
        };
        match taken {
            _ if exact => {}
            false => {
                self.broken(&rule::NOT_A_BOOLEAN, format!("{} {}", known.name, outcome(known)), fix)
            }
            true if known.wants_exactly_true() && go::boolean(value) == Some(true) => {
                self.broken(
                    &rule::NOT_EXACTLY_TRUE,
                    "the agent takes this word for true, ecs-init does not",
                    fix,
                );
            }
            true => self.broken(&rule::BOOLEAN_SPELLING, "not every program takes this word", fix),
        }
    }

    fn number(&mut self) {
        let number = match self.known.allows_fraction() {
            true => self.value.parse::<f64>().ok(),
            false => go::integer(self.value).map(|number| number as f64),
        };
        let Some(number) = number else {
            let message = format!("{} wants a plain decimal number", self.known.name);
            return self.broken(&rule::NOT_A_NUMBER, message, "write digits only, without a unit");
        };
        let bound = |text: &str| text.parse().ok();
        self.bounds(number, bound(self.known.min), bound(self.known.max));
    }

    fn duration(&mut self) {
        let Some(nanoseconds) = go::duration(self.value) else {
            let fix = "write a number and a unit: ms, s, m or h, as in 1h30m";
            let message = format!("{} wants a duration with a unit", self.known.name);
            return self.broken(&rule::BAD_DURATION, message, fix);
        };
        self.bounds(nanoseconds, go::duration(self.known.min), go::duration(self.known.max));
    }

    fn bounds(&mut self, value: f64, min: Option<f64>, max: Option<f64>) {
        let (low, high) = (min.is_some_and(|min| value < min), max.is_some_and(|max| value > max));
        if !low && !high {
            return;
        }
        let bound = if low { self.known.min } else { self.known.max };
        let side = if low { "at least" } else { "at most" };
        // Zero means "not set" where the agent clamps, so it is not clamped but replaced by the
        // default.
        let clamped = self.known.on_invalid == OnInvalid::Clamped && value != 0.0;
        let rule = if clamped { &rule::CLAMPED } else { &rule::OUT_OF_RANGE };
        self.broken(
            rule,
            format!("{} must be {side} {bound}", self.known.name),
            format!("write {bound} or {}", beyond(low)),
        );
    }

    fn size(&mut self) {
        let digits = self.value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = &self.value[digits.len()..];
        let units = ["", "b", "k", "m", "g", "kb", "mb", "gb"];
        if digits.parse::<f64>().is_err() || !units.contains(&unit.to_ascii_lowercase().as_str()) {
            self.broken(
                &rule::BAD_SIZE,
                "Docker does not take this size",
                "write a number and k, m or g, as in 16m",
            );
        }
    }

    fn word(&mut self, siblings: &BTreeMap<&str, &str>) {
        let same = |word: &str| match self.known.any_case() {
            true => word.eq_ignore_ascii_case(self.value),
            false => word == self.value,
        };
        if self.known.words().any(same) {
            return;
        }
        let words: Vec<&str> = self.known.words().collect();
        let fix = match words.iter().find(|word| word.eq_ignore_ascii_case(self.value.trim())) {
            Some(word) => format!("write {word}: case matters"),
            None => format!("write one of {}", words.join(", ")),
        };
        if self.known.on_invalid != OnInvalid::BreaksLogging {
            return self.broken(
                &rule::UNKNOWN_WORD,
                format!("{} {}", self.known.name, outcome(self.known)),
                fix,
            );
        }
        let repaired = |level: &&str| self.known.name == "ECS_LOGLEVEL" && words.contains(level);
        if siblings.get("ECS_LOGLEVEL_ON_INSTANCE").filter(|level| repaired(level)).is_none() {
            self.broken(&rule::BREAKS_LOGGING, "this word breaks the agent's log set-up", fix);
        }
    }

    fn comma_list(&mut self) {
        if self.value.starts_with('[') {
            let message = "this list is separated by commas, it is no JSON";
            return self.broken(
                &rule::JSON_SHAPE,
                message,
                "write the elements with commas between them",
            );
        }
        let trimmed = self.known.name.eq_ignore_ascii_case("NO_PROXY");
        if !trimmed && self.value.split(',').any(|element| element.trim() != element) {
            self.broken(
                &rule::BLANK_IN_LIST,
                "an element begins or ends with a blank",
                "remove blanks around commas",
            );
        }
    }

    fn port_range(&mut self) {
        let ports =
            self.value.split_once('-').map(|(from, to)| (from.parse::<u16>(), to.parse::<u16>()));
        if !matches!(ports, Some((Ok(from), Ok(to))) if 0 < from && from <= to) {
            self.broken(
                &rule::BAD_PORT_RANGE,
                "this is no range of ports",
                "write FIRST-LAST, as in 49153-65535",
            );
        }
    }

    fn rate_limit(&mut self) {
        let rate = |text: &str| text.trim().parse::<u32>().is_ok_and(|rate| rate > 0);
        if !self.value.split_once(',').is_some_and(|(steady, burst)| rate(steady) && rate(burst)) {
            self.broken(
                &rule::BAD_RATE_LIMIT,
                "this is no pair of rates",
                "write STEADY,BURST, as in 40,60",
            );
        }
    }

    fn url(&mut self) {
        let has_host = |rest: &str| {
            !rest.is_empty() && !rest.starts_with('/') && !rest.contains(char::is_whitespace)
        };
        let schemes: &[&str] = &["http://", "https://"];
        let good = match self.known.name {
            "DOCKER_HOST" | "CREDENTIALS_FETCHER_HOST" => self.value.starts_with("unix:///"),
            name if name.starts_with("AWS_") => {
                schemes.iter().any(|s| self.value.strip_prefix(s).is_some_and(has_host))
            }
            // A proxy and ECS_BACKEND_HOST may leave the scheme out.
            _ => has_host(self.value.split_once("://").map_or(self.value, |(_, rest)| rest)),
        };
        if !good {
            let socket =
                self.known.name.ends_with("_HOST") && self.known.name != "ECS_BACKEND_HOST";
            let fix = if socket {
                "write unix:// and the socket's path"
            } else {
                "write http:// or https:// and a host"
            };
            self.broken(
                &rule::BAD_URL,
                format!("{} is no address that can be used", self.known.name),
                fix,
            );
        }
    }
}

fn beyond(low: bool) -> &'static str {
    if low { "more" } else { "less" }
}

/// What happens to a value that the program does not take, for the end of a sentence.
fn outcome(known: &Variable) -> &'static str {
    match known.on_invalid {
        OnInvalid::Fatal => "stops the agent with this value",
        OnInvalid::TreatedAsFalse => "counts as false with this value",
        OnInvalid::Clamped | OnInvalid::BreaksLogging => "is not used as written",
        OnInvalid::Ignored | OnInvalid::Default | OnInvalid::NotValidated => {
            "counts as not set with this value"
        }
    }
}

fn is_cluster(value: &str) -> bool {
    let name = match value.strip_prefix("arn:") {
        Some(rest) => rest.split_once(":cluster/").map_or("", |(_, name)| name),
        None => value,
    };
    (1..=255).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Lower case words and a number at the end, with hyphens between: the form of every region so far.
fn is_region(value: &str) -> bool {
    let parts: Vec<&str> = value.split('-').collect();
    let word = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    match parts.split_last() {
        Some((number, words)) => {
            words.len() >= 2 && words.iter().all(word) && number.parse::<u8>().is_ok()
        }
        None => false,
    }
}

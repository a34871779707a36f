//! Values: does the program that reads a variable take what is written?
//!
//! Types, bounds and words come from the catalogue. Messages name positions and shapes, never what
//! was written.

mod json;
mod scalar;
mod value;

use value::Value;

use super::findings::{Findings, words};
use super::rules::values::BAD_PLACEHOLDER;
use super::scan::Setting;
use crate::expand::expand;
use crate::variables::{self, Kind};

/// Settings that decide how another one is checked.
#[derive(Default)]
pub(super) struct Consulted<'t> {
    log_level_on_instance: &'t str,
    auth_type: &'t str,
}

impl<'t> Consulted<'t> {
    /// The last of each name counts.
    pub(super) fn of(settings: &[Setting<'t>]) -> Self {
        let mut consulted = Consulted::default();
        for setting in settings {
            match setting.name {
                "ECS_LOGLEVEL_ON_INSTANCE" => consulted.log_level_on_instance = setting.value,
                "ECS_ENGINE_AUTH_TYPE" => consulted.auth_type = setting.value,
                _ => {}
            }
        }
        consulted
    }
}

/// Checks the placeholders of a value that will be expanded. An error of them names what is between
/// the braces only if that looks like a name.
pub(super) fn check_placeholders(setting: &Setting<'_>, found: &mut Findings<'_>) {
    let value = format!("X={}", setting.value);
    let Err(error) = expand(value.as_bytes(), |_| Some("known later".into())) else { return };
    let message = error.to_string();
    let message = message.split_once(": ").map_or(&*message, |(_, message)| message);
    let fix = BAD_PLACEHOLDER.fix;
    found.add_with(&BAD_PLACEHOLDER, setting.at_value(), || words(message, fix));
}

/// Checks the value of one setting.
pub(super) fn check(setting: &Setting<'_>, consulted: &Consulted<'_>, found: &mut Findings<'_>) {
    let Some(known) = variables::find(setting.name) else { return };
    if !setting.is_whole || setting.value.is_empty() {
        return;
    }
    let value = &mut Value::new(setting, known, found);
    match known.kind {
        Kind::String => scalar::string(value),
        Kind::Bool => scalar::boolean(value),
        Kind::Int => scalar::number(value),
        Kind::Duration => scalar::duration(value),
        Kind::Size => scalar::size(value),
        Kind::Enum => scalar::word(value, consulted.log_level_on_instance),
        Kind::Csv => scalar::comma_list(value),
        Kind::PortRange => scalar::port_range(value),
        Kind::RateLimit => scalar::rate_limit(value),
        Kind::Url => scalar::url(value),
        Kind::StringList => json::string_list(value),
        Kind::StringMap => json::string_map(value),
        Kind::PortList => json::port_list(value),
        Kind::CidrList => json::prefix_list(value),
        Kind::Auth => json::auth(value, consulted.auth_type),
        Kind::Path => {}
    }
}

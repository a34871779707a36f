//! Values: does the program that reads a variable take what is written?
//!
//! Types, bounds and words come from the catalogue. Messages name positions and shapes, never what
//! was written.

mod json;
mod scalar;
mod value;

use value::Value;

use super::findings::Findings;
use super::rules::values::BAD_PLACEHOLDER;
use super::scan::Setting;
use crate::expand::expand;
use crate::variables::Kind;

/// Checks the placeholders of a value that will be expanded. An error of them names what is between
/// the braces only if that looks like a name.
pub(super) fn check_placeholders(setting: &Setting<'_>, found: &mut Findings<'_>) {
    let value = format!("X={}", setting.value());
    let Err(error) = expand(value.as_bytes(), |_| Some("known later".into())) else { return };
    let message = error.to_string();
    let message = message.split_once(": ").map_or(&*message, |(_, message)| message);
    found.add_with(&BAD_PLACEHOLDER, setting.at_value(), message, BAD_PLACEHOLDER.fix);
}

/// Checks the value of one setting. Others of the file decide about some.
pub(super) fn check(setting: &Setting<'_>, all: &[Setting<'_>], found: &mut Findings<'_>) {
    let Some(known) = setting.known else { return };
    if !setting.is_whole() || setting.value().is_empty() {
        return;
    }
    let last = |name| all.iter().rfind(|one| one.name == name).map_or("", Setting::value);
    let value = &mut Value { known, text: setting.value(), at: setting.at_value(), found };
    match known.kind {
        Kind::String => scalar::string(value),
        Kind::Bool => scalar::boolean(value),
        Kind::Int => scalar::number(value),
        Kind::Duration => scalar::duration(value),
        Kind::Size => scalar::size(value),
        Kind::Enum => scalar::word(value, last("ECS_LOGLEVEL_ON_INSTANCE")),
        Kind::Csv => scalar::comma_list(value),
        Kind::PortRange => scalar::port_range(value),
        Kind::RateLimit => scalar::rate_limit(value),
        Kind::Url => scalar::url(value),
        Kind::StringList => json::string_list(value),
        Kind::StringMap => json::string_map(value),
        Kind::PortList => json::port_list(value),
        Kind::CidrList => json::prefix_list(value),
        Kind::Auth => json::auth(value, last("ECS_ENGINE_AUTH_TYPE")),
        Kind::Path => {}
    }
}

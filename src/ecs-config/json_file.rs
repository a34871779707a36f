//! `/etc/ecs/ecs.config.json` as the agent takes it: an object whose fields have Go's types.
//!
//! `encoding/json` gives an error for a field of another type, and the agent exits; `null` is
//! nothing to it, and a name that it does not know is passed over (aws/amazon-ecs-agent:
//! agent/config/config.go, fileConfig; the types are in agent/config/types.go).

use std::fmt;

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::Value;

use crate::proxy;
use crate::variables::{self, Kind, OnInvalid, Variable};

/// Why the agent exits at the file: a field of another type than the one that it wants, and what
/// that is; `None` for what is not a JSON object.
pub(crate) type Refusal = Option<(&'static str, &'static str)>;

/// A type of Go: what people call it, and the JSON that it takes besides `null`.
#[derive(Clone, Copy)]
struct Type(&'static str, fn(&Value) -> bool);

const ON_OR_OFF: &str = "true or false, without quotes";
const NUMBER: &str = "a whole number in the range of its type, without quotes";

const TEXT: Type = Type("a string", Value::is_string);
const BOOL: Type = Type(ON_OR_OFF, Value::is_boolean);
/// The agent's own three-valued one, for which 0 and 1 are booleans too.
const SWITCH: Type = Type(ON_OR_OFF, |value| value.is_boolean() || is_in(value, 0, 1));
const INT: Type = Type(NUMBER, Value::is_i64);
const INT8: Type = Type(NUMBER, |value| is_in(value, -128, 127));
const UINT16: Type = Type(NUMBER, is_port);
/// A `time.Duration`.
const DURATION: Type = Type("a number of nanoseconds, without quotes", Value::is_i64);
const PREFIX: Type = Type("an address prefix, as in \"10.0.0.0/16\"", is_prefix);
const PORTS: Type =
    Type("a list of port numbers", |value| is_list_of(value, |one| one.is_null() || is_port(one)));
/// `null` in it is an empty prefix, which is an error.
const PREFIXES: Type = Type("a list of address prefixes", |value| is_list_of(value, is_prefix));
const TEXTS: Type = Type("a list of strings", |value| is_list_of(value, is_text));
const TEXT_BY_NAME: Type = Type("an object of strings", |value| {
    value.as_object().is_some_and(|object| object.values().all(is_text))
});
const OBJECT: Type = Type("an object", Value::is_object);
const ANYTHING: Type = Type("", |_| true);

/// Fields that hold no setting of the catalogue.
const OTHERS: [(Type, &str); 9] = [
    (
        TEXT,
        "CSIDriverSocketPath DynamicHostPortRange PauseContainerImageName PauseContainerTag \
         PauseContainerTarballPath RuntimeStatsLogFile",
    ),
    (BOOL, "EBSTASupportEnabled IMDSIAMRolesEnabled NoIID PrometheusMetricsEnabled"),
    (SWITCH, "ENITrunkingEnabled FSxWindowsFileServerCapable GMSACapable GMSADomainlessCapable"),
    (
        INT,
        "ENIPauseContainerCleanupDelaySeconds TaskMetadataBurstRate TaskMetadataSteadyStateRate \
         TaskPidsLimit NumImagesToDeletePerCycle NumNonECSContainersToDeletePerCycle",
    ),
    (INT8, "ContainerInstancePropagateTagsFrom ImagePullBehavior"),
    (DURATION, "CgroupCPUPeriod NodeStageTimeout NodeUnstageTimeout"),
    (PREFIX, "OverrideAWSVPCLocalIPv4Address"),
    (TEXTS, "InstanceENIDNSServerList"),
    (OBJECT, "InstanceIPCompatibility PlatformVariables"),
];

/// The fields that are set, in their order: a string's content, or else the JSON text. Go's zero
/// value counts as not set, and a file that is empty or `null` as missing.
pub(crate) fn fields(text: &[u8]) -> Result<Vec<(String, String)>, Refusal> {
    let text = text.trim_ascii();
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let entries = entries(text).map_err(|_| None)?;
    if let Some(wrong) = entries.iter().find_map(wrong_type) {
        return Err(Some(wrong));
    }
    let set = entries.into_iter().map(|(name, value)| match value {
        Value::String(text) => (name, text),
        other => (name, other.to_string()),
    });
    Ok(set.filter(|(_, text)| !["null", "", "0", "[]", "{}"].contains(&text.as_str())).collect())
}

/// The entries of an object, also those that a later one of the same name replaces: Go gives an
/// error for any of a wrong type. `null` has none.
pub(crate) fn entries(text: &[u8]) -> serde_json::Result<Vec<(String, Value)>> {
    struct Entries;
    impl<'de> Visitor<'de> for Entries {
        type Value = Vec<(String, Value)>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Vec::new())
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            std::iter::from_fn(|| map.next_entry().transpose()).collect()
        }
    }
    let mut json = serde_json::Deserializer::from_slice(text);
    let entries = json.deserialize_any(Entries)?;
    json.end().map(|()| entries)
}

fn wrong_type((name, value): &(String, Value)) -> Option<(&'static str, &'static str)> {
    // Go takes the names of fields in any case.
    let is_it = |known: &&str| known.eq_ignore_ascii_case(name);
    let other =
        |(wanted, names): (Type, &'static str)| Some((names.split(' ').find(is_it)?, wanted));
    let setting = |one: &'static Variable| Some((one.json_fields().find(is_it)?, wanted(one)));
    let (known, Type(wanted, takes)) =
        OTHERS.into_iter().find_map(other).or_else(|| variables::all().iter().find_map(setting))?;
    (!value.is_null() && !takes(value)).then_some((known, wanted))
}

fn wanted(variable: &Variable) -> Type {
    match variable.kind {
        Kind::Bool if variable.on_invalid == OnInvalid::Default => BOOL,
        Kind::Bool => SWITCH,
        Kind::Int => UINT16,
        Kind::Duration => DURATION,
        Kind::PortList => PORTS,
        Kind::CidrList => PREFIXES,
        Kind::StringList | Kind::Csv => TEXTS,
        Kind::StringMap => TEXT_BY_NAME,
        Kind::Auth => ANYTHING,
        _ => TEXT,
    }
}

fn is_in(value: &Value, low: i64, high: i64) -> bool {
    value.as_i64().is_some_and(|number| (low..=high).contains(&number))
}

fn is_port(value: &Value) -> bool {
    is_in(value, 0, 65_535)
}

fn is_prefix(value: &Value) -> bool {
    value.as_str().is_some_and(proxy::is_network)
}

fn is_text(value: &Value) -> bool {
    value.is_string() || value.is_null()
}

fn is_list_of(value: &Value, takes: impl Fn(&Value) -> bool) -> bool {
    value.as_array().is_some_and(|list| list.iter().all(takes))
}

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
use crate::variables::{self, Kind, OnInvalid};

/// A type of Go, as far as JSON is concerned.
#[derive(Clone, Copy)]
enum Type {
    Text,
    Bool,
    /// The agent's own three-valued one, for which 0 and 1 are booleans too.
    Switch,
    Integer(i64, i64),
    /// A `time.Duration`, in nanoseconds.
    Duration,
    Prefix,
    ListOf(&'static Type),
    Texts,
    Object,
    Anything,
}

const INT: Type = Type::Integer(i64::MIN, i64::MAX);
const UINT16: Type = Type::Integer(0, 65_535);
const INT8: Type = Type::Integer(-128, 127);

/// Fields that hold no setting of the catalogue.
const OTHERS: [(&str, Type); 29] = [
    ("CSIDriverSocketPath", Type::Text),
    ("CgroupCPUPeriod", Type::Duration),
    ("ContainerInstancePropagateTagsFrom", INT8),
    ("DynamicHostPortRange", Type::Text),
    ("ENIPauseContainerCleanupDelaySeconds", INT),
    ("EBSTASupportEnabled", Type::Bool),
    ("ENITrunkingEnabled", Type::Switch),
    ("FSxWindowsFileServerCapable", Type::Switch),
    ("GMSACapable", Type::Switch),
    ("GMSADomainlessCapable", Type::Switch),
    ("IMDSIAMRolesEnabled", Type::Bool),
    ("ImagePullBehavior", INT8),
    ("InstanceENIDNSServerList", Type::ListOf(&Type::Text)),
    ("InstanceIPCompatibility", Type::Object),
    ("NoIID", Type::Bool),
    ("NodeStageTimeout", Type::Duration),
    ("NodeUnstageTimeout", Type::Duration),
    ("OverrideAWSVPCLocalIPv4Address", Type::Prefix),
    ("PauseContainerImageName", Type::Text),
    ("PauseContainerTag", Type::Text),
    ("PauseContainerTarballPath", Type::Text),
    ("PlatformVariables", Type::Object),
    ("PrometheusMetricsEnabled", Type::Bool),
    ("RuntimeStatsLogFile", Type::Text),
    ("TaskMetadataBurstRate", INT),
    ("TaskMetadataSteadyStateRate", INT),
    ("TaskPidsLimit", INT),
    ("NumImagesToDeletePerCycle", INT),
    ("NumNonECSContainersToDeletePerCycle", INT),
];

/// The entries of an object, also those that a later one of the same name replaces: Go gives an
/// error for any of a wrong type.
pub(crate) fn entries(text: &str) -> Vec<(String, Value)> {
    struct Entries;
    impl<'de> Visitor<'de> for Entries {
        type Value = Vec<(String, Value)>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            std::iter::from_fn(|| map.next_entry().transpose()).collect()
        }
    }
    serde_json::Deserializer::from_str(text).deserialize_map(Entries).unwrap_or_default()
}

/// The first field of another type than the agent's, and what it wants there.
pub(crate) fn wrong_type(fields: &[(String, Value)]) -> Option<(&'static str, &'static str)> {
    fields.iter().find_map(|(name, value)| {
        let (known, wanted) = field(name)?;
        (!wanted.takes(value)).then(|| (known, wanted.name()))
    })
}

/// Go takes the names of fields in any case.
fn field(name: &str) -> Option<(&'static str, Type)> {
    if let Some(other) = OTHERS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
        return Some(*other);
    }
    variables::all().iter().find_map(|variable| {
        let known = variable.json_fields().find(|known| known.eq_ignore_ascii_case(name))?;
        let wanted = match variable.kind {
            Kind::Bool if variable.on_invalid == OnInvalid::Default => Type::Bool,
            Kind::Bool => Type::Switch,
            Kind::Int => UINT16,
            Kind::Duration => Type::Duration,
            Kind::PortList => Type::ListOf(&UINT16),
            Kind::CidrList => Type::ListOf(&Type::Prefix),
            Kind::StringList | Kind::Csv => Type::ListOf(&Type::Text),
            Kind::StringMap => Type::Texts,
            Kind::Auth => Type::Anything,
            _ => Type::Text,
        };
        Some((known, wanted))
    })
}

impl Type {
    fn takes(self, value: &Value) -> bool {
        let is_in = |low, high| value.as_i64().is_some_and(|n| (low..=high).contains(&n));
        let is_text = |value: &Value| value.is_string() || value.is_null();
        let is_prefixes = matches!(self, Type::ListOf(Type::Prefix));
        value.is_null()
            || match self {
                Type::Text => value.is_string(),
                Type::Bool => value.is_boolean(),
                Type::Switch => value.is_boolean() || is_in(0, 1),
                Type::Integer(low, high) => is_in(low, high),
                Type::Duration => value.is_i64(),
                Type::Prefix => value.as_str().is_some_and(proxy::is_network),
                // null is an empty prefix.
                Type::ListOf(one) => value.as_array().is_some_and(|list| {
                    let takes = |value: &Value| one.takes(value);
                    list.iter().all(takes) && !(is_prefixes && list.iter().any(Value::is_null))
                }),
                Type::Texts => value.as_object().is_some_and(|map| map.values().all(is_text)),
                Type::Object => value.is_object(),
                Type::Anything => true,
            }
    }

    fn name(self) -> &'static str {
        match self {
            Type::Text => "a string",
            Type::Bool | Type::Switch => "true or false, without quotes",
            Type::Integer(..) => "a whole number in the range of its type, without quotes",
            Type::Duration => "a number of nanoseconds, without quotes",
            Type::Prefix => "an address prefix, as in \"10.0.0.0/16\"",
            Type::ListOf(Type::Integer(..)) => "a list of port numbers",
            Type::ListOf(Type::Prefix) => "a list of address prefixes",
            Type::ListOf(_) => "a list of strings",
            Type::Texts => "an object of strings",
            Type::Object => "an object",
            Type::Anything => "",
        }
    }
}

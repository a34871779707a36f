//! The setting `attributes`: what the run has proven, as attributes of the container instance, so
//! that tasks are placed by it. Pure.
//!
//! They are merged with the attributes that the layers set, else with those of the present file or
//! its neighbours, and are a layer of their own, the last. Ours never stay where the setting was
//! taken back: a stale `proven` would place tasks on a host that no longer is.

use std::collections::BTreeSet;

use ecs_config::Effective;
use serde_json::{Map, Value, json};

use super::compose::Surroundings;
use crate::files::sha256;
use crate::identity::Identity;
use crate::report::GuardReport;
use crate::settings::Settings;
use crate::source::Fetched;

pub(super) const KEY: &str = "ECS_INSTANCE_ATTRIBUTES";
/// What the names of ours begin with. Names have up to 128 letters, digits, `-`, `_`, `.` and `/`.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Attribute.html>
const PREFIX: &str = "ecs-bootstrap.";
/// As it is shown where a key comes from.
const LAYER: &str = "--attributes";
/// Digits of a digest that are enough to tell configurations apart.
const DIGITS: usize = 12;

/// Names without their prefix, and values.
pub(crate) type Attributes = Vec<(&'static str, String)>;

/// What this run has proven; empty if the settings do not ask for it.
pub(crate) fn proven(
    settings: &Settings,
    layers: &[Fetched],
    identity: &Identity,
    guard: &GuardReport,
) -> Attributes {
    if !settings.attributes {
        return Vec::new();
    }
    let identity = identity.confirmed_by.map(|by| json!(by).as_str().unwrap_or_default().into());
    let all = [
        ("version", Some(env!("CARGO_PKG_VERSION").into())),
        ("config", digest(layers)),
        ("guard", Some(word(guard).into())),
        ("identity", identity),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// Of what was fetched: one layer's own digest, of more that of their digests in order.
pub(crate) fn digest(layers: &[Fetched]) -> Option<String> {
    let digests: Vec<&str> = layers.iter().map(|one| one.layer.sha256.as_str()).collect();
    let digest = match digests[..] {
        [] => return None,
        [one] => one.to_owned(),
        _ => sha256(digests.concat().as_bytes()),
    };
    digest.get(..DIGITS).map(str::to_owned)
}

/// `proven`, `installed` or `absent`.
pub(crate) fn word(guard: &GuardReport) -> &'static str {
    match guard.state {
        "effective" => "proven",
        "installed" => "installed",
        _ => "absent",
    }
}

/// The last layer.
pub(super) struct AttributesLayer {
    pub(super) layer: (String, Vec<u8>),
    /// No other layer sets the key: the next run must not take it for one of the layers' own, and
    /// replace what other programs wrote.
    pub(super) is_alone: bool,
}

/// What to add to these layers. A value that is not a JSON object is left to the linter.
pub(super) fn layer(
    layers: &[(String, Vec<u8>)],
    around: &Surroundings<'_>,
    owned: &mut BTreeSet<String>,
) -> Option<AttributesLayer> {
    let value = |bytes: &[u8]| Effective::new(Some(bytes), None).text(KEY);
    let of_layers = layers.iter().rev().find_map(|(_, bytes)| value(bytes));
    let of_present = around.present.and_then(value).unwrap_or_default();
    let (is_alone, had_ours) = (of_layers.is_none(), of_present.contains(PREFIX));
    if around.attributes.is_empty() && !(is_alone && had_ours) {
        return None;
    }
    let of_present = Some(of_present).filter(|text| !text.is_empty() && !owned.contains(KEY));
    let neighbours = || {
        let behind = Effective::new(None, around.files.instance_config());
        behind.with_json(around.files.json_config()).text(KEY)
    };
    let base = of_layers.or(of_present).or_else(neighbours).unwrap_or_else(|| "{}".into());
    let Ok(mut all) = serde_json::from_str::<Map<String, Value>>(&base) else {
        tracing::warn!("{KEY} is not a JSON object: no attributes are added to it");
        return None;
    };
    all.retain(|name, _| !name.starts_with(PREFIX));
    let ours = around.attributes.iter();
    all.extend(ours.map(|(name, value)| (format!("{PREFIX}{name}"), json!(value))));
    // Where nothing is left the key is dropped: it held ours alone.
    owned.insert(KEY.into());
    let is_empty = all.is_empty();
    let text = format!("{KEY}={}\n", Value::Object(all));
    let layer = (LAYER.to_owned(), text.into_bytes());
    (!is_empty).then_some(AttributesLayer { layer, is_alone })
}

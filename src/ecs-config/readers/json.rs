//! What each reader sets, as JSON: `lint --readers --output json`.

use serde_json::{Map, Value, json as value};

use super::{Assignment, Reader, Reading};
use crate::redact::{REDACTED, hides};
use crate::text::lossy;

/// What each reader would set, under its name. Values that may be secret appear as `[redacted]`,
/// unless they are asked for.
pub fn json(bytes: &[u8], show_secrets: bool) -> Value {
    let view = |reader: Reader| (reader.name().to_owned(), view(reader, bytes, show_secrets));
    Value::Object(Reader::ALL.into_iter().map(view).collect())
}

fn view(reader: Reader, bytes: &[u8], show_secrets: bool) -> Value {
    let Reading { variables, dropped, error } = &reader.read(bytes);
    let error = error.as_ref().map(ToString::to_string);
    let shown = variables.iter().map(|set| shown(set, show_secrets));
    match reader {
        Reader::Systemd(_) => {
            let dropped: Vec<String> = dropped.iter().map(ToString::to_string).collect();
            value!({"variables": shown.collect::<Map<_, _>>(), "dropped": dropped, "error": error})
        }
        Reader::EcsInit => value!({"variables": shown.collect::<Map<_, _>>()}),
        Reader::Docker => {
            let list = shown.map(|(name, value)| value!({"name": name, "value": value}));
            value!({"variables": list.collect::<Vec<_>>(), "error": error})
        }
    }
}

fn shown(set: &Assignment<'_>, show_secrets: bool) -> (String, Value) {
    let name = lossy(set.name);
    let value = match set.value.as_deref().map(lossy) {
        Some(value) if !show_secrets && hides(&name, &value) => Value::from(REDACTED),
        value => Value::from(value),
    };
    (name, value)
}

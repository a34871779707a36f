//! What `lint --readers --output json` shows.

use serde_json::{Map, Value, json as value};

use super::{Assignment, Reader, Reading};

const REDACTED: &str = "[redacted]";

/// What each reader would set, under its name. Values of the names that `secret` picks appear as
/// `[redacted]`.
pub fn json(bytes: &[u8], secret: impl Fn(&str) -> bool) -> Value {
    let show = |set: &Assignment<'_>| shown(set, &secret);
    let view =
        |reader: Reader| (reader.name().to_owned(), view(reader, &reader.read(bytes), &show));
    Value::Object(Reader::ALL.into_iter().map(view).collect())
}

fn view(
    reader: Reader,
    reading: &Reading<'_>,
    show: &dyn Fn(&Assignment<'_>) -> (String, Value),
) -> Value {
    let error = reading.error.as_ref().map(ToString::to_string);
    let shown = reading.variables.iter().map(show);
    match reader {
        Reader::Systemd(_) => {
            let dropped: Vec<String> = reading.dropped.iter().map(ToString::to_string).collect();
            value!({"variables": shown.collect::<Map<_, _>>(), "dropped": dropped, "error": error})
        }
        Reader::EcsInit => value!({"variables": shown.collect::<Map<_, _>>()}),
        Reader::Docker => {
            let list: Vec<Value> =
                shown.map(|(name, value)| value!({"name": name, "value": value})).collect();
            value!({"variables": list, "error": error})
        }
    }
}

fn shown(set: &Assignment<'_>, secret: &impl Fn(&str) -> bool) -> (String, Value) {
    let name = lossy(set.name);
    let value = match &set.value {
        None => Value::Null,
        Some(_) if secret(&name) => Value::from(REDACTED),
        Some(value) => Value::from(lossy(value)),
    };
    (name, value)
}

/// Text as Go's JSON encoder writes it: one U+FFFD for *each* byte that is not UTF-8 (Rust's own
/// lossy conversion takes several as one).
pub fn lossy(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}

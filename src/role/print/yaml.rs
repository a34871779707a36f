//! A JSON value as block YAML, every doubtful string between quotes. Pure.

use serde_json::Value;

/// Ends in a newline. A block of an item begins on the line of its dash.
pub(super) fn block(value: &Value, depth: usize) -> String {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| format!("{indent}{}:{}", scalar(name), below(value, depth)))
            .collect(),
        Value::Array(items) => items
            .iter()
            .map(|item| format!("{indent}- {}", block(item, depth + 1).trim_start()))
            .collect(),
        other => format!("{indent}{}\n", leaf(other)),
    }
}

/// What follows a colon: on the same line, or as a block below.
fn below(value: &Value, depth: usize) -> String {
    let is_empty = match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => true,
    };
    if is_empty { format!(" {}\n", leaf(value)) } else { format!("\n{}", block(value, depth + 1)) }
}

fn leaf(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), scalar)
}

/// Bare only where no reader of YAML, 1.1 ones included, could take it for anything but this
/// string. JSON's quotes are YAML's.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 10] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan"];
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-./+@:".contains(&byte));
    let bounded = text.starts_with(|c: char| c.is_ascii_alphabetic()) && !text.ends_with(':');
    let bare = plain && bounded && !WORDS.contains(&text.to_lowercase().as_str());
    if bare { text.to_owned() } else { Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn block_nests_lists_and_objects_by_indentation() {
        let value = json!({"Resources": {"Role": {"Type": "AWS::IAM::Role", "Items": [{"A": "x", "B": ["*", "s3:GetObject"]}, "no"], "E": []}}});
        let want = "Resources:\n  Role:\n    Type: AWS::IAM::Role\n    Items:\n      - A: x\n        B:\n          - \"*\"\n          - s3:GetObject\n      - \"no\"\n    E: []\n";
        assert_eq!(block(&value, 0), want);
    }

    #[test]
    fn ambiguous_strings_are_quoted() {
        for text in [
            "",
            "yes",
            "Null",
            "1",
            "2012-10-17",
            "a: b",
            "a #b",
            "*",
            "é",
            "a\nb",
            "-",
            "a:",
            "12:30",
            "!Ref",
        ] {
            assert!(scalar(text).starts_with('"'), "{text}");
        }
    }
}

//! A JSON value as block YAML, every doubtful string between quotes. Pure.

use serde_json::Value;

/// Ends in a newline.
pub(crate) fn block(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value, 0);
    out
}

fn write(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            indent(out, depth);
            out.push_str(&scalar(name));
            out.push(':');
            below(out, value, depth + 1);
        }),
        Value::Array(items) => items.iter().for_each(|item| write_item(out, item, depth)),
        other => {
            indent(out, depth);
            out.push_str(&leaf(other));
            out.push('\n');
        }
    }
}

/// What stands behind a colon: on the same line, or as a block below.
fn below(out: &mut String, value: &Value, depth: usize) {
    if is_block(value) {
        out.push('\n');
        write(out, value, depth);
    } else {
        out.push(' ');
        out.push_str(&leaf(value));
        out.push('\n');
    }
}

/// A block of an item begins on the line of its dash.
fn write_item(out: &mut String, item: &Value, depth: usize) {
    let mut block = String::new();
    write(&mut block, item, depth + 1);
    indent(out, depth);
    out.push_str("- ");
    out.push_str(block.trim_start());
}

fn indent(out: &mut String, depth: usize) {
    out.push_str(&"  ".repeat(depth));
}

fn is_block(value: &Value) -> bool {
    match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    }
}

fn leaf(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        other => other.to_string(),
    }
}

/// Bare only where no reader of YAML, 1.1 ones included, could take it for anything but this
/// string. JSON's quotes are YAML's.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 10] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan"];
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-./+@:".contains(&byte));
    let bounded =
        text.starts_with(|first: char| first.is_ascii_alphabetic()) && !text.ends_with(':');
    let bare = plain && bounded && !WORDS.contains(&text.to_lowercase().as_str());
    if bare { text.to_owned() } else { Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_becomes_the_block_that_people_write() {
        let value = json!({"Resources": {"Role": {"Type": "AWS::IAM::Role", "Items": [{"A": "x", "B": ["*", "s3:GetObject"]}, "no"], "E": []}}});
        let want = "Resources:\n  Role:\n    Type: AWS::IAM::Role\n    Items:\n      - A: x\n        B:\n          - \"*\"\n          - s3:GetObject\n      - \"no\"\n    E: []\n";
        assert_eq!(block(&value), want);
    }

    #[test]
    fn what_could_be_taken_for_something_else_is_quoted() {
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

//! JSON values as Terraform's expressions, laid out as `terraform fmt` lays them out. Pure.

use serde_json::Value;

/// An attribute of a block or object: its name, and its value as an expression that may run over
/// several lines.
pub(crate) struct Attribute {
    name: String,
    value: String,
}

impl Attribute {
    pub(crate) fn new(name: impl Into<String>, value: impl Into<String>) -> Attribute {
        Attribute { name: name.into(), value: value.into() }
    }
}

/// `resource "TYPE" "NAME" { … }`, ending in a newline.
pub(crate) fn resource(kind: &str, name: &str, attributes: &[Attribute]) -> String {
    format!("resource \"{kind}\" \"{name}\" {{\n{}}}\n", body(attributes, 1))
}

/// `jsonencode({ … })`, as an attribute of a block.
pub(crate) fn json(value: &Value) -> String {
    format!("jsonencode({})", expression(value, 1))
}

/// A string in quotes, in which nothing is a template.
pub(crate) fn string(text: &str) -> String {
    Value::from(text).to_string().replace("${", "$${").replace("%{", "%%{")
}

fn expression(value: &Value, depth: usize) -> String {
    match value {
        Value::String(text) => string(text),
        Value::Array(items) => list(items, depth),
        Value::Object(fields) => {
            let attributes: Vec<Attribute> = fields
                .iter()
                .map(|(name, value)| Attribute::new(key(name), expression(value, depth + 1)))
                .collect();
            format!("{{\n{}{}}}", body(&attributes, depth + 1), indent(depth))
        }
        other => other.to_string(),
    }
}

fn list(items: &[Value], depth: usize) -> String {
    match items {
        [] => "[]".into(),
        [Value::String(one)] => format!("[{}]", string(one)),
        items => {
            let lines = items
                .iter()
                .map(|item| format!("{}{},\n", indent(depth + 1), expression(item, depth + 1)));
            format!("[\n{}{}]", lines.collect::<String>(), indent(depth))
        }
    }
}

fn key(name: &str) -> String {
    let plain = name.starts_with(|first: char| first.is_ascii_alphabetic());
    let plain = plain && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plain { name.to_owned() } else { string(name) }
}

/// The signs of neighbouring one-line attributes stand below each other.
fn body(attributes: &[Attribute], depth: usize) -> String {
    let groups =
        attributes.chunk_by(|one, next| !one.value.contains('\n') && !next.value.contains('\n'));
    groups.map(|group| lines(group, depth)).collect()
}

fn lines(group: &[Attribute], depth: usize) -> String {
    let width = group.iter().map(|attribute| attribute.name.chars().count()).max().unwrap_or(0);
    group
        .iter()
        .map(|Attribute { name, value }| format!("{}{name:width$} = {value}\n", indent(depth)))
        .collect()
}

fn indent(depth: usize) -> String {
    "  ".repeat(depth)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn signs_are_aligned_and_templates_are_text() {
        let value = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": ["b/${*}%{x}"], "Condition": {"A": {"s3:x": "1"}}}]});
        let want = r#"resource "t" "n" {
  name = "x"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Resource = ["b/$${*}%%{x}"]
        Condition = {
          A = {
            "s3:x" = "1"
          }
        }
      },
    ]
  })
}
"#;
        assert_eq!(
            resource(
                "t",
                "n",
                &[Attribute::new("name", string("x")), Attribute::new("policy", json_of(&value))]
            ),
            want
        );
    }

    fn json_of(value: &Value) -> String {
        super::json(value)
    }
}

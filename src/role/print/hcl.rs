//! JSON values as Terraform's expressions, laid out as `terraform fmt` lays them out. Pure.

use serde_json::Value;

/// `resource "TYPE" "LABEL" { … }`, ending in a newline. An attribute's value is an expression that
/// may run over several lines.
pub(super) fn resource(kind: &str, label: &str, attributes: &[(&str, String)]) -> String {
    format!("resource \"{kind}\" \"{label}\" {{\n{}}}\n", body(attributes, 1))
}

/// `jsonencode({ … })`, as an attribute of a resource.
pub(super) fn jsonencode(value: &Value) -> String {
    format!("jsonencode({})", expression(value, 1))
}

/// A string in quotes, in which nothing is a template.
pub(super) fn string(text: &str) -> String {
    expression(&text.into(), 0)
}

fn expression(value: &Value, depth: usize) -> String {
    let (outer, inner) = ("  ".repeat(depth), "  ".repeat(depth + 1));
    match value {
        Value::Object(fields) => {
            let fields = fields.iter();
            let attributes: Vec<_> =
                fields.map(|(name, value)| (key(name), expression(value, depth + 1))).collect();
            format!("{{\n{}{outer}}}", body(&attributes, depth + 1))
        }
        Value::Array(items) if !matches!(items[..], [] | [Value::String(_)]) => {
            let line = |item| format!("{inner}{},\n", expression(item, depth + 1));
            format!("[\n{}{outer}]", items.iter().map(line).collect::<String>())
        }
        inline => inline.to_string().replace("${", "$${").replace("%{", "%%{"),
    }
}

fn key(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plain { name.to_owned() } else { string(name) }
}

/// The equals signs of neighbouring one-line attributes are aligned.
fn body<N: AsRef<str>>(attributes: &[(N, String)], depth: usize) -> String {
    let groups =
        attributes.chunk_by(|(_, one), (_, next)| !one.contains('\n') && !next.contains('\n'));
    let lines = groups.flat_map(|group| {
        let width = group.iter().map(|(name, _)| name.as_ref().chars().count()).max().unwrap_or(0);
        let line = move |(name, value): &(N, String)| {
            format!("{}{:width$} = {value}\n", "  ".repeat(depth), name.as_ref())
        };
        group.iter().map(line)
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn equals_signs_align_and_template_markers_are_escaped() {
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
        let attributes = [("name", expression(&json!("x"), 1)), ("policy", jsonencode(&value))];
        assert_eq!(resource("t", "n", &attributes), want);
    }
}

//! Conditions of policy statements, as far as they can be judged from here. Pure.
//!
//! A key whose value is not known here, or an operator that is not in the table, makes the answer
//! unsure rather than wrong. <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>

use serde_json::Value;

use super::pattern::{Pattern, Sure};
use super::policy::texts;

/// What is known about a request: the names and values of condition keys.
pub(crate) type Context = [(&'static str, String)];

/// What holds for every request that a host makes.
const ALWAYS: [(&str, &str); 1] = [("aws:SecureTransport", "true")];

/// One operator on one key.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    operator: String,
    key: String,
    values: Vec<String>,
}

/// How values are compared, and whether the operator wants them to differ.
const OPERATORS: [(&str, Compare, bool); 13] = [
    ("StringEquals", exact, true),
    ("StringNotEquals", exact, false),
    ("StringEqualsIgnoreCase", any_case, true),
    ("StringNotEqualsIgnoreCase", any_case, false),
    ("StringLike", like, true),
    ("StringNotLike", like, false),
    ("ArnEquals", like, true),
    ("ArnLike", like, true),
    ("ArnNotEquals", like, false),
    ("ArnNotLike", like, false),
    ("Bool", any_case, true),
    ("NumericEquals", exact, true),
    ("NumericNotEquals", exact, false),
];

type Compare = fn(&str, &str) -> Sure;

fn exact(wanted: &str, value: &str) -> Sure {
    if wanted.contains("${") { like(wanted, value) } else { (wanted == value).into() }
}

fn any_case(wanted: &str, value: &str) -> Sure {
    exact(&wanted.to_lowercase(), &value.to_lowercase())
}

fn like(wanted: &str, value: &str) -> Sure {
    Pattern::new(wanted, true).covers(&Pattern::literal(value))
}

impl Condition {
    /// From the element `Condition` of a statement.
    pub(crate) fn read(element: Option<&Value>) -> Vec<Condition> {
        let operators = element.and_then(Value::as_object).into_iter().flatten();
        operators
            .flat_map(|(operator, keys)| {
                keys.as_object()
                    .into_iter()
                    .flatten()
                    .map(|(key, values)| one(operator, key, values))
            })
            .collect()
    }

    /// Whether the request meets it.
    pub(crate) fn met(&self, context: &Context) -> Sure {
        let name = self.operator.strip_suffix("IfExists").unwrap_or(&self.operator);
        let always = ALWAYS.iter().copied();
        let mut known = context.iter().map(|(key, value)| (*key, value.as_str())).chain(always);
        let known =
            known.find(|(key, _)| key.eq_ignore_ascii_case(&self.key)).map(|(_, value)| value);
        match (known, OPERATORS.iter().find(|(operator, ..)| *operator == name)) {
            (Some(value), Some((_, compare, wanted))) => self.compare(value, *compare, *wanted),
            (Some(_), None) if name == "Null" => {
                self.values.iter().any(|value| value == "false").into()
            }
            _ => Sure::Maybe,
        }
    }

    fn compare(&self, value: &str, compare: Compare, wanted: bool) -> Sure {
        let some =
            self.values.iter().map(|wanted| compare(wanted, value)).max().unwrap_or(Sure::No);
        if wanted { some } else { some.not() }
    }

    /// `aws:SourceAccount` and so on, for messages.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }
}

fn one(operator: &str, key: &str, values: &Value) -> Condition {
    Condition { operator: operator.to_owned(), key: key.to_owned(), values: texts(Some(values)) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_condition_is_met_broken_or_beyond_us() {
        let context = [
            ("aws:SourceAccount", "123456789012".to_owned()),
            ("ecs:CreateAction", "RegisterContainerInstance".to_owned()),
        ];
        use Sure::{Maybe, No, Yes};
        let table = [
            (json!({"StringEquals": {"aws:SourceAccount": "123456789012"}}), Yes),
            (json!({"StringEquals": {"AWS:sourceaccount": ["1", "123456789012"]}}), Yes),
            (json!({"StringEquals": {"aws:SourceAccount": "999999999999"}}), No),
            (json!({"StringNotEquals": {"aws:SourceAccount": "999999999999"}}), Yes),
            (json!({"StringNotEquals": {"aws:SourceAccount": "123456789012"}}), No),
            (json!({"StringLike": {"ecs:CreateAction": "Register*"}}), Yes),
            (json!({"StringEquals": {"ecs:CreateAction": "Register*"}}), No),
            (json!({"StringEqualsIfExists": {"aws:SourceAccount": "123456789012"}}), Yes),
            (json!({"StringEquals": {"aws:SourceAccount": "${aws:PrincipalAccount}"}}), Maybe),
            (json!({"Null": {"aws:SourceAccount": "false"}}), Yes),
            (json!({"Null": {"aws:SourceAccount": true}}), No),
            (json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}), Maybe),
            (json!({"Bool": {"aws:SecureTransport": "true"}}), Yes),
            (json!({"Bool": {"aws:SecureTransport": "false"}}), No),
            (json!({"Bool": {"aws:MultiFactorAuthPresent": "true"}}), Maybe),
            (json!({"ForAnyValue:StringEquals": {"aws:SourceAccount": "1"}}), Maybe),
        ];
        for (element, want) in table {
            assert_eq!(Condition::read(Some(&element))[0].met(&context), want, "{element}");
        }
    }
}

//! Conditions of policy statements, as far as they can be judged from here. Pure.
//!
//! A key whose value is not known here, or an operator that is not in the table, makes the answer
//! unsure rather than wrong. <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>

use serde_json::Value;

use super::pattern::{Pattern, Ternary};

/// What is known about a request: the names and values of condition keys.
pub(super) type RequestContext = [(&'static str, String)];

/// What holds for every request that a host makes.
const ALWAYS: [(&str, &str); 1] = [("aws:SecureTransport", "true")];

/// Keys of ListBucket, which policies often demand of GetObject, too.
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html>
const OF_LISTS: [&str; 3] = ["s3:prefix", "s3:delimiter", "s3:max-keys"];

/// One operator on one key.
#[derive(Clone, Debug)]
pub(super) struct Condition {
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

type Compare = fn(&str, &str) -> Ternary;

fn exact(wanted: &str, value: &str) -> Ternary {
    if wanted.contains("${") { like(wanted, value) } else { (wanted == value).into() }
}

fn any_case(wanted: &str, value: &str) -> Ternary {
    exact(&wanted.to_lowercase(), &value.to_lowercase())
}

fn like(wanted: &str, value: &str) -> Ternary {
    Pattern::new(wanted, true).covers(&Pattern::literal(value))
}

/// A string, or a list of strings; anything else counts as its own text (`true`, `12`).
pub(super) fn texts(element: Option<&Value>) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match element {
        None => Vec::new(),
        Some(Value::Array(items)) => items.iter().map(text).collect(),
        Some(one) => vec![text(one)],
    }
}

impl Condition {
    /// From the element `Condition` of a statement.
    pub(super) fn parse(element: Option<&Value>) -> Vec<Condition> {
        let mut conditions = Vec::new();
        for (operator, keys) in element.and_then(Value::as_object).into_iter().flatten() {
            for (key, values) in keys.as_object().into_iter().flatten() {
                let (operator, key, values) = (operator.clone(), key.clone(), texts(Some(values)));
                conditions.push(Condition { operator, key, values });
            }
        }
        conditions
    }

    /// Whether the request meets it.
    pub(super) fn met(&self, context: &RequestContext) -> Ternary {
        let name = self.operator.strip_suffix("IfExists").unwrap_or(&self.operator);
        let context = context.iter().map(|(key, value)| (*key, value.as_str()));
        let value = context.chain(ALWAYS).find(|(key, _)| key.eq_ignore_ascii_case(&self.key));
        match (value, OPERATORS.iter().find(|(operator, ..)| *operator == name)) {
            (Some((_, value)), Some((_, compare, wanted))) => {
                let equal = self.values.iter().map(|one| compare(one, value)).max();
                let equal = equal.unwrap_or(Ternary::No);
                if *wanted { equal } else { !equal }
            }
            (Some(_), None) if name == "Null" => {
                self.values.iter().any(|value| value == "false").into()
            }
            _ => Ternary::Maybe,
        }
    }

    /// Whether no request for this action can carry the key.
    pub(super) fn is_about_another(&self, action: &str) -> bool {
        let is_read = matches!(action, "s3:GetObject" | "s3:GetObjectVersion");
        is_read && OF_LISTS.iter().any(|key| key.eq_ignore_ascii_case(&self.key))
    }

    /// Whether a request meets it that lacks the key.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html#Conditions_IfExists>
    pub(super) fn met_without_key(&self) -> Ternary {
        if self.operator == "Null" {
            return self.values.iter().any(|value| value == "true").into();
        }
        let is_met = self.operator.ends_with("IfExists")
            || self.operator.starts_with("ForAllValues:")
            || self.operator.contains("Not") && !self.operator.starts_with("ForAnyValue:");
        is_met.into()
    }

    /// `aws:SourceAccount` and so on, for messages.
    pub(super) fn key(&self) -> &str {
        &self.key
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn key_of_another_action_is_missing_for_ever() {
        use Ternary::{No, Yes};
        let table = [
            (json!({"StringLike": {"s3:prefix": "prod/*"}}), No),
            (json!({"ForAnyValue:StringLike": {"S3:Prefix": "prod/*"}}), No),
            (json!({"StringLikeIfExists": {"s3:prefix": "prod/*"}}), Yes),
            (json!({"StringNotLike": {"s3:prefix": "secret/*"}}), Yes),
            (json!({"ForAllValues:StringEquals": {"s3:delimiter": "/"}}), Yes),
            (json!({"Null": {"s3:prefix": "true"}}), Yes),
            (json!({"Null": {"s3:prefix": "false"}}), No),
        ];
        for (element, want) in table {
            let condition = &Condition::parse(Some(&element))[0];
            assert!(condition.is_about_another("s3:GetObject"), "{element}");
            assert!(!condition.is_about_another("s3:ListBucket"), "{element}");
            assert_eq!(condition.met_without_key(), want, "{element}");
        }
    }

    #[test]
    fn conditions_are_met_unmet_or_undecidable() {
        let context = [
            ("aws:SourceAccount", "123456789012".to_owned()),
            ("ecs:CreateAction", "RegisterContainerInstance".to_owned()),
        ];
        use Ternary::{Maybe, No, Yes};
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
            assert_eq!(Condition::parse(Some(&element))[0].met(&context), want, "{element}");
        }
    }
}

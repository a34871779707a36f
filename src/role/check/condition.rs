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

/// Keys of S3 that a request for an object carries. Policies often demand those of ListBucket and
/// PutObject of it, too.
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html>
const OF_READS: [&str; 12] = [
    "s3:accessgrantsinstancearn",
    "s3:accesspointnetworkorigin",
    "s3:accesspointtag/",
    "s3:authtype",
    "s3:buckettag/",
    "s3:dataaccesspointaccount",
    "s3:dataaccesspointarn",
    "s3:existingobjecttag/",
    "s3:resourceaccount",
    "s3:signature",
    "s3:tlsversion",
    "s3:x-amz-content-sha256",
];

/// Keys that no request of an instance's role carries: of users, of services that act for others,
/// and of tags in a request that sets none.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>
const OF_OTHERS: [&str; 7] = [
    "aws:username",
    "aws:multifactorauthage",
    "aws:federatedprovider",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:tagkeys",
    "aws:requesttag/",
];

/// One operator on one key.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    operator: String,
    /// `aws:SourceAccount` and so on.
    pub(super) key: String,
    values: Vec<String>,
}

/// How values are compared; with `Not` in their names, these want them to differ.
const OPERATORS: [(&str, Compare); 7] = [
    ("StringEquals", exact),
    ("StringEqualsIgnoreCase", any_case),
    ("StringLike", like),
    ("ArnEquals", like),
    ("ArnLike", like),
    ("Bool", any_case),
    ("NumericEquals", exact),
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

    /// Whether a request for the action meets it.
    pub(super) fn met(&self, action: &str, context: &RequestContext) -> Ternary {
        if self.is_about_another(action) {
            return self.met_without_key();
        }
        let name = self.operator.strip_suffix("IfExists").unwrap_or(&self.operator);
        let positive = name.replacen("Not", "", 1);
        let context = context.iter().map(|(key, value)| (*key, value.as_str()));
        let value = context.chain(ALWAYS).find(|(key, _)| key.eq_ignore_ascii_case(&self.key));
        match (value, OPERATORS.iter().find(|(operator, _)| *operator == positive)) {
            (Some((_, value)), Some((_, compare))) => {
                let equal = self.values.iter().map(|one| compare(one, value)).max();
                let equal = equal.unwrap_or(Ternary::No);
                if positive == name { equal } else { !equal }
            }
            (Some(_), None) if name == "Null" => {
                self.values.iter().any(|value| value == "false").into()
            }
            _ => Ternary::Maybe,
        }
    }

    /// Whether no request for this action can carry the key. Other services' keys are known for
    /// objects only; `ec2:` and `ssm:` have one that each request of a host may carry.
    fn is_about_another(&self, action: &str) -> bool {
        let key = self.key.to_lowercase();
        let is_one_of = |keys: &[&str]| keys.iter().any(|known| key.starts_with(known));
        let of_version = action == "s3:GetObjectVersion" && key == "s3:versionid";
        match (action, key.split(':').next()) {
            ("s3:GetObject" | "s3:GetObjectVersion", Some(service)) => match service {
                "aws" => is_one_of(&OF_OTHERS) || self.wants_second_factor(),
                "s3" => !of_version && !is_one_of(&OF_READS),
                "ec2" | "ssm" => false,
                _ => true,
            },
            _ => false,
        }
    }

    /// No role of an instance has one; whether its requests have the key with `false`, or lack it,
    /// is the same to this.
    fn wants_second_factor(&self) -> bool {
        self.operator == "Bool"
            && self.key.eq_ignore_ascii_case("aws:MultiFactorAuthPresent")
            && self.values.iter().all(|value| value.eq_ignore_ascii_case("true"))
    }

    /// Whether a request meets it that lacks the key.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html#Conditions_IfExists>
    fn met_without_key(&self) -> Ternary {
        if self.operator == "Null" {
            return self.values.iter().any(|value| value == "true").into();
        }
        let is_met = self.operator.ends_with("IfExists")
            || self.operator.starts_with("ForAllValues:")
            || self.operator.contains("Not") && !self.operator.starts_with("ForAnyValue:");
        is_met.into()
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
    fn keys_of_writes_users_and_other_services_are_missing() {
        let is_about_another = |operator: &str, key: &str, action: &str| {
            let element = json!({operator: {key: "x"}});
            Condition::parse(Some(&element))[0].is_about_another(action)
        };
        for key in [
            "s3:x-amz-server-side-encryption",
            "s3:x-amz-acl",
            "s3:VersionId",
            "s3:RequestObjectTag/team",
            "aws:username",
            "aws:SourceAccount",
            "aws:RequestTag/team",
            "iam:PassedToService",
            "ecs:cluster",
            "saml:aud",
        ] {
            assert!(is_about_another("StringEquals", key, "s3:GetObject"), "{key}");
            assert!(!is_about_another("StringEquals", key, "kms:Decrypt"), "{key}");
        }
        for key in [
            "s3:ExistingObjectTag/team",
            "s3:signatureversion",
            "s3:ResourceAccount",
            "s3:TlsVersion",
            "aws:SourceVpce",
            "aws:PrincipalOrgID",
            "aws:SecureTransport",
            "aws:ResourceTag/team",
            "ec2:SourceInstanceARN",
        ] {
            assert!(!is_about_another("StringEquals", key, "s3:GetObject"), "{key}");
        }
        assert!(!is_about_another("StringEquals", "s3:versionid", "s3:GetObjectVersion"));
        for (operator, wanted, want) in
            [("Bool", "true", true), ("Bool", "false", false), ("BoolIfExists", "true", false)]
        {
            let element = json!({operator: {"aws:MultiFactorAuthPresent": wanted}});
            let condition = &Condition::parse(Some(&element))[0];
            assert_eq!(condition.is_about_another("s3:GetObject"), want, "{element}");
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
            let condition = &Condition::parse(Some(&element))[0];
            assert_eq!(condition.met("kms:Decrypt", &context), want, "{element}");
        }
    }
}

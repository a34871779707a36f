//! Reads IAM policy documents, and says what they decide. Pure.
//!
//! An explicit Deny wins, then an Allow; without either the answer is no. What depends on something
//! that only the request knows (a condition, a variable, a resource that is one of many) is unsure,
//! and says on what. Policies of the bucket, the key, the organisation and the VPC endpoint are not seen here. <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>

use serde_json::Value;

use super::condition::{Condition, Context};
use super::pattern::{Pattern, Sure};

/// A document, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) statements: Vec<Statement>,
}

#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub(crate) allow: bool,
    pub(crate) actions: OneOf,
    pub(crate) resources: OneOf,
    pub(crate) conditions: Vec<Condition>,
    /// The element `Principal` or `NotPrincipal`, as it stands; only trust policies have one.
    pub(crate) principal: Option<Value>,
    pub(crate) not_principal: bool,
}

/// `Action` or `NotAction`, `Resource` or `NotResource`.
#[derive(Clone, Debug)]
pub(crate) struct OneOf {
    pub(crate) texts: Vec<String>,
    patterns: Vec<Pattern>,
    pub(crate) negated: bool,
}

/// What is asked: may this action be done to these resources?
#[derive(Clone, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) action: &'a str,
    pub(crate) resource: Pattern,
    pub(crate) context: &'a Context,
}

/// A statement, by the place of its policy and its own place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) policy: usize,
    pub(crate) statement: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allowed,
    Denied(Place),
    /// A statement may or may not apply.
    Unsure(Place),
    Missing,
}

/// A string, or a list of strings; anything else counts as its own text (`true`, `12`).
pub(crate) fn texts(element: Option<&Value>) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match element {
        None => Vec::new(),
        Some(Value::Array(items)) => items.iter().map(text).collect(),
        Some(one) => vec![text(one)],
    }
}

/// The statements of a document: one may stand without a list around it.
pub(crate) fn statements(document: &Value) -> Vec<&Value> {
    match document.get("Statement") {
        Some(Value::Array(statements)) => statements.iter().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    }
}

impl Policy {
    pub(crate) fn read(document: &Value) -> Policy {
        let variables = document.get("Version").and_then(Value::as_str) == Some("2012-10-17");
        Policy {
            statements: statements(document)
                .into_iter()
                .map(|statement| Statement::read(statement, variables))
                .collect(),
        }
    }
}

impl Statement {
    fn read(element: &Value, variables: bool) -> Statement {
        let not_principal = element.get("NotPrincipal");
        Statement {
            allow: element.get("Effect").and_then(Value::as_str) == Some("Allow"),
            actions: OneOf::read(element, ["Action", "NotAction"], &|text| {
                Pattern::new(&text.to_lowercase(), false)
            }),
            resources: OneOf::read(element, ["Resource", "NotResource"], &|text| {
                Pattern::new(text, variables)
            }),
            conditions: Condition::read(element.get("Condition")),
            principal: element.get("Principal").or(not_principal).cloned(),
            not_principal: not_principal.is_some(),
        }
    }

    /// Whether it speaks of `request`: all of it, none of it, or that depends.
    pub(crate) fn applies(&self, request: &Request) -> Sure {
        let action = self.actions.holds(&Pattern::literal(&request.action.to_lowercase()));
        let resource = self.resources.holds(&request.resource);
        self.met(request.context).min(action).min(resource)
    }

    /// Whether its conditions are met.
    pub(crate) fn met(&self, context: &Context) -> Sure {
        self.conditions.iter().map(|condition| condition.met(context)).min().unwrap_or(Sure::Yes)
    }
}

impl OneOf {
    fn read(element: &Value, [name, not]: [&str; 2], pattern: &dyn Fn(&str) -> Pattern) -> OneOf {
        let negated = element.get(name).is_none() && element.get(not).is_some();
        let texts = texts(element.get(if negated { not } else { name }));
        OneOf { patterns: texts.iter().map(|text| pattern(text)).collect(), texts, negated }
    }

    pub(crate) fn holds(&self, wanted: &Pattern) -> Sure {
        let some =
            self.patterns.iter().map(|pattern| pattern.covers(wanted)).max().unwrap_or(Sure::No);
        if self.negated { some.not() } else { some }
    }
}

/// What all of a role's policies together decide.
pub(crate) fn decide(policies: &[Policy], request: &Request) -> Verdict {
    let all = || {
        policies.iter().enumerate().flat_map(|(policy, it)| {
            it.statements.iter().enumerate().map(move |(at, one)| (policy, at, one))
        })
    };
    let first = |allow: bool, sure: Sure| {
        let mut hits = all().filter(|(.., statement)| {
            statement.allow == allow && statement.applies(request) == sure
        });
        hits.next().map(|(policy, statement, _)| Place { policy, statement })
    };
    if let Some(place) = first(false, Sure::Yes) {
        return Verdict::Denied(place);
    }
    match (first(true, Sure::Yes), first(true, Sure::Maybe), first(false, Sure::Maybe)) {
        (Some(_), _, None) => Verdict::Allowed,
        (None, None, _) => Verdict::Missing,
        (Some(_), _, Some(doubt)) => Verdict::Unsure(doubt),
        (None, Some(doubt), _) => Verdict::Unsure(doubt),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OBJECT: &str = "arn:aws:s3:::config/prod/ecs.config";

    #[track_caller]
    fn check(statements: Value, want: &str) {
        check_request(
            "s3:GetObject",
            Pattern::literal(OBJECT),
            &[("s3:ResourceAccount", "123456789012".into())],
            statements,
            want,
        );
    }

    #[track_caller]
    fn check_request(
        action: &str,
        resource: Pattern,
        context: &Context,
        statements: Value,
        want: &str,
    ) {
        let document = json!({"Version": "2012-10-17", "Statement": statements});
        let got = match decide(&[Policy::read(&document)], &Request { action, resource, context }) {
            Verdict::Allowed => "allowed",
            Verdict::Denied(_) => "denied",
            Verdict::Unsure(_) => "unsure",
            Verdict::Missing => "missing",
        };
        assert_eq!(got, want, "{document}");
    }

    #[test]
    fn what_one_statement_decides() {
        let table = [
            (json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": OBJECT}), "allowed"),
            (
                json!([{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [OBJECT]}]),
                "allowed",
            ),
            (json!({"Effect": "Allow", "Action": "S3:getobject", "Resource": "*"}), "allowed"),
            (
                json!({"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::config/*"}),
                "allowed",
            ),
            (json!({"Effect": "Allow", "Action": "*", "Resource": "*"}), "allowed"),
            (
                json!({"Effect": "Allow", "Action": "s3:GetObjectVersion", "Resource": "*"}),
                "missing",
            ),
            (
                json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::config"}),
                "missing",
            ),
            (
                json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::CONFIG/*"}),
                "missing",
            ),
            (json!({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}), "allowed"),
            (
                json!({"Effect": "Allow", "NotAction": ["iam:*", "s3:*"], "Resource": "*"}),
                "missing",
            ),
            (
                json!({"Effect": "Allow", "Action": "s3:*", "NotResource": "arn:aws:s3:::secret/*"}),
                "allowed",
            ),
            (
                json!({"Effect": "Allow", "Action": "s3:*", "NotResource": "arn:aws:s3:::config/*"}),
                "missing",
            ),
            (
                json!({"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::${aws:PrincipalTag/b}/*"}),
                "unsure",
            ),
            (json!([]), "missing"),
            (json!({"Effect": "Deny", "Action": "s3:GetObject", "Resource": OBJECT}), "denied"),
        ];
        for (statements, want) in table {
            check(statements, want);
        }
    }

    #[test]
    fn an_explicit_deny_wins_and_a_doubtful_one_makes_the_answer_unsure() {
        let allow = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
        let table = [
            (json!({"Effect": "Deny", "Action": "s3:*", "Resource": "*"}), "denied"),
            (json!({"Effect": "Deny", "NotAction": "ecs:*", "Resource": "*"}), "denied"),
            (json!({"Effect": "Deny", "NotAction": "s3:*", "Resource": "*"}), "allowed"),
            (
                json!({"Effect": "Deny", "Action": "*", "NotResource": "arn:aws:s3:::config/*"}),
                "allowed",
            ),
            (
                json!({"Effect": "Deny", "Action": "*", "NotResource": "arn:aws:s3:::other/*"}),
                "denied",
            ),
            (
                json!({"Effect": "Deny", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::other/*"}),
                "allowed",
            ),
            (
                json!({"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}),
                "allowed",
            ),
            (
                json!({"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"StringNotEquals": {"aws:SourceVpc": "vpc-1"}}}),
                "unsure",
            ),
        ];
        for (deny, want) in table {
            check(json!([deny.clone(), allow.clone()]), want);
            check(json!([allow.clone(), deny]), want);
        }
    }

    #[test]
    fn conditions_that_can_be_judged_are_judged() {
        let owner = |account: &str| json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", "Condition": {"StringEquals": {"s3:ResourceAccount": account}}});
        check(owner("123456789012"), "allowed");
        check(owner("999999999999"), "missing");
        let vpc = json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": {"StringEquals": {"aws:SourceVpce": "vpce-1"}}});
        check(vpc.clone(), "unsure");
        check(json!([vpc, owner("123456789012")]), "allowed");
    }

    #[test]
    fn a_grant_on_some_of_many_resources_is_unsure() {
        let narrow = json!({"Effect": "Allow", "Action": "ecs:Poll", "Resource": "arn:aws:ecs:*:*:container-instance/prod/*"});
        let instances = Pattern::new("arn:aws:ecs:*:*:container-instance/*", true);
        check_request("ecs:Poll", instances.clone(), &[], narrow.clone(), "unsure");
        check_request(
            "ecs:Poll",
            Pattern::new("arn:aws:ecs:*:*:cluster/*", true),
            &[],
            narrow,
            "missing",
        );
        check_request(
            "ecs:Poll",
            instances,
            &[],
            json!({"Effect": "Allow", "Action": "ecs:*", "Resource": "*"}),
            "allowed",
        );
    }
}

//! Parses IAM policy documents, and evaluates what they decide. Pure.
//!
//! An explicit Deny wins, then an Allow; without either the answer is no. What depends on something
//! that only the request knows (a condition, a variable, a resource that is one of many) is unsure,
//! and names the statement. Policies of the bucket, the key, the organisation and the VPC endpoint
//! are not known here.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>

use serde_json::Value;

use super::condition::{Condition, RequestContext, texts};
use super::pattern::{Pattern, Ternary};
use crate::role::required_permissions::Permission;

/// A document, taken apart.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    pub(super) statements: Vec<Statement>,
}

#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) allow: bool,
    pub(super) actions: MatchList,
    pub(super) resources: MatchList,
    pub(super) conditions: Vec<Condition>,
    /// The element `Principal` or `NotPrincipal`, as it is; only trust policies have one.
    pub(super) principal: Option<Value>,
    pub(super) not_principal: bool,
}

/// `Action` or `NotAction`, `Resource` or `NotResource`.
#[derive(Clone, Debug)]
pub(super) struct MatchList {
    pub(super) texts: Vec<String>,
    patterns: Vec<Pattern>,
    pub(super) negated: bool,
}

/// May this action be done to these resources?
#[derive(Clone, Debug)]
pub(super) struct AccessRequest<'a> {
    action: &'a str,
    resource: Pattern,
    context: &'a RequestContext,
}

/// A statement: the index of its policy, and its own in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StatementRef {
    pub(super) policy: usize,
    pub(super) statement: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Allowed,
    Denied(StatementRef),
    /// A statement may or may not apply.
    Unsure(StatementRef),
    Missing,
}

/// The statements of a document: a single one may be without a list around it.
pub(super) fn statements(document: &Value) -> Vec<&Value> {
    match document.get("Statement") {
        Some(Value::Array(statements)) => statements.iter().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    }
}

impl<'a> From<&'a Permission> for AccessRequest<'a> {
    fn from(permission: &'a Permission) -> Self {
        let resource = Pattern::new(&permission.resource, true);
        AccessRequest { action: permission.action, resource, context: &permission.context }
    }
}

impl Policy {
    pub(super) fn parse(document: &Value) -> Policy {
        let variables = document.get("Version").and_then(Value::as_str) == Some("2012-10-17");
        let statements = statements(document).into_iter();
        Policy { statements: statements.map(|it| Statement::parse(it, variables)).collect() }
    }
}

impl Statement {
    fn parse(element: &Value, variables: bool) -> Statement {
        let not_principal = element.get("NotPrincipal");
        let action = |text: &str| Pattern::new(&text.to_lowercase(), false);
        let resource = |text: &str| Pattern::new(text, variables);
        Statement {
            allow: element.get("Effect").and_then(Value::as_str) == Some("Allow"),
            actions: MatchList::parse(element, ["Action", "NotAction"], action),
            resources: MatchList::parse(element, ["Resource", "NotResource"], resource),
            conditions: Condition::parse(element.get("Condition")),
            principal: element.get("Principal").or(not_principal).cloned(),
            not_principal: not_principal.is_some(),
        }
    }

    /// Whether it is about `request`: all of it, none of it, or that depends.
    pub(super) fn applies(&self, request: &AccessRequest) -> Ternary {
        let action = self.actions.matches(&Pattern::literal(&request.action.to_lowercase()));
        let resource = self.resources.matches(&request.resource);
        let met = self.conditions.iter().map(|it| match it.is_about_another(request.action) {
            true => it.met_without_key(),
            false => it.met(request.context),
        });
        met.min().unwrap_or(Ternary::Yes).min(action).min(resource)
    }

    /// Whether its conditions are met.
    pub(super) fn met(&self, context: &RequestContext) -> Ternary {
        self.conditions.iter().map(|it| it.met(context)).min().unwrap_or(Ternary::Yes)
    }

    /// The keys of its conditions, for messages.
    pub(super) fn condition_keys(&self) -> Vec<&str> {
        self.conditions.iter().map(Condition::key).collect()
    }
}

impl MatchList {
    fn parse(element: &Value, [name, not]: [&str; 2], pattern: impl Fn(&str) -> Pattern) -> Self {
        let negated = element.get(name).is_none() && element.get(not).is_some();
        let texts = texts(element.get(if negated { not } else { name }));
        MatchList { patterns: texts.iter().map(|text| pattern(text)).collect(), texts, negated }
    }

    pub(super) fn matches(&self, wanted: &Pattern) -> Ternary {
        let some = self.patterns.iter().map(|it| it.covers(wanted)).max().unwrap_or(Ternary::No);
        if self.negated { !some } else { some }
    }
}

/// What all of a role's policies together decide.
pub(super) fn decide<'a>(policies: &[Policy], request: impl Into<AccessRequest<'a>>) -> Decision {
    let request = request.into();
    let first = |allow: bool, applies: Ternary| {
        policies.iter().enumerate().find_map(|(policy, it)| {
            let hit = |it: &Statement| it.allow == allow && it.applies(&request) == applies;
            Some(StatementRef { policy, statement: it.statements.iter().position(hit)? })
        })
    };
    if let Some(deny) = first(false, Ternary::Yes) {
        return Decision::Denied(deny);
    }
    let allow = (first(true, Ternary::Yes), first(true, Ternary::Maybe));
    match (allow, first(false, Ternary::Maybe)) {
        ((Some(_), _), None) => Decision::Allowed,
        ((None, None), _) => Decision::Missing,
        ((Some(_), _), Some(doubt)) | ((None, Some(doubt)), _) => Decision::Unsure(doubt),
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
        context: &RequestContext,
        statements: Value,
        want: &str,
    ) {
        let document = json!({"Version": "2012-10-17", "Statement": statements});
        let got = match decide(
            &[Policy::parse(&document)],
            AccessRequest { action, resource, context },
        ) {
            Decision::Allowed => "allowed",
            Decision::Denied(_) => "denied",
            Decision::Unsure(_) => "unsure",
            Decision::Missing => "missing",
        };
        assert_eq!(got, want, "{document}");
    }

    #[test]
    fn one_statement_decides_by_action_and_resource() {
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
    fn explicit_deny_wins_and_undecidable_deny_makes_unsure() {
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
    fn conditions_on_known_keys_are_evaluated() {
        let owner = |account: &str| json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", "Condition": {"StringEquals": {"s3:ResourceAccount": account}}});
        check(owner("123456789012"), "allowed");
        check(owner("999999999999"), "missing");
        let vpc = json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": {"StringEquals": {"aws:SourceVpce": "vpce-1"}}});
        check(vpc.clone(), "unsure");
        check(json!([vpc, owner("123456789012")]), "allowed");
    }

    #[test]
    fn allow_on_some_of_the_resources_is_unsure() {
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

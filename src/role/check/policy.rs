//! Parses IAM policy documents, and evaluates what they decide. Pure.
//!
//! An explicit Deny wins, then an Allow; without either the answer is no. What depends on something
//! that only the request knows (a condition, a variable, a resource that is one of many) is unsure,
//! and names the statement. Policies of the bucket, the key, the organisation and the VPC endpoint
//! are not known here.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>

use std::{fmt, slice};

use serde_json::Value;

use super::condition::{Condition, RequestContext, texts};
use super::pattern::{Pattern, Ternary};
use crate::role::required_permissions::Permission;

/// A policy of a role.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    pub(super) name: String,
    /// Of a managed policy; an inline one does not have any.
    pub(super) arn: Option<String>,
    pub(super) document: Value,
    /// Those of the document, taken apart.
    pub(super) statements: Vec<Statement>,
}

#[derive(Clone, Debug)]
pub(super) struct Statement {
    /// As the document has it.
    pub(super) element: Value,
    pub(super) allow: bool,
    pub(super) actions: MatchList,
    pub(super) resources: MatchList,
    conditions: Vec<Condition>,
}

/// `Action` or `NotAction`, `Resource` or `NotResource`.
#[derive(Clone, Debug)]
pub(super) struct MatchList {
    pub(super) texts: Vec<String>,
    patterns: Vec<Pattern>,
    pub(super) negated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Allowed,
    /// By the policy at this index.
    Denied(usize),
    /// The statement at the second index, in the policy at the first, may or may not apply.
    Unsure(usize, usize),
    Missing,
    /// Allowed, and refused by IAM's simulator all the same; [`decide`] does not ask it.
    Overruled,
}

/// The statements of a document: a single one may be without a list around it.
pub(super) fn parse(document: &Value) -> Vec<Statement> {
    let variables = document.get("Version").and_then(Value::as_str) == Some("2012-10-17");
    let statements = match document.get("Statement") {
        Some(Value::Array(statements)) => statements,
        Some(one) => slice::from_ref(one),
        None => &[],
    };
    statements.iter().map(|it| Statement::parse(it, variables)).collect()
}

impl Policy {
    pub(super) fn new(name: String, arn: Option<String>, document: Value) -> Policy {
        Policy { name, arn, statements: parse(&document), document }
    }

    /// For messages: `statement SID of KIND policy NAME`.
    pub(super) fn statement_name(&self, at: usize) -> String {
        let sid = self.statements[at].element.get("Sid").and_then(Value::as_str);
        let sid = sid.filter(|sid| !sid.is_empty());
        let which = sid.map_or_else(|| (at + 1).to_string(), |sid| format!("`{sid}`"));
        format!("statement {which} of {self}")
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.arn.is_some() { "managed" } else { "inline" };
        write!(f, "{kind} policy {}", self.name)
    }
}

impl Statement {
    fn parse(element: &Value, variables: bool) -> Statement {
        let action = |text: &str| Pattern::new(&text.to_lowercase(), false);
        let resource = |text: &str| Pattern::new(text, variables);
        Statement {
            allow: element.get("Effect").and_then(Value::as_str) == Some("Allow"),
            actions: MatchList::parse(element, ["Action", "NotAction"], action),
            resources: MatchList::parse(element, ["Resource", "NotResource"], resource),
            conditions: Condition::parse(element.get("Condition")),
            element: element.clone(),
        }
    }

    /// Whether it is about all that is permitted, none of it, or that depends.
    pub(super) fn applies(&self, permission: &Permission) -> Ternary {
        let Permission { action, resource, context, .. } = permission;
        let resource = self.resources.matches(&Pattern::new(resource, true));
        self.names_action(action).min(resource).min(self.met(action, context))
    }

    pub(super) fn names_action(&self, action: &str) -> Ternary {
        self.actions.matches(&Pattern::literal(&action.to_lowercase()))
    }

    /// Whether its conditions are met by a request for the action.
    pub(super) fn met(&self, action: &str, context: &RequestContext) -> Ternary {
        let met = self.conditions.iter().map(|it| it.met(action, context));
        met.min().unwrap_or(Ternary::Yes)
    }

    /// The keys of its conditions, for messages.
    pub(super) fn condition_keys(&self) -> Vec<&str> {
        self.conditions.iter().map(|it| it.key.as_str()).collect()
    }
}

impl MatchList {
    fn parse(element: &Value, [name, not]: [&str; 2], pattern: impl Fn(&str) -> Pattern) -> Self {
        let negated = element.get(name).is_none() && element.get(not).is_some();
        let texts = texts(element.get(if negated { not } else { name }));
        MatchList { patterns: texts.iter().map(|text| pattern(text)).collect(), texts, negated }
    }

    fn matches(&self, wanted: &Pattern) -> Ternary {
        let some = self.patterns.iter().map(|it| it.covers(wanted)).max().unwrap_or(Ternary::No);
        if self.negated { !some } else { some }
    }
}

/// What all of a role's policies together decide.
pub(super) fn decide(policies: &[Policy], permission: &Permission) -> Decision {
    let first = |allow: bool, applies: Ternary| {
        policies.iter().enumerate().find_map(|(policy, it)| {
            let hit = |it: &Statement| it.allow == allow && it.applies(permission) == applies;
            Some((policy, it.statements.iter().position(hit)?))
        })
    };
    if let Some((policy, _)) = first(false, Ternary::Yes) {
        return Decision::Denied(policy);
    }
    let allow = (first(true, Ternary::Yes), first(true, Ternary::Maybe));
    match (allow, first(false, Ternary::Maybe)) {
        ((Some(_), _), None) => Decision::Allowed,
        ((None, None), _) => Decision::Missing,
        ((Some(_), _), Some((policy, statement))) | ((None, Some((policy, statement))), _) => {
            Decision::Unsure(policy, statement)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::role::required_permissions::PermissionGroup;

    const OBJECT: &str = "arn:aws:s3:::config/prod/ecs.config";

    #[track_caller]
    fn check(statements: Value, want: &str) {
        let context = vec![("s3:ResourceAccount", "123456789012".into())];
        check_request("s3:GetObject", OBJECT, context, statements, want);
    }

    #[track_caller]
    fn check_request(
        action: &'static str,
        resource: &str,
        context: Vec<(&'static str, String)>,
        statements: Value,
        want: &str,
    ) {
        let document = json!({"Version": "2012-10-17", "Statement": statements});
        let permission = Permission {
            group: PermissionGroup::Agent,
            action,
            resource: resource.into(),
            context,
            consequence: String::new(),
            essential: true,
        };
        let policy = Policy::new("p".into(), None, document);
        let got = match decide(slice::from_ref(&policy), &permission) {
            Decision::Allowed => "allowed",
            Decision::Denied(_) => "denied",
            Decision::Unsure(..) => "unsure",
            Decision::Missing => "missing",
            Decision::Overruled => "overruled",
        };
        assert_eq!(got, want, "{}", policy.document);
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
        let instances = "arn:aws:ecs:*:*:container-instance/*";
        check_request("ecs:Poll", instances, Vec::new(), narrow.clone(), "unsure");
        check_request("ecs:Poll", "arn:aws:ecs:*:*:cluster/*", Vec::new(), narrow, "missing");
        let wide = json!({"Effect": "Allow", "Action": "ecs:*", "Resource": "*"});
        check_request("ecs:Poll", instances, Vec::new(), wide, "allowed");
    }
}

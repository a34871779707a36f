//! Whether a trust policy lets the service that gives the role to the host assume it, and who else
//! may. Pure.
//!
//! Version 2008-10-17 and 2012-10-17, a string or a list, an empty Sid and conditions are all found
//! in real accounts, and all right.

use ecs_config::lint::Severity;
use serde_json::Value;

use super::condition::texts;
use super::finding::RoleFinding;
use super::pattern::Ternary;
use super::policy::{Statement, parse};
use super::remediation::update_trust;
use super::snapshot::RoleSnapshot;
use crate::role::{Role, documents};

const ASSUME_ROLE: &str = "sts:AssumeRole";

pub(super) fn findings(role: &Role, snapshot: &RoleSnapshot) -> Vec<RoleFinding> {
    let trust = TrustPolicy::of(role, snapshot);
    trust.refusal().into_iter().chain(trust.others()).collect()
}

struct TrustPolicy<'a> {
    role: &'a Role,
    snapshot: &'a RoleSnapshot,
    statements: Vec<Statement>,
}

impl<'a> TrustPolicy<'a> {
    fn of(role: &'a Role, snapshot: &'a RoleSnapshot) -> Self {
        TrustPolicy { role, snapshot, statements: parse(&snapshot.trust) }
    }

    /// What keeps the service from assuming the role, or may do so.
    fn refusal(&self) -> Option<RoleFinding> {
        let service = self.role.host.service();
        let applies = |allow, ternary| self.with(allow, ternary).next().is_some();
        if applies(false, Ternary::Yes) {
            let message = format!("its trust policy denies sts:AssumeRole to {service}");
            return Some(self.error("trust-denied", message));
        }
        let allowed = applies(true, Ternary::Yes);
        if allowed && !applies(false, Ternary::Maybe) {
            return None;
        }
        if !allowed && !applies(true, Ternary::Maybe) {
            return Some(self.nearest_miss(service));
        }
        let doubtful = self.statements.iter().filter(|it| self.applies(it) == Ternary::Maybe);
        let keys = doubtful.flat_map(Statement::condition_keys).collect::<Vec<_>>().join(", ");
        let keys = if keys.is_empty() { "its principal" } else { &keys };
        let message = format!(
            "its trust policy lets {service} assume it under a condition on {keys}, which cannot be evaluated from here"
        );
        Some(RoleFinding { severity: Severity::Note, ..self.error("trust-condition", message) })
    }

    /// No statement lets the service assume the role: what keeps the one that comes nearest to it
    /// from doing so.
    fn nearest_miss(&self, service: &str) -> RoleFinding {
        let allows = || self.statements.iter().filter(|statement| statement.allow);
        let mut ours = allows().filter(|it| self.names_service(it) == Ternary::Yes);
        let assuming = ours.clone().find(|it| it.names_action(ASSUME_ROLE) == Ternary::Yes);
        let (id, message) = if let Some(near) = assuming {
            let keys = near.condition_keys().join(", ");
            let condition = format!("under a condition on {keys} that is not met");
            ("trust-condition", format!("its trust policy lets {service} assume it {condition}"))
        } else if let Some(near) = ours.next() {
            let actions = near.actions.texts.join(", ");
            let message =
                format!("its trust policy allows {service} {actions}, not sts:AssumeRole");
            ("trust-action", message)
        } else {
            let all = allows().flat_map(principals).collect::<Vec<_>>().join(", ");
            let instead = if all.is_empty() { "no principal" } else { &all };
            ("trust-principal", format!("its trust policy lets {instead} assume it, not {service}"))
        };
        self.error(id, message)
    }

    fn error(&self, id: &'static str, message: String) -> RoleFinding {
        let fix = update_trust(self.role, &self.repaired());
        RoleFinding::new(Severity::Error, id, message, fix)
    }

    /// The statements of that effect that apply to our service, this surely.
    fn with(&self, allow: bool, applies: Ternary) -> impl Iterator<Item = &Statement> {
        self.statements.iter().filter(move |it| it.allow == allow && self.applies(it) == applies)
    }

    fn applies(&self, statement: &Statement) -> Ternary {
        let account = self.snapshot.arn.split(':').nth(4).filter(|account| !account.is_empty());
        let context = account.map(|account| ("aws:SourceAccount", account.to_owned()));
        let met = statement.met(ASSUME_ROLE, context.as_slice());
        statement.names_action(ASSUME_ROLE).min(self.names_service(statement)).min(met)
    }

    fn names_service(&self, statement: &Statement) -> Ternary {
        let service = self.role.host.service();
        let ours = |name: &String| match name.strip_suffix(".cn") {
            Some(chinese) => chinese == service && self.role.partition.name == "aws-cn",
            None => name == service,
        };
        let (principal, negated) = principal(statement);
        let of = |kind| texts(principal.and_then(|it| it.get(kind)));
        let is_everyone =
            principal.is_some_and(|it| it == "*") || of("AWS").iter().any(|name| name == "*");
        let named = match of("Service").iter().any(ours) {
            false if is_everyone && statement.allow => Ternary::Maybe,
            is_named => (is_named || is_everyone).into(),
        };
        if negated { !named } else { named }
    }

    /// The document without the statements that deny, and with our own where no statement allows.
    fn repaired(&self) -> Value {
        let kept = self.statements.iter();
        let kept = kept.filter(|it| it.allow || self.applies(it) == Ternary::No);
        let mut kept: Vec<Value> = kept.map(|it| it.element.clone()).collect();
        if self.with(true, Ternary::Yes).next().is_none() {
            kept.push(documents::trust_statement(self.role));
        }
        documents::document(kept)
    }

    /// Who else may assume the role.
    fn others(&self) -> Option<RoleFinding> {
        let allows = self.statements.iter().filter(|statement| statement.allow);
        let is_other = |name: &String| !name.starts_with(self.role.host.service());
        let others: Vec<String> = allows.flat_map(principals).filter(is_other).collect();
        let open = others.iter().any(|name| name == "*" || name.starts_with("everyone"));
        let (severity, id) = match open {
            true => (Severity::Warning, "trust-open"),
            false => (Severity::Note, "trust-others"),
        };
        let fix = update_trust(self.role, &documents::trust(self.role));
        let message = format!(
            "its trust policy also lets {} assume it, which such a host does not need",
            others.join(", ")
        );
        (!others.is_empty()).then(|| RoleFinding::new(severity, id, message, fix))
    }
}

/// The element `Principal` or `NotPrincipal`, and whether it is the latter.
fn principal(statement: &Statement) -> (Option<&Value>, bool) {
    let [named, excepted] = ["Principal", "NotPrincipal"].map(|name| statement.element.get(name));
    (named.or(excepted), excepted.is_some())
}

/// Everyone whom a statement names.
fn principals(statement: &Statement) -> Vec<String> {
    let (principal, negated) = principal(statement);
    let named = match principal {
        Some(Value::Object(kinds)) => kinds.values().flat_map(|names| texts(Some(names))).collect(),
        all => texts(all),
    };
    if negated { vec![format!("everyone but {}", named.join(", "))] } else { named }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::role::{HostType, RoleRequest};

    fn role(host: HostType, partition: &str) -> Role {
        let partition = Some(partition.to_owned());
        let request = RoleRequest { host: Some(host), partition, ..RoleRequest::default() };
        Role::new(request, None, &[], None).unwrap()
    }

    /// The ids that are found, and that no error is left once the first command's document is set.
    #[track_caller]
    fn check(role: &Role, statement: Value, want: &[&str]) {
        let trust = json!({"Version": "2008-10-17", "Statement": statement});
        let arn = "arn:aws:iam::123456789012:role/r".into();
        let snapshot = RoleSnapshot { arn, trust, ..RoleSnapshot::default() };
        let found = findings(role, &snapshot);
        let ids: Vec<_> = found.iter().map(|finding| finding.id).collect();
        assert_eq!(ids, want, "{}", snapshot.trust);
        let trust = TrustPolicy::of(role, &snapshot).repaired();
        let left = findings(role, &RoleSnapshot { trust, ..snapshot });
        assert!(left.iter().all(|finding| finding.severity != Severity::Error), "{left:?}");
    }

    fn allow(principal: Value, action: Value) -> Value {
        json!({"Sid": "", "Effect": "Allow", "Principal": principal, "Action": action})
    }

    #[test]
    fn common_trust_policies_have_no_findings() {
        let ec2 = role(HostType::Ec2, "aws");
        check(&ec2, allow(json!({"Service": "ec2.amazonaws.com"}), json!("sts:AssumeRole")), &[]);
        check(
            &ec2,
            json!([allow(
                json!({"Service": ["ec2.amazonaws.com"]}),
                json!(["sts:TagSession", "STS:assumerole"])
            )]),
            &[],
        );
        check(&ec2, allow(json!({"Service": "ec2.amazonaws.com"}), json!("sts:*")), &[]);
        let mut conditioned =
            allow(json!({"Service": "ssm.amazonaws.com"}), json!("sts:AssumeRole"));
        conditioned["Condition"] = json!({"StringEquals": {"aws:SourceAccount": "123456789012"}});
        check(&role(HostType::External, "aws"), conditioned, &[]);
        let chinese = allow(json!({"Service": "ec2.amazonaws.com.cn"}), json!("sts:AssumeRole"));
        check(&role(HostType::Batch, "aws-cn"), chinese.clone(), &[]);
        check(&ec2, chinese, &["trust-principal"]);
    }

    #[test]
    fn wrong_trust_policies_are_found_and_repaired() {
        let ec2 = role(HostType::Ec2, "aws");
        let right = allow(json!({"Service": "ec2.amazonaws.com"}), json!("sts:AssumeRole"));
        let service = json!({"Service": "ec2.amazonaws.com"});
        check(&ec2, json!([]), &["trust-principal"]);
        check(
            &ec2,
            allow(json!({"Service": "ecs.amazonaws.com"}), json!("sts:AssumeRole")),
            &["trust-principal", "trust-others"],
        );
        check(&ec2, allow(service.clone(), json!("sts:AssumeRoleWithSAML")), &["trust-action"]);
        check(
            &ec2,
            json!([right, {"Effect": "Deny", "Principal": service, "Action": "sts:*"}]),
            &["trust-denied"],
        );
        check(
            &ec2,
            json!([right, {"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole"}]),
            &["trust-denied"],
        );
        let everyone = json!({"AWS": "*"});
        check(
            &ec2,
            json!([right, {"Effect": "Deny", "Principal": everyone, "Action": "sts:AssumeRole"}]),
            &["trust-denied"],
        );
        check(&ec2, allow(everyone, json!("sts:AssumeRole")), &["trust-condition", "trust-open"]);
        check(
            &ec2,
            json!([right, {"Effect": "Deny", "NotPrincipal": service, "Action": "sts:AssumeRole"}]),
            &[],
        );
        check(
            &ec2,
            json!([
                right,
                allow(json!({"AWS": "arn:aws:iam::123456789012:root"}), json!("sts:AssumeRole"))
            ]),
            &["trust-others"],
        );
        check(&ec2, json!([right, allow(json!("*"), json!("sts:AssumeRole"))]), &["trust-open"]);
        let mut doubtful = right.clone();
        doubtful["Condition"] = json!({"ArnLike": {"aws:SourceArn": "arn:aws:ec2:*:*:instance/*"}});
        check(&ec2, doubtful, &["trust-condition"]);
    }
}

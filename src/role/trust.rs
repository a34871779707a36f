//! Whether a trust policy lends the role to the service that hands it to the host, and to whom
//! else. Pure.
//!
//! Version 2008-10-17 and 2012-10-17, a string or a list, an empty Sid and conditions are all met
//! in the wild, and all right.

use serde_json::Value;

use super::documents;
use super::finding::{Finding, Severity};
use super::pattern::{Pattern, Sure};
use super::policy::{Policy, Statement, statements, texts};
use super::seen::Seen;
use super::{Role, shell};

const ACTION: &str = "sts:assumerole";

pub(crate) fn findings(role: &Role, seen: &Seen) -> Vec<Finding> {
    let trust = Trust { role, seen, statements: Policy::read(&seen.trust).statements };
    trust.lent().into_iter().chain(trust.others()).collect()
}

struct Trust<'a> {
    role: &'a Role,
    seen: &'a Seen,
    statements: Vec<Statement>,
}

impl Trust<'_> {
    /// What keeps the service from assuming the role.
    fn lent(&self) -> Option<Finding> {
        let service = self.role.kind.service();
        if self.any(false, Sure::Yes) {
            return Some(self.finding(
                "trust-denied",
                format!("its trust policy denies sts:AssumeRole to {service}"),
            ));
        }
        if self.any(true, Sure::Yes) && !self.any(false, Sure::Maybe) {
            return None;
        }
        if self.any(true, Sure::Yes) || self.any(true, Sure::Maybe) {
            let keys = self.conditions().join(", ");
            let message = format!(
                "its trust policy lends it to {service} under a condition on {keys}, which cannot be judged from here"
            );
            return Some(Finding {
                severity: Severity::Note,
                ..self.finding("trust-condition", message)
            });
        }
        Some(self.refused(service))
    }

    /// No statement lends the role to the service: the nearest that one comes to it.
    fn refused(&self, service: &str) -> Finding {
        let mut allows = self
            .statements
            .iter()
            .filter(|statement| statement.allow && self.is_for_us(statement) == Sure::Yes);
        let Some(near) =
            allows.clone().find(|statement| assumes(statement) == Sure::Yes).or(allows.next())
        else {
            let all = self
                .statements
                .iter()
                .filter(|statement| statement.allow)
                .flat_map(principals)
                .collect::<Vec<_>>()
                .join(", ");
            let instead = if all.is_empty() { "nobody".into() } else { all };
            return self.finding(
                "trust-principal",
                format!("its trust policy lends it to {instead}, not to {service}"),
            );
        };
        match assumes(near) {
            Sure::Yes => {
                let keys = near
                    .conditions
                    .iter()
                    .map(super::condition::Condition::key)
                    .collect::<Vec<_>>()
                    .join(", ");
                self.finding(
                    "trust-condition",
                    format!("its trust policy lends it to {service} under a condition on {keys} that is not met"),
                )
            }
            _ => {
                let actions = near.actions.texts.join(", ");
                self.finding(
                    "trust-action",
                    format!("its trust policy allows {service} {actions}, not sts:AssumeRole"),
                )
            }
        }
    }

    fn finding(&self, id: &'static str, message: String) -> Finding {
        Finding::new(Severity::Error, id, message, shell::update_trust(self.role, &self.mended()))
    }

    /// Some statement of that effect applies to our service, this surely.
    fn any(&self, allow: bool, sure: Sure) -> bool {
        self.statements
            .iter()
            .any(|statement| statement.allow == allow && self.applies(statement) == sure)
    }

    fn applies(&self, statement: &Statement) -> Sure {
        let context: Vec<_> = self
            .seen
            .account()
            .map(|account| ("aws:SourceAccount", account.to_owned()))
            .into_iter()
            .collect();
        assumes(statement).min(self.is_for_us(statement)).min(statement.met(&context))
    }

    fn is_for_us(&self, statement: &Statement) -> Sure {
        let service = self.role.kind.service();
        let chinese = format!("{service}.cn");
        let ours =
            |name: &str| name == service || self.role.partition.name == "aws-cn" && name == chinese;
        let sure = match &statement.principal {
            Some(Value::String(all)) if all == "*" => {
                if statement.allow {
                    Sure::Maybe
                } else {
                    Sure::Yes
                }
            }
            Some(named) => texts(named.get("Service")).iter().any(|name| ours(name)).into(),
            None => Sure::No,
        };
        if statement.not_principal { sure.not() } else { sure }
    }

    /// The condition keys that leave it open.
    fn conditions(&self) -> Vec<&str> {
        let doubtful =
            self.statements.iter().filter(|statement| self.applies(statement) == Sure::Maybe);
        let keys: Vec<_> = doubtful
            .flat_map(|statement| statement.conditions.iter().map(super::condition::Condition::key))
            .collect();
        if keys.is_empty() { vec!["its principal"] } else { keys }
    }

    /// The document with nothing taken away but what denies, and with our own statement where none
    /// lends it.
    fn mended(&self) -> Value {
        let all = statements(&self.seen.trust).into_iter().zip(&self.statements);
        let mut kept: Vec<Value> = all
            .filter(|(_, one)| one.allow || self.applies(one) == Sure::No)
            .map(|(element, _)| element.clone())
            .collect();
        if !self.any(true, Sure::Yes) {
            kept.extend(statements(&documents::trust(self.role)).into_iter().cloned());
        }
        documents::document(kept)
    }

    /// Who else may take the role.
    fn others(&self) -> Option<Finding> {
        let lent = self.statements.iter().filter(|statement| statement.allow);
        let others: Vec<String> = lent
            .flat_map(principals)
            .filter(|name| !name.starts_with(self.role.kind.service()))
            .collect();
        let everyone = others.iter().any(|name| name == "*" || name.starts_with("everyone"));
        let (severity, id) = if everyone {
            (Severity::Warning, "trust-open")
        } else {
            (Severity::Note, "trust-others")
        };
        let fix = shell::update_trust(self.role, &documents::trust(self.role));
        let message = format!(
            "its trust policy also lends it to {}, which such a host does not need",
            others.join(", ")
        );
        (!others.is_empty()).then(|| Finding::new(severity, id, message, fix))
    }
}

fn assumes(statement: &Statement) -> Sure {
    statement.actions.holds(&Pattern::literal(ACTION))
}

/// Everyone whom a statement names.
fn principals(statement: &Statement) -> Vec<String> {
    let named = match &statement.principal {
        Some(Value::Object(kinds)) => kinds.values().flat_map(|names| texts(Some(names))).collect(),
        all => texts(all.as_ref()),
    };
    if statement.not_principal { vec![format!("everyone but {}", named.join(", "))] } else { named }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::role::{Kind, Wish};

    fn role(kind: Kind, partition: &str) -> Role {
        let none = || None::<String>;
        Role::new(Wish {
            kind,
            name: none(),
            sources: Vec::new(),
            kms_keys: Vec::new(),
            create_cluster: false,
            tag_authorization: false,
            task_execution: false,
            custom: false,
            region: none(),
            here: none(),
            partition: Some(partition.into()),
            account: none(),
        })
        .unwrap()
    }

    /// The ids that are found, and that nothing is wrong once the first command's document stands.
    #[track_caller]
    fn check(role: &Role, statement: Value, want: &[&str]) {
        let trust = json!({"Version": "2008-10-17", "Statement": statement});
        let seen =
            Seen { arn: "arn:aws:iam::123456789012:role/r".into(), trust, ..Seen::default() };
        let found = findings(role, &seen);
        assert_eq!(
            found.iter().map(|finding| finding.id).collect::<Vec<_>>(),
            want,
            "{}",
            seen.trust
        );
        let trust =
            Trust { role, seen: &seen, statements: Policy::read(&seen.trust).statements }.mended();
        let errors = findings(role, &Seen { trust, ..seen })
            .into_iter()
            .filter(|finding| finding.severity == Severity::Error)
            .count();
        assert_eq!(errors, 0, "the mended document is right");
    }

    fn allow(principal: Value, action: Value) -> Value {
        json!({"Sid": "", "Effect": "Allow", "Principal": principal, "Action": action})
    }

    #[test]
    fn what_is_met_in_the_wild_is_right() {
        let ec2 = role(Kind::Ec2, "aws");
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
        check(&role(Kind::External, "aws"), conditioned, &[]);
        let chinese = allow(json!({"Service": "ec2.amazonaws.com.cn"}), json!("sts:AssumeRole"));
        check(&role(Kind::Batch, "aws-cn"), chinese.clone(), &[]);
        check(&ec2, chinese, &["trust-principal"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let ec2 = role(Kind::Ec2, "aws");
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

//! What IAM showed of a role: the input of the check.

use serde_json::Value;

use super::policy::Policy;

/// A role as it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) arn: String,
    pub(crate) trust: Value,
    pub(crate) policies: Vec<SeenPolicy>,
    pub(crate) boundary: Option<SeenPolicy>,
    /// The instance profiles that hold it; `None` where they could not be seen.
    pub(crate) profiles: Option<Vec<String>>,
    /// The roles in the instance profile that has the role's name, if there is such a profile.
    pub(crate) namesake: Option<Vec<String>>,
    /// What IAM's own simulator says of each need, in the order of the needs; empty where it could
    /// not be asked.
    pub(crate) simulated: Vec<Simulated>,
    /// Every policy was readable: what is not granted here is not granted at all.
    pub(crate) whole: bool,
}

/// A policy of the role.
#[derive(Clone, Debug)]
pub(crate) struct SeenPolicy {
    pub(crate) name: String,
    /// Of a managed policy; an inline one has none.
    pub(crate) arn: Option<String>,
    pub(crate) document: Value,
}

/// One answer of iam:SimulatePrincipalPolicy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Simulated {
    Allowed,
    Denied,
    /// No policy allows it, as far as the simulator was told about the request.
    Missing,
    /// The organisation's policies do not let it through.
    Organisation,
}

impl Seen {
    /// The account in the role's ARN.
    pub(crate) fn account(&self) -> Option<&str> {
        self.arn.split(':').nth(4).filter(|account| !account.is_empty())
    }

    pub(crate) fn read(&self) -> Vec<Policy> {
        self.policies.iter().map(|policy| Policy::read(&policy.document)).collect()
    }

    pub(crate) fn has(&self, arn: &str) -> bool {
        self.policies.iter().any(|policy| policy.arn.as_deref() == Some(arn))
    }

    pub(crate) fn inline(&self, name: &str) -> Option<&SeenPolicy> {
        self.policies.iter().find(|policy| policy.arn.is_none() && policy.name == name)
    }
}

impl SeenPolicy {
    /// For messages: `policy NAME, statement SID`.
    pub(crate) fn statement_name(&self, at: usize) -> String {
        let statements = super::policy::statements(&self.document);
        let sid = statements
            .get(at)
            .and_then(|statement| statement.get("Sid"))
            .and_then(Value::as_str)
            .filter(|sid| !sid.is_empty());
        let which = sid.map_or_else(|| (at + 1).to_string(), |sid| format!("`{sid}`"));
        format!("statement {which} of {self}")
    }
}

impl std::fmt::Display for SeenPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = if self.arn.is_some() { "managed" } else { "inline" };
        write!(f, "{kind} policy {}", self.name)
    }
}

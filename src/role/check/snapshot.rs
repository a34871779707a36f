//! A role as IAM shows it: the input of the check.

use std::fmt;

use serde_json::Value;

use super::policy::{Policy, statements};

/// A role as it is.
#[derive(Clone, Debug, Default)]
pub(super) struct RoleSnapshot {
    pub(super) arn: String,
    pub(super) trust: Value,
    pub(super) policies: Vec<RolePolicy>,
    pub(super) boundary: Option<RolePolicy>,
    /// The instance profiles that contain it; `None` where they could not be seen.
    pub(super) profiles: Option<Vec<String>>,
    /// The roles in the instance profile that has the role's name, if there is such a profile.
    pub(super) same_name_profile: Option<Vec<String>>,
    /// What IAM's own simulator answered for each required permission, in their order; empty where
    /// it could not be asked.
    pub(super) simulated: Vec<Simulated>,
    /// Every policy was readable: what is not granted here is not granted at all.
    pub(super) complete: bool,
}

/// A policy of the role.
#[derive(Clone, Debug)]
pub(super) struct RolePolicy {
    pub(super) name: String,
    /// Of a managed policy; an inline one does not have any.
    pub(super) arn: Option<String>,
    pub(super) document: Value,
}

/// One answer of iam:SimulatePrincipalPolicy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Simulated {
    Allowed,
    Denied,
    /// No policy allows it, as far as the simulator was told about the request.
    Missing,
    /// The organisation's policies do not let it through.
    Organisation,
}

impl RoleSnapshot {
    /// The account in the role's ARN.
    pub(super) fn account(&self) -> Option<&str> {
        self.arn.split(':').nth(4).filter(|account| !account.is_empty())
    }

    pub(super) fn parse_policies(&self) -> Vec<Policy> {
        self.policies.iter().map(|policy| Policy::parse(&policy.document)).collect()
    }

    pub(super) fn has_managed(&self, arn: &str) -> bool {
        self.policies.iter().any(|policy| policy.arn.as_deref() == Some(arn))
    }

    pub(super) fn inline(&self, name: &str) -> Option<&RolePolicy> {
        self.policies.iter().find(|policy| policy.arn.is_none() && policy.name == name)
    }
}

impl RolePolicy {
    /// For messages: `statement SID of KIND policy NAME`.
    pub(super) fn statement_name(&self, at: usize) -> String {
        let statement = statements(&self.document).get(at).copied();
        let sid = statement.and_then(|it| it.get("Sid")?.as_str()).filter(|sid| !sid.is_empty());
        let which = sid.map_or_else(|| (at + 1).to_string(), |sid| format!("`{sid}`"));
        format!("statement {which} of {self}")
    }
}

impl fmt::Display for RolePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.arn.is_some() { "managed" } else { "inline" };
        write!(f, "{kind} policy {}", self.name)
    }
}

//! A role as IAM shows it: the input of the check.

use serde_json::Value;

use super::policy::Policy;

/// A role as it is.
#[derive(Clone, Debug, Default)]
pub(super) struct RoleSnapshot {
    pub(super) arn: String,
    pub(super) trust: Value,
    pub(super) policies: Vec<Policy>,
    pub(super) boundary: Option<Policy>,
    /// Whether an instance profile contains it; `None` where that could not be seen.
    pub(super) in_profile: Option<bool>,
    /// The roles in the instance profile that has the role's name, if there is such a profile.
    pub(super) same_name_profile: Option<Vec<String>>,
    /// What IAM's own simulator answered for each required permission, in their order; empty where
    /// it could not be asked.
    pub(super) simulated: Vec<Simulated>,
    /// A policy was hidden: what is not granted here may be granted by it.
    pub(super) is_partial: bool,
    /// What these credentials may not see.
    pub(super) unseen: Vec<String>,
}

/// One answer of iam:SimulatePrincipalPolicy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Simulated {
    Allowed,
    /// A policy denies it, or the organisation's do not let it through.
    Refused,
    /// No policy allows it, as far as the simulator was told about the request.
    Missing,
}

impl RoleSnapshot {
    pub(super) fn has_managed(&self, arn: &str) -> bool {
        self.policies.iter().any(|policy| policy.arn.as_deref() == Some(arn))
    }
}

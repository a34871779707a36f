//! The two guards, routing rules and tables of nf_tables, either of which is enough: what is wanted
//! of them, what was done to each, and how each is. Pure.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// One of the two guards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GuardPart {
    /// Routing policy rules, which no firewall clears.
    Routing,
    /// Tables of nf_tables, which no routing rule bypasses.
    Nftables,
}

/// What is wanted of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct GuardOptions {
    /// Only packets that come in by this interface; a trailing `+` matches any ending. `None`,
    /// which is safer: all.
    pub(crate) interface: Option<String>,
    /// The guard that is unwanted on this host.
    pub(crate) without: Option<GuardPart>,
    /// Containers may use a proxy on this host that stands in for instance metadata.
    pub(crate) allow_local_proxy: bool,
}

/// Something of each of the two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Parts<T> {
    pub(crate) routing: T,
    pub(crate) nftables: T,
}

/// What had to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RulesChange {
    /// There were no rules.
    Installed,
    /// There were rules, but not those that are wanted.
    Repaired,
    Unchanged,
    /// There were rules, and none are wanted.
    Removed,
}

/// One guard after `install`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct PartInstalled {
    pub(crate) change: RulesChange,
    /// Why it is not in force.
    pub(crate) reason: Option<String>,
    /// What this kernel cannot do for it.
    pub(crate) limits: Vec<String>,
}

/// One guard as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct PartStatus {
    /// `effective`; `weakened`: it is there, but altered; `absent`; `left_out`: not wanted, or not
    /// possible.
    pub(crate) state: &'static str,
    /// Why it is left out.
    pub(crate) reason: Option<String>,
    /// The rules that are in force, in words.
    pub(crate) rules: Vec<String>,
    /// How many packets it has dropped, if it counts them.
    #[serde(skip)]
    pub(crate) packets: Option<u64>,
    /// Whether frames that a bridge passes on are dropped.
    #[serde(skip)]
    pub(crate) frames: bool,
}

impl GuardOptions {
    /// Why this guard is not wanted.
    pub(super) fn leaves_out(&self, part: GuardPart) -> Option<String> {
        match (part, &self.interface) {
            _ if self.without == Some(part) => Some(format!("--without {part}")),
            // Rules for the interfaces of today would let those of tomorrow through, unnoticed.
            (GuardPart::Routing, Some(name)) if name.ends_with('+') => Some(format!(
                "a routing rule takes a whole name, and {name} is the beginning of one"
            )),
            _ => None,
        }
    }
}

impl<T> Parts<T> {
    /// Each with its name for people.
    pub(crate) fn named(&self) -> [(&'static str, &T); 2] {
        [("routing rules", &self.routing), ("nf_tables", &self.nftables)]
    }

    fn any(&self, is_so: impl Fn(&T) -> bool) -> bool {
        is_so(&self.routing) || is_so(&self.nftables)
    }
}

impl PartInstalled {
    pub(super) fn in_force(change: RulesChange, limits: Vec<String>) -> PartInstalled {
        PartInstalled { change, reason: None, limits }
    }

    pub(super) fn left_out(reason: String) -> PartInstalled {
        PartInstalled { change: RulesChange::Unchanged, reason: Some(reason), limits: vec![] }
    }
}

impl Parts<PartInstalled> {
    pub(crate) fn changed(&self) -> bool {
        self.any(|part| part.change != RulesChange::Unchanged)
    }
}

impl PartStatus {
    pub(super) fn new(state: &'static str, rules: Vec<String>) -> PartStatus {
        PartStatus { state, reason: None, rules, packets: None, frames: false }
    }

    pub(super) fn left_out(reason: String) -> PartStatus {
        PartStatus { reason: Some(reason), ..PartStatus::new("left_out", vec![]) }
    }
}

impl Parts<PartStatus> {
    /// `effective`: whatever is wanted and possible is in force. `weakened`: something is, but
    /// altered or alone. `absent`.
    pub(crate) fn state(&self) -> &'static str {
        match () {
            () if !self.any(|part| ["effective", "weakened"].contains(&part.state)) => "absent",
            () if self.any(|part| ["weakened", "absent"].contains(&part.state)) => "weakened",
            () => "effective",
        }
    }

    /// Whether one of them is in force in full: that is enough.
    pub(crate) fn is_in_force(&self) -> bool {
        self.any(|part| part.state == "effective")
    }
}

/// As serde spells it, and clap.
impl fmt::Display for GuardPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginning_of_a_name_cannot_be_a_routing_rule() {
        let leaves_out = |name: Option<&str>, part| {
            let options =
                GuardOptions { interface: name.map(str::to_owned), ..GuardOptions::default() };
            options.leaves_out(part).is_some()
        };
        assert!(!leaves_out(None, GuardPart::Routing));
        assert!(!leaves_out(Some("docker0"), GuardPart::Routing));
        assert!(leaves_out(Some("docker+"), GuardPart::Routing));
        assert!(!leaves_out(Some("docker+"), GuardPart::Nftables));
    }
}

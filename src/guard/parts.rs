//! The two guards together: routing rules and tables of nf_tables. Either is enough, each is
//! compared, installed, repaired and removed on its own, and one is never taken away before the
//! other is in force.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::firewall::{self, FirewallStatus};
use super::routing::{self, RoutingRules};
use super::state::GuardState;
use super::{Error, GuardRequest, netlink};

/// One of the two guards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GuardPart {
    /// Routing policy rules, which no firewall clears.
    Routing,
    /// Tables of nf_tables, which no routing rule bypasses.
    Nftables,
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

/// Both guards after `install`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct PartsInstalled {
    pub(crate) routing: PartInstalled,
    pub(crate) nftables: PartInstalled,
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
}

/// Both guards as they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct PartsStatus {
    pub(crate) routing: PartStatus,
    pub(crate) nftables: PartStatus,
    /// Whether frames that a bridge passes on are dropped.
    #[serde(skip)]
    pub(crate) frames: bool,
}

impl PartInstalled {
    pub(super) fn in_force(change: RulesChange, limits: Vec<String>) -> PartInstalled {
        PartInstalled { change, reason: None, limits }
    }

    fn left_out(reason: impl Into<String>) -> PartInstalled {
        let reason = Some(reason.into());
        PartInstalled { change: RulesChange::Unchanged, reason, limits: vec![] }
    }
}

impl PartsInstalled {
    pub(crate) fn changed(&self) -> bool {
        [&self.routing, &self.nftables].iter().any(|part| part.change != RulesChange::Unchanged)
    }
}

impl PartStatus {
    pub(super) fn new(state: &'static str, rules: Vec<String>) -> PartStatus {
        PartStatus { state, reason: None, rules }
    }

    pub(super) fn left_out(reason: impl Into<String>) -> PartStatus {
        PartStatus { state: "left_out", reason: Some(reason.into()), rules: vec![] }
    }
}

impl PartsStatus {
    /// `effective`: whatever is wanted and possible is in force. `weakened`: something is, but
    /// altered or alone. `absent`.
    pub(crate) fn state(&self) -> &'static str {
        let states = [self.routing.state, self.nftables.state];
        match () {
            () if !states.contains(&"effective") && !states.contains(&"weakened") => "absent",
            () if states.iter().all(|state| ["effective", "left_out"].contains(state)) => {
                "effective"
            }
            () => "weakened",
        }
    }

    /// Whether one of them is in force in full: that is enough.
    pub(crate) fn is_in_force(&self) -> bool {
        [&self.routing, &self.nftables].iter().any(|part| part.state == "effective")
    }
}

/// Puts both into force as far as they are wanted and possible, and then removes what is not.
///
/// # Errors
/// Neither is possible, or one failed; the other was tried all the same.
pub(super) fn install(request: &GuardRequest) -> Result<PartsInstalled, Error> {
    let install = |part, install: &dyn Fn() -> Result<PartInstalled, Error>| {
        let left_out = not_wanted(part, request.without, request.interface.as_deref());
        let installed = left_out.map_or_else(install, |reason| Ok(PartInstalled::left_out(reason)));
        match installed {
            Err(Error::Kernel { source, .. }) if netlink::unsupported(&source) => {
                Ok(PartInstalled::left_out(not_possible(part)))
            }
            installed => installed,
        }
    };
    let routing = install(GuardPart::Routing, &|| install_routing(request));
    let nftables = install(GuardPart::Nftables, &|| firewall::install(request));
    let (mut routing, mut nftables) = (routing?, nftables?);
    if let (Some(first), Some(second)) = (&routing.reason, &nftables.reason) {
        return Err(Error::Impossible(format!("{first}, and {second}")));
    }
    if routing.reason.is_some() && routing::remove()? {
        routing.change = RulesChange::Removed;
    }
    if nftables.reason.is_some() {
        match firewall::remove() {
            // Not the guard's to remove.
            Err(owned @ Error::Owned { .. }) => nftables.limits.push(owned.to_string()),
            Err(error) => return Err(error),
            Ok(true) => nftables.change = RulesChange::Removed,
            Ok(false) => {}
        }
    }
    Ok(PartsInstalled { routing, nftables })
}

fn install_routing(request: &GuardRequest) -> Result<PartInstalled, Error> {
    let limits = match routing::families()?.len() {
        1 => vec!["IPv6 is off on this host".to_owned()],
        _ => vec![],
    };
    let change = routing::install(request.interface.as_deref())?;
    Ok(PartInstalled::in_force(change, limits))
}

/// Reads both, and how many packets nf_tables has dropped.
pub(super) fn status(saved: &GuardState) -> Result<(PartsStatus, Option<u64>), Error> {
    let not_wanted = |part| not_wanted(part, saved.without, saved.interface.as_deref());
    let mut routing = read_routing(saved)?;
    let FirewallStatus { part: mut nftables, packets, frames } = firewall::status(saved)?;
    // What is there against the wish is reported as it is.
    for (part, status) in [(GuardPart::Routing, &mut routing), (GuardPart::Nftables, &mut nftables)]
    {
        if let Some(reason) = not_wanted(part).filter(|_| status.state == "absent") {
            *status = PartStatus::left_out(reason);
        }
    }
    Ok((PartsStatus { routing, nftables, frames }, packets))
}

fn read_routing(saved: &GuardState) -> Result<PartStatus, Error> {
    let interface = saved.interface.as_deref();
    let state = match routing::read(interface) {
        Err(Error::Kernel { source, .. }) if netlink::unsupported(&source) => {
            return Ok(PartStatus::left_out(not_possible(GuardPart::Routing)));
        }
        Err(error) => return Err(error),
        Ok(RoutingRules::Effective) => "effective",
        Ok(RoutingRules::Altered) => "weakened",
        Ok(RoutingRules::Absent) => "absent",
    };
    let from = interface.map_or("what is forwarded".into(), |name| format!("what {name} brings"));
    let families = routing::families()?.into_iter().filter(|_| state == "effective");
    let rule =
        |family: super::addresses::IpFamily| format!("refuse {from} to {}", family.metadata());
    Ok(PartStatus::new(state, families.map(rule).collect()))
}

/// What the kernel lacks, as the reason of the guard that is missing.
pub(super) fn not_possible(part: GuardPart) -> &'static str {
    match part {
        GuardPart::Routing => "this kernel has no routing policy rules",
        GuardPart::Nftables => "this kernel has no nf_tables",
    }
}

fn not_wanted(
    part: GuardPart,
    without: Option<GuardPart>,
    interface: Option<&str>,
) -> Option<String> {
    match part {
        _ if without == Some(part) => Some(format!("--without {part}")),
        GuardPart::Routing if !routing::can_express(interface) => Some(format!(
            "a routing rule takes a whole name, and {} is the beginning of one",
            interface.unwrap_or_default()
        )),
        _ => None,
    }
}

impl fmt::Display for GuardPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            GuardPart::Routing => "routing",
            GuardPart::Nftables => "nftables",
        })
    }
}

//! The guard: keeps containers from instance metadata (IMDS), and proves with packets that it does.
//!
//! Takes a [`GuardRequest`] and the folder that is the host's root; returns what was done, or why
//! not. Four verbs: [`install`], [`prove`], [`status`], [`remove`]. Plain blocking functions; the
//! kernel answers in milliseconds, iptables may take a second.
//!
//! Writes the nf_tables table `inet ecs-bootstrap` (or two rules in iptables' mangle table on
//! kernels without it), one rule in iptables' FORWARD chain,
//! `/etc/systemd/system/ecstasks.slice.d/50-ecs-bootstrap-imds.conf` if asked,
//! `/run/ecs-bootstrap/guard.json`. Never flushes, saves or reorders rules that are not its own.
//!
//! `firewall` installs the guard's own rules, with `nft` (netlink) or `iptables`; `documented_rule`
//! the one that AWS documents; `host_tasks` blocks tasks in host network mode; `probe` sends
//! packets and `proof` reports what they showed.

mod addresses;
mod documented_rule;
mod error;
mod firewall;
mod host_tasks;
mod iptables;
mod links;
mod netlink;
mod nft;
mod probe;
mod proof;
mod saved_rules;
mod state;
mod status;
pub(crate) mod step;

use std::path::Path;
use std::time::Duration;

pub(crate) use documented_rule::DocumentedRule;
pub(crate) use error::Error;
pub(crate) use firewall::{FirewallMethod, FirewallRules, RulesChange};
pub(crate) use proof::{Proof, prove};
pub(crate) use saved_rules::{SavedRulesProblem, saved_rules};
use serde::Serialize;
use state::GuardState;
use status::warnings;
pub(crate) use status::{GuardStatus, LastProof, awsvpc_tasks, status};

use crate::files::HostFiles;
use crate::paths::GUARD_UNIT;

/// How long to wait for another process of this program, each of which needs the guard's lock for
/// milliseconds.
const LOCK_TIMEOUT: Duration = Duration::from_secs(15);

/// What is to be blocked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GuardRequest {
    /// Containers on every bridge.
    pub(crate) bridges: bool,
    /// Tasks in host network mode.
    pub(crate) host_tasks: bool,
    /// Only packets that come in by this interface; a trailing `+` matches any ending. `None`,
    /// which is safer: all.
    pub(crate) interface: Option<String>,
}

/// What [`install`] did.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct GuardInstalled {
    /// False if everything already was as wanted.
    pub(crate) changed: bool,
    #[serde(rename = "fence")]
    pub(crate) rules: Option<FirewallRules>,
    pub(crate) documented_rule: Option<DocumentedRule>,
    /// Whether the drop-in for host tasks was written now; `None`: not requested.
    pub(crate) host_tasks: Option<bool>,
    pub(crate) notes: Vec<String>,
}

/// Installs what is requested; changes only what differs.
///
/// # Errors
/// The rules are not in force, or host tasks cannot be blocked. What was installed before the error
/// stays: a half-installed guard blocks more than none. The documented rule only gets a reason.
pub(crate) fn install(request: &GuardRequest, root: &Path) -> Result<GuardInstalled, Error> {
    if let Some(reason) = host_tasks::unsupported(root).filter(|_| request.host_tasks) {
        return Err(Error::HostTasks(reason));
    }
    let interface = request.interface.as_deref();
    let rules = request.bridges.then(|| install_rules(root, interface)).transpose()?;
    let documented_rule = request.bridges.then(|| documented_rule::install(root, interface));
    let host_tasks = request.host_tasks.then(|| host_tasks::install(root)).transpose()?;
    let changed = rules.is_some_and(|rules| rules.change != RulesChange::Unchanged)
        || documented_rule.as_ref().is_some_and(|rule| rule.changed)
        || host_tasks == Some(true);
    let mut notes = warnings(root, &HostFiles::read(root).effective(), request.host_tasks);
    notes.extend(interface.map(|name| {
        format!(
            "the guard is restricted to packets from {name}: containers on any other network reach instance metadata"
        )
    }));
    Ok(GuardInstalled { changed, rules, documented_rule, host_tasks, notes })
}

/// Installs the rules, and then removes those that an earlier call installed for another interface.
fn install_rules(root: &Path, interface: Option<&str>) -> Result<FirewallRules, Error> {
    let rules = firewall::install(root, interface)?;
    let new_in_mangle =
        rules.method == FirewallMethod::Mangle && rules.change == RulesChange::Installed;
    let before = state::read(root);
    if before.interface.as_deref() == interface && (before.mangle_is_ours || !new_in_mangle) {
        return Ok(rules);
    }
    let _lock = state::lock(root, LOCK_TIMEOUT)?;
    let mut state = state::read(root);
    if state.interface.as_deref() != interface {
        documented_rule::remove(&state)?;
        if state.mangle_is_ours {
            firewall::remove_mangle(state.interface.as_deref())?;
        }
        let interface = interface.map(str::to_owned);
        state = GuardState { interface, last_proof: state.last_proof, ..GuardState::default() };
    }
    state.mangle_is_ours |= new_in_mangle;
    state::write(root, &state).map(|()| rules)
}

/// What [`remove`] did.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct GuardRemoved {
    pub(crate) changed: bool,
    pub(crate) notes: Vec<String>,
}

/// Removes everything that [`install`] may have installed. It is not an error if there is nothing.
pub(crate) fn remove(root: &Path) -> Result<GuardRemoved, Error> {
    let nft = firewall::remove_nft()?;
    let _lock = state::lock(root, LOCK_TIMEOUT)?;
    let state = state::read(root);
    let mangle = state.mangle_is_ours && firewall::remove_mangle(state.interface.as_deref())?;
    let documented_rule = documented_rule::remove(&state)?;
    let host_tasks = host_tasks::remove(root)?;
    state::clear(root);
    let changed = nft || mangle || documented_rule || host_tasks;
    Ok(GuardRemoved { changed, notes: enabled_units(root) })
}

/// A note if units are enabled that would install the guard again.
fn enabled_units(root: &Path) -> Vec<String> {
    const TIMER: &str = "ecs-bootstrap-guard-verify.timer";
    let wants = ["multi-user.target.wants", "docker.service.requires", "timers.target.wants"];
    let enabled = wants.iter().any(|folder| {
        let folder = root.join("etc/systemd/system").join(folder);
        [GUARD_UNIT, TIMER].iter().any(|unit| folder.join(unit).is_symlink())
    });
    let note = format!(
        "the guard's units are enabled and install it again: systemctl disable --now {TIMER} {GUARD_UNIT}"
    );
    enabled.then_some(note).into_iter().collect()
}

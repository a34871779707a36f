//! The guard: keeps containers from instance metadata (IMDS), and proves with packets that it does.
//!
//! Takes a [`GuardRequest`] and the folder that is the host's root; returns what was done, or why
//! not. Four verbs: [`install`], [`prove`], [`status`], [`remove`]. Plain blocking functions; the
//! kernel answers in milliseconds, iptables may take a second.
//!
//! Two guards, either of which is enough: `routing` (policy rules) and `firewall` (nf_tables), which
//! `parts` installs, removes and reads together. Writes also one rule in iptables' FORWARD chain,
//! `/etc/systemd/system/ecstasks.slice.d/50-ecs-bootstrap-imds.conf` if asked,
//! `/run/ecs-bootstrap/guard.json`. Never flushes, saves or reorders rules that are not its own.
//!
//! `documented_rule` is the one that AWS documents; `host_tasks` blocks tasks in host network mode;
//! `probe` sends packets and `proof` reports what they showed. `nft`, `iptables` and `netlink` speak
//! to the kernel.

mod addresses;
mod documented_rule;
mod error;
mod firewall;
mod host_tasks;
mod iptables;
mod links;
mod netlink;
mod networks;
mod nft;
mod parts;
mod probe;
mod proof;
mod routing;
mod saved_rules;
mod state;
mod status;
pub(crate) mod testing;

use std::path::Path;
use std::time::Duration;

use addresses::IpFamily;
pub(crate) use documented_rule::DocumentedRule;
pub(crate) use error::Error;
use iptables::ForwardChain;
pub(crate) use parts::{GuardOptions, GuardPart, PartInstalled, PartStatus, Parts, RulesChange};
pub(crate) use proof::{Proof, prove};
pub(crate) use saved_rules::{SavedRulesProblem, saved_rules};
use serde::Serialize;
use state::GuardState;
use status::warnings;
pub(crate) use status::{GuardStatus, LastProof, awsvpc_tasks, status};

use crate::files::HostFiles;
use crate::paths::GUARD_UNIT;
use crate::settings::Settings;

/// How long to wait for another process of this program, each of which needs the guard's lock for
/// milliseconds.
const LOCK_TIMEOUT: Duration = Duration::from_secs(15);

/// What is to be blocked.
#[derive(PartialEq)]
pub(crate) struct GuardRequest {
    /// Containers on every bridge.
    pub(crate) bridges: bool,
    /// Tasks in host network mode.
    pub(crate) host_tasks: bool,
    /// Of the rules for bridges.
    pub(crate) options: GuardOptions,
}

impl GuardRequest {
    /// What the settings ask for; `None` if nothing.
    pub(crate) fn of(settings: &Settings) -> Option<GuardRequest> {
        let wanted = GuardRequest {
            bridges: settings.block_imds,
            host_tasks: settings.block_imds_host_tasks,
            options: GuardOptions {
                allow_local_proxy: settings.allow_local_proxy,
                ..GuardOptions::default()
            },
        };
        (wanted.bridges || wanted.host_tasks).then_some(wanted)
    }
}

/// What [`install`] did.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct GuardInstalled {
    /// False if everything already was as wanted.
    pub(crate) changed: bool,
    #[serde(rename = "guards")]
    pub(crate) parts: Option<Parts<PartInstalled>>,
    pub(crate) documented_rule: Option<DocumentedRule>,
    /// Whether the drop-in for host tasks was written now; `None`: not requested.
    pub(crate) host_tasks: Option<bool>,
    pub(crate) notes: Vec<String>,
}

/// Installs what is requested; changes only what differs.
///
/// # Errors
/// One of the guards is not in force, or host tasks cannot be blocked. What was installed before
/// the error stays: a half-installed guard blocks more than none. The documented rule only gets a
/// reason.
pub(crate) fn install(request: &GuardRequest, root: &Path) -> Result<GuardInstalled, Error> {
    if let Some(reason) = host_tasks::unsupported(root).filter(|_| request.host_tasks) {
        return Err(Error::HostTasks(reason));
    }
    let mut notes = warnings(root, &HostFiles::read(root).effective(), request.host_tasks);
    let rules =
        request.bridges.then(|| install_rules(root, &request.options, &mut notes)).transpose()?;
    let (parts, documented_rule) = rules.unzip();
    let host_tasks = request.host_tasks.then(|| host_tasks::install(root)).transpose()?;
    let changed = parts.as_ref().is_some_and(Parts::changed)
        || documented_rule.as_ref().is_some_and(|rule| rule.changed)
        || host_tasks == Some(true);
    notes.extend(request.options.interface.as_ref().map(|name| {
        format!(
            "the guard is restricted to packets from {name}: containers on any other network reach instance metadata"
        )
    }));
    Ok(GuardInstalled { changed, parts, documented_rule, host_tasks, notes })
}

/// Installs the rules, and then removes those that an earlier call installed for another interface
/// or an earlier version into another table.
fn install_rules(
    root: &Path,
    options: &GuardOptions,
    notes: &mut Vec<String>,
) -> Result<(Parts<PartInstalled>, DocumentedRule), Error> {
    let _lock = state::lock(root, LOCK_TIMEOUT)?;
    let before = state::read(root);
    let parts = install_parts(options)?;
    let mut state = GuardState { options: options.clone(), ..before.clone() };
    if before.options.interface != options.interface {
        documented_rule::remove(&before, notes)?;
        state.documented_is_ours = false;
    }
    remove_mangle(&before)?;
    state.mangle_is_ours = false;
    let documented_rule = documented_rule::install(&mut state);
    if state != before {
        state::write(root, &state)?;
    }
    Ok((parts, documented_rule))
}

/// Puts both into force as far as they are wanted and possible, and then removes what is not: one is
/// never taken away before the other is in force.
///
/// # Errors
/// Neither is possible, or one failed; the other was tried all the same.
fn install_parts(options: &GuardOptions) -> Result<Parts<PartInstalled>, Error> {
    let unless_left_out = |part, install: fn(&GuardOptions) -> Result<PartInstalled, Error>| {
        let not_wanted = options.leaves_out(part).map(PartInstalled::left_out);
        match not_wanted.map_or_else(|| install(options), Ok) {
            Err(error @ Error::Unsupported(_)) => Ok(PartInstalled::left_out(error.to_string())),
            installed => installed,
        }
    };
    let routing = unless_left_out(GuardPart::Routing, routing::install);
    let nftables = unless_left_out(GuardPart::Nftables, firewall::install);
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
    Ok(Parts { routing, nftables })
}

/// What [`remove`] did.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct GuardRemoved {
    pub(crate) changed: bool,
    pub(crate) notes: Vec<String>,
}

/// Removes everything that [`install`] may have installed. It is not an error if there is nothing.
///
/// # Errors
/// The first one; everything else was removed all the same.
pub(crate) fn remove(root: &Path) -> Result<GuardRemoved, Error> {
    let _lock = state::lock(root, LOCK_TIMEOUT)?;
    let state = state::read(root);
    let mut notes = enabled_units(root);
    let removed = [
        routing::remove(),
        firewall::remove(),
        documented_rule::remove(&state, &mut notes),
        remove_mangle(&state),
        host_tasks::remove(root),
    ];
    let removed = removed.into_iter().collect::<Result<Vec<bool>, Error>>()?;
    state::clear(root);
    Ok(GuardRemoved { changed: removed.contains(&true), notes })
}

/// The rules of an earlier version on a kernel without nf_tables. Returns whether there were any.
fn remove_mangle(state: &GuardState) -> Result<bool, Error> {
    let (interface, mut any) = (state.options.interface.as_deref(), false);
    // ip6tables fails on a kernel booted with ipv6.disable=1.
    let exists =
        |family: &IpFamily| *family == IpFamily::V4 || Path::new("/proc/net/if_inet6").exists();
    let is_inserted = |family: &IpFamily| state.mangle_is_ours && exists(family);
    for family in IpFamily::ALL.into_iter().filter(is_inserted) {
        let chain = ForwardChain { family, table: "mangle", lock_seconds: 10 };
        any |= chain.delete(&iptables::dropping(family, interface), 0)? > 0;
    }
    Ok(any)
}

/// A note if units are enabled that would install the guard again.
fn enabled_units(root: &Path) -> Vec<String> {
    const TIMER: &str = "ecs-bootstrap-guard-verify.timer";
    let wants = ["multi-user.target.wants", "docker.service.wants", "timers.target.wants"];
    let enabled = wants.iter().any(|folder| {
        let folder = root.join("etc/systemd/system").join(folder);
        [GUARD_UNIT, TIMER].iter().any(|unit| folder.join(unit).is_symlink())
    });
    let note = format!(
        "the guard's units are enabled and install it again: systemctl disable --now {TIMER} {GUARD_UNIT}"
    );
    enabled.then_some(note).into_iter().collect()
}

//! The guard's own rules in the firewall: a table of nf_tables, or rules in iptables' mangle table
//! where the kernel has no nf_tables. Compares with what is loaded, changes only the difference,
//! and in one step.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use nix::libc;
use serde::Serialize;

use super::addresses::IpFamily;
use super::iptables::{ForwardChain, Insertion, IptablesError, IptablesRule};
use super::{Error, LOCK_TIMEOUT, netlink, nft, state};

/// What holds the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FirewallMethod {
    /// An own table of nf_tables, which no other program reorders.
    NfTables,
    /// iptables' mangle table: survives Docker, but not `firewall-cmd --reload` or
    /// `iptables -t mangle -F`.
    Mangle,
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
}

/// The rules that are in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct FirewallRules {
    pub(crate) method: FirewallMethod,
    pub(crate) change: RulesChange,
    /// Whether source-routed packets are dropped too; some kernels cannot recognise them.
    pub(crate) source_routes: bool,
}

/// Puts the rules into force, and only those.
///
/// # Errors
/// Nothing has changed then, but for [`Error::Unlike`].
pub(crate) fn install(root: &Path, interface: Option<&str>) -> Result<FirewallRules, Error> {
    match install_nft(interface) {
        Err(Error::Netfilter { source, .. }) if netlink::unsupported(&source) => {
            install_mangle(root, interface)
        }
        result => result,
    }
}

fn install_nft(interface: Option<&str>) -> Result<FirewallRules, Error> {
    let before = read_nft()?.map(|loaded| loaded.table);
    let load = |source_routes| {
        let change = load_nft(before.as_ref(), &nft::wanted(interface, source_routes))?;
        Ok(FirewallRules { method: FirewallMethod::NfTables, change, source_routes })
    };
    match load(true) {
        // A kernel without the `fib` expression.
        Err(Error::Netfilter { source, .. }) if netlink::unsupported(&source) => load(false),
        result => result,
    }
}

/// Replaces the table if it differs, and asks the kernel what it has understood.
fn load_nft(before: Option<&nft::NftTable>, wanted: &nft::NftTable) -> Result<RulesChange, Error> {
    if before == Some(wanted) {
        return Ok(RulesChange::Unchanged);
    }
    nft::replace(wanted).map_err(|error| netfilter_error("loading", error))?;
    match read_nft()? {
        Some(loaded) if loaded.table == *wanted && before.is_some() => Ok(RulesChange::Repaired),
        Some(loaded) if loaded.table == *wanted => Ok(RulesChange::Installed),
        _ => Err(Error::Unlike),
    }
}

fn read_nft() -> Result<Option<nft::LoadedTable>, Error> {
    nft::read().map_err(|error| netfilter_error("reading", error))
}

/// Removes the table. Returns whether there was one; a kernel without nf_tables has none.
pub(crate) fn remove_nft() -> Result<bool, Error> {
    match nft::read() {
        Ok(None) => Ok(false),
        Err(error) if netlink::unsupported(&error) => Ok(false),
        // A table that is not as expected is removed as well.
        Ok(Some(_)) => {
            nft::delete().map(|()| true).map_err(|error| netfilter_error("deleting", error))
        }
        Err(error) => Err(netfilter_error("reading", error)),
    }
}

pub(crate) fn netfilter_error(doing: &'static str, source: io::Error) -> Error {
    match source.raw_os_error() {
        Some(libc::EPERM) => Error::Capability,
        _ => Error::Netfilter { doing, source },
    }
}

/// Both families or neither.
fn install_mangle(root: &Path, interface: Option<&str>) -> Result<FirewallRules, Error> {
    let _lock = state::lock(root, LOCK_TIMEOUT)?;
    let mut change = RulesChange::Unchanged;
    let mut inserted = Vec::new();
    for (chain, rule) in mangle_rules(interface) {
        match chain.insert_first(&rule) {
            Ok(Insertion::AlreadyFirst) => {}
            Ok(Insertion::Moved) => change = RulesChange::Repaired,
            Ok(Insertion::Inserted) => {
                change = RulesChange::Installed;
                inserted.push((chain, rule));
            }
            Err(error) => {
                inserted.iter().for_each(|(chain, rule)| _ = chain.delete(rule));
                return Err(mangle_error(error));
            }
        }
    }
    Ok(FirewallRules { method: FirewallMethod::Mangle, change, source_routes: false })
}

/// Removes the mangle rules. Returns whether there were any.
pub(crate) fn remove_mangle(interface: Option<&str>) -> Result<bool, Error> {
    let mut any = false;
    for (chain, rule) in mangle_rules(interface) {
        any |= chain.delete(&rule).map_err(mangle_error)?;
    }
    Ok(any)
}

/// Whether each of the mangle rules is the first of its chain. Reads with iptables, which on some
/// hosts loads its modules.
pub(crate) fn mangle_is_effective(interface: Option<&str>) -> Result<bool, Error> {
    for (chain, rule) in mangle_rules(interface) {
        if !rule.positions(&chain.list().map_err(mangle_error)?).contains(&1) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn mangle_rules(interface: Option<&str>) -> Vec<(ForwardChain, IptablesRule)> {
    // A kernel booted with ipv6.disable=1 has nothing to block there, and ip6tables fails on it.
    let exists =
        |family: &IpFamily| *family == IpFamily::V4 || Path::new("/proc/net/if_inet6").exists();
    let rule = |family| {
        let lock_timeout = Duration::from_secs(10);
        let chain = ForwardChain { family, table: "mangle", lock_timeout };
        (chain, IptablesRule::mangle(family, interface))
    };
    IpFamily::ALL.into_iter().filter(exists).map(rule).collect()
}

fn mangle_error(error: IptablesError) -> Error {
    match error.kind {
        ErrorKind::PermissionDenied => Error::Capability,
        ErrorKind::TimedOut => Error::Iptables(error),
        _ => Error::Fallback(error),
    }
}

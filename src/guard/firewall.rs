//! Raises the fence between containers and instance metadata: a table of its own in nf_tables, or
//! iptables' mangle table where the kernel has no nf_tables. Decides by what is there, changes only
//! the difference, and in one step.

use std::io;

use nix::libc;
use serde::Serialize;

use super::iptables::{self, Failure, Forward};
use super::rules::{Family, Rule};
use super::{Error, Host, QUEUE, netlink, nft, state};

/// Where the fence stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Method {
    /// An own table of nf_tables, which no other program reorders.
    NfTables,
    /// iptables' mangle table: holds against Docker, not against `firewall-cmd --reload` or
    /// `iptables -t mangle -F`.
    Mangle,
}

/// What had to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change {
    /// There was none.
    Installed,
    /// There was one, and it was not as we want it.
    Repaired,
    Unchanged,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Fence {
    pub(crate) method: Method,
    pub(crate) change: Change,
    /// Whether source-routed packets are dropped too; some kernels cannot tell them.
    pub(crate) source_routes: bool,
}

/// Makes the fence stand as wanted.
///
/// # Errors
/// Nothing has changed then, but for [`Error::Unlike`].
pub(crate) fn raise(host: &Host, interface: Option<&str>) -> Result<Fence, Error> {
    match raise_nft(interface) {
        Err(Error::Netfilter { source, .. }) if netlink::unsupported(&source) => {
            raise_mangle(host, interface)
        }
        done => done,
    }
}

fn raise_nft(interface: Option<&str>) -> Result<Fence, Error> {
    let before = nft::read().map_err(|error| refused("reading", error))?;
    // The narrower table counts as equal only where the fuller one was refused: see the end.
    let full = nft::wanted(interface, true);
    if before.as_ref().is_some_and(|before| before.table == full) {
        return Ok(Fence {
            method: Method::NfTables,
            change: Change::Unchanged,
            source_routes: true,
        });
    }
    let change = if before.is_some() { Change::Repaired } else { Change::Installed };
    match nft::replace(&full) {
        Ok(()) => {
            confirm(&full).map(|()| Fence { method: Method::NfTables, change, source_routes: true })
        }
        Err(error) if netlink::unsupported(&error) => {
            raise_nft_without_fib(before, interface, change)
        }
        Err(error) => Err(refused("loading", error)),
    }
}

/// The fence for kernels without the `fib` expression.
fn raise_nft_without_fib(
    before: Option<nft::Present>,
    interface: Option<&str>,
    change: Change,
) -> Result<Fence, Error> {
    let plain = nft::wanted(interface, false);
    let fence = |change| Fence { method: Method::NfTables, change, source_routes: false };
    if before.is_some_and(|before| before.table == plain) {
        return Ok(fence(Change::Unchanged));
    }
    nft::replace(&plain).map_err(|error| refused("loading", error))?;
    confirm(&plain).map(|()| fence(change))
}

/// The kernel is asked what it has understood.
fn confirm(wanted: &nft::Table) -> Result<(), Error> {
    let there = nft::read().map_err(|error| refused("reading", error))?;
    if there.is_some_and(|there| there.table == *wanted) { Ok(()) } else { Err(Error::Unlike) }
}

/// Takes the table away. Says whether there was one; a kernel without nf_tables has none.
pub(crate) fn lower_nft() -> Result<bool, Error> {
    match nft::read() {
        Ok(None) => Ok(false),
        Err(error) if netlink::unsupported(&error) => Ok(false),
        // Something of that name is there, if not readable: take it away as well.
        Ok(Some(_)) => nft::delete().map(|()| true).map_err(|error| refused("deleting", error)),
        Err(error) => Err(refused("reading", error)),
    }
}

pub(crate) fn refused(doing: &'static str, source: io::Error) -> Error {
    match source.raw_os_error() {
        Some(libc::EPERM) => Error::Capability,
        _ => Error::Netfilter { doing, source },
    }
}

/// Both families or neither.
fn raise_mangle(host: &Host, interface: Option<&str>) -> Result<Fence, Error> {
    let _lock = state::lock(host, QUEUE)?;
    let mut change = Change::Unchanged;
    let mut raised = Vec::new();
    for (forward, rule) in mangle(host, interface) {
        match forward.put_first(&rule) {
            Ok(iptables::Change::None) => {}
            Ok(iptables::Change::Raised) => change = Change::Repaired,
            Ok(iptables::Change::Inserted) => {
                change = Change::Installed;
                raised.push((forward, rule));
            }
            Err(failure) => {
                raised.iter().for_each(|(forward, rule)| _ = forward.delete(rule));
                return Err(fallback(failure));
            }
        }
    }
    Ok(Fence { method: Method::Mangle, change, source_routes: false })
}

/// Takes the mangle rules away. Says whether there were any.
pub(crate) fn lower_mangle(host: &Host, interface: Option<&str>) -> Result<bool, Error> {
    let mut any = false;
    for (forward, rule) in mangle(host, interface) {
        any |= forward.delete(&rule).map_err(fallback)?;
    }
    Ok(any)
}

/// Whether the mangle rules stand, each first in its chain. Reads with iptables, which on some
/// hosts loads its modules.
pub(crate) fn mangle_stands(host: &Host, interface: Option<&str>) -> Result<bool, Error> {
    let mut first = mangle(host, interface)
        .into_iter()
        .map(|(forward, rule)| Ok(rule.places(&forward.list()?).contains(&1)));
    first.try_fold(true, |all, one: Result<bool, Failure>| Ok(all && one?)).map_err(fallback)
}

fn mangle<'a>(host: &'a Host, interface: Option<&str>) -> Vec<(Forward<'a>, Rule)> {
    let programs = [(Family::V4, host.iptables.as_str()), (Family::V6, host.ip6tables.as_str())];
    // A kernel booted with ipv6.disable=1 has nothing to fence there, and ip6tables fails on it.
    let exists =
        |family| family == Family::V4 || std::path::Path::new("/proc/net/if_inet6").exists();
    let wanted = programs.into_iter().filter(|(family, _)| exists(*family));
    wanted
        .map(|(family, program)| {
            (Forward { program, table: "mangle", patience: 10 }, Rule::mangle(family, interface))
        })
        .collect()
}

fn fallback(failure: Failure) -> Error {
    let Failure { command, said, .. } = failure;
    match &said {
        said if said.contains("Permission denied") || said.contains("not permitted") => {
            Error::Capability
        }
        said if said.contains("lock") => Error::Iptables { command, said: said.clone() },
        _ => Error::Fallback { command, said },
    }
}

//! The guard in the firewall: tables of nf_tables that no other program reorders. Compares with what
//! is loaded and with what this kernel takes, changes only the difference, and each table in one
//! step.

use std::io;

use nix::libc;

use super::error::Error;
use super::netlink;
use super::nft::{self, Condition, LoadedTable, NftRule, NftTable, Optional, TableFamily};
use super::parts::{GuardOptions, GuardPart, PartInstalled, PartStatus, RulesChange};

/// The optional parts that are wanted.
fn optional(options: &GuardOptions) -> Vec<Optional> {
    let is_wanted = |part: &Optional| !options.allow_local_proxy || *part != Optional::Redirected;
    Optional::ALL.into_iter().filter(is_wanted).collect()
}

fn tables(options: &GuardOptions, with: &[Optional]) -> Vec<NftTable> {
    nft::wanted(options.interface.as_deref(), with)
}

/// Those of the optional parts that this kernel takes; it validates each without a change. It is
/// asked only if not all of them are loaded: its answer takes some milliseconds.
///
/// # Errors
/// It does not even take the rest.
fn possible(options: &GuardOptions, loaded: &[LoadedTable]) -> Result<Vec<Optional>, Error> {
    let check = |with: &[Optional]| tables(options, with).iter().try_for_each(nft::check);
    let wanted = optional(options);
    if is_loaded(loaded, &tables(options, &wanted)) || check(&wanted).is_ok() {
        return Ok(wanted);
    }
    check(&[]).map_err(refused("checking", loaded))?;
    let mut possible = Vec::new();
    for part in wanted {
        possible.push(part);
        if check(&possible).is_err() {
            possible.pop();
        }
    }
    Ok(possible)
}

/// Puts the rules into force, and only those.
///
/// # Errors
/// Nothing has changed then, but for [`Error::Unlike`].
pub(super) fn install(options: &GuardOptions) -> Result<PartInstalled, Error> {
    let before = read()?;
    let possible = possible(options, &before)?;
    let lacking = optional(options).into_iter().filter(|part| !possible.contains(part));
    let limits = lacking.map(|part| part.limit().to_owned()).collect();
    let wanted = tables(options, &possible);
    if is_loaded(&before, &wanted) {
        return Ok(PartInstalled::in_force(RulesChange::Unchanged, limits));
    }
    for table in wanted.iter().filter(|table| before.iter().all(|old| old.table != **table)) {
        nft::replace(table).map_err(refused("loading", &before))?;
    }
    // One that earlier options needed.
    let unwanted = |old: &&LoadedTable| wanted.iter().all(|table| table.family != old.table.family);
    for old in before.iter().filter(unwanted) {
        nft::delete(old.table.family).map_err(refused("deleting", &before))?;
    }
    if !is_loaded(&read()?, &wanted) {
        return Err(Error::Unlike(GuardPart::Nftables));
    }
    let change = if before.is_empty() { RulesChange::Installed } else { RulesChange::Repaired };
    Ok(PartInstalled::in_force(change, limits))
}

fn is_loaded(loaded: &[LoadedTable], wanted: &[NftTable]) -> bool {
    loaded.iter().map(|loaded| &loaded.table).eq(wanted)
}

/// The guard's tables that are there.
fn read() -> Result<Vec<LoadedTable>, Error> {
    let mut tables = Vec::new();
    for family in TableFamily::ALL {
        match nft::read(family) {
            // A kernel that has nf_tables, but not for bridges.
            Err(error) if family == TableFamily::Bridge && netlink::unsupported(&error) => {}
            table => tables.extend(table.map_err(refused("reading", &[]))?),
        }
    }
    Ok(tables)
}

/// The kernel refuses for want of a capability, or because the table belongs to another process.
fn refused(doing: &'static str, loaded: &[LoadedTable]) -> impl Fn(io::Error) -> Error {
    let owner = loaded.iter().find_map(|loaded| loaded.table.owner);
    move |source| match owner.filter(|_| source.raw_os_error() == Some(libc::EPERM)) {
        Some(port) => Error::Owned { doing, port },
        None => Error::kernel(GuardPart::Nftables, doing, source),
    }
}

/// Removes the tables. Returns whether there were any; a kernel without nf_tables has none.
pub(super) fn remove() -> Result<bool, Error> {
    let tables = match read() {
        Err(Error::Unsupported(_)) => return Ok(false),
        tables => tables?,
    };
    // Tables that are not as expected are removed as well.
    for loaded in &tables {
        nft::delete(loaded.table.family).map_err(refused("deleting", &tables))?;
    }
    Ok(!tables.is_empty())
}

/// Reads the guard as it is.
pub(super) fn status(options: &GuardOptions) -> Result<PartStatus, Error> {
    let loaded = read()?;
    if loaded.is_empty() {
        return Ok(PartStatus::new("absent", vec![]));
    }
    let as_wanted = |with: Vec<Optional>| is_loaded(&loaded, &tables(options, &with));
    let effective = possible(options, &loaded).is_ok_and(as_wanted);
    let state = if effective { "effective" } else { "weakened" };
    let rules = rules_in_force(options, &loaded);
    let frames = rules.iter().any(|rule| rule.family == TableFamily::Bridge);
    let packets = Some(loaded.iter().map(|loaded| loaded.packets).sum());
    let words = rules.into_iter().map(|rule| rule.words).collect();
    Ok(PartStatus { packets, frames, ..PartStatus::new(state, words) })
}

/// Those of the wanted conditions that are loaded, with what drops behind them, and whose chains are
/// in order.
fn rules_in_force(options: &GuardOptions, loaded: &[LoadedTable]) -> Vec<Condition> {
    let optional = optional(options);
    let full = tables(options, &optional);
    let is_loaded = |family: TableFamily, rule: &NftRule| {
        let of = |table: &&NftTable| table.family == family;
        let chain =
            |table: &NftTable| table.chains.iter().find(|chain| chain.name == rule.chain).cloned();
        let wanted = full.iter().find(of).and_then(chain);
        let mut tables = loaded.iter().map(|loaded| &loaded.table);
        tables.find(of).is_some_and(|table| {
            table.flags & DORMANT == 0 && chain(table) == wanted && table.rules.contains(rule)
        })
    };
    let mut conditions = nft::conditions(options.interface.as_deref(), &optional);
    conditions.retain(|Condition { family, rule, .. }| {
        [rule, &nft::dropping(rule)].iter().all(|rule| is_loaded(*family, rule))
    });
    conditions
}

/// NFT_TABLE_F_DORMANT of linux/netfilter/nf_tables.h.
const DORMANT: u32 = 1;

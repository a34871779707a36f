//! The guard in the firewall: tables of nf_tables that no other program reorders. Compares with what
//! is loaded and with what this kernel takes, changes only the difference, and each table in one
//! step.

use std::io;

use nix::libc;

use super::nft::{self, DescribedRule, LoadedTable, NftRule, NftTable, Optional, TableFamily};
use super::parts::{self, GuardPart, PartInstalled, PartStatus, RulesChange};
use super::state::GuardState;
use super::{Error, GuardRequest, netlink};

const FAMILIES: [TableFamily; 2] = [TableFamily::Inet, TableFamily::Bridge];

/// What the host wants of the tables.
struct Wish<'a> {
    interface: Option<&'a str>,
    optional: Vec<Optional>,
}

impl Wish<'_> {
    fn new(interface: Option<&str>, allow_local_proxy: bool) -> Wish<'_> {
        let wanted = |part: &Optional| !allow_local_proxy || *part != Optional::Redirected;
        Wish { interface, optional: Optional::ALL.into_iter().filter(wanted).collect() }
    }

    fn tables(&self, with: &[Optional]) -> Vec<NftTable> {
        nft::wanted(self.interface, with)
    }

    /// What this kernel takes of the optional parts; it validates each without a change.
    ///
    /// # Errors
    /// It does not even take the rest.
    fn possible(&self, loaded: &[LoadedTable]) -> Result<Vec<Optional>, Error> {
        let check = |with: &[Optional]| self.tables(with).iter().try_for_each(nft::check);
        if check(&self.optional).is_ok() {
            return Ok(self.optional.clone());
        }
        check(&[]).map_err(refused("checking", loaded))?;
        let mut possible = Vec::new();
        for part in &self.optional {
            possible.push(*part);
            if check(&possible).is_err() {
                possible.pop();
            }
        }
        Ok(possible)
    }
}

/// Puts the rules into force, and only those.
///
/// # Errors
/// Nothing has changed then, but for [`Error::Unlike`].
pub(crate) fn install(request: &GuardRequest) -> Result<PartInstalled, Error> {
    let wish = Wish::new(request.interface.as_deref(), request.allow_local_proxy);
    let before = read()?;
    if is_loaded(&before, &wish.tables(&wish.optional)) {
        return Ok(PartInstalled::in_force(RulesChange::Unchanged, vec![]));
    }
    let possible = wish.possible(&before)?;
    let lacking = wish.optional.iter().filter(|part| !possible.contains(part));
    let limits = lacking.map(|part| part.limit().to_owned()).collect();
    let wanted = wish.tables(&possible);
    if is_loaded(&before, &wanted) {
        return Ok(PartInstalled::in_force(RulesChange::Unchanged, limits));
    }
    for table in wanted.iter().filter(|table| before.iter().all(|old| old.table != **table)) {
        nft::replace(table).map_err(refused("loading", &before))?;
    }
    // One that an earlier wish needed.
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
    for family in FAMILIES {
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
pub(crate) fn remove() -> Result<bool, Error> {
    match read() {
        Err(Error::Kernel { source, .. }) if netlink::unsupported(&source) => Ok(false),
        Err(error) => Err(error),
        // Tables that are not as expected are removed as well.
        Ok(tables) => {
            for loaded in &tables {
                nft::delete(loaded.table.family).map_err(refused("deleting", &tables))?;
            }
            Ok(!tables.is_empty())
        }
    }
}

/// The guard as it is.
pub(crate) struct FirewallStatus {
    pub(crate) part: PartStatus,
    /// How many packets it has dropped; unknown where it is not.
    pub(crate) packets: Option<u64>,
    /// Whether frames that a bridge passes on are dropped.
    pub(crate) frames: bool,
}

/// Reads the guard as it is.
pub(crate) fn status(saved: &GuardState) -> Result<FirewallStatus, Error> {
    let without = |part| Ok(FirewallStatus { part, packets: None, frames: false });
    let loaded = match read() {
        Err(Error::Kernel { source, .. }) if netlink::unsupported(&source) => {
            return without(PartStatus::left_out(parts::not_possible(GuardPart::Nftables)));
        }
        loaded => loaded?,
    };
    if loaded.is_empty() {
        return without(PartStatus::new("absent", vec![]));
    }
    let wish = Wish::new(saved.interface.as_deref(), saved.allow_local_proxy);
    // Asked only if there is a difference: the kernel takes some milliseconds for its answer.
    let effective = is_loaded(&loaded, &wish.tables(&wish.optional))
        || wish.possible(&loaded).is_ok_and(|with| is_loaded(&loaded, &wish.tables(&with)));
    let state = if effective { "effective" } else { "weakened" };
    let rules = rules_in_force(&wish, &loaded);
    let frames = rules.iter().any(|rule| rule.family == TableFamily::Bridge);
    let words = rules.into_iter().filter_map(|rule| rule.words).collect();
    let packets = Some(loaded.iter().map(|loaded| loaded.packets).sum());
    Ok(FirewallStatus { part: PartStatus::new(state, words), packets, frames })
}

/// Those of the wanted conditions that are loaded, with what drops behind them, and whose chains are
/// in order.
fn rules_in_force(wish: &Wish<'_>, loaded: &[LoadedTable]) -> Vec<DescribedRule> {
    let full = wish.tables(&wish.optional);
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
    let described = nft::described(wish.interface, &wish.optional).into_iter();
    let conditions = described.filter(|rule| rule.words.is_some());
    conditions
        .filter(|DescribedRule { family, rule, .. }| {
            [rule, &nft::dropping(rule)].iter().all(|rule| is_loaded(*family, rule))
        })
        .collect()
}

/// NFT_TABLE_F_DORMANT of linux/netfilter/nf_tables.h.
const DORMANT: u32 = 1;

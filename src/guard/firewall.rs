//! The guard in the firewall: a table of nf_tables that no other program reorders. Compares with
//! what is loaded, changes only the difference, and in one step.

use super::parts::{GuardPart, PartInstalled, PartStatus, RulesChange};
use super::state::GuardState;
use super::{Error, GuardRequest, netlink, nft, parts};

/// Puts the rules into force, and only those.
///
/// # Errors
/// Nothing has changed then, but for [`Error::Unlike`].
pub(crate) fn install(request: &GuardRequest) -> Result<PartInstalled, Error> {
    let interface = request.interface.as_deref();
    let before = read()?.map(|loaded| loaded.table);
    let load = |source_routes| {
        let change = load(before.as_ref(), &nft::wanted(interface, source_routes))?;
        let limit = "this kernel cannot recognise source-routed packets".to_owned();
        let limits = if source_routes { vec![] } else { vec![limit] };
        Ok(PartInstalled::in_force(change, limits))
    };
    match load(true) {
        // A kernel without the `fib` expression.
        Err(Error::Kernel { source, .. }) if netlink::unsupported(&source) => load(false),
        result => result,
    }
}

/// Replaces the table if it differs, and asks the kernel what it has understood.
fn load(before: Option<&nft::NftTable>, wanted: &nft::NftTable) -> Result<RulesChange, Error> {
    if before == Some(wanted) {
        return Ok(RulesChange::Unchanged);
    }
    nft::replace(wanted).map_err(|source| Error::kernel(GuardPart::Nftables, "loading", source))?;
    match read()? {
        Some(loaded) if loaded.table == *wanted && before.is_some() => Ok(RulesChange::Repaired),
        Some(loaded) if loaded.table == *wanted => Ok(RulesChange::Installed),
        _ => Err(Error::Unlike(GuardPart::Nftables)),
    }
}

fn read() -> Result<Option<nft::LoadedTable>, Error> {
    nft::read().map_err(|source| Error::kernel(GuardPart::Nftables, "reading", source))
}

/// Removes the table. Returns whether there was one; a kernel without nf_tables has none.
pub(crate) fn remove() -> Result<bool, Error> {
    match read() {
        Ok(None) => Ok(false),
        Err(Error::Kernel { source, .. }) if netlink::unsupported(&source) => Ok(false),
        Err(error) => Err(error),
        // A table that is not as expected is removed as well.
        Ok(Some(_)) => nft::delete()
            .map(|()| true)
            .map_err(|source| Error::kernel(GuardPart::Nftables, "deleting", source)),
    }
}

/// The guard as it is, and how many packets it has dropped.
pub(crate) fn status(saved: &GuardState) -> Result<(PartStatus, Option<u64>), Error> {
    let interface = saved.interface.as_deref();
    match read() {
        Ok(Some(loaded)) => {
            let wanted = [true, false].map(|options| nft::wanted(interface, options));
            let state = if wanted.contains(&loaded.table) { "effective" } else { "weakened" };
            Ok((PartStatus::new(state, rules(interface)), Some(loaded.packets)))
        }
        Ok(None) => Ok((PartStatus::new("absent", vec![]), None)),
        Err(Error::Kernel { source, .. }) if netlink::unsupported(&source) => {
            Ok((PartStatus::left_out(parts::not_possible(GuardPart::Nftables)), None))
        }
        Err(error) => Err(error),
    }
}

fn rules(interface: Option<&str>) -> Vec<String> {
    let from = interface.map_or(String::new(), |name| format!("from {name} "));
    let targets = ["to 169.254.169.254", "to fd00:ec2::254", "with a source route (IPv4)"];
    targets.iter().map(|target| format!("drop forwarded packets {from}{target}")).collect()
}

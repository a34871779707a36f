//! Reads and replaces the guard's tables in the kernel's nf_tables, by netlink: neither `nft` nor
//! `iptables` need be on the host.
//!
//! A change is one batch, which the kernel applies whole or not at all, and in which the new table
//! replaces the old with no packet between them. Writes to the tables `inet ecs-bootstrap` and
//! `bridge ecs-bootstrap`, and to iptables' own only in [`delete_filter_table_if_empty`].
//!
//! Kinds of attributes are those of linux/netfilter/nf_tables.h: of each object's own enum.

pub(super) mod dump;
mod expressions;
pub(super) mod record;
mod table;

use std::io;

use nix::libc;
use nix::sys::socket::SockProtocol;
pub(crate) use record::recorded;
pub(crate) use table::{
    Condition, NftRule, NftTable, Optional, TableFamily, conditions, dropping, wanted,
};
use table::{NAME, NftChain};

use super::netlink::{self, Message, attribute, text};

/// The first attribute of every message: the table that it is about, or in.
const TABLE: u16 = 1;
/// struct nfgenmsg.
const HEADER: usize = 4;

/// One of the guard's tables as it is in the kernel.
#[derive(Debug)]
pub(crate) struct LoadedTable {
    pub(crate) table: NftTable,
    /// Packets dropped so far, over all rules.
    pub(crate) packets: u64,
}

/// The table of this family, if it is there.
///
/// # Errors
/// The kernel's errno; see [`netlink::unsupported`] for those that mean "no nf_tables here".
pub(crate) fn read(family: TableFamily) -> io::Result<Option<LoadedTable>> {
    let Some(found) = get_table(family as i32, NAME)? else { return Ok(None) };
    let mut table = dump::read_table(family, &found);
    for chain in table::base_chains(family).as_flattened() {
        table.chains.extend(get_chain(family as i32, NAME, &chain.name)?);
    }
    let all = request(libc::NFT_MSG_GETRULE, libc::NLM_F_DUMP, family as i32, NAME, &[]);
    let mut packets = 0u64;
    for (rule, counted) in get(&all)?.iter().filter_map(dump::read_rule) {
        table.rules.push(rule);
        packets = packets.saturating_add(counted);
    }
    Ok(Some(LoadedTable { table, packets }))
}

/// Replaces whatever table of this name there is by `table`, at once.
pub(crate) fn replace(table: &NftTable) -> io::Result<()> {
    commit(&replacement(table))
}

/// Whether the kernel would take `table`; changes nothing.
///
/// # Errors
/// Why it would not.
pub(crate) fn check(table: &NftTable) -> io::Result<()> {
    // A batch that is not ended is dropped once each step has been validated, as by `nft --check`.
    send(&replacement(table), &[])
}

fn replacement(table: &NftTable) -> Vec<Vec<u8>> {
    const APPEND: i32 = libc::NLM_F_CREATE | libc::NLM_F_APPEND;
    let step = |kind, flags, attributes: &[u8]| {
        request(kind, flags, table.family as i32, NAME, attributes)
    };
    let create = |kind, attributes: &[u8]| step(kind, libc::NLM_F_CREATE, attributes);
    let new_table = create(libc::NFT_MSG_NEWTABLE, &[]);
    let delete = step(libc::NFT_MSG_DELTABLE, 0, &[]);
    let chains = table.chains.iter().map(|chain| create(libc::NFT_MSG_NEWCHAIN, &chain.encoded()));
    let set = table.has_record().then(|| create(libc::NFT_MSG_NEWSET, &record::set()));
    let rules = table.rules.iter().map(|rule| step(libc::NFT_MSG_NEWRULE, APPEND, &rule.encoded()));
    // Created first, so that there is one to delete; no packet sees the steps in between.
    let tables = [new_table.clone(), delete, new_table];
    tables.into_iter().chain(chains).chain(set).chain(rules).collect()
}

/// Removes the table of this family.
pub(crate) fn delete(family: TableFamily) -> io::Result<()> {
    commit(&[request(libc::NFT_MSG_DELTABLE, 0, family as i32, NAME, &[])])
}

/// The IPv4 table in which `iptables` keeps FORWARD, with the chains it makes on first use.
const FILTER: (i32, &str, [&str; 3]) =
    (libc::NFPROTO_IPV4, "filter", ["INPUT", "FORWARD", "OUTPUT"]);

/// Whether iptables' filter table exists in nf_tables.
pub(crate) fn has_filter_table() -> io::Result<bool> {
    Ok(get_table(FILTER.0, FILTER.1)?.is_some())
}

/// Removes iptables' filter table if it is as empty as iptables makes it on first use.
///
/// The kernel refuses the whole batch when a chain or the table holds anything, so that a rule that
/// another program adds at this moment is safe.
pub(crate) fn delete_filter_table_if_empty() -> io::Result<bool> {
    let (family, table, chains) = FILTER;
    let delete =
        |kind, attributes: &[u8]| request(kind, libc::NLM_F_NONREC, family, table, attributes);
    let mut steps = Vec::new();
    for name in chains {
        let Some(chain) = get_chain(family, table, name)? else { continue };
        if !chain.accepts() {
            return Ok(false);
        }
        steps.push(delete(libc::NFT_MSG_DELCHAIN, &attribute(NftChain::NAME, text(name))));
    }
    steps.push(delete(libc::NFT_MSG_DELTABLE, &[]));
    match commit(&steps) {
        Err(error) if [Some(libc::EBUSY), Some(libc::ENOENT)].contains(&error.raw_os_error()) => {
            Ok(false)
        }
        result => result.map(|()| true),
    }
}

/// Encodes a message about a table of this family, or about what is in it.
fn request(kind: i32, flags: i32, family: i32, table: &str, attributes: &[u8]) -> Vec<u8> {
    let header = [family as u8, 0, 0, 0];
    let body = [&header, &*attribute(TABLE, text(table)), attributes].concat();
    let kind = libc::NFNL_SUBSYS_NFTABLES << 8 | kind;
    netlink::request(kind as u16, flags | libc::NLM_F_ACK, &body)
}

/// Sends `steps` as one transaction.
fn commit(steps: &[Vec<u8>]) -> io::Result<()> {
    send(steps, &edge(libc::NFNL_MSG_BATCH_END))
}

fn send(steps: &[Vec<u8>], end: &[u8]) -> io::Result<()> {
    let batch = [&*edge(libc::NFNL_MSG_BATCH_BEGIN), &steps.concat(), end].concat();
    netlink::ask(SockProtocol::NetlinkNetFilter, &batch, steps.len()).map(drop)
}

/// The beginning of a batch, or its end.
fn edge(kind: i32) -> Vec<u8> {
    netlink::request(kind as u16, 0, &[0, 0, 0, libc::NFNL_SUBSYS_NFTABLES as u8])
}

fn get_table(family: i32, name: &str) -> io::Result<Option<Message>> {
    match get(&request(libc::NFT_MSG_GETTABLE, 0, family, name, &[])) {
        // The request is well-formed; so the kernel has nfnetlink, and not this subsystem in it
        // (net/netfilter/nfnetlink.c).
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            Err(io::Error::from_raw_os_error(libc::EPROTONOSUPPORT))
        }
        tables => tables.map(|mut tables| tables.pop()),
    }
}

fn get_chain(family: i32, table: &str, chain: &str) -> io::Result<Option<NftChain>> {
    let name = attribute(NftChain::NAME, text(chain));
    let chains = get(&request(libc::NFT_MSG_GETCHAIN, 0, family, table, &name))?;
    Ok(chains.last().map(dump::read_chain))
}

/// Asks for objects; the answer is empty if there are none.
fn get(request: &[u8]) -> io::Result<Vec<Message>> {
    match netlink::ask(SockProtocol::NetlinkNetFilter, request, 1) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(vec![]),
        answer => answer,
    }
}

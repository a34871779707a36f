//! Reads and replaces the guard's tables in the kernel's nf_tables, by netlink: neither `nft` nor
//! `iptables` need be on the host.
//!
//! A change is one batch, which the kernel applies whole or not at all, and in which the new table
//! replaces the old with no packet between them. Writes to the tables `inet ecs-bootstrap` and
//! `bridge ecs-bootstrap`, and to iptables' own only in [`delete_filter_table_if_empty`].

mod dump;
mod expressions;
mod record;
mod table;
mod whole;

use std::io;

use netlink_packet_core::{
    Emitable, NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_DUMP, NLM_F_NONREC,
    NetlinkDeserializable, NetlinkHeader,
};
use netlink_packet_netfilter::nftables::{
    ChainAttribute, ChainFlags, ChainMessage, Hook, HookNumber, NfTablesMessage, RuleAttribute,
    RuleMessage, TableAttribute, TableMessage,
};
use netlink_packet_netfilter::none::ControlMessage;
use netlink_packet_netfilter::{
    NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily,
};
use nix::libc;
use nix::sys::socket::SockProtocol;
pub(crate) use record::recorded;
pub(crate) use table::{
    DescribedRule, NftRule, NftTable, Optional, TableFamily, described, dropping, wanted,
};
use table::{NAME, NftChain, POLICY_ACCEPT};

use super::netlink::{self, Message};

/// The subsystem's number, NFNL_SUBSYS_NFTABLES of linux/netfilter/nfnetlink.h.
const NFTABLES: u16 = 10;

/// One of the guard's tables as it is in the kernel.
#[derive(Debug)]
pub(crate) struct LoadedTable {
    pub(crate) table: NftTable,
    /// Packets dropped so far, over all rules.
    pub(crate) packets: u64,
}

impl From<TableFamily> for NetfilterProtoFamily {
    fn from(family: TableFamily) -> Self {
        match family {
            TableFamily::Inet => NetfilterProtoFamily::Inet,
            TableFamily::Bridge => NetfilterProtoFamily::Bridge,
        }
    }
}

/// The table of this family, if it is there.
///
/// # Errors
/// The kernel's errno; see [`netlink::unsupported`] for those that mean "no nf_tables here".
pub(crate) fn read(family: TableFamily) -> io::Result<Option<LoadedTable>> {
    let Some(attributes) = get_table(family.into(), NAME)? else { return Ok(None) };
    let mut table = dump::read_table(family, &attributes);
    for chain in table::chains(family) {
        table.chains.extend(get_chain(family.into(), NAME, &chain.name)?);
    }
    let (rules, packets): (Vec<_>, Vec<u64>) = get_rules(family.into())?.into_iter().unzip();
    table.rules = rules;
    Ok(Some(LoadedTable { table, packets: packets.into_iter().fold(0, u64::saturating_add) }))
}

/// Replaces whatever table of this name there is by `table`, at once.
pub(crate) fn replace(table: &NftTable) -> io::Result<()> {
    commit(&replacement(table), Batch::Commit)
}

/// Whether the kernel would take `table`; changes nothing.
///
/// # Errors
/// Why it would not.
pub(crate) fn check(table: &NftTable) -> io::Result<()> {
    commit(&replacement(table), Batch::Check)
}

fn replacement(table: &NftTable) -> Vec<Vec<u8>> {
    let family = table.family.into();
    let encode = |flags, message| encode(flags, family, message);
    let create = || encode(NLM_F_CREATE, NfTablesMessage::NewTable(table_message(NAME)));
    let chains = table.chains.iter().map(|chain| encode(NLM_F_CREATE, new_chain(chain)));
    let set = table.has_record().then(|| encode(NLM_F_CREATE, record::new_set()));
    let rules = table.rules.iter().map(|rule| encode(NLM_F_CREATE | NLM_F_APPEND, new_rule(rule)));
    // Created first, so that there is one to delete; no packet sees the steps in between.
    let steps = [create(), delete_table(table.family), create()];
    steps.into_iter().chain(chains).chain(set).chain(rules).collect()
}

/// Removes the table of this family.
pub(crate) fn delete(family: TableFamily) -> io::Result<()> {
    commit(&[delete_table(family)], Batch::Commit)
}

/// The IPv4 table in which `iptables` keeps FORWARD, with the chains it makes on first use.
const FILTER: (NetfilterProtoFamily, &str, [&str; 3]) =
    (NetfilterProtoFamily::IPv4, "filter", ["INPUT", "FORWARD", "OUTPUT"]);

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
    let mut steps = Vec::new();
    for chain in chains {
        let Some(found) = get_chain(family, table, chain)? else { continue };
        if found.policy != POLICY_ACCEPT {
            return Ok(false);
        }
        let delete = NfTablesMessage::DeleteChain(chain_message(table, chain));
        steps.push(encode(NLM_F_NONREC, family, delete));
    }
    let delete = NfTablesMessage::DeleteTable(table_message(table));
    steps.push(encode(NLM_F_NONREC, family, delete));
    match commit(&steps, Batch::Commit) {
        Err(error) if [Some(libc::EBUSY), Some(libc::ENOENT)].contains(&error.raw_os_error()) => {
            Ok(false)
        }
        result => result.map(|()| true),
    }
}

fn table_message(table: &str) -> TableMessage {
    TableMessage { attributes: vec![TableAttribute::Name(table.into())] }
}

fn chain_message(table: &str, chain: &str) -> ChainMessage {
    let names = [ChainAttribute::Table(table.into()), ChainAttribute::Name(chain.into())];
    ChainMessage { attributes: names.to_vec() }
}

fn delete_table(family: TableFamily) -> Vec<u8> {
    encode(0, family.into(), NfTablesMessage::DeleteTable(table_message(NAME)))
}

fn new_chain(chain: &NftChain) -> NfTablesMessage {
    let mut message = chain_message(NAME, &chain.name);
    if chain.is_base() {
        let number = Hook::Number(HookNumber::Other(chain.hook));
        let priority = Hook::Priority(chain.priority.cast_unsigned());
        message.attributes.extend([
            ChainAttribute::Hook(vec![number, priority]),
            ChainAttribute::Policy(chain.policy),
            ChainAttribute::Type(chain.kind.clone()),
            ChainAttribute::Flags(ChainFlags::from_bits_retain(chain.flags)),
        ]);
    }
    NfTablesMessage::NewChain(message)
}

fn new_rule(rule: &NftRule) -> NfTablesMessage {
    let attributes = vec![
        RuleAttribute::Table(NAME.into()),
        RuleAttribute::Chain(rule.chain.clone()),
        RuleAttribute::Expressions(rule.expressions.iter().cloned().map(Into::into).collect()),
        RuleAttribute::UserData(rule.userdata.clone()),
    ];
    NfTablesMessage::NewRule(RuleMessage { attributes })
}

fn encode(flags: u16, family: NetfilterProtoFamily, message: NfTablesMessage) -> Vec<u8> {
    let kind = NFTABLES << 8 | u16::from(u8::from(message.message_type()));
    let message = NetfilterMessage::new(NetfilterHeader::new(family, 0, 0), message);
    netlink::request(kind, flags | NLM_F_ACK, &body(&message))
}

fn body(message: &NetfilterMessage) -> Vec<u8> {
    let mut bytes = vec![0; message.buffer_len()];
    message.emit(&mut bytes);
    bytes
}

/// What becomes of a batch that the kernel accepts.
enum Batch {
    Commit,
    /// It is not ended, and so dropped once each step has been validated, as by `nft --check`.
    Check,
}

/// Sends `steps` as one transaction.
fn commit(steps: &[Vec<u8>], batch: Batch) -> io::Result<()> {
    let edge = |message: ControlMessage| {
        let kind = u16::from(u8::from(message.message_type()));
        let header = NetfilterHeader::new(NetfilterProtoFamily::Unspec, 0, NFTABLES);
        netlink::request(kind, 0, &body(&NetfilterMessage::new(header, message)))
    };
    let end = match batch {
        Batch::Commit => edge(ControlMessage::BatchEnd),
        Batch::Check => vec![],
    };
    let batch = [edge(ControlMessage::BatchBegin), steps.concat(), end].concat();
    netlink::ask(SockProtocol::NetlinkNetFilter, &batch, steps.len()).map(drop)
}

fn get_table(family: NetfilterProtoFamily, name: &str) -> io::Result<Option<Vec<TableAttribute>>> {
    let request = encode(0, family, NfTablesMessage::GetTable(table_message(name)));
    match get(&request, table) {
        // The request is well-formed; so the kernel has nfnetlink, and not this subsystem in it
        // (net/netfilter/nfnetlink.c).
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            Err(io::Error::from_raw_os_error(libc::EPROTONOSUPPORT))
        }
        tables => tables.map(|mut tables| tables.pop()),
    }
}

fn get_chain(
    family: NetfilterProtoFamily,
    table: &str,
    chain: &str,
) -> io::Result<Option<NftChain>> {
    let request = encode(0, family, NfTablesMessage::GetChain(chain_message(table, chain)));
    get(&request, self::chain).map(|mut chains| chains.pop())
}

/// All rules of the guard's table, whichever chain they are in, and their packets.
fn get_rules(family: NetfilterProtoFamily) -> io::Result<Vec<(NftRule, u64)>> {
    let message = RuleMessage { attributes: vec![RuleAttribute::Table(NAME.into())] };
    get(&encode(NLM_F_DUMP, family, NfTablesMessage::GetRule(message)), rule)
}

fn table(message: NfTablesMessage) -> Option<Vec<TableAttribute>> {
    match message {
        NfTablesMessage::NewTable(table) => Some(table.attributes),
        _ => None,
    }
}

fn chain(message: NfTablesMessage) -> Option<NftChain> {
    match message {
        NfTablesMessage::NewChain(chain) => Some(dump::read_chain(&chain.attributes)),
        _ => None,
    }
}

/// A rule of the guard's table: kernels before 4.9 do not filter a dump by table.
fn rule(message: NfTablesMessage) -> Option<(NftRule, u64)> {
    let NfTablesMessage::NewRule(rule) = message else { return None };
    let is_own = rule.attributes.contains(&RuleAttribute::Table(NAME.into()));
    is_own.then(|| dump::read_rule(rule.attributes))
}

/// Asks for objects; the answer is empty if there are none.
fn get<T>(request: &[u8], read: impl Fn(NfTablesMessage) -> Option<T>) -> io::Result<Vec<T>> {
    let messages = match netlink::ask(SockProtocol::NetlinkNetFilter, request, 1) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(vec![]),
        answer => answer?,
    };
    parse(&messages, read)
}

fn parse<T>(
    messages: &[Message],
    read: impl Fn(NfTablesMessage) -> Option<T>,
) -> io::Result<Vec<T>> {
    let mut objects = Vec::new();
    for message in messages.iter().filter(|message| whole::is_asked_for(message)) {
        if !whole::is_whole(message) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut header = NetlinkHeader::default();
        header.message_type = message.kind;
        let message = NetfilterMessage::deserialize(&header, &message.payload);
        if let NetfilterMessageInner::NfTables(message) = message.map_err(io::Error::other)?.inner {
            objects.extend(read(message));
        }
    }
    Ok(objects)
}

/// How many tables, chains, rules and elements of the record are in a dump, for fuzzers.
pub(super) fn count(messages: &[Message]) -> io::Result<[usize; 4]> {
    let read_table = |attributes: Vec<_>| dump::read_table(TableFamily::Inet, &attributes);
    Ok([
        parse(messages, |message| table(message).map(read_table))?.len(),
        parse(messages, chain)?.len(),
        parse(messages, rule)?.len(),
        messages.iter().flat_map(record::elements).count(),
    ])
}

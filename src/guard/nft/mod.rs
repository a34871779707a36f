//! Reads and replaces the fence in the kernel's nf_tables, by netlink: neither `nft` nor `iptables`
//! need be on the host.
//!
//! A change is one batch, which the kernel applies whole or not at all, and in which the old table
//! gives way to the new with no packet between them. Touches the table `inet ecs-bootstrap`, and
//! nothing else but what [`delete_if_empty`] is told.

mod table;

use std::io;

use netlink_packet_core::{Emitable, NetlinkDeserializable, NetlinkHeader};
use netlink_packet_netfilter::nftables::{
    ChainAttribute, ChainFlags, ChainMessage, Hook, HookNumber, InetHookNumber, NfTablesMessage,
    RuleAttribute, RuleMessage, TableAttribute, TableMessage,
};
use netlink_packet_netfilter::none::ControlMessage;
use netlink_packet_netfilter::{
    NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily,
};
use nix::libc;
use nix::sys::socket::SockProtocol;
pub(crate) use table::{NAME, Table, wanted};

use super::netlink::{self, ACK, APPEND, CREATE, DUMP, ONLY_IF_EMPTY};

const INET: NetfilterProtoFamily = NetfilterProtoFamily::Inet;
const NFTABLES: u16 = 10;

/// The fence as it stands in the kernel.
#[derive(Debug)]
pub(crate) struct Present {
    pub(crate) table: Table,
    /// Packets dropped so far, over all rules.
    pub(crate) packets: u64,
}

/// What is there, or nothing.
///
/// # Errors
/// The kernel's errno; see [`netlink::unsupported`] for those that mean "no nf_tables here".
pub(crate) fn read() -> io::Result<Option<Present>> {
    let Some(mut table) = get_table(INET, NAME)?.as_deref().map(table::read_table) else {
        return Ok(None);
    };
    table.chain = get_chain(INET, NAME, table::CHAIN)?.as_deref().map(table::read_chain);
    let (rules, packets): (Vec<_>, Vec<u64>) =
        get_rules()?.into_iter().map(table::read_rule).unzip();
    table.rules = rules;
    Ok(Some(Present { table, packets: packets.iter().sum() }))
}

/// Puts `table` in place of whatever table of this name there is, at once.
pub(crate) fn replace(table: &Table) -> io::Result<()> {
    let named = || vec![TableAttribute::Name(NAME.into())];
    // Added first, so that the delete finds one; the kernel shows nobody the steps in between.
    let fresh = [
        step(CREATE, INET, NfTablesMessage::NewTable(TableMessage { attributes: named() })),
        step(0, INET, NfTablesMessage::DeleteTable(TableMessage { attributes: named() })),
        step(CREATE, INET, NfTablesMessage::NewTable(TableMessage { attributes: named() })),
    ];
    let chain = table.chain.iter().map(|chain| step(CREATE, INET, new_chain(chain)));
    let rules = table.rules.iter().map(|rule| step(CREATE | APPEND, INET, new_rule(rule)));
    commit(&fresh.into_iter().chain(chain).chain(rules).collect::<Vec<_>>())
}

/// Takes the fence away.
pub(crate) fn delete() -> io::Result<()> {
    let attributes = vec![TableAttribute::Name(NAME.into())];
    commit(&[step(0, INET, NfTablesMessage::DeleteTable(TableMessage { attributes }))])
}

/// The IPv4 table in which `iptables` keeps FORWARD, with the chains it makes on first use.
const FILTER: (NetfilterProtoFamily, &str, [&str; 3]) =
    (NetfilterProtoFamily::IPv4, "filter", ["INPUT", "FORWARD", "OUTPUT"]);

/// Whether iptables' filter table exists in nf_tables.
pub(crate) fn has_filter_table() -> io::Result<bool> {
    Ok(get_table(FILTER.0, FILTER.1)?.is_some())
}

/// Takes iptables' filter table away if it is as empty as iptables makes it on first use; else
/// leaves it alone.
///
/// The kernel refuses the whole batch when a chain or the table holds anything, so that a rule
/// which somebody adds at this moment is safe.
pub(crate) fn delete_filter_table_if_empty() -> io::Result<bool> {
    let (family, table, chains) = FILTER;
    let mut steps = Vec::new();
    for chain in chains {
        let Some(found) = get_chain(family, table, chain)?.as_deref().map(table::read_chain) else {
            continue;
        };
        if found.policy != 1 {
            return Ok(false);
        }
        let attributes =
            vec![ChainAttribute::Table(table.into()), ChainAttribute::Name(chain.into())];
        steps.push(step(
            ONLY_IF_EMPTY,
            family,
            NfTablesMessage::DeleteChain(ChainMessage { attributes }),
        ));
    }
    let attributes = vec![TableAttribute::Name(table.into())];
    steps.push(step(
        ONLY_IF_EMPTY,
        family,
        NfTablesMessage::DeleteTable(TableMessage { attributes }),
    ));
    match commit(&steps) {
        Err(error) if [Some(libc::EBUSY), Some(libc::ENOENT)].contains(&error.raw_os_error()) => {
            Ok(false)
        }
        done => done.map(|()| true),
    }
}

fn new_chain(chain: &table::Chain) -> NfTablesMessage {
    let number = HookNumber::Inet(InetHookNumber::from(chain.hook));
    let attributes = vec![
        ChainAttribute::Table(NAME.into()),
        ChainAttribute::Name(table::CHAIN.into()),
        ChainAttribute::Hook(vec![
            Hook::Number(number),
            Hook::Priority(chain.priority.cast_unsigned()),
        ]),
        ChainAttribute::Policy(chain.policy),
        ChainAttribute::Type(chain.kind.clone()),
        ChainAttribute::Flags(ChainFlags::from_bits_retain(chain.flags)),
    ];
    NfTablesMessage::NewChain(ChainMessage { attributes })
}

fn new_rule(rule: &table::Rule) -> NfTablesMessage {
    let attributes = vec![
        RuleAttribute::Table(NAME.into()),
        RuleAttribute::Chain(rule.chain.clone()),
        RuleAttribute::Expressions(rule.expressions.iter().cloned().map(Into::into).collect()),
        RuleAttribute::UserData(rule.userdata.clone()),
    ];
    NfTablesMessage::NewRule(RuleMessage { attributes })
}

fn step(flags: u16, family: NetfilterProtoFamily, message: NfTablesMessage) -> Vec<u8> {
    let kind = NFTABLES << 8 | u16::from(u8::from(message.message_type()));
    netlink::request(
        kind,
        flags | ACK,
        &body(NetfilterMessage::new(NetfilterHeader::new(family, 0, 0), message)),
    )
}

fn body(message: NetfilterMessage) -> Vec<u8> {
    let mut bytes = vec![0; message.buffer_len()];
    message.emit(&mut bytes);
    bytes
}

/// Sends `steps` as one transaction.
fn commit(steps: &[Vec<u8>]) -> io::Result<()> {
    let edge = |message: ControlMessage| {
        let kind = u16::from(u8::from(message.message_type()));
        let header = NetfilterHeader::new(NetfilterProtoFamily::Unspec, 0, NFTABLES);
        netlink::request(kind, 0, &body(NetfilterMessage::new(header, message)))
    };
    let batch =
        [edge(ControlMessage::BatchBegin), steps.concat(), edge(ControlMessage::BatchEnd)].concat();
    netlink::ask(SockProtocol::NetlinkNetFilter, &batch, steps.len()).map(drop)
}

fn get_table(family: NetfilterProtoFamily, name: &str) -> io::Result<Option<Vec<TableAttribute>>> {
    let attributes = vec![TableAttribute::Name(name.into())];
    let answer = get(step(0, family, NfTablesMessage::GetTable(TableMessage { attributes })))?;
    Ok(answer.into_iter().find_map(|message| match message {
        NfTablesMessage::NewTable(table) => Some(table.attributes),
        _ => None,
    }))
}

fn get_chain(
    family: NetfilterProtoFamily,
    table: &str,
    chain: &str,
) -> io::Result<Option<Vec<ChainAttribute>>> {
    let attributes = vec![ChainAttribute::Table(table.into()), ChainAttribute::Name(chain.into())];
    let answer = get(step(0, family, NfTablesMessage::GetChain(ChainMessage { attributes })))?;
    Ok(answer.into_iter().find_map(|message| match message {
        NfTablesMessage::NewChain(chain) => Some(chain.attributes),
        _ => None,
    }))
}

/// All rules of our table, of whichever chain.
fn get_rules() -> io::Result<Vec<Vec<RuleAttribute>>> {
    let attributes = vec![RuleAttribute::Table(NAME.into())];
    let answer = get(step(DUMP, INET, NfTablesMessage::GetRule(RuleMessage { attributes })))?;
    let rules = answer.into_iter().filter_map(|message| match message {
        NfTablesMessage::NewRule(rule) => Some(rule.attributes),
        _ => None,
    });
    // Kernels before 4.9 do not filter a dump: what is not ours is left out here.
    Ok(rules.filter(|attributes| attributes.contains(&RuleAttribute::Table(NAME.into()))).collect())
}

/// Asks for objects; that there is none is an empty answer.
fn get(request: Vec<u8>) -> io::Result<Vec<NfTablesMessage>> {
    let messages = match netlink::ask(SockProtocol::NetlinkNetFilter, &request, 1) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(vec![]),
        answer => answer?,
    };
    messages
        .iter()
        .map(decode)
        .collect::<io::Result<Vec<_>>>()
        .map(|all| all.into_iter().flatten().collect())
}

fn decode(message: &netlink::Message) -> io::Result<Option<NfTablesMessage>> {
    let mut header = NetlinkHeader::default();
    header.message_type = message.kind;
    let message =
        NetfilterMessage::deserialize(&header, &message.payload).map_err(io::Error::other)?;
    Ok(match message.inner {
        NetfilterMessageInner::NfTables(message) => Some(message),
        _ => None,
    })
}

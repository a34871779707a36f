//! What reads answers of the kernel and packets of containers, for fuzzers: how much is in bytes.

use nix::libc;

use super::links;
use super::netlink::{self, Message};
use super::nft::{TableFamily, dump, record};
use super::probe::{neighbours, packet};
use super::routing::Rule;

/// Links and neighbours.
pub(crate) fn links(bytes: &[u8]) -> [usize; 2] {
    let messages = messages(bytes);
    [links::parse(&messages, &messages).len(), neighbours::parse(&messages).len()]
}

/// Routing rules, and those of them that read back as they are encoded.
pub(crate) fn routing_rules(bytes: &[u8]) -> (usize, usize) {
    let rules: Vec<Rule> =
        messages(bytes).iter().filter_map(|message| Rule::read(&message.payload)).collect();
    let reads_back = |rule: &&Rule| Rule::read(&rule.encoded()).as_ref() == Some(rule);
    (rules.len(), rules.iter().filter(reads_back).count())
}

/// Tables, chains, rules and the packets that a proof recorded.
pub(crate) fn nftables(bytes: &[u8]) -> [usize; 4] {
    let messages = messages(bytes);
    let of_kind = |kind| {
        let kind = (libc::NFNL_SUBSYS_NFTABLES << 8 | kind) as u16;
        messages.iter().filter(move |message| message.kind == kind)
    };
    let table = |message| dump::read_table(TableFamily::Inet, message);
    let tables: Vec<_> = of_kind(libc::NFT_MSG_NEWTABLE).map(table).collect();
    let chains: Vec<_> = of_kind(libc::NFT_MSG_NEWCHAIN).map(dump::read_chain).collect();
    [
        tables.len(),
        chains.len(),
        of_kind(libc::NFT_MSG_NEWRULE).filter_map(dump::read_rule).count(),
        messages.iter().flat_map(record::elements).count(),
    ]
}

/// Whether it is a packet of which a probe learns something.
pub(crate) fn is_packet(bytes: &[u8]) -> bool {
    packet::parse(bytes).is_some()
}

/// What was read before an error counts.
fn messages(bytes: &[u8]) -> Vec<Message> {
    let mut messages = Vec::new();
    _ = netlink::read(bytes, &mut messages);
    messages
}

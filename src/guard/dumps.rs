//! What reads answers of the kernel and packets of containers, for fuzzers: how much is in bytes.

use std::io;

use super::netlink::{self, Message};
use super::probe::{neighbours, packet};
use super::{links, nft, routing};

/// Links and neighbours.
pub(crate) fn links(bytes: &[u8]) -> [usize; 2] {
    let messages = messages(bytes);
    [links::parse(&messages, &messages).len(), neighbours::parse(&messages).len()]
}

/// Routing rules, and those of them that read back as they are encoded.
pub(crate) fn routing_rules(bytes: &[u8]) -> (usize, usize) {
    routing::count(&messages(bytes))
}

/// Tables, chains, rules and the packets that a proof recorded.
pub(crate) fn nftables(bytes: &[u8]) -> io::Result<[usize; 4]> {
    nft::count(&messages(bytes))
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

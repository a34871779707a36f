//! Whether a message of the kernel is one that netlink-packet-netfilter can read: what is an
//! attribute inside another one, it reads without a look at the length, and panics where that is
//! wrong. Pure.

use netlink_packet_core::{NlaBuffer, NlasIterator};

use super::super::netlink::Message;
use super::NFTABLES;

/// NFT_MSG_* of linux/netfilter/nf_tables.h.
const NEW_TABLE: u16 = NFTABLES << 8;
const NEW_CHAIN: u16 = NFTABLES << 8 | 3;
const NEW_RULE: u16 = NFTABLES << 8 | 6;

/// Whether the guard asks for such messages.
pub(super) fn is_asked_for(message: &Message) -> bool {
    [NEW_TABLE, NEW_CHAIN, NEW_RULE].contains(&message.kind)
}

/// Whether each attribute in it that is read unchecked is whole.
pub(super) fn is_whole(message: &Message) -> bool {
    const HEADER: usize = 4;
    let Some(payload) = message.payload.get(HEADER..) else { return false };
    let list = |kind| attributes(payload, kind).into_iter().flat_map(|list| attributes(&list, 1));
    match message.kind {
        NEW_RULE => list(4).all(|expression| is_whole_expression(&expression)),
        _ => true,
    }
}

/// An expression has one name and its data, some of which is an attribute.
fn is_whole_expression(expression: &[u8]) -> bool {
    let names = attributes(expression, 1);
    let [name] = names.as_slice() else { return false };
    let kinds: &[u16] = match name.strip_suffix(&[0]).unwrap_or(name) {
        b"cmp" => &[3],
        b"immediate" => &[2],
        b"bitwise" => &[4, 5, 7],
        _ => &[],
    };
    let data = attributes(expression, 2);
    data.iter().all(|data| kinds.iter().all(|kind| are_attributes(data, *kind)))
}

/// Whether the values of this kind are attributes themselves.
fn are_attributes(bytes: &[u8], kind: u16) -> bool {
    attributes(bytes, kind).iter().all(|value| NlaBuffer::new_checked(value).is_ok())
}

/// The values of the attributes of this kind.
fn attributes(bytes: &[u8], kind: u16) -> Vec<Vec<u8>> {
    NlasIterator::new(bytes)
        .map_while(Result::ok)
        .filter(|attribute| attribute.kind() == kind)
        .map(|attribute| attribute.value().to_vec())
        .collect()
}

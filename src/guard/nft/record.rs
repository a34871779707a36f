//! The record of the proof's packets that the guard's tables drop: a set of TCP sequence numbers,
//! each kept for some seconds, and the rules that add to it. Whoever sent a packet with a random
//! sequence number knows by it that this very packet was dropped, and by whom.
//!
//! As `nft list` shows it:
//!
//! ```text
//! set probed { type mark; size 4096; flags dynamic,timeout; timeout 3s; }
//! meta l4proto tcp @th,96,8 0x50 update @probed { @th,32,32 }
//! ```
//! A rule of its own, in front of the one that drops: where the set is full, nothing that follows
//! in the same rule would be done. Only SYNs without an option are recorded, as the proof sends
//! them and no container's kernel does.

use std::io;

use netlink_packet_core::{DefaultNla, NLA_HEADER_SIZE, NLM_F_DUMP, NlasIterator};
use netlink_packet_netfilter::nftables::{
    Expressions, MetaKey, NfTablesMessage, Payload, Register, SetAttribute, SetDescription,
    SetElementList, SetElementMessage, SetFlags, SetMessage,
};
use nix::libc;
use nix::sys::socket::SockProtocol;

use super::super::netlink::Message;
use super::expressions::{equals, meta, word};
use super::{NAME, TableFamily, encode, netlink};

const SET: &str = "probed";

/// What records a packet that is to be dropped, if it is one of a proof.
pub(super) fn record() -> Vec<Expressions> {
    const TCP: u8 = 6;
    const SEQUENCE: (u32, u32) = (4, 4);
    const HEADER_LENGTH: (u32, u32) = (12, 1);
    const WITHOUT_OPTIONS: u8 = 0x50;
    const NAME_OF_SET: u16 = 1; // NFTA_DYNSET_SET_NAME
    const OPERATION: u16 = 3; // NFTA_DYNSET_OP
    const KEY: u16 = 4; // NFTA_DYNSET_SREG_KEY
    const UPDATE: u32 = 1;
    let update = vec![
        DefaultNla::new(NAME_OF_SET, [SET.as_bytes(), &[0]].concat()),
        word(OPERATION, UPDATE),
        word(KEY, Register::Reg1.into()),
    ];
    vec![
        meta(MetaKey::L4Proto),
        equals(&[TCP]),
        load(HEADER_LENGTH),
        equals(&[WITHOUT_OPTIONS]),
        load(SEQUENCE),
        Expressions::Other { expression_type: "dynset".into(), attributes: update },
    ]
}

/// The kernel dumps its defaults as well: what the guard sets is what counts.
pub(super) fn is_of_update(attribute: u16) -> bool {
    [1, 3, 4].contains(&attribute)
}

fn load((offset, length): (u32, u32)) -> Expressions {
    const TRANSPORT_HEADER: u32 = 2;
    Expressions::Payload(vec![
        Payload::DestinationRegister(Register::Reg1),
        Payload::Base(TRANSPORT_HEADER),
        Payload::Offset(offset),
        Payload::Len(length),
    ])
}

/// The set, for the batch that creates its table.
pub(super) fn new_set() -> NfTablesMessage {
    const MARK: u32 = 19; // a type of nft that has four bytes
    const MILLISECONDS: u64 = 3_000;
    const MOST: u32 = 4096;
    NfTablesMessage::NewSet(SetMessage {
        attributes: vec![
            SetAttribute::Table(NAME.into()),
            SetAttribute::Name(SET.into()),
            SetAttribute::Flags(SetFlags::Timeout | SetFlags::Eval),
            SetAttribute::KeyType(MARK),
            SetAttribute::KeyLen(4),
            SetAttribute::Description(vec![SetDescription::Size(MOST)]),
            SetAttribute::Id(1),
            SetAttribute::Timeout(MILLISECONDS),
        ],
    })
}

/// The sequence numbers of packets that the tables have dropped in the last seconds.
///
/// # Errors
/// The kernel's errno; without the tables or the set there are none.
pub(crate) fn recorded() -> io::Result<Vec<u32>> {
    let mut sequences = Vec::new();
    for family in [TableFamily::Inet, TableFamily::Bridge] {
        let names = vec![SetElementList::Table(NAME.into()), SetElementList::Set(SET.into())];
        let request = SetElementMessage { attributes: names };
        let request = encode(NLM_F_DUMP, family.into(), NfTablesMessage::GetSetElement(request));
        let absent = [Some(libc::ENOENT), Some(libc::EAFNOSUPPORT)];
        let messages = match netlink::ask(SockProtocol::NetlinkNetFilter, &request, 1) {
            Err(error) if absent.contains(&error.raw_os_error()) => continue,
            messages => messages?,
        };
        sequences.extend(messages.iter().flat_map(elements));
    }
    Ok(sequences)
}

/// The elements in a message of the dump. Not by netlink-packet-netfilter's types: version 0.4.0
/// formats the whole list for each of them, and 800 took a proof 0.2 s of CPU time.
pub(super) fn elements(message: &Message) -> impl Iterator<Item = u32> {
    const HEADER: usize = 4; // struct nfgenmsg
    const LIST: u16 = 3; // NFTA_SET_ELEM_LIST_ELEMENTS
    const ELEMENT: u16 = 1; // NFTA_LIST_ELEM
    const KEY: u16 = 1; // NFTA_SET_ELEM_KEY
    const VALUE: u16 = 1; // NFTA_DATA_VALUE
    let lists = values(message.payload.get(HEADER..).unwrap_or_default(), LIST);
    let keys = lists.flat_map(|list| values(list, ELEMENT)).flat_map(|one| values(one, KEY));
    let keys = keys.flat_map(|key| values(key, VALUE));
    keys.filter_map(|key| Some(u32::from_be_bytes(key.try_into().ok()?)))
}

fn values(attributes: &[u8], kind: u16) -> impl Iterator<Item = &[u8]> {
    let attributes = NlasIterator::new(attributes).map_while(Result::ok);
    attributes.filter(move |one| one.kind() == kind).map(|one| {
        let end = usize::from(one.length());
        &one.into_inner()[NLA_HEADER_SIZE..end]
    })
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::NLM_F_CREATE;
    use netlink_packet_netfilter::nftables::{DataAttribute, ListAttribute, SetElementAttribute};

    use super::*;

    #[test]
    fn elements_of_a_dump_are_read_and_strange_ones_left_out() {
        let element = |key: &[u8]| {
            let value = DataAttribute::Value(key.to_vec());
            ListAttribute::Element(vec![
                SetElementAttribute::Timeout(3_000),
                SetElementAttribute::Key(value),
            ])
        };
        let list = vec![element(&[0, 0, 1, 2]), element(&[7; 16]), element(&[0xff; 4])];
        let table = SetElementList::Table(NAME.into());
        let attributes = vec![table, SetElementList::Elements(list)];
        let message = NfTablesMessage::NewSetElement(SetElementMessage { attributes });
        let message = encode(NLM_F_CREATE, TableFamily::Inet.into(), message);
        let elements = |length: usize| {
            let payload = message[16..][..length].to_vec(); // behind struct nlmsghdr
            elements(&Message { kind: 0, payload }).collect::<Vec<_>>()
        };
        assert_eq!(elements(message.len() - 16), [0x0102, u32::MAX]);
        assert!(elements(30).is_empty() && elements(0).is_empty());
    }
}

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

use netlink_packet_core::{DefaultNla, NLM_F_DUMP};
use netlink_packet_netfilter::nftables::{
    DataAttribute, Expressions, ListAttribute, MetaKey, NfTablesMessage, Payload, Register,
    SetAttribute, SetDescription, SetElementAttribute, SetElementList, SetElementMessage, SetFlags,
    SetMessage,
};
use nix::libc;

use super::expressions::{equals, meta, word};
use super::{NAME, TableFamily, encode, get};

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
        let lists = match get(&request, elements) {
            Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => continue,
            lists => lists?,
        };
        sequences.extend(lists.into_iter().flatten());
    }
    Ok(sequences)
}

pub(super) fn elements(message: NfTablesMessage) -> Option<Vec<u32>> {
    let NfTablesMessage::NewSetElement(list) = message else { return None };
    let elements = list.attributes.into_iter().filter_map(|attribute| match attribute {
        SetElementList::Elements(elements) => Some(elements),
        _ => None,
    });
    Some(elements.flatten().filter_map(sequence).collect())
}

fn sequence(element: ListAttribute<SetElementAttribute>) -> Option<u32> {
    let ListAttribute::Element(attributes) = element else { return None };
    attributes.into_iter().find_map(|attribute| match attribute {
        SetElementAttribute::Key(DataAttribute::Value(key)) => {
            Some(u32::from_be_bytes(key.try_into().ok()?))
        }
        _ => None,
    })
}

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

use nix::libc;

use super::super::netlink::{Message, attribute, text, value, values};
use super::expressions::{Expression, equals, expression, meta, payload, word};
use super::{HEADER, NAME, TableFamily, get, request};

const SET: &str = "probed";

/// What records a packet that is to be dropped, if it is one of a proof.
pub(super) fn record() -> Vec<Expression> {
    const TCP: u8 = 6;
    const WITHOUT_OPTIONS: u8 = 0x50;
    let load = |offset, length| payload(libc::NFT_PAYLOAD_TRANSPORT_HEADER, offset, length);
    let update = [
        (1, text(SET)),
        (3, word(libc::NFT_DYNSET_OP_UPDATE)),
        (4, word(libc::NFT_REG_1)), // the key
    ];
    vec![
        meta(libc::NFT_META_L4PROTO),
        equals(&[TCP]),
        load(12, 1), // the header's length
        equals(&[WITHOUT_OPTIONS]),
        load(4, 4), // the sequence number
        expression("dynset", update),
    ]
}

/// The attributes of an update that the guard sets; the kernel dumps its defaults as well.
pub(super) const UPDATE: [u16; 3] = [1, 3, 4];

/// The set, for the batch that creates its table.
pub(super) fn set() -> Vec<u8> {
    const MARK: i32 = 19; // a type of nft that has four bytes
    const MILLISECONDS: u64 = 3_000;
    const MOST: i32 = 4096;
    [
        attribute(2, text(SET)),
        attribute(3, word(libc::NFT_SET_TIMEOUT | libc::NFT_SET_EVAL)),
        attribute(4, word(MARK)),
        attribute(5, word(4)),                  // the length of a key
        attribute(9, attribute(1, word(MOST))), // its description: its size
        attribute(10, word(1)),                 // an id, of which the batch has no other
        attribute(11, MILLISECONDS.to_be_bytes()),
    ]
    .concat()
}

/// The sequence numbers of packets that the tables have dropped in the last seconds; none without
/// the tables or the set.
pub(crate) fn recorded() -> Vec<u32> {
    let elements_of = |family: TableFamily| {
        let (dump, set) = (libc::NLM_F_DUMP, attribute(2, text(SET)));
        let all = request(libc::NFT_MSG_GETSETELEM, dump, family as i32, NAME, &set);
        get(&all).unwrap_or_default()
    };
    let messages = TableFamily::ALL.into_iter().flat_map(elements_of);
    messages.flat_map(|message| elements(&message).collect::<Vec<_>>()).collect()
}

/// The elements in a message of the dump.
pub(crate) fn elements(message: &Message) -> impl Iterator<Item = u32> {
    const LIST: u16 = 3; // NFTA_SET_ELEM_LIST_ELEMENTS
    const ELEMENT: u16 = 1; // NFTA_LIST_ELEM
    const KEY: u16 = 1; // NFTA_SET_ELEM_KEY
    const VALUE: u16 = 1; // NFTA_DATA_VALUE
    let list = value(message.attributes(HEADER), LIST).unwrap_or_default();
    let key = |element| value(value(element, KEY)?, VALUE)?.try_into().ok();
    values(list, ELEMENT).filter_map(key).map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_a_dump_are_read_and_strange_ones_left_out() {
        let element = |key: &[u8]| {
            let timeout = attribute(4, 3_000u64.to_be_bytes());
            attribute(1, [timeout, attribute(1, attribute(1, key))].concat())
        };
        let list = [element(&[0, 0, 1, 2]), element(&[7; 16]), element(&[0xff; 4])].concat();
        let (inet, kind) = (TableFamily::Inet as i32, libc::NFT_MSG_NEWSETELEM);
        let message = request(kind, libc::NLM_F_CREATE, inet, NAME, &attribute(3, list));
        let elements = |length: usize| {
            let payload = message[16..][..length].to_vec(); // behind struct nlmsghdr
            elements(&Message { kind: 0, payload }).collect::<Vec<_>>()
        };
        assert_eq!(elements(message.len() - 16), [0x0102, u32::MAX]);
        assert!(elements(30).is_empty() && elements(0).is_empty());
    }
}

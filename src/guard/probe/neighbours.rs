//! Neighbours of the host as the kernel knows them: those that do not answer, those that a probe
//! adds in place of a container, and what a bridge has learned.

use std::io;
use std::net::IpAddr;

use netlink_packet_core::{DefaultNla, NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, parse_ip};
use nix::libc;

use super::super::links::{self, Link};
use super::super::netlink::Message;
use super::packet::octets;

/// struct ndmsg.
const HEADER: usize = 12;

/// A neighbour on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Neighbour {
    pub(crate) interface: u32,
    pub(crate) address: IpAddr,
    pub(crate) mac: [u8; 6],
    /// Without it no packet leaves for the neighbour, with or without a guard.
    pub(crate) answers: bool,
}

/// Every neighbour, by IP address.
pub(crate) fn read() -> io::Result<Vec<Neighbour>> {
    links::dump(libc::RTM_GETNEIGH, &[0; HEADER]).map(|messages| parse(&messages))
}

/// The neighbours of a dump.
pub(crate) fn parse(messages: &[Message]) -> Vec<Neighbour> {
    const UNREACHABLE: u16 = libc::NUD_INCOMPLETE | libc::NUD_FAILED;
    let neighbour = |payload: &[u8]| {
        let state = u16::from_ne_bytes(*payload.get(8..)?.first_chunk()?);
        let mac = links::attribute(payload, HEADER, libc::NDA_LLADDR);
        Some(Neighbour {
            interface: links::u32_at(payload, 4)?,
            address: parse_ip(&links::attribute(payload, HEADER, libc::NDA_DST)?).ok()?,
            mac: mac.and_then(|mac| mac.try_into().ok()).unwrap_or_default(),
            answers: state & UNREACHABLE == 0,
        })
    };
    messages.iter().filter_map(|message| neighbour(&message.payload)).collect()
}

/// The ports behind which bridges have learned MACs.
pub(crate) fn learned() -> io::Result<Vec<(u32, [u8; 6])>> {
    // An ifinfomsg, as kernels before 4.20 want it.
    let mut header = [0; 16];
    header[0] = libc::AF_BRIDGE as u8;
    let learned = |payload: &[u8]| {
        let mac = links::attribute(payload, HEADER, libc::NDA_LLADDR)?;
        Some((links::u32_at(payload, 4)?, mac.try_into().ok()?))
    };
    let messages = links::dump(libc::RTM_GETNEIGH, &header)?;
    Ok(messages.iter().filter_map(|message| learned(&message.payload)).collect())
}

/// A neighbour that exists until it is dropped.
pub(crate) struct TemporaryNeighbour {
    header: Vec<u8>,
    key: DefaultNla,
}

impl TemporaryNeighbour {
    /// Makes `address` a neighbour on `bridge`, so that the host answers it without asking for its
    /// MAC. It has the bridge's own, for which the bridge troubles no port. `None` if the kernel
    /// has such a neighbour already, or cannot add one.
    pub(crate) fn add(bridge: &Link, address: IpAddr) -> Option<TemporaryNeighbour> {
        let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        // A state that expires: if this process is killed, the kernel forgets the neighbour.
        let header = header(family, bridge.index, libc::NUD_REACHABLE, 0);
        let key = DefaultNla::new(libc::NDA_DST, octets(address));
        let mac = DefaultNla::new(libc::NDA_LLADDR, bridge.mac.to_vec());
        let flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
        links::ask(libc::RTM_NEWNEIGH, flags, &header, &[key.clone(), mac]).ok()?;
        Some(TemporaryNeighbour { header, key })
    }

    /// What a bridge learns behind `port` when a frame from `mac` comes in there.
    pub(crate) fn learned(port: u32, mac: [u8; 6]) -> TemporaryNeighbour {
        const OF_THE_BRIDGE: u8 = 0x04; // NTF_MASTER
        TemporaryNeighbour {
            header: header(libc::AF_BRIDGE, port, libc::NUD_REACHABLE, OF_THE_BRIDGE),
            key: DefaultNla::new(libc::NDA_LLADDR, mac.to_vec()),
        }
    }
}

impl Drop for TemporaryNeighbour {
    fn drop(&mut self) {
        let key = std::slice::from_ref(&self.key);
        _ = links::ask(libc::RTM_DELNEIGH, NLM_F_ACK, &self.header, key);
    }
}

fn header(family: i32, interface: u32, state: u16, flags: u8) -> Vec<u8> {
    let [low, high] = state.to_ne_bytes();
    [&[family as u8, 0, 0, 0][..], &interface.to_ne_bytes(), &[low, high, flags, 0]].concat()
}

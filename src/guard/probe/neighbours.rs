//! Neighbours of the host as the kernel knows them: those that do not answer, those that a probe
//! adds in place of a container, and what a bridge has learned.

use std::io;
use std::net::IpAddr;

use nix::libc;

use super::super::addresses::{from_octets, number, octets};
use super::super::links::Link;
use super::super::netlink::{self, Message, attribute, u16_at, u32_at, value};

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
    let messages = netlink::route(libc::RTM_GETNEIGH, libc::NLM_F_DUMP, &[0; HEADER])?;
    Ok(parse(&messages))
}

/// The neighbours of a dump.
pub(crate) fn parse(messages: &[Message]) -> Vec<Neighbour> {
    const UNREACHABLE: u16 = libc::NUD_INCOMPLETE | libc::NUD_FAILED;
    let neighbour = |message: &Message| {
        Some(Neighbour {
            interface: u32_at(&message.payload, 4)?,
            address: from_octets(value(message.attributes(HEADER), libc::NDA_DST)?)?,
            mac: mac(message).unwrap_or_default(),
            answers: u16_at(&message.payload, 8)? & UNREACHABLE == 0,
        })
    };
    messages.iter().filter_map(neighbour).collect()
}

/// The ports behind which bridges have learned MACs.
pub(crate) fn learned() -> io::Result<Vec<(u32, [u8; 6])>> {
    // An ifinfomsg, as kernels before 4.20 want it.
    let mut header = [0; 16];
    header[0] = libc::AF_BRIDGE as u8;
    let messages = netlink::route(libc::RTM_GETNEIGH, libc::NLM_F_DUMP, &header)?;
    let port = |message: &Message| Some((u32_at(&message.payload, 4)?, mac(message)?));
    Ok(messages.iter().filter_map(port).collect())
}

fn mac(message: &Message) -> Option<[u8; 6]> {
    value(message.attributes(HEADER), libc::NDA_LLADDR)?.try_into().ok()
}

/// A neighbour that exists until it is dropped: the header and the key that it is removed by.
pub(crate) struct TemporaryNeighbour(Vec<u8>);

impl TemporaryNeighbour {
    /// Makes `address` a neighbour on `bridge`, so that the host answers it without asking for its
    /// MAC. It has the bridge's own, for which the bridge troubles no port. `None` if the kernel
    /// has such a neighbour already, or cannot add one.
    pub(crate) fn add(bridge: &Link, address: IpAddr) -> Option<TemporaryNeighbour> {
        let key = attribute(libc::NDA_DST, octets(address));
        let neighbour = [header(number(address), bridge.index, 0), key].concat();
        let mac = attribute(libc::NDA_LLADDR, bridge.mac);
        let flags = libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        netlink::route(libc::RTM_NEWNEIGH, flags, &[&*neighbour, &mac].concat()).ok()?;
        Some(TemporaryNeighbour(neighbour))
    }

    /// What a bridge learns behind `port` when a frame from `mac` comes in there.
    pub(crate) fn learned(port: u32, mac: [u8; 6]) -> TemporaryNeighbour {
        const OF_THE_BRIDGE: u8 = 0x04; // NTF_MASTER
        let header = header(libc::AF_BRIDGE as u8, port, OF_THE_BRIDGE);
        TemporaryNeighbour([header, attribute(libc::NDA_LLADDR, mac)].concat())
    }
}

impl Drop for TemporaryNeighbour {
    fn drop(&mut self) {
        _ = netlink::route(libc::RTM_DELNEIGH, libc::NLM_F_ACK, &self.0);
    }
}

fn header(family: u8, interface: u32, flags: u8) -> Vec<u8> {
    // A state that expires: if this process is killed, the kernel forgets the neighbour.
    let [low, high] = libc::NUD_REACHABLE.to_ne_bytes();
    [&[family, 0, 0, 0][..], &interface.to_ne_bytes(), &[low, high, flags, 0]].concat()
}

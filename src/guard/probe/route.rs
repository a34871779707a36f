//! Asks the kernel what it would do with a packet of a container, without sending one: neither a
//! privilege nor a container is needed.

use std::io;
use std::net::IpAddr;

use nix::libc;

use super::super::addresses::{from_octets, number, octets};
use super::super::links::Link;
use super::super::netlink::{self, attribute, u32_at};

/// What the kernel's routing does with a packet to instance metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RouteAnswer {
    /// A routing rule prohibits it.
    Refused,
    /// It would leave by this interface, to this neighbour.
    Forwarded { interface: u32, next_hop: IpAddr },
    /// It would not be forwarded: no route, or forwarding is off.
    Unroutable,
}

/// What would become of a packet that comes in by `bridge`.
pub(crate) fn look_up(bridge: &Link, source: IpAddr, destination: IpAddr) -> Option<RouteAnswer> {
    let source = attribute(libc::RTA_SRC, octets(source));
    let incoming = attribute(libc::RTA_IIF, bridge.index.to_ne_bytes());
    match ask(destination, &[source, incoming].concat()) {
        Ok(answer) => Some(answer),
        Err(error) => match error.raw_os_error()? {
            libc::EACCES => Some(RouteAnswer::Refused),
            libc::ENETUNREACH | libc::EHOSTUNREACH | libc::EINVAL => Some(RouteAnswer::Unroutable),
            _ => None,
        },
    }
}

/// The way that the host's own packets take.
pub(crate) fn own_route(destination: IpAddr) -> Option<RouteAnswer> {
    ask(destination, &[]).ok()
}

/// An RTM_GETROUTE with struct rtmsg as its header.
fn ask(destination: IpAddr, from: &[u8]) -> io::Result<RouteAnswer> {
    const HEADER: usize = 12;
    let to = octets(destination);
    let bits = 8 * to.len() as u8;
    let mut header = [0; HEADER];
    (header[0], header[1]) = (number(destination), bits);
    if !from.is_empty() {
        header[2] = bits;
    }
    let request = [&header, &*attribute(libc::RTA_DST, to), from].concat();
    let messages = netlink::route(libc::RTM_GETROUTE, libc::NLM_F_ACK, &request)?;
    let answer = messages.first().ok_or(io::ErrorKind::InvalidData)?;
    let value = |kind| netlink::value(answer.attributes(HEADER), kind);
    let gateway = value(libc::RTA_GATEWAY).and_then(from_octets);
    Ok(match value(libc::RTA_OIF).and_then(|bytes| u32_at(bytes, 0)) {
        Some(interface) if answer.payload.get(7) == Some(&libc::RTN_UNICAST) => {
            RouteAnswer::Forwarded { interface, next_hop: gateway.unwrap_or(destination) }
        }
        _ => RouteAnswer::Unroutable,
    })
}

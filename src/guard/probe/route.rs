//! Asks the kernel what it would do with a packet of a container, without sending one: neither a
//! privilege nor a container is needed.

use std::io;
use std::net::IpAddr;

use netlink_packet_core::{DefaultNla, NLM_F_ACK, parse_ip, parse_u32};
use nix::libc;

use super::super::links::{self, Link};
use super::packet::octets;

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
    let incoming = DefaultNla::new(libc::RTA_IIF, bridge.index.to_ne_bytes().to_vec());
    match ask(destination, &[DefaultNla::new(libc::RTA_SRC, octets(source)), incoming]) {
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
fn ask(destination: IpAddr, attributes: &[DefaultNla]) -> io::Result<RouteAnswer> {
    const HEADER: usize = 12;
    let to = octets(destination);
    let (family, bits) =
        if destination.is_ipv4() { (libc::AF_INET, 32) } else { (libc::AF_INET6, 128) };
    let mut header = [0; HEADER];
    (header[0], header[1]) = (family as u8, bits);
    if !attributes.is_empty() {
        header[2] = bits;
    }
    let attributes = [&[DefaultNla::new(libc::RTA_DST, to)], attributes].concat();
    let messages = links::ask(libc::RTM_GETROUTE, NLM_F_ACK, &header, &attributes)?;
    let answer = messages.first().ok_or(io::ErrorKind::InvalidData)?;
    let attribute = |kind| links::attribute(&answer.payload, HEADER, kind);
    let gateway = attribute(libc::RTA_GATEWAY).and_then(|bytes| parse_ip(&bytes).ok());
    let interface = attribute(libc::RTA_OIF).and_then(|bytes| parse_u32(&bytes).ok());
    Ok(match interface {
        Some(interface) if answer.payload.get(7) == Some(&libc::RTN_UNICAST) => {
            RouteAnswer::Forwarded { interface, next_hop: gateway.unwrap_or(destination) }
        }
        _ => RouteAnswer::Unroutable,
    })
}

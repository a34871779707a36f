//! The host's links, their addresses, and the neighbours it cannot reach, asked of the kernel over
//! rtnetlink.
//!
//! Only the few attributes needed are read, by number (linux/if_link.h, if_addr.h, neighbour.h): an
//! attribute that a newer kernel adds or widens must not cost us the message.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::NlasIterator;
use nix::libc;
use nix::sys::socket::SockProtocol;

use super::netlink::{self, ACK, DUMP, Message};
use super::rules::Family;

/// A network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    /// `bridge`, `veth`, `macvlan`, …; empty for hardware.
    pub(crate) kind: String,
    pub(crate) up: bool,
    pub(crate) mtu: u32,
    pub(crate) mac: [u8; 6],
    /// Address and length of its subnet.
    pub(crate) v4: Option<(Ipv4Addr, u8)>,
    /// The global one.
    pub(crate) v6: Option<(Ipv6Addr, u8)>,
}

impl Link {
    /// Whether containers may hang off it: a bridge with an address, which is what Docker and CNI
    /// make.
    pub(crate) fn is_network(&self) -> bool {
        self.kind == "bridge" && (self.v4.is_some() || self.v6.is_some())
    }

    /// An address of its subnet that is not its own, counted from the end, where Docker gives out
    /// addresses last; nobody needs to answer there, but the kernel would drop a packet from
    /// outside the subnet. `None`: it has no address of this family, or a subnet too small for
    /// guests.
    pub(crate) fn guest(&self, family: Family, nth: u32) -> Option<IpAddr> {
        match family {
            Family::V4 => {
                self.v4.and_then(|(own, length)| guest_v4(own, length, nth)).map(IpAddr::V4)
            }
            Family::V6 => {
                self.v6.and_then(|(own, length)| guest_v6(own, length, nth)).map(IpAddr::V6)
            }
        }
    }
}

fn guest_v4(own: Ipv4Addr, length: u8, nth: u32) -> Option<Ipv4Addr> {
    let hosts = u32::MAX.checked_shr(length.into()).filter(|hosts| *hosts >= 7)?;
    let broadcast = own.to_bits() | hosts;
    // Without the broadcast, the subnet itself and its own: one less than two.
    let guest = broadcast - 1 - nth % (hosts - 2);
    Some(Ipv4Addr::from_bits(if guest <= own.to_bits() { guest - 1 } else { guest }))
}

fn guest_v6(own: Ipv6Addr, length: u8, nth: u32) -> Option<Ipv6Addr> {
    (length <= 112).then(|| Ipv6Addr::from_bits(own.to_bits() ^ u128::from(0xfffe - nth % 0xfff0)))
}

/// Every link of this network namespace.
pub(crate) fn read() -> io::Result<Vec<Link>> {
    const HEADER: [u8; 16] = [0; 16];
    let mut links: Vec<Link> = dump(libc::RTM_GETLINK, &HEADER)?
        .iter()
        .filter_map(|message| link(&message.payload))
        .collect();
    for message in dump(libc::RTM_GETADDR, &HEADER[..8])? {
        add_address(&message.payload, &mut links);
    }
    Ok(links)
}

/// Neighbours on a link that were asked for and do not answer: nothing leaves for them, fence or no
/// fence.
pub(crate) fn silent_neighbours() -> io::Result<Vec<IpAddr>> {
    const SILENT: u16 = libc::NUD_INCOMPLETE | libc::NUD_FAILED;
    const HEADER: usize = 12;
    let silent =
        |message: &&Message| u16_at(&message.payload, 8).is_some_and(|state| state & SILENT != 0);
    let address = |message: &Message| {
        attributes(&message.payload, HEADER)
            .find(|(kind, _)| *kind == libc::NDA_DST)
            .and_then(|(_, value)| ip(&value))
    };
    Ok(dump(libc::RTM_GETNEIGH, &[0; HEADER])?.iter().filter(silent).filter_map(address).collect())
}

/// Makes link `index` a port of `bridge`, with this MAC and MTU, and switches it on.
pub(crate) fn plug(index: u32, bridge: &Link, mac: [u8; 6]) -> io::Result<()> {
    let up = libc::IFF_UP as u32;
    let mut body = [[0; 4], index.to_ne_bytes(), up.to_ne_bytes(), up.to_ne_bytes()].concat();
    for (kind, value) in [
        (libc::IFLA_ADDRESS, &mac[..]),
        (libc::IFLA_MTU, &bridge.mtu.to_ne_bytes()),
        (libc::IFLA_MASTER, &bridge.index.to_ne_bytes()),
    ] {
        body.extend_from_slice(&(4 + value.len() as u16).to_ne_bytes());
        body.extend_from_slice(&kind.to_ne_bytes());
        body.extend_from_slice(value);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    netlink::ask(SockProtocol::NetlinkRoute, &netlink::request(libc::RTM_SETLINK, ACK, &body), 1)
        .map(drop)
}

fn dump(kind: u16, header: &[u8]) -> io::Result<Vec<Message>> {
    netlink::ask(SockProtocol::NetlinkRoute, &netlink::request(kind, DUMP, header), 1)
}

fn link(payload: &[u8]) -> Option<Link> {
    const HEADER: usize = 16;
    let index = u32_at(payload, 4)?;
    let up = u32_at(payload, 8)? & libc::IFF_UP as u32 != 0;
    let mut link = Link { index, up, ..Link::default() };
    for (kind, value) in attributes(payload, HEADER) {
        match kind {
            libc::IFLA_IFNAME => link.name = text(&value),
            libc::IFLA_MTU => link.mtu = u32_at(&value, 0)?,
            libc::IFLA_ADDRESS => link.mac = value.try_into().unwrap_or_default(),
            libc::IFLA_LINKINFO => link.kind = kind_of(&value),
            _ => {}
        }
    }
    Some(link)
}

fn kind_of(linkinfo: &[u8]) -> String {
    attributes(linkinfo, 0)
        .find(|(kind, _)| *kind == libc::IFLA_INFO_KIND)
        .map(|(_, value)| text(&value))
        .unwrap_or_default()
}

fn add_address(payload: &[u8], links: &mut [Link]) {
    const HEADER: usize = 8;
    const GLOBAL: u8 = 0;
    let (Some(length), Some(scope), Some(index)) =
        (payload.get(1), payload.get(3), u32_at(payload, 4))
    else {
        return;
    };
    let Some(link) = links.iter_mut().find(|link| link.index == index) else { return };
    let found: Vec<_> = attributes(payload, HEADER).collect();
    let of =
        |wanted| found.iter().find(|(kind, _)| *kind == wanted).and_then(|(_, value)| ip(value));
    // On a point-to-point link IFA_ADDRESS is the other end; IFA_LOCAL, where there is one, is
    // always ours.
    match of(libc::IFA_LOCAL).or_else(|| of(libc::IFA_ADDRESS)) {
        Some(IpAddr::V4(address)) => _ = link.v4.get_or_insert((address, *length)),
        Some(IpAddr::V6(address)) if *scope == GLOBAL => {
            _ = link.v6.get_or_insert((address, *length))
        }
        _ => {}
    }
}

/// The attributes after a fixed header, up to the first that is broken.
fn attributes(payload: &[u8], header: usize) -> impl Iterator<Item = (u16, Vec<u8>)> {
    let rest = payload.get(header..).unwrap_or_default();
    NlasIterator::new(rest)
        .map_while(Result::ok)
        .map(|attribute| (attribute.kind(), attribute.value().to_vec()))
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_ne_bytes(*word))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|word| u16::from_ne_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bridge(v4: &str, length: u8) -> Link {
        Link { kind: "bridge".into(), v4: Some((v4.parse().unwrap(), length)), ..Link::default() }
    }

    #[test]
    fn a_guest_is_in_the_subnet_and_never_the_bridge_itself() {
        assert_eq!(
            bridge("172.17.0.1", 16).guest(Family::V4, 0),
            Some("172.17.255.254".parse().unwrap())
        );
        assert_eq!(
            bridge("172.17.255.254", 16).guest(Family::V4, 0),
            Some("172.17.255.253".parse().unwrap())
        );
        assert_eq!(bridge("10.0.0.1", 29).guest(Family::V4, 1), Some("10.0.0.5".parse().unwrap()));
        assert_eq!(bridge("10.0.0.1", 31).guest(Family::V4, 0), None);
        assert_eq!(
            bridge("10.0.0.1", 0).guest(Family::V4, 0),
            Some("255.255.255.254".parse().unwrap())
        );
    }

    #[test]
    fn every_guest_of_a_small_subnet_is_a_host_in_it() {
        for own in 1..=6 {
            let link = bridge(&format!("10.0.0.{own}"), 29);
            let guests: Vec<_> = (0..5)
                .filter_map(|nth| link.guest(Family::V4, nth))
                .map(|guest| guest.to_string())
                .collect();
            let mut others: Vec<_> =
                (1..=6).filter(|host| *host != own).map(|host| format!("10.0.0.{host}")).collect();
            others.reverse();
            assert_eq!(guests, others, "own {own}");
        }
    }

    #[test]
    fn guests_of_one_bridge_differ() {
        let link = Link { v6: Some(("fd00:1ab::1".parse().unwrap(), 64)), ..Link::default() };
        assert_eq!(link.guest(Family::V6, 0), Some("fd00:1ab::ffff".parse().unwrap()));
        assert_ne!(link.guest(Family::V6, 0), link.guest(Family::V6, 1));
        assert_eq!(link.guest(Family::V4, 0), None);
    }

    #[test]
    fn the_loopback_link_is_read_with_its_address_and_is_no_network() {
        let links = read().unwrap();
        let loopback =
            links.iter().find(|link| link.name == "lo").expect("every namespace has one");
        assert!(!loopback.is_network() && loopback.index == 1 && loopback.kind.is_empty());
        assert!(!loopback.up || loopback.v4 == Some((Ipv4Addr::LOCALHOST, 8)), "{loopback:?}");
    }
}

//! The host's links, their addresses, and the neighbours that do not answer, asked of the kernel
//! over rtnetlink.
//!
//! Only the few attributes needed are read, by number (linux/if_link.h, if_addr.h, neighbour.h): an
//! attribute that a newer kernel adds or widens must not make a message unreadable.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::{
    DefaultNla, Emitable, NLM_F_ACK, NLM_F_DUMP, NlasIterator, parse_ip, parse_u32,
};
use nix::libc;
use nix::sys::socket::SockProtocol;

use super::addresses::IpFamily;
use super::netlink::{self, Message};

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
    /// Address and prefix length.
    pub(crate) v4: Option<(Ipv4Addr, u8)>,
    /// The global one.
    pub(crate) v6: Option<(Ipv6Addr, u8)>,
}

impl Link {
    /// Whether containers may be attached to it: a bridge with an address, which is what Docker and
    /// CNI make.
    pub(crate) fn is_network(&self) -> bool {
        self.kind == "bridge" && (self.v4.is_some() || self.v6.is_some())
    }

    /// An address of its subnet for a probe to send from. It is not the bridge's own, and is
    /// counted from the end, where Docker assigns addresses last. No container needs to have
    /// it, but the kernel would drop a packet from outside the subnet. `None`: the link has no
    /// address of this family, or the subnet is too small.
    pub(crate) fn probe_address(&self, family: IpFamily, nth: u32) -> Option<IpAddr> {
        match family {
            IpFamily::V4 => probe_v4(self.v4?, nth).map(IpAddr::V4),
            IpFamily::V6 => probe_v6(self.v6?, nth).map(IpAddr::V6),
        }
    }
}

fn probe_v4((own, prefix): (Ipv4Addr, u8), nth: u32) -> Option<Ipv4Addr> {
    let hosts = u32::MAX.checked_shr(prefix.into()).filter(|hosts| *hosts >= 7)?;
    let broadcast = own.to_bits() | hosts;
    // Without the broadcast, the subnet itself and its own: one less than two.
    let address = broadcast - 1 - nth % (hosts - 2);
    Some(Ipv4Addr::from_bits(if address <= own.to_bits() { address - 1 } else { address }))
}

fn probe_v6((own, prefix): (Ipv6Addr, u8), nth: u32) -> Option<Ipv6Addr> {
    (prefix <= 112).then(|| Ipv6Addr::from_bits(own.to_bits() ^ u128::from(0xfffe - nth % 0xfff0)))
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

/// Neighbours on a link that do not answer: no packet leaves for them, with or without a guard.
pub(crate) fn unreachable_neighbours() -> io::Result<Vec<IpAddr>> {
    const UNREACHABLE: u16 = libc::NUD_INCOMPLETE | libc::NUD_FAILED;
    const HEADER: usize = 12;
    let address = |message: &Message| {
        let state = u16::from_ne_bytes(*message.payload.get(8..)?.first_chunk()?);
        let destination = attribute(&message.payload, HEADER, libc::NDA_DST)?;
        parse_ip(&destination).ok().filter(|_| state & UNREACHABLE != 0)
    };
    Ok(dump(libc::RTM_GETNEIGH, &[0; HEADER])?.iter().filter_map(address).collect())
}

/// Makes link `index` a port of `bridge`, with this MAC and the bridge's MTU, and brings it up.
pub(crate) fn attach(index: u32, bridge: &Link, mac: [u8; 6]) -> io::Result<()> {
    let up = libc::IFF_UP as u32;
    let header = [[0; 4], index.to_ne_bytes(), up.to_ne_bytes(), up.to_ne_bytes()].concat();
    let attributes = [
        DefaultNla::new(libc::IFLA_ADDRESS, mac.to_vec()),
        DefaultNla::new(libc::IFLA_MTU, bridge.mtu.to_ne_bytes().to_vec()),
        DefaultNla::new(libc::IFLA_MASTER, bridge.index.to_ne_bytes().to_vec()),
    ];
    let mut encoded = vec![0; attributes.as_slice().buffer_len()];
    attributes.as_slice().emit(&mut encoded);
    let request = netlink::request(libc::RTM_SETLINK, NLM_F_ACK, &[header, encoded].concat());
    netlink::ask(SockProtocol::NetlinkRoute, &request, 1).map(drop)
}

fn dump(kind: u16, header: &[u8]) -> io::Result<Vec<Message>> {
    netlink::ask(SockProtocol::NetlinkRoute, &netlink::request(kind, NLM_F_DUMP, header), 1)
}

fn link(payload: &[u8]) -> Option<Link> {
    let value = |kind| attribute(payload, 16, kind).unwrap_or_default();
    let kind = attribute(&value(libc::IFLA_LINKINFO), 0, libc::IFLA_INFO_KIND);
    Some(Link {
        index: u32_at(payload, 4)?,
        name: text(&value(libc::IFLA_IFNAME)),
        kind: text(&kind.unwrap_or_default()),
        up: u32_at(payload, 8)? & libc::IFF_UP as u32 != 0,
        mtu: parse_u32(&value(libc::IFLA_MTU)).unwrap_or_default(),
        mac: value(libc::IFLA_ADDRESS).try_into().unwrap_or_default(),
        v4: None,
        v6: None,
    })
}

fn add_address(payload: &[u8], links: &mut [Link]) {
    const GLOBAL: u8 = 0;
    let (Some([_, prefix, _, scope]), Some(index)) = (payload.first_chunk(), u32_at(payload, 4))
    else {
        return;
    };
    let Some(link) = links.iter_mut().find(|link| link.index == index) else { return };
    let address = |kind| parse_ip(&attribute(payload, 8, kind)?).ok();
    // On a point-to-point link IFA_ADDRESS is the other end; IFA_LOCAL, where there is one, is
    // always the host's own.
    match address(libc::IFA_LOCAL).or_else(|| address(libc::IFA_ADDRESS)) {
        Some(IpAddr::V4(address)) => _ = link.v4.get_or_insert((address, *prefix)),
        Some(IpAddr::V6(address)) if *scope == GLOBAL => {
            _ = link.v6.get_or_insert((address, *prefix))
        }
        _ => {}
    }
}

/// The value of the first attribute of this kind after a header of this length.
fn attribute(payload: &[u8], header: usize, kind: u16) -> Option<Vec<u8>> {
    NlasIterator::new(payload.get(header..)?)
        .map_while(Result::ok)
        .find(|attribute| attribute.kind() == kind)
        .map(|attribute| attribute.value().to_vec())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned()
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bridge(v4: &str, length: u8) -> Link {
        Link { kind: "bridge".into(), v4: Some((v4.parse().unwrap(), length)), ..Link::default() }
    }

    #[test]
    fn probe_address_is_in_the_subnet_and_not_the_bridges() {
        assert_eq!(
            bridge("172.17.0.1", 16).probe_address(IpFamily::V4, 0),
            Some("172.17.255.254".parse().unwrap())
        );
        assert_eq!(
            bridge("172.17.255.254", 16).probe_address(IpFamily::V4, 0),
            Some("172.17.255.253".parse().unwrap())
        );
        assert_eq!(
            bridge("10.0.0.1", 29).probe_address(IpFamily::V4, 1),
            Some("10.0.0.5".parse().unwrap())
        );
        assert_eq!(bridge("10.0.0.1", 31).probe_address(IpFamily::V4, 0), None);
        assert_eq!(
            bridge("10.0.0.1", 0).probe_address(IpFamily::V4, 0),
            Some("255.255.255.254".parse().unwrap())
        );
    }

    #[test]
    fn probe_addresses_of_a_small_subnet_are_its_hosts() {
        for own in 1..=6 {
            let link = bridge(&format!("10.0.0.{own}"), 29);
            let addresses: Vec<_> = (0..5)
                .filter_map(|nth| link.probe_address(IpFamily::V4, nth))
                .map(|address| address.to_string())
                .collect();
            let mut others: Vec<_> =
                (1..=6).filter(|host| *host != own).map(|host| format!("10.0.0.{host}")).collect();
            others.reverse();
            assert_eq!(addresses, others, "own {own}");
        }
    }

    #[test]
    fn probe_addresses_of_one_bridge_differ() {
        let link = Link { v6: Some(("fd00:1ab::1".parse().unwrap(), 64)), ..Link::default() };
        assert_eq!(link.probe_address(IpFamily::V6, 0), Some("fd00:1ab::ffff".parse().unwrap()));
        assert_ne!(link.probe_address(IpFamily::V6, 0), link.probe_address(IpFamily::V6, 1));
        assert_eq!(link.probe_address(IpFamily::V4, 0), None);
    }

    #[test]
    fn loopback_is_read_with_its_address_and_is_not_a_network() {
        let links = read().unwrap();
        let loopback =
            links.iter().find(|link| link.name == "lo").expect("every namespace has one");
        assert!(!loopback.is_network() && loopback.index == 1 && loopback.kind.is_empty());
        assert!(!loopback.up || loopback.v4 == Some((Ipv4Addr::LOCALHOST, 8)), "{loopback:?}");
    }
}

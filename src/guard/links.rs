//! The host's links and their addresses, asked of the kernel over rtnetlink.
//!
//! Only the few attributes needed are read, by number (linux/if_link.h, if_addr.h, neighbour.h): an
//! attribute that a newer kernel adds or widens must not make a message unreadable.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::{DefaultNla, Emitable, NLM_F_DUMP, NlasIterator, parse_ip, parse_u32};
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
    /// A bridge has one as long as one of its ports is up and forwards.
    pub(crate) carrier: bool,
    /// The bridge whose port it is; 0 if it is none's.
    pub(crate) master: u32,
    pub(crate) mac: [u8; 6],
    /// Addresses and prefix lengths.
    pub(crate) v4: Vec<(Ipv4Addr, u8)>,
    /// The global ones.
    pub(crate) v6: Vec<(Ipv6Addr, u8)>,
}

impl Link {
    /// Whether containers may be attached to it: a bridge with an address, which is what Docker and
    /// CNI make.
    pub(crate) fn is_network(&self) -> bool {
        self.is_bridge() && !(self.v4.is_empty() && self.v6.is_empty())
    }

    pub(crate) fn is_bridge(&self) -> bool {
        self.kind == "bridge"
    }

    pub(crate) fn has_family(&self, family: IpFamily) -> bool {
        match family {
            IpFamily::V4 => !self.v4.is_empty(),
            IpFamily::V6 => !self.v6.is_empty(),
        }
    }

    /// An address of each of its subnets for a probe to send from. It is not the bridge's own, and
    /// is counted from the end, where Docker assigns addresses last. No container needs to have
    /// it, but the kernel would drop a packet from outside the subnet. Empty: the link has no
    /// address of this family, or no subnet has room.
    pub(crate) fn probe_addresses(&self, family: IpFamily, nth: u32) -> Vec<IpAddr> {
        let mut addresses: Vec<IpAddr> = match family {
            IpFamily::V4 => self.v4.iter().filter_map(|own| probe_v4(*own, nth)).collect(),
            IpFamily::V6 => self.v6.iter().filter_map(|own| probe_v6(*own, nth)).collect(),
        };
        addresses.sort();
        addresses.dedup();
        addresses
    }
}

fn probe_v4((own, prefix): (Ipv4Addr, u8), nth: u32) -> Option<IpAddr> {
    let own = own.to_bits();
    let address = match u32::MAX.checked_shr(prefix.into())? {
        0 => return None,
        // The two ends of a link.
        1 => own ^ 1,
        hosts => {
            // Without the broadcast, the subnet itself and its own: one less than two.
            let address = (own | hosts) - 1 - nth % (hosts - 2);
            if address <= own { address - 1 } else { address }
        }
    };
    Some(Ipv4Addr::from_bits(address).into())
}

fn probe_v6((own, prefix): (Ipv6Addr, u8), nth: u32) -> Option<IpAddr> {
    const LAST: u32 = 0xffff;
    let hosts = u128::MAX.checked_shr(prefix.into())?.min(LAST.into());
    let nth = u128::from(nth).checked_rem(hosts)?;
    Some(Ipv6Addr::from_bits(own.to_bits() ^ (hosts - nth)).into())
}

/// Every link of this network namespace.
pub(crate) fn read() -> io::Result<Vec<Link>> {
    const HEADER: [u8; 16] = [0; 16];
    let links = dump(libc::RTM_GETLINK, &HEADER)?;
    Ok(parse(&links, &dump(libc::RTM_GETADDR, &HEADER[..8])?))
}

/// The links of one dump with the addresses of another.
pub(super) fn parse(links: &[Message], addresses: &[Message]) -> Vec<Link> {
    let mut links: Vec<Link> = links.iter().filter_map(|message| link(&message.payload)).collect();
    addresses.iter().for_each(|message| add_address(&message.payload, &mut links));
    links
}

pub(crate) fn dump(kind: u16, header: &[u8]) -> io::Result<Vec<Message>> {
    netlink::ask(SockProtocol::NetlinkRoute, &netlink::request(kind, NLM_F_DUMP, header), 1)
}

/// Asks for a change, or one answer, with this header and these attributes.
pub(crate) fn ask(
    kind: u16,
    flags: u16,
    header: &[u8],
    attributes: &[DefaultNla],
) -> io::Result<Vec<Message>> {
    let body = [header, &encoded(attributes)].concat();
    netlink::ask(SockProtocol::NetlinkRoute, &netlink::request(kind, flags, &body), 1)
}

/// Attributes as they are sent, also as the value of another.
pub(crate) fn encoded(attributes: &[DefaultNla]) -> Vec<u8> {
    let mut bytes = vec![0; attributes.buffer_len()];
    attributes.emit(&mut bytes);
    bytes
}

fn link(payload: &[u8]) -> Option<Link> {
    const LOWER_UP: u32 = 1 << 16; // IFF_LOWER_UP of linux/if.h
    let value = |kind| attribute(payload, 16, kind).unwrap_or_default();
    let kind = attribute(&value(libc::IFLA_LINKINFO), 0, libc::IFLA_INFO_KIND);
    let flags = u32_at(payload, 8)?;
    Some(Link {
        index: u32_at(payload, 4)?,
        name: text(&value(libc::IFLA_IFNAME)),
        kind: text(&kind.unwrap_or_default()),
        up: flags & libc::IFF_UP as u32 != 0,
        carrier: flags & LOWER_UP != 0,
        master: parse_u32(&value(libc::IFLA_MASTER)).unwrap_or_default(),
        mac: value(libc::IFLA_ADDRESS).try_into().unwrap_or_default(),
        v4: vec![],
        v6: vec![],
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
        Some(IpAddr::V4(address)) => link.v4.push((address, *prefix)),
        Some(IpAddr::V6(address)) if *scope == GLOBAL => link.v6.push((address, *prefix)),
        _ => {}
    }
}

/// The value of the first attribute of this kind after a header of this length.
pub(crate) fn attribute(payload: &[u8], header: usize, kind: u16) -> Option<Vec<u8>> {
    NlasIterator::new(payload.get(header..)?)
        .map_while(Result::ok)
        .find(|attribute| attribute.kind() == kind)
        .map(|attribute| attribute.value().to_vec())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned()
}

pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe_address(own: &str, prefix: u8, nth: u32) -> Option<String> {
        let mut link = Link::default();
        let family = match own.parse().unwrap() {
            IpAddr::V4(own) => {
                link.v4.push((own, prefix));
                IpFamily::V4
            }
            IpAddr::V6(own) => {
                link.v6.push((own, prefix));
                IpFamily::V6
            }
        };
        link.probe_addresses(family, nth).pop().map(|address| address.to_string())
    }

    #[test]
    fn probe_address_is_in_the_subnet_and_not_the_bridges() {
        for (own, prefix, nth, wanted) in [
            ("172.17.0.1", 16, 0, Some("172.17.255.254")),
            ("172.17.255.254", 16, 0, Some("172.17.255.253")),
            ("10.0.0.1", 29, 1, Some("10.0.0.5")),
            ("10.0.0.1", 30, 7, Some("10.0.0.2")),
            ("10.0.0.2", 30, 0, Some("10.0.0.1")),
            ("10.0.0.2", 31, 0, Some("10.0.0.3")),
            ("10.0.0.1", 32, 0, None),
            ("10.0.0.1", 0, 0, Some("255.255.255.254")),
            ("fd00:1ab::1", 64, 0, Some("fd00:1ab::fffe")),
            ("fd00:1ab::1", 127, 5, Some("fd00:1ab::")),
            ("fd00:1ab::1", 128, 0, None),
        ] {
            assert_eq!(probe_address(own, prefix, nth).as_deref(), wanted, "{own}/{prefix}");
        }
    }

    #[test]
    fn probe_addresses_of_a_small_subnet_are_its_hosts() {
        for own in 1..=6 {
            let addresses: Vec<_> =
                (0..5).filter_map(|nth| probe_address(&format!("10.0.0.{own}"), 29, nth)).collect();
            let mut others: Vec<_> =
                (1..=6).filter(|host| *host != own).map(|host| format!("10.0.0.{host}")).collect();
            others.reverse();
            assert_eq!(addresses, others, "own {own}");
        }
    }

    #[test]
    fn every_subnet_of_a_link_has_one_probe_address() {
        let v4 = ["172.17.0.1", "172.17.0.2", "10.9.0.1"].map(|own| (own.parse().unwrap(), 16));
        let link = Link { v4: v4.to_vec(), ..Link::default() };
        assert_eq!(link.probe_addresses(IpFamily::V4, 0).len(), 2);
        assert_eq!(link.probe_addresses(IpFamily::V6, 0), [] as [IpAddr; 0]);
    }

    #[test]
    fn loopback_is_read_with_its_address_and_is_not_a_network() {
        let links = read().unwrap();
        let loopback =
            links.iter().find(|link| link.name == "lo").expect("every namespace has one");
        assert!(!loopback.is_network() && loopback.index == 1 && loopback.kind.is_empty());
        assert!(!loopback.up || loopback.v4.contains(&(Ipv4Addr::LOCALHOST, 8)), "{loopback:?}");
    }
}

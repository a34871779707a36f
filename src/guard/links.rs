//! The host's links and their addresses, asked of the kernel over rtnetlink.
//!
//! Only the few attributes needed are read, by number (linux/if_link.h, if_addr.h, neighbour.h): an
//! attribute that a newer kernel adds or widens must not make a message unreadable.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nix::libc;

use super::addresses::{IpFamily, from_octets};
use super::netlink::{self, Message, string, u32_at, value};

/// struct ifinfomsg.
const LINK_HEADER: usize = 16;
/// struct ifaddrmsg.
const ADDRESS_HEADER: usize = 8;

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
    /// With their prefix lengths; of IPv6 the global ones.
    pub(crate) addresses: Vec<(IpAddr, u8)>,
}

impl Link {
    /// Whether containers may be attached to it: a bridge with an address, which is what Docker and
    /// CNI make.
    pub(crate) fn is_network(&self) -> bool {
        self.is_bridge() && !self.addresses.is_empty()
    }

    pub(crate) fn is_bridge(&self) -> bool {
        self.kind == "bridge"
    }

    /// Its addresses of this family.
    pub(crate) fn of_family(&self, family: IpFamily) -> impl Iterator<Item = (IpAddr, u8)> {
        let v4 = family == IpFamily::V4;
        self.addresses.iter().copied().filter(move |(address, _)| address.is_ipv4() == v4)
    }

    /// An address of each of its subnets for a probe to send from. It is not the bridge's own, and
    /// is counted from the end, where Docker assigns addresses last. No container needs to have
    /// it, but the kernel would drop a packet from outside the subnet. Empty: the link has no
    /// address of this family, or no subnet has room.
    pub(crate) fn probe_addresses(&self, family: IpFamily, nth: u32) -> BTreeSet<IpAddr> {
        let probe = |(own, prefix)| match own {
            IpAddr::V4(own) => probe_v4(own, prefix, nth),
            IpAddr::V6(own) => probe_v6(own, prefix, nth),
        };
        self.of_family(family).filter_map(probe).collect()
    }
}

fn probe_v4(own: Ipv4Addr, prefix: u8, nth: u32) -> Option<IpAddr> {
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

fn probe_v6(own: Ipv6Addr, prefix: u8, nth: u32) -> Option<IpAddr> {
    const LAST: u32 = 0xffff;
    let hosts = u128::MAX.checked_shr(prefix.into())?.min(LAST.into());
    let nth = u128::from(nth).checked_rem(hosts)?;
    Some(Ipv6Addr::from_bits(own.to_bits() ^ (hosts - nth)).into())
}

/// Every link of this network namespace.
pub(crate) fn read() -> io::Result<Vec<Link>> {
    let links = netlink::route(libc::RTM_GETLINK, libc::NLM_F_DUMP, &[0; LINK_HEADER])?;
    let addresses = netlink::route(libc::RTM_GETADDR, libc::NLM_F_DUMP, &[0; ADDRESS_HEADER])?;
    Ok(parse(&links, &addresses))
}

/// The links of one dump with the addresses of another.
pub(super) fn parse(links: &[Message], addresses: &[Message]) -> Vec<Link> {
    let mut links: Vec<Link> = links.iter().filter_map(link).collect();
    for (index, prefix, address) in addresses.iter().filter_map(address) {
        let Some(link) = links.iter_mut().find(|link| link.index == index) else { continue };
        link.addresses.push((address, prefix));
    }
    links
}

fn link(message: &Message) -> Option<Link> {
    const LOWER_UP: u32 = 1 << 16; // IFF_LOWER_UP of linux/if.h
    let value = |kind| value(message.attributes(LINK_HEADER), kind).unwrap_or_default();
    let kind = netlink::value(value(libc::IFLA_LINKINFO), libc::IFLA_INFO_KIND);
    let flags = u32_at(&message.payload, 8)?;
    Some(Link {
        index: u32_at(&message.payload, 4)?,
        name: string(value(libc::IFLA_IFNAME)),
        kind: string(kind.unwrap_or_default()),
        up: flags & libc::IFF_UP as u32 != 0,
        carrier: flags & LOWER_UP != 0,
        master: u32_at(value(libc::IFLA_MASTER), 0).unwrap_or_default(),
        mac: value(libc::IFLA_ADDRESS).try_into().unwrap_or_default(),
        ..Link::default()
    })
}

/// A link's index, and its address and prefix length, if it is one that containers use.
fn address(message: &Message) -> Option<(u32, u8, IpAddr)> {
    const GLOBAL: u8 = 0;
    let [_, prefix, _, scope] = *message.payload.first_chunk()?;
    let address = |kind| from_octets(value(message.attributes(ADDRESS_HEADER), kind)?);
    // On a point-to-point link IFA_ADDRESS is the other end; IFA_LOCAL, where there is one, is
    // always the host's own.
    let address = address(libc::IFA_LOCAL).or_else(|| address(libc::IFA_ADDRESS))?;
    let is_meant = address.is_ipv4() || scope == GLOBAL;
    is_meant.then_some((u32_at(&message.payload, 4)?, prefix, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe_address(own: &str, prefix: u8, nth: u32) -> Option<String> {
        let own: IpAddr = own.parse().unwrap();
        let family = if own.is_ipv4() { IpFamily::V4 } else { IpFamily::V6 };
        let link = Link { addresses: vec![(own, prefix)], ..Link::default() };
        link.probe_addresses(family, nth).pop_last().map(|address| address.to_string())
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
        let own = ["172.17.0.1", "172.17.0.2", "10.9.0.1"].map(|own| (own.parse().unwrap(), 16));
        let link = Link { addresses: own.to_vec(), ..Link::default() };
        assert_eq!(link.probe_addresses(IpFamily::V4, 0).len(), 2);
        assert!(link.probe_addresses(IpFamily::V6, 0).is_empty());
    }

    #[test]
    fn loopback_is_read_with_its_address_and_is_not_a_network() {
        let links = read().unwrap();
        let loopback =
            links.iter().find(|link| link.name == "lo").expect("every namespace has one");
        assert!(!loopback.is_network() && loopback.index == 1 && loopback.kind.is_empty());
        assert!(
            !loopback.up || loopback.addresses.contains(&(Ipv4Addr::LOCALHOST.into(), 8)),
            "{loopback:?}"
        );
    }
}

//! Bridges that hold an uplink: what a container there sends to the router is a frame that the
//! bridge passes on, which no routing and, without br_netfilter, no inet table sees.

use super::super::addresses::IpFamily;
use super::super::links::Link;
use super::neighbours::{self, Neighbour};
use super::route::{self, RouteAnswer};

/// A bridge that passes frames out of the host.
pub(crate) struct FramePath<'a> {
    pub(crate) bridge: &'a Link,
    /// Ports that lead out of the host.
    pub(crate) uplinks: Vec<&'a Link>,
    /// The other ports that are up: containers.
    pub(crate) guests: Vec<&'a Link>,
    /// The router's MAC, where the host itself reaches metadata through the bridge.
    pub(crate) router: Option<[u8; 6]>,
}

/// Every bridge with an uplink among its ports.
pub(crate) fn find<'a>(links: &'a [Link], known: &[Neighbour]) -> Vec<FramePath<'a>> {
    let bridges: Vec<_> = links
        .iter()
        .filter(|link| link.is_bridge() && links.iter().any(|port| port.master == link.index))
        .collect();
    if bridges.is_empty() {
        return vec![];
    }
    let routers = IpFamily::ALL.map(|family| router(family, known));
    let learned = neighbours::learned().unwrap_or_default();
    let path = |bridge: &'a Link| {
        let router = routers.iter().flatten().find(|router| router.interface == bridge.index);
        let router = router.map(|router| router.mac);
        let (uplinks, others): (Vec<_>, Vec<_>) =
            links.iter().filter(|port| port.master == bridge.index).partition(|port| {
                is_uplink(port) || router.is_some_and(|mac| learned.contains(&(port.index, mac)))
            });
        let guests = others.into_iter().filter(|port| port.up && port.carrier).collect();
        FramePath { bridge, uplinks, guests, router }
    };
    bridges.into_iter().map(path).filter(|path| !path.uplinks.is_empty()).collect()
}

/// The neighbour to which the host sends its own packets to metadata.
fn router(family: IpFamily, known: &[Neighbour]) -> Option<&Neighbour> {
    let Some(RouteAnswer::Forwarded { interface, next_hop }) = route::own_route(family.metadata())
    else {
        return None;
    };
    let is_next = |neighbour: &&Neighbour| {
        (neighbour.interface, neighbour.address, neighbour.answers) == (interface, next_hop, true)
    };
    known.iter().find(is_next)
}

/// Containers have veth pairs, virtual machines TAP devices. Where the host itself runs in a
/// container, its uplink is a veth as well, and is named as hardware is.
fn is_uplink(port: &Link) -> bool {
    const OF_GUESTS: [&str; 2] = ["veth", "tun"];
    !OF_GUESTS.contains(&port.kind.as_str())
        || ["eth", "en"].iter().any(|beginning| port.name.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uplink_is_hardware_or_named_like_it() {
        let port = |kind: &str, name: &str| Link {
            kind: kind.into(),
            name: name.into(),
            ..Link::default()
        };
        assert!(is_uplink(&port("", "ens5")) && is_uplink(&port("veth", "eth0")));
        assert!(is_uplink(&port("bond", "bond0")));
        assert!(!is_uplink(&port("veth", "veth12ab")) && !is_uplink(&port("tun", "vnet0")));
    }
}

//! Proves the fence with packets: what a container on each bridge would send to instance metadata,
//! and whether it leaves the host.
//!
//! A TAP device becomes a port of the bridge and stands for a container there. Two SYNs are written
//! into it, one to metadata and one to the VPC's resolver, which no fence should touch (the
//! control). A packet socket watches what leaves the host, so that nothing hangs on an answer, on
//! NAT, or on a route back:
//!
//! | the control | metadata | verdict |
//! | --- | --- | --- |
//! | any | seen | leaks |
//! | seen | not seen | blocked |
//! | not seen | not seen | inconclusive, with the reason |
//!
//! Takes links; gives a verdict for each bridge and family, all at the same time. Touches nothing
//! that outlives the process.

mod packet;
mod tap;
mod watch;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout};
use tap::Tap;
use watch::Watch;

use super::links::{self, Link};
use super::rules::{CREDENTIALS, Family};

/// For all networks together; a network that lets nothing through at all takes this long.
const LONGEST: Duration = Duration::from_millis(1200);
/// How long metadata's SYN may lag behind the control's.
const GRACE: Duration = Duration::from_millis(300);
/// A bridge that was down needs a moment to forward: send again.
const AGAIN: Duration = Duration::from_millis(150);

/// What the packets showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Blocked,
    Leaks,
    /// The reason; never to be called blocked.
    Inconclusive(String),
}

/// The verdict on one network in one family.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) network: String,
    pub(crate) family: Family,
    pub(crate) verdict: Verdict,
}

/// What a round over all bridges found out.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) networks: Vec<Finding>,
    /// Networks where a packet to the task credentials' address was seen to pass, and those where
    /// it was not.
    pub(crate) credentials: Vec<(String, bool)>,
}

/// One SYN, sent until it is seen.
struct Flight {
    frame: Vec<u8>,
    to: IpAddr,
    sequence: u32,
    seen: Option<Instant>,
}

/// The two SYNs of one family on one bridge.
struct Pair {
    family: Family,
    control: Flight,
    metadata: Flight,
}

/// One bridge with its guest.
struct Probe {
    bridge: Link,
    tap: Tap,
    pairs: Vec<Pair>,
    /// From an address of its own: if the host asks for that address, it has an answer for this
    /// SYN.
    credentials: Option<(Flight, IpAddr)>,
}

/// Probes every bridge among `links`.
///
/// # Errors
/// `PermissionDenied` without CAP_NET_ADMIN and CAP_NET_RAW, `NotFound` without /dev/net/tun.
pub(crate) fn probe(links: &[Link]) -> io::Result<Findings> {
    let watch = Watch::open()?;
    let bridges = links.iter().filter(|link| link.is_network());
    let taps = bridges
        .map(|bridge| Ok((bridge.index, Tap::plug(bridge)?)))
        .collect::<io::Result<Vec<_>>>()?;
    // Read again: a bridge that had no port has just taken the MAC of its first.
    let links = links::read()?;
    let current = |index| links.iter().find(|link| link.index == index).cloned();
    let mut probes: Vec<Probe> = taps
        .into_iter()
        .filter_map(|(index, tap)| Some(Probe::new(current(index)?, tap)))
        .collect();
    fly(&mut probes, &watch);
    let silent = links::silent_neighbours().unwrap_or_default();
    Ok(Findings {
        networks: probes.iter().flat_map(|probe| probe.findings(&silent)).collect(),
        credentials: probes.iter().filter_map(Probe::credentials_pass).collect(),
    })
}

/// Sends and watches until every verdict is in, or the time is up.
fn fly(probes: &mut [Probe], watch: &Watch) {
    let (start, mut round) = (Instant::now(), Instant::now());
    while start.elapsed() < LONGEST && !probes.iter().all(|probe| probe.decided(start)) {
        if round <= Instant::now() {
            probes.iter().for_each(Probe::send);
            round += AGAIN;
        }
        wait(probes, watch);
        for sighting in watch.sightings() {
            probes.iter_mut().for_each(|probe| probe.saw(&sighting));
        }
        probes.iter_mut().for_each(Probe::listen);
    }
}

/// Until something arrives, at most 10 ms.
fn wait(probes: &[Probe], watch: &Watch) {
    let descriptors = probes.iter().map(|probe| probe.tap.as_fd()).chain([watch.as_fd()]);
    let mut polled: Vec<_> =
        descriptors.map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN)).collect();
    // An interrupted wait is a short one.
    _ = nix::poll::poll(&mut polled, PollTimeout::from(10u8));
}

impl Flight {
    fn new(macs: (&[u8; 6], &[u8; 6]), from: IpAddr, to: SocketAddr) -> Flight {
        let (port, sequence) = (fastrand::u16(32768..61000), fastrand::u32(..));
        Flight {
            frame: packet::syn(macs, SocketAddr::new(from, port), to, sequence),
            to: to.ip(),
            sequence,
            seen: None,
        }
    }

    fn saw(&mut self, sighting: &watch::Sighting) {
        if (sighting.destination, sighting.sequence) == (self.to, self.sequence) {
            self.seen.get_or_insert_with(Instant::now);
        }
    }
}

impl Pair {
    fn new(family: Family, macs: (&[u8; 6], &[u8; 6]), guest: IpAddr) -> Pair {
        const DNS: u16 = 53;
        const HTTP: u16 = 80;
        let flight = |address, port| Flight::new(macs, guest, SocketAddr::new(address, port));
        Pair {
            family,
            control: flight(family.control(), DNS),
            metadata: flight(family.metadata(), HTTP),
        }
    }

    fn decided(&self) -> bool {
        self.metadata.seen.is_some()
            || self.control.seen.is_some_and(|seen| seen.elapsed() >= GRACE)
    }

    fn verdict(&self, bridge: &Link, silent: &[IpAddr]) -> Verdict {
        match (self.metadata.seen, self.control.seen) {
            (Some(_), _) => Verdict::Leaks,
            (None, None) => Verdict::Inconclusive(why_nothing_left(bridge, self.family)),
            (None, Some(_)) if silent.contains(&self.metadata.to) => {
                Verdict::Inconclusive(format!(
                    "{} does not answer as a neighbour of this host, so that a packet to it could not have been seen leaving",
                    self.metadata.to
                ))
            }
            (None, Some(_)) => Verdict::Blocked,
        }
    }
}

impl Probe {
    fn new(bridge: Link, tap: Tap) -> Probe {
        let macs = (&tap.mac, &bridge.mac);
        // Other guests each time: the host may still be looking for the last ones, and would not
        // ask for them again so soon.
        let guest = 2 * fastrand::u32(..500);
        let pair = |family| Some(Pair::new(family, macs, bridge.guest(family, guest)?));
        let pairs = Family::ALL.into_iter().filter_map(pair).collect();
        let second = bridge.guest(Family::V4, guest + 1);
        let credentials = second.map(|guest| {
            (Flight::new(macs, guest, SocketAddr::new(CREDENTIALS.into(), 80)), guest)
        });
        Probe { pairs, credentials, bridge, tap }
    }

    fn send(&self) {
        let pairs = self
            .pairs
            .iter()
            .filter(|pair| !pair.decided())
            .flat_map(|pair| [&pair.control, &pair.metadata]);
        let flights = pairs.chain(
            self.credentials
                .iter()
                .map(|(flight, _)| flight)
                .filter(|flight| flight.seen.is_none()),
        );
        flights.for_each(|flight| self.tap.send(&flight.frame));
    }

    /// A packet that only goes back into the bridge, or out to our own guest, has left nothing.
    fn saw(&mut self, sighting: &watch::Sighting) {
        if [self.tap.index, self.bridge.index].contains(&sighting.interface) {
            return;
        }
        let pairs = self.pairs.iter_mut().flat_map(|pair| [&mut pair.control, &mut pair.metadata]);
        pairs
            .chain(self.credentials.iter_mut().map(|(flight, _)| flight))
            .for_each(|flight| flight.saw(sighting));
    }

    /// The host itself answers for task credentials: then it asks for our guest's MAC.
    fn listen(&mut self) {
        while let Some(frame) = self.tap.receive() {
            if let Some((flight, guest)) = &mut self.credentials
                && packet::asked_by_arp(&frame).is_some_and(|address| *guest == address)
            {
                flight.seen.get_or_insert_with(Instant::now);
            }
        }
    }

    fn decided(&self, start: Instant) -> bool {
        let credentials = self
            .credentials
            .as_ref()
            .is_none_or(|(flight, _)| flight.seen.is_some() || start.elapsed() >= GRACE);
        credentials && self.pairs.iter().all(Pair::decided)
    }

    fn findings(&self, silent: &[IpAddr]) -> Vec<Finding> {
        let finding =
            |family, verdict| Finding { network: self.bridge.name.clone(), family, verdict };
        if self.pairs.is_empty() {
            return vec![finding(
                Family::V4,
                Verdict::Inconclusive("its subnet has no room for a guest".into()),
            )];
        }
        self.pairs
            .iter()
            .map(|pair| finding(pair.family, pair.verdict(&self.bridge, silent)))
            .collect()
    }

    fn credentials_pass(&self) -> Option<(String, bool)> {
        self.credentials
            .as_ref()
            .map(|(flight, _)| (self.bridge.name.clone(), flight.seen.is_some()))
    }
}

/// The most likely reason first.
fn why_nothing_left(bridge: &Link, family: Family) -> String {
    if !bridge.up {
        return format!("{} is switched off", bridge.name);
    }
    if !forwards(bridge, family) {
        return format!("{} forwarding is off on this host (Docker switches it on)", family.name());
    }
    if let Some(error) = no_route(family.control()) {
        return format!(
            "no route from this host to the control address {}: {error}",
            family.control()
        );
    }
    format!(
        "the control packet to {} did not leave either: another firewall drops it, the network is internal, or the next hop is silent",
        family.control()
    )
}

fn forwards(bridge: &Link, family: Family) -> bool {
    let switch = match family {
        Family::V4 => format!("/proc/sys/net/ipv4/conf/{}/forwarding", bridge.name),
        Family::V6 => format!("/proc/sys/net/ipv6/conf/{}/forwarding", bridge.name),
    };
    std::fs::read_to_string(switch).is_ok_and(|value| value.trim() != "0")
}

/// Asks for a route without sending anything: a UDP socket only looks it up when it is connected.
fn no_route(to: IpAddr) -> Option<io::Error> {
    let any: IpAddr = if to.is_ipv4() { [0; 4].into() } else { [0u8; 16].into() };
    std::net::UdpSocket::bind((any, 0)).and_then(|socket| socket.connect((to, 53))).err()
}

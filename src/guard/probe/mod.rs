//! Sends what a container on each bridge would send to instance metadata, and observes whether it
//! leaves the host.
//!
//! A TAP device becomes a port of the bridge, in place of a container. Two SYNs are written into
//! it, one to metadata and one to the VPC's resolver, which no rule should block (the control). A
//! packet socket captures what leaves the host, so that nothing depends on an answer, on NAT, or on
//! a route back:
//!
//! | the control | metadata | verdict |
//! | --- | --- | --- |
//! | any | observed | leaks |
//! | observed | not observed | blocked |
//! | not observed | not observed | inconclusive, with the reason |
//!
//! Takes links; returns a verdict for each bridge and family, all at the same time. Leaves nothing
//! behind.

mod capture;
mod packet;
mod tap;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use capture::{Observation, PacketCapture};
use nix::poll::{PollFd, PollFlags, PollTimeout};
use tap::Tap;

use super::addresses::{CREDENTIALS, IpFamily};
use super::links::{self, Link};
use super::proof::{CredentialsAccess, NetworkProof, ProbeVerdict};
use crate::files::read_text;
use crate::paths::MAX_DOCUMENT;

/// For all networks together; a network that lets nothing through at all takes this long.
const TIMEOUT: Duration = Duration::from_millis(1200);
/// How long metadata's SYN may lag behind the control's.
const GRACE: Duration = Duration::from_millis(300);
/// A bridge that was down needs a moment to forward: send again.
const RESEND: Duration = Duration::from_millis(150);

/// What a round over all bridges showed.
#[derive(Debug, Default)]
pub(crate) struct ProbeResults {
    pub(crate) networks: Vec<NetworkProof>,
    pub(crate) credentials: Vec<CredentialsAccess>,
}

/// One SYN, sent until it is observed to leave.
struct ProbePacket {
    frame: Vec<u8>,
    source: IpAddr,
    destination: IpAddr,
    sequence: u32,
    observed: Option<Instant>,
}

/// The two SYNs of one family on one bridge.
struct ProbePair {
    family: IpFamily,
    control: ProbePacket,
    metadata: ProbePacket,
}

/// One bridge and what is sent into it.
struct BridgeProbe {
    bridge: Link,
    tap: Tap,
    pairs: Vec<ProbePair>,
    /// From an address of its own: if the host asks for that address, it has an answer to this
    /// SYN.
    credentials: Option<ProbePacket>,
}

/// Probes every bridge among `links`.
///
/// # Errors
/// `PermissionDenied` without CAP_NET_ADMIN and CAP_NET_RAW, `NotFound` without /dev/net/tun.
pub(crate) fn probe(links: &[Link]) -> io::Result<ProbeResults> {
    let capture = PacketCapture::open()?;
    let bridges = links.iter().filter(|link| link.is_network());
    let taps = bridges
        .map(|bridge| Ok((bridge.index, Tap::new(bridge)?)))
        .collect::<io::Result<Vec<_>>>()?;
    // Read again: a bridge that had no port has just got the MAC of its first.
    let links = links::read()?;
    let current = |index| links.iter().find(|link| link.index == index).cloned();
    let mut probes: Vec<BridgeProbe> = taps
        .into_iter()
        .filter_map(|(index, tap)| Some(BridgeProbe::new(current(index)?, tap)))
        .collect();
    send_probes(&mut probes, &capture);
    let unreachable = links::unreachable_neighbours().unwrap_or_default();
    Ok(ProbeResults {
        networks: probes.iter().flat_map(|probe| probe.verdicts(&unreachable)).collect(),
        credentials: probes.iter().filter_map(BridgeProbe::credentials_access).collect(),
    })
}

/// Sends and observes until every verdict is in, or the time is up.
fn send_probes(probes: &mut [BridgeProbe], capture: &PacketCapture) {
    let (start, mut next) = (Instant::now(), Instant::now());
    while start.elapsed() < TIMEOUT && !probes.iter().all(|probe| probe.decided(start)) {
        if next <= Instant::now() {
            probes.iter().for_each(BridgeProbe::send);
            next += RESEND;
        }
        wait(probes, capture);
        for observation in capture.observations() {
            probes.iter_mut().for_each(|probe| probe.observe(&observation));
        }
        probes.iter_mut().for_each(BridgeProbe::receive);
    }
}

/// Until something arrives, at most 10 ms.
fn wait(probes: &[BridgeProbe], capture: &PacketCapture) {
    let descriptors = probes.iter().map(|probe| probe.tap.as_fd()).chain([capture.as_fd()]);
    let mut polled: Vec<_> =
        descriptors.map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN)).collect();
    // An interrupted wait is a short one.
    _ = nix::poll::poll(&mut polled, PollTimeout::from(10u8));
}

impl ProbePacket {
    fn new(tap: &Tap, bridge: &Link, source: IpAddr, (to, port): (IpAddr, u16)) -> ProbePacket {
        let from = SocketAddr::new(source, fastrand::u16(32768..61000));
        let sequence = fastrand::u32(..);
        let to_port = SocketAddr::new(to, port);
        let frame = packet::syn((&tap.mac, &bridge.mac), from, to_port, sequence);
        ProbePacket { frame, source, destination: to, sequence, observed: None }
    }

    fn has_left(&mut self) {
        self.observed.get_or_insert_with(Instant::now);
    }
}

impl ProbePair {
    fn decided(&self) -> bool {
        self.metadata.observed.is_some()
            || self.control.observed.is_some_and(|observed| observed.elapsed() >= GRACE)
    }

    /// The verdict, and why it is inconclusive.
    fn verdict(&self, bridge: &Link, unreachable: &[IpAddr]) -> (ProbeVerdict, Option<String>) {
        let metadata = self.metadata.destination;
        let reason = match (self.metadata.observed, self.control.observed) {
            (Some(_), _) => return (ProbeVerdict::Leaks, None),
            (None, None) => why_nothing_left(bridge, self.family),
            (None, Some(_)) if unreachable.contains(&metadata) => format!(
                "{metadata} does not answer as a neighbour of this host, so that a packet to it could not have been observed"
            ),
            (None, Some(_)) => return (ProbeVerdict::Blocked, None),
        };
        (ProbeVerdict::Inconclusive, Some(reason))
    }
}

impl BridgeProbe {
    fn new(bridge: Link, tap: Tap) -> BridgeProbe {
        const DNS: u16 = 53;
        const HTTP: u16 = 80;
        let packet = |from, to| ProbePacket::new(&tap, &bridge, from, to);
        // Other addresses each time: the host may still be looking for the last ones, and would not
        // ask for them again so soon.
        let nth = 2 * fastrand::u32(..500);
        let pair = |family: IpFamily| {
            let from = bridge.probe_address(family, nth)?;
            let control = packet(from, (family.control(), DNS));
            Some(ProbePair { family, control, metadata: packet(from, (family.metadata(), HTTP)) })
        };
        let pairs = IpFamily::ALL.into_iter().filter_map(pair).collect();
        let credentials = bridge
            .probe_address(IpFamily::V4, nth + 1)
            .map(|from| packet(from, (CREDENTIALS.into(), HTTP)));
        BridgeProbe { pairs, credentials, bridge, tap }
    }

    fn send(&self) {
        let undecided = self.pairs.iter().filter(|pair| !pair.decided());
        let credentials = self.credentials.iter().filter(|packet| packet.observed.is_none());
        undecided
            .flat_map(|pair| [&pair.control, &pair.metadata])
            .chain(credentials)
            .for_each(|packet| self.tap.send(&packet.frame));
    }

    /// A packet that only goes back into the bridge, or out to the probe's own port, has not left.
    fn observe(&mut self, observation: &Observation) {
        if [self.tap.index, self.bridge.index].contains(&observation.interface) {
            return;
        }
        let pairs = self.pairs.iter_mut().flat_map(|pair| [&mut pair.control, &mut pair.metadata]);
        let sent = (observation.destination, observation.sequence);
        pairs
            .chain(&mut self.credentials)
            .filter(|packet| (packet.destination, packet.sequence) == sent)
            .for_each(ProbePacket::has_left);
    }

    /// If the host itself answers for task credentials, it asks for the MAC of the sender.
    fn receive(&mut self) {
        while let Some(frame) = self.tap.receive() {
            if let Some(packet) = &mut self.credentials
                && packet::arp_target(&frame).is_some_and(|address| packet.source == address)
            {
                packet.has_left();
            }
        }
    }

    fn decided(&self, start: Instant) -> bool {
        let credentials = self.credentials.iter().all(|packet| packet.observed.is_some());
        (credentials || start.elapsed() >= GRACE) && self.pairs.iter().all(ProbePair::decided)
    }

    fn verdicts(&self, unreachable: &[IpAddr]) -> Vec<NetworkProof> {
        let network = |family, (verdict, reason)| {
            let network = self.bridge.name.clone();
            NetworkProof { network, family, verdict, reason }
        };
        if self.pairs.is_empty() {
            let reason = "its subnet has no room for a container".to_owned();
            return vec![network(IpFamily::V4, (ProbeVerdict::Inconclusive, Some(reason)))];
        }
        let verdict =
            |pair: &ProbePair| network(pair.family, pair.verdict(&self.bridge, unreachable));
        self.pairs.iter().map(verdict).collect()
    }

    fn credentials_access(&self) -> Option<CredentialsAccess> {
        let passes = self.credentials.as_ref()?.observed.is_some();
        Some(CredentialsAccess { network: self.bridge.name.clone(), passes })
    }
}

/// The most likely reason first.
fn why_nothing_left(bridge: &Link, family: IpFamily) -> String {
    if !bridge.up {
        return format!("{} is down", bridge.name);
    }
    if !forwards(bridge, family) {
        return format!("{family} forwarding is off on this host (Docker switches it on)");
    }
    let control = family.control();
    match no_route(control) {
        Some(error) => {
            format!("no route from this host to the control address {control}: {error}")
        }
        None => format!(
            "the control packet to {control} did not leave either: another firewall drops it, the network is internal, or the next hop does not answer"
        ),
    }
}

fn forwards(bridge: &Link, family: IpFamily) -> bool {
    let family = match family {
        IpFamily::V4 => "ipv4",
        IpFamily::V6 => "ipv6",
    };
    let path = format!("/proc/sys/net/{family}/conf/{}/forwarding", bridge.name);
    read_text(Path::new(&path), MAX_DOCUMENT).is_some_and(|value| value.trim() != "0")
}

/// Looks for a route without sending anything: a UDP socket only looks it up when it is connected.
fn no_route(to: IpAddr) -> Option<io::Error> {
    let any: IpAddr = if to.is_ipv4() { [0; 4].into() } else { [0u8; 16].into() };
    std::net::UdpSocket::bind((any, 0)).and_then(|socket| socket.connect((to, 53))).err()
}

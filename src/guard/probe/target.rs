//! One way by which a container's packet might reach instance metadata: what was sent there, what
//! was observed, and the verdict.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use super::super::addresses::IpFamily;
use super::super::links::Link;
use super::super::proof::{Evidence, NetworkProof, ProbePath, ProbeVerdict};
use super::capture::Observation;
use super::neighbours::Neighbour;
use super::packet::{self, Packet, ProbePacket, TcpPacket};
use super::route::RouteAnswer;
use crate::files::read_text;
use crate::paths::MAX_DOCUMENT;

pub(crate) const HTTP: u16 = 80;
const DNS: u16 = 53;

/// How long metadata's SYN may lag behind the control's.
const GRACE: Duration = Duration::from_millis(300);
/// How long the kernel's refusal may take where its routing announces one.
const REFUSAL: Duration = Duration::from_millis(100);

/// What was observed of the two SYNs.
#[derive(Default)]
pub(crate) struct Observed {
    pub(crate) first_sent: Option<Instant>,
    refused: bool,
    answered: bool,
    /// Interface that metadata's SYN left by.
    left: Option<u32>,
    /// Interface that a copy of it left by, which nothing had forwarded.
    copied: Option<u32>,
    pub(crate) dropped: bool,
    control_left: Option<Instant>,
}

/// One subnet of a bridge, or the frames that it passes on.
pub(crate) struct Target<'a> {
    pub(crate) bridge: &'a Link,
    pub(crate) family: IpFamily,
    pub(crate) path: ProbePath,
    /// The injector's number for it, or why no packet can be sent.
    pub(crate) way_in: Result<u16, String>,
    /// Of frames, the MAC that they are sent to.
    pub(crate) to: Option<[u8; 6]>,
    /// Of frames, the ports that lead out of the host.
    pub(crate) uplinks: Vec<u32>,
    pub(crate) metadata: ProbePacket,
    pub(crate) control: ProbePacket,
    pub(crate) route: Option<RouteAnswer>,
    pub(crate) observed: Observed,
}

impl<'a> Target<'a> {
    pub(crate) fn new(
        bridge: &'a Link,
        family: IpFamily,
        source: IpAddr,
        way_in: Result<u16, String>,
    ) -> Target<'a> {
        Target {
            bridge,
            family,
            path: ProbePath::Routed,
            way_in,
            to: None,
            uplinks: vec![],
            metadata: ProbePacket::new(source, SocketAddr::new(family.metadata(), HTTP)),
            control: ProbePacket::new(source, SocketAddr::new(family.control(), DNS)),
            route: None,
            observed: Observed::default(),
        }
    }

    /// Takes note of a packet that left by an interface which is not the injector's own.
    pub(crate) fn observe(&mut self, Observation { interface, packet }: &Observation) {
        let tcp = match packet {
            Packet::Refusal(quoted) => {
                return self.observed.refused |= self.metadata.is_quoted_in(quoted);
            }
            Packet::Tcp(tcp) => tcp,
        };
        let has_left = self.has_left(tcp, *interface);
        let seen = &mut self.observed;
        if self.metadata.is_accepted_by(tcp) {
            seen.answered = true;
        } else if self.metadata.is(tcp) && has_left {
            seen.left.get_or_insert(*interface);
        } else if self.metadata.is(tcp)
            && self.path == ProbePath::Routed
            && *interface != self.bridge.index
        {
            seen.copied.get_or_insert(*interface);
        } else if self.control.is(tcp) && has_left {
            seen.control_left.get_or_insert_with(Instant::now);
        }
    }

    /// Whether a packet that went out by `interface` has got out of the host: it was forwarded, and
    /// so has one hop less; or its frame was passed on to a port that leads out. What goes back
    /// into its own bridge has not left.
    fn has_left(&self, tcp: &TcpPacket, interface: u32) -> bool {
        match self.path {
            ProbePath::Routed => interface != self.bridge.index && tcp.hops < packet::HOPS,
            ProbePath::Bridged => self.uplinks.contains(&interface),
        }
    }

    /// Whether nothing that may still come could change the verdict.
    pub(crate) fn decided(&self) -> bool {
        let Observed { refused, answered, left, dropped, .. } = self.observed;
        let since = |moment: Option<Instant>, wait| moment.is_some_and(|at| at.elapsed() >= wait);
        self.way_in.is_err()
            || refused
            || answered
            || dropped
            || left.is_some()
            || since(self.observed.control_left, GRACE)
            || (self.is_refused_by_route() && since(self.observed.first_sent, REFUSAL))
    }

    /// Whether the kernel's routing announces a refusal of the packet.
    pub(crate) fn is_refused_by_route(&self) -> bool {
        self.route == Some(RouteAnswer::Refused)
    }

    /// Whether this host itself answered the packet, as it does for task credentials where the agent
    /// runs.
    pub(crate) fn is_answered_by_host(&self) -> bool {
        let Observed { answered, left, copied, .. } = self.observed;
        answered && left.is_none() && copied.is_none()
    }

    /// The verdict.
    pub(crate) fn proof(&self, links: &[Link], known: &[Neighbour]) -> NetworkProof {
        let (verdict, evidence, reason) = self.finding(links, known);
        NetworkProof {
            network: self.bridge.name.clone(),
            family: self.family,
            path: self.path,
            verdict,
            evidence,
            reason,
            leaked_before: false,
        }
    }

    fn finding(
        &self,
        links: &[Link],
        known: &[Neighbour],
    ) -> (ProbeVerdict, Option<Evidence>, Option<String>) {
        let metadata = self.metadata.destination.ip();
        let next_hop = match self.route {
            Some(RouteAnswer::Forwarded { next_hop, .. }) => next_hop,
            _ => metadata,
        };
        let name = |index| {
            let link = links.iter().find(|link| link.index == index);
            link.map_or_else(|| format!("interface {index}"), |link| link.name.clone())
        };
        let blocked = |evidence| (ProbeVerdict::Blocked, Some(evidence), None);
        let leaks = |evidence, how| (ProbeVerdict::Leaks, Some(evidence), Some(how));
        let seen = &self.observed;
        let reason = match (seen.left, seen.copied, &self.way_in) {
            (Some(interface), ..) => {
                return leaks(Evidence::LeftHost, format!("it left by {}", name(interface)));
            }
            _ if seen.answered => {
                let how = format!("{metadata} answered through this host: a proxy on it, or NAT");
                return leaks(Evidence::Answered, how);
            }
            _ if seen.refused => return blocked(Evidence::RefusedByHost),
            _ if seen.dropped => return blocked(Evidence::DroppedByRule),
            _ if self.is_refused_by_route() => return blocked(Evidence::WouldBeRefused),
            (_, _, Err(unsent)) => unsent.clone(),
            (_, Some(interface), _) => format!(
                "a copy that was not forwarded left by {}: a mirror, or a firewall that sets the TTL",
                name(interface)
            ),
            _ if seen.control_left.is_none() => self.why_nothing_left(),
            // A packet to it could not have been observed.
            _ if known.iter().any(|known| known.address == next_hop && !known.answers) => format!(
                "{next_hop} does not answer as a neighbour of this host, so that a packet to {metadata} could not have been observed"
            ),
            _ => return blocked(Evidence::OnlyControlLeft),
        };
        (ProbeVerdict::Inconclusive, None, Some(reason))
    }

    /// The most likely reason first.
    fn why_nothing_left(&self) -> String {
        let (bridge, family, control) = (self.bridge, self.family, self.family.control());
        if self.path == ProbePath::Bridged {
            return format!(
                "{} passed on no frame to its uplink, the control neither",
                bridge.name
            );
        }
        if !forwards(bridge, family) {
            return format!("{family} forwarding is off on this host (Docker switches it on)");
        }
        match no_route(control) {
            Some(error) => {
                format!("no route from this host to the control address {control}: {error}")
            }
            None => format!(
                "the control packet to {control} did not leave either: another firewall drops it, the network is internal, or the next hop does not answer"
            ),
        }
    }
}

fn forwards(bridge: &Link, family: IpFamily) -> bool {
    let family = family.to_string().to_lowercase();
    let path = format!("/proc/sys/net/{family}/conf/{}/forwarding", bridge.name);
    read_text(Path::new(&path), MAX_DOCUMENT).is_some_and(|value| value.trim() != "0")
}

/// Looks for a route without sending anything: a UDP socket only looks it up when it is connected.
fn no_route(to: IpAddr) -> Option<io::Error> {
    let any: IpAddr = if to.is_ipv4() { [0; 4].into() } else { [0u8; 16].into() };
    UdpSocket::bind((any, 0)).and_then(|socket| socket.connect((to, DNS))).err()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPLINK: u32 = 2;
    const OTHER: u32 = 7;

    fn bridge() -> Link {
        Link { index: 3, name: "docker0".into(), ..Link::default() }
    }

    fn target(bridge: &Link, path: ProbePath) -> Target<'_> {
        let source = "172.17.255.254".parse().unwrap();
        let target = Target::new(bridge, IpFamily::V4, source, Ok(0));
        Target { path, uplinks: vec![UPLINK], ..target }
    }

    fn parsed(packet: &ProbePacket) -> TcpPacket {
        match packet::parse(&packet.bytes) {
            Some(Packet::Tcp(tcp)) => tcp,
            other => panic!("{other:?}"),
        }
    }

    fn forwarded(packet: &ProbePacket) -> Packet {
        Packet::Tcp(TcpPacket { hops: packet::HOPS - 1, ..parsed(packet) })
    }

    fn observe(target: &mut Target<'_>, interface: u32, packet: Packet) {
        target.observe(&Observation { interface, packet });
    }

    fn found(target: &Target<'_>, silent: &str) -> (ProbeVerdict, Option<Evidence>) {
        let silent = silent.parse().ok().map(|address| Neighbour {
            interface: UPLINK,
            address,
            mac: [0; 6],
            answers: false,
        });
        let known: Vec<_> = silent.into_iter().collect();
        let (verdict, evidence, reason) = target.finding(&[], &known);
        assert_eq!(reason.is_none(), verdict == ProbeVerdict::Blocked);
        (verdict, evidence)
    }

    const INCONCLUSIVE: (ProbeVerdict, Option<Evidence>) = (ProbeVerdict::Inconclusive, None);

    #[test]
    fn forwarded_packet_is_a_leak_whatever_else_was_seen() {
        let bridge = bridge();
        let mut target = target(&bridge, ProbePath::Routed);
        (target.observed.refused, target.observed.dropped) = (true, true);
        let packet = forwarded(&target.metadata);
        observe(&mut target, OTHER, packet);
        assert_eq!(found(&target, ""), (ProbeVerdict::Leaks, Some(Evidence::LeftHost)));
    }

    #[test]
    fn mirrored_copy_alone_proves_nothing() {
        let bridge = bridge();
        let mut target = target(&bridge, ProbePath::Routed);
        let (copy, control) = (parsed(&target.metadata), forwarded(&target.control));
        observe(&mut target, OTHER, Packet::Tcp(copy));
        observe(&mut target, UPLINK, control);
        assert_eq!(found(&target, ""), INCONCLUSIVE);
        observe(&mut target, 3, Packet::Refusal(copy));
        assert_eq!(found(&target, ""), (ProbeVerdict::Blocked, Some(Evidence::RefusedByHost)));
    }

    #[test]
    fn answer_to_the_guest_is_a_leak() {
        let bridge = bridge();
        let mut target = target(&bridge, ProbePath::Routed);
        let syn = parsed(&target.metadata);
        let mut answer = TcpPacket {
            source: syn.destination,
            destination: syn.source,
            acknowledged: syn.sequence,
            is_syn_ack: true,
            ..syn
        };
        observe(&mut target, 3, Packet::Tcp(answer));
        assert!(!target.observed.answered, "an answer to another packet");
        answer.acknowledged += 1;
        observe(&mut target, 3, Packet::Tcp(answer));
        assert_eq!(found(&target, ""), (ProbeVerdict::Leaks, Some(Evidence::Answered)));
    }

    #[test]
    fn refusal_of_another_packet_counts_for_nothing() {
        let bridge = bridge();
        let mut target = target(&bridge, ProbePath::Routed);
        let other = TcpPacket { sequence: 1, ..parsed(&target.metadata) };
        observe(&mut target, 3, Packet::Refusal(other));
        let control = parsed(&target.control);
        observe(&mut target, 3, Packet::Refusal(control));
        assert_eq!(found(&target, ""), INCONCLUSIVE);
    }

    #[test]
    fn control_alone_proves_unless_the_next_hop_is_silent() {
        let bridge = bridge();
        let mut target = target(&bridge, ProbePath::Routed);
        assert_eq!(found(&target, ""), INCONCLUSIVE);
        let control = forwarded(&target.control);
        observe(&mut target, UPLINK, control);
        assert_eq!(found(&target, ""), (ProbeVerdict::Blocked, Some(Evidence::OnlyControlLeft)));
        assert_eq!(found(&target, "169.254.169.254"), INCONCLUSIVE);
        let next_hop = "10.253.0.9".parse().unwrap();
        target.route = Some(RouteAnswer::Forwarded { interface: UPLINK, next_hop });
        assert_eq!(found(&target, "10.253.0.9"), INCONCLUSIVE);
    }

    #[test]
    fn frame_is_a_leak_only_on_an_uplink() {
        let bridge = bridge();
        let mut target = target(&bridge, ProbePath::Bridged);
        let (metadata, control) = (parsed(&target.metadata), parsed(&target.control));
        observe(&mut target, OTHER, Packet::Tcp(metadata));
        observe(&mut target, UPLINK, Packet::Tcp(control));
        assert_eq!(found(&target, ""), (ProbeVerdict::Blocked, Some(Evidence::OnlyControlLeft)));
        observe(&mut target, UPLINK, Packet::Tcp(metadata));
        assert_eq!(found(&target, ""), (ProbeVerdict::Leaks, Some(Evidence::LeftHost)));
    }

    #[test]
    fn bridge_without_a_way_in_has_the_kernels_word_or_none() {
        let bridge = bridge();
        let mut target = target(&bridge, ProbePath::Routed);
        target.way_in = Err("no container is attached".into());
        assert!(target.decided());
        assert_eq!(found(&target, ""), INCONCLUSIVE);
        target.route = Some(RouteAnswer::Refused);
        assert_eq!(found(&target, ""), (ProbeVerdict::Blocked, Some(Evidence::WouldBeRefused)));
    }
}

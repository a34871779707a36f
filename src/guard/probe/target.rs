//! One way by which a container's packet might reach instance metadata: what was sent there, what
//! was observed, and the verdict.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::super::addresses::IpFamily;
use super::super::links::Link;
use super::super::proof::{Evidence, ProbePath, ProbeVerdict};
use super::capture::Observation;
use super::packet::{self, Packet, TcpPacket};
use super::route::RouteAnswer;

/// How long metadata's SYN may lag behind the control's.
const GRACE: Duration = Duration::from_millis(300);
/// How long the kernel's refusal may take where its routing announces one.
const REFUSAL: Duration = Duration::from_millis(100);

/// One SYN.
pub(crate) struct ProbePacket {
    pub(crate) bytes: Vec<u8>,
    source: SocketAddr,
    pub(crate) destination: SocketAddr,
    sequence: u32,
}

impl ProbePacket {
    pub(crate) fn new(from: IpAddr, to: SocketAddr) -> ProbePacket {
        let source = SocketAddr::new(from, fastrand::u16(32768..61000));
        let sequence = fastrand::u32(..);
        let bytes = packet::syn(source, to, sequence);
        ProbePacket { bytes, source, destination: to, sequence }
    }

    /// NAT changes the source, a mirror the hops.
    pub(crate) fn is(&self, seen: &TcpPacket) -> bool {
        (self.destination.ip(), self.sequence) == (seen.destination.ip(), seen.sequence)
    }

    /// Whether its sequence number is one of these.
    pub(crate) fn is_among(&self, sequences: &[u32]) -> bool {
        sequences.contains(&self.sequence)
    }

    fn is_quoted_in(&self, seen: &TcpPacket) -> bool {
        self.source == seen.source && self.is(seen)
    }

    /// Whether `seen` accepts the connection that this packet asks for.
    pub(crate) fn is_accepted_by(&self, seen: &TcpPacket) -> bool {
        seen.is_syn_ack
            && (self.source, self.destination) == (seen.destination, seen.source)
            && seen.acknowledged == self.sequence.wrapping_add(1)
    }
}

/// What was observed of the two SYNs.
#[derive(Default)]
pub(crate) struct Observed {
    first_sent: Option<Instant>,
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
    /// The injector's number for the way in.
    pub(crate) number: u16,
    /// Of frames, the MAC that they are sent to.
    pub(crate) to: Option<[u8; 6]>,
    /// Of frames, the ports that lead out of the host.
    pub(crate) uplinks: Vec<u32>,
    pub(crate) metadata: ProbePacket,
    pub(crate) control: ProbePacket,
    pub(crate) route: Option<RouteAnswer>,
    /// Why no packet can be sent.
    pub(crate) unsent: Option<String>,
    pub(crate) observed: Observed,
}

/// What a target showed; the reason where there is no verdict.
pub(crate) type Finding = (ProbeVerdict, Option<Evidence>, Option<String>);

impl Target<'_> {
    pub(crate) fn sent(&mut self) {
        self.observed.first_sent.get_or_insert_with(Instant::now);
    }

    /// Takes note of a packet that left by an interface which is not the injector's own.
    pub(crate) fn observe(&mut self, Observation { interface, packet }: &Observation) {
        let seen = &mut self.observed;
        match packet {
            Packet::Refusal(quoted) => seen.refused |= self.metadata.is_quoted_in(quoted),
            Packet::Tcp(tcp) if self.metadata.is_accepted_by(tcp) => seen.answered = true,
            Packet::Tcp(tcp) if self.metadata.is(tcp) => {
                if self.path.has_left(tcp, *interface, self.bridge, &self.uplinks) {
                    seen.left.get_or_insert(*interface);
                } else if self.path == ProbePath::Routed && *interface != self.bridge.index {
                    seen.copied.get_or_insert(*interface);
                }
            }
            Packet::Tcp(tcp)
                if self.control.is(tcp)
                    && self.path.has_left(tcp, *interface, self.bridge, &self.uplinks) =>
            {
                seen.control_left.get_or_insert_with(Instant::now);
            }
            Packet::Tcp(_) => {}
        }
    }

    /// Whether nothing that may still come could change the verdict.
    pub(crate) fn decided(&self) -> bool {
        let Observed { refused, answered, left, dropped, .. } = self.observed;
        let since = |moment: Option<Instant>, wait| moment.is_some_and(|at| at.elapsed() >= wait);
        self.unsent.is_some()
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

    /// The verdict. `name` names an interface; `is_silent` tells whether a neighbour does not
    /// answer, so that a packet to it could not have been observed; `nothing_left` explains why
    /// neither SYN left.
    pub(crate) fn finding(
        &self,
        name: impl Fn(u32) -> String,
        is_silent: impl Fn(IpAddr) -> bool,
        nothing_left: impl Fn(&Self) -> String,
    ) -> Finding {
        let metadata = self.metadata.destination.ip();
        let next_hop = match self.route {
            Some(RouteAnswer::Forwarded { next_hop, .. }) => next_hop,
            _ => metadata,
        };
        let blocked = |evidence| (ProbeVerdict::Blocked, Some(evidence), None);
        let leaks = |evidence, how| (ProbeVerdict::Leaks, Some(evidence), Some(how));
        let seen = &self.observed;
        let reason = match (seen.left, seen.copied) {
            (Some(interface), _) => {
                return leaks(Evidence::LeftHost, format!("it left by {}", name(interface)));
            }
            _ if seen.answered => {
                let how = format!("{metadata} answered through this host: a proxy on it, or NAT");
                return leaks(Evidence::Answered, how);
            }
            _ if seen.refused => return blocked(Evidence::RefusedByHost),
            _ if seen.dropped => return blocked(Evidence::DroppedByRule),
            _ if self.is_refused_by_route() => return blocked(Evidence::WouldBeRefused),
            _ if self.unsent.is_some() => self.unsent.clone().unwrap_or_default(),
            (None, Some(interface)) => format!(
                "a copy that was not forwarded left by {}: a mirror, or a firewall that sets the TTL",
                name(interface)
            ),
            _ if seen.control_left.is_none() => nothing_left(self),
            _ if is_silent(next_hop) => format!(
                "{next_hop} does not answer as a neighbour of this host, so that a packet to {metadata} could not have been observed"
            ),
            _ => return blocked(Evidence::OnlyControlLeft),
        };
        (ProbeVerdict::Inconclusive, None, Some(reason))
    }
}

impl ProbePath {
    /// Whether a packet that went out by `interface` has got out of the host: it was forwarded, and
    /// so has one hop less; or its frame was passed on to a port that leads out. What goes back
    /// into its own bridge has not left.
    fn has_left(self, tcp: &TcpPacket, interface: u32, bridge: &Link, uplinks: &[u32]) -> bool {
        match self {
            ProbePath::Routed => interface != bridge.index && tcp.hops < packet::HOPS,
            ProbePath::Bridged => uplinks.contains(&interface),
        }
    }
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
        let from = "172.17.255.254".parse().unwrap();
        let to = |address: IpAddr, port| ProbePacket::new(from, SocketAddr::new(address, port));
        Target {
            bridge,
            family: IpFamily::V4,
            path,
            number: 0,
            to: None,
            uplinks: vec![UPLINK],
            metadata: to(IpFamily::V4.metadata(), 80),
            control: to(IpFamily::V4.control(), 53),
            route: None,
            unsent: None,
            observed: Observed::default(),
        }
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
        let is_silent = |address: IpAddr| address.to_string() == silent;
        let (verdict, evidence, reason) =
            target.finding(|index| index.to_string(), is_silent, |_| "nothing left".into());
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
        target.unsent = Some("no container is attached".into());
        assert!(target.decided());
        assert_eq!(found(&target, ""), INCONCLUSIVE);
        target.route = Some(RouteAnswer::Refused);
        assert_eq!(found(&target, ""), (ProbeVerdict::Blocked, Some(Evidence::WouldBeRefused)));
    }
}

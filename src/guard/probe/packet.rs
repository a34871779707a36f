//! The packets of a probe: encodes a TCP SYN as a container would send it, and decodes what the
//! host sends. Pure.

use std::net::{IpAddr, SocketAddr};

use super::super::addresses::{from_octets, octets};

const TCP: u8 = 6;
/// What the probe's packets begin with; a router leaves one less.
pub(crate) const HOPS: u8 = 64;

/// An IP packet with a SYN from `from` to `to`. It is recognised by its destination and its
/// sequence number, which NAT does not change.
fn syn(from: SocketAddr, to: SocketAddr, sequence: u32) -> Vec<u8> {
    const DO_NOT_FRAGMENT: u8 = 0x40;
    const SYN: u8 = 0x02;
    let addresses = [octets(from.ip()), octets(to.ip())].concat();
    let header = if from.is_ipv4() {
        let fixed = [0x45, 0, 0, 40, 0, 1, DO_NOT_FRAGMENT, 0, HOPS, TCP, 0, 0];
        with_checksum([&fixed, &*addresses].concat(), 10, &[])
    } else {
        [&[0x60, 0, 0, 0, 0, 20, TCP, HOPS], &*addresses].concat()
    };
    let tcp = [
        &from.port().to_be_bytes()[..],
        &to.port().to_be_bytes(),
        &sequence.to_be_bytes(),
        &[0; 4],
        &[0x50, SYN, 0xfa, 0xf0, 0, 0, 0, 0],
    ];
    // IPv6's has these two in other places, which adds up to the same.
    let pseudo_header = [&*addresses, &[0, TCP, 0, 20]].concat();
    [header, with_checksum(tcp.concat(), 16, &pseudo_header)].concat()
}

fn with_checksum(mut header: Vec<u8>, at: usize, pseudo: &[u8]) -> Vec<u8> {
    let words = pseudo.chunks(2).chain(header.chunks(2));
    let mut sum: u32 = words.map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    header[at..at + 2].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    header
}

/// A TCP packet, as far as a probe looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TcpPacket {
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) sequence: u32,
    pub(crate) acknowledged: u32,
    /// It accepts a connection.
    pub(crate) is_syn_ack: bool,
    pub(crate) hops: u8,
}

/// What a probe learns from a packet that the host sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    Tcp(TcpPacket),
    /// "Administratively prohibited", by ICMP or ICMPv6, and the packet that it quotes.
    Refusal(TcpPacket),
}

/// One SYN.
pub(crate) struct ProbePacket {
    pub(crate) bytes: Vec<u8>,
    source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) sequence: u32,
}

impl ProbePacket {
    pub(crate) fn new(from: IpAddr, to: SocketAddr) -> ProbePacket {
        let source = SocketAddr::new(from, fastrand::u16(32768..61000));
        let sequence = fastrand::u32(..);
        let bytes = syn(source, to, sequence);
        ProbePacket { bytes, source, destination: to, sequence }
    }

    /// NAT changes the source, a mirror the hops.
    pub(crate) fn is(&self, seen: &TcpPacket) -> bool {
        (self.destination.ip(), self.sequence) == (seen.destination.ip(), seen.sequence)
    }

    pub(crate) fn is_quoted_in(&self, seen: &TcpPacket) -> bool {
        self.source == seen.source && self.is(seen)
    }

    /// Whether `seen` accepts the connection that this packet asks for.
    pub(crate) fn is_accepted_by(&self, seen: &TcpPacket) -> bool {
        seen.is_syn_ack
            && (self.source, self.destination) == (seen.destination, seen.source)
            && seen.acknowledged == self.sequence.wrapping_add(1)
    }
}

/// Decodes a packet without its Ethernet header; `None` for anything else.
pub(crate) fn parse(packet: &[u8]) -> Option<Packet> {
    const ICMP: u8 = 1;
    const ICMP_PROHIBITED: [u8; 2] = [3, 13];
    const ICMPV6: u8 = 58;
    const ICMPV6_PROHIBITED: [u8; 2] = [1, 1];
    const ICMP_HEADER: usize = 8;
    let packet = IpPacket::parse(packet)?;
    match (packet.protocol, packet.payload.first_chunk()?) {
        (TCP, _) => packet.tcp().map(Packet::Tcp),
        (ICMP, &ICMP_PROHIBITED) | (ICMPV6, &ICMPV6_PROHIBITED) => {
            let quoted = IpPacket::parse(packet.payload.get(ICMP_HEADER..)?)?;
            quoted.tcp().map(Packet::Refusal)
        }
        _ => None,
    }
}

struct IpPacket<'a> {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    hops: u8,
    payload: &'a [u8],
}

impl IpPacket<'_> {
    fn parse(packet: &[u8]) -> Option<IpPacket<'_>> {
        const LEAST: usize = 20;
        let (length, protocol, hops, addresses) = match packet.first()? >> 4 {
            4 => (usize::from(packet[0] & 15) * 4, 9, 8, 12..20),
            6 => (40, 6, 7, 8..40),
            _ => return None,
        };
        let addresses = packet.get(addresses).filter(|_| length >= LEAST)?;
        let (source, destination) = addresses.split_at(addresses.len() / 2);
        Some(IpPacket {
            source: from_octets(source)?,
            destination: from_octets(destination)?,
            protocol: packet[protocol],
            hops: packet[hops],
            payload: packet.get(length..)?,
        })
    }

    fn tcp(&self) -> Option<TcpPacket> {
        const SYN_ACK: u8 = 0x12;
        let tcp = Some(self.payload).filter(|_| self.protocol == TCP)?;
        let half = |at: usize| Some(u16::from_be_bytes(*tcp.get(at..)?.first_chunk()?));
        let word = |at: usize| Some(u32::from_be_bytes(*tcp.get(at..)?.first_chunk()?));
        Some(TcpPacket {
            source: SocketAddr::new(self.source, half(0)?),
            destination: SocketAddr::new(self.destination, half(2)?),
            sequence: word(4)?,
            // A refusal may quote no more than the first eight bytes.
            acknowledged: word(8).unwrap_or_default(),
            is_syn_ack: tcp.get(13).is_some_and(|flags| flags & SYN_ACK == SYN_ACK),
            hops: self.hops,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: (&str, &str) = ("172.17.0.9:40000", "169.254.169.254:80");
    const V6: (&str, &str) = ("[fd00:1ab::9]:40000", "[fd00:ec2::254]:80");

    fn example((from, to): (&str, &str)) -> Vec<u8> {
        syn(from.parse().unwrap(), to.parse().unwrap(), 0x0102_0304)
    }

    /// A correct header sums to zero in one's complement, its checksum included.
    fn sums_to_zero(bytes: &[u8]) -> bool {
        let sum: u32 =
            bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
        (sum & 0xffff) + (sum >> 16) == 0xffff
    }

    fn sent((from, to): (&str, &str)) -> TcpPacket {
        TcpPacket {
            source: from.parse().unwrap(),
            destination: to.parse().unwrap(),
            sequence: 0x0102_0304,
            acknowledged: 0,
            is_syn_ack: false,
            hops: HOPS,
        }
    }

    #[test]
    fn syn_is_read_as_it_was_written() {
        for ends in [V4, V6] {
            assert_eq!(parse(&example(ends)), Some(Packet::Tcp(sent(ends))));
        }
    }

    #[test]
    fn syn_has_correct_checksums() {
        let packet = example(V4);
        assert!(sums_to_zero(&packet[..20]));
        assert!(sums_to_zero(&[&packet[12..20], &[0, TCP, 0, 20], &packet[20..]].concat()));
        let packet = example(V6);
        assert!(sums_to_zero(&[&packet[8..40], &[0, TCP, 0, 20], &packet[40..]].concat()));
    }

    #[test]
    fn refusal_is_known_by_the_packet_that_it_quotes() {
        let header = |ends, protocol| {
            let mut header = example(ends);
            header.truncate(if ends == V4 { 20 } else { 40 });
            header[if ends == V4 { 9 } else { 6 }] = protocol;
            header
        };
        let icmp = |code| [header(V4, 1), vec![3, code, 0, 0, 0, 0, 0, 0], example(V4)].concat();
        assert_eq!(parse(&icmp(13)), Some(Packet::Refusal(sent(V4))));
        // The least that a router quotes.
        assert_eq!(parse(&icmp(13)[..56]), Some(Packet::Refusal(sent(V4))));
        assert_eq!(parse(&icmp(1)), None, "an unreachable host does not count as a refusal");
        let icmpv6 = [header(V6, 58), vec![1, 1, 0, 0, 0, 0, 0, 0], example(V6)].concat();
        assert_eq!(parse(&icmpv6), Some(Packet::Refusal(sent(V6))));
    }

    #[test]
    fn short_and_other_packets_are_ignored() {
        assert_eq!(parse(&[]), None);
        assert_eq!(parse(&[0x45; 20]), None);
        let udp = [&[0x45, 0, 0, 40, 0, 0, 0, 0, 64, 17][..], &[0; 30]].concat();
        assert_eq!(parse(&udp), None);
        for length in 0..40 {
            assert_eq!(parse(&example(V4)[..length.min(27)]), None, "{length}");
        }
    }
}

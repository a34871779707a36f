//! The packets of a probe: encodes a TCP SYN as a container would send it, and decodes what the
//! host sends. Pure.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

const TCP: u8 = 6;
const ARP: [u8; 2] = [0x08, 0x06];

/// An Ethernet frame with a SYN from `from` to `to`. It is recognised by its destination and its
/// sequence number, which NAT does not change.
pub(crate) fn syn(
    macs: (&[u8; 6], &[u8; 6]),
    from: SocketAddr,
    to: SocketAddr,
    sequence: u32,
) -> Vec<u8> {
    let (own, bridge) = macs;
    let (ethertype, header, pseudo) = match (from.ip(), to.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let pseudo = [source.octets(), destination.octets(), [0, TCP, 0, 20]].concat();
            ([0x08, 0x00], ipv4(source, destination), pseudo)
        }
        (source, destination) => {
            let addresses = [octets(source), octets(destination)].concat();
            let header = [&[0x60, 0, 0, 0, 0, 20, TCP, 64], &*addresses].concat();
            ([0x86, 0xdd], header, [&*addresses, &[0, 0, 0, 20, 0, 0, 0, TCP]].concat())
        }
    };
    let tcp = tcp(from.port(), to.port(), sequence, &pseudo);
    [&bridge[..], own, &ethertype, &header, &tcp].concat()
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn ipv4(source: Ipv4Addr, destination: Ipv4Addr) -> Vec<u8> {
    const DO_NOT_FRAGMENT: u8 = 0x40;
    let fixed = [0x45, 0, 0, 40, 0, 1, DO_NOT_FRAGMENT, 0, 64, TCP, 0, 0];
    with_checksum([&fixed[..], &source.octets(), &destination.octets()].concat(), 10, &[])
}

fn tcp(from: u16, to: u16, sequence: u32, pseudo: &[u8]) -> Vec<u8> {
    const SYN: u8 = 0x02;
    let header = [
        &from.to_be_bytes()[..],
        &to.to_be_bytes(),
        &sequence.to_be_bytes(),
        &[0; 4],
        &[0x50, SYN, 0xfa, 0xf0, 0, 0, 0, 0],
    ]
    .concat();
    with_checksum(header, 16, pseudo)
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

/// Destination and sequence number of a TCP packet without its Ethernet header; `None` for anything
/// else.
pub(crate) fn destination_and_sequence(packet: &[u8]) -> Option<(IpAddr, u32)> {
    let (destination, transport) = match packet.first()? >> 4 {
        4 if packet.get(9) == Some(&TCP) => {
            (IpAddr::from(*packet.get(16..)?.first_chunk::<4>()?), usize::from(packet[0] & 15) * 4)
        }
        6 if packet.get(6) == Some(&TCP) => {
            (IpAddr::from(*packet.get(24..)?.first_chunk::<16>()?), 40)
        }
        _ => return None,
    };
    let sequence = packet.get(transport + 4..)?.first_chunk()?;
    Some((destination, u32::from_be_bytes(*sequence)))
}

/// The address whose MAC an Ethernet frame asks for by ARP: the host asks because it has something
/// to send there.
pub(crate) fn arp_target(frame: &[u8]) -> Option<Ipv4Addr> {
    const REQUEST: [u8; 2] = [0, 1];
    let is_request = frame.get(12..14)? == ARP && frame.get(20..22)? == REQUEST;
    let target = *frame.get(38..)?.first_chunk::<4>()?;
    is_request.then(|| target.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACS: (&[u8; 6], &[u8; 6]) = (&[2, 0, 0, 0, 0, 1], &[2, 0, 0, 0, 0, 2]);

    fn syn_frame(from: &str, to: &str) -> Vec<u8> {
        syn(MACS, from.parse().unwrap(), to.parse().unwrap(), 0x0102_0304)
    }

    /// A correct header sums to zero in one's complement, its checksum included.
    fn sums_to_zero(bytes: &[u8]) -> bool {
        let sum: u32 =
            bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
        (sum & 0xffff) + (sum >> 16) == 0xffff
    }

    #[test]
    fn syn_is_recognised_by_destination_and_sequence() {
        for (from, to) in [
            ("172.17.0.9:40000", "169.254.169.254:80"),
            ("[fd00:1ab::9]:40000", "[fd00:ec2::254]:80"),
        ] {
            let frame = syn_frame(from, to);
            let to: SocketAddr = to.parse().unwrap();
            assert_eq!(destination_and_sequence(&frame[14..]), Some((to.ip(), 0x0102_0304)));
            assert_eq!(frame[..6], MACS.1[..]);
        }
    }

    #[test]
    fn syn_has_correct_checksums() {
        let frame = syn_frame("172.17.0.9:40000", "169.254.169.254:80");
        assert!(sums_to_zero(&frame[14..34]));
        let pseudo = [&frame[26..34], &[0, TCP, 0, 20], &frame[34..]].concat();
        assert!(sums_to_zero(&pseudo));
        let frame = syn_frame("[fd00:1ab::9]:40000", "[fd00:ec2::254]:80");
        let pseudo = [&frame[22..54], &[0, 0, 0, 20, 0, 0, 0, TCP], &frame[54..]].concat();
        assert!(sums_to_zero(&pseudo));
    }

    #[test]
    fn short_and_other_packets_are_ignored() {
        assert_eq!(destination_and_sequence(&[]), None);
        assert_eq!(destination_and_sequence(&[0x45; 20]), None);
        let udp = [&[0x45, 0, 0, 40, 0, 0, 0, 0, 64, 17][..], &[0; 30]].concat();
        assert_eq!(destination_and_sequence(&udp), None);
        assert_eq!(arp_target(&[0; 20]), None);
    }

    #[test]
    fn arp_target_is_read_from_requests_only() {
        let mut frame = vec![0; 42];
        frame[12..14].copy_from_slice(&ARP);
        frame[21] = 1;
        frame[38..].copy_from_slice(&[172, 17, 255, 253]);
        assert_eq!(arp_target(&frame), Some(Ipv4Addr::new(172, 17, 255, 253)));
        frame[21] = 2; // an answer
        assert_eq!(arp_target(&frame), None);
    }
}

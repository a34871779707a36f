//! Captures what leaves the host: a packet socket over all interfaces, with a filter in the kernel
//! so that a busy host does not overflow it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use nix::libc::{self, sock_filter, sock_fprog};
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::socket::{self, AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, sockopt};

use super::packet::{self, Packet};

/// A packet that left by an interface.
pub(crate) struct Observation {
    pub(crate) interface: u32,
    pub(crate) packet: Packet,
}

/// The socket; without promiscuous mode, address or route, so that closing it leaves nothing.
pub(crate) struct PacketCapture(OwnedFd);

impl PacketCapture {
    /// # Errors
    /// `PermissionDenied` without CAP_NET_RAW.
    pub(crate) fn open() -> io::Result<PacketCapture> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket =
            socket::socket(AddressFamily::Packet, SockType::Datagram, flags, SockProtocol::EthAll)?;
        attach(&socket)?;
        // Best effort: the filter already keeps the rest of the traffic out.
        _ = socket::setsockopt(&socket, sockopt::RcvBufForce, &(4 << 20));
        Ok(PacketCapture(socket))
    }

    /// Everything captured since the last call.
    pub(crate) fn observations(&self) -> Vec<Observation> {
        let (mut buffer, mut observations) = ([0; 128], Vec::new());
        while let Ok((length, from)) = socket::recvfrom::<LinkAddr>(self.0.as_raw_fd(), &mut buffer)
        {
            let interface = from.map_or(0, |link| link.ifindex() as u32);
            let packet = packet::parse(&buffer[..length.min(128)]);
            observations.extend(packet.map(|packet| Observation { interface, packet }));
        }
        observations
    }

    /// Until something arrives, at most so long.
    pub(crate) fn wait(&self, at_most: Duration) {
        let timeout = PollTimeout::try_from(at_most).unwrap_or(PollTimeout::from(1u8));
        // An interrupted wait is a short one.
        _ = nix::poll::poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)], timeout);
    }
}

/// What goes out passes, as a classic BPF program over the network header: packets to or from
/// 169.254.0.0/16 or fd00:ec2::/32, and errors of ICMP and ICMPv6.
const FILTER: [sock_filter; 20] = {
    const LOAD_WORD: u16 = 0x20;
    const LOAD_HALF: u16 = 0x28;
    const LOAD_BYTE: u16 = 0x30;
    const AND: u16 = 0x54;
    const EQUALS: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const PACKET_TYPE: u32 = 0xffff_f004; // SKF_AD_OFF + SKF_AD_PKTTYPE
    const OUTGOING: u32 = 4;
    const V4_LINK_LOCAL: u32 = 0xa9fe;
    const V6_AMAZON: u32 = 0xfd00_0ec2;
    /// Jumps over `jt` instructions if true, over `jf` if not.
    const fn op(code: u16, jt: u8, jf: u8, k: u32) -> sock_filter {
        sock_filter { code, jt, jf, k }
    }
    [
        op(LOAD_WORD, 0, 0, PACKET_TYPE),
        op(EQUALS, 0, 16, OUTGOING),
        op(LOAD_BYTE, 0, 0, 0),
        op(AND, 0, 0, 0xf0),
        op(EQUALS, 0, 6, 0x40),
        op(LOAD_HALF, 0, 0, 16), // the destination
        op(EQUALS, 12, 0, V4_LINK_LOCAL),
        op(LOAD_HALF, 0, 0, 12), // the source
        op(EQUALS, 10, 0, V4_LINK_LOCAL),
        op(LOAD_BYTE, 0, 0, 9),
        op(EQUALS, 8, 7, 1), // ICMP
        op(EQUALS, 0, 6, 0x60),
        op(LOAD_WORD, 0, 0, 24), // the destination
        op(EQUALS, 5, 0, V6_AMAZON),
        op(LOAD_WORD, 0, 0, 8), // the source
        op(EQUALS, 3, 0, V6_AMAZON),
        op(LOAD_BYTE, 0, 0, 6),
        op(EQUALS, 1, 0, 58), // ICMPv6
        op(RETURN, 0, 0, 0),
        op(RETURN, 0, 0, u32::MAX),
    ]
};

#[allow(unsafe_code)]
fn attach(socket: &OwnedFd) -> io::Result<()> {
    let mut filter = FILTER;
    let program = sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    let length = size_of::<sock_fprog>() as libc::socklen_t;
    // SAFETY: the descriptor is open; the kernel reads `length` bytes of `program` and `len`
    // instructions behind it, both alive here, copies them, and keeps no pointer.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            length,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

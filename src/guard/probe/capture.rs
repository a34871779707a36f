//! Captures what leaves the host: a packet socket over all interfaces, with a filter in the kernel
//! so that a busy host does not overflow it.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::libc::{self, sock_filter, sock_fprog};
use nix::sys::socket::{self, AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, sockopt};

use super::packet;

/// A TCP packet that left by an interface, to one of the networks that a probe sends to.
pub(crate) struct Observation {
    pub(crate) interface: u32,
    pub(crate) destination: IpAddr,
    pub(crate) sequence: u32,
}

/// The socket; without promiscuous mode, address or route, so that closing it leaves nothing.
pub(crate) struct PacketCapture {
    socket: OwnedFd,
}

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
        Ok(PacketCapture { socket })
    }

    /// Everything captured since the last call.
    pub(crate) fn observations(&self) -> Vec<Observation> {
        let (mut buffer, mut observations) = ([0; 128], Vec::new());
        while let Ok((length, from)) =
            socket::recvfrom::<LinkAddr>(self.socket.as_raw_fd(), &mut buffer)
        {
            let interface = from.map_or(0, |link| link.ifindex() as u32);
            let packet = packet::destination_and_sequence(&buffer[..length.min(128)]);
            observations.extend(packet.map(|(destination, sequence)| Observation {
                interface,
                destination,
                sequence,
            }));
        }
        observations
    }
}

impl AsFd for PacketCapture {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Outgoing packets to 169.254.0.0/16 or fd00:ec2::/32 pass, as a classic BPF program over the
/// network header.
const FILTER: [sock_filter; 12] = {
    const LOAD_WORD: u16 = 0x20;
    const LOAD_HALF: u16 = 0x28;
    const LOAD_BYTE: u16 = 0x30;
    const AND: u16 = 0x54;
    const EQUALS: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const PACKET_TYPE: u32 = 0xffff_f004; // SKF_AD_OFF + SKF_AD_PKTTYPE
    const OUTGOING: u32 = 4;
    const V4_DESTINATION: u32 = 16;
    const V6_DESTINATION: u32 = 24;
    /// Jumps over `jt` instructions if true, over `jf` if not.
    const fn op(code: u16, jt: u8, jf: u8, k: u32) -> sock_filter {
        sock_filter { code, jt, jf, k }
    }
    [
        op(LOAD_WORD, 0, 0, PACKET_TYPE),
        op(EQUALS, 0, 9, OUTGOING),
        op(LOAD_BYTE, 0, 0, 0),
        op(AND, 0, 0, 0xf0),
        op(EQUALS, 0, 2, 0x40),
        op(LOAD_HALF, 0, 0, V4_DESTINATION),
        op(EQUALS, 3, 4, 0xa9fe),
        op(EQUALS, 0, 3, 0x60),
        op(LOAD_WORD, 0, 0, V6_DESTINATION),
        op(EQUALS, 0, 1, 0xfd00_0ec2),
        op(RETURN, 0, 0, u32::MAX),
        op(RETURN, 0, 0, 0),
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

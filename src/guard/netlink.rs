//! One question to the kernel over netlink, and its whole answer.
//!
//! Takes requests already laid out; gives the messages of the answer without their headers. Touches
//! one socket, which lives in the caller's network namespace: that is why nothing here reads /sys,
//! which inside a namespace may show another's links.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use netlink_packet_core::NetlinkBuffer;
use nix::libc;
use nix::sys::socket::{
    self, AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, sockopt,
};
use nix::sys::time::TimeVal;

/// `NLM_F_*` of linux/netlink.h, as far as they are used here.
pub(crate) const REQUEST: u16 = 0x1;
pub(crate) const ACK: u16 = 0x4;
pub(crate) const DUMP: u16 = 0x300;
pub(crate) const CREATE: u16 = 0x400;
pub(crate) const APPEND: u16 = 0x800;
/// On a delete: only if nothing is left inside (`NLM_F_NONREC`).
pub(crate) const ONLY_IF_EMPTY: u16 = 0x100;

const HEADER: usize = 16;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const DUMP_INTERRUPTED: u16 = 0x10;
/// The kernel fills at most 32 KiB of a dump at once.
const BUFFER: usize = 64 * 1024;

/// One message of an answer.
pub(crate) struct Message {
    pub(crate) kind: u16,
    pub(crate) payload: Vec<u8>,
}

/// Lays out one request. `kind` carries the subsystem in its upper byte where there is one.
pub(crate) fn request(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let length =
        u32::try_from(HEADER + body.len()).expect("a request of ours is a few hundred bytes");
    let mut bytes = Vec::with_capacity(HEADER + body.len());
    bytes.extend_from_slice(&length.to_ne_bytes());
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(&(flags | REQUEST).to_ne_bytes());
    bytes.extend_from_slice(&[0; 8]); // sequence and port: the kernel copies both, nobody else talks on this socket
    bytes.extend_from_slice(body);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// Asks, and reads until the kernel has said `endings` times that it is done (an acknowledgement,
/// or the end of a dump).
///
/// # Errors
/// What the kernel answered, as an errno; `EPROTONOSUPPORT` where it has no such protocol at all.
pub(crate) fn ask(
    protocol: SockProtocol,
    request: &[u8],
    endings: usize,
) -> io::Result<Vec<Message>> {
    loop {
        match ask_once(protocol, request, endings) {
            // Something changed while the kernel was listing: what we have may be half old, half
            // new.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            answer => return answer,
        }
    }
}

fn ask_once(protocol: SockProtocol, request: &[u8], endings: usize) -> io::Result<Vec<Message>> {
    let socket = open(protocol)?;
    socket::sendto(socket.as_raw_fd(), request, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    let (mut messages, mut seen) = (Vec::new(), 0);
    let mut buffer = vec![0; BUFFER];
    while seen < endings {
        let length = socket::recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        seen += read(&buffer[..length], &mut messages)?;
    }
    Ok(messages)
}

fn open(protocol: SockProtocol) -> io::Result<OwnedFd> {
    let socket =
        socket::socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
    // The kernel answers at once; a limit all the same, since a boot waits for this.
    socket::setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(5, 0))?;
    Ok(socket)
}

/// Adds the messages of one datagram, and says how many endings were among them.
fn read(mut bytes: &[u8], messages: &mut Vec<Message>) -> io::Result<usize> {
    let mut endings = 0;
    while !bytes.is_empty() {
        let message = NetlinkBuffer::new_checked(bytes).map_err(io::Error::other)?;
        if message.flags() & DUMP_INTERRUPTED != 0 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        match message.message_type() {
            ERROR | DONE => {
                result(message.payload())?;
                endings += 1;
            }
            kind => messages.push(Message { kind, payload: message.payload().to_vec() }),
        }
        let step = (message.length() as usize).next_multiple_of(4).min(bytes.len());
        bytes = &bytes[step..];
    }
    Ok(endings)
}

/// The first word of an ending: nought, or an errno below nought.
fn result(payload: &[u8]) -> io::Result<()> {
    match payload.first_chunk().map_or(0, |word| i32::from_ne_bytes(*word)) {
        0.. => Ok(()),
        code => Err(io::Error::from_raw_os_error(-code)),
    }
}

/// Whether an error means that this kernel lacks the thing asked for, rather than that something
/// went wrong.
pub(crate) fn unsupported(error: &io::Error) -> bool {
    const WORDS: [i32; 6] = [
        libc::EPROTONOSUPPORT,
        libc::EOPNOTSUPP,
        libc::EAFNOSUPPORT,
        libc::EINVAL,
        libc::ENOENT,
        libc::ENOSYS,
    ];
    error.raw_os_error().is_some_and(|code| WORDS.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(kind: u16, code: i32) -> Vec<u8> {
        request(kind, 0, &code.to_ne_bytes())
    }

    #[test]
    fn an_answer_ends_at_its_last_acknowledgement_and_keeps_what_came_before() {
        let mut bytes = request(77, 0, b"name\0");
        bytes.extend(ending(ERROR, 0));
        let mut messages = Vec::new();
        assert_eq!(read(&bytes, &mut messages).unwrap(), 1);
        assert_eq!((messages[0].kind, messages[0].payload.as_slice()), (77, &b"name\0"[..]));
    }

    #[test]
    fn a_refusal_is_the_errno_that_the_kernel_gave() {
        let refused = read(&ending(ERROR, -libc::EPERM), &mut Vec::new()).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EPERM));
        let broken_dump = read(&ending(DONE, -libc::ENOMEM), &mut Vec::new()).unwrap_err();
        assert_eq!(broken_dump.raw_os_error(), Some(libc::ENOMEM));
    }

    #[test]
    fn a_cut_message_is_an_error_and_not_an_empty_answer() {
        let bytes = request(77, 0, b"something");
        assert!(read(&bytes[..18], &mut Vec::new()).is_err());
    }
}

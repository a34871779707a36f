//! One request to the kernel over netlink, and its whole answer.
//!
//! Takes requests already encoded; returns the messages of the answer without their headers. Opens
//! one socket, which is in the caller's network namespace: that is why nothing here reads /sys,
//! which inside a namespace may show another's links.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use netlink_packet_core::{
    Emitable, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer, NetlinkHeader,
};
use nix::libc;
use nix::sys::socket::{
    self, AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, sockopt,
};
use nix::sys::time::TimeVal;

/// The kernel writes at most 32 KiB of a dump at once.
const BUFFER: usize = 64 * 1024;

/// One message of an answer.
pub(crate) struct Message {
    pub(crate) kind: u16,
    pub(crate) payload: Vec<u8>,
}

/// Encodes one request. `kind` has the subsystem in its upper byte where there is one.
pub(crate) fn request(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    // Sequence and port stay 0: the kernel copies both, and no other program uses this socket.
    let mut header = NetlinkHeader::default();
    let length = header.buffer_len() + body.len();
    header.length = u32::try_from(length).expect("a request is a few hundred bytes");
    header.message_type = kind;
    header.flags = flags | NLM_F_REQUEST;
    let mut bytes = vec![0; length.next_multiple_of(4)];
    header.emit(&mut bytes);
    bytes[header.buffer_len()..length].copy_from_slice(body);
    bytes
}

/// Sends a request, and reads until the kernel has reported `endings` times that it is done (an
/// acknowledgement, or the end of a dump).
///
/// # Errors
/// The kernel's errno; `EPROTONOSUPPORT` where it does not have the protocol at all.
pub(crate) fn ask(
    protocol: SockProtocol,
    request: &[u8],
    endings: usize,
) -> io::Result<Vec<Message>> {
    loop {
        match ask_once(protocol, request, endings) {
            // Something changed during a dump, which may be half old, half new.
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

/// Adds the messages of one datagram, and returns how many endings were among them.
pub(crate) fn read(mut bytes: &[u8], messages: &mut Vec<Message>) -> io::Result<usize> {
    let mut endings = 0;
    while !bytes.is_empty() {
        let message = NetlinkBuffer::new_checked(bytes).map_err(io::Error::other)?;
        if message.flags() & NLM_F_DUMP_INTR != 0 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        match message.message_type() {
            NLMSG_ERROR | NLMSG_DONE => {
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

/// An ending begins with 0, or with an errno as a negative number.
fn result(payload: &[u8]) -> io::Result<()> {
    match payload.first_chunk().map_or(0, |word| i32::from_ne_bytes(*word)) {
        0.. => Ok(()),
        code => Err(io::Error::from_raw_os_error(code.saturating_neg())),
    }
}

/// Whether an error means that this kernel lacks the feature, rather than that something went
/// wrong. EINVAL does not: the kernel also answers it to a request that it does not understand.
pub(crate) fn unsupported(error: &io::Error) -> bool {
    const ERRNOS: [i32; 4] =
        [libc::EPROTONOSUPPORT, libc::EOPNOTSUPP, libc::EAFNOSUPPORT, libc::ENOSYS];
    error.raw_os_error().is_some_and(|code| ERRNOS.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(kind: u16, code: i32) -> Vec<u8> {
        request(kind, 0, &code.to_ne_bytes())
    }

    #[test]
    fn answer_keeps_the_messages_before_its_acknowledgement() {
        let mut bytes = request(77, 0, b"name\0");
        bytes.extend(ending(NLMSG_ERROR, 0));
        let mut messages = Vec::new();
        assert_eq!(read(&bytes, &mut messages).unwrap(), 1);
        assert_eq!((messages[0].kind, messages[0].payload.as_slice()), (77, &b"name\0"[..]));
    }

    #[test]
    fn refusal_is_the_errno_of_the_kernel() {
        let refused = read(&ending(NLMSG_ERROR, -libc::EPERM), &mut Vec::new()).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EPERM));
        let broken_dump = read(&ending(NLMSG_DONE, -libc::ENOMEM), &mut Vec::new()).unwrap_err();
        assert_eq!(broken_dump.raw_os_error(), Some(libc::ENOMEM));
    }

    #[test]
    fn truncated_message_is_an_error() {
        let bytes = request(77, 0, b"something");
        assert!(read(&bytes[..18], &mut Vec::new()).is_err());
    }
}

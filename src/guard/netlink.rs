//! One request to the kernel over netlink, and its whole answer; and the attributes in both.
//!
//! Takes requests already encoded; returns the messages of the answer without their headers. Opens
//! one socket, which is in the caller's network namespace: that is why nothing here reads /sys,
//! which inside a namespace may show another's links.

use std::collections::BTreeMap;
use std::io;
use std::iter;
use std::os::fd::AsRawFd;

use nix::libc;
use nix::sys::socket::{
    self, AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, sockopt,
};
use nix::sys::time::TimeVal;

/// The kernel writes at most 32 KiB of a dump at once.
const BUFFER: usize = 64 * 1024;
/// struct nlmsghdr: length, kind, flags, sequence, port.
const HEADER: usize = 16;

/// One message of an answer.
pub(crate) struct Message {
    pub(crate) kind: u16,
    pub(crate) payload: Vec<u8>,
}

/// Attributes of which each kind is there once.
pub(crate) type Attributes = BTreeMap<u16, Vec<u8>>;

impl Message {
    /// The attributes behind a header of this length.
    pub(crate) fn attributes(&self, header: usize) -> &[u8] {
        self.payload.get(header..).unwrap_or_default()
    }
}

/// Encodes one request. `kind` has the subsystem in its upper byte where there is one.
pub(crate) fn request(kind: u16, flags: i32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + body.len()).expect("a request is a few hundred bytes");
    let flags = (flags | libc::NLM_F_REQUEST) as u16;
    // Sequence and port stay 0: the kernel copies both, and no other program uses this socket.
    let [kind, flags] = [kind, flags].map(u16::to_ne_bytes);
    padded([&length.to_ne_bytes(), &kind[..], &flags, &[0; 8], body].concat())
}

/// Encodes one attribute. Where its value is attributes, they are encoded one behind the other.
pub(crate) fn attribute(kind: u16, value: impl AsRef<[u8]>) -> Vec<u8> {
    let value = value.as_ref();
    let length = u16::try_from(4 + value.len()).expect("an attribute is a few hundred bytes");
    padded([&length.to_ne_bytes(), &kind.to_ne_bytes(), value].concat())
}

pub(crate) fn encoded(attributes: &Attributes) -> Vec<u8> {
    attributes.iter().flat_map(|(kind, value)| attribute(*kind, value)).collect()
}

pub(crate) fn decoded(bytes: &[u8]) -> Attributes {
    attributes(bytes).map(|(kind, value)| (kind, value.to_vec())).collect()
}

/// A text as the value of an attribute.
pub(crate) fn text(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}

/// The text in the value of an attribute.
pub(crate) fn string(value: &[u8]) -> String {
    String::from_utf8_lossy(value).trim_end_matches('\0').to_owned()
}

fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// The kinds and values of attributes, as far as they are whole.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    iter::from_fn(move || {
        let (length, kind) = (u16_at(bytes, 0)?, u16_at(bytes, 2)?);
        let value = bytes.get(4..length.into())?;
        bytes = bytes.get(usize::from(length).next_multiple_of(4)..).unwrap_or_default();
        Some((kind & libc::NLA_TYPE_MASK as u16, value))
    })
}

/// The values of all attributes of this kind.
pub(crate) fn values(bytes: &[u8], kind: u16) -> impl Iterator<Item = &[u8]> {
    attributes(bytes).filter(move |(found, _)| *found == kind).map(|(_, value)| value)
}

/// The value of the first attribute of this kind.
pub(crate) fn value(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    values(bytes, kind).next()
}

pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes.get(offset..)?.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes))
}

pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

/// Asks for something of rtnetlink, with this header and what is behind it.
pub(crate) fn route(kind: u16, flags: i32, body: &[u8]) -> io::Result<Vec<Message>> {
    ask(SockProtocol::NetlinkRoute, &request(kind, flags, body), 1)
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
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket::socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
    // The kernel answers at once; a limit all the same, since a boot waits for this.
    socket::setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(5, 0))?;
    socket::sendto(socket.as_raw_fd(), request, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    let (mut messages, mut seen) = (Vec::new(), 0);
    let mut buffer = vec![0; BUFFER];
    while seen < endings {
        let length = socket::recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        seen += read(&buffer[..length], &mut messages)?;
    }
    Ok(messages)
}

/// Adds the messages of one datagram, and returns how many endings were among them.
pub(crate) fn read(mut bytes: &[u8], messages: &mut Vec<Message>) -> io::Result<usize> {
    let mut endings = 0;
    while !bytes.is_empty() {
        let (length, kind, flags, payload) = split(bytes).ok_or(io::ErrorKind::InvalidData)?;
        if i32::from(flags) & libc::NLM_F_DUMP_INTR != 0 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        match kind.into() {
            libc::NLMSG_ERROR | libc::NLMSG_DONE => {
                result(payload)?;
                endings += 1;
            }
            _ => messages.push(Message { kind, payload: payload.to_vec() }),
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(endings)
}

/// Length, kind, flags and payload of the first message.
fn split(bytes: &[u8]) -> Option<(usize, u16, u16, &[u8])> {
    let length = u32_at(bytes, 0)? as usize;
    Some((length, u16_at(bytes, 4)?, u16_at(bytes, 6)?, bytes.get(HEADER..length)?))
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

    fn ending(kind: i32, code: i32) -> Vec<u8> {
        request(kind as u16, 0, &code.to_ne_bytes())
    }

    #[test]
    fn answer_keeps_the_messages_before_its_acknowledgement() {
        let mut bytes = request(77, 0, b"name\0");
        bytes.extend(ending(libc::NLMSG_ERROR, 0));
        let mut messages = Vec::new();
        assert_eq!(read(&bytes, &mut messages).unwrap(), 1);
        assert_eq!((messages[0].kind, messages[0].payload.as_slice()), (77, &b"name\0"[..]));
    }

    #[test]
    fn refusal_is_the_errno_of_the_kernel() {
        let refused = read(&ending(libc::NLMSG_ERROR, -libc::EPERM), &mut Vec::new()).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EPERM));
        let broken_dump =
            read(&ending(libc::NLMSG_DONE, -libc::ENOMEM), &mut Vec::new()).unwrap_err();
        assert_eq!(broken_dump.raw_os_error(), Some(libc::ENOMEM));
    }

    #[test]
    fn truncated_message_is_an_error() {
        let bytes = request(77, 0, b"something");
        assert!(read(&bytes[..18], &mut Vec::new()).is_err());
    }
}

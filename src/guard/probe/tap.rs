//! Stands in for a container on a bridge: a TAP device, which the kernel removes when the process
//! ends, even by SIGKILL.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::libc;
use nix::net::if_::if_nametoindex;

use super::super::links::{self, Link};

const DEVICE: &str = "/dev/net/tun";

/// A port of a bridge.
pub(crate) struct Tap {
    file: File,
    pub(crate) index: u32,
    /// The MAC that the probe sends from. It is not the port's: a bridge drops frames that seem to
    /// come from its own port.
    pub(crate) mac: [u8; 6],
}

impl Tap {
    /// Adds a port to `bridge`.
    ///
    /// # Errors
    /// `NotFound` without the tun module, `PermissionDenied` without CAP_NET_ADMIN.
    pub(crate) fn new(bridge: &Link) -> io::Result<Tap> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open(DEVICE)?;
        let name = create_device(&file)?;
        let index = if_nametoindex(name.as_str())?;
        // The port has a high MAC, since a bridge without a fixed one takes the lowest of its
        // ports; and the bridge's MTU, since a bridge shrinks to the smallest.
        links::attach(index, bridge, mac(0xfe))?;
        Ok(Tap { file, index, mac: mac(0x02) })
    }

    /// Sends a frame into the bridge. If it is lost, the next round sends it again.
    pub(crate) fn send(&self, frame: &[u8]) {
        _ = (&self.file).write(frame);
    }

    /// The next frame that the bridge sent to this port, if any.
    pub(crate) fn receive(&self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 2048];
        let length = (&self.file).read(&mut buffer).ok()?;
        buffer.truncate(length);
        Some(buffer)
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn mac(first: u8) -> [u8; 6] {
    let mut mac = [first; 6];
    fastrand::fill(&mut mac[1..]);
    mac
}

nix::ioctl_readwrite_bad!(
    /// linux/if_tun.h: makes the descriptor a network device, and fills in its name.
    set_interface, libc::TUNSETIFF, libc::ifreq
);

/// Turns the descriptor into a device, and returns the name that the kernel chose.
#[allow(unsafe_code)]
fn create_device(file: &File) -> io::Result<String> {
    const NAME: &[u8] = b"ecsb-probe%d";
    // SAFETY: ifreq is plain old data, for which all zeros is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(NAME) {
        *to = from.cast_signed() as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: the descriptor is open, and the kernel reads and writes one whole ifreq, which
    // `request` is and which lives on.
    unsafe { set_interface(file.as_raw_fd(), &raw mut request) }?;
    let name = request.ifr_name.iter().map(|letter| *letter as u8 as char);
    Ok(name.take_while(|letter| *letter != '\0').collect())
}

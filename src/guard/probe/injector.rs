//! Puts packets where a bridge's containers would: one TAP device for all bridges, which is a port
//! of none, and whose packets the kernel's traffic control redirects.
//!
//! A port on each bridge instead would change the MAC of a bridge without a fixed one, would write
//! ten lines into the kernel's log, and would take 20 ms each to remove. The kernel removes the
//! device with all that hangs on it when the process ends, even by SIGKILL.
//!
//! Needs the modules tun, sch_ingress, cls_u32 and act_mirred. Numbers are those of
//! linux/rtnetlink.h, pkt_sched.h, pkt_cls.h and tc_act/tc_mirred.h.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use nix::libc;
use nix::net::if_::if_nametoindex;

use super::super::netlink::{self, attribute};

const DEVICE: &str = "/dev/net/tun";
const INGRESS: u32 = 0xffff_0000;
const ROOT_OF_INGRESS: u32 = 0xffff_fff1; // TC_H_INGRESS

/// The device.
pub(crate) struct Injector {
    file: File,
    pub(crate) index: u32,
    mac: [u8; 6],
    /// The beginning of the MACs that frames come from; the end is the number of the interface that
    /// they are led to.
    sender: [u8; 4],
}

impl Injector {
    /// # Errors
    /// `NotFound` without a module, `PermissionDenied` without CAP_NET_ADMIN.
    pub(crate) fn new() -> io::Result<Injector> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open(DEVICE)?;
        let name = create_device(&file)?;
        let index = if_nametoindex(name.as_str())?;
        let (mut mac, mut sender) = ([0x02; 6], [0x02; 4]);
        fastrand::fill(&mut mac[1..]);
        fastrand::fill(&mut sender[1..]);
        bring_up(index, mac)?;
        let header = tc_message(index, INGRESS, ROOT_OF_INGRESS, 0);
        create(libc::RTM_NEWQDISC, &[header, attribute(libc::TCA_KIND, "ingress\0")])?;
        Ok(Injector { file, index, mac, sender })
    }

    /// From now on what is sent as `number` comes in by `interface`.
    ///
    /// # Errors
    /// `NotFound` also if the interface has vanished.
    pub(crate) fn lead(&self, number: u16, interface: u32) -> io::Result<()> {
        const ALL_PROTOCOLS: u16 = 0x0003;
        let info = 1 << 16 | u32::from(ALL_PROTOCOLS.to_be());
        let header = tc_message(self.index, 0, INGRESS, info);
        let options = attribute(libc::TCA_OPTIONS, redirect(number, interface));
        create(libc::RTM_NEWTFILTER, &[header, attribute(libc::TCA_KIND, "u32\0"), options])
    }

    /// Sends an IP packet as `number`: to the host itself, or in a frame to another MAC. If it is
    /// lost, the next round sends it again.
    pub(crate) fn send(&self, number: u16, to: Option<[u8; 6]>, packet: &[u8]) {
        let ethertype: [u8; 2] =
            if packet.first() == Some(&0x45) { [0x08, 0x00] } else { [0x86, 0xdd] };
        let to = to.unwrap_or(self.mac);
        let frame = [&to[..], &self.sender(number), &ethertype, packet].concat();
        _ = (&self.file).write(&frame);
    }

    /// The MAC that frames of this number come from.
    pub(crate) fn sender(&self, number: u16) -> [u8; 6] {
        let [a, b, c, d] = self.sender;
        let [e, f] = number.to_be_bytes();
        [a, b, c, d, e, f]
    }
}

fn bring_up(index: u32, mac: [u8; 6]) -> io::Result<()> {
    let up = libc::IFF_UP as u32;
    let header = [[0; 4], index.to_ne_bytes(), up.to_ne_bytes(), up.to_ne_bytes()].concat();
    let request = [header, attribute(libc::IFLA_ADDRESS, mac)].concat();
    netlink::route(libc::RTM_SETLINK, libc::NLM_F_ACK, &request).map(drop)
}

fn create(kind: u16, request: &[Vec<u8>]) -> io::Result<()> {
    let flags = libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    netlink::route(kind, flags, &request.concat()).map(drop)
}

/// struct tcmsg.
fn tc_message(index: u32, handle: u32, parent: u32, info: u32) -> Vec<u8> {
    [0, index, handle, parent, info].map(u32::to_ne_bytes).concat()
}

/// Options of a u32 filter: if the sender's MAC ends in `number`, redirect to the ingress of
/// `interface`.
fn redirect(number: u16, interface: u32) -> Vec<u8> {
    const SELECTOR: u16 = 5; // TCA_U32_SEL
    const ACTIONS: u16 = 7; // TCA_U32_ACT
    const TERMINAL: u8 = 1;
    let mut selector = vec![0; 16]; // struct tc_u32_sel
    (selector[0], selector[2]) = (TERMINAL, 1);
    // One struct tc_u32_key: the last two bytes of the sender's MAC and the ethertype, which are
    // the four in front of the network header.
    selector.extend([0xffff_0000, u32::from(number) << 16].map(u32::to_be_bytes).concat());
    selector.extend([-4i32, 0].map(i32::to_ne_bytes).concat());

    const KIND: u16 = 1; // TCA_ACT_KIND
    const OPTIONS: u16 = 2; // TCA_ACT_OPTIONS
    const PARAMETERS: u16 = 2; // TCA_MIRRED_PARMS
    const STOLEN: u32 = 4; // TC_ACT_STOLEN
    const INGRESS_REDIRECT: u32 = 3; // TCA_INGRESS_REDIR
    let parameters = [0, 0, STOLEN, 0, 0, INGRESS_REDIRECT, interface].map(u32::to_ne_bytes);
    let options = attribute(OPTIONS, attribute(PARAMETERS, parameters.concat()));
    let action = [attribute(KIND, "mirred\0"), options].concat();
    [attribute(SELECTOR, selector), attribute(ACTIONS, attribute(1, action))].concat()
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

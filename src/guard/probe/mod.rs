//! Sends what a container on each bridge would send to instance metadata, and observes what becomes
//! of it.
//!
//! A SYN to metadata comes in by each bridge as if a container had sent it, and if nothing positive
//! follows, one to the VPC's resolver, which no rule should block (the control). A packet socket
//! captures what the host sends, so that nothing depends on NAT or on a route back. The verdict,
//! strongest evidence first:
//!
//! | observed | verdict |
//! | --- | --- |
//! | metadata's SYN left, or metadata answered the container's address | leaks |
//! | the host refused this very packet ("administratively prohibited") | blocked |
//! | the guard's own rule counted and dropped this very packet | blocked |
//! | nothing, and the kernel says that its routing would refuse the packet | blocked |
//! | the control left, and metadata's SYN did not | blocked |
//! | neither left | inconclusive, with the reason |
//!
//! Takes links; returns a verdict for each bridge and family. One bridge's trouble is its own
//! verdict only. Leaves nothing behind.

mod capture;
mod frames;
mod injector;
pub(super) mod neighbours;
pub(super) mod packet;
mod round;
mod route;
mod target;

use std::io;
use std::net::IpAddr;
use std::path::Path;

use capture::PacketCapture;
use neighbours::Neighbour;
use round::Round;
use target::Target;

use super::addresses::IpFamily;
use super::links::{self, Link};
use super::proof::{NetworkProof, ProbePath, Proof};
use crate::files::read_text;
use crate::paths::MAX_DOCUMENT;

const DNS: u16 = 53;

/// Probes every bridge among `links`.
///
/// # Errors
/// `PermissionDenied` without CAP_NET_ADMIN and CAP_NET_RAW. That the kernel lacks what it takes to
/// send a packet is not an error: its routing can still be asked.
pub(crate) fn probe(links: &[Link]) -> io::Result<Proof> {
    let frames = frames::find(links, &neighbours::read()?);
    let networks: Vec<_> = links.iter().filter(|link| link.is_network()).collect();
    if networks.is_empty() && frames.is_empty() {
        return Ok(Proof::default());
    }
    let mut round = Round::new(PacketCapture::open()?)?;
    networks.into_iter().for_each(|bridge| round.add_network(bridge));
    frames.iter().for_each(|path| round.add_frames(path));
    round.send_and_observe();
    let networks = verdicts(&round.targets, links)?;
    let credentials = round.credentials();
    let (notes, failure) = round.end();
    Ok(Proof { networks, credentials, notes, failure, ..Proof::default() })
}

/// The indices of bridges that hold an uplink.
pub(crate) fn bridges_with_uplink(links: &[Link]) -> Vec<u32> {
    let known = neighbours::read().unwrap_or_default();
    frames::find(links, &known).iter().map(|path| path.bridge.index).collect()
}

/// Whether the kernel's routing refuses a packet to metadata that comes in by this bridge. Sends
/// nothing.
pub(crate) fn would_refuse(bridge: &Link, family: IpFamily) -> bool {
    let sources = bridge.probe_addresses(family, 0);
    let refused = |source| {
        route::look_up(bridge, source, family.metadata()) == Some(route::RouteAnswer::Refused)
    };
    !sources.is_empty() && sources.into_iter().all(refused)
}

/// One for each bridge, family and path; of several subnets the worst. A bridge that has vanished
/// is left out.
fn verdicts(targets: &[Target<'_>], links: &[Link]) -> io::Result<Vec<NetworkProof>> {
    let (known, now) = (neighbours::read()?, links::read()?);
    let exists = |bridge: &Link| now.iter().any(|link| link.index == bridge.index);
    let mut rows: Vec<NetworkProof> = Vec::new();
    for target in targets.iter().filter(|target| exists(target.bridge)) {
        let found = row(target, links, &known);
        match rows.iter_mut().find(|row| row.is_about_same(&found)) {
            Some(row) if row.verdict < found.verdict => *row = found,
            Some(_) => {}
            None => rows.push(found),
        }
    }
    Ok(rows)
}

fn row(target: &Target<'_>, links: &[Link], known: &[Neighbour]) -> NetworkProof {
    let name = |index| {
        let link = links.iter().find(|link| link.index == index);
        link.map_or_else(|| format!("interface {index}"), |link| link.name.clone())
    };
    let is_silent = |address| known.iter().any(|known| known.address == address && !known.answers);
    let (verdict, evidence, reason) = target.finding(name, is_silent, why_nothing_left);
    NetworkProof {
        network: target.bridge.name.clone(),
        family: target.family,
        path: target.path,
        verdict,
        evidence,
        reason,
        leaked_before: false,
    }
}

/// The most likely reason first.
fn why_nothing_left(target: &Target<'_>) -> String {
    let (bridge, family) = (target.bridge, target.family);
    if target.path == ProbePath::Bridged {
        return format!("{} passed on no frame to its uplink, the control neither", bridge.name);
    }
    if !forwards(bridge, family) {
        return format!("{family} forwarding is off on this host (Docker switches it on)");
    }
    let control = family.control();
    match no_route(control) {
        Some(error) => {
            format!("no route from this host to the control address {control}: {error}")
        }
        None => format!(
            "the control packet to {control} did not leave either: another firewall drops it, the network is internal, or the next hop does not answer"
        ),
    }
}

fn forwards(bridge: &Link, family: IpFamily) -> bool {
    let family = match family {
        IpFamily::V4 => "ipv4",
        IpFamily::V6 => "ipv6",
    };
    let path = format!("/proc/sys/net/{family}/conf/{}/forwarding", bridge.name);
    read_text(Path::new(&path), MAX_DOCUMENT).is_some_and(|value| value.trim() != "0")
}

/// Looks for a route without sending anything: a UDP socket only looks it up when it is connected.
fn no_route(to: IpAddr) -> Option<io::Error> {
    let any: IpAddr = if to.is_ipv4() { [0; 4].into() } else { [0u8; 16].into() };
    std::net::UdpSocket::bind((any, 0)).and_then(|socket| socket.connect((to, DNS))).err()
}

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

use round::Round;
use target::Target;

use super::addresses::IpFamily;
use super::links::{self, Link};
use super::proof::{NetworkProof, Proof};

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
    let mut round = Round::new()?;
    networks.into_iter().for_each(|bridge| round.add_network(bridge));
    frames.iter().for_each(|path| round.add_frames(path));
    round.send_and_observe();
    let networks = verdicts(&round.targets, links)?;
    Ok(Proof { networks, ..round.end() })
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
        let found = target.proof(links, &known);
        match rows.iter_mut().find(|row| row.is_about_same(&found)) {
            Some(row) if row.verdict < found.verdict => *row = found,
            Some(_) => {}
            None => rows.push(found),
        }
    }
    Ok(rows)
}

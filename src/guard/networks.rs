//! Which container networks the guard covers, with the evidence for each, and what it never covers.

use std::path::Path;

use super::addresses::IpFamily;
use super::links::Link;
use super::parts::{PartStatus, Parts};
use super::status::{Coverage, LastProof, coverage};
use super::{host_tasks, probe};

/// What no rule in the host's forward path can cover.
const NEVER_COVERED: [&str; 4] = [
    "macvlan and ipvlan networks: their packets bypass the host",
    "privileged containers and those with the Docker socket: they can remove any rule",
    "rootless Docker and Podman: their packets are the host's own",
    "programs on the host, among them the ECS agent and proxies that listen on its own addresses: they are meant to reach it",
];
const REDIRECTED: &str =
    "connections that are redirected to a proxy on this host: allow_local_proxy lets them pass";
const FRAMES: &str = "frames that a bridge passes on to an uplink: only a rule of nf_tables for bridges sees them, and none is in force";
const PACKET_SOCKETS: &str = "tasks in host network mode with CAP_NET_RAW, Docker's default: packet sockets pass IPAddressDeny";

/// What the guard does not cover, however it is installed, and what it does not as it is.
pub(super) fn not_covered(
    parts: &Parts<PartStatus>,
    local_proxy: bool,
    root: &Path,
) -> Vec<String> {
    let limits = [
        (local_proxy, REDIRECTED),
        (!parts.nftables.frames, FRAMES),
        (host_tasks::is_installed(root), PACKET_SOCKETS),
    ];
    let limits = limits.into_iter().filter(|(is_so, _)| *is_so).map(|(_, text)| text);
    NEVER_COVERED.into_iter().chain(limits).map(str::to_owned).collect()
}

/// Bridges with an address, and those that hold an uplink: one row each.
pub(super) fn networks(
    links: &[Link],
    parts: &Parts<PartStatus>,
    interface: Option<&str>,
    last: Option<&LastProof>,
) -> Vec<Coverage> {
    let with_uplink = probe::bridges_with_uplink(links);
    let row = |link: &Link| {
        let named = interface.is_none_or(|pattern| matches(pattern, &link.name));
        let uplink = with_uplink.contains(&link.index);
        let (covered, reason) = judge(link, uplink, named, parts);
        let mut reasons = vec![reason.to_owned()];
        if covered {
            reasons.extend(routing_answer(link));
        }
        reasons.extend(last.and_then(|last| proven(link, last)));
        coverage(&link.name, covered, reasons.join("; "))
    };
    let is_row = |link: &&Link| link.is_network() || with_uplink.contains(&link.index);
    links.iter().filter(is_row).map(row).collect()
}

/// Whether it is covered, and why.
fn judge(
    link: &Link,
    uplink: bool,
    named: bool,
    parts: &Parts<PartStatus>,
) -> (bool, &'static str) {
    match () {
        () if !named => (false, "the guard is restricted to another interface"),
        () if link.is_network() && !parts.is_in_force() => {
            (false, "neither guard is in force as wanted")
        }
        () if uplink && !parts.nftables.frames => {
            (false, "it holds an uplink, and no rule drops the frames that it passes on")
        }
        () if !link.is_network() => {
            (true, "it holds an uplink, and nf_tables drops the frames that it passes on")
        }
        () if uplink => (
            true,
            "the guard stops every packet that the host forwards from it, and nf_tables the frames that it passes on to its uplink",
        ),
        () => (true, "the guard stops every packet that the host forwards from it"),
    }
}

/// What the kernel's routing would do now with a packet of a container there.
fn routing_answer(link: &Link) -> Option<String> {
    let refused = |family: &IpFamily| probe::would_refuse(link, *family);
    let families: Vec<String> =
        IpFamily::ALL.iter().filter(|family| refused(family)).map(ToString::to_string).collect();
    (!families.is_empty()).then(|| format!("routing refuses {} now", families.join(" and ")))
}

/// What the last proof has found there, and when.
fn proven(link: &Link, last: &LastProof) -> Option<String> {
    let rows = last.proof.networks.iter().filter(|row| row.network == link.name);
    let verdicts: Vec<String> = rows.map(|row| format!("{} {}", row.family, row.verdict)).collect();
    let age = last.age_seconds.map_or("at an unknown time".into(), |age| format!("{age} s ago"));
    (!verdicts.is_empty()).then(|| format!("proven {age}: {}", verdicts.join(", ")))
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('+') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(frames: bool) -> Parts<PartStatus> {
        let effective = || PartStatus::new("effective", vec![]);
        Parts { routing: effective(), nftables: PartStatus { frames, ..effective() } }
    }

    fn bridge(index: u32, name: &str) -> Link {
        let addresses = vec![("172.17.0.1".parse().unwrap(), 16)];
        Link { index, name: name.into(), kind: "bridge".into(), addresses, ..Link::default() }
    }

    #[test]
    fn interface_pattern_matches_only_what_it_names() {
        assert!(matches("docker+", "docker0") && matches("br-1", "br-1"));
        assert!(!matches("docker+", "br-1") && !matches("br-1", "br-12"));
    }

    #[test]
    fn bridge_with_an_uplink_needs_a_rule_for_frames() {
        let uplink = Link { index: 2, name: "ens5".into(), master: 1, ..Link::default() };
        let bare = Link { addresses: vec![], ..bridge(1, "br0") };
        for bridge in [bridge(1, "br0"), bare] {
            let links = [bridge, uplink.clone()];
            let covered = |frames| networks(&links, &parts(frames), None, None)[0].covered;
            assert!(covered(true) && !covered(false));
        }
    }

    #[test]
    fn bridge_outside_the_restriction_is_not_covered() {
        let rows =
            networks(&[bridge(1, "docker0"), bridge(2, "br-1")], &parts(true), Some("br-1"), None);
        assert_eq!(rows.iter().map(|row| row.covered).collect::<Vec<_>>(), [false, true]);
    }
}

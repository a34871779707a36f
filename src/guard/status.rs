//! What the guard is, does and does not cover on this host, as one value. Reads only.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use serde::Serialize;

use super::documented::{self, Shown};
use super::firewall::{self, Method};
use super::links::{self, Link};
use super::proof::Proof;
use super::{Error, Host, netlink, nft, slice, state, warnings};

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Status {
    /// `effective`: the fence stands as wanted. `weakened`: it is there, but altered. `absent`.
    pub(crate) state: &'static str,
    /// What holds the fence, if anything does. Never the documented rule.
    pub(crate) held_by: Option<Method>,
    pub(crate) interface: Option<String>,
    pub(crate) rules: Vec<String>,
    /// Packets that the fence has dropped since it was raised; unknown for iptables.
    pub(crate) dropped_packets: Option<u64>,
    pub(crate) documented_rule: Shown,
    pub(crate) networks: Vec<Covered>,
    pub(crate) host_tasks: Covered,
    pub(crate) awsvpc_tasks: Covered,
    pub(crate) not_covered: Vec<&'static str>,
    pub(crate) warnings: Vec<String>,
    pub(crate) last_proof: Option<LastProof>,
}

/// A network, or a kind of task, and whether the guard covers it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Covered {
    pub(crate) name: String,
    pub(crate) covered: bool,
    pub(crate) reason: String,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct LastProof {
    /// `None` if the clock went backwards.
    pub(crate) age_seconds: Option<u64>,
    #[serde(flatten)]
    pub(crate) proof: Proof,
}

/// Beyond any rule in the host's forward path.
const NEVER_COVERED: [&str; 4] = [
    "macvlan and ipvlan networks: their packets pass the host by",
    "privileged containers and those with the Docker socket: they can undo any fence",
    "rootless Docker and Podman: their packets are the host's own",
    "programs on the host, among them the ECS agent: they are meant to reach it",
];

/// Reads everything.
///
/// # Errors
/// Without CAP_NET_ADMIN the kernel shows no rules.
pub(crate) fn status(host: &Host) -> Result<Status, Error> {
    let remembered = state::read(host);
    let interface = remembered.interface.as_deref();
    let (state, held_by, dropped_packets) = look(host, interface)?;
    let links = links::read()
        .map_err(|source| Error::Probe { doing: "listing the host's links", source })?;
    let stands = held_by.is_some() && state == "effective";
    Ok(Status {
        state,
        held_by,
        rules: rules(interface),
        dropped_packets,
        documented_rule: documented::look(host, interface),
        networks: links
            .iter()
            .filter(|link| link.is_network())
            .map(|link| network(link, stands, interface))
            .collect(),
        host_tasks: host_tasks(host),
        awsvpc_tasks: awsvpc_tasks(host),
        not_covered: NEVER_COVERED.to_vec(),
        warnings: [warnings(host, false), saved_files(&host.root)].concat(),
        last_proof: remembered.last_proof.clone().map(last_proof),
        interface: remembered.interface.clone(),
    })
}

fn look(
    host: &Host,
    interface: Option<&str>,
) -> Result<(&'static str, Option<Method>, Option<u64>), Error> {
    match nft::read() {
        Ok(Some(present)) => {
            let as_wanted = [true, false]
                .map(|options| nft::wanted(interface, options))
                .contains(&present.table);
            let state = if as_wanted { "effective" } else { "weakened" };
            Ok((state, Some(Method::NfTables), Some(present.packets)))
        }
        Err(error) if !netlink::unsupported(&error) => Err(firewall::refused("reading", error)),
        _ if state::read(host).mangle_is_ours && firewall::mangle_stands(host, interface)? => {
            Ok(("effective", Some(Method::Mangle), None))
        }
        _ => Ok(("absent", None, None)),
    }
}

fn rules(interface: Option<&str>) -> Vec<String> {
    let from = interface.map_or(String::new(), |name| format!("from {name} "));
    let targets = ["to 169.254.169.254", "to fd00:ec2::254", "with a source route (IPv4)"];
    targets.iter().map(|target| format!("drop forwarded packets {from}{target}")).collect()
}

fn network(link: &Link, stands: bool, interface: Option<&str>) -> Covered {
    let named = interface.is_none_or(|pattern| matches(pattern, &link.name));
    let reason = match (stands, named) {
        (true, true) => "the fence covers every packet that the host forwards from it",
        (true, false) => "the fence is narrowed to another interface",
        (false, _) => "no fence stands as wanted",
    };
    Covered { name: link.name.clone(), covered: stands && named, reason: reason.into() }
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix(['+', '*']) {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    }
}

fn host_tasks(host: &Host) -> Covered {
    let (covered, reason) = match (slice::present(&host.root), slice::impossible(&host.root)) {
        (true, None) if setting(host, "ECS_ENABLE_TASK_CPU_MEM_LIMIT") == Some(false) => (
            false,
            "the drop-in is there, but ECS_ENABLE_TASK_CPU_MEM_LIMIT=false keeps tasks out of ecstasks.slice",
        ),
        (true, None) => (true, "IPAddressDeny on ecstasks.slice"),
        (true, Some(_)) => {
            (false, "the drop-in is there, but this host has no unified cgroup v2 hierarchy")
        }
        (false, Some(_)) => (false, "impossible here: no unified cgroup v2 hierarchy"),
        (false, None) => (false, "not asked for (--block-imds-host-tasks)"),
    };
    Covered { name: "tasks in host network mode".into(), covered, reason: reason.into() }
}

fn awsvpc_tasks(host: &Host) -> Covered {
    let (covered, reason) = match setting(host, "ECS_AWSVPC_BLOCK_IMDS") {
        Some(true) => (true, "ECS_AWSVPC_BLOCK_IMDS is true in ecs.config: the agent fences them"),
        _ => (
            false,
            "ECS_AWSVPC_BLOCK_IMDS is not true in ecs.config: only the agent can fence them",
        ),
    };
    Covered { name: "tasks in awsvpc network mode".into(), covered, reason: reason.into() }
}

/// A switch in the installed ecs.config, read as the agent's strconv.ParseBool does; `None`: not
/// set, or no boolean.
pub(crate) fn setting(host: &Host, key: &str) -> Option<bool> {
    let text = fs::read_to_string(host.root.join("etc/ecs/ecs.config")).ok()?;
    let mut values =
        text.lines().filter_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='));
    boolean(values.next_back()?.trim().trim_matches(['"', '\'']))
}

fn boolean(value: &str) -> Option<bool> {
    const TRUE: [&str; 6] = ["1", "t", "T", "true", "TRUE", "True"];
    const FALSE: [&str; 6] = ["0", "f", "F", "false", "FALSE", "False"];
    TRUE.contains(&value).then_some(true).or_else(|| FALSE.contains(&value).then_some(false))
}

/// Rule sets that the distribution loads at boot or on a restart, and that would undo ours or bring
/// a copy back.
fn saved_files(root: &Path) -> Vec<String> {
    const TRAPS: [(&str, &str, &str); 4] = [
        (
            "etc/nftables.conf",
            "flush ruleset",
            "loading it deletes every table, the guard's too: the verify unit brings it back",
        ),
        (
            "etc/sysconfig/nftables.conf",
            "flush ruleset",
            "loading it deletes every table, the guard's too: the verify unit brings it back",
        ),
        (
            "etc/sysconfig/iptables",
            "169.254.169.254",
            "it holds a saved copy of the documented rule, which outlives `guard remove`",
        ),
        (
            "etc/iptables/rules.v4",
            "169.254.169.254",
            "it holds a saved copy of the documented rule, which outlives `guard remove`",
        ),
    ];
    let holds = |path: &str, text: &str| {
        fs::read_to_string(root.join(path))
            .is_ok_and(|file| active(&file).any(|line| line.contains(text)))
    };
    TRAPS
        .iter()
        .filter(|(path, text, _)| holds(path, text))
        .map(|(path, _, trap)| format!("/{path}: {trap}"))
        .collect()
}

fn active(file: &str) -> impl Iterator<Item = &str> {
    file.lines().filter(|line| !line.trim_start().starts_with('#'))
}

fn last_proof(proof: Proof) -> LastProof {
    let at = humantime::parse_rfc3339(&proof.at).ok();
    let age = at.and_then(|at| SystemTime::now().duration_since(at).ok());
    LastProof { age_seconds: age.map(|age| age.as_secs()), proof }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(files: &[(&str, &str)]) -> std::path::PathBuf {
        let root = std::env::temp_dir().join(format!("guard-status-{:x}", fastrand::u64(..)));
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn a_switch_is_read_as_the_agent_reads_it_and_the_last_line_wins() {
        let root = root(&[(
            "etc/ecs/ecs.config",
            "ECS_AWSVPC_BLOCK_IMDS=false\nECS_AWSVPC_BLOCK_IMDS=\"True\"\nECS_CLUSTER=yes\n",
        )]);
        assert_eq!(setting(&Host::at(&root), "ECS_AWSVPC_BLOCK_IMDS"), Some(true));
        assert_eq!(setting(&Host::at(&root), "ECS_CLUSTER"), None);
        assert_eq!(setting(&Host::at(&root), "ECS_AWSVPC"), None);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_saved_rule_set_that_undoes_or_doubles_ours_is_named() {
        let root = root(&[
            ("etc/nftables.conf", "#!/usr/sbin/nft -f\nflush ruleset\n"),
            ("etc/sysconfig/iptables", "# -d 169.254.169.254/32 once\n*filter\nCOMMIT\n"),
        ]);
        let found = saved_files(&root);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("/etc/nftables.conf: "));
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn an_interface_pattern_covers_only_what_it_names() {
        assert!(matches("docker+", "docker0") && matches("br-1", "br-1"));
        assert!(!matches("docker+", "br-1") && !matches("br-1", "br-12"));
    }
}

//! What the guard covers on this host and what it does not, as one value. Reads only.

use std::path::Path;
use std::time::SystemTime;

use ecs_config::Effective;
use serde::Serialize;

use super::documented_rule::{self, DocumentedRule};
use super::error::Error;
use super::links;
use super::parts::{GuardOptions, GuardPart, PartStatus, Parts};
use super::proof::Proof;
use super::saved_rules::saved_rules;
use super::{firewall, host_tasks, networks, routing, state};
use crate::files::{HostFiles, read_text};
use crate::paths::MAX_DOCUMENT;

/// The guard on this host.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct GuardStatus {
    /// Of both guards: see [`Parts::state`].
    pub(crate) state: &'static str,
    #[serde(rename = "guards")]
    pub(crate) parts: Parts<PartStatus>,
    pub(crate) interface: Option<String>,
    /// Packets that nf_tables has dropped since its rules were installed. The routing rules come
    /// first, and count nothing.
    pub(crate) dropped_packets: Option<u64>,
    pub(crate) documented_rule: DocumentedRule,
    pub(crate) networks: Vec<Coverage>,
    pub(crate) host_tasks: Coverage,
    pub(crate) awsvpc_tasks: Coverage,
    pub(crate) not_covered: Vec<String>,
    pub(crate) warnings: Vec<String>,
    pub(crate) last_proof: Option<LastProof>,
}

/// A network, or a kind of task, and whether it is kept from instance metadata.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Coverage {
    pub(crate) name: String,
    pub(crate) covered: bool,
    pub(crate) reason: String,
}

/// The last proof since boot, and how old it is.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LastProof {
    /// `None` if the clock went backwards.
    pub(crate) age_seconds: Option<u64>,
    #[serde(flatten)]
    pub(crate) proof: Proof,
}

/// Where it is false, the agent puts tasks into no slice of their own.
const TASK_LIMITS: &str = "ECS_ENABLE_TASK_CPU_MEM_LIMIT";

const PRECEDED: &str = "a routing rule of another program has priority 0 and comes before the guard's: it may decide first (`ip rule`)";

/// Reads everything.
///
/// # Errors
/// The kernel shows the rules only with CAP_NET_ADMIN.
pub(crate) fn status(root: &Path) -> Result<GuardStatus, Error> {
    let saved = state::read(root);
    let interface = saved.options.interface.as_deref();
    let parts = parts_status(&saved.options)?;
    let links = links::read()
        .map_err(|source| Error::Probe { doing: "listing the host's links", source })?;
    let last_proof = saved.last_proof.map(last_proof);
    let files = HostFiles::read(root);
    let config = files.effective();
    let mut warnings = warnings(root, &config, false);
    warnings.extend(saved_rules(root).iter().map(|saved| saved.text()));
    if routing::is_preceded() {
        warnings.push(PRECEDED.to_owned());
    }
    Ok(GuardStatus {
        state: parts.state(),
        dropped_packets: parts.nftables.packets,
        documented_rule: documented_rule::find(interface),
        networks: networks::networks(&links, &parts, interface, last_proof.as_ref()),
        not_covered: networks::not_covered(&parts, saved.options.allow_local_proxy, root),
        parts,
        host_tasks: host_tasks(root, &config),
        awsvpc_tasks: awsvpc_tasks(&config),
        warnings,
        last_proof,
        interface: saved.options.interface,
    })
}

fn parts_status(options: &GuardOptions) -> Result<Parts<PartStatus>, Error> {
    let or_left_out = |part, status: Result<PartStatus, Error>| match status {
        Err(error @ Error::Unsupported(_)) => Ok(PartStatus::left_out(error.to_string())),
        // What is there against the options is reported as it is.
        Ok(found) if found.state == "absent" => {
            Ok(options.leaves_out(part).map_or(found, PartStatus::left_out))
        }
        status => status,
    };
    Ok(Parts {
        routing: or_left_out(GuardPart::Routing, routing::status(options))?,
        nftables: or_left_out(GuardPart::Nftables, firewall::status(options))?,
    })
}

pub(super) fn coverage(name: &str, covered: bool, reason: impl Into<String>) -> Coverage {
    Coverage { name: name.into(), covered, reason: reason.into() }
}

fn host_tasks(root: &Path, config: &Effective) -> Coverage {
    let unsupported = host_tasks::unsupported(root).is_some();
    let (covered, reason) = match (host_tasks::is_installed(root), unsupported) {
        (true, false) if config.boolean(TASK_LIMITS) == Some(false) => (
            false,
            "the drop-in is there, but ECS_ENABLE_TASK_CPU_MEM_LIMIT=false keeps tasks out of ecstasks.slice",
        ),
        (true, false) => (
            true,
            "IPAddressDeny on ecstasks.slice, which is a third guard of tasks on bridges, too",
        ),
        (true, true) => {
            (false, "the drop-in is there, but this host has no unified cgroup v2 hierarchy")
        }
        (false, true) => (false, "impossible on this host: no unified cgroup v2 hierarchy"),
        (false, false) => (false, "not requested (--block-imds-host-tasks)"),
    };
    coverage("tasks in host network mode", covered, reason)
}

/// Whether the agent blocks tasks in awsvpc network mode, whose packets no rule of the host sees.
pub(crate) fn awsvpc_tasks(config: &Effective) -> Coverage {
    const SWITCH: &str = "ECS_AWSVPC_BLOCK_IMDS";
    let (covered, reason) = match config.get(SWITCH).map(|set| (set, set.boolean())) {
        None => {
            (false, format!("{SWITCH} is not set in ecs.config: only the agent can block them"))
        }
        Some((set, Some(value))) => {
            let path = set.file.path();
            let agent = if value { "the agent blocks them" } else { "the agent lets them pass" };
            (value, format!("{SWITCH} is {value} in {path}: {agent}"))
        }
        Some((set, None)) => (
            false,
            format!(
                "{SWITCH} in {}, is not a boolean to the agent, for which quotes are part of the value",
                set.place()
            ),
        ),
    };
    coverage("tasks in awsvpc network mode", covered, reason)
}

/// What weakens the guard without being part of it.
pub(crate) fn warnings(root: &Path, config: &Effective, host_tasks: bool) -> Vec<String> {
    const SOURCE_ROUTES: &str = "/proc/sys/net/ipv4/conf/all/accept_source_route";
    let mut warnings = Vec::new();
    if read_text(Path::new(SOURCE_ROUTES), MAX_DOCUMENT).is_some_and(|value| value.trim() != "0") {
        warnings.push(
            "net.ipv4.conf.all.accept_source_route is on: a source-routed packet can pass a rule on its destination; \
             the guard's table drops such packets where the kernel can recognise them. Set it to 0"
                .to_owned(),
        );
    }
    let host_tasks = host_tasks || host_tasks::is_installed(root);
    if host_tasks && config.boolean(TASK_LIMITS) == Some(false) {
        warnings.push(format!(
            "{TASK_LIMITS} is false in ecs.config: tasks are not in ecstasks.slice, and tasks in host network mode are not blocked"
        ));
    }
    warnings
}

fn last_proof(proof: Proof) -> LastProof {
    let at = humantime::parse_rfc3339(&proof.at).ok();
    let age = at.and_then(|at| SystemTime::now().duration_since(at).ok());
    LastProof { age_seconds: age.map(|age| age.as_secs()), proof }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn awsvpc(etc: &str, var: &str) -> (bool, String) {
        let config = Effective::new(Some(etc.as_bytes()), Some(var.as_bytes()));
        let found = awsvpc_tasks(&config);
        (found.covered, found.reason)
    }

    #[test]
    fn quoted_awsvpc_switch_is_not_covered() {
        let (covered, reason) = awsvpc("ECS_CLUSTER=c\nECS_AWSVPC_BLOCK_IMDS=\"true\"\n", "");
        assert!(!covered);
        assert!(reason.contains("/etc/ecs/ecs.config, line 2, is not a boolean"), "{reason}");
    }

    #[test]
    fn awsvpc_switch_in_the_instance_file_is_covered() {
        let (covered, reason) = awsvpc("ECS_CLUSTER=c\n", "ECS_AWSVPC_BLOCK_IMDS=true\n");
        assert!(covered && reason.contains("/var/lib/ecs/ecs.config"), "{reason}");
    }

    #[test]
    fn awsvpc_switch_that_is_false_or_missing_is_not_covered() {
        let (yes, no) = ("ECS_AWSVPC_BLOCK_IMDS=true\n", "ECS_AWSVPC_BLOCK_IMDS=false\n");
        assert!(!awsvpc(no, yes).0);
        assert!(!awsvpc("", "").0);
        assert!(awsvpc(&format!("{no}{yes}"), no).0);
    }
}

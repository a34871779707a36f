//! The order of the units, read from their files: which waits for which, and whether any waits for
//! ever.

use std::path::Path;

use super::Target;
use super::check::{Check, Found, check, failure, ok, skipped, warning};
use super::unit_files::{self, Unit, is_enabled, links};
use super::user_data;
use crate::paths::{AGENT_UNITS, DOCKER_UNIT, ECS_CONFIG, GUARD_UNIT, RUN_UNIT};

pub(super) const CHECKS: &[Check] = &[
    check("agent-unit", "the agent's unit: enabled, and with ecs.config", check_agent_unit),
    check("order", "ordering cycles among our units and those of the agent", check_order),
    check("user-data", "user data that waits for the agent, which waits for it", check_user_data),
    check("interlock", "the start condition of the agent's unit", check_start_condition),
];

const CLOUD_FINAL: &str = "cloud-final.service";

/// The agent's unit, by the name that it has here.
fn agent(root: &Path) -> Option<(&'static str, Unit)> {
    AGENT_UNITS.into_iter().find_map(|name| Some((name, unit_files::read(root, name)?)))
}

fn check_agent_unit(target: &Target) -> Found {
    let Some((name, unit)) = agent(target.root()) else {
        return warning(
            "ecs.service is missing: the ECS agent is not installed",
            "install ecs-init (`dnf install ecs-init`)",
        );
    };
    if unit.masked {
        return failure(
            format!("{name} is masked: the agent will never start"),
            format!("systemctl unmask {name}"),
        );
    }
    // By whichever of its names, if one is an alias.
    if !AGENT_UNITS.iter().any(|name| is_enabled(target.root(), name)) {
        return warning(
            format!("{name} is not enabled: the agent will not start at boot"),
            format!("systemctl enable {name}"),
        );
    }
    let edit = |line: &str| format!("`systemctl edit {name}`, and write: [Service] {line}");
    let optional = format!("-{ECS_CONFIG}");
    if ![ECS_CONFIG, &optional].iter().any(|file| unit.lists("EnvironmentFile", file)) {
        return warning(
            format!(
                "{name} does not load {ECS_CONFIG}: ECS_EXTERNAL, DOCKER_HOST and proxies in it have no effect on ecs-init"
            ),
            edit("EnvironmentFile=-/etc/ecs/ecs.config"),
        );
    }
    let restarts = unit.last("Restart").is_some_and(|when| when != "no");
    if restarts && !unit.lists("RestartPreventExitStatus", "5") {
        return warning(
            format!(
                "{name} restarts the agent after exit status 5, by which it reports that it cannot work as it is configured"
            ),
            edit("RestartPreventExitStatus=5"),
        );
    }
    ok(format!("{name} is enabled and loads ecs.config"))
}

/// The units among which an ordering cycle has been seen (canonical/cloud-init's
/// After=multi-user.target, moby/moby#41767).
const NODES: [&str; 8] = [
    RUN_UNIT,
    GUARD_UNIT,
    AGENT_UNITS[0],
    AGENT_UNITS[1],
    DOCKER_UNIT,
    CLOUD_FINAL,
    "multi-user.target",
    "network-online.target",
];

fn check_order(target: &Target) -> Found {
    let units = NODES.map(|name| unit_files::read(target.root(), name));
    if NODES.iter().zip(&units).all(|(name, unit)| name.ends_with(".target") || unit.is_none()) {
        return skipped("there are no units to order");
    }
    let graph = graph(target.root(), units.map(Option::unwrap_or_default));
    match (0..NODES.len()).find_map(|start| cycle(&graph, &[start])) {
        None => ok("no unit waits for itself"),
        Some(cycle) => failure(
            format!(
                "each waits for the next, and systemd will leave one of them out: {}",
                cycle.into_iter().map(|node| NODES[node]).collect::<Vec<_>>().join(" → ")
            ),
            "remove the After= or Before= that closes the cycle; on Debian and Ubuntu nothing that the agent waits for may come \
             After=cloud-final.service (`systemctl cat ecs-bootstrap.service` shows which file it is in)",
        ),
    }
}

type Graph = [Vec<usize>; NODES.len()];

fn graph(root: &Path, units: [Unit; NODES.len()]) -> Graph {
    std::array::from_fn(|node| waits_for(root, &units, node))
}

/// The nodes that must be up before this one: its own After=, the others' Before=, and, of a
/// target, what it pulls in, unless that comes after the target itself.
fn waits_for(root: &Path, units: &[Unit; NODES.len()], node: usize) -> Vec<usize> {
    let name = NODES[node];
    let kinds: &[&str] = if name.ends_with(".target") { &["wants", "requires"] } else { &[] };
    let pulled: Vec<String> = kinds.iter().flat_map(|kind| links(root, name, kind)).collect();
    let waits = |other: &usize| {
        let pulls = pulled.iter().any(|link| link == NODES[*other]);
        units[node].lists("After", NODES[*other])
            || units[*other].lists("Before", name)
            || pulls && !units[*other].lists("After", name)
    };
    (0..NODES.len()).filter(|other| *other != node).filter(waits).collect()
}

/// A path from its first node back to that node.
fn cycle(graph: &Graph, path: &[usize]) -> Option<Vec<usize>> {
    let (first, last) = (path.first()?, path.last()?);
    if graph[*last].contains(first) {
        return Some([path, &[*first]].concat());
    }
    let mut unvisited = graph[*last].iter().filter(|next| !path.contains(next));
    unvisited.find_map(|next| cycle(graph, &[path, &[*next]].concat()))
}

/// Scripts of user data run inside cloud-final. Where the agent waits for that, by itself or by a
/// unit that it waits for, a script that waits for the agent waits for ever.
fn check_user_data(target: &Target) -> Found {
    let root = target.root();
    let Some((agent, _)) = agent(root) else {
        return ok("no agent is installed that could wait for user data");
    };
    let graph = graph(root, NODES.map(|name| unit_files::read(root, name).unwrap_or_default()));
    let mut waiting: Vec<usize> =
        (0..NODES.len()).filter(|node| NODES[*node] == CLOUD_FINAL).collect();
    while let Some(next) = (0..NODES.len()).find(|node| {
        !waiting.contains(node) && graph[*node].iter().any(|other| waiting.contains(other))
    }) {
        waiting.push(next);
    }
    let waiting: Vec<&'static str> = waiting.into_iter().map(|node| NODES[node]).collect();
    if waiting.contains(&agent) {
        return user_data::check_waiting(target, waiting);
    }
    ok("the agent does not wait for user data here")
}

fn check_start_condition(target: &Target) -> Found {
    const CONDITION: &str = "ecs-bootstrap status --check";
    let root = target.root();
    if unit_files::read(root, RUN_UNIT).is_none() {
        return skipped(format!(
            "{RUN_UNIT} is not installed: something else runs this program, user data perhaps"
        ));
    }
    let Some((name, unit)) = agent(root) else {
        return skipped("no agent is installed that could start too early");
    };
    let mut links = AGENT_UNITS.iter().flat_map(|name| links(root, name, "requires"));
    if !links.any(|link| link == RUN_UNIT) {
        return warning(
            format!(
                "{RUN_UNIT} is not enabled: the agent starts without waiting for it, and may join the cluster `default`"
            ),
            format!("systemctl enable {RUN_UNIT}"),
        );
    }
    if !unit.runs(CONDITION) {
        return failure(
            format!(
                "{name}.d has no drop-in with `{CONDITION}`: the agent starts with whatever file is there"
            ),
            "install the package again: it brings 50-ecs-bootstrap.conf",
        );
    }
    ok("the agent starts only with a file that a run of this boot has verified")
}

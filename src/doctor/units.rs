//! The order of the units, read from their files: which waits for which, and whether any waits for
//! ever.

use std::collections::BTreeMap;
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
pub(super) fn agent(root: &Path) -> Option<(&'static str, Unit)> {
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
    let root = target.root();
    let is_unit = |name| unit_files::read(root, name).is_some();
    if !NODES.into_iter().any(|name| !name.ends_with(".target") && is_unit(name)) {
        return skipped("there are no units to order");
    }
    let graph = graph(root);
    match NODES.into_iter().find_map(|start| cycle(&graph, &[start])) {
        None => ok("no unit waits for itself"),
        Some(cycle) => failure(
            format!(
                "each waits for the next, and systemd will leave one of them out: {}",
                cycle.join(" → ")
            ),
            "remove the After= or Before= that closes the cycle; on Debian and Ubuntu nothing that the agent waits for may come \
             After=cloud-final.service (`systemctl cat ecs-bootstrap.service` shows which file it is in)",
        ),
    }
}

/// The nodes that must be up before each.
type Graph = BTreeMap<&'static str, Vec<&'static str>>;

/// Its own After=, the others' Before=, and, of a target, what it pulls in, unless that comes after
/// the target itself.
fn graph(root: &Path) -> Graph {
    let units = NODES.map(|name| (name, unit_files::read(root, name).unwrap_or_default()));
    let before = |(name, unit): &(&'static str, Unit)| {
        let is_target = name.ends_with(".target");
        let kinds = ["wants", "requires"].into_iter().filter(|_| is_target);
        let pulled: Vec<String> = kinds.flat_map(|kind| links(root, name, kind)).collect();
        let waits = |(other, it): &&(&'static str, Unit)| {
            let pulls = pulled.iter().any(|link| link == other);
            unit.lists("After", other)
                || it.lists("Before", name)
                || pulls && !it.lists("After", name)
        };
        let others = units.iter().filter(|(other, _)| other != name).filter(waits);
        (*name, others.map(|(other, _)| *other).collect())
    };
    units.iter().map(before).collect()
}

/// A path from its first node back to that node.
fn cycle(graph: &Graph, path: &[&'static str]) -> Option<Vec<&'static str>> {
    let (first, before) = (*path.first()?, &graph[path.last()?]);
    if before.contains(&first) {
        return Some([path, &[first]].concat());
    }
    let mut unvisited = before.iter().filter(|next| !path.contains(next));
    unvisited.find_map(|next| cycle(graph, &[path, &[*next]].concat()))
}

/// Scripts of user data run inside cloud-final. Where the agent waits for that, by itself or by a
/// unit that it waits for, a script that waits for the agent waits for ever.
fn check_user_data(target: &Target) -> Found {
    let root = target.root();
    let Some((agent, _)) = agent(root) else {
        return ok("no agent is installed that could wait for user data");
    };
    let graph = graph(root);
    let mut waiting = vec![CLOUD_FINAL];
    while let Some((next, _)) = graph.iter().find(|(name, before)| {
        !waiting.contains(name) && before.iter().any(|other| waiting.contains(other))
    }) {
        waiting.push(next);
    }
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

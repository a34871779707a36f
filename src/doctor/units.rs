//! The order of the units, read from their files: who waits for whom, and whether anybody waits for
//! ever.

use std::fs;
use std::path::Path;

use super::Patient;
use super::check::{Check, Verdict, check};
use super::unit_files::{self, Unit, drop_in_holds, is_enabled, links};
use crate::paths;

pub(crate) const CHECKS: [Check; 4] = [
    check("agent-unit", "the agent's unit: there, enabled, and with ecs.config", agent_unit),
    check(
        "order",
        "After=, Before= and the targets' links of our units, Docker, the agent and cloud-final",
        order,
    ),
    check("user-data", "user data that waits for the agent, which waits for user data", user_data),
    check(
        "interlock",
        "the drop-in and the link that keep the agent from starting without a verified file",
        interlock,
    ),
];

const OURS: &str = "ecs-bootstrap.service";
const CLOUD_FINAL: &str = "cloud-final.service";

/// The agent's unit, by the name that it has here.
fn agent(root: &Path) -> Option<(&'static str, Unit)> {
    paths::AGENT_UNITS.into_iter().find_map(|name| Some((name, unit_files::read(root, name)?)))
}

fn agent_unit(patient: &Patient) -> Verdict {
    let root = &patient.settings.root;
    let Some((name, unit)) = agent(root) else {
        return Verdict::warning(
            "there is no ecs.service: the ECS agent is not installed",
            "install ecs-init (`dnf install ecs-init`)",
        );
    };
    if unit.masked {
        return Verdict::failure(
            format!("{name} is masked: the agent will never start"),
            format!("systemctl unmask {name}"),
        );
    }
    if !is_enabled(root, name) {
        return Verdict::warning(
            format!("{name} is not enabled: the agent will not start at boot"),
            format!("systemctl enable {name}"),
        );
    }
    let reads_config = unit
        .list("EnvironmentFile")
        .iter()
        .any(|file| file.trim_start_matches('-') == "/etc/ecs/ecs.config");
    let loops = unit.last("Restart").is_some_and(|when| when != "no")
        && !unit.list("RestartPreventExitStatus").contains(&"5");
    let section = |line: &str| format!("`systemctl edit {name}`, and write: [Service] {line}");
    match (reads_config, loops) {
        (false, _) => Verdict::warning(
            format!(
                "{name} does not load /etc/ecs/ecs.config: ECS_EXTERNAL, DOCKER_HOST and proxies in it have no effect on ecs-init"
            ),
            section("EnvironmentFile=-/etc/ecs/ecs.config"),
        ),
        (_, true) => Verdict::warning(
            format!(
                "{name} restarts the agent after exit status 5, with which it says that it cannot work as it is configured"
            ),
            section("RestartPreventExitStatus=5"),
        ),
        _ => Verdict::ok(format!("{name} is enabled and loads ecs.config")),
    }
}

/// The units among which a circle has been seen (canonical/cloud-init's After=multi-user.target,
/// moby/moby#41767).
const NODES: [&str; 8] = [
    OURS,
    "ecs-bootstrap-guard.service",
    "ecs.service",
    "amazon-ecs.service",
    "docker.service",
    CLOUD_FINAL,
    "multi-user.target",
    "network-online.target",
];

fn order(patient: &Patient) -> Verdict {
    let root = &patient.settings.root;
    let present = NODES.into_iter().filter(|name| !name.ends_with(".target"));
    if present.filter_map(|name| unit_files::read(root, name)).next().is_none() {
        return Verdict::skipped("no units here to order");
    }
    let graph = NODES.map(|name| waits_for(root, name));
    match NODES.iter().find_map(|start| circle(&graph, &[start])) {
        None => Verdict::ok("nobody waits in a circle"),
        Some(circle) => Verdict::failure(
            format!(
                "each waits for the next, and systemd will leave one of them out: {}",
                circle.join(" → ")
            ),
            "remove the After= or Before= that closes the circle; on Debian and Ubuntu nothing that the agent waits for may come \
             After=cloud-final.service (`systemctl cat ecs-bootstrap.service` shows which file it is in)",
        ),
    }
}

/// The nodes that must be up before this one: its own After=, the others' Before=, and, of a
/// target, what it pulls in.
fn waits_for(root: &Path, name: &str) -> Vec<&'static str> {
    let own = unit_files::read(root, name).unwrap_or_default();
    let pulled = if name.ends_with(".target") {
        [links(root, name, "wants"), links(root, name, "requires")].concat()
    } else {
        Vec::new()
    };
    let before = |node: &str| {
        unit_files::read(root, node).is_some_and(|unit| unit.list("Before").contains(&name))
    };
    // A target comes after what it pulls in, unless that says itself that it comes after the
    // target.
    let after_it = |node: &str| {
        unit_files::read(root, node).is_some_and(|unit| unit.list("After").contains(&name))
    };
    let waits = |node: &&str| {
        let pulls = pulled.iter().any(|link| link == node) && !after_it(node);
        *node != name && (own.list("After").contains(node) || before(node) || pulls)
    };
    NODES.into_iter().filter(waits).collect()
}

/// A way from the first node of the path back to it.
fn circle(
    graph: &[Vec<&'static str>; NODES.len()],
    path: &[&'static str],
) -> Option<Vec<&'static str>> {
    let (first, last) = (path.first()?, path.last()?);
    let at = NODES.iter().position(|node| node == last)?;
    if graph[at].contains(first) {
        return Some([path, &[first]].concat());
    }
    graph[at]
        .iter()
        .filter(|next| !path.contains(next))
        .find_map(|next| circle(graph, &[path, &[next]].concat()))
}

/// Scripts of user data run inside cloud-final. Where the agent waits for that, whoever waits for
/// the agent there waits for ever.
fn user_data(patient: &Patient) -> Verdict {
    let root = &patient.settings.root;
    let waits = agent(root).is_some_and(|(_, unit)| unit.list("After").contains(&CLOUD_FINAL));
    if !waits {
        return Verdict::ok("the agent does not wait for user data here");
    }
    let (files, hidden) = scripts(&root.join("var/lib/cloud/instance"));
    let stuck = files
        .iter()
        .find_map(|(name, text)| Some((name, text.lines().position(waits_for_agent)? + 1)));
    match stuck {
        Some((name, line)) => Verdict::failure(
            format!(
                "{name}, line {line} waits for the agent, and the agent waits for it (After=cloud-final.service)"
            ),
            "write `systemctl enable --now --no-block ecs` there, or nothing at all: systemd starts the agent when user data is done",
        ),
        None if hidden => Verdict::skipped("only root may read user data"),
        None => Verdict::ok("nothing in it waits for the agent"),
    }
}

/// The user data and its scripts, by name; and whether some could not be read.
fn scripts(folder: &Path) -> (Vec<(String, String)>, bool) {
    let entries = fs::read_dir(folder.join("scripts"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let (mut read, mut hidden) = (Vec::new(), false);
    for path in entries.chain([folder.join("user-data.txt")]) {
        match fs::read(&path) {
            Ok(bytes) => {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                read.push((name, String::from_utf8_lossy(&bytes).into_owned()));
            }
            Err(error) => hidden |= error.kind() == std::io::ErrorKind::PermissionDenied,
        }
    }
    (read, hidden)
}

fn waits_for_agent(line: &str) -> bool {
    let code = line.split('#').next().unwrap_or_default();
    code.split([';', '&', '|']).any(is_a_start_that_waits)
}

fn is_a_start_that_waits(command: &str) -> bool {
    let words: Vec<&str> =
        command.split(|c: char| c.is_whitespace() || "\"'[],(){}".contains(c)).collect();
    let has = |wanted: &[&str]| words.iter().any(|word| wanted.contains(word));
    let starts = has(&["start", "restart", "reload-or-restart", "--now"]);
    has(&["systemctl", "service"])
        && starts
        && has(&["ecs", "ecs.service", "amazon-ecs", "amazon-ecs.service"])
        && !has(&["--no-block"])
}

fn interlock(patient: &Patient) -> Verdict {
    let root = &patient.settings.root;
    if unit_files::read(root, OURS).is_none() {
        return Verdict::skipped(
            "ecs-bootstrap.service is not installed: something else runs this program, user data perhaps",
        );
    }
    let Some((name, _)) = agent(root) else {
        return Verdict::skipped("there is no agent to keep from starting");
    };
    let linked = links(root, name, "requires").iter().any(|link| link == OURS);
    match (linked, drop_in_holds(root, name, "ecs-bootstrap status --check")) {
        (true, true) => {
            Verdict::ok("the agent starts only with a file that a run of this boot has verified")
        }
        (true, false) => Verdict::failure(
            format!(
                "{name}.d holds no drop-in with `ecs-bootstrap status --check`: the agent starts with whatever file is there"
            ),
            "install the package again: it brings 50-ecs-bootstrap.conf",
        ),
        (false, _) => Verdict::warning(
            "ecs-bootstrap.service is not enabled: the agent starts without waiting for it, and may join the cluster `default`",
            "systemctl enable ecs-bootstrap.service",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_start_that_waits_is_a_start_that_waits() {
        let waiting = [
            "systemctl start ecs",
            "  sudo systemctl enable --now ecs.service",
            "service ecs start",
            "- [systemctl, restart, ecs]",
        ];
        let harmless = [
            "systemctl enable --now --no-block ecs",
            "systemctl enable ecs",
            "# systemctl start ecs",
            "systemctl start docker && echo ecs",
        ];
        assert!(waiting.into_iter().all(waits_for_agent));
        assert!(!harmless.into_iter().any(waits_for_agent));
    }
}

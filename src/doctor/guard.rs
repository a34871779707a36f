//! The fence around instance metadata: wanted, raised, raised again at the next boot, and what it
//! cannot cover.

use std::fs;

use serde_json::Value;

use super::Patient;
use super::check::{Check, Verdict, check};
use super::unit_files::{self, is_enabled};
use super::words;
use crate::error::Diagnostic;
use crate::guard::step;
use crate::guard::{self, Host, status::setting};
use crate::paths::GUARD_UNIT;

pub(crate) const CHECKS: [Check; 5] = [
    check("guard", "the fence in the kernel, if the settings ask for one", guard_stands),
    check(
        "guard-unit",
        "ecs-bootstrap-guard.service, which raises the fence before Docker starts",
        guard_unit,
    ),
    check(
        "guard-awsvpc",
        "ECS_AWSVPC_BLOCK_IMDS: tasks with a network interface of their own pass our fence by",
        awsvpc,
    ),
    check("saved-rules", "rules saved by hand, which come back at boot", saved_rules),
    check("docker-firewall", "which firewall Docker keeps (daemon.json)", docker_firewall),
];

const NOT_WANTED: &str = "no setting asks for a fence (block_imds)";

/// No packet is sent: `guard prove` does that.
fn guard_stands(patient: &Patient) -> Verdict {
    if step::wanted(&patient.settings).is_none() {
        return Verdict::skipped(format!(
            "{NOT_WANTED}: containers reach this host's role unless the hop limit keeps them from it"
        ));
    }
    let raise = "run `ecs-bootstrap guard install`, then `ecs-bootstrap guard prove`";
    match guard::status(&Host::at(&patient.settings.root)) {
        Err(guard::Error::Capability) => Verdict::skipped("only root may look at the firewall"),
        Err(error) => Verdict::failure(words(&error), error.remedy()),
        Ok(found) if patient.settings.block_imds && found.state != "effective" => {
            Verdict::failure(format!("it is asked for, and {}", found.state), raise)
        }
        Ok(found) if patient.settings.block_imds_host_tasks && !found.host_tasks.covered => {
            Verdict::failure(
                format!("tasks in host network mode are not covered: {}", found.host_tasks.reason),
                "run `ecs-bootstrap guard install --block-imds-host-tasks`",
            )
        }
        Ok(found) => match found
            .networks
            .iter()
            .find(|network| patient.settings.block_imds && !network.covered)
        {
            Some(network) => Verdict::warning(
                format!("{} is not covered: {}", network.name, network.reason),
                raise,
            ),
            None => Verdict::ok("it stands; `ecs-bootstrap guard prove` sends a packet against it"),
        },
    }
}

fn guard_unit(patient: &Patient) -> Verdict {
    let root = &patient.settings.root;
    if !patient.settings.block_imds {
        return Verdict::skipped(NOT_WANTED);
    }
    match (unit_files::read(root, GUARD_UNIT).is_some(), is_enabled(root, GUARD_UNIT)) {
        (_, true) => Verdict::ok("enabled"),
        (true, false) => Verdict::failure(
            format!(
                "{GUARD_UNIT} is not enabled: after the next boot containers start without a fence"
            ),
            format!(
                "systemctl enable --now {GUARD_UNIT} ecs-bootstrap-guard-verify.service ecs-bootstrap-guard-verify.timer"
            ),
        ),
        (false, false) => Verdict::skipped(format!(
            "{GUARD_UNIT} is not installed: something else runs this program, user data perhaps"
        )),
    }
}

fn awsvpc(patient: &Patient) -> Verdict {
    const SWITCH: &str = "ECS_AWSVPC_BLOCK_IMDS";
    if !patient.settings.block_imds {
        return Verdict::skipped(NOT_WANTED);
    }
    match setting(&Host::at(&patient.settings.root), SWITCH) {
        Some(true) => Verdict::ok("true: the agent fences them"),
        _ => Verdict::warning(
            format!(
                "{SWITCH} is not true in ecs.config: tasks in awsvpc network mode reach instance metadata"
            ),
            format!("write {SWITCH}=true into ecs.config"),
        ),
    }
}

/// Where `iptables-save >` and `service iptables save` put rules, as AWS's documentation has it.
const SAVED: [&str; 4] = [
    "/etc/sysconfig/iptables",
    "/etc/sysconfig/ip6tables",
    "/etc/iptables/rules.v4",
    "/etc/iptables/rules.v6",
];

fn saved_rules(patient: &Patient) -> Verdict {
    let holds = |path: &str, words: [&str; 2]| {
        let text = fs::read_to_string(patient.settings.path(path)).unwrap_or_default();
        text.lines()
            .filter(|line| !line.trim_start().starts_with('#'))
            .any(|line| words.iter().any(|word| line.contains(word)))
    };
    if let Some(path) = SAVED.into_iter().find(|path| holds(path, [":DOCKER", "-A DOCKER"])) {
        return Verdict::warning(
            format!(
                "{path} holds Docker's rules of the day it was saved: each boot opens what Docker has closed since"
            ),
            format!(
                "remove {path}, or take Docker's lines out of it: Docker makes its own rules when it starts"
            ),
        );
    }
    match SAVED.into_iter().find(|path| holds(path, ["169.254.169.254", "fd00:ec2::254"])) {
        Some(path) => Verdict::warning(
            format!(
                "{path} holds a saved copy of the documented rule: it comes back at boot, below Docker's own rules"
            ),
            format!(
                "take the line out of {path}: ecs-bootstrap-guard.service raises the fence at boot"
            ),
        ),
        None => Verdict::ok("none"),
    }
}

fn docker_firewall(patient: &Patient) -> Verdict {
    const FILE: &str = "/etc/docker/daemon.json";
    let Ok(text) = fs::read(patient.settings.path(FILE)) else {
        return Verdict::ok("iptables, Docker's default");
    };
    let Ok(daemon) = serde_json::from_slice::<Value>(&text) else {
        return Verdict::failure(
            format!("{FILE} is no JSON: Docker does not start"),
            format!("correct it: `jq . {FILE}` says where"),
        );
    };
    match (daemon["iptables"].as_bool(), daemon["firewall-backend"].as_str()) {
        (Some(false), _) => Verdict::warning(
            format!(
                "{FILE} switches Docker's rules off: bridge networks have no way out and ports are not published, unless somebody else's rules do it"
            ),
            format!("remove `\"iptables\": false` from {FILE}"),
        ),
        (_, Some("nftables")) => {
            Verdict::ok("nftables: there is no DOCKER-USER chain, which our fence does not need")
        }
        _ => Verdict::ok("iptables, Docker's default"),
    }
}

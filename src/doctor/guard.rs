//! The fence around instance metadata: wanted, raised, raised again at the next boot, and what it
//! cannot cover.

use std::fs;

use serde_json::Value;

use super::Patient;
use super::check::{Check, Verdict, check};
use super::unit_files::{self, is_enabled};
use super::words;
use crate::error::Diagnostic;
use crate::files::HostFiles;
use crate::guard::step;
use crate::guard::{self, SavedRulesProblem};
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
    match guard::status(&patient.settings.root) {
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
    if !patient.settings.block_imds {
        return Verdict::skipped(NOT_WANTED);
    }
    let found = guard::awsvpc_tasks(&HostFiles::read(&patient.settings.root).effective());
    if found.covered {
        return Verdict::ok(found.reason);
    }
    Verdict::warning(
        format!("tasks in awsvpc network mode reach instance metadata: {}", found.reason),
        "write ECS_AWSVPC_BLOCK_IMDS=true into ecs.config, without quotes",
    )
}

fn saved_rules(patient: &Patient) -> Verdict {
    for saved in guard::saved_rules(&patient.settings.root) {
        let remedy = match saved.problem {
            // `guard status` warns of it; the verify unit restores the guard.
            SavedRulesProblem::FlushesRuleset => continue,
            SavedRulesProblem::DockerRules => format!(
                "remove {0}, or delete Docker's lines from it: Docker makes its own rules when it starts",
                saved.path
            ),
            SavedRulesProblem::DocumentedRule => format!(
                "delete the line from {}: ecs-bootstrap-guard.service installs the rules at boot",
                saved.path
            ),
        };
        return Verdict::warning(saved.text(), remedy);
    }
    Verdict::ok("none")
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

//! The guard of instance metadata: wanted, installed, installed again at the next boot, and what it
//! cannot cover.

use super::Target;
use super::check::{Check, Found, check, failed, failure, ok, skipped, warning};
use super::unit_files::{self, is_enabled};
use crate::guard::{self, GuardRequest, SavedRulesProblem};
use crate::paths::{GUARD_UNIT, GUARD_VERIFY_UNITS};

pub(super) const CHECKS: &[Check] = &[
    check("guard", "the firewall rules in the kernel, if the settings ask for them", check_rules),
    check("guard-unit", "whether the rules come back at the next boot", check_guard_unit),
    check("guard-awsvpc", "ECS_AWSVPC_BLOCK_IMDS: tasks that bypass the rules", check_awsvpc),
    check("saved-rules", "rules saved by hand, which come back at boot", check_saved_rules),
];

const NOT_WANTED: &str = "no setting asks for the guard (block_imds)";

/// Sends no packet: `guard prove` does that.
fn check_rules(target: &Target) -> Found {
    let settings = &target.settings;
    if GuardRequest::of(settings).is_none() {
        return skipped(format!(
            "{NOT_WANTED}: containers reach this host's role unless the hop limit keeps them from it"
        ));
    }
    let found = match guard::status(target.root()) {
        Err(guard::Error::Capability) => {
            return skipped("only root can read the firewall");
        }
        Err(error) => return failed(&error),
        Ok(found) => found,
    };
    let install = "run `ecs-bootstrap guard install`, then `ecs-bootstrap guard prove`";
    if settings.block_imds && found.state != "effective" {
        return failure(format!("it is asked for, and {}", found.state), install);
    }
    if settings.block_imds_host_tasks && !found.host_tasks.covered {
        return failure(
            format!("tasks in host network mode are not covered: {}", found.host_tasks.reason),
            "run `ecs-bootstrap guard install --block-imds-host-tasks`",
        );
    }
    let mut networks = found.networks.iter().filter(|_| settings.block_imds);
    match networks.find(|network| !network.covered) {
        Some(network) => {
            warning(format!("{} is not covered: {}", network.name, network.reason), install)
        }
        None => ok("in effect; `ecs-bootstrap guard prove` tests it with a packet"),
    }
}

fn check_guard_unit(target: &Target) -> Found {
    if !target.settings.block_imds {
        return skipped(NOT_WANTED);
    }
    if is_enabled(target.root(), GUARD_UNIT) {
        return ok("enabled");
    }
    match unit_files::read(target.root(), GUARD_UNIT) {
        Some(_) => failure(
            format!("{GUARD_UNIT} is not enabled: after the next boot containers start without it"),
            format!("systemctl enable --now {GUARD_UNIT} {}", GUARD_VERIFY_UNITS.join(" ")),
        ),
        None => skipped(format!(
            "{GUARD_UNIT} is not installed: something else runs this program, user data perhaps"
        )),
    }
}

fn check_awsvpc(target: &Target) -> Found {
    if !target.settings.block_imds {
        return skipped(NOT_WANTED);
    }
    let found = guard::awsvpc_tasks(&target.files.effective());
    if found.covered {
        return ok(found.reason);
    }
    warning(
        format!("tasks in awsvpc network mode reach instance metadata: {}", found.reason),
        "write ECS_AWSVPC_BLOCK_IMDS=true into ecs.config, without quotes",
    )
}

fn check_saved_rules(target: &Target) -> Found {
    for saved in guard::saved_rules(target.root()) {
        let path = saved.path;
        let remedy = match saved.problem {
            // `guard status` warns of it; the verify unit restores the guard.
            SavedRulesProblem::FlushesRuleset => continue,
            SavedRulesProblem::DockerRules => format!(
                "remove {path}, or delete Docker's lines from it: Docker makes its own rules when it starts"
            ),
            SavedRulesProblem::DocumentedRule => {
                format!("delete the line from {path}: {GUARD_UNIT} installs the rules at boot")
            }
        };
        return warning(saved.text(), remedy);
    }
    ok("none")
}

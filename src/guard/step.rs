//! The guard as a step of a run: firewall rules before the first packet leaves, proven if there is a
//! network to prove them on.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::guard::{self, Error, Host, Wanted};
use crate::paths::GUARD_UNIT;
use crate::report::GuardReport;
use crate::settings::Settings;

/// What the settings ask for; `None` if nothing.
pub(crate) fn wanted(settings: &Settings) -> Option<Wanted> {
    let wanted = Wanted {
        bridges: settings.block_imds,
        host_tasks: settings.block_imds_host_tasks,
        interface: None,
    };
    (wanted.bridges || wanted.host_tasks).then_some(wanted)
}

/// Installs what is wanted and proves what it is worth.
///
/// # Errors
/// A network that leaks. One without a verdict is not an error: before Docker's first start there
/// is none, and the guard's own unit proves it afterwards.
pub(crate) fn install_and_prove(wanted: &Wanted, root: &Path) -> Result<GuardReport, Error> {
    let host = Host::at(root);
    let enforced = match guard::enforce(wanted, &host) {
        Err(Error::Capability) if unit_is_active() => {
            return Ok(GuardReport::installed(format!(
                "installed by {GUARD_UNIT}, and proven by its verify unit when Docker is up"
            )));
        }
        enforced => enforced?,
    };
    let not_shown = enforced.documented_rule.iter().filter_map(|rule| rule.reason.as_ref());
    for note in enforced.notes.iter().chain(not_shown) {
        tracing::warn!("guard: {note}");
    }
    match wanted.bridges {
        true => prove(&host),
        false if enforced.changed => Ok(GuardReport::installed("installed")),
        false => Ok(GuardReport::installed("stands")),
    }
}

/// The units divide the power: `ecs-bootstrap.service` may not even read the firewall, so it takes
/// systemd's word that the guard's unit, which comes before it and before Docker, has installed the
/// rules in this boot.
fn unit_is_active() -> bool {
    let mut asked = Command::new("systemctl");
    asked.args(["is-active", "--quiet", GUARD_UNIT]).stdin(Stdio::null());
    asked.status().is_ok_and(|status| status.success())
}

fn prove(host: &Host) -> Result<GuardReport, Error> {
    match guard::prove(host).and_then(|proof| proof.outcome()) {
        Ok(()) => Ok(GuardReport::effective("a probe packet was stopped on every network")),
        Err(leak @ Error::Leak(_)) => Err(leak),
        Err(unproven) => Ok(GuardReport::installed(unproven.to_string())),
    }
}

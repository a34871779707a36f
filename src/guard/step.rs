//! The guard as a step of a run: firewall rules before the first packet leaves, proven if there is
//! a network to prove them on.

use std::path::Path;

use crate::guard::{self, Error, GuardRequest};
use crate::install::process;
use crate::paths::GUARD_UNIT;
use crate::report::GuardReport;
use crate::settings::Settings;

/// What the settings ask for; `None` if nothing.
pub(crate) fn wanted(settings: &Settings) -> Option<GuardRequest> {
    let wanted = GuardRequest {
        bridges: settings.block_imds,
        host_tasks: settings.block_imds_host_tasks,
        allow_local_proxy: settings.allow_local_proxy,
        ..GuardRequest::default()
    };
    (wanted.bridges || wanted.host_tasks).then_some(wanted)
}

/// Installs what is wanted and proves what it is worth.
///
/// # Errors
/// A network that leaks. One without a verdict is not an error: before Docker's first start there
/// is none, and the guard's own unit proves it afterwards.
pub(crate) fn install_and_prove(wanted: &GuardRequest, root: &Path) -> Result<GuardReport, Error> {
    let installed = match guard::install(wanted, root) {
        Err(Error::Capability) if unit_is_active() => {
            return Ok(GuardReport::installed(format!(
                "installed by {GUARD_UNIT}, and proven by its verify unit when Docker is up"
            )));
        }
        installed => installed?,
    };
    let not_first = installed.documented_rule.iter().filter_map(|rule| rule.reason.as_ref());
    for note in installed.notes.iter().chain(not_first) {
        tracing::warn!("guard: {note}");
    }
    match wanted.bridges {
        true => prove(root),
        false if installed.changed => Ok(GuardReport::installed("installed")),
        false => Ok(GuardReport::installed("unchanged")),
    }
}

/// What the guard is worth after the error that ended the step.
pub(crate) fn failed(error: &Error) -> GuardReport {
    let wanted = GuardReport { wanted: true, ..GuardReport::default() };
    match error {
        Error::Leak(_) => {
            GuardReport { state: "leaking", proof: "probed", detail: error.to_string(), ..wanted }
        }
        _ => GuardReport { detail: "it could not be installed".into(), ..wanted },
    }
}

/// The units divide the power: `ecs-bootstrap.service` may not even read the firewall, so it takes
/// systemd's word that the guard's unit, which comes before it and before Docker, has installed the
/// rules in this boot.
fn unit_is_active() -> bool {
    let asked = process::systemctl(&["is-active", "--quiet", GUARD_UNIT]);
    asked.is_ok_and(|output| output.status.success())
}

fn prove(root: &Path) -> Result<GuardReport, Error> {
    match guard::prove(root).and_then(|proof| proof.outcome()) {
        Ok(()) => Ok(GuardReport::effective("a probe packet was stopped on every network")),
        Err(leak @ Error::Leak(_)) => Err(leak),
        Err(unproven) => Ok(GuardReport::installed(unproven.to_string())),
    }
}

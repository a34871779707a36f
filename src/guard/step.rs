//! The guard as a step of a run: installed before the first packet leaves, and proven beside the
//! steps that follow if there is a network to prove it on.

use std::path::{Path, PathBuf};
use std::thread;

use tokio::sync::oneshot;

use crate::guard::{self, Error, GuardRequest, Wish};
use crate::install::process;
use crate::paths::GUARD_UNIT;
use crate::report::GuardReport;
use crate::settings::Settings;

/// What the settings ask for; `None` if nothing.
pub(crate) fn wanted(settings: &Settings) -> Option<GuardRequest> {
    let wanted = GuardRequest {
        bridges: settings.block_imds,
        host_tasks: settings.block_imds_host_tasks,
        wish: Wish { allow_local_proxy: settings.allow_local_proxy, ..Wish::default() },
    };
    (wanted.bridges || wanted.host_tasks).then_some(wanted)
}

/// A proof that takes its time beside other steps.
pub(crate) type PendingProof = oneshot::Receiver<Result<GuardReport, Error>>;

/// Installs what is wanted, and begins to prove what it is worth.
///
/// # Errors
/// It could not be installed.
pub(crate) fn install(
    wanted: &GuardRequest,
    root: &Path,
) -> Result<(GuardReport, Option<PendingProof>), Error> {
    let installed = match guard::install(wanted, root) {
        Err(Error::Capability) if unit_is_active() => {
            let report = GuardReport::installed(format!(
                "installed by {GUARD_UNIT}, and proven by its verify unit when Docker is up"
            ));
            return Ok((report, None));
        }
        installed => installed?,
    };
    let not_first = installed.documented_rule.iter().filter_map(|rule| rule.reason.as_ref());
    for note in installed.notes.iter().chain(not_first) {
        tracing::warn!("guard: {note}");
    }
    let report = GuardReport::installed(if installed.changed { "installed" } else { "unchanged" });
    Ok((report, wanted.bridges.then(|| begin_to_prove(root.to_owned()))))
}

/// In a thread of its own, which the process does not wait for when it ends: the probe leaves
/// nothing behind.
fn begin_to_prove(root: PathBuf) -> PendingProof {
    let (sender, receiver) = oneshot::channel();
    // A run that was interrupted does not want the result any more.
    thread::spawn(move || _ = sender.send(prove(&root)));
    receiver
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
    let asked =
        process::systemctl(&["is-active", "--quiet", GUARD_UNIT], process::SYSTEMCTL_TIMEOUT);
    asked.is_ok_and(|output| output.status.success())
}

/// A network that leaks is an error. One without a verdict is not: before Docker's first start there
/// is none, and the guard's own unit proves it afterwards.
fn prove(root: &Path) -> Result<GuardReport, Error> {
    match guard::prove(root).and_then(|proof| proof.outcome()) {
        Ok(()) => Ok(GuardReport::effective("a probe packet was stopped on every network")),
        Err(leak @ Error::Leak(_)) => Err(leak),
        Err(unproven) => Ok(GuardReport::installed(unproven.to_string())),
    }
}

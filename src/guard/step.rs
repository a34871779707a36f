//! The guard as the first step of a run: raised before the first packet leaves, proven if there is
//! a network to prove it on.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::Error;
use crate::guard::{self, Host, Wanted};
use crate::report::{Guard, Report};
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

/// Raises what is wanted and writes down what it is worth. A network that leaks ends the run; one
/// without a verdict does not: before Docker's first start there is none, and the guard's own unit
/// proves it afterwards.
pub(crate) fn raise(
    wanted: Option<&Wanted>,
    root: &Path,
    report: &mut Report,
) -> Result<(), Error> {
    let Some(wanted) = wanted else {
        report.skip("guard", "not asked for");
        return Ok(());
    };
    report.enter("guard");
    report.guard =
        Guard { wanted: true, detail: "it could not be installed".into(), ..Guard::default() };
    let host = Host::at(root);
    let enforced = match guard::enforce(wanted, &host) {
        Err(guard::Error::Capability) if unit_has_raised_it() => {
            let detail = "raised by ecs-bootstrap-guard.service, and proven by its verify unit when Docker is up".to_owned();
            report.guard = Guard {
                wanted: true,
                state: "installed",
                proof: "not_probed",
                detail: detail.clone(),
            };
            report.done("guard", 1, detail);
            return Ok(());
        }
        enforced => enforced?,
    };
    let stands = if enforced.changed { "installed" } else { "stands" };
    report.guard =
        Guard { wanted: true, state: "installed", proof: "not_probed", detail: stands.into() };
    for note in enforced
        .notes
        .iter()
        .chain(enforced.documented_rule.iter().filter_map(|rule| rule.reason.as_ref()))
    {
        tracing::warn!("guard: {note}");
    }
    if wanted.bridges {
        prove(&host, report)?;
    }
    report.done("guard", 1, format!("{}, {}", report.guard.state, report.guard.detail));
    Ok(())
}

/// The units divide the power: `ecs-bootstrap.service` may not even look at the firewall, so it
/// takes systemd's word that the guard's unit, which comes before it and before Docker, has raised
/// the fence in this boot.
fn unit_has_raised_it() -> bool {
    let asked = Command::new("systemctl")
        .args(["is-active", "--quiet", "ecs-bootstrap-guard.service"])
        .stdin(Stdio::null())
        .status();
    asked.is_ok_and(|status| status.success())
}

fn prove(host: &Host, report: &mut Report) -> Result<(), Error> {
    let found = guard::prove(host).and_then(|proof| proof.outcome());
    let (state, proof, detail) = match &found {
        Ok(()) => ("effective", "probed", "a probe packet was stopped on every network".to_owned()),
        Err(leak @ guard::Error::Leak(_)) => ("leaking", "probed", leak.to_string()),
        Err(unproven) => ("installed", "not_probed", unproven.to_string()),
    };
    report.guard = Guard { wanted: true, state, proof, detail };
    match found {
        Err(leak @ guard::Error::Leak(_)) => Err(leak.into()),
        _ => Ok(()),
    }
}

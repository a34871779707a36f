//! When the guard is installed: before the first packet leaves, and again if tags ask for another.

use crate::error::{Error, Step};
use crate::guard::{GuardRequest, step};
use crate::report::{GuardReport, Timeline};
use crate::settings::Settings;

/// The guard is in place before the first packet leaves; only where tags may ask for it, it cannot
/// be before they are read.
pub(super) fn guard_before_tags(
    settings: &Settings,
    dry_run: bool,
    timeline: &Timeline,
) -> Result<GuardReport, Error> {
    match step::wanted(settings) {
        _ if dry_run => timeline.skip(Step::Guard, "this is a dry run"),
        None if settings.from_tags => {}
        wanted => return Ok(guard(wanted, settings, timeline)?.unwrap_or_default()),
    }
    Ok(GuardReport::default())
}

/// Once more, if tags ask for another guard.
pub(super) fn guard_after_tags(
    before: &Settings,
    settings: &Settings,
    installed: &GuardReport,
    dry_run: bool,
    timeline: &Timeline,
) -> Result<GuardReport, Error> {
    let wanted = step::wanted(settings);
    if dry_run || !settings.from_tags || (wanted.is_some() && wanted == step::wanted(before)) {
        return Ok(installed.clone());
    }
    Ok(guard(wanted, settings, timeline)?.unwrap_or_else(|| installed.clone()))
}

fn guard(
    wanted: Option<GuardRequest>,
    settings: &Settings,
    timeline: &Timeline,
) -> Result<Option<GuardReport>, Error> {
    let Some(wanted) = wanted else {
        timeline.skip(Step::Guard, "not asked for");
        return Ok(None);
    };
    timeline.enter(Step::Guard);
    let guard = step::install_and_prove(&wanted, &settings.root)?;
    timeline.done(Step::Guard, 1, guard.summary());
    Ok(Some(guard))
}

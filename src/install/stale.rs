//! The setting `stale = keep`: the last verified file stays while its source cannot be reached.
//!
//! Only a file that is still, byte for byte, what one of our runs verified on this very host, from
//! the sources and with the settings of now, and whose verification is not older than `--max-age`.
//! An image carries the file and our state of the host that it was made of to others.

use super::state::{Generation, State, boot_id, selection};
use super::{foreign, health};
use crate::error::Error;
use crate::files::HostFiles;
use crate::identity::HostFacts;
use crate::paths;
use crate::report::ConfigReport;
use crate::settings::Settings;

/// A file that stays.
pub(crate) struct Kept {
    pub(crate) config: ConfigReport,
    /// Since its verification, in seconds; `None` if by the clock it is in the future.
    pub(crate) age_s: Option<u64>,
}

/// Keeps the present file, or says in the log why it must not.
pub(crate) fn keep(
    settings: &Settings,
    files: &HostFiles,
    state: &State,
    facts: &HostFacts,
    unreachable: &Error,
) -> Result<Option<Kept>, Error> {
    let present = files.replaceable()?.unwrap_or_default();
    let mut generation = match verified(settings, state, facts, present) {
        Ok(generation) => generation.clone(),
        Err(why) => {
            tracing::warn!("the source cannot be reached, and {} {why}", paths::ECS_CONFIG);
            return Ok(None);
        }
    };
    if !settings.tolerate_foreign {
        let id = &facts.reported.instance_id;
        foreign::check(present, files, id, |name| generation.keys.contains(name))?;
    }
    let age = generation.age();
    let ago = age.map_or_else(
        || "at an unknown time".into(),
        |age| format!("{} ago", humantime::format_duration(age)),
    );
    tracing::warn!(
        "the source cannot be reached; keeping {}, verified {ago}: {unreachable}",
        paths::ECS_CONFIG
    );
    let config = generation.report(present.len());
    generation.boot_id = boot_id();
    generation.tolerate_foreign = settings.tolerate_foreign;
    state.clone().settle(&generation)?;
    generation.verified(&settings.root)?;
    Ok(Some(Kept { config, age_s: age.map(|age| age.as_secs()) }))
}

/// Nothing vouches for a file of another host, in whichever boot that verified it.
pub(crate) fn revoke(settings: &Settings, files: &HostFiles, state: &State, facts: &HostFacts) {
    let present = files.replaceable().ok().flatten().unwrap_or_default();
    let Some(found) = state.of_file(present) else { return };
    // A role can be exchanged under the feet of a host.
    let revoked = Generation { boot_id: String::new(), role: None, ..found.clone() };
    if of_this_host(&revoked, facts).is_err() {
        // The run has failed already, and tells why.
        _ = revoked.verified(&settings.root);
    }
}

/// Keeps the present file although its sources give another one: with that the agent did not come
/// up.
pub(crate) fn keep_before(
    settings: &Settings,
    files: &HostFiles,
    state: &State,
    facts: &HostFacts,
) -> Result<ConfigReport, Error> {
    let present = files.replaceable()?.unwrap_or_default();
    let generation =
        state.of_file(present).filter(|generation| of_this_host(generation, facts).is_ok());
    let mut generation = generation.cloned().ok_or(health::Error::RolledBack)?;
    tracing::warn!(
        "the agent did not come up with what the sources give; keeping {}",
        paths::ECS_CONFIG
    );
    let config = generation.report(present.len());
    generation.boot_id = boot_id();
    generation.verified(&settings.root)?;
    Ok(config)
}

/// The generation that the present file is, if it may stay; else why not.
fn verified<'s>(
    settings: &Settings,
    state: &'s State,
    facts: &HostFacts,
    present: &[u8],
) -> Result<&'s Generation, &'static str> {
    let generation = state.of_file(present).ok_or("is not a file that an earlier run verified")?;
    of_this_host(generation, facts)?;
    let sources = settings.config.iter().map(ToString::to_string);
    if !sources.eq(generation.layers.iter().map(|layer| layer.source.clone())) {
        return Err("was verified from other sources than those that are set now");
    }
    if generation.selection != Some(selection(settings)) {
        return Err(
            "was verified before `--set`, `--expand`, `--keep` and `--replace` had their present values",
        );
    }
    let is_too_old = |limit| generation.age().is_none_or(|age| age > limit);
    match settings.max_age.is_some_and(is_too_old) {
        true => Err("was verified longer ago than --max-age allows"),
        false => Ok(generation),
    }
}

/// Whether a run on this very host verified it; else on which other.
fn of_this_host(generation: &Generation, facts: &HostFacts) -> Result<(), &'static str> {
    let differs = |verified: &Option<String>, now: &Option<String>| {
        now.is_some() && verified.is_some() && verified != now
    };
    if generation.instance_id.as_ref() != Some(&facts.reported.instance_id) {
        return Err("was verified on another host");
    }
    if differs(&generation.account_id, &facts.reported.account_id) {
        return Err("was verified in another account");
    }
    if differs(&generation.role, &facts.reported.role) {
        return Err("was verified with another role");
    }
    Ok(())
}

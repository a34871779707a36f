//! The last verified file stands while its source cannot be reached.
//!
//! Only a file that is still, byte for byte, what one of our runs verified, from the sources and
//! with the `--set` values that are set now, and whose verification is not older than `--max-age`.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use ecs_config::readers::ecs_init;

use crate::error::Error;
use crate::files;
use crate::files::sha256;
use crate::install::state::{self, Generation, State, boot_id};
use crate::paths::{self, ECS_CONFIG};
use crate::report::{Config, Outcome, Report, parse_rfc3339};
use crate::settings::Settings;

/// Stays on the present file, or gives the error that made us look.
pub(crate) fn last_verified(
    settings: &Settings,
    mut known: State,
    unreachable: Error,
    report: &mut Report,
) -> Result<Outcome, Error> {
    let present = files::current(&settings.path(ECS_CONFIG))?;
    let Some(mut generation) =
        present.as_deref().and_then(|bytes| known.generation(&sha256(bytes))).cloned()
    else {
        tracing::warn!(
            "the source cannot be reached, and {ECS_CONFIG} is not a file that an earlier run verified"
        );
        return Err(unreachable);
    };
    if !generation.layers.iter().map(|layer| &layer.source).eq(&shown(settings)) {
        tracing::warn!(
            "the source cannot be reached, and {ECS_CONFIG} was verified from other sources than those that are set now"
        );
        return Err(unreachable);
    }
    if !settings.expand && !present.as_deref().is_some_and(|bytes| holds(bytes, &settings.set)) {
        tracing::warn!(
            "the source cannot be reached, and {ECS_CONFIG} was verified before `--set` had its present values"
        );
        return Err(unreachable);
    }
    let age = age(&generation);
    if settings.max_age.is_some_and(|most| age.is_none_or(|age| age > most)) {
        tracing::warn!(
            "the source cannot be reached, and {ECS_CONFIG} was verified longer ago than --max-age allows"
        );
        return Err(unreachable);
    }
    let shown = age.map_or_else(
        || "at an unknown time".into(),
        |age| format!("{} ago", humantime::format_duration(age)),
    );
    tracing::warn!(
        "the source cannot be reached; keeping {ECS_CONFIG}, verified {shown}: {unreachable}"
    );
    report.kept(&unreachable, age);
    report.config = Some(config(&generation, present.map_or(0, |bytes| bytes.len())));
    generation.boot_id = boot_id();
    known.settle(&settings.path(paths::STATE), generation)?;
    Ok(Outcome::Kept)
}

/// The sources as a report names them.
fn shown(settings: &Settings) -> Vec<String> {
    settings.config.iter().map(ToString::to_string).collect()
}

/// Whether the agent would read each of these from the file. Of values that are still to be
/// expanded nobody knows.
fn holds(file: &[u8], set: &[(String, String)]) -> bool {
    let read = ecs_init(file);
    let values = read.map();
    let set: BTreeMap<&String, &String> = set.iter().map(|(key, value)| (key, value)).collect(); // the last of a key is the one that counts
    set.iter()
        .all(|(key, value)| values.get(key.as_bytes()).copied().flatten() == Some(value.as_bytes()))
}

/// In whole seconds; `None` if the clock says that it lies in the future, and so proves nothing.
fn age(generation: &Generation) -> Option<Duration> {
    let then = parse_rfc3339(&generation.verified_at)?;
    SystemTime::now().duration_since(then).ok().map(|age| Duration::from_secs(age.as_secs()))
}

fn config(generation: &Generation, bytes: usize) -> Config {
    Config {
        path: ECS_CONFIG.into(),
        sha256: generation.sha256.clone(),
        bytes,
        changed: false,
        layers: generation.layers.clone(),
        keys: Default::default(),
    }
}

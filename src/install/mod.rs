//! The file itself: what it will hold, how it gets there, what is kept while its source is away.

pub(crate) mod agent;
pub(crate) mod attributes;
pub(crate) mod compose;
pub(crate) mod foreign;
pub(crate) mod health;
pub(crate) mod lock;
pub(crate) mod process;
pub(crate) mod stale;
pub(crate) mod state;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use compose::Composed;
use ecs_config::diff::{self, Hidden};
use nix::unistd::geteuid;
use state::{Generation, SecretVersion, Secrets, State, boot_id, selection};

use crate::error::{Diagnostic, ExitStatus, Step};
use crate::files::{self, HostFiles, Replaced, sha256};
use crate::identity::Identity;
use crate::paths;
use crate::report::{ConfigReport, Outcome, Timeline, rfc3339};
use crate::settings::Settings;
use crate::source::{self, Cached, Fetched, FetchedSecret, Layer};

/// A file that is ready to be installed, and for which host.
pub(crate) struct Candidate<'a> {
    pub(crate) composed: Composed,
    /// What will be known of it, once it is in place.
    pub(crate) generation: Generation,
    hidden: Hidden,
    /// The bytes that are in its place.
    pub(crate) present: Option<&'a [u8]>,
}

impl<'a> Candidate<'a> {
    pub(crate) fn new(
        composed: Composed,
        (layers, secrets): (&[Fetched], &[FetchedSecret]),
        identity: &Identity,
        settings: &Settings,
        (state, present): (&State, Option<&'a [u8]>),
    ) -> Self {
        let same = layers.iter().find(|fetched| fetched.bytes == composed.bytes);
        let digest = same.map(|fetched| fetched.layer.sha256.clone());
        let secrets = Secrets {
            versions: versions(secrets),
            keys: compose::secret_keys(settings, layers, &composed),
        };
        let hidden = hidden(layers, &secrets, state);
        let generation = Generation {
            sha256: digest.unwrap_or_else(|| sha256(&composed.bytes)),
            keys: composed.owned.clone(),
            layers: layers.iter().map(|fetched| fetched.layer.clone()).collect(),
            verified_at: rfc3339(SystemTime::now()),
            boot_id: boot_id(),
            instance_id: Some(identity.instance_id.clone()),
            account_id: identity.account_id.clone(),
            role: identity.role.clone(),
            selection: Some(selection(settings)),
            tolerate_foreign: settings.tolerate_foreign,
            secrets,
        };
        Candidate { composed, generation, hidden, present }
    }

    /// Whether an installation changes the bytes.
    pub(crate) fn differs(&self) -> bool {
        self.present != Some(&self.composed.bytes)
    }

    /// What an installation would change, with secrets redacted.
    pub(crate) fn diff(&self) -> String {
        let present = self.present.unwrap_or_default();
        diff::unified(paths::ECS_CONFIG, present, &self.composed.bytes, &self.hidden)
    }

    /// What the report says of it.
    pub(crate) fn report(&self, changed: bool) -> ConfigReport {
        let report = self.generation.report(self.composed.bytes.len());
        ConfigReport { changed, keys: self.composed.keys.clone(), ..report }
    }
}

/// Each parameter and secret once, though several of its fields may be used.
fn versions(secrets: &[FetchedSecret]) -> Vec<SecretVersion> {
    let mut versions: Vec<SecretVersion> = Vec::new();
    for FetchedSecret { fetched: Fetched { layer, .. }, .. } in secrets {
        if versions.iter().all(|known| known.source != layer.source) {
            let (source, version_id) = (layer.source.clone(), layer.version_id.clone());
            versions.push(SecretVersion { source, version_id });
        }
    }
    versions
}

/// What a difference must not show: what came from a secret, now or in the file before.
fn hidden(layers: &[Fetched], secrets: &Secrets, state: &State) -> Hidden {
    let before = [&state.installed, &state.pending].into_iter().flatten();
    let is_secret = |layer: &Layer| source::is_secret(&layer.source);
    let other_lines = layers.iter().any(|fetched| is_secret(&fetched.layer))
        || before.clone().flat_map(|before| &before.layers).any(is_secret);
    let before = before.flat_map(|before| &before.secrets.keys);
    Hidden { names: secrets.keys.iter().chain(before).cloned().collect(), other_lines }
}

/// The file that is in place, if it is one layer's bytes and nothing else: S3 then need not send
/// them again. Its digest says that it was not changed since.
pub(crate) fn cached(files: &HostFiles, state: &State) -> Option<Cached> {
    let bytes = files.replaceable().ok()??;
    let generation = state.generation(files.digest()?)?;
    match generation.layers.as_slice() {
        [layer] if layer.sha256 == generation.sha256 => {
            Some(Cached { layer: layer.clone(), bytes: bytes.to_vec() })
        }
        _ => None,
    }
}

/// A file could not be written; the message says which of the two configurations is in place.
#[derive(Debug, thiserror::Error)]
#[error("{cause}; {} {}", paths::ECS_CONFIG, if *.in_place { "is the new file already" } else { "is as it was" })]
pub(crate) struct CommitError {
    cause: files::Error,
    in_place: bool,
}

impl Diagnostic for CommitError {
    fn step(&self) -> Step {
        Step::Install
    }

    fn status(&self) -> ExitStatus {
        self.cause.status()
    }

    fn remedy(&self) -> String {
        self.cause.remedy()
    }

    fn causes(&self) -> Vec<String> {
        self.cause.causes()
    }
}

/// Whoever can write the folder can replace the file, which root's services read.
fn warn_of_open_folder(target: &Path) {
    let folder = target.parent().and_then(|folder| fs::metadata(folder).ok());
    let is_open = |folder: &fs::Metadata| {
        let is_foreign = ![0, geteuid().as_raw()].contains(&folder.uid());
        is_foreign || folder.mode() & 0o022 != 0
    };
    if folder.as_ref().is_some_and(is_open) {
        tracing::warn!(
            "install: others than root can write /etc/ecs, and replace what is in it: \
             `chown root:root /etc/ecs; chmod go-w /etc/ecs`"
        );
    }
}

/// Puts the file in place, unless another is kept instead of it. First what is known of it, then the
/// file: whenever we are killed, the next run knows which keys are ours.
pub(crate) fn commit(
    settings: &Settings,
    candidate: &Candidate<'_>,
    mut state: State,
    kept: Option<ConfigReport>,
    timeline: &Timeline,
) -> Result<(Outcome, ConfigReport), CommitError> {
    timeline.enter(Step::Install);
    if let Some(kept) = kept {
        timeline.done(Step::Install, 1, "the version that was rolled back is left out");
        return Ok((Outcome::Kept, kept));
    }
    let (root, target) = (&settings.root, settings.path(paths::ECS_CONFIG));
    let before = |cause| CommitError { cause, in_place: false };
    let after = |cause| CommitError { cause, in_place: true };
    let generation = &candidate.generation;
    warn_of_open_folder(&target);
    if candidate.differs() {
        if let Some(present) = candidate.present {
            files::replace(&settings.path(paths::PREVIOUS_CONFIG), present, 0o600)
                .map_err(before)?;
        }
        if settings.restart_agent {
            agent::owe_restart(root).map_err(before)?;
        }
        state.rejected = None;
        let present = candidate.present.map(sha256);
        state.stage(present.as_deref(), generation.clone()).map_err(before)?;
    } else {
        if state.pending.is_some() {
            // The run that put it there may have been killed before its name was synced.
            files::sync_parent(&target).map_err(after)?;
        }
        state.settle(generation).map_err(after)?;
    }
    let replaced = files::replace(&target, &candidate.composed.bytes, 0o600).map_err(|cause| {
        let in_place = cause.is_after_rename();
        CommitError { cause, in_place }
    })?;
    generation.verified(root).map_err(after)?;
    let changed = replaced == Replaced::Written;
    let (outcome, done) = match changed {
        true => (Outcome::Installed, "written"),
        false => (Outcome::Unchanged, "is as it should be"),
    };
    timeline.done(Step::Install, 1, format!("{} {done}", paths::ECS_CONFIG));
    Ok((outcome, candidate.report(changed)))
}

/// Back to the file before `candidate`, or to none; `state` is that of before its installation.
fn roll_back(
    settings: &Settings,
    candidate: &Candidate<'_>,
    mut state: State,
) -> Result<(), CommitError> {
    let (root, target) = (&settings.root, settings.path(paths::ECS_CONFIG));
    let before = candidate.present.and_then(|present| state.of_file(present).cloned());
    let before = before.map(|before| Generation { boot_id: boot_id(), ..before });
    let failed = |in_place| move |cause| CommitError { cause, in_place };
    let rejected = candidate.generation.sha256.clone();
    state.reject(rejected, before.clone()).map_err(failed(true))?;
    match candidate.present {
        Some(present) => files::replace(&target, present, 0o600).map(drop),
        None => files::remove(&target),
    }
    .map_err(failed(true))?;
    match before {
        Some(before) => before.verified(root).map_err(failed(false)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    impl CommitError {
        /// Before and after the rename, for the test over all errors.
        pub(crate) fn examples() -> Vec<(ExitStatus, CommitError)> {
            let of = |in_place| {
                let (path, source) = (paths::ECS_CONFIG.into(), ErrorKind::StorageFull.into());
                CommitError { cause: files::Error::Io { path, source }, in_place }
            };
            [false, true].map(|in_place| (ExitStatus::Install, of(in_place))).into()
        }
    }
}

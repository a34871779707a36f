//! What we know of earlier runs: `/var/lib/ecs-bootstrap/state.json`. Names, digests and sources;
//! no values.
//!
//! It is written once for each change, before the file is replaced, and holds what was installed
//! before it and what is `pending`: the digest of the file that is there tells which of the two is
//! true, whenever a run was killed. What every run changes, the time and the boot of the last
//! verification, is in `verified.json` beside it, which is not synced: lost in a power cut, it leaves
//! an older time, and the boot is another one anyway.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::files::{self, sha256};
use crate::paths::{self, MAX_STATE, below};
use crate::report::{ConfigReport, parse_rfc3339};
use crate::settings::Settings;
use crate::source::Layer;

const SCHEMA: u32 = 1;

/// What a file holds of Parameter Store and Secrets Manager, beside whole layers.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Secrets {
    pub(crate) versions: Vec<SecretVersion>,
    /// The variables whose values came from there, whole layers included.
    pub(crate) keys: BTreeSet<String>,
}

/// Which version of a parameter or a secret it was.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct SecretVersion {
    pub(crate) source: String,
    pub(crate) version_id: Option<String>,
}

/// One generation of the installed file.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Generation {
    /// SHA-256 of the whole file, in hexadecimal.
    pub(crate) sha256: String,
    /// The keys that are ours; all others in the file were written by others.
    pub(crate) keys: BTreeSet<String>,
    pub(crate) layers: Vec<Layer>,
    /// When a run last found the file to be what its sources say: RFC 3339.
    pub(crate) verified_at: String,
    /// The boot in which a run last verified or kept the file.
    pub(crate) boot_id: String,
    /// The host that it was installed on: an image made of that host carries our state to others.
    pub(crate) instance_id: Option<String>,
    #[serde(default)]
    pub(crate) account_id: Option<String>,
    #[serde(default)]
    pub(crate) role: Option<String>,
    /// SHA-256 of what the settings made of the layers: see [`selection`].
    #[serde(default)]
    pub(crate) selection: Option<String>,
    /// Errors in what other programs wrote were warnings.
    #[serde(default)]
    pub(crate) tolerate_foreign: bool,
    #[serde(default)]
    pub(crate) secrets: Secrets,
}

/// The digest of `set`, `expand`, `keep`, `replace` and `attributes`: with other values the same layers make
/// another file. Of several values for one key the last one counts.
pub(crate) fn selection(settings: &Settings) -> String {
    let Settings { set, expand, keep, replace, .. } = settings;
    let set: BTreeMap<&str, &str> = set.iter().map(|(key, value)| (&**key, &**value)).collect();
    let mut all = vec![json!(set), json!(expand), json!(keep), json!(replace)];
    // The attributes of a kept file must still be true.
    if settings.attributes {
        all.push(json!(settings.block_imds));
    }
    sha256(Value::from(all).to_string().as_bytes())
}

/// What earlier runs left.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct State {
    /// It is kept below this folder.
    #[serde(skip)]
    root: PathBuf,
    schema: u32,
    pub(crate) installed: Option<Generation>,
    #[serde(default)]
    pub(crate) pending: Option<Generation>,
    /// SHA-256 of a file with which the agent did not come up: it is not installed again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rejected: Option<String>,
}

/// The last verification, of the file with this digest.
#[derive(Deserialize, Serialize)]
struct Verified {
    sha256: String,
    verified_at: String,
    boot_id: String,
}

impl State {
    /// Reads what is below `root`. A state that is missing, truncated or of a later version counts
    /// as none: the next run writes it anew.
    pub(crate) fn read(root: &Path) -> State {
        let text = |path| files::read(&below(root, path), MAX_STATE).unwrap_or_default();
        let mut state = serde_json::from_slice(&text(paths::STATE))
            .ok()
            .filter(|state: &State| state.schema == SCHEMA)
            .unwrap_or_default();
        state.root = root.to_owned();
        if let Ok(verified) = serde_json::from_slice(&text(paths::VERIFIED)) {
            state.take_in(verified);
        }
        state
    }

    fn take_in(&mut self, verified: Verified) {
        if self.pending.as_ref().is_some_and(|pending| pending.sha256 == verified.sha256) {
            self.installed = self.pending.take();
        }
        let installed = self.installed.as_mut();
        if let Some(found) = installed.filter(|found| found.sha256 == verified.sha256) {
            (found.verified_at, found.boot_id) = (verified.verified_at, verified.boot_id);
        }
    }

    /// No run has installed anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.installed.is_none() && self.pending.is_none()
    }

    /// The generation that a file with this digest is, if one of our runs wrote it.
    pub(crate) fn generation(&self, sha256: &str) -> Option<&Generation> {
        let mut generations = [&self.pending, &self.installed].into_iter().flatten();
        generations.find(|generation| generation.sha256 == sha256)
    }

    /// The generation that a file of these bytes is, likewise.
    pub(crate) fn of_file(&self, bytes: &[u8]) -> Option<&Generation> {
        self.generation(&sha256(bytes))
    }

    /// The keys that our runs wrote into the file with this digest. One that was appended to since
    /// is still ours in those keys; where it is not known which run was the last, in the keys of
    /// both.
    pub(crate) fn owned(&self, sha256: Option<&str>) -> BTreeSet<String> {
        match sha256.and_then(|sha256| self.generation(sha256)) {
            Some(exact) => exact.keys.clone(),
            None => {
                let generations = [&self.installed, &self.pending].into_iter().flatten();
                generations.flat_map(|generation| generation.keys.clone()).collect()
            }
        }
    }

    /// Writes down that the file before is to be in place again, and which one never.
    pub(crate) fn reject(
        &mut self,
        rejected: String,
        before: Option<Generation>,
    ) -> Result<(), files::Error> {
        (self.installed, self.pending, self.rejected) = (before, None, Some(rejected));
        self.write()
    }

    /// Writes down what is about to replace the file with the digest `present`.
    pub(crate) fn stage(
        &mut self,
        present: Option<&str>,
        generation: Generation,
    ) -> Result<(), files::Error> {
        let of_present = present.and_then(|present| self.generation(present)).cloned();
        self.installed = of_present.or(self.installed.take());
        self.pending = Some(generation);
        self.write()
    }

    /// Writes down what is known of the file that is in place, where that is new.
    pub(crate) fn settle(&mut self, generation: &Generation) -> Result<(), files::Error> {
        let is_known = self.generation(&generation.sha256).is_some_and(|known| {
            let (verified_at, boot_id) = (known.verified_at.clone(), known.boot_id.clone());
            *known == Generation { verified_at, boot_id, ..generation.clone() }
        });
        if is_known {
            return Ok(());
        }
        (self.installed, self.pending) = (Some(generation.clone()), None);
        self.write()
    }

    fn write(&mut self) -> Result<(), files::Error> {
        self.schema = SCHEMA;
        let mut text = serde_json::to_vec_pretty(self).expect("names and digests are JSON");
        text.push(b'\n');
        files::replace(&below(&self.root, paths::STATE), &text, 0o600).map(drop)
    }
}

impl Generation {
    /// How long ago it was verified, in whole seconds; `None` if by the clock that is in the future,
    /// and so proves nothing.
    pub(crate) fn age(&self) -> Option<Duration> {
        let then = parse_rfc3339(&self.verified_at)?;
        let age = SystemTime::now().duration_since(then).ok()?;
        Some(Duration::from_secs(age.as_secs()))
    }

    /// What a report says of a file of this generation that stays as it is.
    pub(super) fn report(&self, bytes: usize) -> ConfigReport {
        ConfigReport {
            path: paths::ECS_CONFIG.into(),
            sha256: self.sha256.clone(),
            bytes,
            changed: false,
            layers: self.layers.clone(),
            secrets: self.secrets.versions.clone(),
            keys: BTreeMap::new(),
        }
    }

    /// Writes down that the file in place is this one, in this boot.
    pub(crate) fn verified(&self, root: &Path) -> Result<(), files::Error> {
        let Generation { sha256, verified_at, boot_id, .. } = self.clone();
        let verified = Verified { sha256, verified_at, boot_id };
        let text = serde_json::to_vec(&verified).expect("three strings are JSON");
        files::replace_unsynced(&below(root, paths::VERIFIED), &text, 0o600)
    }
}

/// Which boot this is; empty where the kernel does not say.
pub(crate) fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generation(sha256: &str, keys: &[&str]) -> Generation {
        Generation {
            sha256: sha256.into(),
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            layers: vec![],
            verified_at: "2026-01-01T00:00:00Z".into(),
            boot_id: "b".into(),
            instance_id: None,
            account_id: None,
            role: None,
            selection: None,
            tolerate_foreign: false,
            secrets: Secrets::default(),
        }
    }

    fn host() -> (tempfile::TempDir, State) {
        let root = tempfile::tempdir().unwrap();
        let mut state = State::read(root.path());
        state.settle(&generation("old", &["A"])).unwrap();
        (root, state)
    }

    #[test]
    fn a_run_killed_before_or_after_the_rename_still_knows_its_keys() {
        let (root, mut state) = host();
        state.stage(Some("old"), generation("new", &["B"])).unwrap();
        let found = State::read(root.path());
        assert_eq!(found.owned(Some("old")), ["A".to_owned()].into());
        assert_eq!(found.owned(Some("new")), ["B".to_owned()].into());
        assert_eq!(found.owned(Some("appended to")), ["A".to_owned(), "B".to_owned()].into());
    }

    #[test]
    fn a_verified_file_is_the_installed_one() {
        let (root, mut state) = host();
        let new = generation("new", &["B"]);
        state.stage(Some("old"), new.clone()).unwrap();
        let later = Generation { verified_at: "2027-01-01T00:00:00Z".into(), ..new };
        later.verified(root.path()).unwrap();
        let found = State::read(root.path());
        assert_eq!((found.installed, found.pending), (Some(later), None));
    }

    #[test]
    fn what_only_the_time_changed_is_not_written_again() {
        let (root, mut state) = host();
        let written = || std::fs::metadata(below(root.path(), paths::STATE)).unwrap().modified();
        let before = written().unwrap();
        let again = Generation { boot_id: "c".into(), ..generation("old", &["A"]) };
        state.settle(&again).unwrap();
        assert_eq!(written().unwrap(), before);
        state.settle(&generation("old", &["C"])).unwrap();
        assert_eq!(State::read(root.path()).owned(Some("old")), ["C".to_owned()].into());
    }

    #[test]
    fn a_truncated_state_counts_as_none() {
        let (root, _) = host();
        std::fs::write(below(root.path(), paths::STATE), "{\"schema\": 1, \"inst").unwrap();
        std::fs::write(below(root.path(), paths::VERIFIED), "").unwrap();
        let none = State { root: root.path().to_owned(), ..State::default() };
        assert_eq!(State::read(root.path()), none);
    }
}

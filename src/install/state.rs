//! What we know of earlier runs: `/var/lib/ecs-bootstrap/state.json`. Names, digests and sources;
//! no values.
//!
//! It is written before the file is replaced (as `pending`) and again after (as `installed`), so
//! that a run that is killed between the two still knows which keys it had written: the digest of
//! the file that is there tells which of the two is true.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::files::{self, sha256};
use crate::paths::MAX_CONFIG;
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

/// The digest of `set`, `expand`, `keep` and `replace`: with other values the same layers make
/// another file. Of several values for one key the last one counts.
pub(crate) fn selection(settings: &Settings) -> String {
    let Settings { set, expand, keep, replace, .. } = settings;
    let set: BTreeMap<&str, &str> = set.iter().map(|(key, value)| (&**key, &**value)).collect();
    sha256(serde_json::json!([set, expand, keep, replace]).to_string().as_bytes())
}

/// What earlier runs left.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct State {
    schema: u32,
    pub(crate) installed: Option<Generation>,
    #[serde(default)]
    pub(crate) pending: Option<Generation>,
}

impl State {
    /// Reads the state. One that is missing, truncated or of a later version counts as none:
    /// the next run writes it anew.
    pub(crate) fn read(path: &Path) -> State {
        let text = files::read(path, MAX_CONFIG).unwrap_or_default();
        serde_json::from_slice(&text)
            .ok()
            .filter(|state: &State| state.schema == SCHEMA)
            .unwrap_or_default()
    }

    /// The generation that a file with this digest is, if one of our runs wrote it.
    pub(crate) fn generation(&self, sha256: &str) -> Option<&Generation> {
        [&self.installed, &self.pending]
            .into_iter()
            .flatten()
            .find(|generation| generation.sha256 == sha256)
    }

    /// The keys that our last run wrote. A file that was appended to since is still ours in those
    /// keys.
    pub(crate) fn owned(&self, sha256: Option<&str>) -> BTreeSet<String> {
        let exact = sha256.and_then(|sha256| self.generation(sha256));
        exact
            .or(self.installed.as_ref())
            .map(|generation| generation.keys.clone())
            .unwrap_or_default()
    }

    /// Writes down what is about to be installed.
    pub(crate) fn stage(
        &mut self,
        path: &Path,
        generation: Generation,
    ) -> Result<(), files::Error> {
        self.pending = Some(generation);
        self.write(path)
    }

    /// Writes down that it is.
    pub(crate) fn commit(
        &mut self,
        path: &Path,
        generation: Generation,
    ) -> Result<(), files::Error> {
        self.installed = Some(generation);
        self.pending = None;
        self.write(path)
    }

    fn write(&mut self, path: &Path) -> Result<(), files::Error> {
        self.schema = SCHEMA;
        let mut text = serde_json::to_vec_pretty(self).expect("names and digests are JSON");
        text.push(b'\n');
        files::replace(path, &text, 0o600).map(drop)
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

    #[test]
    fn a_run_killed_before_or_after_the_rename_still_knows_its_keys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let mut state = State::default();
        state.commit(&path, generation("old", &["A"])).unwrap();
        state.stage(&path, generation("new", &["B"])).unwrap();
        let found = State::read(&path);
        assert_eq!(found.owned(Some("old")), ["A".to_owned()].into());
        assert_eq!(found.owned(Some("new")), ["B".to_owned()].into());
    }

    #[test]
    fn a_truncated_state_counts_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        std::fs::write(&path, "{\"schema\": 1, \"inst").unwrap();
        assert_eq!(State::read(&path), State::default());
    }
}

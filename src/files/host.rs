//! The agent's files of a host, read once: one answer to what is configured, for a whole run.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ecs_config::Effective;
use local_files::{Error, ReadError, look, read};

use super::digest::sha256;
use crate::paths;

/// The files as they were when they were read.
#[derive(Debug)]
pub(crate) struct HostFiles {
    path: PathBuf,
    ecs_config: Result<Vec<u8>, ReadError>,
    instance_config: Result<Vec<u8>, ReadError>,
    json_config: Result<Vec<u8>, ReadError>,
    digest: OnceLock<String>,
}

impl HostFiles {
    /// Reads them below `root`. What cannot be read counts as missing, as it does for the agent.
    pub(crate) fn read(root: &Path) -> Self {
        let bytes = |path| read(&paths::below(root, path), paths::MAX_CONFIG);
        HostFiles {
            path: paths::below(root, paths::ECS_CONFIG),
            ecs_config: bytes(paths::ECS_CONFIG),
            instance_config: bytes(paths::INSTANCE_CONFIG),
            json_config: bytes(paths::JSON_CONFIG),
            digest: OnceLock::new(),
        }
    }

    /// What they say to the agent.
    pub(crate) fn effective(&self) -> Effective<'_> {
        Effective::new(self.ecs_config(), self.instance_config()).with_json(self.json_config())
    }

    /// `/etc/ecs/ecs.config`.
    pub(crate) fn ecs_config(&self) -> Option<&[u8]> {
        self.ecs_config.as_deref().ok()
    }

    /// Its SHA-256.
    pub(crate) fn digest(&self) -> Option<&str> {
        let bytes = self.ecs_config()?;
        Some(self.digest.get_or_init(|| sha256(bytes)))
    }

    /// `/var/lib/ecs/ecs.config`.
    pub(crate) fn instance_config(&self) -> Option<&[u8]> {
        self.instance_config.as_deref().ok()
    }

    /// `/etc/ecs/ecs.config.json`.
    pub(crate) fn json_config(&self) -> Option<&[u8]> {
        self.json_config.as_deref().ok()
    }

    /// The first of them that is there and cannot be read.
    pub(crate) fn unreadable(&self) -> Option<(&'static str, &ReadError)> {
        let files = [
            (paths::ECS_CONFIG, &self.ecs_config),
            (paths::INSTANCE_CONFIG, &self.instance_config),
            (paths::JSON_CONFIG, &self.json_config),
        ];
        let errors =
            files.into_iter().filter_map(|(path, file)| Some((path, file.as_ref().err()?)));
        errors.into_iter().find(|(_, error)| !error.is_missing())
    }

    /// `/etc/ecs/ecs.config`, if it is a file that may be replaced; `None` if there is no file.
    pub(crate) fn replaceable(&self) -> Result<Option<&[u8]>, Error> {
        look(&self.path)?;
        match &self.ecs_config {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(Error::unreadable(&self.path, error)),
        }
    }
}

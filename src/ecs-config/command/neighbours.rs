//! The files beside an installed `ecs.config`.

use std::path::{Path, PathBuf};

use crate::MAX_BYTES;
use crate::effective::ConfigFile;

/// The path of a file of the host, below the root.
pub(super) fn below(root: &Path, file: ConfigFile) -> PathBuf {
    if root == Path::new("/") {
        file.path().into()
    } else {
        local_files::inside(root, file.path(), true)
    }
}

/// What cannot be read counts as missing, as it does for the agent.
pub(super) struct Neighbours {
    instance_file: Option<Vec<u8>>,
    json_file: Option<Vec<u8>>,
}

impl Neighbours {
    pub(super) fn read(root: &Path) -> Self {
        let bytes = |file| local_files::read(&below(root, file), MAX_BYTES).ok();
        Neighbours { instance_file: bytes(ConfigFile::Var), json_file: bytes(ConfigFile::Json) }
    }

    pub(super) fn instance_file(&self) -> Option<&[u8]> {
        self.instance_file.as_deref()
    }

    pub(super) fn json_file(&self) -> Option<&[u8]> {
        self.json_file.as_deref()
    }
}

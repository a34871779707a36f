//! Local files as this program uses them; the reading and replacing is in the crate
//! [`local_files`].

mod digest;
mod host;
mod lock;

use std::path::Path;

pub(crate) use digest::sha256;
pub(crate) use host::HostFiles;
pub(crate) use local_files::{
    Error, ReadError, Replaced, current, inside, make_folder, put, read, read_end, read_text,
    remove, replace, replace_unsynced, sync_parent,
};
pub(crate) use lock::{open_lock, try_lock};

use crate::error::{Diagnostic, ExitStatus, Step};
use crate::paths;

impl Diagnostic for local_files::Error {
    fn step(&self) -> Step {
        Step::Install
    }

    fn status(&self) -> ExitStatus {
        ExitStatus::Install
    }

    fn remedy(&self) -> String {
        // The inherent method, which has precedence.
        self.remedy()
    }
}

/// Removes what a killed run left beside the files that a run replaces. The caller holds the lock.
pub(crate) fn remove_temporaries(root: &Path) {
    paths::REPLACED
        .iter()
        .for_each(|file| local_files::remove_temporary(&paths::below(root, file)));
}

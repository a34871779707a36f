//! Lock files: the kernel releases a lock with the process that holds it, however that one ended.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The lock file of that path, made if it is missing. Of a FIFO it waits for no reader.
pub(crate) fn open_lock(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        super::make_folder(folder, 0o755)?;
    }
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .custom_flags(flags)
        .open(path)
}

/// Takes the lock, if no other process holds it. It is held until the file is closed.
pub(crate) fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Err(TryLockError::Error(error)) if error.kind() != io::ErrorKind::Interrupted => Err(error),
        locked => Ok(locked.is_ok()),
    }
}

//! Replaces one file so that any reader, at any moment, sees all the old bytes or all the new.
//!
//! Takes a path and bytes; touches that file and, until the rename, one temporary file beside it.
//! The caller holds the lock of `/run/ecs-bootstrap/lock`, so a temporary file found at the start
//! is what a killed run left, and is overwritten. [`put`] needs no lock: the name of its temporary
//! file has the number of the process.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use thiserror::Error;

use crate::read::{ReadError, read};

/// The last part of the name of a temporary file.
const OWNER: &str = "ecs-bootstrap";

/// Whether the file had to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// It holds the new bytes now.
    Written,
    /// It held them before.
    Unchanged,
}

/// What kept a file from being replaced. Nothing was half written: but after [`Error::NotSynced`],
/// the path holds what it held before.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("replacing {path}", path = path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("replacing {path}: it is in place, but a power cut may undo it", path = path.display())]
    NotSynced { path: PathBuf, source: io::Error },
    #[error("{path} {what}", path = path.display())]
    Refused { path: PathBuf, what: String, remedy: &'static str },
    #[error("{what} needs root, and this is user id {uid}")]
    Privilege { what: &'static str, uid: u32 },
}

impl Error {
    fn io(path: &Path, source: io::Error) -> Self {
        Error::Io { path: path.to_owned(), source }
    }

    /// The new file is in place all the same.
    pub fn is_after_rename(&self) -> bool {
        matches!(self, Error::NotSynced { .. })
    }

    /// A file that must be compared before it is replaced, and cannot be read.
    pub fn unreadable(path: &Path, error: &ReadError) -> Self {
        let what = format!("cannot be read: {error}");
        Error::Refused { path: path.to_owned(), what, remedy: "move it away and run again" }
    }

    /// What would fix it: one imperative phrase.
    pub fn remedy(&self) -> String {
        match self {
            Error::Refused { remedy, .. } => (*remedy).into(),
            Error::Privilege { .. } => "run it as root (sudo), or with `--root DIR` on a folder of your own".into(),
            Error::Io { source, path } | Error::NotSynced { source, path } => match source.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                    format!("make room on the file system of {} (df -h, df -i) and run again", path.display())
                }
                ErrorKind::ReadOnlyFilesystem => {
                    format!("the file system of {} is read-only: see `dmesg` for the disk's errors, or mount it read-write", path.display())
                }
                ErrorKind::PermissionDenied => {
                    "run it as root; if it is, look for SELinux or AppArmor denials (`ausearch -m avc`, `dmesg`)".into()
                }
                _ => format!("check the disk and the folder of {}, and run again", path.display()),
            },
        }
    }
}

/// Makes `path` hold exactly `bytes`, with `mode`, owned by whom we run as; makes its folder (0755)
/// if there is none.
///
/// Survives a power cut at any moment: the new bytes are on the disk before the name points at
/// them, and the name before we return.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<Replaced, Error> {
    let is_as_wanted = |found: Metadata| found.mode() & 0o7777 == mode && found.nlink() == 1;
    let holds = || read(path, bytes.len()).is_ok_and(|old| old == bytes);
    if look(path)?.is_some_and(is_as_wanted) && holds() {
        return Ok(Replaced::Unchanged);
    }
    let folder = parent(path);
    make_folder(folder, 0o755).map_err(|source| Error::io(folder, source))?;
    let temporary = write_beside(path, bytes, mode, OWNER, true)?;
    fs::rename(&temporary, path).map_err(|source| undone(path, &temporary, source))?;
    sync_parent(path)?;
    Ok(Replaced::Written)
}

/// Makes `path`, in a folder that is there, hold exactly `bytes`, until the next power cut: after
/// one it may be empty, or what it was before.
pub fn replace_unsynced(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
    look(path)?;
    let temporary = write_beside(path, bytes, mode, OWNER, false)?;
    fs::rename(&temporary, path).map_err(|source| undone(path, &temporary, source))
}

/// Removes what a killed run left beside a file that it was replacing, if anything. The caller
/// holds the lock.
pub fn remove_temporary(path: &Path) {
    // Mostly there is none.
    let _ = fs::remove_file(temporary(path, OWNER));
}

/// Makes `path`, in a folder that is there, hold exactly `bytes`, as [`replace`] does, however many
/// do so at once.
pub fn put(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
    look(path)?;
    let temporary = write_beside(path, bytes, mode, &std::process::id().to_string(), true)?;
    fs::rename(&temporary, path).map_err(|source| undone(path, &temporary, source))?;
    sync_parent(path)
}

/// Removes the file at `path` for good.
///
/// # Errors
/// The file cannot be removed; that there is none is not one.
pub fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io(path, error)),
        _ => sync_parent(path),
    }
}

/// What is at `path`, if it is a file that we may replace.
///
/// A link, a folder or another user's file is refused: replacing it would surprise its owner, and
/// following it would write where an attacker points.
pub fn look(path: &Path) -> Result<Option<Metadata>, Error> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(path, error)),
    };
    let ours = geteuid().as_raw();
    let (what, remedy) = if found.is_symlink() {
        (
            "is a symbolic link, and is not followed".into(),
            "put a plain file in its place, or remove the link",
        )
    } else if !found.is_file() {
        ("is not a plain file".into(), "move it away and run again")
    } else if found.uid() != ours {
        (
            format!("belongs to user id {}, not to {ours}", found.uid()),
            "find out who wrote it; if it is right, give it to root with `chown root:root` and run again",
        )
    } else {
        return Ok(Some(found));
    };
    Err(Error::Refused { path: path.to_owned(), what, remedy })
}

/// The bytes of a file that we may replace, at most `limit`; `None` if there is no file.
pub fn current(path: &Path, limit: usize) -> Result<Option<Vec<u8>>, Error> {
    match look(path)? {
        None => Ok(None),
        Some(_) => read(path, limit).map(Some).map_err(|error| Error::unreadable(path, &error)),
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a folder and those above it, and syncs them so that they survive a power cut.
pub fn make_folder(folder: &Path, mode: u32) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    make_folder(parent(folder), 0o755)?;
    match DirBuilder::new().mode(mode).create(folder) {
        // With this mode whatever the umask is.
        Ok(()) => fs::set_permissions(folder, fs::Permissions::from_mode(mode))?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    sync_folder(parent(folder))
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The temporary file is in the same folder, so the rename stays on one file system and the file
/// gets that folder's SELinux label.
fn temporary(path: &Path, whose: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{whose}"))
}

/// Writes the bytes into a temporary file beside `path`.
fn write_beside(
    path: &Path,
    bytes: &[u8],
    mode: u32,
    whose: &str,
    is_synced: bool,
) -> Result<PathBuf, Error> {
    let temporary = temporary(path, whose);
    let synced = |file: File| if is_synced { file.sync_all() } else { Ok(()) };
    match create(&temporary, bytes, mode).and_then(synced) {
        Ok(()) => Ok(temporary),
        Err(source) => Err(undone(path, &temporary, source)),
    }
}

/// After an error the old file is still there. The error to report is the one that stopped us, not
/// that of tidying up after it.
fn undone(path: &Path, temporary: &Path, source: io::Error) -> Error {
    let _ = fs::remove_file(temporary);
    Error::io(path, source)
}

/// Makes the name of a file survive a power cut.
pub fn sync_parent(path: &Path) -> Result<(), Error> {
    sync_folder(parent(path)).map_err(|source| Error::NotSynced { path: path.to_owned(), source })
}

fn create(temporary: &Path, bytes: &[u8], mode: u32) -> io::Result<File> {
    match fs::remove_file(temporary) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(temporary)?;
    // The umask may have taken bits away.
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_first_install_makes_the_folder_and_a_second_changes_nothing() {
        let root = folder();
        let path = root.path().join("etc/ecs/ecs.config");
        assert_eq!(replace(&path, b"A=1\n", 0o600).unwrap(), Replaced::Written);
        let before = fs::metadata(&path).unwrap();
        assert_eq!(before.mode() & 0o7777, 0o600);
        assert_eq!(replace(&path, b"A=1\n", 0o600).unwrap(), Replaced::Unchanged);
        let after = fs::metadata(&path).unwrap();
        assert_eq!((before.ino(), before.mtime_nsec()), (after.ino(), after.mtime_nsec()));
        assert_eq!(names(path.parent().unwrap()), ["ecs.config"]);
    }

    #[test]
    fn the_same_bytes_with_another_mode_are_written_again() {
        let root = folder();
        let path = root.path().join("ecs.config");
        fs::write(&path, "A=1\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(replace(&path, b"A=1\n", 0o600).unwrap(), Replaced::Written);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    }

    #[test]
    fn what_a_killed_run_left_is_overwritten() {
        let root = folder();
        let path = root.path().join("ecs.config");
        fs::write(temporary(&path, "ecs-bootstrap"), "half").unwrap();
        replace(&path, b"A=1\n", 0o600).unwrap();
        assert_eq!(names(root.path()), ["ecs.config"]);
    }

    #[test]
    fn a_link_and_a_folder_are_refused_and_left_alone() {
        let root = folder();
        let (link, target) = (root.path().join("link"), root.path().join("target"));
        fs::write(&target, "theirs").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(replace(&link, b"A=1\n", 0o600).unwrap_err().to_string().contains("symbolic link"));
        assert_eq!(fs::read(&target).unwrap(), b"theirs");
        let dir = root.path().join("dir");
        fs::create_dir(&dir).unwrap();
        assert!(
            replace(&dir, b"A=1\n", 0o600).unwrap_err().to_string().contains("not a plain file")
        );
        assert_eq!(names(root.path()), ["dir", "link", "target"]);
    }
}

//! Reads local files: plain files only, without blocking, up to a limit.
//!
//! A path can be anything: a FIFO or a device blocks whoever opens it, a file below /proc or a
//! sparse one never ends. Whoever reads a file of the host reads it here.

use std::fs::{File, FileType, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use nix::libc::{O_CLOEXEC, O_NOCTTY, O_NONBLOCK};

/// Why a path gave no bytes.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system's own error.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A folder, a device or the like.
    #[error("it is {0}, not a file")]
    NotPlain(&'static str),
    /// It has more bytes than the limit, which this is.
    #[error("it is larger than {0} bytes")]
    TooLarge(usize),
}

impl ReadError {
    /// Nothing is at the path.
    pub fn is_missing(&self) -> bool {
        matches!(self, ReadError::Io(error) if error.kind() == ErrorKind::NotFound)
    }

    /// Only another user, as a rule root, may read it.
    pub fn is_denied(&self) -> bool {
        matches!(self, ReadError::Io(error) if error.kind() == ErrorKind::PermissionDenied)
    }
}

/// The bytes of the plain file at `path`, links followed; at most `limit` of them.
pub fn read(path: &Path, limit: usize) -> Result<Vec<u8>, ReadError> {
    read_all(open(path)?, limit)
}

/// The bytes behind `/dev/fd/N`: what the caller has opened, which can be a pipe.
pub fn read_opened(path: &Path, limit: usize) -> Result<Vec<u8>, ReadError> {
    read_all(File::open(path)?, limit)
}

/// Everything up to the end of a stream; at most `limit` bytes.
pub fn read_all(stream: impl Read, limit: usize) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    stream.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit { Err(ReadError::TooLarge(limit)) } else { Ok(bytes) }
}

/// The end of the plain file at `path`, for logs: at most `limit` bytes.
pub fn read_end(path: &Path, limit: usize) -> Result<Vec<u8>, ReadError> {
    let mut file = open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(limit as u64)))?;
    let mut bytes = Vec::new();
    file.take(limit as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The same as [`read`], as text, with U+FFFD for what is not UTF-8; `None` where there is nothing
/// to read.
pub fn read_text(path: &Path, limit: usize) -> Option<String> {
    read(path, limit).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Opens a plain file. The check comes after opening, which does not block, so that nothing can be
/// put in its place in between.
fn open(path: &Path) -> Result<File, ReadError> {
    let flags = O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    // A socket cannot be opened at all.
    let file = opened.map_err(|error| match path.metadata().map(|found| found.file_type()) {
        Ok(found) if !found.is_file() => ReadError::NotPlain(kind(found)),
        _ => ReadError::Io(error),
    })?;
    let found = file.metadata()?.file_type();
    if found.is_file() { Ok(file) } else { Err(ReadError::NotPlain(kind(found))) }
}

/// What something is that is not a plain file.
fn kind(found: FileType) -> &'static str {
    match found {
        found if found.is_dir() => "a folder",
        found if found.is_fifo() => "a named pipe",
        found if found.is_socket() => "a socket",
        found if found.is_char_device() || found.is_block_device() => "a device",
        _ => "something else",
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::stat::Mode;

    use super::*;

    #[test]
    fn fifo_socket_device_and_folder_are_refused_without_blocking() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name| folder.path().join(name);
        nix::unistd::mkfifo(&path("fifo"), Mode::S_IRWXU).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        std::fs::create_dir(path("folder")).unwrap();
        let zero = Path::new("/dev/zero").to_owned();
        let table = [
            (path("fifo"), "a named pipe"),
            (path("socket"), "a socket"),
            (path("folder"), "a folder"),
            (zero, "a device"),
        ];
        for (path, what) in table {
            match read(&path, 10) {
                Err(ReadError::NotPlain(found)) => assert_eq!(found, what),
                other => panic!("{}: {other:?}", path.display()),
            }
        }
    }

    #[test]
    fn more_than_the_limit_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        assert!(matches!(read(&path, 4), Err(ReadError::TooLarge(4))));
        assert_eq!(read_end(&path, 2).unwrap(), b"45");
        assert_eq!(read_end(&path, 9).unwrap(), b"12345");
    }

    #[test]
    fn a_missing_file_is_told_from_an_unreadable_one() {
        assert!(read(Path::new("/nonexistent/file"), 1).unwrap_err().is_missing());
    }
}

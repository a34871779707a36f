//! A layer from a file of this machine.

use std::io::ErrorKind as Io;
use std::path::Path;

use super::Content;
use super::error::{ErrorKind, NO_FILE};
use crate::files::{self, ReadError};
use crate::paths::MAX_CONFIG;

pub(super) fn read(path: &Path) -> Result<Content, ErrorKind> {
    let bytes = files::read(path, MAX_CONFIG).map_err(|error| match error {
        ReadError::NotPlain(what) => ErrorKind::NotPlainFile(what),
        ReadError::TooLarge(_) => ErrorKind::TooLarge,
        ReadError::Io(error) => match error.kind() {
            Io::NotFound | Io::NotADirectory => NO_FILE,
            Io::PermissionDenied => ErrorKind::FileDenied,
            _ => ErrorKind::FileIo(error.to_string()),
        },
    })?;
    Ok(Content { bytes, ..Content::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_readable_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ecs.config");
        std::fs::write(&path, vec![b'#'; MAX_CONFIG]).unwrap();
        assert_eq!(read(&path).unwrap().bytes.len(), MAX_CONFIG);
        std::fs::write(&path, vec![b'#'; MAX_CONFIG + 1]).unwrap();
        let below = path.join("below");
        let table = [
            (path.as_path(), ErrorKind::TooLarge),
            (below.as_path(), NO_FILE),
            (Path::new("/nonexistent/ecs.config"), NO_FILE),
            (Path::new("/"), ErrorKind::NotPlainFile("a folder")),
            (Path::new("/dev/zero"), ErrorKind::NotPlainFile("a device")),
        ];
        for (path, kind) in table {
            assert_eq!(read(path).err(), Some(kind), "{}", path.display());
        }
    }
}

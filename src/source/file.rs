//! A layer from a file of this machine. Reads at most 1 MiB, and only from a plain file: a FIFO
//! would wait for ever, a device never end.

use std::fs::{FileType, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use super::failure::Kind;
use super::{LIMIT, Read as Bytes};

pub(super) fn read(path: &Path) -> Result<Bytes, Kind> {
    // Without O_NONBLOCK, opening a FIFO waits until somebody writes to it.
    let flags = nix::fcntl::OFlag::O_NONBLOCK.bits();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(kind)?;
    if let Some(other) = no_plain_file(file.metadata().map_err(kind)?.file_type()) {
        return Err(Kind::NoPlainFile(other));
    }
    let mut bytes = Vec::new();
    file.take(LIMIT as u64 + 1).read_to_end(&mut bytes).map_err(kind)?;
    if bytes.len() > LIMIT {
        Err(Kind::TooLarge("a file".into()))
    } else {
        Ok(Bytes { bytes, ..Bytes::default() })
    }
}

fn no_plain_file(file: FileType) -> Option<&'static str> {
    let kinds = [
        (file.is_dir(), "a folder"),
        (file.is_fifo(), "a FIFO"),
        (!file.is_file(), "a device or socket"),
    ];
    kinds.into_iter().find(|(is, _)| *is).map(|(_, what)| what)
}

fn kind(error: io::Error) -> Kind {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Kind::NoFile,
        io::ErrorKind::PermissionDenied => Kind::FileDenied,
        io::ErrorKind::IsADirectory => Kind::NoPlainFile("a folder"),
        _ => Kind::FileIo(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(name: &str) -> std::path::PathBuf {
        std::env::temp_dir().join(format!("ecs-bootstrap-file-{}-{name}", std::process::id()))
    }

    #[test]
    fn a_file_is_read_whole_up_to_the_limit_and_refused_beyond() {
        let path = at("size");
        for (size, fits) in [(0, true), (LIMIT, true), (LIMIT + 1, false)] {
            std::fs::write(&path, vec![b'#'; size]).unwrap();
            assert_eq!(read(&path).is_ok_and(|read| read.bytes.len() == size), fits, "{size}");
        }
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn what_is_no_file_is_refused_and_not_waited_for() {
        let fifo = at("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(read(&fifo).err(), Some(Kind::NoPlainFile("a FIFO")));
        std::fs::remove_file(fifo).unwrap();
        assert_eq!(read(Path::new("/")).err(), Some(Kind::NoPlainFile("a folder")));
        assert_eq!(
            read(Path::new("/dev/zero")).err(),
            Some(Kind::NoPlainFile("a device or socket"))
        );
        assert_eq!(read(Path::new("/nonexistent/ecs.config")).err(), Some(Kind::NoFile));
    }
}

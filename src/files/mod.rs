//! Local files: what is at a path, and how one is replaced whole or not at all.

mod digest;
mod host;
mod read;
mod replace;

pub(crate) use digest::sha256;
pub(crate) use host::HostFiles;
pub(crate) use read::{ReadError, read, read_all, read_end, read_opened, read_text};
pub(crate) use replace::{
    Error, Replaced, current, make_folder, put, remove_temporaries, replace, sync_parent,
};

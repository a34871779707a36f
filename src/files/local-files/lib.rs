//! Local files: what is at a path, and how one is replaced whole or not at all.
//!
//! Every program of this repository that opens a file of the host does so here: a path can be a
//! FIFO, a device or a link of an attacker's, and a file can have no end.

mod inside;
mod read;
mod replace;

pub use inside::inside;
pub use read::{ReadError, read, read_all, read_end, read_opened, read_text};
pub use replace::{
    Error, Replaced, current, look, make_folder, put, remove, remove_temporary, replace,
    replace_unsynced, sync_parent,
};

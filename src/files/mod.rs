//! Local files: what is at a path, and how one is replaced whole or not at all.

mod digest;
mod replace;

pub(crate) use digest::sha256;
pub(crate) use replace::{Error, Replaced, make_folder, put, read, replace};

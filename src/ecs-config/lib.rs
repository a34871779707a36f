//! What an `ecs.config` says: how its readers take it, how layers become one file. All pure: text
//! in, values out.

pub mod effective;
pub mod expand;
pub mod go;
pub mod lint;
pub mod merge;
pub mod readers;
pub mod text;
pub mod variables;

pub use effective::Effective;

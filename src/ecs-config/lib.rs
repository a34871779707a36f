//! What an `ecs.config` says: how its readers take it, how layers become one file. All pure: text
//! in, values out.

pub mod expand;
pub mod lint;
pub mod merge;
pub mod plural;
pub mod readers;
pub mod variables;

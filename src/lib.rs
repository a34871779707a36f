//! Gets a container instance ready for Amazon ECS.
//!
//! The whole program is one line, walked once per boot, left to right, without turning back:
//!
//! ```text
//! argv+env ─► settings ─► fence ─► identity ─► fetch ─► lint ─► install ─► agent ─► report ─► exit status
//!               pure     netlink  IMDS+STS    S3      pure   one rename  systemd   stderr
//!                                     └─ at the same time ─┘
//! ```
//!
//! [`command`] reads what was typed and prints what came of it; [`run`] is the line. Each step
//! offers one verb and hides the rest: [`step::raise`], [`identity::claim`] and
//! [`identity::confirm`], [`source::fetch_all`], [`compose::compose`], [`files::replace`],
//! [`agent::restart`]. Each has an error of its own that says what it was doing to which thing;
//! [`error`] joins them, [`word`] is the table of words and exit statuses.
//!
//! # Who waits for whom
//!
//! The longest chain of requests that depend on each other has four links, and no boot on EC2 waits
//! for more than these:
//!
//! 1. a session token of the metadata service;
//! 2. the role's name (beside it: the identity document and the instance profile);
//! 3. the role's credentials;
//! 4. GetCallerIdentity of STS, beside GetObject of S3 for every layer.
//!
//! A bucket in another region than the host's adds one link, instance tags (`from_tags`,
//! `${tag:…}`) theirs.
//!
//! # Where power lives
//!
//! | power | only in |
//! |---|---|
//! | argv, environment | `main.rs` |
//! | network | [`identity`], [`source`], [`doctor`], and netlink in [`guard`] |
//! | other programs | [`guard`] (iptables), [`agent`] (systemctl) |
//! | files | [`install`], [`lock`], [`guard`]; every path hangs off `settings.root` |
//! | namespaces, raw packets | [`guard`] |
//!
//! [`ecs_config`], [`settings`], [`compose`] and [`diff`] are pure: they take text, never a path
//! (but [`compose::Surroundings::look`], which reads what lies around the file).

#![deny(unsafe_code)]

mod bootstrap;
mod cli;
mod doctor;
mod error;
mod files;
mod guard;
mod identity;
mod install;
mod log;
mod net;
mod paths;
mod report;
mod role;
mod settings;
mod source;

#[doc(hidden)]
pub mod testing;

pub use cli::main;

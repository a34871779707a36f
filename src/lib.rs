//! Gets a container instance ready for Amazon ECS.
//!
//! The whole program is one line, walked once per boot, from left to right:
//!
//! ```text
//! argv+env ─► settings ─► lock ─► guard ─► tags ─► identity ∥ fetch ∥ proof ─► compose ─► install ─► agent ─► report
//!               pure             netlink   IMDS    IMDS+STS    S3      packets     pure    one rename  systemd
//! ```
//!
//! [`bootstrap::run`] is that line, on one screen. A newcomer reads it, and then opens the one step
//! that they care about:
//!
//! | step | in | what it offers |
//! |---|---|---|
//! | settings | [`settings`] | flags, environment, tags and file, made into one checked `Settings` |
//! | guard | [`guard`] | firewall rules that keep containers from instance metadata, and their proof |
//! | identity | [`identity`] | what the host reports of itself, confirmed by STS |
//! | fetch | [`source`] | the layers of ecs.config, from S3, URLs and files |
//! | compose | [`install::compose`] | layers made into one file that all its readers read alike |
//! | install | [`install`], [`files`] | one atomic replacement, and what is known of earlier runs |
//! | agent | [`install::agent`] | a restart of the ECS agent, not waited for |
//! | report | [`report`] | what happened, made of what the steps returned |
//!
//! Beside the line: [`cli`] has one file a command, [`doctor`] finds what is wrong on a host, and
//! [`role`] prints the IAM role that it needs. What an ecs.config says to systemd, ecs-init, docker
//! and the agent is a crate of its own, [`ecs_config`], which is pure but for its feature `command`:
//! the linter as a command, which the small program `ecs-config-lint` shares. [`local_files`] opens
//! and replaces files for both.
//!
//! Every error of a step implements [`error::Diagnostic`]: exit status, step, remedy and causes.
//! Constants that more than one module uses are in [`paths`].
//!
//! # Which requests wait for which
//!
//! The longest chain of requests that depend on each other has four links, and no boot on EC2 waits
//! for more than these:
//!
//! 1. a session token of the metadata service;
//! 2. the role's name, beside the identity document;
//! 3. the role's credentials;
//! 4. GetCallerIdentity of STS, beside GetObject of S3 for every layer.
//!
//! Where `expect_role` names the role, its credentials are asked for beside the list of roles: three
//! links. The connections to S3 and STS are opened as soon as the region is known: beside the first
//! question where the environment names it, else beside the third.
//!
//! A bucket in another region than the host's adds one link, instance tags (`from_tags`,
//! `${tag:…}`) theirs.
//!
//! # Where power is used
//!
//! A test compares this table with the code.
//!
//! | power | only in |
//! |---|---|
//! | argv, environment | [`cli`], [`settings`] |
//! | network | [`net`], [`source`], [`guard`], [`role`] |
//! | other programs | [`install`] |
//! | files | [`files`], [`install`], [`guard`], [`doctor`], [`identity`], [`report`], [`log`] |
//! | namespaces, raw packets | [`guard`] |

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

pub use cli::main;
/// What tests and fuzzers outside this crate may see. Nothing else depends on this crate.
#[doc(hidden)]
pub use cli::testing;

//! What an `ecs.config` says to each of the programs that read it, and what is wrong with it.
//!
//! `/etc/ecs/ecs.config` configures a container instance of Amazon ECS. It looks like a shell
//! script and like an ini file, and is neither: it has four readers, each with rules of its own.
//!
//! | reader | what for | source |
//! |---|---|---|
//! | systemd | `EnvironmentFile=` of the unit of ecs-init: its process environment | systemd/systemd, src/basic/env-file.c (before 2018 src/shared/fileio.c) |
//! | ecs-init | the environment of the agent's container, with `/var/lib/ecs/ecs.config` behind it | aws/amazon-ecs-agent, ecs-init/docker/docker.go, `getEnvVars` |
//! | docker | `docker run --env-file`, on hosts without ecs-init | docker/cli, pkg/kvfile and opts/file.go |
//! | the agent | what ecs-init hands over, with `/etc/ecs/ecs.config.json` behind it; the AWS SDK in it | aws/amazon-ecs-agent, agent/config |
//!
//! For example, `ECS_CLUSTER="prod"` is `prod` to systemd and `"prod"`, with the quotes, to the two
//! others, so the agent asks for a cluster whose name has quotes in it, and exits.
//!
//! ```
//! use ecs_config::lint::{Context, File, check};
//!
//! let file = File { source: "ecs.config", bytes: b"ECS_CLUSTER=\"prod\"\n" };
//! let findings = check(&file, &Context::default());
//! assert_eq!(findings[0].id, "quoted-value");
//! assert_eq!(findings[0].fix.as_deref(), Some("write the value without quotes"));
//! ```
//!
//! - [`readers`]: each reader, byte by byte as the real one.
//! - [`Effective`]: what a host's files set together, for each reader.
//! - [`lint`]: what is wrong with a file; rules as data, fixes, reports as text, JSON and SARIF.
//! - [`merge`]: several layers and what other programs wrote become one file.
//! - [`expand`]: placeholders in values.
//! - [`diff`]: what a change changes, without secrets.
//! - [`variables`]: the catalogue of everything that the agent, ecs-init and the AWS SDK read.
//! - [`proxy`]: whether instance metadata would be asked for at a proxy, by Go's rules.
//! - [`go`], [`text`]: values as Go parses them, text for people.
//!
//! All of it is pure: bytes and values in, values out. Nothing opens a file or a connection, and no
//! message holds the value of a setting, which may be a secret. The one exception is `command`, the
//! linter as a command, which only the feature of this name adds.

#[cfg(feature = "command")]
pub mod command;
pub mod diff;
pub mod effective;
pub mod expand;
pub mod go;
mod json_file;
mod lines;
pub mod lint;
pub mod merge;
pub mod proxy;
pub mod readers;
mod redact;
pub mod text;
pub mod variables;

pub use effective::Effective;

/// No `ecs.config` is larger, in bytes: programs that use this crate read no more of any.
pub const MAX_BYTES: usize = 1 << 20;

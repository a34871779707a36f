//! Gets a container instance ready for Amazon ECS.

pub mod agent;
pub mod aws;
pub mod cli;
pub mod command;
pub mod compose;
pub mod diff;
pub mod digest;
pub mod ecs_config;
pub mod error;
pub mod fence;
pub mod guard;
pub mod guard_command;
pub mod http;
pub mod identity;
pub mod install;
pub mod keep;
pub mod lint_command;
pub mod lock;
pub mod log;
pub mod report;
pub mod run;
pub mod settings;
pub mod source;
pub mod state;
pub mod status;
pub mod word;

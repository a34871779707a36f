//! argv and environment in, exit status out; nothing else.

use std::process::ExitCode;

use clap::Parser;
use ecs_bootstrap::cli::Cli;
use ecs_bootstrap::cli::command;

fn main() -> ExitCode {
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    ExitCode::from(command::run(&Cli::parse(), &command::Environment(variables)))
}

//! What tests and fuzzers outside this crate may see. Nothing else depends on this crate.

use clap::CommandFactory;

use crate::error::{Diagnostic, ExitStatus};
use crate::source::Source;

/// The tree of commands and flags.
pub fn command() -> clap::Command {
    crate::cli::Cli::command()
}

/// The names of all settings.
pub fn settings() -> impl Iterator<Item = &'static str> {
    crate::settings::names()
}

/// Status, word and meaning of every failure.
pub fn exit_statuses() -> impl Iterator<Item = (u8, &'static str, &'static str)> {
    ExitStatus::all().map(|status| (status.code(), status.name(), status.meaning()))
}

/// The ids of the doctor's checks.
pub fn doctor_checks() -> impl Iterator<Item = &'static str> {
    crate::doctor::checks().map(|check| check.id)
}

/// A source as it is shown and whether it needs credentials, or what is wrong with it and the
/// remedy.
pub fn source(text: &str) -> Result<(String, bool), (String, String)> {
    match text.parse::<Source>() {
        Ok(source) => Ok((source.to_string(), source.needs_credentials())),
        Err(invalid) => Err((invalid.to_string(), invalid.remedy())),
    }
}

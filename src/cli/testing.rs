//! What tests and fuzzers outside this crate may see.

use crate::error::{Diagnostic, ExitStatus};
use crate::net::aws::Aws;
use crate::settings::{Given, Settings};
use crate::source::Source;
use crate::{guard, identity, net};

/// The tree of commands and flags.
pub fn command() -> clap::Command {
    crate::cli::command()
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

/// A settings file: the names of its settings, or why it is refused.
pub fn settings_file(text: &str) -> Result<Vec<&'static str>, String> {
    let given = Given::file("settings.toml".as_ref(), text);
    let settings = given.and_then(|given| Settings::new("/".into(), given, Aws::default()));
    let settings =
        settings.map_err(|error| crate::error::Error::from(error).failure().to_text())?;
    Ok(settings.origins().into_keys().collect())
}

/// What instance metadata, the SSM agent's registration and a file of credentials give.
pub fn documents(bytes: &[u8]) -> [Option<String>; 3] {
    let text = String::from_utf8_lossy(bytes);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a small runtime");
    [
        identity::documents::metadata(&text),
        identity::documents::registration(bytes),
        runtime.block_on(identity::documents::credentials_file(&text)),
    ]
}

/// The code and the message of an error of AWS.
pub fn aws_error(text: &str) -> [Option<String>; 2] {
    ["Code", "Message"].map(|name| net::xml::element(text, name))
}

/// How many links are in the bytes of a dump.
pub fn count_links(bytes: &[u8]) -> usize {
    guard::count_links(bytes)
}

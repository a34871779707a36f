//! What tests and fuzzers outside this crate may see.

use serde_json::Value;

use crate::error::{Diagnostic, ExitStatus};
use crate::guard::testing;
use crate::identity::{ec2, external, host_kind, is_sendable, sts};
use crate::net::aws::Aws;
use crate::net::signed::Answer;
use crate::settings::{Given, Settings};
use crate::source::Source;
use crate::source::answer::S3Answer;

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
    let profile = runtime.block_on(external::in_profile(&text, "default"));
    let [of_role, of_profile] = [ec2::credentials("role", &text).ok(), profile.ok()]
        .map(|found| Some(found.filter(is_sendable)?.access_key_id().to_owned()));
    let document: Value = serde_json::from_str(&text).unwrap_or_default();
    let registration = host_kind::parse_registration(bytes).map(|found| found.instance_id);
    [of_role.or(ec2::region(&document)), registration, of_profile]
}

/// What an answer of S3 that is not an object tells: its words, and the bucket's region.
pub fn s3_answer(bytes: &[u8]) -> (String, Option<String>) {
    let answer = S3Answer::new(400, |_| None, bytes);
    (answer.quoted(), answer.region)
}

/// The code and the message of an error of another service, and the caller that STS names: account
/// and ARN.
pub fn answer(bytes: &[u8]) -> ([String; 2], Option<(String, String)>) {
    let read = |status| Answer::new(status, None, bytes);
    let refused = read(400);
    ([refused.code, refused.message], sts::account_and_arn(&read(200)))
}

/// How many links and neighbours are in the bytes of a dump.
pub fn count_links(bytes: &[u8]) -> [usize; 2] {
    testing::links(bytes)
}

/// How many routing rules are in the bytes of a dump, and how many read back as they are encoded.
pub fn count_routing_rules(bytes: &[u8]) -> (usize, usize) {
    testing::routing_rules(bytes)
}

/// How many tables, chains, rules and recorded packets of nf_tables are in the bytes of a dump.
pub fn count_nftables(bytes: &[u8]) -> [usize; 4] {
    testing::nftables(bytes)
}

/// Whether bytes are a packet of which a probe learns something.
pub fn is_packet(bytes: &[u8]) -> bool {
    testing::is_packet(bytes)
}

/// The line of user data, counted from 1, that waits for the agent.
pub fn waiting_line(document: &str) -> Option<usize> {
    crate::doctor::waiting_line(document)
}

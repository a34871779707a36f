//! The command line: what can be typed, and one file for each command.

mod abandon;
mod call;
mod doctor;
mod examples;
mod flags;
mod guard;
mod limits;
mod lint;
mod man;
mod output;
mod role;
mod run;
mod signals;
mod status;
pub mod testing;
mod verify;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

#[cfg(test)]
pub(crate) use abandon::AbandonError;
use call::Call;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use ecs_config::command::{LintArgs, Output, suggest_flag};
#[cfg(test)]
pub(crate) use lint::tests::examples as lint_examples;
#[cfg(test)]
pub(crate) use signals::Interrupted;
#[cfg(test)]
pub(crate) use status::tests::examples as status_examples;

use crate::error::{Error, ExitStatus, RuntimeFailed};
use crate::log::LogFormat;
use crate::report::refusal;
use crate::settings::{self, Environment, Given, VERIFY};

/// Gets a container instance ready for Amazon ECS: keeps containers from instance metadata, proves
/// who the host is, fetches ecs.config from a private bucket, checks it as its readers will read
/// it, and installs it whole or not at all.
#[derive(Debug, Parser)]
#[command(
    name = "ecs-bootstrap",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args, Clone, Debug, Default)]
struct Global {
    /// What goes to stdout: text for people, or the report as JSON
    #[arg(long, global = true, value_name = "FORMAT", help_heading = "Global options")]
    output: Option<Output>,
    /// How the log on stderr is written; auto is journald under systemd and text elsewhere
    #[arg(long, global = true, value_name = "FORMAT", help_heading = "Global options")]
    log_format: Option<LogFormat>,
    /// Log more: where each setting came from, what is waited for
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Global options")]
    verbose: u8,
    /// Log less: warnings and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Global options")]
    quiet: bool,
    /// Put every file path below this folder (image builds, tests)
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    root: Option<PathBuf>,
    /// Read settings from this file instead of /etc/ecs-bootstrap/ecs-bootstrap.toml
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    settings: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The main job: guard, prove identity, fetch, lint, install, report. Safe to repeat
    Run(run::RunArgs),
    /// Prove this host's AWS identity, and print it
    #[command(args = flags::of(VERIFY))]
    Verify,
    /// Check an ecs.config as all its readers will read it; works offline, in CI, on a laptop
    Lint(LintArgs),
    /// Keep containers from instance metadata
    #[command(subcommand)]
    Guard(guard::GuardCommand),
    /// Everything that is wrong on this host, each with its remedy. Changes nothing
    Doctor(doctor::DoctorArgs),
    /// Let Auto Scaling replace this instance, which could not be prepared
    Abandon(abandon::AbandonArgs),
    #[cfg_attr(
        not(feature = "role-check"),
        doc = "The IAM role that a host needs: what creates it"
    )]
    #[cfg_attr(
        feature = "role-check",
        doc = "The IAM role that a host needs: what creates it, or a check of one that exists"
    )]
    Role(role::RoleArgs),
    /// The last run's report
    Status(status::StatusArgs),
    /// Print a completion script
    Completions { shell: clap_complete::Shell },
    /// Print the manual page
    Man,
}

/// The tree of commands and flags.
pub(crate) fn command() -> clap::Command {
    examples::add(Cli::command())
}

/// What was typed, and the settings among it.
fn parse() -> Result<(Cli, Given), clap::Error> {
    if let Some(cli) = plain_check() {
        return Ok((cli, Given::default()));
    }
    let matches = parse_one().map_or_else(|| command().try_get_matches(), Ok)?;
    Ok((Cli::from_arg_matches(&matches)?, flags::typed(&matches)))
}

/// `status --check`, which each start of the agent waits for: parsing it would be a third of its work.
fn plain_check() -> Option<Cli> {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let words: Option<Vec<&str>> = words.iter().map(|word| word.to_str()).collect();
    let root = match words?.as_slice() {
        ["status", "--check"] => None,
        ["status", "--check", "--root", root] if root.starts_with('/') => Some(root.into()),
        // What is no plain folder is for the parser to judge.
        _ => return None,
    };
    let global = Global { root, ..Global::default() };
    Some(Cli { global, command: Command::Status(status::StatusArgs { check: true }) })
}

/// The commands of a boot, each without the flags of the others: those would be most of the work of
/// `status --check`. Whatever is not a plain call of one of them is for the whole tree to parse.
fn parse_one() -> Option<ArgMatches> {
    let name = std::env::args_os().nth(1)?;
    let one = |name: &'static str| clap::Command::new(name);
    let command = match name.to_str()? {
        "run" => run::RunArgs::augment_args(one("run")),
        "verify" => one("verify").args(flags::of(VERIFY)),
        "status" => status::StatusArgs::augment_args(one("status")),
        "doctor" => doctor::DoctorArgs::augment_args(one("doctor")),
        _ => return None,
    };
    Global::augment_args(one("ecs-bootstrap")).subcommand(command).try_get_matches().ok()
}

/// Runs what was typed, in this process's environment.
pub fn main() -> ExitCode {
    signals::block_file_size();
    if let Err(error) = limits::raise_stack() {
        let failure = Error::from(RuntimeFailed(error)).failure();
        output::print_error_text(&failure.to_text());
        return ExitCode::from(ExitStatus::Internal.code());
    }
    let environment = Environment::of_process();
    let (cli, typed) = match parse() {
        Ok(parsed) => parsed,
        Err(error) => return ExitCode::from(refuse(error, &environment)),
    };
    let is_lint = matches!(cli.command, Command::Lint(_));
    let call = Call::new(&cli.global, typed, &environment, is_lint);
    ExitCode::from(match &cli.command {
        Command::Run(args) => run::run(&call, args),
        Command::Verify => verify::run(&call),
        Command::Lint(args) => lint::run(&call, args),
        Command::Guard(command) => guard::run(&call, command),
        Command::Doctor(args) => doctor::run(&call, args),
        Command::Abandon(args) => abandon::run(&call, args),
        Command::Role(args) => role::run(&call, args),
        Command::Status(args) => status::run(&call, args),
        Command::Completions { shell } => man::completions(*shell),
        Command::Man => man::manual(),
    })
}

/// Prints what is wrong with the command line, or the help that was asked for. A `run` that cannot
/// be parsed is noted for `status`: the report is still that of the boot.
fn refuse(mut error: clap::Error, environment: &Environment) -> u8 {
    let typed = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    let typed: Vec<String> = typed.collect();
    suggest_flag(&mut error, &Cli::command(), &typed);
    if !error.use_stderr() {
        // Nothing can be done about a closed stream.
        let _ = error.print();
        return 0;
    }
    let text = match unnamed_source(&error) {
        Some(source) => Error::from(settings::Error::without_config(source)).failure().to_text(),
        None => error.render().to_string(),
    };
    output::print_error_text(&text);
    if typed.iter().any(|word| word == "run") {
        let line = text.lines().find(|line| !line.starts_with("what:")).unwrap_or_default();
        let message = line.trim_start_matches("why:").trim();
        refusal::record(&root(&typed, environment), message);
    }
    ExitStatus::Settings.code()
}

/// A source that was typed without `--config`.
fn unnamed_source(error: &clap::Error) -> Option<&str> {
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(word)) if error.kind() == ErrorKind::UnknownArgument => {
            Some(word.as_str()).filter(|word| !word.starts_with('-'))
        }
        _ => None,
    }
}

/// The root of a command line that could not be parsed.
fn root(typed: &[String], environment: &Environment) -> PathBuf {
    let after = |(index, word): (usize, &String)| match word.strip_prefix("--root") {
        Some("") => typed.get(index + 1).cloned(),
        Some(joined) => joined.strip_prefix('=').map(str::to_owned),
        None => None,
    };
    let root = typed.iter().enumerate().find_map(after).map(PathBuf::from);
    root.or_else(|| environment.path("ECS_BOOTSTRAP_ROOT")).unwrap_or_else(|| "/".into())
}

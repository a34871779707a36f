//! `ecs-config-lint`: the linter alone, without a client for AWS.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use ecs_config::command::{self, Error, LintArgs, Output};

/// Checks an ecs.config as all its readers will read it: systemd, ecs-init, docker and the agent.
///
/// The same as `ecs-bootstrap lint`, for files of this machine.
#[derive(Debug, Parser)]
#[command(name = "ecs-config-lint", version, max_term_width = 100)]
#[command(after_help = "Examples:\n  ecs-config-lint ecs.config\n  \
                        ecs-config-lint --whole --for al2023 --deny warnings ecs.config\n  \
                        ecs-config-lint --explain quoted-value\n\nManual: ecs-config-lint(1)")]
struct Cli {
    #[command(flatten)]
    lint: LintArgs,
    /// What goes to stdout: text for people, JSON, or SARIF
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Output,
    /// Put every file path below this folder (image builds)
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
}

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let status = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli.lint.run(&cli.root, cli.output, &[]).unwrap_or_else(|error| fail(&error)),
        Err(error) => refuse(error, &arguments),
    };
    ExitCode::from(status)
}

/// In the form and with the exit status of `ecs-bootstrap lint`.
fn fail(error: &Error) -> u8 {
    let (status, word) = if error.is_of_settings() { (2, "settings") } else { (40, "install") };
    let first: &dyn std::error::Error = error;
    let why: Vec<String> =
        std::iter::successors(Some(first), |one| one.source()).map(ToString::to_string).collect();
    let text = format!(
        "what:   failed while checking the configuration ({word}, exit status {status})\n\
         why:    lint: {}\nremedy: {}\n",
        why.join(": "),
        error.remedy()
    );
    let _ = io::stderr().write_all(text.as_bytes());
    status
}

fn refuse(mut error: clap::Error, arguments: &[OsString]) -> u8 {
    let typed = arguments.iter().skip(1).map(|word| word.to_string_lossy().into_owned());
    command::suggest_flag(&mut error, &Cli::command(), &typed.collect::<Vec<_>>());
    // Nothing can be done about a closed stream.
    let _ = error.print();
    u8::try_from(error.exit_code()).unwrap_or(2)
}

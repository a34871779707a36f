//! The command line: what can be typed, and what it says about itself.
//!
//! Flags of `run` are settings; [`RunArgs::given`] turns them into the same text by name that the
//! environment and the file give.

pub(crate) mod command;
pub(crate) mod guard;
pub(crate) mod lint;
pub(crate) mod role;
pub(crate) mod status;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::cli::role::RoleArgs;
use crate::log::LogFormat;
use crate::settings::{Given, Origin};

/// Runs what was typed, in this process's environment.
pub fn main() -> ExitCode {
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    ExitCode::from(command::run(&Cli::parse(), &command::Environment(variables)))
}

/// Gets a container instance ready for Amazon ECS: fences containers off from instance metadata,
/// proves who the host is, fetches ecs.config from a private bucket, checks it as its readers will
/// read it, and installs it whole or not at all.
#[derive(Debug, Parser)]
#[command(
    name = "ecs-bootstrap",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true
)]
#[command(
    after_help = "Exit status 0 is success. The manual page lists the others; README.md also says what to do about each."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Global {
    /// What goes to stdout: words for people, or the report as JSON
    #[arg(long, global = true, value_name = "FORMAT", help_heading = "Global options")]
    pub(crate) output: Option<Output>,
    /// How the log on stderr is written; auto is journald under systemd and text elsewhere
    #[arg(long, global = true, value_name = "FORMAT", help_heading = "Global options")]
    pub(crate) log_format: Option<LogFormat>,
    /// Say more: where each setting came from, what is waited for
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Global options")]
    pub(crate) verbose: u8,
    /// Say less: warnings and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Global options")]
    pub(crate) quiet: bool,
    /// Hang every file path below this folder (image bakes, tests)
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    pub(crate) root: Option<PathBuf>,
    /// Read settings from this file instead of /etc/ecs-bootstrap/ecs-bootstrap.toml
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub(crate) settings: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum Output {
    Text,
    Json,
    /// For pull requests; `lint` only
    Sarif,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The main job: fence, prove identity, fetch, lint, install, report. Safe to repeat
    Run(RunArgs),
    /// Prove this host's AWS identity, and print it
    Verify(VerifyArgs),
    /// Check an ecs.config as all its readers will read it; works offline, in CI, on a laptop
    Lint(lint::Args),
    /// Keep containers from instance metadata
    #[command(subcommand)]
    Guard(guard::Command),
    /// Everything that is wrong on this host, each with its remedy. Changes nothing
    Doctor(DoctorArgs),
    /// The IAM role that a host needs: what creates it, or a check of one that exists
    Role(RoleArgs),
    /// The last run's report
    Status(StatusArgs),
    /// Print a completion script
    Completions { shell: clap_complete::Shell },
    /// Print the manual page
    Man,
}

/// Whose identity is proven, by whom.
#[derive(Args, Debug, Default)]
pub(crate) struct IdentityArgs {
    /// The role must have this name
    #[arg(long, value_name = "NAME")]
    pub(crate) expect_role: Option<String>,
    /// The account must have this id
    #[arg(long, value_name = "ID")]
    pub(crate) expect_account: Option<String>,
    /// How the host gets its credentials: auto, ec2 or external [default: auto]
    #[arg(long, value_name = "KIND")]
    pub(crate) host: Option<String>,
}

/// Flags that `verify` shares with `run`.
#[derive(Args, Debug, Default)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) identity: IdentityArgs,
    /// One deadline for everything, such as 90s or 5m [default: 5m]
    #[arg(long, value_name = "DURATION")]
    pub(crate) timeout: Option<String>,
}

#[derive(Args, Debug, Default)]
pub(crate) struct DoctorArgs {
    /// A source of ecs.config to try. May be repeated [default: those in the settings]
    #[arg(long, value_name = "SOURCE")]
    pub(crate) config: Vec<String>,
    #[command(flatten)]
    pub(crate) identity: IdentityArgs,
    /// Write a support bundle: the checks, and the files they looked at, without any value of a
    /// configuration key
    #[arg(long, value_name = "FILE.tar.gz", value_parser = bundle)]
    pub(crate) bundle: Option<PathBuf>,
}

/// Somewhere a file can be replaced.
fn bundle(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match text != "-" && !text.ends_with('/') && path.file_name().is_some() {
        true => Ok(path),
        false => Err("a bundle is a file: name one, such as /root/bundle.tar.gz".into()),
    }
}

#[derive(Args, Debug, Default)]
pub(crate) struct RunArgs {
    /// Where ecs.config is: s3://BUCKET/KEY, an S3 ARN, https://…, file:///PATH. May be repeated: a later layer's key wins
    #[arg(long, value_name = "SOURCE")]
    pub(crate) config: Vec<String>,
    /// A last layer by hand. May be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// If ecs.config already has KEY and we did not write it, its value stands. May be repeated
    #[arg(long, value_name = "KEY")]
    pub(crate) keep: Vec<String>,
    /// Replace the whole file: keys that others wrote are dropped
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true, hide_possible_values = true)]
    pub(crate) replace: Option<bool>,
    /// Replace ${region}, ${instance_id}, ${tag:NAME} and their like in values
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true, hide_possible_values = true)]
    pub(crate) expand: Option<bool>,
    /// Accept a configuration without ECS_CLUSTER: the agent joins the cluster `default`
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true, hide_possible_values = true)]
    pub(crate) allow_default_cluster: Option<bool>,
    #[command(flatten)]
    pub(crate) verify: VerifyArgs,
    /// Keep containers on every bridge from instance metadata
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true, hide_possible_values = true)]
    pub(crate) block_imds: Option<bool>,
    /// Keep tasks in host network mode from it too (cgroup v2)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true, hide_possible_values = true)]
    pub(crate) block_imds_host_tasks: Option<bool>,
    /// If the file changed and the ECS agent runs, restart it (without waiting for it)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true, hide_possible_values = true)]
    pub(crate) restart_agent: Option<bool>,
    /// When the source cannot be reached: keep the last verified file, or fail [default: keep]
    #[arg(long, value_name = "fail|keep")]
    pub(crate) stale: Option<String>,
    /// How old the verification of a kept file may be, such as 36h [default: no limit]
    #[arg(long, value_name = "DURATION")]
    pub(crate) max_age: Option<String>,
    /// Read settings from instance tags too (ecs-bootstrap:config and so on)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true, hide_possible_values = true)]
    pub(crate) from_tags: Option<bool>,
    /// Do everything up to the installation, and print the difference
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Args, Debug)]
pub(crate) struct StatusArgs {
    /// Exit 0 only if the installed file is the one that a run of this boot verified
    #[arg(long)]
    pub(crate) check: bool,
}

/// Collects what was typed.
#[derive(Default)]
struct Typed(Given);

impl Typed {
    fn list(mut self, name: &'static str, items: &[String]) -> Self {
        if !items.is_empty() {
            self.0.insert(name, (items.to_vec(), Origin::Flag));
        }
        self
    }

    fn text(self, name: &'static str, item: &Option<String>) -> Self {
        self.list(name, item.as_slice())
    }

    fn switch(self, name: &'static str, on: Option<bool>) -> Self {
        self.text(name, &on.map(|on| on.to_string()))
    }

    fn identity(self, args: &IdentityArgs) -> Self {
        self.text("expect_role", &args.expect_role)
            .text("expect_account", &args.expect_account)
            .text("host", &args.host)
    }

    fn verify(self, args: &VerifyArgs) -> Self {
        self.identity(&args.identity).text("timeout", &args.timeout)
    }
}

impl VerifyArgs {
    /// The flags as settings.
    pub(crate) fn given(&self) -> Given {
        Typed::default().verify(self).0
    }
}

impl DoctorArgs {
    /// The flags as settings.
    pub(crate) fn given(&self) -> Given {
        Typed::default().list("config", &self.config).identity(&self.identity).0
    }
}

impl RunArgs {
    /// The flags as settings.
    pub(crate) fn given(&self) -> Given {
        Typed::default()
            .list("config", &self.config)
            .list("set", &self.set)
            .list("keep", &self.keep)
            .switch("replace", self.replace)
            .switch("expand", self.expand)
            .switch("allow_default_cluster", self.allow_default_cluster)
            .verify(&self.verify)
            .switch("block_imds", self.block_imds)
            .switch("block_imds_host_tasks", self.block_imds_host_tasks)
            .switch("restart_agent", self.restart_agent)
            .text("stale", &self.stale)
            .text("max_age", &self.max_age)
            .switch("from_tags", self.from_tags)
            .0
    }
}

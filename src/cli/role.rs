//! `role print` and `role check` as they are typed.

use clap::{Args, Subcommand};

use super::Output;
use super::call::Call;
use super::output::print;
use crate::error::Error;
use crate::install::compose;
use crate::role::print::{PrintFormat, print_role};
use crate::role::{Role, RoleRequest};
use crate::settings::Settings;
use crate::source::Source;

#[derive(Args, Debug)]
pub(crate) struct RoleArgs {
    #[command(subcommand)]
    command: RoleCommand,
}

#[derive(Debug, Subcommand)]
enum RoleCommand {
    /// Print the documents of the role, or what creates it
    Print(PrintArgs),
    /// Check a role that exists, with any credentials of the AWS SDK's chain
    ///
    /// Reads IAM (iam:GetRole and the like) as an administrator may; on the host itself, which may
    /// not, it tries what the role is for and reports what could not be seen. Each finding comes
    /// with the command that fixes it. Exit status 70: something is wrong.
    #[cfg(feature = "role-check")]
    Check(CheckArgs),
    /// Anything else: `check`, which is not offered here, or a mistake
    #[cfg(not(feature = "role-check"))]
    #[command(external_subcommand)]
    Other(Vec<String>),
}

#[derive(Args, Debug)]
struct PrintArgs {
    /// The role's name [default: ecsInstanceRole, or ecsAnywhereRole for external hosts]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    request: RoleRequest,
    /// How the documents are written down [default: cli, or json with --output json]
    #[arg(long, value_name = "FORMAT")]
    format: Option<PrintFormat>,
}

#[cfg(feature = "role-check")]
#[derive(Args, Debug)]
struct CheckArgs {
    /// The role's name [default: the role that the credentials are of, on a host; else
    /// ecsInstanceRole or ecsAnywhereRole]
    #[arg(long, value_name = "NAME")]
    role: Option<String>,
    #[command(flatten)]
    request: RoleRequest,
    /// One deadline for everything, such as 90s or 5m [default: 5m]
    #[arg(long, value_name = "DURATION")]
    timeout: Option<String>,
}

pub(crate) fn run(call: &Call<'_>, args: &RoleArgs) -> u8 {
    let (name, result) = match &args.command {
        RoleCommand::Print(args) => ("role print", printed(call, args)),
        #[cfg(feature = "role-check")]
        RoleCommand::Check(args) => ("role check", checked(call, args)),
        #[cfg(not(feature = "role-check"))]
        RoleCommand::Other(words) => {
            ("role check", Err(crate::role::Error::no_command(words).into()))
        }
    };
    match result {
        Ok((text, status)) => print(&text).max(status),
        Err(error) => call.print_result(name, Err(error)),
    }
}

fn printed(call: &Call<'_>, args: &PrintArgs) -> Result<(String, u8), Error> {
    let Settings { config, aws, .. } = settings(call)?;
    let role = Role::new(args.request.clone(), args.name.clone(), &config, aws.region.as_deref())?;
    let json = call.output == Output::Json;
    let format = args.format.unwrap_or(if json { PrintFormat::Json } else { PrintFormat::Cli });
    Ok((print_role(&role, format), 0))
}

/// With what `--set` names of Parameter Store and Secrets Manager among the sources.
fn settings(call: &Call<'_>) -> Result<Settings, Error> {
    let mut settings = call.settings()?;
    let named = compose::placeholders(&settings, &[]).into_iter();
    settings.config.extend(named.filter_map(|it| it.source()?.parse::<Source>().ok()));
    Ok(settings)
}

#[cfg(feature = "role-check")]
fn checked(call: &Call<'_>, args: &CheckArgs) -> Result<(String, u8), Error> {
    use crate::net::{Http, vars};

    let settings = settings(call)?;
    let http = Http::new(&vars(call.environment.variables()))?;
    let check =
        crate::role::check::check(args.request.clone(), args.role.clone(), &settings, &http);
    let report = super::call::block_on(check)??;
    let text = if call.output == Output::Json { report.json() } else { report.text() };
    Ok((text, report.status()))
}

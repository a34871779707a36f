//! `ecs-bootstrap lint`: the command is in [`ecs_config::command`]; here it gets what needs a
//! network, and its errors their exit statuses.

use aws_credential_types::Credentials;
use ecs_config::command::{Fetched, LintArgs};
use tokio::time::Instant;

use super::call::{Call, block_on};
use crate::error::{self, Diagnostic, ExitStatus, Step};
use crate::files::HostFiles;
use crate::identity::Clients;
use crate::net::{self, Http};
use crate::settings::{self, Settings};
use crate::source::{self, Source};

impl Diagnostic for ecs_config::command::Error {
    fn step(&self) -> Step {
        Step::Lint
    }

    fn status(&self) -> ExitStatus {
        if self.is_of_settings() { ExitStatus::Settings } else { ExitStatus::Install }
    }

    fn remedy(&self) -> String {
        // The inherent method, which has precedence.
        self.remedy()
    }
}

pub(super) fn run(call: &Call<'_>, args: &LintArgs) -> u8 {
    check(call, args).unwrap_or_else(|error| call.print_error(&error))
}

fn check(call: &Call<'_>, args: &LintArgs) -> Result<u8, error::Error> {
    let settings = call.settings()?;
    let fetched = block_on(fetch_all(call, &settings, args.remote()))??;
    Ok(args.run(&call.root, call.output, &fetched)?)
}

async fn fetch_all(
    call: &Call<'_>,
    settings: &Settings,
    names: impl Iterator<Item = &str>,
) -> Result<Vec<Fetched>, error::Error> {
    let mut all = Vec::new();
    for name in names {
        let source: Source = name.parse().map_err(settings::Error::source)?;
        let bytes = fetch(call, settings, &source).await?;
        let (name, shown) = (name.to_owned(), source.to_string());
        all.push(Fetched { name, shown, bytes, is_secret: source.secret().is_some() });
    }
    Ok(all)
}

/// On a host an object is read with the role's credentials; elsewhere whoever lints it may have
/// credentials of their own in the environment.
async fn fetch(
    call: &Call<'_>,
    settings: &Settings,
    source: &Source,
) -> Result<Vec<u8>, error::Error> {
    let deadline = Instant::now() + settings.timeout;
    let own =
        |name| call.environment.get(name).filter(|value| !value.is_empty()).map(str::to_owned);
    let own = own("AWS_ACCESS_KEY_ID").zip(own("AWS_SECRET_ACCESS_KEY")).map(|(id, secret)| {
        Credentials::new(id, secret, own("AWS_SESSION_TOKEN"), None, "environment")
    });
    let variables = call.environment.variables();
    let http = Http::new(&net::vars(variables))?;
    let (credentials, region) = match own {
        None if source.needs_credentials() => {
            let files = HostFiles::read(&settings.root);
            let clients = Clients::new(settings, &files, variables, deadline)?;
            let facts = clients.source.facts(None, &|_| {}).await?;
            (Some(facts.credentials), facts.reported.region)
        }
        own => (own, None),
    };
    let access = source::Access {
        http: &http,
        aws: &settings.aws,
        credentials: credentials.as_ref(),
        region,
        deadline,
        cached: None,
    };
    Ok(source::fetch(source, &access).await?.bytes)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io;

    use ecs_config::command::Error;

    use super::*;
    use crate::error::tests::{PLANTED, examples as all};
    use crate::files::{self, ReadError};
    use crate::paths::MAX_CONFIG;

    /// For the test over all errors.
    pub(crate) fn examples() -> Vec<(ExitStatus, Error)> {
        let name = || "ecs.config".to_owned();
        let reads = [
            ReadError::Io(io::ErrorKind::NotFound.into()),
            ReadError::NotPlain("a folder"),
            ReadError::TooLarge(MAX_CONFIG),
        ];
        let source = files::Error::Privilege { what: "writing it", uid: 1000 };
        all!(Error {
            Error::Read { .. } => Settings reads.map(|source| Error::Read { name: name(), source }),
            Error::Remote { .. } => Settings [Error::Remote { name: name() }],
            Error::SeveralReaders => Settings [Error::SeveralReaders],
            Error::NotAFile { .. } => Settings [not_a_file()],
            Error::Write { .. } => Install [Error::Write { name: name(), source }],
        })
    }

    /// `--fix` of a presigned URL.
    fn not_a_file() -> Error {
        let name = format!("https://user:{PLANTED}@bucket.example/key?sig={PLANTED}");
        let shown = name.parse::<Source>().map_or("an address".into(), |one| one.to_string());
        let fetched = [Fetched { name: name.clone(), shown, bytes: Vec::new(), is_secret: false }];
        let root = std::path::Path::new("/");
        let cli = clap::Command::new("lint");
        let cli = <LintArgs as clap::Args>::augment_args(cli);
        let matches = cli.get_matches_from(["lint", "--fix", &name]);
        let args = <LintArgs as clap::FromArgMatches>::from_arg_matches(&matches).unwrap();
        args.run(root, crate::cli::Output::Text, &fetched).unwrap_err()
    }
}

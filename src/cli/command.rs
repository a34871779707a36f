//! From what was typed to what is printed: reads the settings, runs one command, and says how it
//! ended.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use aws_credential_types::Credentials;
use clap::{CommandFactory, ValueEnum};
use clap_mangen::roff::{Roff, bold, roman};
use ecs_config::lint::rules;
use nix::unistd::geteuid;
use tokio::time::Instant;

use crate::bootstrap::{self, Boot};
use crate::cli::guard as guard_cli;
use crate::cli::guard::Form;
use crate::cli::lint;
use crate::cli::role::{Job, RoleArgs};
use crate::cli::status;
use crate::cli::{Cli, Command, DoctorArgs, Global, Output, RunArgs, StatusArgs};
use crate::doctor;
use crate::error::ExitStatus;
use crate::error::{Error, Failure, RuntimeFailed, Step};
use crate::files;
use crate::guard;
use crate::guard::step;
use crate::identity::host_kind::{self, Evidence};
use crate::identity::{self, External, Imds, Witness, imds};
use crate::install::lock::{self, Lock};
use crate::log::{self, LogFormat};
use crate::net::aws::Aws;
use crate::net::{self, Http};
use crate::paths;
use crate::report::{self, Outcome, Report};
use crate::settings::{self, Given, Origin, Settings};
use crate::source::{self, Source};

/// The variables of the process.
#[derive(Debug)]
pub(crate) struct Environment(pub Vec<(String, String)>);

impl Environment {
    fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(variable, _)| *variable == name).map(|(_, value)| value)
    }
}

/// One call of the program: what was typed and what surrounds it.
struct Call<'a> {
    cli: &'a Cli,
    environment: &'a Environment,
    root: PathBuf,
    output: Output,
    format: LogFormat,
}

/// Runs the command, and gives the exit status.
pub(crate) fn run(cli: &Cli, environment: &Environment) -> u8 {
    let global = &cli.global;
    let root = global
        .root
        .clone()
        .or_else(|| settings::place(environment.iter(), "root"))
        .unwrap_or_else(|| "/".into());
    let mut call = Call { cli, environment, root, output: Output::Text, format: LogFormat::Auto };
    let given = call.given();
    let formats = call.read_formats(given.as_ref().unwrap_or(&call.formats()));
    call.format = log::start(call.format, global.quiet, environment.get("JOURNAL_STREAM"));
    let given = given.and_then(|given| formats.map(|()| given));
    match &cli.command {
        Command::Run(args) => call.run(args, given),
        Command::Verify(_) => call.verify(given),
        Command::Guard(command) => call.guard(command),
        Command::Lint(args) => call.lint(args, given),
        Command::Doctor(args) => call.doctor(args, given),
        Command::Role(args) => call.role(args, given),
        Command::Status(args) => call.status(args),
        Command::Completions { shell } => printed(|out| {
            clap_complete::generate(*shell, &mut Cli::command(), "ecs-bootstrap", out);
            Ok(())
        }),
        Command::Man => printed(manual),
    }
}

/// A reader that has read enough and closes the pipe is no failure of ours.
fn printed(print: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> u8 {
    let mut out = Vec::new();
    let done = print(&mut out).and_then(|()| std::io::stdout().write_all(&out));
    u8::from(done.is_err_and(|error| error.kind() != std::io::ErrorKind::BrokenPipe))
}

/// The manual page: the flags that all commands take, commands, exit statuses, rules of the linter.
/// It is one page, so clap_mangen's references to `ecs-bootstrap-run(1)` and its like would lead
/// nowhere.
fn manual(out: &mut Vec<u8>) -> std::io::Result<()> {
    let command = Cli::command();
    let man = clap_mangen::Man::new(command.clone());
    man.render_title(out)?;
    man.render_name_section(out)?;
    man.render_synopsis_section(out)?;
    man.render_options_section(out)?;
    let mut page = Roff::new();
    page.control("SH", ["COMMANDS"]);
    page.text([roman("Each has a --help of its own, which lists its flags.")]);
    for command in command.get_subcommands() {
        page.control("TP", []);
        page.text([bold(format!("ecs-bootstrap {}", command.get_name()))]);
        page.text([roman(
            command.get_about().expect("every command says what it does").to_string(),
        )]);
    }
    page.control("SH", ["EXIT STATUS"]);
    for word in ExitStatus::all() {
        page.control("TP", []);
        page.text([bold(word.code().to_string())]);
        page.text([roman(format!("{word}: {}", word.meaning()))]);
    }
    page.control("SH", ["RULES OF LINT"]);
    for rule in rules::all() {
        page.control("TP", []);
        page.text([bold(rule.id), roman(format!(" ({})", rule.severity.word()))]);
        page.text([roman(rule.why)]);
    }
    page.to_writer(out)
}

impl Call<'_> {
    /// Flags, environment and settings file. Tags come later: they are asked for over the network.
    fn given(&self) -> Result<Given, settings::Error> {
        let flags = match &self.cli.command {
            Command::Run(args) => args.given(),
            Command::Verify(args) => args.given(),
            Command::Doctor(args) => args.given(),
            Command::Role(args) => args.given(),
            _ => Given::new(),
        };
        let global = self.cli.global.given();
        let strong = settings::beneath(
            settings::beneath(flags, global),
            settings::from_environment(self.environment.iter())?,
        );
        Ok(settings::beneath(strong, self.file()?))
    }

    /// The formats alone, in the two strongest ways: what is left to go by where not all settings
    /// can be read.
    fn formats(&self) -> Given {
        let formats = ["ECS_BOOTSTRAP_OUTPUT", "ECS_BOOTSTRAP_LOG_FORMAT"];
        let named = self.environment.iter().filter(|(name, _)| formats.contains(name));
        settings::beneath(
            self.cli.global.given(),
            settings::from_environment(named).unwrap_or_default(),
        )
    }

    /// The settings file that was named, if one was.
    fn named(&self) -> Option<PathBuf> {
        self.cli
            .global
            .settings
            .clone()
            .or_else(|| settings::place(self.environment.iter(), "settings"))
    }

    fn settings_file(&self) -> PathBuf {
        self.named().unwrap_or_else(|| self.root.join(paths::SETTINGS.trim_start_matches('/')))
    }

    fn file(&self) -> Result<Given, settings::Error> {
        let path = self.settings_file();
        match std::fs::read_to_string(&path) {
            Ok(text) => settings::from_file(&path, &text),
            Err(error)
                if error.kind() == std::io::ErrorKind::NotFound && self.named().is_none() =>
            {
                Ok(Given::new())
            }
            Err(error) => Err(settings::Error::File { path, why: error.to_string() }),
        }
    }

    /// Even an error about the settings is told in the format that they ask for, as far as they can
    /// be read.
    fn read_formats(&mut self, given: &Given) -> Result<(), settings::Error> {
        let output = word(given, "output", Output::Text)?;
        if output == Output::Sarif && !matches!(self.cli.command, Command::Lint(_)) {
            return Err(settings::Error::only_lint());
        }
        self.output = output;
        self.format = word(given, "log_format", LogFormat::Auto)?;
        Ok(())
    }

    fn settings(&self, given: &Given) -> Result<Settings, Error> {
        let aws = Aws::from_vars(self.environment.0.iter().cloned())?;
        Ok(Settings::new(self.root.clone(), given, aws)?)
    }

    fn run(&self, args: &RunArgs, given: Result<Given, settings::Error>) -> u8 {
        let mut report = Report::new("run");
        let (mut lock, mut diff) = (None, None);
        let result = self.walk(args, given, &mut report, &mut lock, &mut diff);
        report.finish(result.as_ref().copied());
        if !args.dry_run && lock.is_none() {
            lock = self.lock_at_once();
        }
        if lock.is_some() {
            self.leave(&report);
        }
        if let (Some(diff), Output::Text) = (&diff, self.output) {
            printed(|out| out.write_all(diff.as_bytes()));
        }
        self.tell(&report)
    }

    /// For the report of a run that ended before it had its turn; `None` if another run is at work:
    /// then its report is the last.
    fn lock_at_once(&self) -> Option<Lock> {
        let path = self.root.join(paths::LOCK.trim_start_matches('/'));
        runtime().ok()?.block_on(lock::take(&path, Instant::now())).ok()
    }

    /// The report is written under the lock, so that of two runs the later one's stands.
    fn leave(&self, report: &Report) {
        let path = self.root.join(paths::REPORT.trim_start_matches('/'));
        if let Err(error) = files::replace(&path, format!("{}\n", report.json()).as_bytes(), 0o644)
        {
            let why: Vec<String> = net::chain(&error).map(ToString::to_string).collect();
            tracing::warn!("the report could not be written: {}", why.join(": "));
        }
    }

    fn walk(
        &self,
        args: &RunArgs,
        given: Result<Given, settings::Error>,
        report: &mut Report,
        lock: &mut Option<Lock>,
        diff: &mut Option<String>,
    ) -> Result<Outcome, Error> {
        let given = given?;
        let settings = self.settings(&given)?;
        let deadline = Instant::now() + settings.timeout;
        self.may_replace(args)?;
        let reach = self.reach(&settings, deadline)?;
        runtime()?.block_on(async {
            if !args.dry_run {
                *lock = Some(lock::take(&settings.path(paths::LOCK), deadline).await?);
            }
            let settings = self.fenced(args, settings, given, &reach, report).await?;
            self.origins(&settings, report);
            let boot =
                Boot { settings: &settings, http: &reach.http, witness: reach.witness(), deadline };
            if args.dry_run {
                let (outcome, difference) = bootstrap::dry_run(&boot, report).await?;
                *diff = Some(difference);
                return Ok(outcome);
            }
            bootstrap::run(&boot, report).await
        })
    }

    /// Anybody may work below a folder of their own; the host's own files are root's.
    fn may_replace(&self, args: &RunArgs) -> Result<(), files::Error> {
        let uid = geteuid().as_raw();
        match uid == 0 || args.dry_run || self.root != std::path::Path::new("/") {
            true => Ok(()),
            false => Err(files::Error::Privilege {
                what: "`run` replaces /etc/ecs/ecs.config, which",
                uid,
            }),
        }
    }

    fn reach(&self, settings: &Settings, deadline: Instant) -> Result<Reach, Error> {
        let options = imds::Options::new(self.environment.iter()).map_err(settings::Error::Aws)?;
        let http = Http::new(&net::Options::from_vars(self.environment.0.iter().cloned())?)?;
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
            if self.environment.get(name).is_some() {
                tracing::warn!(
                    "{name} is set and ignored: only the instance's own role proves which host this is"
                );
            }
        }
        let kind = Evidence::of(settings);
        // Who waits for metadata on a machine of another vendor wants to know why.
        if self.cli.global.verbose > 0 || matches!(kind, Evidence::None { vendor: Some(_) }) {
            tracing::info!("host: {kind}");
        }
        let external =
            kind.is_external().then(|| External::new(settings, self.environment.iter(), deadline));
        Ok(Reach { http, imds: Imds::new(net::direct()?, options, deadline), external })
    }

    /// The fence stands before the first packet leaves; only if tags ask for it, it cannot stand
    /// before they are read.
    async fn fenced(
        &self,
        args: &RunArgs,
        settings: Settings,
        given: Given,
        reach: &Reach,
        report: &mut Report,
    ) -> Result<Settings, Error> {
        if args.dry_run {
            report.skip("guard", "this is a dry run");
            return self.with_tags(settings, given, reach.witness()).await;
        }
        let wanted = step::wanted(&settings);
        if wanted.is_some() || !settings.from_tags {
            step::raise(wanted.as_ref(), &self.root, report)?;
        }
        let settings = self.with_tags(settings, given, reach.witness()).await?;
        let by_tags = step::wanted(&settings);
        if settings.from_tags && (by_tags != wanted || by_tags.is_none()) {
            step::raise(by_tags.as_ref(), &self.root, report)?;
        }
        Ok(settings)
    }

    async fn with_tags(
        &self,
        settings: Settings,
        given: Given,
        witness: Witness<'_>,
    ) -> Result<Settings, Error> {
        if !settings.from_tags {
            return Ok(settings);
        }
        let tags = identity::tags(witness).await?.ok_or(settings::Error::NoTags)?;
        if tags.iter().any(|(name, _)| name == host_kind::BATCH_TAG)
            && !host_kind::is_batch(&settings)
        {
            tracing::warn!(
                "host: AWS Batch launched this instance, and its user data has not written ECS_CLUSTER yet: run after user data \
                 (/usr/share/ecs-bootstrap/after-user-data.conf)"
            );
        }
        let tags =
            settings::from_tags(tags.iter().map(|(name, value)| (name.as_str(), value.as_str())))?;
        let (settings, given) = (settings, settings::between(given, tags));
        Ok(Settings::new(settings.root, &given, settings.aws)?)
    }

    fn origins(&self, settings: &Settings, report: &mut Report) {
        for (name, origin) in
            settings.origins.iter().filter(|(_, origin)| **origin != Origin::Default)
        {
            if self.cli.global.verbose > 0 {
                tracing::info!("settings: {name} is from {origin}");
            }
            report.settings.insert(name, origin.to_string());
        }
    }

    fn verify(&self, given: Result<Given, settings::Error>) -> u8 {
        let mut report = Report::new("verify");
        let result = self.identity(given, &mut report);
        report.finish(result.as_ref().map(|()| Outcome::Verified));
        self.tell(&report)
    }

    fn identity(
        &self,
        given: Result<Given, settings::Error>,
        report: &mut Report,
    ) -> Result<(), Error> {
        let settings = self.settings(&given?)?;
        let deadline = Instant::now() + settings.timeout;
        let reach = self.reach(&settings, deadline)?;
        self.origins(&settings, report);
        report.enter("identity");
        let boot =
            Boot { settings: &settings, http: &reach.http, witness: reach.witness(), deadline };
        for what in reach.external.iter().flat_map(|_| host_kind::missing(&settings)) {
            tracing::warn!("host: {what}");
        }
        let identity = runtime()?.block_on(bootstrap::who(&boot))?;
        report.done(
            "identity",
            1 + reach.witness().repeats(),
            bootstrap::on_its_host(&identity, &settings),
        );
        report.host = Some(identity);
        Ok(())
    }

    /// Settings that are none are one of its findings.
    fn doctor(&self, args: &DoctorArgs, given: Result<Given, settings::Error>) -> u8 {
        let began = std::time::Instant::now();
        let examined =
            doctor::examine(doctor::Patient::new(self.root.clone(), given, &self.environment.0));
        log::clear();
        let text = if self.output == Output::Json { examined.json() } else { examined.text() };
        let status = printed(|out| out.write_all(text.as_bytes())).max(examined.exit_status());
        let Some(path) = &args.bundle else { return status };
        let place =
            doctor::bundle::Place { root: self.root.clone(), settings: self.settings_file() };
        match doctor::bundle::leave(path, &examined, place, began)
            .map_err(|error| Error::from(error).in_step(Step::Bundle))
        {
            Ok(()) => {
                tracing::info!("the support bundle is {}", path.display());
                status
            }
            Err(error) => {
                self.complain(&error.failure());
                error.status().code()
            }
        }
    }

    fn role(&self, args: &RoleArgs, given: Result<Given, settings::Error>) -> u8 {
        let settings = given.map_err(Error::from).and_then(|given| self.settings(&given));
        match settings.and_then(|settings| self.role_told(args, &settings)) {
            Ok((text, status)) => printed(|out| out.write_all(text.as_bytes())).max(status),
            Err(error) => {
                let mut report = Report::new(args.job.name());
                report.finish(Err(&error));
                self.tell(&report)
            }
        }
    }

    fn role_told(&self, args: &RoleArgs, settings: &Settings) -> Result<(String, u8), Error> {
        let json = self.output == Output::Json;
        match &args.job {
            Job::Print(args) => Ok((args.print(settings, json)?, 0)),
            Job::Check(args) => {
                let http =
                    Http::new(&net::Options::from_vars(self.environment.0.iter().cloned())?)?;
                runtime()?.block_on(args.check(settings, &http, json))
            }
        }
    }

    fn status(&self, args: &StatusArgs) -> u8 {
        let told = if args.check {
            status::check(&self.root)
        } else {
            status::last(&self.root).map(|report| self.status_text(&report))
        };
        match told {
            Ok(text) => printed(|out| writeln!(out, "{text}")),
            Err(error) => {
                let mut report = Report::new("status");
                report.finish(Err(&error));
                self.tell(&report)
            }
        }
    }

    fn status_text(&self, report: &serde_json::Value) -> String {
        match self.output {
            Output::Json | Output::Sarif => {
                serde_json::to_string_pretty(report).expect("it was JSON before")
            }
            Output::Text => report::in_words(report),
        }
    }

    fn lint(&self, args: &lint::Args, given: Result<Given, settings::Error>) -> u8 {
        match self.linted(args, given) {
            Ok(linted) => match printed(|out| out.write_all(linted.text.as_bytes())) {
                0 if linted.errors => ExitStatus::Lint.code(),
                status => status,
            },
            Err(error) => {
                self.complain(&error.failure());
                error.status().code()
            }
        }
    }

    fn linted(
        &self,
        args: &lint::Args,
        given: Result<Given, settings::Error>,
    ) -> Result<lint::Printed, Error> {
        let format = match self.output {
            Output::Text => lint::Format::Text,
            Output::Json => lint::Format::Json,
            Output::Sarif => lint::Format::Sarif,
        };
        let color = std::io::stdout().is_terminal()
            && self.environment.get("NO_COLOR").is_none_or(str::is_empty);
        let around = lint::Surroundings { root: &self.root, format, color };
        let settings = self.settings(&given?)?;
        runtime()?.block_on(lint::run(args, around, async |source| {
            self.fetch_to_lint(&settings, source).await
        }))
    }

    /// Whoever lints an object may read it with credentials of their own; on a host it is read with
    /// the role's.
    async fn fetch_to_lint(&self, settings: &Settings, source: &str) -> Result<Vec<u8>, Error> {
        let source: Source = source.parse().map_err(settings::Error::source)?;
        let deadline = Instant::now() + settings.timeout;
        let own =
            |name| self.environment.get(name).filter(|value| !value.is_empty()).map(str::to_owned);
        let by_hand = own("AWS_ACCESS_KEY_ID").zip(own("AWS_SECRET_ACCESS_KEY"));
        let by_hand = by_hand.map(|(id, secret)| {
            Credentials::new(id, secret, own("AWS_SESSION_TOKEN"), None, "environment")
        });
        let http = Http::new(&net::Options::from_vars(self.environment.0.iter().cloned())?)?;
        let (credentials, region) = match by_hand {
            None if source.needs_credentials() => {
                let claim = identity::claim(self.reach(settings, deadline)?.witness()).await?;
                (Some(claim.credentials), claim.region)
            }
            by_hand => (by_hand, None),
        };
        let access = source::Access {
            http: &http,
            aws: &settings.aws,
            credentials: credentials.as_ref(),
            region,
            deadline,
            held: None,
        };
        Ok(source::fetch(&source, &access).await?.bytes)
    }

    fn guard(&self, command: &guard_cli::Command) -> u8 {
        let form = match self.output {
            Output::Json => Form::Json,
            _ if self.cli.global.quiet => Form::Quiet,
            _ => Form::Text,
        };
        let said = guard_cli::run(command, &guard::Host::at(&self.root), form);
        if let Some(failure) = &said.failure {
            self.complain(failure);
        }
        match printed(|out| out.write_all(said.stdout.as_bytes())) {
            0 => said.failure.map_or(0, |failure| failure.word.code()),
            failed => failed,
        }
    }

    fn complain(&self, failure: &Failure) {
        match self.format {
            LogFormat::Text => eprint!("{}", failure.to_text()),
            LogFormat::Json => tracing::error!(
                word = failure.word.name(),
                remedy = failure.remedy,
                "{}",
                failure.why()
            ),
            LogFormat::Journald | LogFormat::Auto => {
                failure.to_text().lines().for_each(|line| tracing::error!("{line}"))
            }
        }
    }

    /// Prints the report, and gives its exit status.
    fn tell(&self, report: &Report) -> u8 {
        let in_words = report::in_words(&serde_json::to_value(report).expect("a report is JSON"));
        log::over(in_words.lines().next().unwrap_or_default());
        if let Some(failure) = &report.error {
            self.complain(failure);
        }
        let text = match self.output {
            Output::Json | Output::Sarif => report.json() + "\n",
            Output::Text if report.error.is_none() => in_words + "\n",
            Output::Text => String::new(),
        };
        match printed(|out| out.write_all(text.as_bytes())) {
            0 => report.exit_status,
            failed => failed,
        }
    }
}

/// How a command reaches AWS, and who tells it what this host is.
struct Reach {
    http: Http,
    imds: Imds,
    external: Option<External>,
}

impl Reach {
    fn witness(&self) -> Witness<'_> {
        self.external.as_ref().map_or(Witness::Ec2(&self.imds), Witness::External)
    }
}

impl Global {
    fn given(&self) -> Given {
        let word = |value: Option<String>| value.map(|value| (vec![value], Origin::Flag));
        let output = word(self.output.map(name)).map(|value| ("output", value));
        let format = word(self.log_format.map(name)).map(|value| ("log_format", value));
        output.into_iter().chain(format).collect()
    }
}

fn name<E: ValueEnum>(value: E) -> String {
    value.to_possible_value().expect("no value is hidden").get_name().to_owned()
}

fn word<E: ValueEnum>(given: &Given, name: &'static str, default: E) -> Result<E, settings::Error> {
    let Some((items, origin)) = given.get(name) else { return Ok(default) };
    E::from_str(items.first().map_or("", String::as_str), false).map_err(|why| {
        settings::Error::Value { origin: origin.to_string(), name: name.into(), why }
    })
}

fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| RuntimeFailed(error).into())
}

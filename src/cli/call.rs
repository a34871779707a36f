//! One call of the program: what was typed and what surrounds it, joined into settings.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use tokio::runtime::{Builder, Runtime};

use super::{Global, Output, limits};
use crate::error::{Error, RuntimeFailed};
use crate::files;
use crate::log::{self, LogFormat};
use crate::net::{self, aws::Aws};
use crate::paths;
use crate::settings::{self, Environment, Given, Settings};

/// What every command is handed.
pub(crate) struct Call<'a> {
    pub(crate) root: PathBuf,
    pub(crate) environment: &'a Environment,
    pub(crate) output: Output,
    pub(crate) format: LogFormat,
    pub(crate) quiet: bool,
    /// Flags, environment and settings file, or why they cannot be used. Tags come later: they are
    /// asked for over the network.
    pub(crate) given: Result<Given, settings::Error>,
    /// The one that was named, or the usual one.
    pub(crate) settings_file: PathBuf,
}

impl<'a> Call<'a> {
    /// Reads the settings and starts the log. Even an error in the settings is told in the format
    /// that they ask for, as far as they can be read.
    pub(crate) fn new(
        global: &Global,
        typed: Given,
        environment: &'a Environment,
        is_lint: bool,
    ) -> Self {
        let root = global.root.clone().or_else(|| environment.path("ECS_BOOTSTRAP_ROOT"));
        let root = root.unwrap_or_else(|| "/".into());
        let named = global.settings.clone().or_else(|| environment.path("ECS_BOOTSTRAP_SETTINGS"));
        let settings_file = named.clone().unwrap_or_else(|| paths::below(&root, paths::SETTINGS));
        let flags = typed.or(global.given());
        let given = environment
            .check()
            .and_then(|()| Given::environment(environment.iter()))
            .map(|variables| flags.clone().or(variables))
            .and_then(|strong| Ok(strong.or(file(&settings_file, named.is_some())?)));
        let formats = given.clone().unwrap_or_else(|_| formats(global, environment));
        let (output, format) =
            (output(&formats, is_lint), formats.one_of("log_format", LogFormat::Auto));
        let chosen = *format.as_ref().unwrap_or(&LogFormat::Auto);
        let (quiet, verbose) = (global.quiet, global.verbose > 0);
        Call {
            root,
            environment,
            format: log::start(chosen, quiet, verbose, environment.get("JOURNAL_STREAM")),
            quiet,
            given: given.and_then(|given| output.clone().and(format).map(|_| given)),
            output: output.unwrap_or(Output::Text),
            settings_file,
        }
    }

    /// The settings, checked.
    pub(crate) fn settings(&self) -> Result<Settings, Error> {
        let given = self.given.clone()?;
        let aws = Aws::from_vars(&net::vars(self.environment.variables()))?;
        Ok(Settings::new(self.root.clone(), given, aws)?)
    }
}

fn file(path: &Path, is_named: bool) -> Result<Given, settings::Error> {
    let text = match files::read(path, paths::MAX_DOCUMENT) {
        Ok(bytes) => String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned()),
        Err(error) if error.is_missing() && !is_named => return Ok(Given::default()),
        Err(error) => Err(error.to_string()),
    };
    let unreadable = |why| settings::Error::File { path: path.to_owned(), why };
    Given::file(path, &text.map_err(unreadable)?)
}

/// The formats alone, in the two strongest ways: for where not all settings can be read.
fn formats(global: &Global, environment: &Environment) -> Given {
    let formats = ["ECS_BOOTSTRAP_OUTPUT", "ECS_BOOTSTRAP_LOG_FORMAT"];
    let named = environment.iter().filter(|(name, _)| formats.contains(name));
    global.given().or(Given::environment(named).unwrap_or_default())
}

fn output(given: &Given, is_lint: bool) -> Result<Output, settings::Error> {
    match given.one_of("output", Output::Text)? {
        Output::Sarif if !is_lint => Err(settings::Error::only_lint()),
        output => Ok(output),
    }
}

impl Global {
    fn given(&self) -> Given {
        let output = self.output.map(name).into_iter().collect();
        let log_format = self.log_format.map(name).into_iter().collect();
        Given::flags([("output", output), ("log_format", log_format)])
    }
}

fn name<E: ValueEnum>(value: E) -> String {
    value.to_possible_value().expect("no value is hidden").get_name().to_owned()
}

/// What drives a command that needs the network. Where limits of the process are too small it is an
/// error here: the libraries below panic where they cannot open a socket of their own.
pub(crate) fn runtime() -> Result<Runtime, Error> {
    limits::raise().map_err(RuntimeFailed)?;
    let mut builder = Builder::new_current_thread();
    Ok(builder.enable_all().build().map_err(RuntimeFailed)?)
}

/// Drives one command. A name look-up that hangs in a thread of its own is left behind.
pub(crate) fn block_on<F: Future>(work: F) -> Result<F::Output, Error> {
    let runtime = runtime()?;
    let output = runtime.block_on(work);
    runtime.shutdown_background();
    Ok(output)
}

//! The linter as a command: `ecs-bootstrap lint`, and all of `ecs-config-lint`. Reads what is to be
//! checked, checks it, and prints the result.
//!
//! Only with the feature `command`; everything else of this crate is pure. Writes only the files
//! that it is told to fix. Sources that need a network are read by the caller.

mod print;
mod suggest;

use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use local_files::ReadError;
pub use suggest::suggest_flag;
use thiserror::Error;

use crate::MAX_BYTES;
use crate::effective::ConfigFile;
use crate::lint::{self, Context, File, Finding, Fixed, HOSTS, Host, Severity, rules};
use crate::text::printable;

/// What can be typed.
#[derive(clap::Args, Clone, Debug)]
pub struct LintArgs {
    /// Files, - for stdin, or sources as --config takes them [default: this host's
    /// /etc/ecs/ecs.config]
    #[arg(value_name = "FILE|SOURCE|-")]
    sources: Vec<String>,
    /// Look at the readers of this kind of host only, instead of all
    #[arg(long = "for", value_name = "HOST", value_parser = host())]
    host: Option<Host>,
    /// The file is the whole configuration: without ECS_CLUSTER it is an error
    #[arg(long)]
    whole: bool,
    /// Accept a whole configuration without ECS_CLUSTER
    #[arg(long)]
    allow_default_cluster: bool,
    /// The guard stops tasks in host network mode, as with `run --block-imds-host-tasks`
    #[arg(long)]
    block_imds_host_tasks: bool,
    /// Values are expanded, as with `run --expand`: of those with placeholders only these are checked
    #[arg(long)]
    expand: bool,
    /// Make findings of this rule errors; `warnings` for all warnings. May be repeated
    #[arg(long, value_name = "ID", value_parser = ids(Some(WARNINGS)), hide_possible_values = true)]
    deny: Vec<String>,
    /// Leave out findings of this rule. May be repeated
    #[arg(long, value_name = "ID", value_parser = ids(None), hide_possible_values = true)]
    allow: Vec<String>,
    /// Fix the files where that does not change what the author meant, and report what was fixed
    #[arg(long)]
    fix: bool,
    /// Explain a rule, with an example
    #[arg(long, value_name = "ID", value_parser = ids(None), hide_possible_values = true)]
    #[arg(conflicts_with = "sources")]
    explain: Option<String>,
    /// Show what each reader of the file would set
    #[arg(long)]
    readers: bool,
    /// With --readers, show secret values too
    #[arg(long, requires = "readers")]
    show_secrets: bool,
}

/// What `--deny` takes for all warnings.
const WARNINGS: &str = "warnings";

fn ids(more: Option<&'static str>) -> PossibleValuesParser {
    more.into_iter().chain(rules::all().map(|rule| rule.id)).into()
}

fn host() -> impl clap::builder::TypedValueParser<Value = Host> {
    PossibleValuesParser::new(HOSTS.map(|host| host.name)).try_map(|name| name.parse::<Host>())
}

/// The formats of what goes to stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Output {
    Text,
    Json,
    /// For pull requests; `lint` only
    Sarif,
}

/// A source that is not of this machine, as the caller has read it.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// As it was typed.
    pub name: String,
    /// Without what may be secret.
    pub shown: String,
    /// The content.
    pub bytes: Vec<u8>,
    /// All of it is secret: nothing of it is quoted.
    pub is_secret: bool,
}

/// The exit status where a finding is an error.
const HAS_ERRORS: u8 = 30;

/// Why nothing could be checked. Names files, never values.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("reading {name}")]
    Read { name: String, source: ReadError },
    #[error("{name} is not a file of this machine")]
    Remote { name: String },
    #[error("--readers shows one file at a time")]
    SeveralReaders,
    #[error("--fix writes to files, and {name} is not a file")]
    NotAFile { name: String },
    #[error("writing {name}")]
    Write { name: String, source: local_files::Error },
}

impl Error {
    /// What was typed is at fault, rather than a configuration.
    pub fn is_of_settings(&self) -> bool {
        !matches!(self, Error::Write { .. })
    }

    /// What would fix it: one imperative phrase.
    pub fn remedy(&self) -> String {
        match self {
            Error::Read { source: ReadError::NotPlain(_), .. } => {
                "name a file, or - and pass the configuration on stdin".into()
            }
            Error::Read { source: ReadError::TooLarge(_), .. } => {
                "name an ecs.config: lines of KEY=VALUE".into()
            }
            Error::Read { name, .. } => format!("see that {name} exists and may be read"),
            Error::Remote { .. } => {
                "download it first, or call `ecs-bootstrap lint`, which has a client".into()
            }
            Error::SeveralReaders => "call it once for each file".into(),
            Error::NotAFile { .. } => "save it to a file, fix that, and upload it again".into(),
            Error::Write { source, .. } => source.remedy(),
        }
    }
}

/// One source, checked.
struct Checked {
    name: String,
    bytes: Vec<u8>,
    findings: Vec<Finding>,
    fixed: Vec<Fixed>,
}

impl LintArgs {
    /// The sources that are not files of this machine, which the caller has to read.
    pub fn remote(&self) -> impl Iterator<Item = &str> {
        let names = self.sources.iter().map(String::as_str);
        names.filter(|name| matches!(Input::new(name), Input::Remote))
    }

    /// Checks what was named below the `root` of the host, with what the caller has `fetched` of
    /// [`LintArgs::remote`], and prints the result on stdout. Gives the exit status.
    pub fn run(&self, root: &Path, output: Output, fetched: &[Fetched]) -> Result<u8, Error> {
        if let Some(rule) = self.explain.as_deref().and_then(rules::find) {
            return Ok(print(&lint::explain(rule)));
        }
        let installed = below(root, ConfigFile::Etc).to_string_lossy().into_owned();
        let sources = match &self.sources[..] {
            [] => std::slice::from_ref(&installed),
            named => named,
        };
        if self.readers && sources.len() > 1 {
            return Err(Error::SeveralReaders);
        }
        let check = |name: &String| self.check(name, (*name == installed).then_some(root), fetched);
        let checked = sources.iter().map(check).collect::<Result<Vec<Checked>, Error>>()?;
        let findings: Vec<Finding> = checked.iter().flat_map(|one| one.findings.clone()).collect();
        let has_errors = findings.iter().any(|finding| finding.severity == Severity::Error);
        match print(&print::result(self, output, &checked, &findings)) {
            0 if has_errors => Ok(HAS_ERRORS),
            status => Ok(status),
        }
    }

    /// Checks one source; if it is the installed file of a `host`, then with its neighbours there.
    fn check(
        &self,
        name: &str,
        host: Option<&Path>,
        fetched: &[Fetched],
    ) -> Result<Checked, Error> {
        let fetched = fetched.iter().find(|one| one.name == *name);
        let shown = printable(fetched.map_or_else(|| without_secrets(name), |one| &one.shown));
        let bytes = match fetched {
            Some(fetched) => fetched.bytes.clone(),
            None => Input::new(name).read(&shown)?,
        };
        let (bytes, fixed) = if self.fix { fix(name, &shown, bytes)? } else { (bytes, Vec::new()) };
        // What cannot be read counts as missing, as it does for the agent.
        let neighbour = |file| local_files::read(&below(host?, file), MAX_BYTES).ok();
        let (instance_file, json_file) = (neighbour(ConfigFile::Var), neighbour(ConfigFile::Json));
        let is_instance_file = name.ends_with(ConfigFile::Var.path());
        let context = Context {
            host: self.host,
            file: if is_instance_file { ConfigFile::Var } else { ConfigFile::Etc },
            whole: self.whole || host.is_some(),
            instance_file: instance_file.as_deref(),
            json_file: json_file.as_deref(),
            allow_default_cluster: self.allow_default_cluster,
            block_host_tasks: self.block_imds_host_tasks,
            expand: self.expand,
            ..Context::default()
        };
        let findings = lint::check(&File { source: &shown, bytes: &bytes }, &context);
        let is_hidden = fetched.is_some_and(|one| one.is_secret) && !self.show_secrets;
        let bytes = if is_hidden { Vec::new() } else { bytes };
        Ok(Checked { findings: self.weighed(findings), name: shown, bytes, fixed })
    }

    /// The findings as --deny and --allow weigh them.
    fn weighed(&self, findings: Vec<Finding>) -> Vec<Finding> {
        let is_in = |list: &[String], id: &str| list.iter().any(|one| one == id);
        let all_warnings = is_in(&self.deny, WARNINGS);
        let weigh = |finding: Finding| {
            let is_denied = is_in(&self.deny, finding.id)
                || all_warnings && finding.severity == Severity::Warning;
            let severity = if is_denied { Severity::Error } else { finding.severity };
            Finding { severity, ..finding }
        };
        findings.into_iter().filter(|finding| !is_in(&self.allow, finding.id)).map(weigh).collect()
    }
}

/// Prints on stdout; 1 if that failed. A reader that has read enough and closes the pipe is not a
/// failure of ours.
pub fn print(text: &str) -> u8 {
    let mut stdout = io::stdout();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    u8::from(written.is_err_and(|error| error.kind() != ErrorKind::BrokenPipe))
}

/// The path of a file of the host, below the root.
fn below(root: &Path, file: ConfigFile) -> PathBuf {
    local_files::inside(root, file.path(), true)
}

/// An address without its query, which may be a signature, and without what is before its host.
fn without_secrets(name: &str) -> &str {
    let Some((_, rest)) = name.split_once("://") else { return name };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    rest.rsplit_once('@').map_or(rest, |(_, host)| host)
}

/// What a name on the command line means.
enum Input<'a> {
    Stdin,
    /// What the caller has opened, as `<(command)` of a shell: it can be a pipe.
    Open(&'a Path),
    Path(&'a Path),
    /// A URL or an ARN.
    Remote,
}

impl<'a> Input<'a> {
    fn new(name: &'a str) -> Self {
        match name {
            "-" | "/dev/stdin" => Input::Stdin,
            _ if name.starts_with("/dev/fd/") || name.starts_with("/proc/self/fd/") => {
                Input::Open(Path::new(name))
            }
            _ if name.contains("://") || name.starts_with("arn:") => Input::Remote,
            path => Input::Path(Path::new(path)),
        }
    }

    fn read(&self, shown: &str) -> Result<Vec<u8>, Error> {
        let name = || shown.to_owned();
        let read = match self {
            Input::Stdin => local_files::read_all(io::stdin().lock(), MAX_BYTES),
            Input::Open(path) => local_files::read_opened(path, MAX_BYTES),
            Input::Path(path) => local_files::read(path, MAX_BYTES),
            Input::Remote => return Err(Error::Remote { name: name() }),
        };
        read.map_err(|source| Error::Read { name: name(), source })
    }
}

fn fix(name: &str, shown: &str, bytes: Vec<u8>) -> Result<(Vec<u8>, Vec<Fixed>), Error> {
    let Input::Path(path) = Input::new(name) else {
        return Err(Error::NotAFile { name: shown.to_owned() });
    };
    let (new, fixed) = lint::fix(&bytes);
    if new != bytes {
        let mode = path.metadata().map_or(0o600, |found| found.mode() & 0o7777);
        local_files::replace(path, &new, mode)
            .map_err(|source| Error::Write { name: name.to_owned(), source })?;
    }
    Ok((new, fixed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_without_their_query() {
        assert_eq!(without_secrets("https://u:5ec4e7@b.example/key?sig=5ec4e7"), "b.example/key");
        assert_eq!(without_secrets("folder/ecs.config"), "folder/ecs.config");
    }
}

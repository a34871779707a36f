//! `ecs-bootstrap lint`: reads what is to be checked, checks it, and prints the findings.
//!
//! Writes only the files that it is told to fix.

mod fetch;
mod print;

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use ecs_config::effective::ConfigFile;
use ecs_config::lint::{self, Context, File, Finding, Fixed, HOSTS, Host, Severity, rules};
use thiserror::Error;

use super::call::{Call, block_on};
use super::output;
use crate::error::{Diagnostic, ExitStatus, Step};
use crate::files::{self, HostFiles, ReadError};
use crate::paths::{self, ECS_CONFIG, INSTANCE_CONFIG, MAX_CONFIG};
use crate::source::Source;

/// What can be typed.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct LintArgs {
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

/// What to print on stdout, and whether a finding was an error: exit status 30.
#[derive(Debug, Default)]
struct LintResult {
    text: String,
    has_errors: bool,
}

/// Why nothing could be checked. Names files, never values.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("reading {name}")]
    Read { name: String, source: ReadError },
    #[error("--readers shows one file at a time")]
    SeveralReaders,
    #[error("--fix writes to files, and {name} is not a file")]
    NotAFile { name: String },
    #[error("writing {name}")]
    Write { name: String, source: files::Error },
}

impl Diagnostic for Error {
    fn step(&self) -> Step {
        Step::Lint
    }

    /// What was typed is at fault, rather than a configuration.
    fn status(&self) -> ExitStatus {
        if matches!(self, Error::Write { .. }) { ExitStatus::Install } else { ExitStatus::Settings }
    }

    fn remedy(&self) -> String {
        match self {
            Error::Read { source: ReadError::NotPlain(_), .. } => {
                "name a file, or pass the configuration on stdin: `ecs-bootstrap lint -`".into()
            }
            Error::Read { source: ReadError::TooLarge(_), .. } => {
                "name an ecs.config: lines of KEY=VALUE".into()
            }
            Error::Read { name, .. } => format!("see that {name} exists and may be read"),
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

pub(super) fn run(call: &Call<'_>, args: &LintArgs) -> u8 {
    let checked = block_on(check_all(call, args)).and_then(|checked| checked);
    match checked {
        Ok(result) => match output::print(&result.text) {
            0 if result.has_errors => ExitStatus::Lint.code(),
            status => status,
        },
        Err(error) => call.print_error(&error),
    }
}

/// Checks what was named.
async fn check_all(call: &Call<'_>, args: &LintArgs) -> Result<LintResult, crate::error::Error> {
    let settings = call.settings()?;
    if let Some(rule) = args.explain.as_deref().and_then(rules::find) {
        return Ok(LintResult { text: lint::explain(rule), has_errors: false });
    }
    let installed = paths::below(&call.root, ECS_CONFIG).to_string_lossy().into_owned();
    let sources = match &args.sources[..] {
        [] => std::slice::from_ref(&installed),
        named => named,
    };
    if args.readers && sources.len() > 1 {
        return Err(Error::SeveralReaders.into());
    }
    let mut checked = Vec::new();
    for name in sources {
        // The installed file is checked with its neighbours.
        let host = (*name == installed).then(|| HostFiles::read(&call.root));
        let bytes = match (Input::new(name), host.as_ref().and_then(HostFiles::ecs_config)) {
            (Input::Remote, _) => fetch::fetch(call, &settings, name).await?,
            (_, Some(bytes)) => bytes.to_vec(),
            (input, None) => {
                input.read().map_err(|source| Error::Read { name: name.clone(), source })?
            }
        };
        checked.push(check(args, name, bytes, host.as_ref())?);
    }
    Ok(print::print(args, call, &checked))
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

    fn read(&self) -> Result<Vec<u8>, ReadError> {
        match self {
            Input::Stdin => files::read_all(io::stdin().lock(), MAX_CONFIG),
            Input::Open(path) => files::read_opened(path, MAX_CONFIG),
            Input::Path(path) => files::read(path, MAX_CONFIG),
            Input::Remote => Ok(Vec::new()),
        }
    }
}

fn check(
    args: &LintArgs,
    name: &str,
    bytes: Vec<u8>,
    host: Option<&HostFiles>,
) -> Result<Checked, Error> {
    let (bytes, fixed) = if args.fix { fix(name, bytes)? } else { (bytes, Vec::new()) };
    let is_instance_file = name.ends_with(INSTANCE_CONFIG);
    let context = Context {
        host: args.host,
        file: if is_instance_file { ConfigFile::Var } else { ConfigFile::Etc },
        whole: args.whole || host.is_some(),
        instance_file: host.and_then(HostFiles::instance_config),
        json_file: host.and_then(HostFiles::json_config),
        allow_default_cluster: args.allow_default_cluster,
        block_host_tasks: args.block_imds_host_tasks,
        ..Context::default()
    };
    let name = shown(name);
    let findings = lint::check(&File { source: &name, bytes: &bytes }, &context);
    Ok(Checked { findings: weighed(args, findings), name, bytes, fixed })
}

/// A URL without its password and query, which may be secret.
fn shown(name: &str) -> String {
    name.parse::<Source>().map_or_else(|_| name.to_owned(), |source| source.to_string())
}

fn fix(name: &str, bytes: Vec<u8>) -> Result<(Vec<u8>, Vec<Fixed>), Error> {
    let Input::Path(path) = Input::new(name) else {
        return Err(Error::NotAFile { name: shown(name) });
    };
    let (new, fixed) = lint::fix(&bytes);
    if new != bytes {
        let mode = path.metadata().map_or(0o600, |found| found.mode() & 0o7777);
        files::replace(path, &new, mode)
            .map_err(|source| Error::Write { name: name.to_owned(), source })?;
    }
    Ok((new, fixed))
}

/// The findings as --deny and --allow weigh them.
fn weighed(args: &LintArgs, findings: Vec<Finding>) -> Vec<Finding> {
    let is_in = |list: &[String], id: &str| list.iter().any(|one| one == id);
    let all_warnings = is_in(&args.deny, WARNINGS);
    let weigh = |finding: Finding| {
        let is_denied =
            is_in(&args.deny, finding.id) || all_warnings && finding.severity == Severity::Warning;
        let severity = if is_denied { Severity::Error } else { finding.severity };
        Finding { severity, ..finding }
    };
    findings.into_iter().filter(|finding| !is_in(&args.allow, finding.id)).map(weigh).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::tests::{PLANTED, examples};

    impl Error {
        /// For the test over all errors.
        pub(crate) fn examples() -> Vec<(ExitStatus, Error)> {
            let name = || "ecs.config".to_owned();
            let reads = [
                ReadError::Io(io::ErrorKind::NotFound.into()),
                ReadError::NotPlain("a folder"),
                ReadError::TooLarge(MAX_CONFIG),
            ];
            let url = format!("https://user:{PLANTED}@bucket.example/key?sig={PLANTED}");
            let source = files::Error::Privilege { what: "writing it", uid: 1000 };
            examples!(Error {
                Error::Read { .. } => Settings reads.map(|source| Error::Read { name: name(), source }),
                Error::SeveralReaders => Settings [Error::SeveralReaders],
                Error::NotAFile { .. } => Settings [fix(&url, Vec::new()).map(drop).unwrap_err()],
                Error::Write { .. } => Install [Error::Write { name: name(), source }],
            })
        }
    }

    #[test]
    fn presigned_urls_are_shown_without_their_query() {
        let url = "https://bucket.example/key";
        assert_eq!(shown(&format!("{url}?X-Amz-Signature=5ec4e7")), url);
        assert_eq!(shown("s3://bucket/key?versionId=1"), "s3://bucket/key?versionId=1");
    }
}

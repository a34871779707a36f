//! `ecs-bootstrap lint`: reads what is to be checked, checks it, and prints the findings.
//!
//! Takes what was typed and a way to fetch sources that are no files; gives what to print and
//! whether there were errors. Touches the files it is told to mend. Knows no network.

use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use ecs_config::lint::context::HOSTS;
use ecs_config::lint::fix::{self, Mended};
use ecs_config::lint::{
    self, Context, File, Finding, Host, Place, Severity, explain, render, rules, sarif,
};
use ecs_config::{readers, variables};
use serde_json::{Value, json};
use thiserror::Error;

use crate::error::{Diagnostic, ExitStatus, Step};
use crate::files;
use crate::paths;

/// What can be typed.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct Args {
    /// Files, - for stdin, or sources as --config takes them [default: this host's
    /// /etc/ecs/ecs.config]
    #[arg(value_name = "FILE|SOURCE|-")]
    pub(crate) sources: Vec<String>,
    /// Look at the readers of this kind of host only, instead of all
    #[arg(long = "for", value_name = "HOST", value_parser = PossibleValuesParser::new(HOSTS.map(|host| host.name)).try_map(|name| name.parse::<Host>()))]
    pub(crate) host: Option<Host>,
    /// The file is the whole configuration: without ECS_CLUSTER it is an error
    #[arg(long)]
    pub(crate) whole: bool,
    /// Accept a whole configuration without ECS_CLUSTER
    #[arg(long)]
    pub(crate) allow_default_cluster: bool,
    /// The host fences off tasks in host network mode, as `run --block-imds-host-tasks` does
    #[arg(long)]
    pub(crate) block_imds_host_tasks: bool,
    /// Make findings of this rule errors; `warnings` for all warnings. May be repeated
    #[arg(long, value_name = "ID")]
    pub(crate) deny: Vec<String>,
    /// Leave out findings of this rule. May be repeated
    #[arg(long, value_name = "ID")]
    pub(crate) allow: Vec<String>,
    /// Mend the files where that changes nothing the author meant, and say what was done
    #[arg(long)]
    pub(crate) fix: bool,
    /// Say what a rule means, with an example
    #[arg(long, value_name = "ID", conflicts_with = "sources")]
    pub(crate) explain: Option<String>,
    /// Show what each reader of the file would set
    #[arg(long)]
    pub(crate) readers: bool,
    /// With --readers, show secret values too
    #[arg(long, requires = "readers")]
    pub(crate) show_secrets: bool,
}

/// How findings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
    Sarif,
}

/// Where the command runs and how it prints.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings<'a> {
    pub(crate) root: &'a Path,
    pub(crate) format: Format,
    /// stdout is a terminal that shows colours.
    pub(crate) color: bool,
}

/// What to print on stdout, and whether a finding was an error: exit status 30.
#[derive(Debug, Default)]
pub(crate) struct Printed {
    pub(crate) text: String,
    pub(crate) errors: bool,
}

/// Why nothing could be checked. Names files and rules; never values.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("reading {name}")]
    Read { name: String, source: io::Error },
    #[error("there is no rule {id}")]
    UnknownRule { id: String, nearest: Option<&'static str> },
    #[error("--readers shows one file at a time")]
    SeveralReaders,
    #[error("--fix writes to files, and {name} is none")]
    NotAFile { name: String },
    #[error("writing {name}")]
    Write { name: String, source: files::Error },
}

impl Diagnostic for Error {
    fn step(&self) -> Step {
        Step::Lint
    }

    /// What was typed is at fault, rather than a file.
    fn status(&self) -> ExitStatus {
        if matches!(self, Error::Write { .. }) { ExitStatus::Install } else { ExitStatus::Settings }
    }

    fn remedy(&self) -> String {
        match self {
            Error::Read { name, .. } => format!("see that {name} is there and may be read"),
            Error::UnknownRule { nearest: Some(id), .. } => format!("did you mean {id}?"),
            Error::UnknownRule { .. } => "the manual page lists the rules".into(),
            Error::SeveralReaders => "call it once for each file".into(),
            Error::NotAFile { .. } => "save it to a file, mend that, and upload it again".into(),
            Error::Write { source, .. } => source.remedy(),
        }
    }
}

/// One source, checked.
struct Checked {
    name: String,
    bytes: Vec<u8>,
    findings: Vec<Finding>,
    mended: Vec<Mended>,
}

/// Checks what was named. `fetch` brings the bytes of a source that is neither a path nor stdin.
pub(crate) async fn run<E: From<Error>>(
    args: &Args,
    around: Surroundings<'_>,
    fetch: impl AsyncFn(&str) -> Result<Vec<u8>, E>,
) -> Result<Printed, E> {
    if let Some(id) = &args.explain {
        let text = explain::explain(rule(id)?);
        return Ok(Printed { text, errors: false });
    }
    for id in args.deny.iter().filter(|id| *id != "warnings").chain(&args.allow) {
        rule(id)?;
    }
    let sources = sources(args, around.root);
    if args.readers && sources.len() > 1 {
        return Err(Error::SeveralReaders.into());
    }
    let mut checked = Vec::new();
    for name in sources {
        let bytes = match local(&name) {
            Some(from) => read(&name, from)?,
            None => fetch(&name).await?,
        };
        checked.push(one(args, around.root, name, bytes)?);
    }
    Ok(print(args, around, &checked))
}

fn rule(id: &str) -> Result<&'static rules::Rule, Error> {
    rules::find(id)
        .ok_or_else(|| Error::UnknownRule { id: id.to_owned(), nearest: rules::nearest(id) })
}

fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

fn sources(args: &Args, root: &Path) -> Vec<String> {
    match args.sources.as_slice() {
        [] => vec![below(root, paths::ECS_CONFIG).to_string_lossy().into_owned()],
        named => named.to_vec(),
    }
}

/// Where the bytes lie, if not behind a URL or an ARN.
enum Local<'a> {
    Stdin,
    Path(&'a Path),
}

fn local(name: &str) -> Option<Local<'_>> {
    match name {
        "-" => Some(Local::Stdin),
        _ if name.contains("://") || name.starts_with("arn:") => None,
        path => Some(Local::Path(Path::new(path))),
    }
}

fn read(name: &str, from: Local) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = match from {
        Local::Stdin => io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes),
        Local::Path(path) => std::fs::read(path),
    };
    read.map_err(|source| Error::Read { name: name.to_owned(), source })
}

fn one(args: &Args, root: &Path, name: String, bytes: Vec<u8>) -> Result<Checked, Error> {
    let (bytes, mended) = match args.fix {
        true => mend(&name, bytes)?,
        false => (bytes, Vec::new()),
    };
    let installed = Path::new(&name) == below(root, paths::ECS_CONFIG);
    let beside = |path: &str| installed.then(|| std::fs::read(below(root, path)).ok()).flatten();
    let (instance_file, json_file) = (beside(paths::INSTANCE_CONFIG), beside(paths::JSON_CONFIG));
    let context = Context {
        host: args.host,
        place: if name.ends_with(paths::INSTANCE_CONFIG) { Place::Var } else { Place::Etc },
        whole: args.whole || installed,
        instance_file: instance_file.as_deref(),
        json_file: json_file.as_deref(),
        allow_default_cluster: args.allow_default_cluster,
        block_host_tasks: args.block_imds_host_tasks,
        ..Context::default()
    };
    // A presigned URL is a secret but for what comes before its query.
    let name = if name.starts_with("http") {
        name.split('?').next().unwrap_or("").to_owned()
    } else {
        name
    };
    let findings = lint::check(&File { source: &name, bytes: &bytes }, &context);
    Ok(Checked { findings: weighed(args, findings), name, bytes, mended })
}

fn mend(name: &str, bytes: Vec<u8>) -> Result<(Vec<u8>, Vec<Mended>), Error> {
    let Some(Local::Path(path)) = local(name) else {
        return Err(Error::NotAFile { name: name.to_owned() });
    };
    let (new, mended) = fix::mend(&bytes);
    if new != bytes {
        let mode = path.metadata().map_or(0o600, |found| found.mode() & 0o7777);
        files::replace(path, &new, mode)
            .map_err(|source| Error::Write { name: name.to_owned(), source })?;
    }
    Ok((new, mended))
}

/// The findings as --deny and --allow weigh them.
fn weighed(args: &Args, findings: Vec<Finding>) -> Vec<Finding> {
    let named = |list: &[String], id: &str| list.iter().any(|one| one == id);
    let all_warnings = named(&args.deny, "warnings");
    let weigh = |finding: Finding| match finding.severity {
        Severity::Warning if all_warnings => Finding { severity: Severity::Error, ..finding },
        _ if named(&args.deny, finding.id) => Finding { severity: Severity::Error, ..finding },
        _ => finding,
    };
    findings.into_iter().filter(|finding| !named(&args.allow, finding.id)).map(weigh).collect()
}

fn print(args: &Args, around: Surroundings, checked: &[Checked]) -> Printed {
    let findings: Vec<Finding> = checked.iter().flat_map(|one| one.findings.clone()).collect();
    let errors = findings.iter().any(|finding| finding.severity == Severity::Error);
    let text = match around.format {
        Format::Text => text(args, around, checked, &findings),
        Format::Json => format!("{:#}\n", document(args, checked, &findings)),
        Format::Sarif => format!("{:#}\n", sarif::document(&findings, env!("CARGO_PKG_VERSION"))),
    };
    Printed { text, errors }
}

fn text(args: &Args, around: Surroundings, checked: &[Checked], findings: &[Finding]) -> String {
    let readers = Context { host: args.host, ..Context::default() }.readers();
    let mut out = String::new();
    for one in checked {
        if args.readers {
            out.push_str(&render::readers(&one.bytes, readers, args.show_secrets));
            out.push('\n');
        }
        for mended in &one.mended {
            out.push_str(&format!("mended {}:{}: {}\n", one.name, mended.line, mended.id));
        }
        let file = File { source: &one.name, bytes: &one.bytes };
        out.push_str(&render::text(
            &file,
            &one.findings,
            render::Style { color: around.color, readers },
        ));
    }
    out.push_str(&render::summary(findings));
    out.push('\n');
    out
}

fn document(args: &Args, checked: &[Checked], findings: &[Finding]) -> Value {
    let mut document = json!({});
    if let (true, [one]) = (args.readers, checked) {
        let secret = |name: &str| !args.show_secrets && variables::is_secret(name);
        document["readers"] = readers::json(&one.bytes, secret);
    }
    document["findings"] = json!(findings);
    if args.fix {
        let mended = |one: &Checked| -> Vec<Value> {
            one.mended
                .iter()
                .map(|mended| json!({"source": one.name, "line": mended.line, "id": mended.id}))
                .collect()
        };
        document["mended"] = checked.iter().flat_map(mended).collect();
    }
    document
}

#[cfg(test)]
mod tests;

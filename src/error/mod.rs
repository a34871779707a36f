//! Every way in which a command fails: one variant a step, so that the line in `run` is bare `?`.
//!
//! A step's error states its own level and what would mend it; this one adds the word and joins the
//! chain.

pub mod exit_status;

pub use exit_status::ExitStatus;
use serde::Serialize;
use thiserror::Error;

use crate::{
    cli::lint as lint_command, files, guard, identity, install::compose, install::lock, net,
    net::aws, role, settings, source,
};

/// Why a command failed.
#[derive(Debug, Error)]
pub enum Error {
    #[error("settings: {0}")]
    Settings(#[from] settings::Error),
    #[error("settings: {0}")]
    Aws(#[from] aws::Error),
    #[error("http: {0}")]
    Http(#[from] net::Error),
    #[error("lock: {0}")]
    Lock(#[from] lock::Error),
    #[error("guard: {0}")]
    Guard(#[from] guard::Error),
    #[error("identity: {0}")]
    Identity(#[from] identity::Error),
    #[error("fetch: {0}")]
    Source(Box<source::Error>),
    #[error("lint: {0}")]
    Compose(#[from] compose::Error),
    #[error("lint: {0}")]
    Lint(#[from] lint_command::Error),
    #[error("install: {0}")]
    Install(#[from] files::Error),
    #[error("bundle: {0}")]
    Bundle(#[source] files::Error),
    #[error("role: {0}")]
    Role(#[from] role::Error),
    #[cfg(feature = "role-check")]
    #[error("role: {0}")]
    RoleCheck(#[from] role::iam::Error),
    #[error("starting the runtime")]
    Runtime(#[source] std::io::Error),
    #[error("status: {what}")]
    Status { what: String, remedy: &'static str },
}

impl From<source::Error> for Error {
    fn from(error: source::Error) -> Self {
        Error::Source(Box::new(error))
    }
}

impl Error {
    /// What the program was doing.
    fn doing(&self) -> &'static str {
        match self {
            Error::Settings(_) | Error::Aws(_) | Error::Http(_) => "reading the settings",
            Error::Lock(_) => "waiting for its turn",
            Error::Guard(_) => "fencing containers off from instance metadata",
            Error::Identity(_) => "proving who this host is",
            Error::Source(_) => "fetching the configuration",
            Error::Compose(_) | Error::Lint(_) => "checking the configuration",
            Error::Install(_) => "installing the configuration",
            Error::Bundle(_) => "writing the support bundle",
            Error::Role(_) => "writing the role down",
            #[cfg(feature = "role-check")]
            Error::RoleCheck(_) => "checking the role",
            Error::Runtime(_) => "starting",
            Error::Status { .. } => "looking at the installed configuration",
        }
    }

    /// Which word, and so which exit status, it is.
    pub fn word(&self) -> ExitStatus {
        match self {
            Error::Settings(_) => ExitStatus::Settings,
            Error::Aws(error) => error.word(),
            Error::Http(error) => error.word(),
            Error::Lock(lock::Error::Held { .. }) => ExitStatus::Locked,
            Error::Guard(error) => error.word(),
            Error::Identity(error) => error.word(),
            Error::Source(error) => error.word(),
            Error::Compose(error) => error.word(),
            Error::Lint(error) if error.is_usage() => ExitStatus::Settings,
            Error::Lint(_) => ExitStatus::Install,
            Error::Lock(lock::Error::Io { .. }) | Error::Install(_) | Error::Bundle(_) => {
                ExitStatus::Install
            }
            Error::Status { .. } => ExitStatus::Findings,
            Error::Role(error) => error.word(),
            #[cfg(feature = "role-check")]
            Error::RoleCheck(error) => error.word(),
            Error::Runtime(_) => ExitStatus::Internal,
        }
    }

    /// The step of a run that it ended.
    pub fn step(&self) -> Option<&'static str> {
        match self {
            Error::Guard(_) => Some("guard"),
            Error::Identity(_) => Some("identity"),
            Error::Source(_) => Some("fetch"),
            Error::Compose(_) => Some("lint"),
            Error::Install(_) => Some("install"),
            _ => None,
        }
    }

    /// What would mend it.
    pub fn remedy(&self) -> String {
        match self {
            Error::Settings(error) => error.remedy(),
            Error::Aws(error) => error.remedy(),
            Error::Http(error) => error.remedy(),
            Error::Lock(lock::Error::Held { .. }) => {
                "see what the other run waits for (`ecs-bootstrap status`, `journalctl -u ecs-bootstrap`), then run again".into()
            }
            Error::Lock(lock::Error::Io { .. }) => "run it as root, or with `--root DIR` on a folder of your own".into(),
            Error::Guard(error) => error.remedy(),
            Error::Identity(error) => error.remedy(),
            Error::Source(error) => error.remedy(),
            Error::Compose(error) => error.remedy(),
            Error::Lint(error) => error.remedy(),
            Error::Install(error) | Error::Bundle(error) => error.remedy(),
            Error::Status { remedy, .. } => (*remedy).into(),
            Error::Role(error) => error.remedy(),
            #[cfg(feature = "role-check")]
            Error::RoleCheck(error) => error.remedy(),
            Error::Runtime(_) => "look whether the host is out of memory or file descriptors; else please report this as a bug".into(),
        }
    }

    /// As the report has it.
    pub fn failure(&self) -> Failure {
        Failure {
            word: self.word(),
            message: self.to_string(),
            remedy: self.remedy(),
            causes: causes(self),
            doing: self.doing(),
        }
    }
}

/// Why it failed, and what would mend it.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    pub word: ExitStatus,
    pub message: String,
    pub remedy: String,
    pub causes: Vec<String>,
    /// What the program was doing, for the first of the three lines that people read.
    #[serde(skip)]
    pub doing: &'static str,
}

impl Failure {
    /// What, why, remedy: one line each.
    pub fn three_lines(&self) -> String {
        let (word, status) = (self.word, self.word.status());
        format!(
            "what:   failed while {} ({word}, exit status {status})\nwhy:    {}\nremedy: {}\n",
            self.doing,
            self.why(),
            self.remedy
        )
    }

    /// The message and what stands behind it, on one line.
    pub fn why(&self) -> String {
        let why: Vec<&str> =
            std::iter::once(&self.message).chain(&self.causes).map(String::as_str).collect();
        why.join(": ")
    }
}

/// What stands behind an error, from the nearest cause to the farthest. A cause that its effect
/// already quotes is left out.
fn causes(error: &Error) -> Vec<String> {
    // What the HTTP client left was put into words where it happened, without URLs: they may be
    // secrets.
    match error {
        Error::Source(error) => return error.causes.clone(),
        Error::Identity(identity::Error::Sts { causes, .. }) => return causes.clone(),
        _ => {}
    }
    let mut said = error.to_string();
    let mut causes = Vec::new();
    for cause in net::chain(error).skip(1).map(ToString::to_string) {
        if !said.contains(&cause) {
            causes.push(cause.clone());
            said = cause;
        }
    }
    causes
}

//! What every error says of itself, and how a failure is told.
//!
//! Each step owns its errors. [`Diagnostic`] makes each of them name its exit status and its
//! remedy, and the step that it ends, so that a line of steps is bare `?`.

mod exit_status;

use std::fmt;

use ecs_config::text::one_line;
pub(crate) use exit_status::ExitStatus;
use serde::Serialize;

use crate::paths::MAX_TEXT;

/// What every error type of a step implements. Display says what was being done to which thing;
/// `source` holds the cause. Neither holds a secret.
pub(crate) trait Diagnostic: std::error::Error + Send + Sync + 'static {
    /// The step that it ends.
    fn step(&self) -> Step;

    fn status(&self) -> ExitStatus;

    /// What would fix it: one imperative phrase, lower case, no full stop.
    fn remedy(&self) -> String;

    /// What lies under it, outermost first. A cause that its effect already quotes is left out.
    fn causes(&self) -> Vec<String> {
        let mut effect = self.to_string();
        let mut causes = Vec::new();
        for cause in self.source().into_iter().flat_map(chain).map(ToString::to_string) {
            if !effect.contains(&cause) {
                causes.push(cause.clone());
                effect = cause;
            }
        }
        causes
    }
}

/// An error and what lies under it. An `io::Error` hides what it carries from `source()`, so its
/// inside is looked at, too.
pub(crate) fn chain<'e>(
    error: &'e (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'e (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        }
    })
}

/// What the program was doing when it failed. The first six are the steps of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Guard,
    Identity,
    Fetch,
    Lint,
    Install,
    Agent,
    Settings,
    Start,
    Lock,
    Bundle,
    Role,
    Status,
    Signal,
    Abandon,
}

impl Step {
    /// Its name, and what the program does in it.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Step::Guard => ("guard", "keeping containers from instance metadata"),
            Step::Identity => ("identity", "proving who this host is"),
            Step::Fetch => ("fetch", "fetching the configuration"),
            Step::Lint => ("lint", "checking the configuration"),
            Step::Install => ("install", "installing the configuration"),
            Step::Agent => ("agent", "restarting the ECS agent"),
            Step::Settings => ("settings", "reading the settings"),
            Step::Start => ("start", "starting"),
            Step::Lock => ("lock", "waiting for another run to end"),
            Step::Bundle => ("bundle", "writing the support bundle"),
            Step::Role => ("role", "reading or writing the role"),
            Step::Status => ("status", "reading the state of the installed configuration"),
            Step::Signal => ("signal", "running"),
            Step::Abandon => ("abandon", "telling Auto Scaling that this host failed"),
        }
    }

    /// As reports and messages spell it.
    pub(crate) fn name(self) -> &'static str {
        self.words().0
    }

    /// What the program does in it.
    pub(crate) fn doing(self) -> &'static str {
        self.words().1
    }

    /// Whether reports list it.
    pub(crate) fn is_reported(self) -> bool {
        (self as usize) <= Step::Agent as usize
    }
}

/// Why a command failed: an error of one of its steps.
#[derive(Debug)]
pub(crate) struct Error {
    pub(crate) step: Step,
    cause: Box<dyn Diagnostic>,
}

impl<E: Diagnostic> From<E> for Error {
    fn from(cause: E) -> Self {
        Error { step: cause.step(), cause: Box::new(cause) }
    }
}

impl Error {
    /// The same error, where it ended another step than its kind usually does.
    pub(crate) fn in_step(self, step: Step) -> Self {
        Error { step, ..self }
    }

    /// The step's own error, if it is of this type.
    pub(crate) fn cause<E: Diagnostic>(&self) -> Option<&E> {
        let cause: &(dyn std::error::Error + 'static) = &*self.cause;
        cause.downcast_ref()
    }

    pub(crate) fn status(&self) -> ExitStatus {
        self.cause.status()
    }

    /// As the report has it. Whatever is quoted in it, each text is one line and has an end.
    pub(crate) fn failure(&self) -> Failure {
        let shown = |text: String| one_line(&text, MAX_TEXT);
        Failure {
            word: self.status(),
            message: shown(self.to_string()),
            remedy: shown(self.cause.remedy()),
            causes: self.cause.causes().into_iter().map(shown).collect(),
            step: self.step,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step.name(), self.cause)
    }
}

/// The runtime that drives the network could not be started.
#[derive(Debug, thiserror::Error)]
#[error("starting the runtime")]
pub(crate) struct RuntimeFailed(#[source] pub(crate) std::io::Error);

impl Diagnostic for RuntimeFailed {
    fn step(&self) -> Step {
        Step::Start
    }

    fn status(&self) -> ExitStatus {
        ExitStatus::Internal
    }

    fn remedy(&self) -> String {
        "check whether the host is out of memory or file descriptors; else please report this as a bug".into()
    }
}

/// Why it failed, and what would fix it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Failure {
    pub(crate) word: ExitStatus,
    pub(crate) message: String,
    pub(crate) remedy: String,
    pub(crate) causes: Vec<String>,
    /// What the program was doing.
    #[serde(skip)]
    pub(crate) step: Step,
}

impl Failure {
    /// What, why, remedy: one line each.
    pub(crate) fn to_text(&self) -> String {
        let (word, status) = (self.word, self.word.code());
        format!(
            "what:   failed while {} ({word}, exit status {status})\nwhy:    {}\nremedy: {}\n",
            self.step.doing(),
            self.why(),
            self.remedy
        )
    }

    /// The message and its causes, on one line.
    pub(crate) fn why(&self) -> String {
        let why = std::iter::once(&self.message).chain(&self.causes);
        why.map(String::as_str).collect::<Vec<_>>().join(": ")
    }
}

#[cfg(test)]
pub(crate) mod tests;

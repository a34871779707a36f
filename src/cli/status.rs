//! `ecs-bootstrap status`: the last run's report, and whether the installed file is still the one
//! that a run of this boot verified.

use std::path::Path;

use serde_json::{Value, json};

use super::Output;
use super::call::Call;
use super::output::print;
use crate::error::{Diagnostic, Error, ExitStatus, Step};
use crate::files::{self, HostFiles, sha256};
use crate::install::foreign;
use crate::install::state::{State, boot_id};
use crate::paths::{self, ECS_CONFIG, below};
use crate::report::refusal::{self, Refusal};
use crate::report::to_text;

#[derive(clap::Args, Debug)]
pub(crate) struct StatusArgs {
    /// Exit 0 only if the installed file is the one that a run of this boot verified
    #[arg(long)]
    pub(super) check: bool,
}

/// Nothing vouches for the installed file.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
struct NotVerified {
    what: String,
    remedy: &'static str,
}

impl Diagnostic for NotVerified {
    fn step(&self) -> Step {
        Step::Status
    }

    fn status(&self) -> ExitStatus {
        ExitStatus::Findings
    }

    fn remedy(&self) -> String {
        self.remedy.into()
    }
}

pub(crate) fn run(call: &Call<'_>, args: &StatusArgs) -> u8 {
    let text = match args.check {
        true => check(&call.root),
        false => last(&call.root, call.output),
    };
    match text {
        Ok(text) => print(&format!("{text}\n")),
        Err(error) => call.print_result("status", Err(error)),
    }
}

/// The last report, and whether a later call was refused.
fn last(root: &Path, output: Output) -> Result<String, Error> {
    let text = files::read(&below(root, paths::REPORT), paths::MAX_CONFIG).unwrap_or_default();
    let refused = refusal::read(root);
    let Ok(mut report) = serde_json::from_slice::<Value>(&text) else {
        let refused = refused.map(|later| format!("; {}", refused_text(&later)));
        return Err(NotVerified {
            what: format!(
                "no run has left a report since this host started{}",
                refused.unwrap_or_default()
            ),
            remedy: "run `ecs-bootstrap run`; `systemctl status ecs-bootstrap` shows whether the unit ran",
        }
        .into());
    };
    if output == Output::Text {
        let later = refused.map(|later| format!("\nlater:  {}", refused_text(&later)));
        return Ok(to_text(report) + &later.unwrap_or_default());
    }
    if let Some(later) = refused {
        report["refused"] = json!(later);
    }
    Ok(serde_json::to_string_pretty(&report).expect("it was JSON before"))
}

fn refused_text(later: &Refusal) -> String {
    format!("a run was refused at {}: {}", later.at, later.message)
}

/// Fails unless the installed file is, byte for byte, what a run of this boot verified (or kept, as
/// `--stale keep` allows).
fn check(root: &Path) -> Result<String, Error> {
    let file = files::current(&below(root, ECS_CONFIG), paths::MAX_CONFIG)?;
    let failed = |what: String| {
        Error::from(NotVerified {
            what,
            remedy: "run `ecs-bootstrap run` (or `systemctl restart ecs-bootstrap`): it restores the verified file, or reports why it cannot",
        })
    };
    let bytes = file.ok_or_else(|| failed(format!("{ECS_CONFIG} is not there")))?;
    let state = State::read(root);
    if state.is_empty() {
        return Err(failed(format!("no run has installed {ECS_CONFIG}")));
    }
    let generation = state.generation(&sha256(&bytes));
    let generation =
        generation.ok_or_else(|| failed(format!("{ECS_CONFIG} was changed after the last run")))?;
    if generation.boot_id != boot_id() {
        return Err(failed(format!("no run of this boot has verified {ECS_CONFIG}")));
    }
    if !generation.tolerate_foreign {
        let files = HostFiles::read(root);
        let id = generation.instance_id.as_deref().unwrap_or_default();
        let is_ours = |name: &str| generation.keys.contains(name);
        let judged = foreign::check(&bytes, &files, id, is_ours);
        judged.map_err(|error| failed(error.to_string()))?;
    }
    let age = generation.age().map(|age| humantime::format_duration(age).to_string());
    let age = age.as_deref().unwrap_or("an unknown time");
    Ok(format!("verified: sha256 {}, {age} ago", generation.sha256))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::error::tests::Example;

    /// On a host where nothing has run yet, for the test over all errors.
    pub(crate) fn examples() -> Vec<Example> {
        let root = tempfile::tempdir().unwrap();
        let errors = [last(root.path(), Output::Text), check(root.path())].map(Result::unwrap_err);
        errors.map(|error| Example::new::<NotVerified>(ExitStatus::Findings, error)).into()
    }
}

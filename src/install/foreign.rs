//! What other programs wrote into the agent's files: a run vouches for the whole configuration, so
//! it judges these parts by the same rules as its own layers.

use std::collections::HashMap;

use ecs_config::effective::ConfigFile;
use ecs_config::lint::{self, Context, File, Finding, Severity};
use ecs_config::merge::{self, Merged};
use ecs_config::readers::{Reader, Reading};
use thiserror::Error;

use super::compose::in_words;
use crate::error::{Diagnostic, ExitStatus, Step};
use crate::files::HostFiles;
use crate::paths::{ECS_CONFIG, INSTANCE_CONFIG, JSON_CONFIG};

/// Something that another program wrote keeps the agent from its configuration.
#[derive(Debug, Error)]
#[error("another program wrote this: {first}")]
pub(crate) struct Error {
    first: String,
    fix: Option<String>,
}

impl Diagnostic for Error {
    fn step(&self) -> Step {
        Step::Lint
    }

    fn status(&self) -> ExitStatus {
        ExitStatus::Lint
    }

    fn remedy(&self) -> String {
        let fix = self.fix.as_ref().map(|fix| format!("{fix}; ")).unwrap_or_default();
        format!("{fix}correct that file, or accept it with `tolerate_foreign = true`")
    }
}

/// Whether a finding is about what no layer set.
pub(super) fn is(finding: &Finding) -> bool {
    [ECS_CONFIG, INSTANCE_CONFIG, JSON_CONFIG].contains(&&*finding.source)
}

/// Of a file that is about to be installed: in the keys that stay from the present one, and in what
/// ecs-init reads beside it.
pub(super) fn findings(
    merged: &Merged,
    present: Option<&[u8]>,
    files: &HostFiles,
    instance_id: &str,
) -> Vec<Finding> {
    let stays = |name: &str| merged.keys.get(name).is_some_and(|origin| origin.from == ECS_CONFIG);
    let mut findings = in_ecs_config(present.unwrap_or_default(), stays);
    findings.extend(in_instance_config(files, instance_id, |name| merged.keys.contains_key(name)));
    findings
}

/// In `/etc/ecs/ecs.config`: the lines whose names are another program's.
fn in_ecs_config(bytes: &[u8], is_foreign: impl Fn(&str) -> bool) -> Vec<Finding> {
    // A run normalises what it writes.
    let (bytes, _) = merge::normalise(bytes);
    let lines = last_lines(&bytes, is_foreign);
    let findings =
        lint::check_layer(&File { source: ECS_CONFIG, bytes: &bytes }, &Context::default());
    findings.into_iter().filter(|found| found.line.is_some_and(|at| lines.contains(&at))).collect()
}

/// In `/var/lib/ecs/ecs.config`: the whole file, but for names that `/etc/ecs/ecs.config` overrides.
fn in_instance_config(
    files: &HostFiles,
    instance_id: &str,
    is_overridden: impl Fn(&str) -> bool,
) -> Vec<Finding> {
    let Some(bytes) = files.instance_config() else { return Vec::new() };
    let lines = last_lines(bytes, is_overridden);
    // Systems Manager's ids of hosts outside EC2, whose packages' unit loads this file.
    let external = instance_id.starts_with("mi-");
    let host = if external { "external".parse().ok() } else { None };
    let context = Context { file: ConfigFile::Var, host, external, ..Context::default() };
    let findings = lint::check_layer(&File { source: INSTANCE_CONFIG, bytes }, &context);
    findings.into_iter().filter(|found| found.line.is_none_or(|at| !lines.contains(&at))).collect()
}

/// The lines that set such names; of several for one name the last, which counts.
fn last_lines(bytes: &[u8], is_meant: impl Fn(&str) -> bool) -> Vec<usize> {
    let Reading { variables, .. } = Reader::EcsInit.read(bytes);
    let named = variables.iter().filter_map(|set| Some((str::from_utf8(set.name).ok()?, set.line)));
    let last: HashMap<&str, usize> = named.collect();
    last.into_iter().filter(|(name, _)| is_meant(name)).map(|(_, line)| line).collect()
}

/// The first error; where they are tolerated, all of them become warnings.
pub(super) fn judge(findings: &mut [Finding], tolerate: bool) -> Result<(), Error> {
    let errors = findings.iter_mut().filter(|finding| finding.severity == Severity::Error);
    for error in errors {
        if !tolerate {
            return Err(Error { first: in_words(error), fix: error.fix.clone() });
        }
        error.severity = Severity::Warning;
    }
    Ok(())
}

/// Judges what is on the host already: an `ecs.config` in which the names that `is_ours` picks were
/// judged before.
pub(crate) fn check(
    bytes: &[u8],
    files: &HostFiles,
    instance_id: &str,
    is_ours: impl Fn(&str) -> bool,
) -> Result<(), Error> {
    let mut findings = in_ecs_config(bytes, |name| !is_ours(name));
    let set = Reader::EcsInit.read(bytes);
    let names: Vec<&[u8]> = set.variables.iter().map(|set| set.name).collect();
    findings
        .extend(in_instance_config(files, instance_id, |name| names.contains(&name.as_bytes())));
    let json = Context {
        json_file: files.json_config(),
        allow_default_cluster: true,
        ..Context::default()
    };
    let beside = lint::check_merged(&Merged::default(), &json);
    findings.extend(beside.into_iter().filter(is));
    judge(&mut findings, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Error {
        /// One with a fix, one without, for the test over all errors.
        pub(crate) fn examples() -> Vec<(ExitStatus, Error)> {
            let of = |fix| Error { first: format!("{ECS_CONFIG}, line 1: is wrong"), fix };
            [None, Some("write it so".into())].map(|fix| (ExitStatus::Lint, of(fix))).into()
        }
    }
}

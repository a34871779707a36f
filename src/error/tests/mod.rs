//! Every error that can end a command, as the user reads it: what, why, remedy.
//!
//! Completeness is enforced in two ways. [`examples!`] matches each enum exhaustively, so that a
//! variant which is added later does not compile until it has a row with a value and an exit
//! status; and [`every_error_type_has_examples`] searches the source for implementations of
//! [`Diagnostic`], so that a type which is added later fails until its values are in [`all`].

mod hosts;
pub(crate) mod network;
mod settings;

use std::any::type_name;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Diagnostic, Error, ExitStatus};
use crate::{cli, guard, install, source};

/// What stands for a secret in the values, wherever a field could hold one.
pub(crate) const PLANTED: &str = "PLANTED";

/// At least one value of every variant, with the exit status that the manual documents for it:
/// `examples!(Error { Error::NoRole => NoRole [Error::NoRole], … })` is a
/// `Vec<(ExitStatus, Error)>`. The patterns are those of an exhaustive match.
macro_rules! examples {
    ($type:ty { $($(#[$attribute:meta])* $pattern:pat => $status:ident $values:expr,)+ }) => {{
        let row = |error: &$type| match error {
            $($(#[$attribute])* $pattern => stringify!($pattern),)+
        };
        let mut examples: Vec<($crate::error::ExitStatus, $type)> = Vec::new();
        $($(#[$attribute])* {
            let values: Vec<$type> = $values.into();
            assert!(!values.is_empty(), "no value of {}", stringify!($pattern));
            assert!(values.iter().all(|value| row(value) == stringify!($pattern)), "{values:?}");
            let status = $crate::error::ExitStatus::$status;
            examples.extend(values.into_iter().map(|value| (status, value)));
        })+
        examples
    }};
}
pub(crate) use examples;

/// An error as a command returns it, and what is expected of it.
pub(crate) struct Example {
    /// The path of the step's own type.
    type_name: &'static str,
    status: ExitStatus,
    error: Error,
}

impl Example {
    /// `E` is the step's own type.
    pub(crate) fn new<E: Diagnostic>(status: ExitStatus, error: impl Into<Error>) -> Self {
        let error = error.into();
        assert!(error.cause::<E>().is_some(), "{error:?}");
        Example { type_name: type_name::<E>(), status, error }
    }
}

fn boxed<E: Diagnostic>(values: impl IntoIterator<Item = (ExitStatus, E)>) -> Vec<Example> {
    values.into_iter().map(|(status, value)| Example::new::<E>(status, value)).collect()
}

/// The values of every type that implements [`Diagnostic`].
fn all() -> Vec<Example> {
    let all = [
        boxed(hosts::identity()),
        boxed(hosts::imds()),
        boxed(network::client()),
        boxed(network::runtime()),
        boxed(settings::settings()),
        boxed(settings::role()),
        boxed(hosts::lock()),
        boxed(hosts::files()),
        boxed(hosts::compose()),
        boxed(cli::lint_examples()),
        boxed(guard::Error::examples()),
        boxed(source::Error::examples()),
        boxed(source::Invalid::examples()),
        boxed(install::CommitError::examples()),
        boxed(install::foreign::Error::examples()),
        boxed(install::health::Error::examples()),
        boxed(cli::Interrupted::examples()),
        boxed(cli::AbandonError::examples()),
        cli::status_examples(),
    ];
    let all = all.into_iter().flatten();
    #[cfg(feature = "role-check")]
    let all = all.chain(boxed(crate::role::check::iam::Error::examples()));
    all.collect()
}

/// Why it breaks the style of remedies: one phrase on one line that begins in lower case, and no
/// full stop.
fn style_fault(remedy: &str) -> Option<&'static str> {
    let word = remedy.split(' ').next().unwrap_or_default();
    let is_name = word.contains('_') || word.len() > 1 && word == word.to_uppercase();
    let faults = [
        (remedy.trim().is_empty(), "it is empty"),
        (remedy != remedy.trim() || remedy.contains("  "), "it has needless spaces"),
        (remedy.contains(char::is_control), "it has a control character"),
        (remedy.starts_with(char::is_uppercase) && !is_name, "it begins with a capital letter"),
        (remedy.ends_with(['.', '!', ';', ':', ',']), "it ends in punctuation"),
    ];
    faults.into_iter().find(|(is_fault, _)| *is_fault).map(|(_, fault)| fault)
}

/// What is wrong with the text that a failed command prints.
fn faults(Example { status, error, .. }: &Example) -> Vec<&'static str> {
    let text = error.failure().to_text();
    let lines: Vec<&str> = text.lines().collect();
    let [what, why, remedy] = lines[..] else { return vec!["it does not have three lines"] };
    let ended = format!(" ({}, exit status {})", status.name(), status.code());
    let why = why.strip_prefix(&format!("why:    {}: ", error.step.name()));
    let remedy = remedy.strip_prefix("remedy: ").unwrap_or_default();
    let checks = [
        (what.starts_with("what:   failed while ") && what.ends_with(&ended), "its exit status"),
        (error.status() == *status, "the status of the type"),
        (why.is_some_and(|why| !why.trim().is_empty()), "it does not say why"),
        (!text.replace('\n', "").contains(char::is_control), "it has a control character"),
        (!text.contains(PLANTED), "it shows a secret"),
    ];
    let faults = checks.into_iter().filter(|(is_good, _)| !is_good).map(|(_, fault)| fault);
    faults.chain(style_fault(remedy)).collect()
}

#[test]
fn every_error_prints_what_why_and_remedy() {
    let of = |one: &Example| {
        let faults = faults(one).join(", ");
        (!faults.is_empty())
            .then(|| format!("{}: {faults}:\n{}", one.type_name, one.error.failure().to_text()))
    };
    let wrong: Vec<String> = all().iter().filter_map(of).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn style_of_remedies_is_enforced() {
    for good in ["write a % in a key as %25", "`nft` it", "AWS_REGION: set it", "EC2 must allow it"]
    {
        assert_eq!(style_fault(good), None, "{good}");
    }
    for bad in ["", " ", "Write it", "write it.", "write\nit", "write  it", "write it\u{1b}"] {
        assert!(style_fault(bad).is_some(), "{bad}");
    }
}

/// Types are compared by path: `ecs_bootstrap::net::error::Error` is implemented in
/// `src/net/error.rs`; those of other crates by the path that is public.
#[test]
fn every_error_type_has_examples() {
    let public = |path: &str| path.replace("local_files::replace::", "local_files::");
    let listed: BTreeSet<String> = all().iter().map(|one| public(one.type_name)).collect();
    assert_eq!(listed, implementations());
}

fn implementations() -> BTreeSet<String> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut found, mut folders) = (BTreeSet::new(), vec![sources.clone()]);
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let is_built = cfg!(feature = "role-check") || !path.ends_with("src/role/check");
            if path.is_dir() && is_built {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let types =
                    text.lines().filter_map(|line| line.strip_prefix("impl Diagnostic for "));
                let module = module_of(path.strip_prefix(&sources).unwrap());
                found.extend(types.map(|name| match name.trim_end_matches(" {") {
                    foreign if foreign.contains("::") => foreign.to_owned(),
                    own => format!("{module}::{own}"),
                }));
            }
        }
    }
    found
}

/// `net/mod.rs` is `ecs_bootstrap::net`.
fn module_of(file: &Path) -> String {
    let parts: PathBuf = Path::new("ecs_bootstrap").join(file.with_extension(""));
    let parts = parts.iter().filter_map(|part| part.to_str());
    parts.filter(|part| *part != "mod").collect::<Vec<_>>().join("::")
}

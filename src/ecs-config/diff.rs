//! The difference between two files, without the values of secrets.

use std::collections::{BTreeMap, BTreeSet};

use similar::TextDiff;

use crate::redact::{REDACTED, secret_start};

const REDACTED_NEW: &str = "[redacted, another value]";

/// What is secret besides the values of variables that are known to be.
#[derive(Clone, Debug, Default)]
pub struct Hidden {
    /// The values of these.
    pub names: BTreeSet<String>,
    /// Lines that set nothing, comments too.
    pub other_lines: bool,
}

/// A unified diff for people, empty if there is no difference. Of a secret's value it shows only
/// that it changed.
pub fn unified(path: &str, old: &[u8], new: &[u8], hidden: &Hidden) -> String {
    let split_secret = |line| split_secret(line, hidden);
    let (old, new) = (String::from_utf8_lossy(old), String::from_utf8_lossy(new));
    let before: BTreeMap<&str, &str> = old.lines().filter_map(split_secret).collect();
    let shown_old = redacted(&old, split_secret, |_, _| REDACTED);
    let shown_new = redacted(&new, split_secret, |name, value| {
        if before.get(name).is_none_or(|old| *old == value) { REDACTED } else { REDACTED_NEW }
    });
    TextDiff::from_lines(&shown_old, &shown_new)
        .unified_diff()
        .context_radius(3)
        .header(path, &format!("{path} (new)"))
        .to_string()
}

/// The text with every secret value replaced by what `instead` gives for its name and value.
fn redacted<'t>(
    text: &'t str,
    split_secret: impl Fn(&'t str) -> Option<(&'t str, &'t str)>,
    instead: impl Fn(&str, &str) -> &'static str,
) -> String {
    let shown = |line: &'t str| match split_secret(line.trim_end_matches(['\n', '\r'])) {
        Some((name, value)) => {
            let end = &line[name.len() + value.len()..];
            [name, instead(name, value), end].concat()
        }
        None => line.to_owned(),
    };
    text.split_inclusive('\n').map(shown).collect()
}

/// What may be shown of a line that sets a secret, and what may not.
fn split_secret<'t>(line: &'t str, hidden: &Hidden) -> Option<(&'t str, &'t str)> {
    let (name, _) = line.split_once('=').filter(|_| !line.starts_with('#')).unzip();
    let is_named =
        |name: &str| name.split_whitespace().last().is_some_and(|name| hidden.names.contains(name));
    let start = match name {
        Some(name) if is_named(name) => Some(name.len() + 1),
        None if hidden.other_lines => Some(0),
        _ => secret_start(line),
    };
    Some(line.split_at(start?)).filter(|(_, value)| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unified_shows_that_a_secret_changed_and_no_value() {
        let old = b"A=1\nECS_ENGINE_AUTH_DATA=one\n";
        let diff =
            unified("ecs.config", old, b"A=2\nECS_ENGINE_AUTH_DATA=two\n", &Hidden::default());
        assert!(diff.contains("-A=1\n") && diff.contains("+A=2\n"), "{diff}");
        assert!(diff.contains("+ECS_ENGINE_AUTH_DATA=[redacted, another value]"), "{diff}");
        assert!(!diff.contains("one") && !diff.contains("two"), "{diff}");
    }

    #[test]
    fn unified_redacts_comments_exports_and_colons() {
        for line in [
            "# ECS_ENGINE_AUTH_DATA=hunter2",
            "export ECS_ENGINE_AUTH_DATA=hunter2",
            "ECS_ENGINE_AUTH_DATA: hunter2",
        ] {
            let diff = unified(
                "ecs.config",
                b"A=1\n",
                format!("{line}\r\n").as_bytes(),
                &Hidden::default(),
            );
            assert!(diff.contains("[redacted]\r") && !diff.contains("hunter2"), "{diff}");
        }
    }

    #[test]
    fn unified_redacts_what_came_from_a_secret() {
        let hidden = Hidden { names: ["A".to_owned()].into(), other_lines: true };
        let diff = unified("x", b"A=one\n", b"# three\nexport A=two\nB=4\nfive\n", &hidden);
        assert!(diff.contains("+B=4\n") && diff.contains("-A=[redacted]"), "{diff}");
        assert!(!["one", "two", "three", "five"].iter().any(|it| diff.contains(it)), "{diff}");
    }

    #[test]
    fn unified_of_equal_files_is_empty() {
        assert_eq!(unified("ecs.config", b"A=1\n", b"A=1\n", &Hidden::default()), "");
    }
}

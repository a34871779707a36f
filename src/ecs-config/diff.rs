//! The difference between two files, without the values of secrets.

use std::collections::BTreeMap;

use similar::TextDiff;

use crate::redact::{REDACTED, secret_start};

const REDACTED_NEW: &str = "[redacted, another value]";

/// A unified diff for people, empty if there is no difference. Of a secret's value it shows only
/// that it changed.
pub fn unified(path: &str, old: &[u8], new: &[u8]) -> String {
    let (old, new) = (String::from_utf8_lossy(old), String::from_utf8_lossy(new));
    let before: BTreeMap<&str, &str> = old.lines().filter_map(split_secret).collect();
    let shown_old = redacted(&old, |_, _| REDACTED);
    let shown_new = redacted(&new, |name, value| {
        if before.get(name).is_none_or(|old| *old == value) { REDACTED } else { REDACTED_NEW }
    });
    TextDiff::from_lines(&shown_old, &shown_new)
        .unified_diff()
        .context_radius(3)
        .header(path, &format!("{path} (new)"))
        .to_string()
}

/// The text with every secret value replaced by what `instead` gives for its name and value.
fn redacted(text: &str, instead: impl Fn(&str, &str) -> &'static str) -> String {
    let shown = |line: &str| match split_secret(line.trim_end_matches(['\n', '\r'])) {
        Some((name, value)) => {
            let end = &line[name.len() + value.len()..];
            [name, instead(name, value), end].concat()
        }
        None => line.to_owned(),
    };
    text.split_inclusive('\n').map(shown).collect()
}

/// What may be shown of a line that sets a secret, and what may not.
fn split_secret(line: &str) -> Option<(&str, &str)> {
    Some(line.split_at(secret_start(line)?)).filter(|(_, value)| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unified_shows_that_a_secret_changed_and_no_value() {
        let old = b"A=1\nECS_ENGINE_AUTH_DATA=one\n";
        let diff = unified("ecs.config", old, b"A=2\nECS_ENGINE_AUTH_DATA=two\n");
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
            let diff = unified("ecs.config", b"A=1\n", format!("{line}\r\n").as_bytes());
            assert!(diff.contains("[redacted]\r") && !diff.contains("hunter2"), "{diff}");
        }
    }

    #[test]
    fn unified_of_equal_files_is_empty() {
        assert_eq!(unified("ecs.config", b"A=1\n", b"A=1\n"), "");
    }
}

//! What a run would change, as a unified diff in which the values of secret keys are redacted.
//! Pure.

use std::collections::BTreeMap;

use ecs_config::variables::is_secret;
use similar::TextDiff;

const REDACTED: &str = "[redacted]";
const REDACTED_NEW: &str = "[redacted, another value]";

/// The difference between two files, for people. Empty if there is none.
///
/// A comment may hold a setting that is switched off; its value is redacted like that of the
/// setting.
pub(crate) fn unified(path: &str, old: &[u8], new: &[u8]) -> String {
    let (old, new) = (String::from_utf8_lossy(old), String::from_utf8_lossy(new));
    let before: BTreeMap<&str, &str> = old.lines().filter_map(secret).collect();
    let shown_old = redact(&old, |_, _| REDACTED);
    let shown_new = redact(&new, |name, value| {
        if before.get(name).is_none_or(|old| *old == value) { REDACTED } else { REDACTED_NEW }
    });
    TextDiff::from_lines(&shown_old, &shown_new)
        .unified_diff()
        .context_radius(3)
        .header(path, &format!("{path} (new)"))
        .to_string()
}

/// The text with every secret value replaced by what `instead` makes of its name and value.
pub(crate) fn redact<'t>(text: &'t str, instead: impl Fn(&str, &'t str) -> &'static str) -> String {
    let mut shown = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let body = line.trim_end_matches(['\n', '\r']);
        match secret(body) {
            Some((name, value)) => {
                shown.push_str(&body[..body.len() - value.len()]);
                shown.push_str(instead(name, value));
                shown.push_str(&line[body.len()..]);
            }
            None => shown.push_str(line),
        }
    }
    shown
}

/// The name and the value of a line that sets a secret, however it is spelled.
fn secret(line: &str) -> Option<(&str, &str)> {
    let (left, value) = line.split_once(['=', ':'])?;
    let word = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let name = left.trim().rsplit(|char| !word(char)).find(|part| !part.is_empty())?;
    (is_secret(name) && !value.is_empty()).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_shown_as_changed_and_never_as_itself() {
        let diff = unified(
            "ecs.config",
            b"A=1\nECS_ENGINE_AUTH_DATA=one\n",
            b"A=2\nECS_ENGINE_AUTH_DATA=two\n",
        );
        assert!(diff.contains("-A=1\n") && diff.contains("+A=2\n"), "{diff}");
        assert!(diff.contains("+ECS_ENGINE_AUTH_DATA=[redacted, another value]"), "{diff}");
        assert!(!diff.contains("one") && !diff.contains("two"), "{diff}");
    }

    #[test]
    fn a_secret_in_a_comment_or_behind_export_is_redacted_too() {
        for line in [
            "# ECS_ENGINE_AUTH_DATA=hunter2",
            "export ECS_ENGINE_AUTH_DATA=hunter2",
            "ECS_ENGINE_AUTH_DATA: hunter2",
        ] {
            assert!(!redact(line, |_, _| REDACTED).contains("hunter2"), "{line}");
        }
    }

    #[test]
    fn no_change_is_no_diff() {
        assert_eq!(unified("ecs.config", b"A=1\n", b"A=1\n"), "");
    }
}

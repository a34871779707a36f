//! Where in a line a secret begins.

use crate::variables::{all, is_secret, sounds_secret};

pub(crate) const REDACTED: &str = "[redacted]";

/// Names are looked for in this many words of a line without `=`.
const WORDS: usize = 4;

/// The place behind the name of a secret and the character after it, usually `=` or `:`; `None` if
/// the line names no secret. A comment may hold a setting that was switched off, `export` may be in
/// front, and behind a lone CR there may be a setting more.
pub(crate) fn secret_start(line: &str) -> Option<usize> {
    let left = line.split('=').next().unwrap_or(line);
    let words = left.split(is_no_part_of_a_name).filter(|word| !word.is_empty());
    let Some(name) = words.take(WORDS).find(|word| is_secret(word)) else {
        return set_secret(line);
    };
    let end = line.find(name)? + name.len();
    let mark = line[end..].chars().next()?;
    Some(end + mark.len_utf8())
}

/// Whether a value must not be shown: its name is that of a secret, or the reader took further
/// lines into it, of which one sets a secret.
pub(crate) fn hides(name: &str, value: &str) -> bool {
    is_secret(name) || set_secret(value).is_some()
}

/// The place behind `NAME=` of a secret. A backslash may have joined the name to what is before it.
fn set_secret(text: &str) -> Option<usize> {
    let is_secret_end = |name: &str| {
        sounds_secret(name) || all().iter().any(|one| name.ends_with(one.name) && one.secret())
    };
    let mut marks = text.match_indices('=').map(|(at, _)| at);
    let name = |at: usize| text[..at].trim_end().rsplit(is_no_part_of_a_name).next();
    marks.find(|at| name(*at).is_some_and(is_secret_end)).map(|at| at + 1)
}

fn is_no_part_of_a_name(c: char) -> bool {
    !c.is_alphanumeric() && c != '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_start_is_behind_the_name() {
        for (line, shown) in [
            ("DB_PASSWORD=x", "DB_PASSWORD="),
            ("export DB_PASSWORD = x", "export DB_PASSWORD "),
            ("# ECS_ENGINE_AUTH_DATA: x", "# ECS_ENGINE_AUTH_DATA:"),
            ("\"password\": \"x\"", "\"password\""),
        ] {
            assert_eq!(secret_start(line), Some(shown.len()), "{line}");
        }
        assert_eq!(secret_start("A=b\rDB_PASSWORD=x"), Some("A=b\rDB_PASSWORD=".len()));
        assert_eq!(secret_start("ECS_CLUSTER=a # DB_PASSWORD"), None);
        assert_eq!(secret_start("DB_PASSWORD"), None);
    }

    #[test]
    fn values_that_took_in_the_line_of_a_secret_are_hidden() {
        for value in ["x\nDB_PASSWORD=y", "xHTTP_PROXY=http://u:p@h", "a=b\rECS_LOG_OPTS ={}"] {
            assert!(hides("ECS_CLUSTER", value), "{value}");
        }
        for value in ["/log/auth.log", "a=b", "secret", "{\"key\":\"a=b\"}", "="] {
            assert!(!hides("ECS_CLUSTER", value), "{value}");
        }
    }
}

//! Where in a line a secret begins.

use crate::variables::is_secret;

pub(crate) const REDACTED: &str = "[redacted]";

/// Names are looked for in this many words of a line without `=`.
const WORDS: usize = 4;

/// The place behind the name of a secret and the character after it, usually `=` or `:`; `None` if
/// the line names no secret. A comment may hold a setting that was switched off, and `export` may
/// be in front.
pub(crate) fn secret_start(line: &str) -> Option<usize> {
    let left = line.split('=').next().unwrap_or(line);
    let words =
        left.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    let name = words.take(WORDS).find(|word| is_secret(word))?;
    let end = line.find(name)? + name.len();
    let mark = line[end..].chars().next()?;
    Some(end + mark.len_utf8())
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
        assert_eq!(secret_start("ECS_CLUSTER=a # DB_PASSWORD"), None);
        assert_eq!(secret_start("DB_PASSWORD"), None);
    }
}

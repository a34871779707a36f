//! Numbers of things, in words.

/// `1 error`, `2 errors`: for nouns whose plural takes an s.
pub fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

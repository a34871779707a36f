//! Lines about which there is nothing to say: most lines of most files. They are told apart first,
//! at the cost of one look at each byte, and what is left is looked at with care.

use super::lines::is_name;

/// Far below the 64 KiB of a line that docker takes.
const LONG: usize = 60_000;

/// Where `=` stands in a line that sets an upper case name to a word or two without any sign that a
/// rule for lines cares about.
pub fn setting(line: &str) -> Option<usize> {
    let bytes = line.as_bytes();
    let cut = bytes.iter().position(|byte| *byte == b'=')?;
    let (name, value) = (&bytes[..cut], &bytes[cut + 1..]);
    let upper = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
    let quiet = |byte: &u8| byte.is_ascii_alphanumeric() || b" -_.,:/@+=".contains(byte);
    let named = name.first().is_some_and(|first| !first.is_ascii_digit()) && name.iter().all(upper);
    (named && has_plain_ends(value) && bytes.len() < LONG && value.iter().all(quiet)).then_some(cut)
}

fn has_plain_ends(value: &[u8]) -> bool {
    let plain = |byte: Option<&u8>| byte.is_some_and(|byte| !b" \"'".contains(byte));
    plain(value.first()) && plain(value.last())
}

/// A line that every reader takes alike, whatever stands around it: a comment, nothing, or an
/// assignment in printable ASCII without blanks at its edges, without a quote in front of its value
/// and without a backslash.
pub fn same_to_all(line: &[u8]) -> bool {
    let printable =
        line.len() < LONG && line.iter().all(|byte| (b' '..=b'~').contains(byte) && *byte != b'\\');
    printable && (line.is_empty() || line[0] == b'#' || is_plain_assignment(line))
}

fn is_plain_assignment(line: &[u8]) -> bool {
    let Some(cut) = line.iter().position(|byte| *byte == b'=') else { return false };
    let (name, value) = (&line[..cut], &line[cut + 1..]);
    let ends = value.is_empty() || value.last() != Some(&b' ') && !b" \"'".contains(&value[0]);
    ends && str::from_utf8(name).is_ok_and(is_name)
}

/// The file with all lines emptied but those to keep, told by their number and text; numbers stay
/// as they are.
///
/// What is left reads as before only if no construct goes on over the end of its line; the caller
/// knows.
pub fn only(bytes: &[u8], keep: impl Fn(usize, &[u8]) -> bool) -> Vec<u8> {
    let mut left = Vec::new();
    for (number, line) in (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
        let body = line.strip_suffix(b"\n").unwrap_or(line);
        let from = if keep(number, body) { 0 } else { body.len() };
        left.extend_from_slice(&line[from..]);
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_that_all_readers_take_alike_are_emptied() {
        let file = b"# a\nA=b\nA=\"b\"\nB=c\\\nA={\"b\":1}\nC= d\n\nB=x";
        let left = only(file, |_, line| !same_to_all(line));
        assert_eq!(left, b"\n\nA=\"b\"\nB=c\\\n\nC= d\n\n");
    }

    #[test]
    fn a_line_with_a_sign_in_it_is_looked_at() {
        assert_eq!(setting("ECS_CLUSTER=prod"), Some(11));
        for line in [
            "a=b", "A=", "A= b", "A=b ", " A=b", "A=\"b\"", "A=b#c", "A=$b", "A={}", "1A=b",
            "A B=c", "A=b\\", "A=b\r", "A",
        ] {
            assert_eq!(setting(line), None, "{line}");
        }
    }
}

//! Text for people: counts, suggestions, and foreign text made fit to be shown.

/// At most this many characters of a foreign text are shown.
const MAX_FOREIGN: usize = 300;

/// `1 error`, `2 errors`: for nouns whose plural takes an s.
pub fn plural(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// The known word that was probably meant, in any case; `None` where none is near.
///
/// Near is at most four edits (insert, delete, replace, swap) and half of the word's length.
pub fn nearest<'k>(typed: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let typed = typed.to_lowercase();
    let counts = letter_counts(&typed);
    let edits = |word: &'k str| {
        let limit = word.len().div_ceil(2).min(4);
        let lower = word.to_lowercase();
        // One edit changes the length by one and two of the counts at most: most words are far
        // away, which these tell without measuring how far.
        let may_be_near = lower.len().abs_diff(typed.len()) <= limit
            && difference(&counts, &letter_counts(&lower)) <= 2 * limit;
        let edits = may_be_near.then(|| strsim::osa_distance(&lower, &typed))?;
        (edits <= limit).then_some((edits, word))
    };
    known.into_iter().filter_map(edits).min().map(|(_, word)| word)
}

fn letter_counts(word: &str) -> [u8; 32] {
    let mut counts = [0_u8; 32];
    for byte in word.bytes() {
        let count = &mut counts[usize::from(byte & 31)];
        *count = count.saturating_add(1);
    }
    counts
}

fn difference(one: &[u8; 32], other: &[u8; 32]) -> usize {
    one.iter().zip(other).map(|(a, b)| usize::from(a.abs_diff(*b))).sum()
}

/// A text that another program wrote, made fit for a screen, a log and a report: one line, at most
/// 300 characters, nothing that moves a cursor, reorders or hides text.
pub fn printable(foreign: &str) -> String {
    one_line(foreign, MAX_FOREIGN)
}

/// The same of a text of ours that quotes others, with a limit of its own.
pub fn one_line(text: &str, limit: usize) -> String {
    let shown = text.chars().map(|c| if is_harmless(c) { c } else { ' ' });
    shown.take(limit).collect::<String>().trim().to_owned()
}

/// The same of several lines.
pub fn lines_of(text: &str) -> String {
    text.chars().map(|c| if is_harmless(c) || "\n\t".contains(c) { c } else { ' ' }).collect()
}

/// Not a control character (C0, DEL, C1), a line or paragraph separator, nor a character that
/// reorders or hides text: <https://www.unicode.org/reports/tr9/>, <https://trojansource.codes>.
fn is_harmless(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A character that people do not see, or that changes how they see others; control characters,
/// which have effects of their own, aside.
pub(crate) fn is_invisible(c: char) -> bool {
    c == '\u{ad}' || !c.is_control() && !is_harmless(c)
}

/// Text as Go's JSON encoder writes it: one U+FFFD for *each* byte that is not UTF-8, where Rust's
/// own conversion takes several as one.
pub fn lossy(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_suggests_near_words_only() {
        let known = ["expect_role", "timeout", "set"];
        assert_eq!(nearest("expected_role", known), Some("expect_role"));
        assert_eq!(nearest("Timout", known), Some("timeout"));
        assert_eq!(nearest("colour", known), None);
    }

    #[test]
    fn printable_leaves_no_control_bidi_or_separator() {
        let hostile = "a\u{1b}[31mb\r\nremedy: c\u{9b}d\u{202e}e\u{2028}f\u{200b}g\0h\u{7f}";
        assert_eq!(printable(hostile), "a [31mb  remedy: c d e f g h");
        assert_eq!(printable(&"m".repeat(1000)).len(), 300);
    }
}

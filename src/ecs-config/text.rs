//! Text for people: counts, suggestions, and foreign text made fit to be shown.

/// At most so many characters of a foreign text are shown.
const MAX_FOREIGN: usize = 300;

/// `1 error`, `2 errors`: for nouns whose plural takes an s.
pub fn plural(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// The known word that was probably meant, in any case; `None` where none is near.
pub fn nearest<'k>(typed: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let typed = typed.to_lowercase();
    known
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(&word.to_lowercase(), &typed), word))
        .min()
        .filter(|(distance, word)| *distance <= word.len().div_ceil(2).min(4))
        .map(|(_, word)| word)
}

/// A text that another program wrote, made fit for a screen, a log and a report: one line, at most
/// 300 characters, nothing that moves a cursor, reorders or hides text.
pub fn printable(foreign: &str) -> String {
    let shown = foreign.chars().map(|c| if is_harmless(c) { c } else { ' ' });
    shown.take(MAX_FOREIGN).collect::<String>().trim().to_owned()
}

/// Not a control character (C0, DEL, C1), a line or paragraph separator, nor a character that
/// reorders or hides text: <https://www.unicode.org/reports/tr9/>, <https://trojansource.codes>.
fn is_harmless(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
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

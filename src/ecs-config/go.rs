//! Values as the Go programs parse them: strconv.ParseBool, time.ParseDuration, ParseInt.

/// Go's words for true and false; `None` for anything else.
pub fn boolean(word: &str) -> Option<bool> {
    match word {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// What a person means by a word: Go's words in any case, and yes, no, on, off.
pub fn meant_boolean(word: &str) -> Option<bool> {
    match word.trim().to_ascii_lowercase().as_str() {
        "1" | "t" | "true" | "y" | "yes" | "on" | "enable" | "enabled" => Some(true),
        "0" | "f" | "false" | "n" | "no" | "off" | "disable" | "disabled" => Some(false),
        _ => None,
    }
}

const UNITS: [(&str, f64); 8] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("μs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3600e9),
];

/// A duration in nanoseconds: signed decimal numbers, each with a unit; `0` alone needs none.
pub fn duration(text: &str) -> Option<f64> {
    let (sign, mut rest) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (if text.starts_with('-') { -1.0 } else { 1.0 }, rest),
        None => (1.0, text),
    };
    if rest == "0" {
        return Some(0.0);
    }
    let mut total = 0.0;
    while !rest.is_empty() || total == 0.0 {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit_end = rest[digits..]
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .map_or(rest.len(), |at| digits + at);
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == &rest[digits..unit_end])?;
        total += number * unit;
        rest = &rest[unit_end..];
        if rest.is_empty() {
            break;
        }
    }
    // Go's durations are 64-bit nanoseconds, a little over 292 years.
    (total <= i64::MAX as f64).then_some(sign * total)
}

/// A whole number with an optional sign and nothing else.
pub fn integer(text: &str) -> Option<i64> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        let second = 1e9;
        let good = [
            ("3h", 10800.0),
            ("1h30m", 5400.0),
            ("100ms", 0.1),
            ("-1m", -60.0),
            ("0", 0.0),
            ("0s", 0.0),
            ("1.5s", 1.5),
        ];
        for (text, seconds) in good {
            assert_eq!(duration(text), Some(seconds * second), "{text}");
        }
        for text in
            ["", "3", "1d", "h", ".", "3 h", " 3h", "3h ", "1w", "-", "9999999999h", "1h30", "..s"]
        {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn booleans_are_read_as_go_reads_them() {
        assert_eq!(["1", "True", "f"].map(boolean), [Some(true), Some(true), Some(false)]);
        assert_eq!(["yes", "tRuE", "on", "", " true"].map(boolean), [None; 5]);
    }
}

//! Values as the Go programs parse them: `strconv.ParseBool`, `time.ParseDuration`.

/// Go's words for true and false (`strconv.ParseBool`); `None` for anything else.
pub fn boolean(word: &str) -> Option<bool> {
    match word {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// A duration in nanoseconds (`time.ParseDuration`): an optional sign, then decimal numbers, each
/// with a unit; `0` alone needs none. `None` for what does not fit into 64 bits, 292 years.
pub fn duration(text: &str) -> Option<f64> {
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return Some(0.0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let is_digit = |c: char| c.is_ascii_digit() || c == '.';
        let (number, tail) = rest.split_at(rest.find(|c| !is_digit(c))?);
        let (unit, tail) = tail.split_at(tail.find(is_digit).unwrap_or(tail.len()));
        total += number.parse::<f64>().ok()? * nanoseconds(unit)?;
        rest = tail;
    }
    (total <= i64::MAX as f64).then_some(sign * total)
}

fn nanoseconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1.0,
        "us" | "µs" | "μs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" => 60e9,
        "h" => 3600e9,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_takes_what_go_takes() {
        let good = [
            ("3h", 10800.0),
            ("1h30m", 5400.0),
            ("100ms", 0.1),
            ("-1m", -60.0),
            ("0", 0.0),
            ("0s", 0.0),
            ("1.5s", 1.5),
            ("+.5s", 0.5),
        ];
        for (text, seconds) in good {
            assert_eq!(duration(text), Some(seconds * 1e9), "{text}");
        }
        let bad = "|3|1d|h|.|3 h| 3h|3h |1w|-|9999999999h|1h30|..s";
        for text in bad.split('|') {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn boolean_takes_what_go_takes() {
        assert_eq!(["1", "True", "f"].map(boolean), [Some(true), Some(true), Some(false)]);
        assert_eq!(["yes", "tRuE", "on", "", " true"].map(boolean), [None; 5]);
    }
}

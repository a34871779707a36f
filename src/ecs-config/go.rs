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
    const LIMIT: u64 = 1 << 63;
    let is_negative = text.starts_with('-');
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return Some(0.0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let is_digit = |c: char| c.is_ascii_digit() || c == '.';
        let (number, tail) = rest.split_at(rest.find(|c| !is_digit(c))?);
        let (unit, tail) = tail.split_at(tail.find(is_digit).unwrap_or(tail.len()));
        let unit = nanoseconds(unit)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let fraction: f64 = format!("0.{fraction}0").parse().ok()?;
        let part = whole.checked_mul(unit)?.checked_add((fraction * unit as f64) as u64)?;
        total = total.checked_add(part).filter(|total| *total <= LIMIT)?;
        rest = tail;
    }
    let size = total as f64;
    if is_negative { Some(-size) } else { (total < LIMIT).then_some(size) }
}

fn nanoseconds(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
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
            ("5.m", 300.0),
            ("-9223372036854775808ns", -9_223_372_036.854_776),
        ];
        for (text, seconds) in good {
            assert_eq!(duration(text), Some(seconds * 1e9), "{text}");
        }
        let bad = "|3|1d|h|.|.s|3 h| 3h|3h |1w|-|9999999999h|1h30|..s|1.5.5s|00|1e3s|1h-1m|++1s|\
                   9223372036854775808ns|2562047h47m16.854775808s|-9223372036854775809ns";
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

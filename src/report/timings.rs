//! When each step and each connection began and ended, as a waterfall.

use std::fmt::Write;

use super::{Report, StepOutcome};

/// Columns of the bars.
const WIDTH: u64 = 40;

impl Report {
    /// A line for each step and each connection, in the order in which they began.
    pub(crate) fn timings(&self) -> String {
        let steps = self.results.steps.iter().filter(|step| step.outcome != StepOutcome::Skipped);
        let steps = steps.map(|step| (step.start_ms, step.duration_ms, step.step.to_owned()));
        let connections = self.results.connections.iter().map(|connection| {
            (connection.start_ms, connection.duration_ms, format!("connect {}", connection.to))
        });
        let mut rows: Vec<(u64, u64, String)> = steps.chain(connections).collect();
        rows.sort();
        let longest = rows.iter().map(|(.., name)| name.len()).max().unwrap_or_default();
        let mut text = format!("timings: {} ms in all\n", self.duration_ms);
        for (start, duration, name) in rows {
            let (before, bar) = bar(start, duration, self.duration_ms);
            let (before, bar) = (" ".repeat(before), "=".repeat(bar));
            writeln!(text, "{name:longest$} {start:>7} +{duration:<7} |{before}{bar}")
                .expect("a String takes all that is written to it");
        }
        text
    }
}

/// Where the bar begins, and its length: at least one column, and none beyond the last.
fn bar(start: u64, duration: u64, whole: u64) -> (usize, usize) {
    let column = |ms: u64| (ms.saturating_mul(WIDTH) / whole.max(1)).min(WIDTH);
    let first = column(start).min(WIDTH - 1);
    let last = column(start.saturating_add(duration)).max(first + 1);
    (first as usize, (last - first) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_within_the_width_and_never_empty() {
        assert_eq!(bar(0, 100, 100), (0, 40));
        assert_eq!(bar(50, 25, 100), (20, 10));
        assert_eq!(bar(100, 0, 100), (39, 1));
        assert_eq!(bar(0, 0, 0), (0, 1));
        assert_eq!(bar(u64::MAX, u64::MAX, 1), (39, 1));
    }
}

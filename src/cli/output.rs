//! What a command prints: its result on stdout, its failure on stderr.

use std::io::Write;

use ecs_config::text::lines_of;

use super::Output;
use super::call::Call;
use crate::error::{Error, Failure};
use crate::log::{self, LogFormat};
use crate::report::Report;

/// Prints on stdout what may quote others; 1 if that failed.
pub(crate) fn print(text: &str) -> u8 {
    ecs_config::command::print(&lines_of(text))
}

/// Prints on stderr; unlike eprint!, without a panic where that is a full disk or a closed pipe.
pub(crate) fn print_error_text(text: &str) {
    let _ = std::io::stderr().write_all(lines_of(text).as_bytes());
}

impl Call<'_> {
    /// Prints a report. Its exit status is that of what was done, whatever becomes of the streams:
    /// a full disk under a log is not a reason to try again.
    pub(crate) fn print_report(&self, report: &Report) -> u8 {
        let in_text = report.text();
        log::over(in_text.lines().next().unwrap_or_default());
        if let Some(failure) = &report.error {
            self.print_failure(failure);
        }
        let text = match self.output {
            Output::Json | Output::Sarif => report.json() + "\n",
            Output::Text if report.error.is_none() => in_text + "\n",
            Output::Text => String::new(),
        };
        print(&text);
        report.exit_status
    }

    /// Prints what, why and remedy on stderr, and gives the exit status.
    pub(crate) fn print_error(&self, error: &Error) -> u8 {
        self.print_failure(&error.failure());
        error.status().code()
    }

    pub(crate) fn print_failure(&self, failure: &Failure) {
        match self.format {
            LogFormat::Text => print_error_text(&failure.to_text()),
            LogFormat::Json | LogFormat::Emf => tracing::error!(
                word = failure.word.name(),
                remedy = failure.remedy,
                "{}",
                failure.why()
            ),
            LogFormat::Journald | LogFormat::Auto => {
                failure.to_text().lines().for_each(|line| tracing::error!("{line}"));
            }
        }
    }

    /// Prints the report of a command, also where it failed before it could make one.
    pub(crate) fn print_result(&self, command: &'static str, ended: Result<Report, Error>) -> u8 {
        self.print_report(&ended.unwrap_or_else(|error| Report::of_failure(command, error)))
    }
}

//! The log, on stderr or in the journal. What a person at a terminal reads is short lines, live; a
//! collector gets JSON.

use std::fmt;
use std::io::{self, IsTerminal, Write, stderr};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::ValueEnum;
use ecs_config::text::one_line;
use sd_notify::NotifyState;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, layer};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, filter};

use crate::paths::MAX_TEXT;

/// Longer than an error with some causes and its remedy.
const MAX_LINE: usize = 4 * MAX_TEXT;

/// How it is written. `Auto` is `Journald` where stderr is the journal, else `Text`.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum LogFormat {
    Auto,
    Text,
    Json,
    Journald,
    /// JSON, and at the end of a run a metric of CloudWatch
    Emf,
}

/// Erases the line that shows the current step.
const CLEAR_LINE: &str = "\r\x1b[2K";

/// Whether a person watches: then the current step is shown below the lines of those
/// that are done.
static LIVE: AtomicBool = AtomicBool::new(false);

/// Whether where each setting came from, and what is waited for, is logged too.
static VERBOSE: AtomicBool = AtomicBool::new(false);

/// Whether `-v` was typed.
pub(crate) fn is_verbose() -> bool {
    VERBOSE.load(Ordering::Relaxed)
}

/// Starts the log, and gives the format in use. `quiet` is warnings and errors only, and has
/// precedence over `verbose`. `journal_stream` is JOURNAL_STREAM, by which systemd tells that stderr
/// is the journal.
pub(crate) fn start(
    format: LogFormat,
    quiet: bool,
    verbose: bool,
    journal_stream: Option<&str>,
) -> LogFormat {
    VERBOSE.store(verbose && !quiet, Ordering::Relaxed);
    let format = match format {
        LogFormat::Auto if journal_stream.is_some_and(stderr_is) => LogFormat::Journald,
        LogFormat::Auto => LogFormat::Text,
        chosen => chosen,
    };
    LIVE.store(format == LogFormat::Text && !quiet && stderr().is_terminal(), Ordering::Relaxed);
    let written = layer().log_internal_errors(false).with_writer(|| Clean);
    let written = match format {
        LogFormat::Json | LogFormat::Emf => {
            written.json().flatten_event(true).with_target(false).boxed()
        }
        LogFormat::Journald => written.event_format(Line { name: priority }).boxed(),
        LogFormat::Text | LogFormat::Auto => {
            written.event_format(Line { name: level_in_words }).boxed()
        }
    };
    // Our own events only: what the crates below us log is about their insides.
    let ours = filter::filter_fn(|event| event.target().starts_with("ecs_bootstrap"));
    let least = if quiet { LevelFilter::WARN } else { LevelFilter::INFO };
    tracing_subscriber::registry().with(written.with_filter(ours).with_filter(least)).init();
    format
}

/// Says which step is being walked, to a person who watches and to `systemctl status`.
pub(crate) fn now(step: &str) {
    if LIVE.load(Ordering::Relaxed) {
        // A terminal that went away is no reason to stop.
        let _ = write!(stderr(), "{CLEAR_LINE}{step} …");
    }
    status(step);
}

/// Shows what has been waited for too long to stay silent: to a person in the line of the current
/// step, else as a line of its own.
pub(crate) fn waiting(text: &str) {
    match LIVE.load(Ordering::Relaxed) {
        true => now(text),
        false => tracing::info!("waiting: {text}"),
    }
}

/// Erases the line of the current step, and leaves the outcome in `systemctl status`.
pub(crate) fn over(outcome: &str) {
    clear();
    status(outcome);
}

fn status(text: &str) {
    // Without systemd this does nothing.
    let _ = sd_notify::notify(&[NotifyState::Status(text)]);
}

/// Erases the line of the current step, before something else is printed.
pub(crate) fn clear() {
    if LIVE.load(Ordering::Relaxed) {
        let _ = write!(stderr(), "{CLEAR_LINE}");
    }
}

/// stderr for one event a write: one line, whatever the event quotes.
struct Clean;

impl Write for Clean {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let (clear, line) = match text.strip_prefix(CLEAR_LINE) {
            Some(line) => (CLEAR_LINE, line),
            None => ("", &*text),
        };
        let line = format!("{clear}{}\n", one_line(line, MAX_LINE));
        stderr().write_all(line.as_bytes()).map(|()| event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        stderr().flush()
    }
}

/// One line an event: its level, as `name` spells it, and the message.
struct Line {
    name: fn(Level) -> &'static str,
}

/// For people: only what is worth a look.
fn level_in_words(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error: ",
        Level::WARN => "warning: ",
        _ => "",
    }
}

/// For the journal, sd-daemon(3). Through stderr, since the journal knows a stream's unit: of a
/// datagram it asks the kernel who sent it, and we are gone by then when we fail, so that
/// `systemctl status` would not show why.
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        _ => "<6>",
    }
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if LIVE.load(Ordering::Relaxed) {
            writer.write_str(CLEAR_LINE)?;
        }
        writer.write_str((self.name)(*event.metadata().level()))?;
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

/// JOURNAL_STREAM holds the device and inode of the stream: a child with its stderr elsewhere
/// inherits the variable too.
fn stderr_is(stream: &str) -> bool {
    let Ok(stderr) = stderr().as_fd().try_clone_to_owned() else { return false };
    std::fs::File::from(stderr)
        .metadata()
        .is_ok_and(|found| stream == format!("{}:{}", found.dev(), found.ino()))
}

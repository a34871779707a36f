//! The log, on stderr or in the journal. What a person at a terminal reads is short lines; a collector gets JSON.

use std::io::{IsTerminal, stderr};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::cli::LogFormat;

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loudness {
    pub quiet: bool,
}

impl Loudness {
    fn level(self) -> LevelFilter {
        if self.quiet { LevelFilter::WARN } else { LevelFilter::INFO }
    }
}

/// Starts the log. `journal_stream` is JOURNAL_STREAM, by which systemd says that stderr is the journal. Gives the format in
/// use.
pub fn start(format: LogFormat, loudness: Loudness, journal_stream: Option<&str>) -> LogFormat {
    let format = match format {
        LogFormat::Auto if journal_stream.is_some_and(stderr_is) => LogFormat::Journald,
        LogFormat::Auto => LogFormat::Text,
        chosen => chosen,
    };
    let layer = match format {
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_target(false).with_writer(stderr).boxed(),
        // A host without the journal's socket still gets its log.
        LogFormat::Journald => {
            tracing_journald::layer().map_or_else(|_| text(), |journal| journal.with_syslog_identifier("ecs-bootstrap".into()).boxed())
        }
        LogFormat::Text | LogFormat::Auto => text(),
    };
    // Our own events only: what the crates below us log is about their insides.
    let ours = tracing_subscriber::filter::filter_fn(|event| event.target().starts_with("ecs_bootstrap"));
    tracing_subscriber::registry().with(layer.with_filter(ours).with_filter(loudness.level())).init();
    format
}

fn text<S>() -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    let layer = fmt::layer().with_target(false).without_time().with_ansi(stderr().is_terminal());
    layer.with_level(true).with_writer(stderr).boxed()
}

/// JOURNAL_STREAM holds the device and inode of the stream: a child with its stderr elsewhere inherits the variable too.
fn stderr_is(stream: &str) -> bool {
    let Ok(stderr) = stderr().as_fd().try_clone_to_owned() else { return false };
    std::fs::File::from(stderr).metadata().is_ok_and(|found| stream == format!("{}:{}", found.dev(), found.ino()))
}

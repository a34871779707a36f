//! Signals: SIGTERM, SIGINT and SIGHUP end a run in order, with a report, without a half-written
//! file; SIGXFSZ ends nothing.

use nix::sys::signal::SigSet;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::{Diagnostic, ExitStatus, Step};

/// A signal ended the run.
#[derive(Debug, thiserror::Error)]
#[error("{name} ended the run")]
pub(crate) struct Interrupted {
    name: &'static str,
    status: ExitStatus,
}

impl Diagnostic for Interrupted {
    fn step(&self) -> Step {
        Step::Signal
    }

    fn status(&self) -> ExitStatus {
        self.status
    }

    fn remedy(&self) -> String {
        "run again; what was installed before the signal is in the report".into()
    }
}

/// Blocks SIGXFSZ: with a small RLIMIT_FSIZE a write then fails with EFBIG, which is reported, and
/// the process is not killed. The programs that we start begin with no signal blocked (std does so).
pub(super) fn block_file_size() {
    // It can fail only for an argument that is not valid.
    let _ = SigSet::from(nix::sys::signal::Signal::SIGXFSZ).thread_block();
}

/// Waits for the first of them.
pub(crate) async fn interrupted() -> Interrupted {
    let listen = |kind| signal(kind).ok();
    let mut hangup = listen(SignalKind::hangup());
    let mut interrupt = listen(SignalKind::interrupt());
    let mut terminate = listen(SignalKind::terminate());
    let (name, status) = tokio::select! {
        () = received(&mut hangup) => ("SIGHUP", ExitStatus::Hangup),
        () = received(&mut interrupt) => ("SIGINT", ExitStatus::Interrupt),
        () = received(&mut terminate) => ("SIGTERM", ExitStatus::Terminate),
    };
    Interrupted { name, status }
}

/// Never, where the signal cannot be listened to.
async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Interrupted {
        /// Each of the signals, for the test over all errors.
        pub(crate) fn examples() -> Vec<(ExitStatus, Interrupted)> {
            let signals = [
                ("SIGHUP", ExitStatus::Hangup),
                ("SIGINT", ExitStatus::Interrupt),
                ("SIGTERM", ExitStatus::Terminate),
            ];
            signals.map(|(name, status)| (status, Interrupted { name, status })).into()
        }
    }
}

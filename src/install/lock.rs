//! One run at a time: `/run/ecs-bootstrap/lock`, so that user data and the unit can both call us.
//!
//! A flock, so the kernel releases it with the process that holds it, however that one ended.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;
use tokio::time::Instant;

use crate::error::{Diagnostic, ExitStatus, Step};
use crate::files;
use crate::net::backoff::Poll;

/// How often a waiting run looks again. A run takes far less than a second once AWS answers.
const INTERVAL: Duration = Duration::from_millis(50);

#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("another run held {path} until our deadline", path = path.display())]
    Held { path: PathBuf },
    #[error("opening {path}", path = path.display())]
    Io { path: PathBuf, source: io::Error },
}

impl Diagnostic for Error {
    fn step(&self) -> Step {
        Step::Lock
    }

    fn status(&self) -> ExitStatus {
        match self {
            Error::Held { .. } => ExitStatus::Locked,
            Error::Io { .. } => ExitStatus::Install,
        }
    }

    fn remedy(&self) -> String {
        match self {
            Error::Held { .. } => "see what the other run waits for (`ecs-bootstrap status`, `journalctl -u ecs-bootstrap`), then run again",
            Error::Io { .. } => "run it as root, or with `--root DIR` on a folder of your own",
        }
        .into()
    }
}

/// Held until dropped.
#[derive(Debug)]
pub(crate) struct Lock(#[allow(dead_code, reason = "held for its drop")] File);

/// Takes the lock, waiting for whoever holds it until `deadline`.
pub(crate) async fn take(path: &Path, deadline: Instant) -> Result<Lock, Error> {
    let failed = |source| Error::Io { path: path.to_owned(), source };
    let file = files::open_lock(path).map_err(failed)?;
    let poll = Poll::new(INTERVAL, deadline);
    while !files::try_lock(&file).map_err(failed)? {
        if !poll.wait().await {
            return Err(Error::Held { path: path.to_owned() });
        }
    }
    Ok(Lock(file))
}

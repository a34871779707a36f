//! Which steps a boot took, when, and how each ended. The line in `bootstrap` keeps it; no step
//! knows of it.

use std::cell::RefCell;
use std::convert::Infallible;
use std::ops::Range;
use std::time::{Duration, Instant, SystemTime};

use ecs_config::text::one_line;
use tokio::time::sleep;

use super::{ConnectionReport, StepOutcome, StepReport, rfc3339};
use crate::error::{Error, Step};
use crate::log;
use crate::net::Opened;
use crate::paths::MAX_TEXT;

/// The steps of one run. Shared by steps that run side by side.
#[derive(Debug)]
pub(crate) struct Timeline {
    pub(super) started_at: SystemTime,
    clock: Instant,
    ended: RefCell<Vec<StepReport>>,
    open: RefCell<Vec<OpenStep>>,
}

/// A step that has begun, and whose end has not been told.
#[derive(Debug)]
struct OpenStep {
    step: Step,
    start: Duration,
    /// When its result was there, if it is.
    end: Option<Duration>,
}

impl Timeline {
    /// Starts the clock.
    pub(crate) fn start() -> Self {
        let (ended, open) = (RefCell::default(), RefCell::default());
        Timeline { started_at: SystemTime::now(), clock: Instant::now(), ended, open }
    }

    /// Since the start.
    pub(crate) fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    /// A step begins. It may be announced more than once.
    pub(crate) fn enter(&self, step: Step) {
        log::now(step.name());
        let mut open = self.open.borrow_mut();
        if !open.iter().any(|open| open.step == step) {
            open.push(OpenStep { step, start: self.now(), end: None });
        }
    }

    /// What is waited for and since when, where a step has begun and not ended.
    fn waiting(&self) -> Option<String> {
        let open = self.open.borrow();
        let since = open.iter().map(|open| open.start).max()?;
        let steps: Vec<&str> = open.iter().map(|open| open.step.doing()).collect();
        let seconds = self.now().saturating_sub(since).as_secs();
        Some(format!("{}, for {seconds} s", steps.join(" and ")))
    }

    /// After 5 s, and then every 15 s, tells what is waited for, since when and until when.
    pub(crate) async fn tell_of_waiting(&self, timeout: Duration) -> Infallible {
        let until = rfc3339(SystemTime::now() + timeout);
        sleep(Duration::from_secs(5)).await;
        loop {
            if let Some(waiting) = self.waiting() {
                log::waiting(&format!("{waiting}, until {until} at the latest"));
            }
            sleep(Duration::from_secs(15)).await;
        }
    }

    /// What `work` gives. The step ends with it, though that is told later: of steps side by side
    /// each has an end of its own.
    pub(crate) async fn timed<T, E>(
        &self,
        step: Step,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let result = work.await;
        let end = result.is_ok().then(|| self.now());
        let mut open = self.open.borrow_mut();
        open.iter_mut().filter(|open| open.step == step).for_each(|open| open.end = end);
        result
    }

    /// A step that was entered has ended well.
    pub(crate) fn done(&self, step: Step, attempts: u32, detail: impl Into<String>) {
        let (time, detail) = (self.leave(step), one_line(&detail.into(), MAX_TEXT));
        let took = milliseconds(time.end.saturating_sub(time.start));
        tracing::info!("{}: {detail} ({took} ms)", step.name());
        self.close(step, StepOutcome::Ok, time, attempts, detail);
    }

    /// A step that has nothing to do.
    pub(crate) fn skip(&self, step: Step, why: &str) {
        let now = self.now();
        self.close(step, StepOutcome::Skipped, now..now, 0, why.into());
    }

    /// The step that an error ended, and those that it cut off. An error can come before its step:
    /// what cannot be replaced is found while the file is compared.
    pub(crate) fn failed(&self, error: &Error) {
        let why = "cut off by the failure of another step";
        let (start, now) = (self.leave(error.step).start, self.now());
        for open in self.open.take().into_iter().filter(|open| open.step.is_reported()) {
            self.close(open.step, StepOutcome::Skipped, open.start..now, 1, why.into());
        }
        if error.step.is_reported() {
            let word = error.status().name().into();
            self.close(error.step, StepOutcome::Failed, start..now, 1, word);
        }
    }

    /// When a connection was opened.
    pub(super) fn connection(&self, opened: Opened) -> ConnectionReport {
        let Opened { to, began, ended } = opened;
        let start = began.saturating_duration_since(self.clock);
        let duration_ms = milliseconds(ended.saturating_duration_since(began));
        ConnectionReport { to, start_ms: milliseconds(start), duration_ms }
    }

    /// The steps, in the order in which they ended.
    pub(super) fn into_steps(self) -> Vec<StepReport> {
        self.ended.into_inner()
    }

    /// Ends a step that reports do not list; gives its beginning and end.
    pub(crate) fn leave(&self, step: Step) -> Range<Duration> {
        let (now, mut open) = (self.now(), self.open.borrow_mut());
        let entered = open.iter().position(|open| open.step == step).map(|at| open.remove(at));
        entered.map_or(now..now, |open| open.start..open.end.unwrap_or(now))
    }

    fn close(
        &self,
        step: Step,
        outcome: StepOutcome,
        time: Range<Duration>,
        attempts: u32,
        detail: String,
    ) {
        let duration_ms = milliseconds(time.end.saturating_sub(time.start));
        let (step, start_ms) = (step.name(), milliseconds(time.start));
        let ended = StepReport { step, outcome, start_ms, duration_ms, attempts, detail };
        self.ended.borrow_mut().push(ended);
    }
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

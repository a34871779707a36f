//! Waiting and trying again: every pause of the program is made here, by one clock.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::NetworkError;
use super::pauses::Pauses;

/// Pauses between questions to a service of this host alone, which double from one failed attempt
/// to the next. Jitter takes up to half of each.
#[derive(Debug)]
pub(crate) struct Backoff {
    whole: Duration,
    longest: Duration,
    deadline: Instant,
    /// Attempts that have failed so far.
    pub(crate) attempts: u32,
}

impl Backoff {
    pub(crate) fn new(first: Duration, longest: Duration, deadline: Instant) -> Self {
        Backoff { whole: first, longest, deadline, attempts: 0 }
    }

    /// The pause after one more attempt has failed; `None` if it would not end before the deadline.
    pub(crate) fn pause(&mut self) -> Option<Duration> {
        let pause = self.whole.mul_f64(fastrand::f64().mul_add(0.5, 0.5));
        self.whole = (self.whole * 2).min(self.longest);
        self.attempts += 1;
        (Instant::now() + pause < self.deadline).then_some(pause)
    }
}

/// Even pauses, to look again at something of this host; the last one ends at the deadline.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Poll {
    interval: Duration,
    deadline: Instant,
}

impl Poll {
    pub(crate) fn new(interval: Duration, deadline: Instant) -> Self {
        Poll { interval, deadline }
    }

    /// From now on, for at most so long.
    pub(crate) fn lasting(interval: Duration, timeout: Duration) -> Self {
        Poll::new(interval, Instant::now() + timeout)
    }

    fn pause(&self) -> Option<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        (!left.is_zero()).then(|| self.interval.min(left))
    }

    /// Waits; `false`, at once, if the deadline has passed.
    pub(crate) async fn wait(&self) -> bool {
        let pause = self.pause();
        sleep(pause.unwrap_or_default()).await;
        pause.is_some()
    }

    /// The same where there is no runtime.
    pub(crate) fn wait_blocking(&self) -> bool {
        let pause = self.pause();
        std::thread::sleep(pause.unwrap_or_default());
        pause.is_some()
    }
}

/// What to do after an attempt that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Asking again would get the same answer.
    GiveUp,
    /// It may pass with time.
    Wait,
    /// The service asks for less traffic, and its quota is the account's.
    WaitLong,
    /// The attempt learned how to ask better: another region, the right time.
    AtOnce,
}

/// One attempt that failed.
#[derive(Debug)]
pub(crate) struct FailedAttempt<E> {
    pub(crate) error: E,
    pub(crate) causes: Vec<String>,
    pub(crate) next: Next,
}

impl<E> FailedAttempt<E> {
    pub(crate) fn last(error: E) -> Self {
        Self { error, causes: vec![], next: Next::GiveUp }
    }

    pub(crate) fn then(self, next: Next) -> Self {
        Self { next, ..self }
    }

    pub(crate) fn because(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }
}

/// Tries until it works, the answer will not change, or the deadline comes; gives what came of it,
/// and the number of attempts.
///
/// The SDK's own retries are off. A body that breaks off halfway is outside them; and when the
/// deadline ends the wait, the user wants to read what kept failing, not that time passed.
pub(crate) async fn retry<T, E: Display + From<NetworkError>>(
    deadline: Instant,
    mut attempt: impl AsyncFnMut(u32) -> Result<T, FailedAttempt<E>>,
) -> (Result<T, FailedAttempt<E>>, u32) {
    let (mut ordinary, mut throttled) = (Pauses::ordinary(), Pauses::throttled());
    let mut before = FailedAttempt::last(NetworkError::Deadline.into());
    let mut number = 0;
    loop {
        number += 1;
        let failed = match timeout_at(deadline, attempt(number)).await {
            Ok(Ok(done)) => return (Ok(done), number),
            Ok(Err(failed)) => failed,
            Err(_) => return (Err(before), number),
        };
        let pause = match failed.next {
            Next::GiveUp => return (Err(failed), number),
            Next::AtOnce => Duration::ZERO,
            Next::Wait => ordinary.next(),
            Next::WaitLong => throttled.next(),
        };
        if Instant::now() + pause >= deadline {
            return (Err(failed), number);
        }
        tracing::info!(
            attempt = number,
            pause_ms = pause.as_millis() as u64,
            "trying again: {}",
            failed.error
        );
        before = failed;
        sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: NetworkError = NetworkError::Server(503);

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
            .block_on(future)
    }

    fn failed(next: Next) -> FailedAttempt<NetworkError> {
        FailedAttempt::last(SERVER).then(next)
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(500)
    }

    #[test]
    fn retry_tries_until_it_works() {
        let work = async |number| if number < 3 { Err(failed(Next::AtOnce)) } else { Ok(number) };
        let (found, attempts) = run(async { retry(soon(), work).await });
        assert_eq!((found.unwrap(), attempts), (3, 3));
    }

    #[test]
    fn retry_gives_up_on_a_final_answer() {
        let (found, attempts) =
            run(async { retry(soon(), async |_| Err::<(), _>(failed(Next::GiveUp))).await });
        assert_eq!((found.unwrap_err().error, attempts), (SERVER, 1));
    }

    #[test]
    fn retry_reports_the_last_failure_at_the_deadline() {
        let work = async |number| match number {
            1 => Err::<(), _>(failed(Next::AtOnce)),
            _ => std::future::pending().await,
        };
        let (found, attempts) = run(async { retry(soon(), work).await });
        assert_eq!((found.unwrap_err().error, attempts), (SERVER, 2));
        let never = async |_| std::future::pending::<Result<(), FailedAttempt<_>>>().await;
        let (found, attempts) = run(async { retry(soon(), never).await });
        assert_eq!((found.unwrap_err().error, attempts), (NetworkError::Deadline, 1));
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let far = Instant::now() + Duration::from_secs(3600);
        let (first, longest) = (Duration::from_millis(100), Duration::from_secs(2));
        let mut backoff = Backoff::new(first, longest, far);
        for attempt in 0..100 {
            let full = (first * 2u32.pow(attempt.min(10))).min(longest);
            let found = backoff.pause().unwrap();
            assert!(found >= full / 2 && found <= full, "{attempt}: {found:?}");
        }
        assert_eq!(Backoff::new(first, longest, Instant::now()).pause(), None);
    }

    #[test]
    fn jitter_is_full_and_grows_to_its_limit() {
        for (mut pauses, longest) in [(Pauses::ordinary(), 20), (Pauses::throttled(), 240)] {
            let taken: Vec<Duration> = (0..1000).map(|_| pauses.next()).collect();
            let longest = Duration::from_secs(longest);
            assert!(taken.iter().all(|pause| *pause <= longest));
            assert!(taken.iter().any(|pause| *pause > longest * 9 / 10));
            assert!(taken[20..].iter().any(|pause| *pause < longest / 10));
        }
    }

    #[test]
    fn poll_waits_until_the_deadline_and_no_longer() {
        let poll = Poll::new(Duration::from_secs(3600), Instant::now() + Duration::from_millis(50));
        assert!(poll.wait_blocking());
        assert!(!poll.wait_blocking());
        assert!(!run(poll.wait()));
    }
}

//! Tries until it works, the answer will not change, or the run's deadline comes; remembers what
//! was wrong last.
//!
//! S3's, STS's and a web server's failures share this one loop rather than the SDK's: a body that
//! breaks off halfway is outside the SDK's retries, and when the deadline ends the wait, the user
//! wants to read what kept failing, not that time passed.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::failure::Kind;

/// One attempt that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    pub(crate) causes: Vec<String>,
    pub(crate) next: Next,
}

/// What to do after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Asking again would get the same answer.
    GiveUp,
    /// It may pass with time.
    Wait,
    /// The attempt learned how to ask better: another region, the right time.
    AtOnce,
}

impl Failure {
    pub(crate) fn last(kind: Kind) -> Self {
        Self { kind, causes: vec![], next: Next::GiveUp }
    }

    pub(super) fn because(self, cause: impl Into<String>) -> Self {
        let mut causes = self.causes;
        causes.push(cause.into());
        Self { causes, ..self }
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What came of it, and after how many attempts.
pub(crate) async fn until<T>(
    deadline: Instant,
    mut attempt: impl AsyncFnMut(u32) -> Result<T, Failure>,
) -> (Result<T, Failure>, u32) {
    let (mut before, mut number) = (Failure::last(Kind::Deadline), 0);
    loop {
        number += 1;
        let failure = match timeout_at(deadline, attempt(number)).await {
            Ok(Ok(done)) => return (Ok(done), number),
            Ok(Err(failure)) => failure,
            Err(_) => return (Err(before), number),
        };
        let pause = if failure.next == Next::AtOnce { Duration::ZERO } else { pause(number) };
        if failure.next == Next::GiveUp || Instant::now() + pause >= deadline {
            return (Err(failure), number);
        }
        tracing::info!(
            attempt = number,
            pause_ms = pause.as_millis() as u64,
            "trying again: {}",
            failure.kind
        );
        before = failure;
        sleep(pause).await;
    }
}

/// Doubles up to 5 s; jitter takes up to half of it, so that a fleet that boots together does not
/// come back together.
fn pause(attempt: u32) -> Duration {
    let doubled = FIRST_PAUSE * 2u32.pow((attempt - 1).min(10));
    doubled.min(LONGEST_PAUSE).mul_f64(fastrand::f64().mul_add(0.5, 0.5))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
            .block_on(future)
    }

    fn failure(next: Next) -> Failure {
        Failure { next, ..Failure::last(Kind::Server(503)) }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(500)
    }

    #[test]
    fn it_tries_again_until_it_works() {
        let work = async |number| if number < 3 { Err(failure(Next::AtOnce)) } else { Ok(number) };
        let (found, attempts) = run(async { until(soon(), work).await });
        assert_eq!((found.unwrap(), attempts), (3, 3));
    }

    #[test]
    fn an_answer_that_will_not_change_is_final_at_once() {
        let (found, attempts) =
            run(async { until(soon(), async |_| Err::<(), _>(failure(Next::GiveUp))).await });
        assert_eq!((found.unwrap_err().kind, attempts), (Kind::Server(503), 1));
    }

    #[test]
    fn at_the_deadline_the_last_failure_is_told_and_not_that_time_passed() {
        let work = async |number| match number {
            1 => Err::<(), _>(failure(Next::AtOnce)),
            _ => std::future::pending().await,
        };
        let (found, attempts) = run(async { until(soon(), work).await });
        assert_eq!((found.unwrap_err().kind, attempts), (Kind::Server(503), 2));
        let (found, attempts) = run(async {
            until(soon(), async |_| std::future::pending::<Result<(), _>>().await).await
        });
        assert_eq!((found.unwrap_err().kind, attempts), (Kind::Deadline, 1));
    }

    #[test]
    fn pauses_grow_to_five_seconds_and_no_further() {
        for attempt in 1..100 {
            let full = (FIRST_PAUSE * 2u32.pow((attempt - 1).min(10))).min(LONGEST_PAUSE);
            let found = pause(attempt);
            assert!(found >= full / 2 && found <= full, "{attempt}: {found:?}");
        }
    }
}

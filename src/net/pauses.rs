//! How long to wait before the next attempt. Pure: `tests/bench/simulation` drives this file in
//! simulated time.

use std::time::Duration;

/// Pauses that grow from one failed attempt to the next. Each is anything between nothing and the
/// whole (full jitter): of a fleet that failed together, no two hosts come back together.
/// <https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/>
#[derive(Debug)]
pub(crate) struct Pauses {
    whole: Duration,
    longest: Duration,
}

impl Pauses {
    /// After a failure of the network or of a server.
    pub(crate) fn ordinary() -> Self {
        Pauses { whole: Duration::from_millis(200), longest: Duration::from_secs(20) }
    }

    /// Where a service asks for less traffic: the quota is the account's, and its other users need
    /// it too.
    pub(crate) fn throttled() -> Self {
        Pauses { whole: Duration::from_secs(120), longest: Duration::from_secs(240) }
    }

    /// The pause after one more failure.
    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.whole.mul_f64(fastrand::f64());
        self.whole = (self.whole * 2).min(self.longest);
        pause
    }
}

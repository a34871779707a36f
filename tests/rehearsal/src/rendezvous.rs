//! Requests that a client must have under way at the same time: their answers are held until all of
//! them have come. A test of concurrency that needs no clock.

use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use crate::fault::Service;

/// In place of a request's path: that a connection has been accepted.
pub const CONNECTION: &str = "a connection";

/// For a client that waits for an answer before it sends the next request: it gets the answer after
/// this time, and the rendezvous has failed.
const LIMIT: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(crate) struct Rendezvous {
    meetings: Mutex<Vec<Meeting>>,
    arrived: Condvar,
}

struct Meeting {
    expected: Vec<(Service, String)>,
    missing: Vec<(Service, String)>,
    failed: bool,
}

impl Rendezvous {
    /// Holds the answers to these requests until all of them have come.
    pub(crate) fn expect(&self, requests: &[(Service, &str)]) {
        let expected: Vec<_> =
            requests.iter().map(|(service, path)| (*service, (*path).to_owned())).collect();
        let missing = expected.clone();
        self.meetings().push(Meeting { expected, missing, failed: false });
    }

    /// Whether every expected request came while the others were under way.
    pub(crate) fn succeeded(&self) -> bool {
        self.meetings().iter().all(|meeting| meeting.missing.is_empty() && !meeting.failed)
    }

    /// Called for each request before it is answered; returns at once if it is not expected.
    pub(crate) fn hold(&self, service: Service, path: &str) {
        let mut meetings = self.meetings();
        let request = (service, path.to_owned());
        let found = meetings.iter().position(|meeting| meeting.expected.contains(&request));
        let Some(index) = found else { return };
        meetings[index].missing.retain(|missing| *missing != request);
        self.arrived.notify_all();
        let is_incomplete = |meetings: &mut Vec<Meeting>| !meetings[index].missing.is_empty();
        let (mut meetings, result) = self
            .arrived
            .wait_timeout_while(meetings, LIMIT, is_incomplete)
            .expect("no thread panics while it holds the meetings");
        meetings[index].failed |= result.timed_out();
    }

    fn meetings(&self) -> MutexGuard<'_, Vec<Meeting>> {
        self.meetings.lock().expect("no thread panics while it holds the meetings")
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn rendezvous_succeeds_once_every_expected_request_came() {
        let rendezvous = Rendezvous::default();
        rendezvous.expect(&[(Service::Sts, "/"), (Service::S3, "/b/k")]);
        rendezvous.hold(Service::S3, "/b/other");
        assert!(!rendezvous.succeeded());
        thread::scope(|scope| {
            scope.spawn(|| rendezvous.hold(Service::Sts, "/"));
            scope.spawn(|| rendezvous.hold(Service::S3, "/b/k"));
        });
        assert!(rendezvous.succeeded());
        rendezvous.hold(Service::S3, "/b/k");
    }
}

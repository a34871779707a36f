//! What the cloud saw: every request in order, with times, and never a secret. Tests count round
//! trips with it.

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::fault::Service;
use crate::http::{Request, decoded};

/// One request and when it was answered.
#[derive(Clone, Debug)]
pub struct Seen {
    pub service: Service,
    /// Counts the cloud's connections from 1: two requests with the same number came over the same
    /// one.
    pub connection: u64,
    pub method: String,
    pub host: String,
    /// Decoded, without the query.
    pub path: String,
    /// The query without its values, which may be secret: `versionId&X-Amz-Signature`.
    pub parameters: String,
    /// A token of IMDS's came with it, good or bad.
    pub had_token: bool,
    /// A signature came with it, good or bad.
    pub signed: bool,
    /// The region the signature was made for.
    pub signed_for: Option<String>,
    /// It came through a proxy (`X-Forwarded-For` or `Via`).
    pub forwarded: bool,
    pub user_agent: String,
    /// 0 while there is no answer (for ever, if the cloud hangs).
    pub status: u16,
    /// When its last byte had come, since the cloud began.
    pub start: Duration,
    /// When the first byte of the answer left, since the cloud began: whatever the client does
    /// because of it comes later. `None` while it waits.
    pub end: Option<Duration>,
}

/// The longest run of requests each of which began after the one before had ended: no boot with
/// these requests can be quicker than so many answers.
pub fn longest_chain(requests: &[Seen]) -> usize {
    let mut ended: Vec<(Duration, Duration)> =
        requests.iter().filter_map(|seen| Some((seen.end?, seen.start))).collect();
    ended.sort_unstable();
    let mut free_from = Duration::ZERO;
    let mut chain = 0;
    for (end, start) in ended {
        if start >= free_from {
            (free_from, chain) = (end, chain + 1);
        }
    }
    chain
}

pub(crate) struct Journal {
    began: Instant,
    seen: Mutex<Vec<Seen>>,
}

impl Default for Journal {
    fn default() -> Self {
        Self { began: Instant::now(), seen: Mutex::default() }
    }
}

impl Journal {
    /// Notes a request that has come; returns its index in the journal.
    pub(crate) fn begins(&self, service: Service, connection: u64, request: &Request) -> usize {
        let start = self.began.elapsed();
        let mut seen = self.seen();
        seen.push(seen_now(service, connection, request, start));
        seen.len() - 1
    }

    /// Notes that the answer is about to leave; returns the entry.
    pub(crate) fn ends(&self, index: usize, status: u16) -> Seen {
        let end = self.began.elapsed();
        let entry = &mut self.seen()[index];
        (entry.status, entry.end) = (status, Some(end));
        entry.clone()
    }

    pub(crate) fn entry(&self, index: usize) -> Seen {
        self.seen()[index].clone()
    }

    pub(crate) fn all(&self) -> Vec<Seen> {
        self.seen().clone()
    }

    fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().expect("no thread panics while it holds the journal")
    }
}

fn seen_now(service: Service, connection: u64, request: &Request, start: Duration) -> Seen {
    let scope = request
        .header("authorization")
        .map(str::to_owned)
        .or_else(|| request.parameter("X-Amz-Credential"));
    Seen {
        service,
        connection,
        method: request.method.clone(),
        host: request.host().into(),
        path: decoded(request.path()),
        parameters: request.query().into_iter().map(|(name, _)| name).collect::<Vec<_>>().join("&"),
        had_token: request.header("x-aws-ec2-metadata-token").is_some(),
        signed: scope.is_some(),
        signed_for: scope.and_then(|scope| Some(scope.split('/').nth(2)?.to_owned())),
        forwarded: request.header("x-forwarded-for").or_else(|| request.header("via")).is_some(),
        user_agent: request.header("user-agent").unwrap_or_default().into(),
        status: 0,
        start,
        end: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(start_ms: u64, end_ms: u64) -> Seen {
        let seen = seen_now(Service::Imds, 1, &Request::default(), Duration::from_millis(start_ms));
        Seen { end: Some(Duration::from_millis(end_ms)), ..seen }
    }

    #[test]
    fn longest_chain_counts_concurrent_requests_once() {
        assert_eq!(longest_chain(&[seen(0, 50), seen(51, 100), seen(52, 103), seen(104, 150)]), 3);
        assert_eq!(longest_chain(&[]), 0);
    }

    #[test]
    fn journal_records_no_query_values() {
        let request =
            Request { target: "/a%20b?X-Amz-Signature=PLANTED&v=1".into(), ..Request::default() };
        let seen = seen_now(Service::S3, 1, &request, Duration::ZERO);
        assert_eq!((seen.path.as_str(), seen.parameters.as_str()), ("/a b", "X-Amz-Signature&v"));
        assert!(!format!("{seen:?}").contains("PLANTED"));
    }
}

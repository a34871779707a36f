//! IMDSv2, and never version 1: one token, then whatever the caller asks for, until the run's
//! deadline.
//!
//! Takes an endpoint and a deadline; talks to the metadata service and to no other server: no proxy
//! whatever the environment names, no redirects. Statuses are read as the EC2 User Guide ("Use the
//! Instance Metadata Service") and the AWS SDKs read them: 400 and 403 are final, 401 asks for one
//! new token, 404 means that there is no such item, and all else may pass with time.

mod error;
mod options;
mod probe;

use std::cell::Cell;
use std::fmt::Display;
use std::pin::pin;
use std::time::Duration;

use ecs_config::text::printable;
pub(crate) use error::Error;
use futures_util::future::{Either, select};
use http::Method;
use http::header::{HeaderName, HeaderValue};
pub(crate) use options::Options;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};
use url::Url;

use crate::net::backoff::Backoff;
use crate::net::{Http, NetworkError, RequestFailed, request};
use crate::paths::MAX_DOCUMENT;

const TOKEN: &str = "api/token";
const TOKEN_HEADER: &str = "x-aws-ec2-metadata-token";
const TTL_HEADER: &str = "x-aws-ec2-metadata-token-ttl-seconds";
/// Longer than any run, and a life that the service accepts (1 to 21600 s).
const TTL_SECONDS: HeaderValue = HeaderValue::from_static("21600");
const IPV4: &str = "http://169.254.169.254";
const IPV6: &str = "http://[fd00:ec2::254]";
/// How long IPv4 has to itself where no variable says which of the two to use.
const IPV6_AFTER: Duration = Duration::from_millis(150);
/// After so many token requests in a row that hung while a plain GET was answered, it is the hop
/// limit and not a slow service.
const HOP_LIMIT_EVIDENCE: u32 = 3;
/// The pauses between attempts.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// One attempt's end, short of an answer.
enum Attempt {
    Final(Error),
    /// It may pass with time.
    Again(NetworkError),
}

/// A session with the metadata service: the endpoint that answered, and its token.
pub(crate) struct Imds {
    pub(super) http: Http,
    options: Options,
    pub(super) deadline: Instant,
    /// Locked while a token is asked for, so that requests side by side wait for one and do not
    /// each ask for their own.
    session: Mutex<Option<Session>>,
    /// How often something had to be asked again so far.
    pub(super) repeats: Cell<u32>,
}

#[derive(Clone)]
struct Session {
    endpoint: String,
    token: HeaderValue,
}

impl Imds {
    /// `http` must know neither proxies nor redirects: [`Http::direct`].
    pub(crate) fn new(http: Http, options: Options, deadline: Instant) -> Self {
        Imds { http, options, deadline, session: Mutex::default(), repeats: Cell::new(0) }
    }

    /// The text of one item below `/latest/`; `None` if there is no such item.
    pub(crate) async fn get(&self, path: &str) -> Result<Option<String>, Error> {
        self.retry(async |attempts| {
            // The second time with a new token.
            for _ in 0..2 {
                let session = self.session().await.map_err(Attempt::Final)?;
                if let Some(item) = self.read(&session, path, self.limit(attempts)).await? {
                    return Ok(item);
                }
                self.give_back(&session).await;
            }
            Err(Attempt::Final(refused(401, path)))
        })
        .await
    }

    /// Begins the session with a token, if there is none yet; gives the endpoint that answered.
    pub(crate) async fn begin_session(&self) -> Result<String, Error> {
        Ok(self.session().await?.endpoint)
    }

    async fn session(&self) -> Result<Session, Error> {
        let mut current = self.session.lock().await;
        if let Some(session) = current.as_ref() {
            return Ok(session.clone());
        }
        if self.options.disabled {
            return Err(Error::Disabled);
        }
        Ok(current.insert(self.begin().await?).clone())
    }

    /// A refused token is not used again. One that another request has renewed meanwhile stays.
    async fn give_back(&self, refused: &Session) {
        let mut current = self.session.lock().await;
        if current.as_ref().is_some_and(|session| session.token == refused.token) {
            *current = None;
        }
    }

    async fn begin(&self) -> Result<Session, Error> {
        let endpoints = &self.options.endpoints;
        let mut hung = 0;
        self.retry(async |attempts| {
            let failed = match self.token(endpoints, self.limit(attempts)).await {
                Err(Attempt::Again(fault)) => fault,
                settled => return settled,
            };
            // Where a plain GET is answered, if only with 401, the way there is open, and only the
            // PUT's answer is lost.
            let is_hop_limit = matches!(failed, NetworkError::Silent(_))
                && self.status_of_plain_get(&endpoints[0]).await.is_some();
            hung = if is_hop_limit { hung + 1 } else { 0 };
            if hung == HOP_LIMIT_EVIDENCE {
                let endpoint = endpoints[0].clone();
                return Err(Attempt::Final(Error::HopLimit { endpoint }));
            }
            Err(Attempt::Again(failed))
        })
        .await
    }

    /// A token from the first endpoint that gives one. IPv4's failure is the one worth reporting:
    /// hardly any host has IPv6 metadata.
    async fn token(&self, endpoints: &[String], limit: Duration) -> Result<Session, Attempt> {
        let [first, second] = endpoints else { return self.put(&endpoints[0], limit).await };
        let ipv4 = pin!(self.put(first, limit));
        let ipv6 = pin!(async {
            sleep(IPV6_AFTER).await;
            self.put(second, limit).await
        });
        match select(ipv4, ipv6).await {
            Either::Left((Err(Attempt::Again(fault)), ipv6)) => {
                ipv6.await.map_err(|_| Attempt::Again(fault))
            }
            Either::Right((Err(_), ipv4)) => ipv4.await,
            Either::Left((settled, _)) | Either::Right((settled, _)) => settled,
        }
    }

    async fn put(&self, endpoint: &str, limit: Duration) -> Result<Session, Attempt> {
        let ttl = Some((TTL_HEADER, TTL_SECONDS));
        let (status, body) = self.send(Method::PUT, endpoint, TOKEN, ttl, limit).await?;
        let what = match (status, token(&body)) {
            (200, Some(token)) => return Ok(Session { endpoint: endpoint.into(), token }),
            (200, None) => "what it gives is not a token (a page of HTML, perhaps)",
            (403, _) => return Err(Attempt::Final(refused(status, TOKEN))),
            (404 | 405, _) => "it has no session tokens (IMDSv2); version 1 is never used",
            _ => return Err(unexpected(endpoint, TOKEN, status)),
        };
        Err(not_imds(endpoint, what))
    }

    /// The item, or that there is none; `None` if the token is refused.
    async fn read(
        &self,
        session: &Session,
        path: &str,
        limit: Duration,
    ) -> Result<Option<Option<String>>, Attempt> {
        let Session { endpoint, token } = session;
        let token = Some((TOKEN_HEADER, token.clone()));
        let (status, body) = self.send(Method::GET, endpoint, path, token, limit).await?;
        match status {
            200 => Ok(Some(Some(body))),
            401 => Ok(None),
            404 => Ok(Some(None)),
            400 | 403 => Err(Attempt::Final(refused(status, path))),
            _ => Err(unexpected(endpoint, path, status)),
        }
    }

    /// The status that a request without a token is answered with.
    async fn status_of_plain_get(&self, endpoint: &str) -> Option<u16> {
        let answer = self.send(Method::GET, endpoint, "meta-data/", None, probe::TIMEOUT).await;
        answer.ok().map(|(status, _)| status)
    }

    /// Status and body of an answer. Only the body of a 200 is read.
    async fn send(
        &self,
        method: Method,
        endpoint: &str,
        path: &str,
        header: Option<(&'static str, HeaderValue)>,
        limit: Duration,
    ) -> Result<(u16, String), Attempt> {
        let url = Url::parse(&format!("{endpoint}/latest/{path}"))
            .map_err(|error| not_imds(endpoint, &error.to_string()))?;
        let header = header.map(|(name, value)| (HeaderName::from_static(name), value));
        let exchange = async {
            let mut request = request(method, &url)?;
            request.headers_mut().extend(header);
            let answer = self.http.send(request, limit, MAX_DOCUMENT).await?;
            match answer.status() {
                200 => Ok((200, answer.bytes().await?)),
                status => Ok((status, Vec::new())),
            }
        };
        let failed = |fault| match fault {
            NetworkError::TooLong => not_imds(endpoint, "its answer is too long"),
            fault => Attempt::Again(fault),
        };
        let done = timeout(limit, exchange).await;
        let done = done.map_err(|_| Attempt::Again(NetworkError::unanswered(&url)))?;
        done.map(|(status, body)| (status, String::from_utf8_lossy(&body).trim().to_owned()))
            .map_err(|error: RequestFailed| failed(error.kind()))
    }

    /// The pauses between attempts, until the deadline.
    pub(super) fn backoff(&self) -> Backoff {
        Backoff::new(FIRST_PAUSE, LONGEST_PAUSE, self.deadline)
    }

    /// How long an attempt after so many may take. Attempts grow longer: a token may take seconds
    /// on a busy host, and a lost packet should not cost as much.
    fn limit(&self, attempts: u32) -> Duration {
        let growing = Duration::from_secs(1 << attempts.min(3));
        let left = self.deadline.saturating_duration_since(Instant::now());
        self.options.timeout.unwrap_or(growing).min(left).max(Duration::from_millis(1))
    }

    /// Tries until it works or is final, until the deadline, or for as many attempts as AWS's
    /// variable allows.
    async fn retry<T>(
        &self,
        mut attempt: impl AsyncFnMut(u32) -> Result<T, Attempt>,
    ) -> Result<T, Error> {
        let mut backoff = self.backoff();
        loop {
            let source = match attempt(backoff.attempts).await {
                Ok(done) => return Ok(done),
                Err(Attempt::Final(error)) => return Err(error),
                Err(Attempt::Again(fault)) => fault,
            };
            let (pause, attempts) = (backoff.pause(), backoff.attempts);
            match pause.filter(|_| self.options.attempts.is_none_or(|most| attempts < most)) {
                Some(pause) => self.sleep(pause, &source).await,
                None => {
                    let endpoint = self.options.endpoints.join(" or ");
                    return Err(Error::Unreachable { endpoint, attempts, source });
                }
            }
        }
    }

    /// Waits between two attempts, and logs the reason the first time.
    pub(super) async fn sleep(&self, pause: Duration, reason: &impl Display) {
        if self.repeats.get() == 0 {
            tracing::info!("identity: waiting: {reason}");
        }
        self.repeats.set(self.repeats.get() + 1);
        sleep(pause).await;
    }
}

/// Some answers may be others with time; the rest are not of the metadata service.
fn unexpected(endpoint: &str, path: &str, status: u16) -> Attempt {
    let what = || format!("it answered {} with HTTP status {status}", printable(path));
    NetworkError::of_answer(status, "").map_or_else(|| not_imds(endpoint, &what()), Attempt::Again)
}

fn refused(status: u16, path: &str) -> Error {
    Error::Refused { status, path: format!("/latest/{}", printable(path)) }
}

fn not_imds(endpoint: &str, what: &str) -> Attempt {
    Attempt::Final(Error::NotImds { endpoint: endpoint.into(), what: what.into() })
}

fn token(body: &str) -> Option<HeaderValue> {
    let is_token = !body.is_empty()
        && body.len() <= 1024
        && body.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'<' && byte != b'>');
    HeaderValue::from_str(body).ok().filter(|_| is_token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::tests::server::{BUFFERS, Server, answer, endless, run};

    #[test]
    fn html_is_not_a_token() {
        assert!(token("AQAEAJ5eXbK5==").is_some());
        assert!(["", "<html>", "two words"].into_iter().all(|body| token(body).is_none()));
    }

    fn get(answers: Vec<String>) -> (Result<Option<String>, Error>, usize) {
        let server = Server::start(answers);
        let vars = [("AWS_EC2_METADATA_SERVICE_ENDPOINT".to_owned(), server.url())].into();
        let options = Options::from_vars(&vars).unwrap();
        let got = run(async {
            let deadline = Instant::now() + Duration::from_secs(20);
            Imds::new(Http::direct(), options, deadline).get("meta-data/x").await
        });
        (got, server.exchanges().iter().map(|exchange| exchange.sent).sum())
    }

    #[test]
    fn endless_metadata_is_not_imds() {
        for answers in [vec![endless(200)], vec![answer(200, "", "token"), endless(200)]] {
            let (got, sent) = get(answers);
            assert!(matches!(got, Err(Error::NotImds { .. })), "{got:?}");
            assert!(sent < BUFFERS, "{sent} bytes were sent");
        }
    }

    #[test]
    fn body_of_a_refusal_is_not_read() {
        let (got, sent) = get(vec![answer(200, "", "token"), endless(404)]);
        assert!(matches!(got, Ok(None)), "{got:?}");
        assert!(sent < BUFFERS, "{sent} bytes were sent");
    }
}

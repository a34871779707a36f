//! IMDSv2, and never version 1: one token, then whatever the caller asks for, until the run's
//! deadline.
//!
//! Takes an endpoint and a deadline; talks to the metadata service and nobody else: no proxy
//! whatever the environment says, no redirects, bodies of at most 64 KiB. Statuses are read as the
//! EC2 User Guide ("Use the Instance Metadata Service") and the AWS SDKs read them: 400 and 403 are
//! final, 401 asks for one new token, 404 means that there is no such item, and all else may pass
//! with time.

mod look;

use std::cell::Cell;
use std::time::Duration;

use reqwest::{Client, Method, Response, StatusCode};
use thiserror::Error;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use crate::net;

const TOKEN: &str = "/latest/api/token";
const TOKEN_HEADER: &str = "x-aws-ec2-metadata-token";
const TTL_HEADER: &str = "x-aws-ec2-metadata-token-ttl-seconds";
/// Longer than any run, and a life that the service accepts (1 to 21600 s).
const TTL_SECONDS: &str = "21600";
const IPV4: &str = "http://169.254.169.254";
const IPV6: &str = "http://[fd00:ec2::254]";
/// How long IPv4 has to itself where nobody said which of the two to use.
const IPV6_AFTER: Duration = Duration::from_millis(150);
const MAX_BODY: usize = 64 * 1024;
/// After so many token requests in a row that hung while a plain GET was answered, it is the hop
/// limit and not a slow service.
const HOP_LIMIT_EVIDENCE: u32 = 3;

/// Where the metadata service is, and how patient AWS's own variables want us to be.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Options {
    /// AWS_EC2_METADATA_DISABLED.
    pub(crate) disabled: bool,
    /// AWS_EC2_METADATA_SERVICE_ENDPOINT, without a trailing slash.
    pub(crate) endpoint: Option<String>,
    /// AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE is IPv6 (`Some(true)`) or IPv4 (`Some(false)`).
    pub(crate) ipv6: Option<bool>,
    /// AWS_METADATA_SERVICE_TIMEOUT: of one attempt. By default attempts grow longer, from 1 s to
    /// 8 s.
    pub(crate) timeout: Option<Duration>,
    /// AWS_METADATA_SERVICE_NUM_ATTEMPTS. By default the deadline alone ends the trying.
    pub(crate) attempts: Option<u32>,
}

impl Options {
    /// Reads AWS's own variables. The error says which one is wrong.
    pub(crate) fn new<'a>(
        variables: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, String> {
        let mut options = Options::default();
        for (name, value) in variables.filter(|(_, value)| !value.is_empty()) {
            options.set(name, value).map_err(|expected| format!("{name}: expected {expected}"))?;
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), &'static str> {
        match name {
            "AWS_EC2_METADATA_DISABLED" => self.disabled = value.eq_ignore_ascii_case("true"),
            "AWS_EC2_METADATA_SERVICE_ENDPOINT" => self.endpoint = Some(endpoint(value)?),
            "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE" => self.ipv6 = Some(mode(value)?),
            "AWS_METADATA_SERVICE_TIMEOUT" => self.timeout = Some(seconds(value)?),
            "AWS_METADATA_SERVICE_NUM_ATTEMPTS" => {
                self.attempts = Some(
                    value
                        .parse()
                        .ok()
                        .filter(|count| *count > 0)
                        .ok_or("a whole number of at least 1")?,
                );
            }
            _ => {}
        }
        Ok(())
    }

    fn endpoints(&self) -> Vec<String> {
        match (&self.endpoint, self.ipv6) {
            (Some(endpoint), _) => vec![endpoint.clone()],
            (None, Some(true)) => vec![IPV6.into()],
            (None, Some(false)) => vec![IPV4.into()],
            (None, None) => vec![IPV4.into(), IPV6.into()],
        }
    }
}

fn endpoint(value: &str) -> Result<String, &'static str> {
    let url = reqwest::Url::parse(value).map_err(|_| "a URL such as http://169.254.169.254")?;
    match matches!(url.scheme(), "http" | "https") && url.has_host() {
        true => Ok(value.trim_end_matches('/').to_owned()),
        false => Err("a URL with http and a host"),
    }
}

fn mode(value: &str) -> Result<bool, &'static str> {
    match value.to_ascii_lowercase().as_str() {
        "ipv4" => Ok(false),
        "ipv6" => Ok(true),
        _ => Err("IPv4 or IPv6"),
    }
}

fn seconds(value: &str) -> Result<Duration, &'static str> {
    let seconds = value.parse::<f64>().ok().filter(|seconds| *seconds > 0.0 && *seconds < 3600.0);
    seconds.map(Duration::from_secs_f64).ok_or("a number of seconds above 0")
}

/// Why the metadata service told us nothing.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("instance metadata is switched off by AWS_EC2_METADATA_DISABLED")]
    Disabled,
    #[error(
        "the instance metadata service is off, or refuses this caller (HTTP status {status} on {path})"
    )]
    Refused { status: u16, path: String },
    #[error("{endpoint} is not the instance metadata service: {what}")]
    NotImds { endpoint: String, what: String },
    #[error(
        "token requests to {endpoint} hang while plain requests are answered: the hop limit is too low for where this runs"
    )]
    HopLimit { endpoint: String },
    #[error("no answer from the instance metadata service at {endpoint} after {attempts} attempts")]
    Unreachable { endpoint: String, attempts: u32, source: Fault },
}

impl Error {
    /// What would mend it.
    pub(crate) fn remedy(&self) -> &'static str {
        match self {
            Error::Disabled => {
                "unset AWS_EC2_METADATA_DISABLED for this program, or use `--host external` on a host outside EC2"
            }
            Error::Refused { .. } => {
                "switch it on: `aws ec2 modify-instance-metadata-options --instance-id ID --http-endpoint enabled --http-tokens required`"
            }
            Error::NotImds { .. } => {
                "find out who answers at that address: a proxy, a firewall's page or another tool's metadata server; \
                 AWS_EC2_METADATA_SERVICE_ENDPOINT says which address is asked"
            }
            Error::HopLimit { .. } => {
                "run it on the host itself, not in a container; or raise the limit: `aws ec2 modify-instance-metadata-options \
                 --instance-id ID --http-put-response-hop-limit 2`"
            }
            Error::Unreachable { .. } => {
                "look whether the network is up, whether a route, proxy or firewall rule takes the address away, and whether this is an \
                 EC2 instance at all (else use `--host external`)"
            }
        }
    }
}

/// What may pass with time: the reason why one attempt failed.
#[derive(Clone, Debug, Error)]
pub(crate) enum Fault {
    #[error("it answered with HTTP status {0}")]
    Status(u16),
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("{0}")]
    Transport(String),
    #[error("the answer was cut short")]
    Cut,
}

/// One attempt's end, short of an answer.
enum Attempt {
    Final(Error),
    Again(Fault),
}

/// A session with the metadata service: the endpoint that answered, and its token.
pub(crate) struct Imds {
    client: Client,
    options: Options,
    deadline: Instant,
    /// Locked while a token is asked for, so that requests side by side wait for one and do not
    /// each ask for their own.
    session: Mutex<Option<Session>>,
    /// How often something had to be asked again.
    repeats: Cell<u32>,
}

#[derive(Clone)]
struct Session {
    endpoint: String,
    token: String,
}

impl Imds {
    /// `client` must know neither proxies nor redirects: [`crate::net::direct`].
    pub(crate) fn new(client: Client, options: Options, deadline: Instant) -> Self {
        Imds { client, options, deadline, session: Mutex::default(), repeats: Cell::new(0) }
    }

    /// How often something had to be asked again so far.
    pub(crate) fn repeats(&self) -> u32 {
        self.repeats.get()
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The text of one item below `/latest/`; `None` if there is no such item.
    pub(crate) async fn get(&self, path: &str) -> Result<Option<String>, Error> {
        let mut patience = Patience { imds: self, attempts: 0 };
        let mut renewed = false;
        loop {
            let session = self.session().await?;
            let fault = match self.read(&session, path, patience.attempt_timeout()).await {
                Ok(Answer::Text(text)) => return Ok(Some(text)),
                Ok(Answer::Absent) => return Ok(None),
                Ok(Answer::TokenRefused) if renewed => {
                    return Err(Error::Refused { status: 401, path: path.into() });
                }
                Ok(Answer::TokenRefused) => {
                    renewed = true;
                    self.give_back(&session).await;
                    continue;
                }
                Err(Attempt::Final(error)) => return Err(error),
                Err(Attempt::Again(fault)) => fault,
            };
            patience.wait(&session.endpoint, fault).await?;
        }
    }

    /// The session, begun with a token if there is none yet.
    pub(crate) async fn session_began(&self) -> Result<(), Error> {
        self.session().await.map(drop)
    }

    async fn session(&self) -> Result<Session, Error> {
        let mut current = self.session.lock().await;
        if let Some(session) = current.as_ref() {
            return Ok(session.clone());
        }
        if self.options.disabled {
            return Err(Error::Disabled);
        }
        let session = self.begin().await?;
        *current = Some(session.clone());
        Ok(session)
    }

    /// A refused token is not used again. One that another request has renewed meanwhile stays.
    async fn give_back(&self, refused: &Session) {
        let mut current = self.session.lock().await;
        if current.as_ref().is_some_and(|session| session.token == refused.token) {
            *current = None;
        }
    }

    async fn begin(&self) -> Result<Session, Error> {
        let endpoints = self.options.endpoints();
        let mut patience = Patience { imds: self, attempts: 0 };
        let mut hung = 0;
        loop {
            let fault = match self.token(&endpoints, patience.attempt_timeout()).await {
                Ok(session) => return Ok(session),
                Err(Attempt::Final(error)) => return Err(error),
                Err(Attempt::Again(fault)) => fault,
            };
            let hop_limit_like = matches!(fault, Fault::Timeout(_))
                && self.answers_without_token(&endpoints[0]).await;
            hung = if hop_limit_like { hung + 1 } else { 0 };
            if hung == HOP_LIMIT_EVIDENCE {
                return Err(Error::HopLimit { endpoint: endpoints[0].clone() });
            }
            patience.wait(&endpoints.join(" or "), fault).await?;
        }
    }

    /// A token from the first endpoint that gives one. IPv4's failure is the one worth telling:
    /// hardly any host has IPv6 metadata.
    async fn token(&self, endpoints: &[String], limit: Duration) -> Result<Session, Attempt> {
        let [first, second] = endpoints else { return self.put(&endpoints[0], limit).await };
        let ipv4 = self.put(first, limit);
        let ipv6 = async {
            sleep(IPV6_AFTER).await;
            self.put(second, limit).await
        };
        tokio::pin!(ipv4, ipv6);
        tokio::select! {
            four = &mut ipv4 => match four {
                Err(Attempt::Again(fault)) => ipv6.await.map_err(|_| Attempt::Again(fault)),
                settled => settled,
            },
            six = &mut ipv6 => match six {
                Ok(session) => Ok(session),
                Err(_) => ipv4.await,
            },
        }
    }

    async fn put(&self, endpoint: &str, limit: Duration) -> Result<Session, Attempt> {
        let request = self
            .client
            .request(Method::PUT, format!("{endpoint}{TOKEN}"))
            .header(TTL_HEADER, TTL_SECONDS);
        let (status, body) = self.send(request, limit).await?;
        let not_imds = |what: &str| {
            Attempt::Final(Error::NotImds { endpoint: endpoint.into(), what: what.into() })
        };
        match status {
            200 if is_token(&body) => Ok(Session { endpoint: endpoint.into(), token: body }),
            200 => Err(not_imds("what it gives as a token is none (a page of HTML, say)")),
            403 => Err(Attempt::Final(Error::Refused { status, path: TOKEN.into() })),
            408 | 429 | 500.. => Err(Attempt::Again(Fault::Status(status))),
            404 | 405 => {
                Err(not_imds("it knows no session tokens (IMDSv2); version 1 is never used"))
            }
            300..400 => Err(not_imds("it redirects")),
            _ => Err(not_imds(&format!(
                "it answered the request for a token with HTTP status {status}"
            ))),
        }
    }

    async fn read(
        &self,
        session: &Session,
        path: &str,
        limit: Duration,
    ) -> Result<Answer, Attempt> {
        let request = self
            .client
            .get(format!("{}/latest/{path}", session.endpoint))
            .header(TOKEN_HEADER, &session.token);
        let (status, body) = self.send(request, limit).await?;
        match status {
            200 => Ok(Answer::Text(body)),
            401 => Ok(Answer::TokenRefused),
            404 => Ok(Answer::Absent),
            400 | 403 => Err(Attempt::Final(Error::Refused { status, path: path.into() })),
            408 | 429 | 500.. => Err(Attempt::Again(Fault::Status(status))),
            _ => {
                let what = format!("it answered {path} with HTTP status {status}");
                Err(Attempt::Final(Error::NotImds { endpoint: session.endpoint.clone(), what }))
            }
        }
    }

    /// Waits between two attempts, and says so the first time.
    pub(crate) async fn pause(&self, attempts: u32, waiting_for: &impl std::fmt::Display) {
        if self.repeats.get() == 0 {
            tracing::info!("identity: waiting: {waiting_for}");
        }
        self.repeats.set(self.repeats.get() + 1);
        sleep(pause(attempts)).await;
    }

    /// Whether a GET without a token is answered at all (with 401): then the way there is open, and
    /// only the PUT's answer is lost.
    async fn answers_without_token(&self, endpoint: &str) -> bool {
        self.send(self.client.get(format!("{endpoint}/latest/meta-data/")), Duration::from_secs(1))
            .await
            .is_ok()
    }

    async fn send(
        &self,
        request: reqwest::RequestBuilder,
        limit: Duration,
    ) -> Result<(u16, String), Attempt> {
        let exchange = async {
            let response =
                request.send().await.map_err(|error| Fault::Transport(innermost(&error)))?;
            let status = response.status();
            Ok((status.as_u16(), text(response, status).await?))
        };
        match timeout(limit, exchange).await {
            Ok(done) => done.map_err(Attempt::Again),
            Err(_) => Err(Attempt::Again(Fault::Timeout(limit))),
        }
    }
}

enum Answer {
    Text(String),
    Absent,
    TokenRefused,
}

/// The body, of which nobody is interested unless the answer is 200.
async fn text(mut response: Response, status: StatusCode) -> Result<String, Fault> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| Fault::Cut)? {
        let room = MAX_BODY - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == MAX_BODY || status != StatusCode::OK {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&body).trim().to_owned())
}

fn is_token(body: &str) -> bool {
    !body.is_empty()
        && body.len() <= 1024
        && body.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'<' && byte != b'>')
}

/// The bottom of a chain of errors: "Connection refused", without the URL that reqwest puts around
/// it.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    net::chain(error).last().unwrap_or(error).to_string()
}

/// Back-off with jitter, until the deadline or as many attempts as AWS's variable allows.
struct Patience<'a> {
    imds: &'a Imds,
    attempts: u32,
}

impl Patience<'_> {
    /// Attempts grow longer: a token may take seconds on a busy host, and a lost packet should not
    /// cost as much.
    fn attempt_timeout(&self) -> Duration {
        let growing = Duration::from_secs(1 << self.attempts.min(3));
        let left = self.imds.deadline.saturating_duration_since(Instant::now());
        self.imds.options.timeout.unwrap_or(growing).min(left).max(Duration::from_millis(1))
    }

    async fn wait(&mut self, endpoint: &str, fault: Fault) -> Result<(), Error> {
        self.attempts += 1;
        let pause = pause(self.attempts);
        let out_of_attempts = self.imds.options.attempts.is_some_and(|most| self.attempts >= most);
        if out_of_attempts || Instant::now() + pause >= self.imds.deadline {
            return Err(Error::Unreachable {
                endpoint: endpoint.into(),
                attempts: self.attempts,
                source: fault,
            });
        }
        self.imds.pause(self.attempts, &fault).await;
        Ok(())
    }
}

/// How long to wait after so many attempts: 100 ms and doubling, at most 2 s, between half of it
/// and all of it.
pub(crate) fn pause(attempts: u32) -> Duration {
    let whole =
        Duration::from_millis(100 << attempts.saturating_sub(1).min(5)).min(Duration::from_secs(2));
    whole.mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(variables: &[(&str, &str)], expected: Result<&[&str], &str>) {
        let options = Options::new(variables.iter().copied());
        let found = options.map(|options| options.endpoints());
        assert_eq!(
            found
                .as_ref()
                .map(|all| all.iter().map(String::as_str).collect::<Vec<_>>())
                .map_err(String::as_str),
            expected.map(Vec::from)
        );
    }

    #[test]
    fn an_endpoint_beats_the_mode_beats_both_addresses() {
        check(&[], Ok(&[IPV4, IPV6]));
        check(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6")], Ok(&[IPV6]));
        check(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ipv4")], Ok(&[IPV4]));
        let url = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://[::1]:1338/");
        check(
            &[url, ("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv4")],
            Ok(&["http://[::1]:1338"]),
        );
        check(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", "")], Ok(&[IPV4, IPV6]));
    }

    #[test]
    fn a_variable_that_says_nothing_is_an_error_that_names_it() {
        check(
            &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", "169.254.169.254")],
            Err("AWS_EC2_METADATA_SERVICE_ENDPOINT: expected a URL such as http://169.254.169.254"),
        );
        check(
            &[("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "v6")],
            Err("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE: expected IPv4 or IPv6"),
        );
        check(
            &[("AWS_METADATA_SERVICE_TIMEOUT", "0")],
            Err("AWS_METADATA_SERVICE_TIMEOUT: expected a number of seconds above 0"),
        );
        check(
            &[("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "x")],
            Err("AWS_METADATA_SERVICE_NUM_ATTEMPTS: expected a whole number of at least 1"),
        );
    }

    #[test]
    fn a_page_of_html_is_no_token() {
        assert!(is_token("AQAEAJ5eXbK5=="));
        assert!(!is_token(""));
        assert!(!is_token("<html>"));
        assert!(!is_token("two words"));
    }

    #[test]
    fn pauses_grow_and_stay_below_two_seconds() {
        assert!(pause(1) <= Duration::from_millis(100));
        assert!((1..1000).all(|attempts| pause(attempts) <= Duration::from_secs(2)));
    }
}

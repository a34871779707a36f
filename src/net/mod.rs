//! The one HTTP client that S3, STS, metadata and presigned URLs share, and the one TLS stack under
//! it.
//!
//! ring rather than aws-lc-rs, whose entropy costs 31 ms at each start (the feature `fips` has it
//! for whoever must); the Mozilla roots that are built in rather than the machine's 145 files, so a
//! machine without CA files works too. Private partitions and inspecting proxies name their own CA
//! file in `AWS_CA_BUNDLE` (or `SSL_CERT_FILE`), which then replaces the built-in roots, as with
//! the AWS CLI.

pub(crate) mod aws;
pub(crate) mod backoff;
pub(crate) mod clock;
mod connect;
pub(crate) mod endpoint;
mod error;
pub(crate) mod partition;
mod pauses;
mod pool;
mod proxy;
pub(crate) mod sdk;
pub(crate) mod signed;
pub(crate) mod xml;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use connect::Target;
use ecs_config::text::printable;
use error::Failure;
pub(crate) use error::{Error, NetworkError, RequestFailed, innermost};
use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
pub(crate) use pool::Opened;
use pool::{Lease, Pool};
use proxy::Proxies;
#[cfg(feature = "fips")]
use rustls::crypto::default_fips_provider as provider;
#[cfg(not(feature = "fips"))]
use rustls::crypto::ring::default_provider as provider;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::Url;

use crate::files;
use crate::paths::{MAX_CONFIG, MAX_DOCUMENT};

/// For DNS, TCP and TLS together.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a server may send nothing: before its answer, or in the middle of it.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How this program names itself to servers.
pub(crate) const USER_AGENT: &str = concat!("ecs-bootstrap/", env!("CARGO_PKG_VERSION"));

/// Environment variables that are not empty: the AWS SDKs take an empty one for unset.
pub(crate) type Vars = BTreeMap<String, String>;

/// The variables of the process that are set to something.
pub(crate) fn vars(variables: &[(String, String)]) -> Vars {
    variables.iter().filter(|(_, value)| !value.is_empty()).cloned().collect()
}

/// A variable's value, understood by `parse`; an error where it is set to something else.
pub(crate) fn variable<T>(
    vars: &Vars,
    variable: &'static str,
    wanted: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Error> {
    let Some(value) = vars.get(variable) else { return Ok(None) };
    let shown = || printable(value.rsplit('@').next().unwrap_or_default());
    let parsed = parse(value).ok_or_else(|| Error::Value { variable, value: shown(), wanted });
    parsed.map(Some)
}

/// An `http://` or `https://` URL with a host.
pub(crate) fn web_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    (url.has_host() && matches!(url.scheme(), "http" | "https")).then_some(url)
}

/// A request whose URI is absolute.
pub(crate) type Request = http::Request<Bytes>;

/// A request without a body.
pub(crate) fn request(method: Method, url: &Url) -> Result<Request, RequestFailed> {
    let mut request = Request::default();
    *request.method_mut() = method;
    let uri = url.as_str().parse::<Uri>();
    *request.uri_mut() =
        uri.map_err(|error| RequestFailed::unusable(url.host_str().unwrap_or_default(), error))?;
    Ok(request)
}

/// The client. Cheap to clone; clones share their connections.
///
/// No body is read beyond a limit: that of the request where the status is 200, else
/// [`MAX_DOCUMENT`]. An error's body only explains, and a server may send one that never ends.
/// Redirects are not followed.
#[derive(Clone)]
pub(crate) struct Http {
    pool: Arc<Pool>,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Http")
    }
}

impl Http {
    /// With the proxies that the environment names, and the CA file instead of the built-in roots
    /// if it names one. Opens no connection.
    pub(crate) fn new(vars: &Vars) -> Result<Self, Error> {
        let (proxies, tls) = (Proxies::from_vars(vars)?, tls(trusted(vars)?));
        Ok(Http { pool: Arc::new(Pool::new(proxies, Some(tls))) })
    }

    /// For the metadata service: no proxy whatever the environment names, and plain HTTP alone.
    pub(crate) fn direct() -> Self {
        Http { pool: Arc::new(Pool::new(Proxies::default(), None)) }
    }

    /// Whether there is a proxy on the way to `url`.
    pub(crate) fn is_proxied(&self, url: &Url) -> bool {
        Target::of_url(url).is_some_and(|target| self.pool.proxies.for_target(&target).is_some())
    }

    /// The connections that were opened so far.
    pub(crate) fn opened(&self) -> Vec<Opened> {
        self.pool.opened()
    }

    /// Opens a connection for a request that is to come, in the background.
    pub(crate) fn open_early(&self, url: &Url) {
        if let Some(target) = Target::of_url(url) {
            self.pool.open_early(target);
        }
    }

    /// Sends one request and waits for the head of its answer, at most `wait`. The body of a 200
    /// may have `limit` bytes.
    pub(crate) async fn send(
        &self,
        request: Request,
        wait: Duration,
        limit: usize,
    ) -> Result<Response, RequestFailed> {
        let Some(target) = Target::of(request.uri()) else {
            return Err(RequestFailed::unusable("", "the URL names no server"));
        };
        let lease = self.pool.turn(&target).await;
        let source = match timeout(wait, self.exchange(request, &target, lease)).await {
            Ok(Ok((answer, lease))) => return Ok(Response::new(answer, lease, target.host, limit)),
            Ok(Err(error)) => error,
            Err(_) => Failure::NoAnswer(wait),
        };
        let proxy = self.pool.proxies.for_target(&target).map(|proxy| proxy.at.authority());
        Err(RequestFailed { host: target.host, proxy, source })
    }

    async fn exchange(
        &self,
        request: Request,
        target: &Target,
        mut lease: Lease,
    ) -> Result<(http::Response<Incoming>, Lease), Failure> {
        let request = self.on_the_wire(request, target);
        let request = request.map_err(|error| Failure::Unusable(error.to_string()))?;
        let sender = self.pool.connection(target, &mut lease).await?;
        let unsent = match sender.try_send_request(request).await {
            Ok(answer) => return Ok((answer, lease)),
            Err(mut error) => match error.take_message() {
                // The server closed a kept connection before the request was on its way.
                Some(unsent) if lease.is_used => unsent,
                _ => return Err(error.into_error().into()),
            },
        };
        let sender = self.pool.fresh_connection(target, &mut lease).await?;
        Ok((sender.send_request(unsent).await?, lease))
    }

    /// With the headers of HTTP, and the form of URI that the other end of the connection takes.
    fn on_the_wire(
        &self,
        request: Request,
        target: &Target,
    ) -> http::Result<http::Request<Full<Bytes>>> {
        let (mut head, body) = request.into_parts();
        let authority = target.authority();
        let default_port = if target.is_tls { ":443" } else { ":80" };
        let host = authority.strip_suffix(default_port).unwrap_or(&authority);
        let host = HeaderValue::from_str(host)?;
        head.headers.entry(header::HOST).or_insert(host);
        let agent = HeaderValue::from_static(USER_AGENT);
        head.headers.entry(header::USER_AGENT).or_insert(agent);
        match self.pool.proxies.for_target(target).filter(|_| !target.is_tls) {
            Some(proxy) => {
                if let Some(value) = &proxy.authorization {
                    head.headers.insert(header::PROXY_AUTHORIZATION, value.try_into()?);
                }
            }
            None => {
                let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
                head.uri = path.parse::<Uri>()?;
            }
        }
        Ok(http::Request::from_parts(head, Full::new(body)))
    }
}

/// An answer, whose body has a limit. Its connection is free for the next request once it is
/// dropped.
pub(crate) struct Response {
    pub(crate) head: http::response::Parts,
    body: Incoming,
    limit: usize,
    host: String,
    _lease: Lease,
}

impl Response {
    fn new(answer: http::Response<Incoming>, _lease: Lease, host: String, limit: usize) -> Self {
        let (head, body) = answer.into_parts();
        let limit = if head.status == 200 { limit } else { limit.min(MAX_DOCUMENT) };
        Response { head, body, limit, host, _lease }
    }

    pub(crate) fn status(&self) -> u16 {
        self.head.status.as_u16()
    }

    /// The failure that this answer is.
    fn unexpected(self) -> RequestFailed {
        let source = Failure::Unexpected(self.status());
        RequestFailed { host: self.host, proxy: None, source }
    }

    /// The body; an error if it breaks off, stalls, or is longer than its limit. Of an error, which
    /// the body only explains, the beginning will do.
    pub(crate) async fn bytes(self) -> Result<Vec<u8>, RequestFailed> {
        self.read().await.1
    }

    /// Head and body, likewise.
    async fn read(self) -> (http::response::Parts, Result<Vec<u8>, RequestFailed>) {
        let Response { head, body, limit, host, _lease } = self;
        let is_error = head.status != 200;
        let read = read(body, limit, is_error).await;
        (head, read.map_err(|source| RequestFailed { host, proxy: None, source }))
    }
}

async fn read(mut body: Incoming, limit: usize, is_error: bool) -> Result<Vec<u8>, Failure> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(limit);
    let mut bytes = Vec::with_capacity(announced.min(limit));
    let silent = |_| Failure::NoAnswer(READ_TIMEOUT);
    while let Some(frame) = timeout(READ_TIMEOUT, body.frame()).await.map_err(silent)? {
        let data = frame?.into_data().unwrap_or_default();
        match bytes.len() + data.len() > limit {
            false => bytes.extend_from_slice(&data),
            true if is_error => break,
            true => return Err(Failure::TooLong),
        }
    }
    Ok(bytes)
}

/// A header as text.
pub(crate) fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn tls(roots: RootCertStore) -> TlsConnector {
    let config = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()
        .expect("both providers have cipher suites for TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config).into()
}

fn trusted(vars: &Vars) -> Result<RootCertStore, Error> {
    let named = |variable| Some((variable, Path::new(vars.get(variable)?)));
    match named("AWS_CA_BUNDLE").or_else(|| named("SSL_CERT_FILE")) {
        Some((variable, path)) => from_file(variable, path),
        None => Ok(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()),
    }
}

/// Certificates that do not parse are passed over, as OpenSSL does: real bundles hold some. None at
/// all is an error.
fn from_file(variable: &'static str, path: &Path) -> Result<RootCertStore, Error> {
    let pem = files::read(path, MAX_CONFIG).map_err(|source| Error::CaFile {
        variable,
        path: path.into(),
        source,
    })?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok));
    if roots.is_empty() {
        Err(Error::NoCertificate { variable, path: path.into() })
    } else {
        Ok(roots)
    }
}

#[cfg(test)]
pub(crate) mod tests;

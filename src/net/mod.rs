//! The one HTTP client that S3, STS, metadata and presigned URLs share, and the one TLS stack under
//! it.
//!
//! ring rather than aws-lc-rs, whose entropy costs 31 ms at each start; the Mozilla roots that are
//! built in rather than the machine's 145 files, so a machine without CA files works too. Private
//! partitions and inspecting proxies name their own CA file in `AWS_CA_BUNDLE` (or
//! `SSL_CERT_FILE`), which then replaces the built-in roots, as with the AWS CLI.

pub(crate) mod aws;
pub(crate) mod backoff;
pub(crate) mod clock;
pub(crate) mod endpoint;
mod error;
pub(crate) mod partition;
mod proxy;
pub(crate) mod sdk;
pub(crate) mod signed;
pub(crate) mod xml;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ecs_config::text::printable;
pub(crate) use error::{Error, NetworkError, RequestFailed, UNUSABLE, first_paragraph, innermost};
use http::HeaderMap;
use http_body_util::{BodyExt, Limited};
pub(crate) use proxy::Proxies;
use reqwest::Url;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};

use crate::files;
use crate::paths::{MAX_CONFIG, MAX_DOCUMENT};

/// For DNS, TCP and TLS together.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a server may send nothing: before its answer, or in the middle of it.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How this program names itself to servers.
pub(crate) const USER_AGENT: &str = concat!("ecs-bootstrap/", env!("CARGO_PKG_VERSION"));

type Cause = Box<dyn std::error::Error + Send + Sync>;

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

/// The client. Cheap to clone; clones share their connections.
///
/// No body is read beyond a limit: that of the request where the status is 200, else
/// [`MAX_DOCUMENT`]. An error's body only explains, and a server may send one that never ends.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: reqwest::Client,
    proxies: Proxies,
}

impl Http {
    /// With the proxies that the environment names, and the CA file instead of the built-in roots
    /// if it names one. Opens no connection; follows no redirect.
    pub(crate) fn new(vars: &Vars) -> Result<Self, Error> {
        let proxies = Proxies::from_vars(vars)?;
        let chosen = proxies.clone();
        let client = base(trusted(vars)?)
            .proxy(reqwest::Proxy::custom(move |url| chosen.for_url(url).cloned()))
            .read_timeout(READ_TIMEOUT);
        Self::build(client, proxies)
    }

    /// For the metadata service: no proxy whatever the environment names, no redirects, and no
    /// certificate is trusted, for it speaks plain HTTP. Timeouts are the caller's.
    pub(crate) fn direct() -> Result<Self, Error> {
        Self::build(base(RootCertStore::empty()).no_proxy(), Proxies::default())
    }

    fn build(client: reqwest::ClientBuilder, proxies: Proxies) -> Result<Self, Error> {
        Ok(Self { client: client.build().map_err(Error::Client)?, proxies })
    }

    /// The proxy on the way to `url`, as `host:port`.
    pub(crate) fn proxy_for(&self, url: &Url) -> Option<String> {
        self.proxies.name_for(url)
    }

    /// Sends one request and waits for the head of its answer, at most `wait`. The body of a 200
    /// may have `limit` bytes.
    pub(crate) async fn send(
        &self,
        request: reqwest::Request,
        wait: Duration,
        limit: usize,
    ) -> Result<Response, RequestFailed> {
        let host = request.url().host_str().unwrap_or_default().to_owned();
        let proxy = self.proxy_for(request.url());
        let source: Cause = match tokio::time::timeout(wait, self.client.execute(request)).await {
            Ok(Ok(answer)) => return Ok(Response::new(answer, host, limit)),
            Ok(Err(error)) => error.without_url().into(),
            Err(_) => error::NoAnswer(wait).into(),
        };
        Err(RequestFailed { host, proxy, source })
    }
}

/// An answer, whose body has a limit.
pub(crate) struct Response {
    head: http::response::Parts,
    body: Limited<reqwest::Body>,
    host: String,
}

impl Response {
    fn new(answer: reqwest::Response, host: String, limit: usize) -> Self {
        let (head, body) = http::Response::from(answer).into_parts();
        let limit = if head.status == 200 { limit } else { limit.min(MAX_DOCUMENT) };
        Response { head, body: Limited::new(body, limit), host }
    }

    pub(crate) fn status(&self) -> u16 {
        self.head.status.as_u16()
    }

    /// The failure that an answer of this status is.
    fn unexpected(self, status: u16) -> RequestFailed {
        let source = Box::new(error::UnexpectedStatus(status));
        RequestFailed { host: self.host, proxy: None, source }
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// The whole body; an error if it breaks off, or is longer than its limit.
    pub(crate) async fn bytes(self) -> Result<Vec<u8>, RequestFailed> {
        let body = self.body.collect().await;
        body.map(|body| body.to_bytes().into()).map_err(|error| broken(self.host, error))
    }
}

/// A header as text.
pub(crate) fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn broken(host: String, error: Cause) -> RequestFailed {
    let source = match error.downcast::<reqwest::Error>() {
        Ok(error) => error.without_url().into(),
        Err(error) => error,
    };
    RequestFailed { host, proxy: None, source }
}

fn base(roots: RootCertStore) -> reqwest::ClientBuilder {
    let tls =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has cipher suites for TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .user_agent(USER_AGENT)
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

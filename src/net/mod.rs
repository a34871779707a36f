//! The one HTTP client that S3, STS and presigned URLs share, and the one TLS stack under it.
//!
//! ring rather than aws-lc-rs, whose entropy costs 31 ms at each start; the Mozilla roots that are
//! built in rather than the machine's 145 files, so a machine without CA files works too. Private
//! partitions and inspecting proxies name their own CA file in `AWS_CA_BUNDLE` (or
//! `SSL_CERT_FILE`), which then stands *instead* of the built-in roots, as with the AWS CLI.

pub(crate) mod aws;
mod bridge;
pub(crate) mod endpoint;
pub(crate) mod partition;
mod proxy;
pub(crate) mod signed;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::SharedHttpClient;
pub(crate) use proxy::Proxies;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};

use crate::error::{Diagnostic, ExitStatus, Step};

/// How long a connection may take: DNS, TCP and TLS.
pub(crate) const CONNECT: Duration = Duration::from_secs(3);
/// How long a server may say nothing: before its answer, or in the middle of it.
pub(crate) const SILENCE: Duration = Duration::from_secs(10);
/// How this program names itself to servers.
pub(crate) const AGENT: &str = concat!("ecs-bootstrap/", env!("CARGO_PKG_VERSION"));

type Vars = BTreeMap<String, String>;

/// What the environment says about reaching the network, read and checked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// The CA file that stands instead of the built-in roots, and the variable that named it.
    pub(crate) ca_file: Option<(&'static str, PathBuf)>,
    pub(crate) proxies: Proxies,
}

/// The environment names something that cannot be used. Always [`ExitStatus::Settings`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{variable} names {}, which cannot be read", path.display())]
    CaFile { variable: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{variable} names {}, in which no usable certificate was found", path.display())]
    NoCertificate { variable: &'static str, path: PathBuf },
    #[error("{variable} names no proxy that can be used: {why}")]
    Proxy { variable: String, why: String },
    #[error("the HTTP client could not be built")]
    Client(#[source] reqwest::Error),
}

impl Diagnostic for Error {
    fn step(&self) -> Step {
        Step::Settings
    }

    fn status(&self) -> ExitStatus {
        if matches!(self, Error::Client(_)) { ExitStatus::Internal } else { ExitStatus::Settings }
    }

    fn remedy(&self) -> String {
        match self {
            Error::CaFile { variable, .. } | Error::NoCertificate { variable, .. } => {
                format!(
                    "Let {variable} name a readable file of CA certificates in PEM, or unset it to trust the public CAs."
                )
            }
            Error::Proxy { variable, .. } => {
                format!("Write {variable} as http://HOST:PORT, or unset it.")
            }
            Error::Client(_) => "Please report this as a bug.".into(),
        }
    }
}

impl Options {
    /// From the variables of the process, in any order: `AWS_CA_BUNDLE`, `SSL_CERT_FILE`, and those
    /// that name proxies.
    pub(crate) fn from_vars(
        vars: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Error> {
        let vars: Vars = vars.into_iter().collect();
        let named = |name: &'static str| {
            vars.get(name).filter(|path| !path.is_empty()).map(|path| (name, PathBuf::from(path)))
        };
        Ok(Self {
            ca_file: named("AWS_CA_BUNDLE").or_else(|| named("SSL_CERT_FILE")),
            proxies: Proxies::from_vars(&vars)?,
        })
    }
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A request that got no answer: where it went, and which proxy it took. Names no URL, for a
/// presigned one is a secret.
#[derive(Debug, thiserror::Error)]
#[error("the request to {host} failed")]
pub(crate) struct Failed {
    pub(crate) host: String,
    /// `host:port`.
    pub(crate) proxy: Option<String>,
    source: Cause,
}

impl Failed {
    pub(crate) fn is_timeout(&self) -> bool {
        chain(self).any(|error| {
            error.is::<NoAnswer>() || error.downcast_ref().is_some_and(reqwest::Error::is_timeout)
        })
    }
}

/// The head of the answer did not come within this time.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {}", humantime::format_duration(*.0))]
pub(crate) struct NoAnswer(Duration);

/// The client. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: reqwest::Client,
    proxies: Proxies,
}

impl Http {
    /// Reads the CA file, if one is named; opens no connection.
    pub(crate) fn new(options: &Options) -> Result<Self, Error> {
        let proxies = options.proxies.clone();
        let client = base(trusted(options)?)
            .proxy(reqwest::Proxy::custom(move |url| proxies.for_url(url).cloned()))
            .read_timeout(SILENCE)
            .build()
            .map_err(Error::Client)?;
        Ok(Self { client, proxies: options.proxies.clone() })
    }

    /// For requests of our own. Follows no redirect.
    pub(crate) fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// The same client, as the AWS SDK wants it.
    pub(crate) fn for_sdk(&self) -> SharedHttpClient {
        SharedHttpClient::new(bridge::Bridge { http: self.clone(), limit: None })
    }

    /// Sends one request and waits for the head of its answer, at most `limit`.
    pub(crate) async fn send(
        &self,
        request: reqwest::Request,
        limit: Duration,
    ) -> Result<reqwest::Response, Failed> {
        let host = request.url().host_str().unwrap_or_default().to_owned();
        let proxy = self.proxies.name_for(request.url());
        let source: Cause = match tokio::time::timeout(limit, self.client.execute(request)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => error.without_url().into(),
            Err(_) => NoAnswer(limit).into(),
        };
        Err(Failed { host, proxy, source })
    }
}

/// A client for the metadata service: no proxy whatever the environment says, no redirects, and no
/// certificate is trusted, for it speaks plain HTTP. Timeouts are the caller's.
pub(crate) fn direct() -> Result<reqwest::Client, Error> {
    base(RootCertStore::empty()).no_proxy().build().map_err(Error::Client)
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
        .connect_timeout(CONNECT)
        .user_agent(AGENT)
}

fn trusted(options: &Options) -> Result<RootCertStore, Error> {
    match &options.ca_file {
        Some((variable, path)) => from_file(variable, path),
        None => Ok(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()),
    }
}

/// Certificates that do not parse are passed over, as OpenSSL does: real bundles hold some. None at
/// all is an error.
fn from_file(variable: &'static str, path: &Path) -> Result<RootCertStore, Error> {
    let pem = std::fs::read(path).map_err(|source| Error::CaFile {
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

/// The TLS error inside a failed request, if that is what it was.
pub(crate) fn tls_error<'e>(
    error: &'e (dyn std::error::Error + 'static),
) -> Option<&'e rustls::Error> {
    chain(error).find_map(|error| error.downcast_ref())
}

/// An error and what lies under it. An `io::Error` hides what it carries from `source()`, so its
/// inside is looked at, too.
pub(crate) fn chain<'e>(
    error: &'e (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'e (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(vars: &[(&str, &str)]) -> Options {
        Options::from_vars(vars.iter().map(|(name, value)| ((*name).into(), (*value).into())))
            .unwrap()
    }

    #[test]
    fn the_ca_bundle_of_aws_wins_over_the_one_of_openssl() {
        let both = options(&[("SSL_CERT_FILE", "/b.pem"), ("AWS_CA_BUNDLE", "/a.pem")]);
        assert_eq!(both.ca_file, Some(("AWS_CA_BUNDLE", "/a.pem".into())));
        assert_eq!(
            options(&[("AWS_CA_BUNDLE", ""), ("SSL_CERT_FILE", "/b.pem")]).ca_file,
            Some(("SSL_CERT_FILE", "/b.pem".into()))
        );
    }

    #[test]
    fn a_ca_file_that_is_missing_or_empty_is_refused_by_name() {
        for (path, what) in
            [("/nonexistent/ca.pem", "cannot be read"), ("/dev/null", "no usable certificate")]
        {
            let error = Http::new(&options(&[("AWS_CA_BUNDLE", path)])).unwrap_err();
            assert_eq!(error.status(), ExitStatus::Settings);
            assert!(
                error.to_string().contains(path) && error.to_string().contains(what),
                "{error}"
            );
            assert!(error.remedy().contains("AWS_CA_BUNDLE"));
        }
    }

    #[test]
    fn both_clients_can_be_built_on_a_machine_without_ca_files() {
        Http::new(&Options::default()).unwrap();
        direct().unwrap();
    }
}

//! What goes wrong between this program and a server, and with the environment variables that lead
//! there.

use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use ecs_config::text::printable;
use humantime::format_duration;
use rustls::CertificateError;
use url::Url;

use super::CONNECT_TIMEOUT;
use super::backoff::{FailedAttempt, Next};
use super::endpoint::Service;
use crate::error::{Diagnostic, ExitStatus, Step, chain};
use crate::files::ReadError;

/// The environment names something that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{variable} is `{value}`, which is not {wanted}")]
    Value { variable: &'static str, value: String, wanted: &'static str },
    #[error("{variable} and a custom endpoint (AWS_ENDPOINT_URL…) exclude each other")]
    Endpoint { variable: &'static str },
    #[error("{variable} names {}, which cannot be read", path.display())]
    CaFile { variable: &'static str, path: PathBuf, source: ReadError },
    #[error("{variable} names {}, in which no usable certificate was found", path.display())]
    NoCertificate { variable: &'static str, path: PathBuf },
    #[error("{variable} does not name a proxy that can be used: {why}")]
    Proxy { variable: String, why: String },
}

impl Diagnostic for Error {
    fn step(&self) -> Step {
        Step::Settings
    }

    fn status(&self) -> ExitStatus {
        ExitStatus::Settings
    }

    fn remedy(&self) -> String {
        match self {
            Error::Value { variable, wanted, .. } => {
                format!("set {variable} to {wanted}, or unset it")
            }
            Error::Endpoint { variable } => format!("unset {variable} or the endpoint variables"),
            Error::CaFile { variable, .. } | Error::NoCertificate { variable, .. } => format!(
                "let {variable} name a readable file of CA certificates in PEM, or unset it to trust the public CAs"
            ),
            Error::Proxy { variable, .. } => {
                format!("write {variable} as http://HOST:PORT, or unset it")
            }
        }
    }
}

/// A request without a complete answer: where it went, and which proxy it took. Names no URL, for a
/// presigned one is a secret.
#[derive(Debug, thiserror::Error)]
#[error("the request to {host} failed")]
pub(crate) struct RequestFailed {
    pub(super) host: String,
    /// `host:port`.
    pub(super) proxy: Option<String>,
    pub(super) source: Failure,
}

/// What a request failed of: before its connection, without it, or in the exchange.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{0}")]
    Unusable(String),
    #[error("the name was not resolved")]
    Dns(#[source] io::Error),
    #[error("not connected")]
    Tcp(#[source] io::Error),
    #[error("the proxy answered {0}")]
    Tunnel(String),
    #[error("no TLS")]
    Tls(#[source] io::Error),
    #[error("not connected within {}", format_duration(CONNECT_TIMEOUT))]
    NotInTime,
    #[error("no answer within {}", format_duration(*.0))]
    NoAnswer(Duration),
    #[error(transparent)]
    Exchange(#[from] hyper::Error),
    /// The body is longer than its limit.
    #[error("the body is too long")]
    TooLong,
    /// A success that is not one: part of an object (206), or what a gateway made of it (203).
    #[error("status {0}")]
    Unexpected(u16),
}

/// Why there is no connection, where it is not known which of the two took too long.
const NOT_IN_TIME: &str = "its name was not resolved (DNS), or it did not answer, in time";

/// Why a server gave no usable answer: what all kinds of servers have in common. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NetworkError {
    #[error("the service keeps asking for less traffic ({0})")]
    Throttled(u16),
    #[error("the server fails ({0})")]
    Server(u16),
    #[error("AWS refused the request, for {}", skew(*.ahead))]
    ClockSkew { ahead: Option<i64> },
    #[error("the TLS certificate of {host} is not trusted: {why}")]
    Untrusted { host: String, why: String },
    #[error("the TLS certificate of {host} is not valid at this time by our clock: {why}")]
    CertificateTime { host: String, why: String },
    #[error("what answered for {host} has the TLS certificate of another name: {why}")]
    WrongName { host: String, why: String },
    #[error("the TLS handshake with {host} failed: {why}")]
    Tls { host: String, why: String },
    #[error("the name {0} cannot be resolved")]
    Dns(String),
    #[error("no connection to {host}: {why}")]
    Connect { host: String, why: String },
    #[error("{0} did not answer in time")]
    Silent(String),
    #[error("the proxy {proxy} did not connect us to {to}")]
    Proxy { proxy: String, to: String },
    #[error("the answer was cut off: {0}")]
    Cut(String),
    #[error("the answer is longer than any that this request can have")]
    TooLong,
    #[error("the server answered with status {0}, and only 200 is the answer to this request")]
    Unexpected(u16),
    #[error(
        "the run's deadline passed before the first answer: the name was not resolved (DNS), or no server answered"
    )]
    Deadline,
    #[error("the request cannot be made: {0}")]
    Unusable(String),
}

fn skew(ahead: Option<i64>) -> String {
    match ahead {
        Some(ahead) if ahead >= 0 => format!("our clock is {ahead} s ahead of its own"),
        Some(behind) => format!("our clock is {} s behind its own", -behind),
        None => "our clock is too far from its own".into(),
    }
}

/// Error codes with which AWS asks for less traffic.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html>
const THROTTLED: [&str; 9] = [
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestLimitExceeded",
    "BandwidthLimitExceeded",
    "TooManyRequestsException",
];

impl NetworkError {
    /// No answer of a server that has a name, within a time that was too short for a connection.
    pub(crate) fn unanswered(url: &Url) -> Self {
        let host = url.host_str().unwrap_or_default().to_owned();
        match url.domain() {
            Some(_) => Self::Connect { host, why: NOT_IN_TIME.into() },
            None => Self::Silent(host),
        }
    }

    /// An answer that may be another one with time; `None`: it is final.
    pub(crate) fn of_answer(status: u16, code: &str) -> Option<Self> {
        match status {
            _ if status == 429 || THROTTLED.contains(&code) => Some(Self::Throttled(status)),
            408 | 500.. => Some(Self::Server(status)),
            _ if code == "RequestTimeout" => Some(Self::Server(status)),
            _ => None,
        }
    }

    /// A skewed clock makes AWS refuse, not fail: waiting does not help, a person must set it.
    pub(crate) fn status(&self) -> ExitStatus {
        match self {
            Self::ClockSkew { .. } => ExitStatus::AccessDenied,
            Self::Unusable(_) => ExitStatus::Settings,
            _ => ExitStatus::SourceUnreachable,
        }
    }

    /// What would fix it, where `service` was asked.
    pub(crate) fn remedy(&self, service: Service) -> String {
        match self {
            Self::Connect { .. } => return service.remedy(),
            Self::Proxy { proxy, .. } => {
                let name = service.name();
                return format!(
                    "let the proxy {proxy} connect to {name}, or name the hosts of {name} in NO_PROXY, or use a VPC endpoint"
                );
            }
            Self::ClockSkew { .. } | Self::CertificateTime { .. } => {
                "set the clock: let chrony or timesyncd use 169.254.169.123 (Amazon Time Sync), and start before this program"
            }
            Self::Throttled(_) | Self::Server(_) | Self::Silent(_) | Self::Cut(_) => {
                "try again later, or allow more time with --timeout"
            }
            Self::Deadline => {
                "check DNS in the VPC (enableDnsSupport) and the way to the server, or allow more time with --timeout"
            }
            Self::Untrusted { .. } => {
                "if a proxy or a private endpoint has a CA of its own, name its certificate's file in AWS_CA_BUNDLE"
            }
            Self::WrongName { .. } => {
                "check the endpoint's name and its DNS records: a proxy or a captive portal may answer in its place"
            }
            Self::Tls { .. } => {
                "check that this is a TLS server (https) with TLS 1.2 or 1.3, and that no proxy breaks the connection"
            }
            Self::Dns(_) => {
                "check the spelling of the name and the region, and DNS in the VPC (enableDnsSupport)"
            }
            Self::TooLong | Self::Unexpected(_) => "check that no proxy or AWS_ENDPOINT_URL leads to another server",
            Self::Unusable(_) => {
                "check AWS_ENDPOINT_URL, AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT and the region"
            }
        }
        .into()
    }

    /// A certificate stays what it is, and so does a server that never stops; all else may pass.
    /// S3's throttling passes within seconds, and its callers wait accordingly.
    pub(crate) fn next(&self) -> Next {
        match self {
            Self::Untrusted { .. }
            | Self::WrongName { .. }
            | Self::CertificateTime { .. }
            | Self::Tls { .. }
            | Self::TooLong
            | Self::Unusable(_) => Next::GiveUp,
            Self::Throttled(_) => Next::WaitLong,
            _ => Next::Wait,
        }
    }
}

impl RequestFailed {
    /// There was nothing to send.
    pub(super) fn unusable(host: &str, why: impl ToString) -> Self {
        let (host, source) = (host.to_owned(), Failure::Unusable(why.to_string()));
        RequestFailed { host, proxy: None, source }
    }

    /// The failed request among an error and its causes, if the network is what failed.
    pub(crate) fn within<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e Self> {
        chain(error).find_map(|error| error.downcast_ref())
    }

    pub(super) fn tls(&self) -> Option<&rustls::Error> {
        chain(self).find_map(|error| error.downcast_ref())
    }

    /// What kept the request from being answered.
    pub(crate) fn kind(&self) -> NetworkError {
        let (host, why) = (self.host.clone(), innermost(self));
        if let Some(error) = self.tls() {
            return of_tls(error, host);
        }
        match (&self.source, &self.proxy) {
            (Failure::Unusable(_), _) => NetworkError::Unusable(why),
            (Failure::Unexpected(status), _) => NetworkError::Unexpected(*status),
            (Failure::TooLong, _) => NetworkError::TooLong,
            (Failure::NoAnswer(_), _) => NetworkError::Silent(host),
            (Failure::Exchange(_), _) => NetworkError::Cut(why),
            (_, Some(proxy)) => {
                NetworkError::Proxy { proxy: proxy.clone(), to: format!("{host}: {why}") }
            }
            (Failure::Dns(_), None) => NetworkError::Dns(host),
            (Failure::NotInTime, None) => NetworkError::Connect { host, why: NOT_IN_TIME.into() },
            (_, None) => NetworkError::Connect { host, why },
        }
    }
}

/// The last cause of an error: "Connection refused", without what the libraries put around it.
pub(crate) fn innermost(error: &(dyn StdError + 'static)) -> String {
    chain(error).last().map(|error| printable(&error.to_string())).unwrap_or_default()
}

impl<E: From<NetworkError>> From<&RequestFailed> for FailedAttempt<E> {
    fn from(failed: &RequestFailed) -> Self {
        let kind = failed.kind();
        // Wrappers repeat what they wrap.
        let mut causes: Vec<String> =
            chain(failed).map(|error| first_paragraph(&error.to_string())).collect();
        causes.dedup();
        FailedAttempt { next: kind.next(), error: kind.into(), causes }
    }
}

impl<E: From<NetworkError>> From<RequestFailed> for FailedAttempt<E> {
    fn from(failed: RequestFailed) -> Self {
        (&failed).into()
    }
}

fn of_tls(error: &rustls::Error, host: String) -> NetworkError {
    use CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet,
        NotValidYetContext,
    };
    let why = printable(&error.to_string());
    match error {
        rustls::Error::InvalidCertificate(
            Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. },
        ) => NetworkError::CertificateTime { host, why },
        rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => {
            NetworkError::WrongName { host, why }
        }
        rustls::Error::InvalidCertificate(_) => NetworkError::Untrusted { host, why },
        _ => NetworkError::Tls { host, why },
    }
}

/// The first paragraph of a message of AWS, made fit to be shown. Below it, AWS quotes a request
/// that was signed wrongly, with the session's token.
pub(crate) fn first_paragraph(text: &str) -> String {
    printable(text.trim_start().split("\n\n").next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use rustls::Error::{AlertReceived, InvalidCertificate};

    use super::*;

    #[test]
    fn refused_certificates_are_final_and_named_by_reason() {
        let table = [
            (InvalidCertificate(CertificateError::UnknownIssuer), "AWS_CA_BUNDLE"),
            (InvalidCertificate(CertificateError::BadSignature), "AWS_CA_BUNDLE"),
            (InvalidCertificate(CertificateError::Expired), "set the clock"),
            (InvalidCertificate(CertificateError::NotValidYet), "set the clock"),
            (InvalidCertificate(CertificateError::NotValidForName), "captive portal"),
            (AlertReceived(rustls::AlertDescription::HandshakeFailure), "TLS 1.2 or 1.3"),
        ];
        for (tls, remedy) in table {
            // As it arrives: wrapped in input/output errors.
            let source = Failure::Tls(io::Error::other(io::Error::other(tls)));
            let failed = RequestFailed { host: "s3.test".into(), proxy: None, source };
            let attempt = FailedAttempt::<NetworkError>::from(&failed);
            assert_eq!(attempt.next, Next::GiveUp);
            assert!(attempt.error.to_string().contains("s3.test"), "{}", attempt.error);
            let found = attempt.error.remedy(Service::S3);
            assert!(found.contains(remedy), "{}: {found}", attempt.error);
            assert_eq!(attempt.causes.len(), 3, "{:?}", attempt.causes);
        }
    }

    #[test]
    fn first_paragraph_leaves_out_the_quoted_request() {
        let quoted = "\n No match.\u{1b}\n\nThe Canonical String:\nx-amz-security-token:PLANTED";
        assert_eq!(first_paragraph(quoted), "No match.");
    }
}

//! Errors of the network, and of the variables that lead there.

use std::io;
use std::path::Path;

use super::{ExitStatus, PLANTED, examples};
use crate::error::RuntimeFailed;
use crate::files::ReadError;
use crate::net::aws::Aws;
use crate::net::tests::pairs;
use crate::net::{Error, Http, NetworkError};

pub(super) fn client() -> Vec<(ExitStatus, Error)> {
    let (variable, path) = ("AWS_CA_BUNDLE", Path::new("/etc/pki/ca.pem"));
    let source = || ReadError::NotPlain("a folder");
    let (endpoint, proxy) = (format!("ftp://u:{PLANTED}@h/"), format!("socks5://u:{PLANTED}@h:1"));
    examples!(Error {
        Error::Value { .. } => Settings [
            Aws::from_vars(&pairs(&[("AWS_ENDPOINT_URL", &endpoint)])).unwrap_err(),
        ],
        Error::Endpoint { .. } => Settings [Error::Endpoint { variable: "AWS_USE_FIPS_ENDPOINT" }],
        Error::CaFile { .. } => Settings [
            Error::CaFile { variable, path: path.into(), source: source() },
        ],
        Error::NoCertificate { .. } => Settings [
            Error::NoCertificate { variable, path: path.into() },
        ],
        Error::Proxy { .. } => Settings [
            Http::new(&pairs(&[("HTTPS_PROXY", &proxy)])).unwrap_err(),
        ],
    })
}

pub(super) fn runtime() -> Vec<(ExitStatus, RuntimeFailed)> {
    vec![(ExitStatus::Internal, RuntimeFailed(io::ErrorKind::OutOfMemory.into()))]
}

/// Those with this status of their own.
pub(crate) fn network_with(wanted: ExitStatus) -> impl Iterator<Item = NetworkError> {
    network().into_iter().map(|(_, kind)| kind).filter(move |kind| kind.status() == wanted)
}

/// What all servers have in common; the exit status is that of a source.
pub(crate) fn network() -> Vec<(ExitStatus, NetworkError)> {
    use NetworkError::*;
    let (host, why) = (|| "s3.test".to_owned(), || "unknown issuer".to_owned());
    examples!(NetworkError {
        Throttled(_) => SourceUnreachable [Throttled(503)],
        Server(_) => SourceUnreachable [Server(500)],
        ClockSkew { .. } => AccessDenied [
            ClockSkew { ahead: Some(9) },
            ClockSkew { ahead: Some(-9) },
            ClockSkew { ahead: None },
        ],
        Untrusted { .. } => SourceUnreachable [Untrusted { host: host(), why: why() }],
        CertificateTime { .. } => SourceUnreachable [CertificateTime { host: host(), why: why() }],
        WrongName { .. } => SourceUnreachable [WrongName { host: host(), why: why() }],
        Tls { .. } => SourceUnreachable [Tls { host: host(), why: why() }],
        Dns(_) => SourceUnreachable [Dns(host())],
        Connect { .. } => SourceUnreachable [Connect { host: host(), why: why() }],
        Silent(_) => SourceUnreachable [Silent(host())],
        Proxy { .. } => SourceUnreachable [Proxy { proxy: "proxy.test:3128".into(), to: host() }],
        Cut(_) => SourceUnreachable [Cut(why())],
        TooLong => Integrity [TooLong],
        Deadline => SourceUnreachable [Deadline],
        Unexpected(_) => SourceUnreachable [Unexpected(206)],
        Unusable(_) => Settings [Unusable("not a valid endpoint".into())],
    })
}

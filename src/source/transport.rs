//! Names what kept a request from being answered, from the chain of errors that the HTTP client
//! left.

use std::error::Error;

use rustls::CertificateError;

use super::failure::Kind;
use super::retry::{Failure, Next};
use crate::net::{Failed, NoAnswer, chain, tls_error};

/// `host` stands in where the chain does not say whom we talked to: in the middle of a body.
pub(crate) fn failure(error: &(dyn Error + 'static), host: &str) -> Failure {
    let sent = chain(error).find_map(|error| error.downcast_ref::<Failed>());
    let host = sent.map_or(host, |sent| &sent.host).to_owned();
    let kind = match tls_error(error) {
        Some(tls) => of_tls(tls, host),
        None => of_network(error, host, sent.and_then(|sent| sent.proxy.clone())),
    };
    let outermost = sent.map_or(error, |sent| sent);
    Failure { next: next(&kind), kind, causes: causes(outermost) }
}

/// A certificate stays what it is; all else may pass.
fn next(kind: &Kind) -> Next {
    let stays = matches!(
        kind,
        Kind::Untrusted { .. }
            | Kind::WrongName { .. }
            | Kind::CertificateTime { .. }
            | Kind::Tls { .. }
    );
    if stays { Next::GiveUp } else { Next::Wait }
}

/// Each level once: wrappers repeat what they wrap.
fn causes(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut causes: Vec<String> = chain(error).map(|error| printable(&error.to_string())).collect();
    causes.dedup();
    causes
}

fn of_tls(error: &rustls::Error, host: String) -> Kind {
    use CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet,
        NotValidYetContext,
    };
    let why = printable(&error.to_string());
    match error {
        rustls::Error::InvalidCertificate(
            Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. },
        ) => Kind::CertificateTime { host, why },
        rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => {
            Kind::WrongName { host, why }
        }
        rustls::Error::InvalidCertificate(_) => Kind::Untrusted { host, why },
        _ => Kind::Tls { host, why },
    }
}

fn of_network(error: &(dyn Error + 'static), host: String, proxy: Option<String>) -> Kind {
    let any = |is: fn(&reqwest::Error) -> bool| {
        chain(error).any(|error| error.downcast_ref().is_some_and(is))
    };
    let silent =
        any(reqwest::Error::is_timeout) || chain(error).any(|error| error.is::<NoAnswer>());
    let connecting = any(reqwest::Error::is_connect);
    let why = chain(error).last().map(|error| printable(&error.to_string())).unwrap_or_default();
    match proxy {
        Some(proxy) if connecting => Kind::Proxy { proxy, to: format!("{host}: {why}") },
        _ if any(reqwest::Error::is_dns) => Kind::Dns(host),
        _ if silent && connecting => Kind::Connect {
            host,
            why: "its name was not resolved, or it did not answer, in time".into(),
        },
        _ if silent => Kind::Silent(host),
        _ if connecting => Kind::Connect { host, why },
        _ => Kind::Cut(why),
    }
}

/// At most 300 characters of a text that somebody else wrote, on one line. Its first paragraph:
/// below it, AWS quotes a request that was signed wrongly, with the session's token.
pub(crate) fn printable(text: &str) -> String {
    let first = text.trim_start().split("\n\n").next().unwrap_or_default();
    first
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(300)
        .collect::<String>()
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use rustls::Error::{AlertReceived, InvalidCertificate};

    use super::*;

    #[test]
    fn a_certificate_that_is_refused_says_whether_trust_time_or_name_is_wrong_and_is_final() {
        let table = [
            (InvalidCertificate(CertificateError::UnknownIssuer), "AWS_CA_BUNDLE"),
            (InvalidCertificate(CertificateError::BadSignature), "AWS_CA_BUNDLE"),
            (InvalidCertificate(CertificateError::Expired), "Set the clock"),
            (InvalidCertificate(CertificateError::NotValidYet), "Set the clock"),
            (InvalidCertificate(CertificateError::NotValidForName), "captive portal"),
            (AlertReceived(rustls::AlertDescription::HandshakeFailure), "TLS 1.2 or 1.3"),
        ];
        for (tls, remedy) in table {
            // As it arrives: wrapped in input/output errors.
            let error = std::io::Error::other(std::io::Error::other(tls));
            let failure = failure(&error, "s3.test");
            assert_eq!(failure.next, Next::GiveUp);
            assert!(failure.kind.to_string().contains("s3.test"), "{}", failure.kind);
            assert!(
                failure.kind.remedy().contains(remedy),
                "{}: {}",
                failure.kind,
                failure.kind.remedy()
            );
            assert_eq!(failure.causes.len(), 1, "{:?}", failure.causes);
        }
    }
}

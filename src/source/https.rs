//! A layer from a URL, presigned or public. The URL is a secret: no error, log or report shows its
//! query.

use reqwest::{Method, Request, Response, Url, header};

use super::answer::{Answer, element};
use super::failure::Kind;
use super::retry::{Failure, Next};
use super::transport::{self, printable};
use super::{Body, Read, grammar};
use crate::net::{Http, SILENCE};

/// One GET. Redirects are not followed: they would carry a secret to a host that nobody named.
pub(super) async fn get(http: &Http, url: &Url) -> Result<Read, Failure> {
    let host = url.host_str().unwrap_or_default();
    let answer = http
        .send(Request::new(Method::GET, url.clone()), SILENCE)
        .await
        .map_err(|error| transport::failure(&error, host))?;
    let named = |name: &str| {
        answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    let (etag, version_id, status) =
        (named("etag"), named("x-amz-version-id"), answer.status().as_u16());
    if status != 200 {
        return Err(refused(answer, url).await);
    }
    Ok(Read { bytes: body(answer, host).await?, etag, version_id, ..Read::default() })
}

/// A body that is shorter than announced is an error of the HTTP client's already.
async fn body(mut answer: Response, host: &str) -> Result<Vec<u8>, Failure> {
    let mut body = Body::begin(answer.content_length())?;
    while let Some(more) =
        answer.chunk().await.map_err(|error| transport::failure(&error.without_url(), host))?
    {
        body.add(&more)?;
    }
    Ok(body.bytes)
}

async fn refused(answer: Response, url: &Url) -> Failure {
    let status = answer.status().as_u16();
    let headers = answer.headers().clone();
    let header =
        |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    if answer.status().is_redirection() {
        return Failure::last(redirected(status, header(header::LOCATION.as_str()), url));
    }
    // The error's text only explains; that it cannot be read changes nothing.
    let body = body(answer, "").await.unwrap_or_default();
    let why =
        element(&String::from_utf8_lossy(&body), "Message").map(|message| printable(&message));
    of_status(&Answer::new(status, header, &body), why)
}

fn redirected(status: u16, location: Option<String>, url: &Url) -> Kind {
    match location.and_then(|location| url.join(&location).ok()) {
        Some(to) => Kind::Redirected(grammar::shown_url(&to)),
        None => Kind::Unexpected(status),
    }
}

fn of_status(answer: &Answer, why: Option<String>) -> Failure {
    let status = answer.status;
    let again = |kind| Failure { next: Next::Wait, ..Failure::last(kind) };
    match status {
        404 | 410 => Failure::last(Kind::NoUrl(status)),
        403 if answer.code == "RequestTimeTooSkewed" => {
            Failure::last(Kind::ClockSkew { ahead: answer.clock_ahead })
        }
        429 => again(Kind::Throttled(status)),
        503 if answer.code == "SlowDown" => again(Kind::Throttled(status)),
        408 | 500.. => again(Kind::Server(status)),
        400.. => Failure::last(Kind::UrlRefused { status, why }),
        _ => Failure::last(Kind::Unexpected(status)),
    }
}

//! A layer from a URL, presigned or public. The URL is a secret: no error, log or report shows its
//! query.

use http::Method;
use http::header::LOCATION;
use url::Url;

use super::error::ErrorKind;
use super::{Content, Failed, grammar};
use crate::net::backoff::{FailedAttempt, Next};
use crate::net::signed::Answer;
use crate::net::{Http, NetworkError, READ_TIMEOUT, Response, header, request};
use crate::paths::MAX_CONFIG;

/// One GET. Redirects are not followed: they would carry a secret to a host that the user did not
/// name.
pub(super) async fn get(http: &Http, url: &Url) -> Result<Content, Failed> {
    let request = request(Method::GET, url)?;
    let answer = http.send(request, READ_TIMEOUT, MAX_CONFIG).await?;
    if answer.status() != 200 {
        return Err(refused(answer, url).await);
    }
    let named = |name| header(&answer.head.headers, name);
    let (etag, version_id) = (named("etag"), named("x-amz-version-id"));
    Ok(Content { bytes: answer.bytes().await?, etag, version_id, ..Content::default() })
}

async fn refused(answer: Response, url: &Url) -> Failed {
    let (status, date) = (answer.status(), header(&answer.head.headers, "date"));
    if (300..400).contains(&status) {
        let location = header(&answer.head.headers, LOCATION.as_str());
        return FailedAttempt::last(redirected(status, location, url));
    }
    // The error's text only explains; that it cannot be read changes nothing.
    of_status(Answer::new(status, date, &answer.bytes().await.unwrap_or_default()))
}

fn redirected(status: u16, location: Option<String>, url: &Url) -> ErrorKind {
    match location.and_then(|location| url.join(&location).ok()) {
        Some(to) => ErrorKind::Redirected(grammar::shown_url(&to)),
        None => ErrorKind::Unexpected(status),
    }
}

fn of_status(answer: Answer) -> Failed {
    if let Some(error) = NetworkError::of_answer(answer.status, &answer.code) {
        return FailedAttempt::last(error.into()).then(Next::Wait);
    }
    FailedAttempt::last(match answer.status {
        status @ (404 | 410) => ErrorKind::NoUrl(status),
        403 if answer.code == "RequestTimeTooSkewed" => {
            NetworkError::ClockSkew { ahead: answer.clock_ahead }.into()
        }
        status @ 400.. => {
            let why = Some(answer.message).filter(|why| !why.is_empty());
            ErrorKind::UrlRefused { status, why }
        }
        status => ErrorKind::Unexpected(status),
    })
}

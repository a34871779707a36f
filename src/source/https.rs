//! A layer from a URL, presigned or public. The URL is a secret: no error, log or report shows its
//! query.

use http::Method;
use http::header::LOCATION;
use url::Url;

use super::answer::S3Answer;
use super::error::ErrorKind;
use super::{Content, Failed, grammar};
use crate::net::backoff::{FailedAttempt, Next};
use crate::net::{Http, NetworkError, READ_TIMEOUT, Response, first_paragraph, header, request};
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
    let (status, headers) = (answer.status(), answer.head.headers.clone());
    if (300..400).contains(&status) {
        let location = header(&headers, LOCATION.as_str());
        return FailedAttempt::last(redirected(status, location, url));
    }
    // The error's text only explains; that it cannot be read changes nothing.
    let body = answer.bytes().await.unwrap_or_default();
    of_status(&S3Answer::new(status, |name| header(&headers, name), &body))
}

fn redirected(status: u16, location: Option<String>, url: &Url) -> ErrorKind {
    match location.and_then(|location| url.join(&location).ok()) {
        Some(to) => ErrorKind::Redirected(grammar::shown_url(&to)),
        None => ErrorKind::Unexpected(status),
    }
}

fn of_status(answer: &S3Answer) -> Failed {
    if let Some(error) = NetworkError::of_answer(answer.status, &answer.code) {
        return FailedAttempt::last(error.into()).then(Next::Wait);
    }
    FailedAttempt::last(match answer.status {
        status @ (404 | 410) => ErrorKind::NoUrl(status),
        403 if answer.code == "RequestTimeTooSkewed" => answer.skewed(),
        status @ 400.. => {
            let why = Some(first_paragraph(&answer.message)).filter(|why| !why.is_empty());
            ErrorKind::UrlRefused { status, why }
        }
        status => ErrorKind::Unexpected(status),
    })
}

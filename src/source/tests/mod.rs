//! `fetch` against a server of a few lines that answers as S3 documents; moto, radosgw and the
//! rehearsal cloud answer the rest.

mod errors;
mod network;
mod s3;
mod url;

use std::time::Duration;

use super::*;
use crate::error::{Diagnostic, ExitStatus};
use crate::net::tests::pairs;
use crate::net::tests::server::{BUFFERS, Server, answer, endless, refusing, run};
use crate::net::{NetworkError, Vars};
use crate::paths::MAX_CONFIG;

const SECRET: &str = "MARKER-SECRET-KEY";
const TOKEN: &str = "MARKER-SESSION-TOKEN";
/// More time than any test needs.
const PLENTY: Duration = Duration::from_secs(20);

fn error(status: u16, code: &str, message: &str, headers: &str) -> String {
    let body = format!(
        "<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>{message}</Message><RequestId>R1</RequestId></Error>"
    );
    answer(status, headers, &body)
}

fn found(body: &str) -> String {
    answer(200, "ETag: \"e1\"\r\nx-amz-version-id: v1\r\n", body)
}

fn fetch_with(
    environment: &[(&str, &str)],
    source: &str,
    timeout: Duration,
) -> Result<Fetched, Error> {
    fetch_beside(environment, source, timeout, None)
}

fn fetch_beside(
    environment: &[(&str, &str)],
    source: &str,
    timeout: Duration,
    cached: Option<&Cached>,
) -> Result<Fetched, Error> {
    let http = Http::new(&pairs(environment)).unwrap();
    let aws = Aws::from_vars(&pairs(environment)).unwrap();
    let credentials = Credentials::new("AKIDTEST", SECRET, Some(TOKEN.into()), None, "test");
    run(async {
        let access = Access {
            http: &http,
            aws: &aws,
            credentials: Some(&credentials),
            region: Some("us-west-2".into()),
            deadline: Instant::now() + timeout,
            cached,
        };
        fetch(&source.parse().unwrap(), &access).await
    })
}

/// Fetches from an S3 that gives these answers, and returns what it was asked.
fn s3(source: &str, answers: Vec<String>) -> (Result<Fetched, Error>, Vec<String>) {
    let server = Server::start(answers);
    let fetched = fetch_with(&[("AWS_ENDPOINT_URL_S3", &server.url())], source, PLENTY);
    (fetched, server.requests())
}

fn kind(source: &str, answers: Vec<String>) -> ErrorKind {
    let (fetched, requests) = s3(source, answers);
    let error = fetched.unwrap_err();
    let all = format!("{error} {error:?} {}", error.remedy());
    assert!(!all.contains("MARKER"), "{all}");
    assert!(!requests.is_empty());
    error.kind
}

/// The region that a request was signed for.
fn signed_for(request: &str) -> &str {
    request.split("Credential=AKIDTEST/").nth(1).and_then(|scope| scope.split('/').nth(1)).unwrap()
}

//! Layers from URLs.

use super::*;

/// What one attempt fails with.
fn failure(answer: String) -> Error {
    let server = Server::start(vec![answer]);
    let address = &server.address;
    let source: Source =
        format!("http://u:MARKER@{address}/k?X-Amz-Signature=MARKER").parse().unwrap();
    let Location::Https(url) = &source.location else { unreachable!() };
    let http = Http::new(&Vars::new()).unwrap();
    let FailedAttempt { error, causes, .. } = run(https::get(&http, url)).unwrap_err();
    Error { from: source.to_string(), service: source.service(), kind: error, attempts: 1, causes }
}

#[test]
fn url_is_fetched_unchanged_and_without_credentials() {
    let server = Server::start(vec![found("ECS_CLUSTER=a\n")]);
    let url = format!("{}/a//b?X-Amz-Signature=s%2Fg&x", server.url());
    let fetched = fetch_with(&[], &url, PLENTY).unwrap();
    assert_eq!(
        (fetched.bytes.len(), fetched.attempts, fetched.layer.etag.as_deref()),
        (14, 1, Some("\"e1\""))
    );
    let head = &server.requests()[0];
    assert!(
        head.starts_with("GET /a//b?X-Amz-Signature=s%2Fg&x ")
            && !head.to_lowercase().contains("authorization"),
        "{head}"
    );
}

#[test]
fn url_errors_never_show_the_query() {
    let table = [
        (
            answer(302, "Location: http://elsewhere.test/x?MARKER\r\n", ""),
            "redirects to http://elsewhere.test/x",
            ExitStatus::SourceUnreachable,
        ),
        (answer(301, "", ""), "answered 301", ExitStatus::SourceUnreachable),
        (
            error(403, "AccessDenied", "Request has expired", ""),
            "403: Request has expired",
            ExitStatus::AccessDenied,
        ),
        (answer(401, "", ""), "refused the URL (401)", ExitStatus::AccessDenied),
        (answer(404, "", ""), "nothing at this URL (404)", ExitStatus::NotFound),
        (answer(204, "", ""), "answered 204", ExitStatus::SourceUnreachable),
        (answer(503, "", ""), "fails (503)", ExitStatus::SourceUnreachable),
        (answer(429, "", ""), "less traffic (429)", ExitStatus::SourceUnreachable),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nECS".into(),
            "cut off",
            ExitStatus::SourceUnreachable,
        ),
        ("no HTTP\r\n\r\n".into(), "cut off", ExitStatus::SourceUnreachable),
    ];
    for (answer, why, exit) in table {
        let error = failure(answer);
        let all = format!("{error} {error:?} {}", error.remedy());
        assert!(error.to_string().contains(why) && error.status() == exit, "{all}");
        assert!(!all.contains("MARKER"), "{all}");
    }
}

#[test]
fn endless_url_is_cut_whatever_its_status() {
    for (status, exit) in [(200, ExitStatus::Integrity), (403, ExitStatus::AccessDenied)] {
        let server = Server::start(vec![endless(status)]);
        let error = fetch_with(&[], &format!("{}/k?MARKER", server.url()), PLENTY).unwrap_err();
        let sent = server.exchanges()[0].sent;
        assert_eq!(error.status(), exit, "{error}");
        assert!(sent < BUFFERS, "{status}: {sent} bytes were sent");
    }
}

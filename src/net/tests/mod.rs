pub(crate) mod server;

use http::Method;
use server::{BUFFERS, Server, answer, endless, run};

use super::*;
use crate::error::{Diagnostic, ExitStatus};

/// Variables of a process.
pub(crate) fn pairs(variables: &[(&str, &str)]) -> Vars {
    vars(
        &variables
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect::<Vec<_>>(),
    )
}

#[test]
fn tls_is_validated_in_a_build_for_it_alone() {
    let config = tls(RootCertStore::empty()).config().clone();
    assert_eq!(config.fips(), cfg!(feature = "fips"));
}

#[test]
fn aws_ca_bundle_wins_over_ssl_cert_file() {
    let table = [
        ([("SSL_CERT_FILE", "/b.pem"), ("AWS_CA_BUNDLE", "/a.pem")], "/a.pem"),
        ([("SSL_CERT_FILE", "/b.pem"), ("AWS_CA_BUNDLE", "")], "/b.pem"),
    ];
    for (variables, path) in table {
        let error = Http::new(&pairs(&variables)).unwrap_err();
        assert!(error.to_string().contains(path), "{error}");
    }
}

#[test]
fn unusable_ca_file_is_refused_by_name() {
    let fifo = tempfile::tempdir().unwrap();
    let fifo = fifo.path().join("ca.pem");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let table = [
        ("/nonexistent/ca.pem", "cannot be read"),
        ("/dev/null", "cannot be read"),
        ("/proc/self/status", "no usable certificate"),
        (fifo.to_str().unwrap(), "cannot be read"),
    ];
    for (path, what) in table {
        let error = Http::new(&pairs(&[("AWS_CA_BUNDLE", path)])).unwrap_err();
        assert_eq!(error.status(), ExitStatus::Settings);
        assert!(error.to_string().contains(path) && error.to_string().contains(what), "{error}");
        assert!(error.remedy().contains("AWS_CA_BUNDLE"));
    }
}

#[test]
fn clients_need_no_ca_files_of_the_machine() {
    Http::new(&Vars::new()).unwrap();
}

/// The body of the answer, and how much the server sent of it.
fn body(answer: String, limit: usize) -> (Result<Vec<u8>, NetworkError>, usize) {
    let server = Server::start(vec![answer]);
    let request = request(Method::GET, &Url::parse(&server.url()).unwrap()).unwrap();
    let http = Http::new(&Vars::new()).unwrap();
    let body = run(async { http.send(request, READ_TIMEOUT, limit).await?.bytes().await });
    (body.map_err(|failed| failed.kind()), server.exchanges()[0].sent)
}

#[test]
fn body_may_have_as_many_bytes_as_its_limit() {
    assert_eq!(body(answer(200, "", "12345"), 5).0, Ok(b"12345".to_vec()));
    assert_eq!(body(answer(200, "", "123456"), 5).0, Err(NetworkError::TooLong));
    assert_eq!(body(answer(403, "", "12345"), MAX_CONFIG).0, Ok(b"12345".to_vec()));
}

#[test]
fn of_an_errors_body_the_beginning_will_do() {
    let long = "#".repeat(2 * MAX_DOCUMENT);
    let read = body(answer(403, "", &long), MAX_CONFIG).0.unwrap();
    assert!(read.len() <= MAX_DOCUMENT && read.starts_with(b"##"), "{}", read.len());
}

#[test]
fn endless_body_of_any_status_ends_at_its_limit() {
    for status in [200, 301, 403, 404, 500] {
        let (body, sent) = body(endless(status), MAX_CONFIG);
        match body {
            Ok(read) => assert!(status != 200 && read.len() <= MAX_DOCUMENT, "{status}"),
            Err(error) => assert_eq!((status, error), (200, NetworkError::TooLong)),
        }
        assert!(sent < BUFFERS, "{status}: {sent} bytes were sent");
    }
}

#[test]
fn body_that_breaks_off_is_an_error() {
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nECS".to_owned();
    assert!(matches!(body(cut, MAX_CONFIG).0, Err(NetworkError::Cut(_))));
}

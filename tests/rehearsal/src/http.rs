//! HTTP/1.1 as small as a double needs it, and with the manners of bad servers: an answer may come
//! late, trickle, be cut, claim a wrong length, or never come. Reads requests from a stream of
//! bytes, writes responses.

use std::io::{self, BufRead, Read, Write};
use std::thread::sleep;
use std::time::Duration;

use percent_encoding::percent_decode_str;

/// No client of ours sends more: longer heads and bodies end the connection.
const HEAD_LIMIT: u64 = 64 << 10;
const BODY_LIMIT: usize = 1 << 20;

/// One request as it came over the wire.
#[derive(Debug, Default)]
pub struct Request {
    /// `GET`, `PUT` and so on.
    pub method: String,
    /// Path and query as sent, still percent-encoded; the origin of an absolute target is cut off.
    pub target: String,
    /// Names in lower case, values trimmed, in the order they came.
    pub headers: Vec<(String, String)>,
    /// At most 1 MiB.
    pub body: Vec<u8>,
    /// The client may send another request over the same connection.
    pub keep_alive: bool,
}

impl Request {
    /// The first value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The path as sent, without the query.
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(&self.target, |(path, _)| path)
    }

    /// The query's pairs, decoded; `+` is a plus, as AWS reads it.
    pub fn query(&self) -> Vec<(String, String)> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        let pair = |part: &str| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decoded(name), decoded(value))
        };
        query.split('&').filter(|part| !part.is_empty()).map(pair).collect()
    }

    /// One value of the query, decoded.
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.query().into_iter().find(|(n, _)| n == name).map(|(_, value)| value)
    }

    /// The `Host` header without its port.
    pub fn host(&self) -> &str {
        let host = self.header("host").unwrap_or("");
        match host.strip_prefix('[') {
            Some(v6) => v6.split(']').next().unwrap_or(v6),
            None => host.split(':').next().unwrap_or(host),
        }
    }
}

pub(crate) fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// An answer, and how the server behaves while it sends it.
#[derive(Clone, Debug, Default)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub manner: Manner,
}

/// How an answer is sent.
#[derive(Clone, Debug, Default)]
pub struct Manner {
    /// Time between the request and the first byte of the answer.
    pub wait: Duration,
    pub length: Length,
    pub pace: Pace,
    /// Time to live of the packets that carry this answer: the hop limit of IMDS.
    pub hop_limit: Option<u32>,
}

/// Which length the answer claims.
#[derive(Clone, Copy, Debug, Default)]
pub enum Length {
    #[default]
    Honest,
    /// `Content-Length` is this, whatever the body is.
    Claimed(u64),
    /// No `Content-Length`: the body ends when the connection does.
    Unsaid,
}

/// How fast, and how far, the body is sent.
#[derive(Clone, Copy, Debug, Default)]
pub enum Pace {
    #[default]
    AtOnce,
    /// So many bytes at a time, with a pause after each piece.
    Trickle(usize, Duration),
    /// The connection is closed after so many bytes of body.
    CutAfter(usize),
    /// The body again and again, until the client leaves.
    Endless,
    /// Not a byte, for as long as the client waits.
    Silent,
}

impl Response {
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("Content-Type".into(), content_type.into())];
        Self { status, headers, body: body.into(), manner: Manner::default() }
    }

    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn silent() -> Self {
        let manner = Manner { pace: Pace::Silent, ..Manner::default() };
        Self { manner, ..Self::default() }
    }

    /// 2xx, or 304 Not Modified.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status) || self.status == 304
    }

    /// A header's value; `name` as it was given.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        self.headers.push((name.into(), value.into()));
    }

    fn closes(&self) -> bool {
        !matches!(self.manner.length, Length::Honest)
            || matches!(self.manner.pace, Pace::CutAfter(_))
    }

    fn head(&self) -> Vec<u8> {
        let length = match self.manner.length {
            // RFC 9110, section 8.6: a 304 has no body to count.
            Length::Honest if self.status != 304 => {
                format!("Content-Length: {}\r\n", self.body.len())
            }
            Length::Claimed(bytes) => format!("Content-Length: {bytes}\r\n"),
            _ => String::new(),
        };
        let close = if self.closes() { "Connection: close\r\n" } else { "" };
        let mut head =
            format!("HTTP/1.1 {} {}\r\n{length}{close}", self.status, reason(self.status));
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}

/// Reads one request; `None` when the client has closed the connection.
pub(crate) fn read_request(stream: &mut impl BufRead) -> io::Result<Option<Request>> {
    let lines = head_lines(stream)?;
    let Some((first, rest)) = lines.split_first() else { return Ok(None) };
    let mut request = request_line(first).ok_or_else(|| malformed("request line"))?;
    request.headers = rest.iter().filter_map(|line| header_line(line)).collect();
    request.keep_alive = !first.ends_with("HTTP/1.0")
        && request.header("connection").is_none_or(|value| !value.eq_ignore_ascii_case("close"));
    request.body = body(stream, &request)?;
    Ok(Some(request))
}

fn head_lines(stream: &mut impl BufRead) -> io::Result<Vec<String>> {
    let mut lines = Vec::new();
    let mut head = stream.take(HEAD_LIMIT);
    loop {
        let mut line = Vec::new();
        if head.read_until(b'\n', &mut line)? == 0 {
            return if lines.is_empty() { Ok(lines) } else { Err(malformed("head")) };
        }
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        match text.is_empty() {
            true if lines.is_empty() => {}
            true => return Ok(lines),
            false => lines.push(text),
        }
    }
}

fn request_line(line: &str) -> Option<Request> {
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    // A proxy gets absolute targets, and some pass them on as they are.
    let target = match target.split_once("://") {
        Some((_, rest)) if !target.starts_with('/') => {
            rest.find('/').map_or("/", |slash| &rest[slash..])
        }
        _ => target,
    };
    Some(Request { method, target: target.to_owned(), ..Request::default() })
}

fn header_line(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    Some((name.to_ascii_lowercase(), value.trim().to_owned()))
}

fn body(stream: &mut impl Read, request: &Request) -> io::Result<Vec<u8>> {
    let length = request
        .header("content-length")
        .map_or(Ok(0), str::parse::<usize>)
        .map_err(|_| malformed("Content-Length"))?;
    if length > BODY_LIMIT || request.header("transfer-encoding").is_some() {
        return Err(malformed("body"));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(body)
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("malformed {what}"))
}

/// Sends one answer; returns whether the connection can be used again. `head_only` is for HEAD: the
/// body's length without the body.
pub(crate) fn write_response(
    stream: &mut impl Write,
    response: &Response,
    head_only: bool,
) -> io::Result<bool> {
    stream.write_all(&response.head())?;
    let body = if head_only || response.status == 304 { &[][..] } else { &response.body[..] };
    match response.manner.pace {
        Pace::CutAfter(bytes) => stream.write_all(&body[..bytes.min(body.len())])?,
        Pace::Trickle(bytes, pause) => trickle(stream, body, bytes, pause)?,
        Pace::Endless => loop {
            stream.write_all(body)?;
        },
        _ => stream.write_all(body)?,
    }
    stream.flush()?;
    Ok(!response.closes())
}

fn trickle(stream: &mut impl Write, body: &[u8], bytes: usize, pause: Duration) -> io::Result<()> {
    for piece in body.chunks(bytes.max(1)) {
        stream.write_all(piece)?;
        stream.flush()?;
        sleep(pause);
    }
    Ok(())
}

/// The reason phrases that AWS sends; clients must not care.
pub(crate) fn reason(status: u16) -> &'static str {
    const PHRASES: [(u16, &str); 19] = [
        (200, "OK"),
        (206, "Partial Content"),
        (301, "Moved Permanently"),
        (302, "Found"),
        (304, "Not Modified"),
        (307, "Temporary Redirect"),
        (400, "Bad Request"),
        (401, "Unauthorized"),
        (403, "Forbidden"),
        (404, "Not Found"),
        (405, "Method Not Allowed"),
        (407, "Proxy Authentication Required"),
        (412, "Precondition Failed"),
        (416, "Requested Range Not Satisfiable"),
        (429, "Too Many Requests"),
        (500, "Internal Server Error"),
        (502, "Bad Gateway"),
        (503, "Service Unavailable"),
        (504, "Gateway Timeout"),
    ];
    PHRASES.iter().find(|(code, _)| *code == status).map_or("Status", |(_, phrase)| phrase)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Request {
        read_request(&mut text.as_bytes()).unwrap().unwrap()
    }

    fn sent(response: &Response, head_only: bool) -> String {
        let mut bytes = Vec::new();
        write_response(&mut bytes, response, head_only).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn request_keeps_its_target_and_ignores_header_case() {
        let request = parsed("GET /a%20b?x=1%2B2&y HTTP/1.1\r\nHost: [::1]:80\r\nX-A:  b \r\n\r\n");
        assert_eq!(request.path(), "/a%20b");
        assert_eq!(request.query(), [("x".into(), "1+2".into()), ("y".into(), String::new())]);
        assert_eq!(request.header("x-a"), Some("b"));
        assert_eq!(request.host(), "::1");
    }

    #[test]
    fn http_1_0_and_connection_close_end_the_connection() {
        assert!(parsed("GET / HTTP/1.1\r\n\r\n").keep_alive);
        assert!(!parsed("GET / HTTP/1.0\r\n\r\n").keep_alive);
        assert!(!parsed("GET / HTTP/1.1\r\nConnection: close\r\n\r\n").keep_alive);
    }

    #[test]
    fn absolute_target_loses_its_origin() {
        assert_eq!(parsed("GET http://h:1/a?b HTTP/1.1\r\n\r\n").target, "/a?b");
    }

    #[test]
    fn body_is_read_by_length_and_eof_ends_the_connection() {
        assert_eq!(parsed("POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nabc").body, b"ab");
        assert!(read_request(&mut &b""[..]).unwrap().is_none());
        assert!(read_request(&mut &b"GET / HT"[..]).is_err());
    }

    #[test]
    fn head_answer_has_the_length_but_not_the_body() {
        let text = sent(&Response::new(200, "text/plain", "abc"), true);
        assert!(text.contains("Content-Length: 3\r\n") && text.ends_with("\r\n\r\n"), "{text}");
    }

    #[test]
    fn wrong_length_and_cut_body_are_sent_as_configured() {
        let mut response = Response::new(200, "text/plain", "abc");
        response.manner.length = Length::Claimed(9);
        assert!(sent(&response, false).contains("Content-Length: 9\r\nConnection: close\r\n"));
        response.manner.pace = Pace::CutAfter(1);
        assert!(sent(&response, false).ends_with("\r\n\r\na"));
    }
}

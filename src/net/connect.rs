//! One connection to a server: its name, TCP, the proxy's tunnel and TLS.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt};
use http::Uri;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use url::Url;

use super::error::Failure;
use super::proxy::Proxy;
use super::{CONNECT_TIMEOUT, USER_AGENT};
use crate::paths::MAX_DOCUMENT;

/// How long one address has before the next one is tried beside it (RFC 8305, section 5).
const STAGGER: Duration = Duration::from_millis(250);
/// As much of an answer to CONNECT as is read.
const MAX_TUNNEL_HEAD: usize = 8 * 1024;

/// What sends requests over one connection.
pub(super) type Sender = SendRequest<Full<Bytes>>;

/// Where a connection leads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Target {
    pub(super) is_tls: bool,
    /// Without the brackets of an IPv6 address.
    pub(super) host: String,
    pub(super) port: u16,
}

impl Target {
    pub(super) fn of(uri: &Uri) -> Option<Self> {
        let is_tls = uri.scheme_str()? == "https";
        let host = uri.host()?.trim_matches(['[', ']']).to_owned();
        Some(Target { is_tls, host, port: uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 }) })
    }

    pub(super) fn of_url(url: &Url) -> Option<Self> {
        let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().unwrap_or(80);
        Some(Target { is_tls: url.scheme() == "https", host, port })
    }

    /// As `Host` and CONNECT name it.
    pub(super) fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

/// Opens a connection and drives it in a task of its own.
pub(super) async fn open(
    target: &Target,
    proxy: Option<&Proxy>,
    tls: Option<&TlsConnector>,
) -> Result<Sender, Failure> {
    let stream = timeout(CONNECT_TIMEOUT, stream(target, proxy, tls));
    let stream = TokioIo::new(stream.await.map_err(|_| Failure::NotInTime)??);
    // As much of a head as is read, and at once of anything: hyper's own limit is 400 KiB.
    let http = http1::Builder::new().max_buf_size(MAX_DOCUMENT).handshake(stream);
    let (sender, connection) = http.await?;
    // How it ends is for the request that it ends under to tell.
    tokio::spawn(async { drop(connection.await) });
    Ok(sender)
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

async fn stream(
    target: &Target,
    proxy: Option<&Proxy>,
    tls: Option<&TlsConnector>,
) -> Result<Box<dyn Stream>, Failure> {
    let Some(proxy) = proxy else { return reach(target, tls).await };
    let mut stream = reach(&proxy.at, tls).await?;
    if target.is_tls {
        tunnel(&mut stream, target, proxy).await?;
        stream = encrypted(stream, &target.host, tls).await?;
    }
    Ok(stream)
}

async fn reach(at: &Target, tls: Option<&TlsConnector>) -> Result<Box<dyn Stream>, Failure> {
    let stream = tcp(&at.host, at.port).await?;
    match at.is_tls {
        true => encrypted(stream, &at.host, tls).await,
        false => Ok(Box::new(stream)),
    }
}

async fn encrypted(
    stream: impl Stream + 'static,
    host: &str,
    tls: Option<&TlsConnector>,
) -> Result<Box<dyn Stream>, Failure> {
    let unusable = |why: &str| Failure::Tls(io::Error::other(why.to_owned()));
    let tls = tls.ok_or_else(|| unusable("this service has plain HTTP only"))?;
    let name = ServerName::try_from(host.to_owned()).map_err(|_| unusable("not a host name"))?;
    Ok(Box::new(tls.connect(name, stream).await.map_err(Failure::Tls)?))
}

async fn tcp(host: &str, port: u16) -> Result<TcpStream, Failure> {
    let addresses: Vec<SocketAddr> = match host.parse::<IpAddr>() {
        Ok(address) => vec![(address, port).into()],
        Err(_) => tokio::net::lookup_host((host, port)).await.map_err(Failure::Dns)?.collect(),
    };
    let stream = first_to_answer(alternating(addresses)).await.map_err(Failure::Tcp)?;
    // Without it a small request may wait for an acknowledgement; nothing depends on it.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// One family after the other, begun with the one that the resolver prefers.
fn alternating(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let is_ipv4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (preferred, others): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv4() == is_ipv4);
    let turns = 0..preferred.len().max(others.len());
    turns.flat_map(|turn| [preferred.get(turn), others.get(turn)]).flatten().copied().collect()
}

/// Tries the addresses in their order, each next one as soon as those before it have failed or kept
/// silent for a while (RFC 8305).
async fn first_to_answer(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut left = addresses.into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut failed = io::Error::other("the name has no address");
    loop {
        attempts.extend(left.next().map(TcpStream::connect));
        let has_more = left.len() > 0;
        tokio::select! {
            Some(connected) = attempts.next() => match connected {
                Ok(stream) => return Ok(stream),
                Err(error) => failed = error,
            },
            () = sleep(STAGGER), if has_more => {}
            else => return Err(failed),
        }
    }
}

/// Has the proxy connect the stream to the target (RFC 9110, section 9.3.6).
async fn tunnel(
    stream: &mut Box<dyn Stream>,
    target: &Target,
    proxy: &Proxy,
) -> Result<(), Failure> {
    let authority = target.authority();
    let authorization = proxy.authorization.as_ref();
    let credentials = authorization.map(|value| format!("Proxy-Authorization: {value}\r\n"));
    let credentials = credentials.unwrap_or_default();
    let request = format!(
        "CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: {USER_AGENT}\r\n{credentials}\r\n"
    );
    stream.write_all(request.as_bytes()).await.map_err(Failure::Tcp)?;
    let mut head = Vec::with_capacity(1024);
    // The server behind the proxy says nothing before our side of TLS does: no byte of it is here.
    while !head.ends_with(b"\r\n\r\n") {
        let read = stream.read_buf(&mut head).await.map_err(Failure::Tcp)?;
        if read == 0 || head.len() > MAX_TUNNEL_HEAD {
            return Err(Failure::Tunnel("something that is not HTTP".into()));
        }
    }
    let head = String::from_utf8_lossy(&head);
    let status = head.lines().next().and_then(|line| line.strip_prefix("HTTP/1.")?.get(2..));
    match status.unwrap_or("something that is not HTTP") {
        status if status.starts_with('2') => Ok(()),
        status => Err(Failure::Tunnel(status.trim().to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::tests::server::run;

    #[test]
    fn families_alternate_from_the_preferred_one() {
        let address = |text: &str| text.parse().unwrap();
        let given = ["[::1]:1", "[::2]:1", "127.0.0.1:1", "[::3]:1"].map(address);
        let wanted = ["[::1]:1", "127.0.0.1:1", "[::2]:1", "[::3]:1"].map(address);
        assert_eq!(alternating(given.into()), wanted);
        assert_eq!(alternating(vec![]), []);
    }

    #[test]
    fn later_address_is_tried_when_the_first_refuses() {
        let open = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let addresses = vec![closed, open.local_addr().unwrap()];
        assert!(run(first_to_answer(addresses)).is_ok());
        assert!(run(first_to_answer(vec![closed])).is_err());
        assert!(run(first_to_answer(vec![])).is_err());
    }
}

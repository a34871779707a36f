//! A proxy that counts and remembers, for tests of who goes through it and who must not. CONNECT
//! tunnels and absolute-form requests; on loopback only, and it reaches loopback only. In front of
//! a cloud it leads AWS's own names there, so that the program can be run without any endpoint of
//! ours in its environment.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use crate::cloud::Cloud;
use crate::fault::Service;
use crate::listener::Listener;

/// What a proxy does with its clients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Manners {
    /// Passes on what is for loopback.
    Forwards,
    /// `407 Proxy Authentication Required`, with a web page.
    Refuses,
}

/// A running proxy.
pub struct Proxy {
    listener: Arc<Listener>,
    record: Arc<Record>,
}

#[derive(Default)]
struct Record {
    /// Bytes that clients sent, heads included.
    bytes: AtomicU64,
    connections: AtomicU64,
    hosts: Mutex<Vec<String>>,
    /// Where AWS's names lead: STS, and S3.
    aws: Option<(SocketAddr, SocketAddr)>,
}

impl Proxy {
    /// A proxy on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// When loopback cannot be listened on.
    pub fn start(manners: Manners) -> Self {
        Self::with(manners, Record::default())
    }

    /// A proxy that leads every name of AWS's to this cloud: `sts.…` to its STS, all others to its
    /// S3.
    pub fn in_front_of(cloud: &Cloud) -> Self {
        let aws = Some((cloud.address(Service::Sts), cloud.address(Service::S3)));
        Self::with(Manners::Forwards, Record { aws, ..Record::default() })
    }

    fn with(manners: Manners, record: Record) -> Self {
        let record = Arc::new(record);
        let kept = record.clone();
        let serve = move |stream| {
            let _broken = kept.serve(stream, manners);
        };
        let listener = Listener::bind(([127, 0, 0, 1], 0).into(), Arc::new(serve))
            .expect("the proxy listens on loopback");
        Self { listener, record }
    }

    /// `http://127.0.0.1:PORT`, for HTTPS_PROXY and its sisters.
    pub fn url(&self) -> String {
        format!("http://{}", self.listener.address)
    }

    /// Where clients wanted to go, as `HOST:PORT`, one entry a connection, in order.
    pub fn hosts(&self) -> Vec<String> {
        self.record.hosts().clone()
    }

    /// Bytes that clients have sent so far.
    pub fn bytes(&self) -> u64 {
        self.record.bytes.load(Ordering::Relaxed)
    }

    /// Connections so far, also those that sent nothing.
    pub fn connections(&self) -> u64 {
        self.record.connections.load(Ordering::Relaxed)
    }
}

impl Record {
    fn hosts(&self) -> MutexGuard<'_, Vec<String>> {
        self.hosts.lock().expect("no thread panics while it holds the hosts")
    }

    fn serve(self: &Arc<Self>, client: TcpStream, manners: Manners) -> io::Result<()> {
        self.connections.fetch_add(1, Ordering::Relaxed);
        let mut reader = BufReader::new(client.try_clone()?);
        let mut line = String::new();
        self.count(reader.read_line(&mut line)?);
        let (method, host, path) = destination(&line).ok_or(io::ErrorKind::InvalidData)?;
        self.hosts().push(host.clone());
        match manners {
            Manners::Refuses => self.refuse(reader, client),
            Manners::Forwards if method == "CONNECT" => self.tunnel(reader, client, &host),
            Manners::Forwards => {
                self.forward(reader, client, &host, &format!("{method} {path} HTTP/1.1\r\n"))
            }
        }
    }

    fn count(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn refuse(&self, mut reader: BufReader<TcpStream>, mut client: TcpStream) -> io::Result<()> {
        self.skip_head(&mut reader)?;
        const PAGE: &str = "<html><body>Proxy authentication required</body></html>\n";
        write!(
            client,
            "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Type: text/html\r\nProxy-Authenticate: Basic realm=\"rehearsal\"\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{PAGE}",
            PAGE.len()
        )
    }

    fn tunnel(
        self: &Arc<Self>,
        mut reader: BufReader<TcpStream>,
        mut client: TcpStream,
        host: &str,
    ) -> io::Result<()> {
        self.skip_head(&mut reader)?;
        let server = self.reach(host)?;
        client.write_all(b"HTTP/1.1 200 Connection Established\r\n\r\n")?;
        self.relay(reader, client, server)
    }

    /// The first line in the form that servers read; the rest as it comes.
    fn forward(
        self: &Arc<Self>,
        reader: BufReader<TcpStream>,
        client: TcpStream,
        host: &str,
        first: &str,
    ) -> io::Result<()> {
        let mut server = self.reach(host)?;
        server.write_all(format!("{first}Via: 1.1 rehearsal\r\n").as_bytes())?;
        self.relay(reader, client, server)
    }

    /// Connects to loopback and to nothing else: a test's proxy must not lead out.
    fn reach(&self, host: &str) -> io::Result<TcpStream> {
        let of_aws = host.contains(".amazonaws.com") || host.contains(".api.aws");
        let address = match self.aws.filter(|_| of_aws) {
            Some((sts, s3)) => {
                if host.starts_with("sts") {
                    sts
                } else {
                    s3
                }
            }
            None => host.replace("localhost", "127.0.0.1").parse().map_err(io::Error::other)?,
        };
        match address.ip().is_loopback() {
            true => TcpStream::connect(address),
            false => Err(io::ErrorKind::PermissionDenied.into()),
        }
    }

    fn skip_head(&self, reader: &mut BufReader<TcpStream>) -> io::Result<()> {
        let mut line = String::new();
        while reader.read_line(&mut line)? > 2 {
            self.count(line.len());
            line.clear();
        }
        Ok(())
    }

    /// Copies both directions until both ends have closed.
    fn relay(
        self: &Arc<Self>,
        mut from: BufReader<TcpStream>,
        mut client: TcpStream,
        mut server: TcpStream,
    ) -> io::Result<()> {
        let (mut back, end) = (server.try_clone()?, server.try_clone()?);
        let answers = thread::spawn(move || {
            let _broken = io::copy(&mut back, &mut client);
            client.shutdown(std::net::Shutdown::Both)
        });
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            self.count(read);
            server.write_all(&buffer[..read])?;
        }
        end.shutdown(std::net::Shutdown::Write)?;
        let _how_it_ended = answers.join();
        Ok(())
    }
}

/// Method, `HOST:PORT` and path of `CONNECT h:443 HTTP/1.1` or `GET http://h/p HTTP/1.1`.
fn destination(line: &str) -> Option<(String, String, String)> {
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    if method == "CONNECT" {
        return Some((method, target.to_owned(), String::new()));
    }
    let rest = target.strip_prefix("http://")?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let port = if host.rsplit(']').next()?.contains(':') { "" } else { ":80" };
    Some((
        method,
        format!("{host}{port}"),
        if path.is_empty() { "/".into() } else { path.to_owned() },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::{Cloud, Options};
    use crate::fault::Service;

    fn through(proxy: &Proxy, text: &str) -> String {
        let mut stream = TcpStream::connect(proxy.listener.address).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn absolute_request_is_forwarded_and_recorded() {
        let (cloud, proxy) = (Cloud::start(Options::default()), Proxy::start(Manners::Forwards));
        let host = cloud.address(Service::Imds);
        let request = format!(
            "GET http://{host}/latest/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        );
        let mut stream = TcpStream::connect(proxy.listener.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        assert_eq!(&status, b"HTTP/1.1 401");
        assert_eq!((proxy.hosts(), proxy.bytes()), (vec![host.to_string()], request.len() as u64));
        assert!(cloud.requests()[0].forwarded);
    }

    #[test]
    fn tunnel_reaches_loopback_only() {
        let proxy = Proxy::start(Manners::Forwards);
        assert_eq!(through(&proxy, "CONNECT 192.0.2.1:443 HTTP/1.1\r\n\r\n"), "");
        assert_eq!(proxy.hosts(), ["192.0.2.1:443"]);
    }

    #[test]
    fn refusing_proxy_requires_authentication() {
        let proxy = Proxy::start(Manners::Refuses);
        assert!(
            through(&proxy, "CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 407 ")
        );
    }

    #[test]
    fn port_of_an_absolute_target_defaults_to_80() {
        let host = |target: &str| destination(&format!("GET {target} HTTP/1.1")).unwrap().1;
        assert_eq!(host("http://a/b"), "a:80");
        assert_eq!(host("http://[::1]:8/b"), "[::1]:8");
        assert_eq!(host("http://[::1]"), "[::1]:80");
    }
}

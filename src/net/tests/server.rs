//! A server of a few lines that gives prepared answers, one a connection, and remembers what it was
//! asked. It never waits without end, and it stops when it is dropped.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, getsockname, socket};

const TIME_LIMIT: Duration = Duration::from_secs(20);
/// More than an endless answer sends to a client that has stopped reading: what fits into the
/// kernel's buffers of both ends.
pub(crate) const BUFFERS: usize = 16 << 20;
/// Where an endless answer ends after all.
const ENDLESS: usize = 4 * BUFFERS;

pub(crate) struct Server {
    pub(crate) address: String,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Vec<Exchange>>>,
    /// Kept open, so that no other test gets this port while a client still tries it.
    _listener: TcpListener,
}

/// One request, and what was sent in answer to it.
pub(crate) struct Exchange {
    pub(crate) head: String,
    pub(crate) sent: usize,
}

impl Server {
    /// Gives these answers, the bytes of each as they are.
    pub(crate) fn start(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let (address, stop) =
            (listener.local_addr().unwrap().to_string(), Arc::new(AtomicBool::new(false)));
        let stopped = stop.clone();
        let _listener = listener.try_clone().unwrap();
        let serve = move || {
            let connections = answers.iter().map_while(|answer| {
                accept(&listener, &stopped).map(|connection| exchange(connection, answer))
            });
            connections.collect()
        };
        Server { address, stop, thread: Some(std::thread::spawn(serve)), _listener }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What came so far; no more is waited for.
    pub(crate) fn exchanges(mut self) -> Vec<Exchange> {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap()
    }

    /// The heads of the requests.
    pub(crate) fn requests(self) -> Vec<String> {
        self.exchanges().into_iter().map(|exchange| exchange.head).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

fn accept(listener: &TcpListener, stopped: &AtomicBool) -> Option<TcpStream> {
    let began = Instant::now();
    loop {
        match listener.accept() {
            Ok((connection, _)) => return Some(connection),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("{error}"),
        }
        if stopped.load(Ordering::SeqCst) || began.elapsed() > TIME_LIMIT {
            return None;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn exchange(mut connection: TcpStream, answer: &str) -> Exchange {
    connection.set_nonblocking(false).unwrap();
    connection.set_read_timeout(Some(TIME_LIMIT)).unwrap();
    connection.set_write_timeout(Some(TIME_LIMIT)).unwrap();
    let (mut head, mut byte) = (Vec::new(), [0]);
    // A TLS handshake begins with 22, and has no empty line to wait for.
    while head.first() != Some(&22)
        && !head.ends_with(b"\r\n\r\n")
        && connection.read(&mut byte).is_ok_and(|read| read == 1)
    {
        head.push(byte[0]);
    }
    Exchange {
        head: String::from_utf8_lossy(&head).into_owned(),
        sent: send(&mut connection, answer),
    }
}

/// As much of the answer as the client takes. One that announces chunks goes on without end.
fn send(connection: &mut TcpStream, answer: &str) -> usize {
    let mut sent = 0;
    let mut write = |bytes: &[u8]| {
        let written = connection.write_all(bytes).is_ok();
        sent += bytes.len();
        written && sent < ENDLESS
    };
    let chunk = format!("10000\r\n{}\r\n", "#".repeat(0x10000));
    if write(answer.as_bytes()) && answer.ends_with(CHUNKED) {
        while write(chunk.as_bytes()) {}
    }
    sent
}

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n\r\n";

/// An answer whose body never ends.
pub(crate) fn endless(status: u16) -> String {
    format!("HTTP/1.1 {status} X\r\n{CHUNKED}")
}

/// An answer with a body of this length.
pub(crate) fn answer(status: u16, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}",
        body.len()
    )
}

/// An address that refuses connections for as long as the socket is kept: no other process can
/// listen there.
pub(crate) fn refusing() -> (OwnedFd, String) {
    let flags = SockFlag::SOCK_CLOEXEC;
    let held = socket(AddressFamily::Inet, SockType::Stream, flags, None).unwrap();
    bind(std::os::fd::AsRawFd::as_raw_fd(&held), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
    let address: SockaddrIn = getsockname(std::os::fd::AsRawFd::as_raw_fd(&held)).unwrap();
    (held, address.to_string())
}

/// Runs a future to its end.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

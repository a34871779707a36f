//! A listening address that can be closed and opened again without losing its port: closed, it
//! refuses connections; as a black hole, it drops them. On loopback, unless the caller names
//! another address inside a network namespace of its own.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use socket2::{Domain, SockRef, Socket, Type};

/// Serves one connection, on a thread of its own.
type Serve = Arc<dyn Fn(TcpStream) + Send + Sync>;

pub(crate) struct Listener {
    pub address: SocketAddr,
    /// Bound, never listening: holds the port while the listener is closed.
    _keeper: Socket,
    serve: Serve,
    sockets: Mutex<Sockets>,
}

#[derive(Default)]
struct Sockets {
    listening: Option<TcpListener>,
    /// Connections that fill the queue of a socket from which no thread accepts.
    fillers: Vec<Socket>,
}

impl Listener {
    /// Listens at `address`; port 0 takes a free one.
    pub(crate) fn bind(address: SocketAddr, serve: Serve) -> io::Result<Arc<Self>> {
        let keeper = bound(address)?;
        let address = keeper.local_addr()?.as_socket().expect("a TCP socket has an address");
        let listener = Self { address, _keeper: keeper, serve, sockets: Mutex::default() };
        listener.open()?;
        Ok(Arc::new(listener))
    }

    /// Accepts connections again; an open listener stays as it is.
    pub(crate) fn open(&self) -> io::Result<()> {
        let mut sockets = self.sockets();
        if sockets.listening.is_some() && sockets.fillers.is_empty() {
            return Ok(());
        }
        close(&mut sockets);
        let listener = listening(self.address, 128)?;
        let (accepting, serve) = (listener.try_clone()?, self.serve.clone());
        thread::spawn(move || accept(&accepting, &serve));
        sockets.listening = Some(listener);
        Ok(())
    }

    /// From now on connections are refused.
    pub(crate) fn close(&self) {
        close(&mut self.sockets());
    }

    /// From now on connections are dropped, as by a firewall: the queue is full, so the kernel
    /// answers no SYN.
    pub(crate) fn blackhole(&self) -> io::Result<()> {
        let mut sockets = self.sockets();
        close(&mut sockets);
        sockets.listening = Some(listening(self.address, 0)?);
        sockets.fillers = (0..2).map(|_| filler(self.address)).collect::<io::Result<_>>()?;
        Ok(())
    }

    fn sockets(&self) -> MutexGuard<'_, Sockets> {
        self.sockets.lock().expect("no thread panics while it holds a listener")
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.close();
    }
}

/// Closing alone would leave the thread in `accept` and the port open: shutting the socket down
/// wakes it.
fn close(sockets: &mut Sockets) {
    sockets.fillers.clear();
    if let Some(listener) = sockets.listening.take() {
        let _already_closed = SockRef::from(&listener).shutdown(std::net::Shutdown::Both);
    }
}

fn accept(listener: &TcpListener, serve: &Serve) {
    while let Ok((stream, _)) = listener.accept() {
        let serve = serve.clone();
        thread::spawn(move || serve(stream));
    }
}

fn bound(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn listening(address: SocketAddr, backlog: i32) -> io::Result<TcpListener> {
    let socket = bound(address)?;
    socket.listen(backlog)?;
    Ok(socket.into())
}

fn filler(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    let _in_progress = socket.connect(&address.into());
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::time::Duration;

    use super::*;

    fn listener() -> Arc<Listener> {
        Listener::bind(([127, 0, 0, 1], 0).into(), Arc::new(drop)).unwrap()
    }

    fn connect(listener: &Listener, timeout: Duration) -> io::Result<TcpStream> {
        TcpStream::connect_timeout(&listener.address, timeout)
    }

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn closed_listener_refuses_and_reopens_at_the_same_port() {
        let listener = listener();
        for _ in 0..3 {
            assert_eq!(connect(&listener, LONG).unwrap().read(&mut [0]).unwrap(), 0);
            listener.close();
            let refused = connect(&listener, LONG).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
            listener.open().unwrap();
        }
    }

    #[test]
    fn blackhole_drops_connections_until_it_is_opened() {
        let listener = listener();
        listener.blackhole().unwrap();
        let dropped = connect(&listener, Duration::from_millis(300)).unwrap_err();
        assert_eq!(dropped.kind(), io::ErrorKind::TimedOut);
        listener.open().unwrap();
        assert_eq!(connect(&listener, LONG).unwrap().read(&mut [0]).unwrap(), 0);
    }
}

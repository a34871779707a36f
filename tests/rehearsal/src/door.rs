//! A listening address that can be shut and opened again without losing its port: shut, it refuses
//! connections; walled up, it swallows them. Loopback only, unless a test names another address
//! inside its own namespace.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use socket2::{Domain, SockRef, Socket, Type};

/// What is done with each connection, on a thread of its own.
type Serve = Arc<dyn Fn(TcpStream) + Send + Sync>;

pub struct Door {
    pub address: SocketAddr,
    /// Bound, never listening: holds the port while the door is shut.
    _keeper: Socket,
    serve: Serve,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    listener: Option<TcpListener>,
    /// Connections that fill the queue of a listener nobody accepts from.
    fillers: Vec<Socket>,
}

impl Door {
    /// Opens a door at `address`; port 0 takes a free one.
    pub fn open_at(address: SocketAddr, serve: Serve) -> io::Result<Arc<Self>> {
        let keeper = bound(address)?;
        let address = keeper.local_addr()?.as_socket().expect("a TCP socket has an address");
        let door = Self { address, _keeper: keeper, serve, state: Mutex::default() };
        door.open()?;
        Ok(Arc::new(door))
    }

    /// Lets connections in again; an open door stays as it is.
    pub fn open(&self) -> io::Result<()> {
        let mut state = self.state();
        if state.listener.is_some() && state.fillers.is_empty() {
            return Ok(());
        }
        close(&mut state);
        let listener = listening(self.address, 128)?;
        let (accepting, serve) = (listener.try_clone()?, self.serve.clone());
        thread::spawn(move || accept(&accepting, &serve));
        state.listener = Some(listener);
        Ok(())
    }

    /// From now on connections are refused.
    pub fn shut(&self) {
        close(&mut self.state());
    }

    /// From now on connections are swallowed, as by a firewall that drops: the queue is full, so
    /// the kernel drops each SYN.
    pub fn wall_up(&self) -> io::Result<()> {
        let mut state = self.state();
        close(&mut state);
        state.listener = Some(listening(self.address, 0)?);
        state.fillers = (0..2).map(|_| filler(self.address)).collect::<io::Result<_>>()?;
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics while it holds a door")
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.shut();
    }
}

/// Closing alone would leave the thread in `accept` and the port open: shutting the socket down
/// wakes it.
fn close(state: &mut State) {
    state.fillers.clear();
    if let Some(listener) = state.listener.take() {
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

    fn door() -> Arc<Door> {
        Door::open_at(([127, 0, 0, 1], 0).into(), Arc::new(drop)).unwrap()
    }

    fn knock(door: &Door) -> io::Result<TcpStream> {
        TcpStream::connect_timeout(&door.address, Duration::from_millis(300))
    }

    #[test]
    fn a_shut_door_refuses_and_opens_again_at_the_same_port() {
        let door = door();
        for _ in 0..3 {
            assert_eq!(knock(&door).unwrap().read(&mut [0]).unwrap(), 0);
            door.shut();
            assert_eq!(knock(&door).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
            door.open().unwrap();
        }
    }

    #[test]
    fn a_walled_up_door_swallows_connections_until_it_opens() {
        let door = door();
        door.wall_up().unwrap();
        assert_eq!(knock(&door).unwrap_err().kind(), io::ErrorKind::TimedOut);
        door.open().unwrap();
        assert_eq!(knock(&door).unwrap().read(&mut [0]).unwrap(), 0);
    }
}

//! Opening sockets within a limit of time.

use std::{
    io,
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use super::{ConnectConfig, LinkError};

/// Connects to the first address of the host that answers, within the limit for all of them together.
pub(super) fn connect(config: &ConnectConfig) -> Result<TcpStream, LinkError> {
    let unreachable =
        |source| LinkError::Unreachable { host: config.host.clone(), port: config.port, source };
    let limit = Duration::from_millis(config.connect_timeout_ms);
    let io_timeout = Duration::from_millis(config.io_timeout_ms);
    let start = Instant::now();
    let addresses = resolve(&config.host, config.port, limit).map_err(unreachable)?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        let left = limit.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Err(unreachable(io::Error::new(io::ErrorKind::TimedOut, "no address answered in time")));
        }
        match open(&address, left, io_timeout) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(unreachable(last))
}

/// Opens one connection on which every read and write is bounded.
pub(super) fn open(address: &SocketAddr, limit: Duration, io_timeout: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(address, limit)?;
    stream.set_read_timeout(Some(io_timeout))?;
    stream.set_write_timeout(Some(io_timeout))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Looks the name up in a thread of its own: the resolver has no timeout that we could set.
fn resolve(host: &str, port: u16, limit: Duration) -> io::Result<Vec<SocketAddr>> {
    let (tx, rx) = mpsc::channel();
    let host = host.to_owned();
    thread::Builder::new().name("resolve".to_owned()).spawn(move || {
        let found = (host.as_str(), port).to_socket_addrs().map(Iterator::collect);
        // Nobody listens any more when the limit has passed; then the answer is of no use to anyone.
        drop(tx.send(found));
    })?;
    rx.recv_timeout(limit)
        .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "the name was not resolved in time")))
}

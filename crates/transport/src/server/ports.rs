//! Passive data ports.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use libunftp::options::Binder;
use rustix::net::sockopt;
use tokio::net::TcpSocket;

/// A port is taken only from the client's asking for it to its connecting; so it comes free soon.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);
const DEAD_PEER_MS: u32 = 60_000;
const KEEPALIVE_SECONDS: u64 = 30;

/// Takes the first free port of the range, and waits for one when all are taken.
///
/// With the one port of the default range, several clients take turns in connecting and then transfer at the
/// same time.
#[derive(Debug)]
pub(super) struct PassivePorts;

#[async_trait]
impl Binder for PassivePorts {
    async fn bind(&mut self, local: IpAddr, range: RangeInclusive<u16>) -> io::Result<TcpSocket> {
        let start = Instant::now();
        loop {
            for port in range.clone() {
                match listen(SocketAddr::new(local, port)) {
                    Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                    taken => return taken,
                }
            }
            if start.elapsed() > PATIENCE {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Binds and listens in one go: two sockets can be bound to a port, but one alone can listen on it.
fn listen(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    tune(&socket)?;
    socket.bind(address)?;
    rustix::net::listen(&socket, 1)?;
    Ok(socket)
}

/// Lets the kernel end connections whose other end has vanished, and send small answers at once: two in a row
/// would otherwise wait for a delayed acknowledgement. Accepted sockets inherit all of it.
pub(super) fn tune(socket: impl std::os::fd::AsFd) -> io::Result<()> {
    let socket = socket.as_fd();
    sockopt::set_tcp_nodelay(socket, true)?;
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, Duration::from_secs(KEEPALIVE_SECONDS))?;
    sockopt::set_tcp_user_timeout(socket, DEAD_PEER_MS)?;
    Ok(())
}

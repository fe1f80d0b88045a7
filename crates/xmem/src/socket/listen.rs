//! Listening for connections.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, listen, socket_with,
};

use super::{Connection, SocketError};

/// A listening `SOCK_SEQPACKET` socket.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
}

impl Listener {
    /// Listens at `path`, which must not exist. The caller sets its mode and holds the lock of the name.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub fn bind(path: &Path, backlog: i32) -> std::io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        bind(&socket, &SocketAddrUnix::new(path)?)?;
        listen(&socket, backlog)?;
        Ok(Self { socket })
    }

    /// Takes over a socket that listens already.
    #[must_use]
    pub const fn from_socket(socket: OwnedFd) -> Self {
        Self { socket }
    }

    /// The next connection.
    ///
    /// # Errors
    ///
    /// [`SocketError::WouldBlock`] when there is none.
    pub fn accept(&self) -> Result<Connection, SocketError> {
        loop {
            match accept_with(&self.socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                accepted => return Ok(Connection::from_socket(accepted?)),
            }
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

//! Packets over `SOCK_SEQPACKET`, with descriptors.
//!
//! One packet is one frame. Whoever receives says how many descriptors may come; the kernel is given room for exactly
//! those, anything else ends the connection, and every descriptor that arrived is closed. All descriptors are
//! close-on-exec from the moment they exist. Nothing here blocks, but for what is called `…_until`.

mod connect;
mod listen;
mod packet;
mod payload;
mod place;

pub use connect::{ConnectError, connect};
pub use listen::Listener;
pub use packet::{Frame, Packet, SocketError, Violation, receive_packet, send_packet};
pub use payload::{PayloadError, read_sealed, seal};
pub use place::{PlaceError, control_path, name_directory, run_directory, socket_path, trusted_directory};

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use crate::frame::{Header, PACKET_BYTES_MAX};

/// Most descriptors that a frame may bring beside a memfd with its payload.
pub const DESCRIPTORS_MAX: usize = 3;

/// One end of a connection.
#[derive(Debug)]
pub struct Connection {
    socket: OwnedFd,
}

impl Connection {
    /// Takes over a connected `SOCK_SEQPACKET` socket.
    #[must_use]
    pub const fn from_socket(socket: OwnedFd) -> Self {
        Self { socket }
    }

    /// Two connected ends, for a parent and its child.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub fn pair() -> std::io::Result<(Self, Self)> {
        let (one, other) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self { socket: one }, Self { socket: other }))
    }

    /// A buffer that every packet fits into, for [`Connection::receive`].
    #[must_use]
    pub fn buffer() -> Vec<u8> {
        vec![0; PACKET_BYTES_MAX]
    }

    /// Sends a frame with this payload (in a sealed memfd when it is above 64 KiB) and these descriptors. The length is
    /// set here. A frame is sent whole or not at all.
    ///
    /// # Errors
    ///
    /// [`SocketError::WouldBlock`] when the peer does not read, [`SocketError::Closed`] when it is gone.
    pub fn send(
        &self,
        header: &Header,
        payload: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), SocketError> {
        packet::send(self.socket.as_fd(), *header, payload, descriptors)
    }

    /// [`Connection::send`], waiting for room until the deadline (for ever without one).
    ///
    /// # Errors
    ///
    /// As [`Connection::send`]; [`SocketError::WouldBlock`] when the deadline passed.
    pub fn send_until(
        &self,
        header: &Header,
        payload: &[u8],
        descriptors: &[BorrowedFd<'_>],
        deadline: Option<Instant>,
    ) -> Result<(), SocketError> {
        loop {
            match self.send(header, payload, descriptors) {
                Err(SocketError::WouldBlock) if self.wait(PollFlags::OUT, deadline)? => {}
                sent => return sent,
            }
        }
    }

    /// Receives a frame into `buffer` (see [`Connection::buffer`]), with at most `descriptors_max` descriptors beside a
    /// memfd that carries the payload.
    ///
    /// # Errors
    ///
    /// [`SocketError::WouldBlock`] when nothing is there, [`SocketError::Closed`] at the end,
    /// [`SocketError::Violated`] for anything that the protocol does not allow: then the connection must be closed.
    pub fn receive<'b>(
        &self,
        buffer: &'b mut [u8],
        descriptors_max: usize,
    ) -> Result<Frame<'b>, SocketError> {
        packet::receive(self.socket.as_fd(), buffer, descriptors_max, false)
    }

    /// [`Connection::receive`], waiting until the deadline (for ever without one).
    ///
    /// # Errors
    ///
    /// As [`Connection::receive`]; [`SocketError::WouldBlock`] when the deadline passed.
    pub fn receive_until<'b>(
        &self,
        buffer: &'b mut [u8],
        descriptors_max: usize,
        deadline: Option<Instant>,
    ) -> Result<Frame<'b>, SocketError> {
        if !self.wait(PollFlags::IN, deadline)? {
            return Err(SocketError::WouldBlock);
        }
        // Only this thread reads, so what poll announced is still there.
        self.receive(buffer, descriptors_max)
    }

    /// [`Connection::receive`], blocking as long as [`Connection::set_receive_timeout`] says: one system call where
    /// [`Connection::receive_until`] needs two.
    ///
    /// # Errors
    ///
    /// As [`Connection::receive`]; [`SocketError::WouldBlock`] when the time is over.
    pub fn receive_blocking<'b>(
        &self,
        buffer: &'b mut [u8],
        descriptors_max: usize,
    ) -> Result<Frame<'b>, SocketError> {
        packet::receive(self.socket.as_fd(), buffer, descriptors_max, true)
    }

    /// How long [`Connection::receive_blocking`] waits.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub fn set_receive_timeout(&self, timeout: std::time::Duration) -> Result<(), SocketError> {
        use rustix::net::sockopt::{Timeout, set_socket_timeout};
        Ok(set_socket_timeout(&self.socket, Timeout::Recv, Some(timeout))?)
    }

    /// Waits for something to read (or the end) until the deadline; `false` when it passed.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub fn readable_until(&self, deadline: Option<Instant>) -> Result<bool, SocketError> {
        self.wait(PollFlags::IN, deadline)
    }

    /// Refuses what the peer sends from now on; what it has sent can still be received.
    pub fn shut_reading(&self) {
        // It fails only when the peer is gone, and then nothing more comes anyway.
        let _: Result<(), Errno> = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Read);
    }

    /// Ends the connection in both directions; another thread that waits on it wakes up.
    pub fn shut(&self) {
        let _: Result<(), Errno> = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
    }

    /// The socket.
    #[must_use]
    pub fn into_socket(self) -> OwnedFd {
        self.socket
    }

    fn wait(&self, flags: PollFlags, deadline: Option<Instant>) -> Result<bool, SocketError> {
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let timeout = left.map(|left| rustix::time::Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            });
            let mut wanted = [PollFd::new(&self.socket, flags)];
            match poll(&mut wanted, timeout.as_ref()) {
                Ok(0) => return Ok(false),
                Ok(_) => return Ok(true),
                Err(Errno::INTR) => {}
                Err(error) => return Err(SocketError::Io(error.into())),
            }
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

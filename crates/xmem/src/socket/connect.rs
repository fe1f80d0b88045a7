//! Connecting to a server.

use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, FileType, statat};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};

use super::Connection;
use super::place::{PlaceError, is_ours, trusted_directory};
use crate::code::CmsCode;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The directory of the server is missing or not trusted.
    #[error("there is no way to the server")]
    Place(#[source] PlaceError),
    /// The directory is there, the socket is not, or nobody listens on it.
    #[error("nobody listens on {}", path.display())]
    Down {
        /// The socket.
        path: PathBuf,
    },
    /// The socket is not one, or another user's.
    #[error("{} is not a socket of root or of this user", path.display())]
    Untrusted {
        /// The socket.
        path: PathBuf,
    },
    /// The server did not take the connection in time.
    #[error("the server did not take a connection on {} in time", path.display())]
    Deadline {
        /// The socket.
        path: PathBuf,
    },
    /// The kernel refuses.
    #[error("{} can not be connected to", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl ConnectError {
    /// 12 never started here, 64 down, 96 no answer in time, 33 not allowed, 8 anything else.
    #[must_use]
    pub fn code(&self) -> CmsCode {
        match self {
            Self::Place(PlaceError::Missing { .. }) => CmsCode::ServerUnknown,
            Self::Down { .. } => CmsCode::ServerDown,
            Self::Deadline { .. } => CmsCode::DeadlinePassed,
            Self::Place(PlaceError::Io { source, .. }) | Self::Io { source, .. }
                if source.kind() == std::io::ErrorKind::PermissionDenied =>
            {
                CmsCode::PermissionDenied
            }
            Self::Place(_) | Self::Untrusted { .. } | Self::Io { .. } => CmsCode::Error,
        }
    }
}

/// Connects to the socket at `path` until the deadline. The socket is reached through the directory that was looked at, so
/// nobody can exchange it in between.
///
/// # Errors
///
/// [`ConnectError`].
pub fn connect(path: &Path, deadline: Instant) -> Result<Connection, ConnectError> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(ConnectError::Down { path: path.to_owned() });
    };
    let io = |source: Errno| match source {
        Errno::NOENT | Errno::CONNREFUSED => ConnectError::Down { path: path.to_owned() },
        Errno::AGAIN | Errno::TIMEDOUT => ConnectError::Deadline { path: path.to_owned() },
        source => ConnectError::Io { path: path.to_owned(), source: source.into() },
    };
    let directory = trusted_directory(parent).map_err(ConnectError::Place)?;
    let entry = statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW).map_err(io)?;
    if FileType::from_raw_mode(entry.st_mode) != FileType::Socket || !is_ours(&entry) {
        return Err(ConnectError::Untrusted { path: path.to_owned() });
    }
    let socket =
        socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).map_err(io)?;
    // A server whose queue of connections is full makes `connect` wait as long as a send may.
    let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    set_socket_timeout(&socket, Timeout::Send, Some(left)).map_err(io)?;
    // Through /proc the opened directory has a short name, whatever its path is.
    let mut short = PathBuf::from(format!("/proc/self/fd/{}", directory.as_fd().as_raw_fd()));
    short.push(name);
    let address = SocketAddrUnix::new(&short).map_err(io)?;
    loop {
        match rustix::net::connect(&socket, &address) {
            Err(Errno::INTR) => {}
            connected => break connected.map_err(io)?,
        }
    }
    Ok(Connection::from_socket(socket))
}

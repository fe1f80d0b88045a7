//! The sockets that clients and operators find.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

use rustix::fs::{AtFlags, Gid, Mode};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// Connections that may wait at the door.
const BACKLOG: i32 = 1024;

/// Makes a listening socket in a directory, in place of what a server before left there.
///
/// To be called with the lock held: nobody else can be listening.
pub(crate) fn listen(directory: &OwnedFd, name: &str, mode: u32, group: Option<u32>) -> io::Result<OwnedFd> {
    match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    // Through the descriptor of the directory: what has been checked is what is used, and the path cannot be too long.
    let path = format!("/proc/self/fd/{}/{name}", directory.as_raw_fd());
    let address = SocketAddrUnix::new(path)?;
    // With its mode from the first moment on.
    let before = rustix::process::umask(Mode::from_raw_mode(0o777 & !mode));
    let bound = rustix::net::bind(&socket, &address);
    rustix::process::umask(before);
    bound?;
    if let Some(gid) = group {
        rustix::fs::chownat(directory, name, None, Some(Gid::from_raw(gid)), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

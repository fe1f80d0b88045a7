//! The socket a component tells its state over, as systemd's sd_notify(3) has it.

use std::fs;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketAddrUnix, SocketFlags,
    SocketType,
};

use crate::console::socket;

/// A message is not longer, in bytes.
const MESSAGE_BYTES_MAX: usize = 4 << 10;
/// Descriptors that come with one message, and that are kept for one component.
pub(super) const DESCRIPTORS_MAX: usize = crate::process::spawn::MORE_MAX;

/// A socket of one component.
#[derive(Debug)]
pub(super) struct NotifySocket {
    socket: OwnedFd,
    address: String,
    /// A file to be removed.
    path: Option<PathBuf>,
}

/// What a component says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Notification {
    pub(super) is_ready: bool,
    pub(super) is_stopping: bool,
    pub(super) is_alive: bool,
    pub(super) status: Option<String>,
    pub(super) main_pid: Option<i32>,
    /// What came with it is to be kept for the next run.
    pub(super) is_storing: bool,
}

impl NotifySocket {
    /// Makes the socket: a file in a private directory, or a name without a file where its path would be too long.
    pub(super) fn open(directory: &Path, name: &str) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
        fs::create_dir_all(directory)?;
        let path = directory.join(name);
        if path.to_str().is_some() && socket::fits(&path) {
            fs::remove_file(&path)
                .or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })?;
            rustix::net::bind(&socket, &SocketAddrUnix::new(&path)?)?;
            let address = path.to_string_lossy().into_owned();
            rustix::net::sockopt::set_socket_passcred(&socket, true)?;
            return Ok(Self { socket, address, path: Some(path) });
        }
        let abstract_name = format!("tender/{}", crate::process::proc::new_uuid()?);
        rustix::net::bind(&socket, &SocketAddrUnix::new_abstract_name(abstract_name.as_bytes())?)?;
        rustix::net::sockopt::set_socket_passcred(&socket, true)?;
        Ok(Self { socket, address: format!("@{abstract_name}"), path: None })
    }

    /// Returns the value of `NOTIFY_SOCKET`.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Takes the next message and the descriptors to be kept, if there is one; those of other users are passed over.
    pub(super) fn receive(&self) -> Option<(Notification, Vec<OwnedFd>)> {
        let own = rustix::process::geteuid();
        loop {
            let mut bytes = [0; MESSAGE_BYTES_MAX];
            let mut space =
                [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX), ScmCredentials(1))];
            let mut ancillary = RecvAncillaryBuffer::new(&mut space);
            let received = rustix::net::recvmsg(
                &self.socket,
                &mut [IoSliceMut::new(&mut bytes)],
                &mut ancillary,
                RecvFlags::CMSG_CLOEXEC,
            );
            // An empty socket says AGAIN; whatever else it says is over with the next message.
            let length = received.ok()?.bytes;
            let (mut is_trusted, mut descriptors) = (false, Vec::new());
            for message in ancillary.drain() {
                match message {
                    RecvAncillaryMessage::ScmCredentials(of) => {
                        is_trusted |= of.uid == own || of.uid.is_root();
                    }
                    RecvAncillaryMessage::ScmRights(fds) => descriptors.extend(fds),
                    _ => {}
                }
            }
            if is_trusted {
                let said = Notification::parse(&bytes[..length]);
                descriptors.truncate(if said.is_storing { DESCRIPTORS_MAX } else { 0 });
                return Some((said, descriptors));
            }
        }
    }
}

impl AsFd for NotifySocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for NotifySocket {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // The next one is bound over whatever is left.
            fs::remove_file(path).ok();
        }
    }
}

impl Notification {
    fn parse(bytes: &[u8]) -> Self {
        let mut notification = Self::default();
        for line in String::from_utf8_lossy(bytes).lines() {
            match line.split_once('=') {
                Some(("READY", "1")) => notification.is_ready = true,
                Some(("STOPPING", "1")) => notification.is_stopping = true,
                Some(("WATCHDOG", "1")) => notification.is_alive = true,
                Some(("FDSTORE", "1")) => notification.is_storing = true,
                Some(("STATUS", text)) => {
                    notification.status = Some(crate::output::lines::visible(text.as_bytes()));
                }
                Some(("MAINPID", pid)) => notification.main_pid = pid.parse().ok(),
                _ => {}
            }
        }
        notification
    }
}

/// Tells the state of this supervisor to whoever started it, if that wants to know.
pub(super) fn tell_parent(state: &str) {
    let Some(address) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let address = address.to_string_lossy();
    let target = match address.strip_prefix('@') {
        Some(name) => SocketAddrUnix::new_abstract_name(name.as_bytes()),
        None => SocketAddrUnix::new(&*address),
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None);
    if let (Ok(target), Ok(socket)) = (target, socket) {
        // It is for the other's convenience: nothing here depends on it.
        rustix::net::sendto(&socket, state.as_bytes(), rustix::net::SendFlags::empty(), &target).ok();
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    #[test]
    fn notification_is_read_line_by_line() {
        let notification = Notification::parse(b"STATUS=half \x1b way\nREADY=1\nMAINPID=12\nX=y\nREADY=2\n");
        assert!(notification.is_ready && !notification.is_stopping && !notification.is_alive);
        assert_eq!(notification.status.as_deref(), Some("half \\x1b way"));
        assert_eq!(notification.main_pid, Some(12));
    }

    #[test]
    fn notify_socket_receives_at_short_and_at_long_paths() {
        let dir = tempfile::tempdir().unwrap();
        for deep in ["s", &"d".repeat(110)] {
            let socket = NotifySocket::open(&dir.path().join(deep), "redis").unwrap();
            assert!(socket.receive().is_none());
            let sender = UnixDatagram::unbound().unwrap();
            match socket.address().strip_prefix('@') {
                Some(name) => {
                    use std::os::linux::net::SocketAddrExt as _;
                    let address = std::os::unix::net::SocketAddr::from_abstract_name(name).unwrap();
                    sender.send_to_addr(b"READY=1", &address).unwrap();
                }
                None => drop(sender.send_to(b"READY=1", socket.address()).unwrap()),
            }
            assert!(socket.receive().unwrap().0.is_ready);
        }
    }

    #[test]
    fn descriptors_are_kept_only_when_the_message_says_so() {
        use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
        let dir = tempfile::tempdir().unwrap();
        let socket = NotifySocket::open(dir.path(), "gateway").unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        let address = SocketAddrUnix::new(socket.address()).unwrap();
        let file = fs::File::open("/dev/null").unwrap();
        for (text, kept) in [("READY=1", 0), ("FDSTORE=1\nFDNAME=listen", 2)] {
            let fds = [file.as_fd(), file.as_fd()];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
            let mut ancillary = SendAncillaryBuffer::new(&mut space);
            assert!(ancillary.push(SendAncillaryMessage::ScmRights(&fds)));
            let text = [io::IoSlice::new(text.as_bytes())];
            rustix::net::sendmsg_addr(&sender, &address, &text, &mut ancillary, SendFlags::empty()).unwrap();
            assert_eq!(socket.receive().unwrap().1.len(), kept);
        }
    }
}

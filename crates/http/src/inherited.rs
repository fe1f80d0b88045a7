//! Sockets that listen already: kept by whoever started this process, since the run before or from the beginning.
//!
//! ```text
//!   run 1: bind ──► FDSTORE=1 with the sockets ──► launcher, or systemd (FileDescriptorStoreMax=)
//!   run 2: LISTEN_FDS=n, the sockets from descriptor 3 on ──► take ──► the addresses of its plan, without a bind
//! ```
//!
//! Connections that are made between the two runs wait and are not refused. Source: sd_listen_fds(3), sd_pid_notify_with_fds(3).

use std::net::{SocketAddr, TcpListener};
use std::sync::{Mutex, PoisonError};

use listenfd::ListenFd;
use rustix::io::FdFlags;
use rustix::net::sockopt;

static INHERITED: Mutex<Vec<TcpListener>> = Mutex::new(Vec::new());

/// Takes over the sockets that this process was started with; to be called before it has threads, since it reads and changes
/// the environment.
pub fn inherit() {
    let mut given = ListenFd::from_env();
    // What is no socket that listens for TCP is not for a server of HTTP.
    let listeners = (0..given.len()).filter_map(|at| given.take_tcp_listener(at).ok().flatten());
    let usable = listeners.filter(|one| {
        // Connections have the last two from their listener.
        rustix::io::fcntl_setfd(one, FdFlags::CLOEXEC).is_ok()
            && sockopt::set_socket_keepalive(one, true).is_ok()
            && sockopt::set_tcp_nodelay(one, true).is_ok()
    });
    all().extend(usable);
}

/// Returns what was taken over; nothing the next time.
pub(crate) fn take() -> Vec<TcpListener> {
    std::mem::take(&mut *all())
}

fn all() -> std::sync::MutexGuard<'static, Vec<TcpListener>> {
    INHERITED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the name under which the socket at an address is kept: whoever keeps it takes no colon.
pub(crate) fn name(address: SocketAddr) -> String {
    format!("listen-{address}").replace(':', ".")
}

/// Takes the one at an address out of many.
pub(crate) fn find(
    inherited: &mut Vec<TcpListener>,
    address: SocketAddr,
    is_ipv6_alone: bool,
) -> Option<TcpListener> {
    let is_alone = |one: &TcpListener| address.is_ipv6() && sockopt::ipv6_v6only(one).unwrap_or_default();
    let is_it = |one: &TcpListener| one.local_addr().ok() == Some(address) && is_alone(one) == is_ipv6_alone;
    let at = inherited.iter().position(is_it)?;
    let listener = inherited.swap_remove(at);
    listener.set_nonblocking(true).is_ok().then_some(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn socket_is_found_by_the_address_it_listens_at() {
        let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (one, other) = (listen(), listen());
        let wanted = other.local_addr().unwrap();
        let mut inherited = vec![one, other];
        assert_eq!(find(&mut inherited, wanted, false).unwrap().local_addr().unwrap(), wanted);
        assert!(find(&mut inherited, wanted, false).is_none() && inherited.len() == 1);
    }

    #[test]
    fn socket_for_both_families_does_not_stand_for_one() {
        let Ok(both) = TcpListener::bind("[::]:0") else { return };
        let address = both.local_addr().unwrap();
        let mut inherited = vec![both];
        assert!(find(&mut inherited, address, true).is_none());
        assert!(find(&mut inherited, address, false).is_some());
    }
}

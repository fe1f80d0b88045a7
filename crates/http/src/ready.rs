//! Telling whoever started this process that it is ready, as `sd_notify` does.

use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType};

/// Says that the server answers; nothing happens when nobody wants to know.
pub fn announce() {
    tell("READY=1");
}

/// Says that the server is about to end.
pub fn withdraw() {
    tell("STOPPING=1");
}

fn tell(state: &str) {
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
        rustix::net::sendto(&socket, state.as_bytes(), SendFlags::empty(), &target).ok();
    }
}

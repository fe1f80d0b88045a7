//! Telling whoever started this process that it is ready, as `sd_notify` does.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;

use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType,
};

/// Says that the server answers; nothing happens when nobody wants to know.
pub fn announce() {
    tell("READY=1");
}

/// Says that the server is about to end.
pub fn withdraw() {
    tell("STOPPING=1");
}

/// Gives a socket that listens to be kept for the next run.
pub(crate) fn keep(name: &str, socket: BorrowedFd<'_>) {
    tell_with(&format!("FDSTORE=1\nFDNAME={name}"), &[socket]);
}

/// Says that a socket need not be kept any longer.
pub(crate) fn keep_no_longer(name: &str) {
    tell(&format!("FDSTOREREMOVE=1\nFDNAME={name}"));
}

fn tell(state: &str) {
    tell_with(state, &[]);
}

fn tell_with(state: &str, descriptors: &[BorrowedFd<'_>]) {
    let Some(address) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let address = address.to_string_lossy();
    let target = match address.strip_prefix('@') {
        Some(name) => SocketAddrUnix::new_abstract_name(name.as_bytes()),
        None => SocketAddrUnix::new(&*address),
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None);
    if let (Ok(target), Ok(socket)) = (target, socket) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
        }
        let text = [IoSlice::new(state.as_bytes())];
        // It is for the other's convenience: nothing here depends on it.
        rustix::net::sendmsg_addr(&socket, &target, &text, &mut ancillary, SendFlags::empty()).ok();
    }
}

//! One packet with its descriptors, sent and received whole.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use zeroize::Zeroize as _;

use super::{DESCRIPTORS_MAX, PACKET_BYTES_MAX};

/// A socket pair for one worker: one end for who orders, one for the worker. Both close on exec.
pub fn pair() -> std::io::Result<(OwnedFd, OwnedFd)> {
    let pair =
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    for end in [&pair.0, &pair.1] {
        // A host may have a default that is smaller than a packet.
        rustix::net::sockopt::set_socket_send_buffer_size(end, PACKET_BYTES_MAX)?;
    }
    Ok(pair)
}

/// What one read brought.
#[derive(Debug)]
pub(crate) enum Received {
    /// A packet of this many bytes at the start of the buffer.
    Packet { bytes: usize, descriptors: Vec<OwnedFd> },
    /// A packet that was longer than allowed, or brought more descriptors than are ever expected. Those that did come
    /// are closed.
    Oversized,
    /// The other end is closed.
    End,
}

/// Room for one packet, wiped when it is dropped. It has one byte more than a packet may have.
pub(crate) struct Buffer(Box<[u8]>);

impl Buffer {
    pub(crate) fn new() -> Self {
        Self(vec![0; PACKET_BYTES_MAX + 1].into_boxed_slice())
    }

    pub(crate) fn bytes(&self, length: usize) -> &[u8] {
        &self.0[..length]
    }

    pub(crate) fn wipe(&mut self, length: usize) {
        self.0[..length].zeroize();
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

pub(crate) fn receive(channel: BorrowedFd<'_>, buffer: &mut Buffer) -> Result<Received, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = loop {
        let mut slices = [IoSliceMut::new(&mut buffer.0)];
        match rustix::net::recvmsg(channel, &mut slices, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            Err(Errno::CONNRESET) => return Ok(Received::End),
            other => break other?,
        }
    };
    let mut descriptors = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(came) = part {
            descriptors.extend(came);
        }
    }
    // Room for three is, by its alignment, room for four.
    let descriptors_fit =
        !message.flags.contains(ReturnFlags::CTRUNC) && descriptors.len() <= DESCRIPTORS_MAX;
    if !descriptors_fit || message.flags.contains(ReturnFlags::TRUNC) || message.bytes > PACKET_BYTES_MAX {
        buffer.0.zeroize();
        return Ok(Received::Oversized);
    }
    // An empty packet reads as the end of a sequence of packets does, and nobody sends one.
    if message.bytes == 0 && descriptors.is_empty() {
        return Ok(Received::End);
    }
    Ok(Received::Packet { bytes: message.bytes, descriptors })
}

pub(crate) fn send(
    channel: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[OwnedFd],
    flags: SendFlags,
) -> Result<(), Errno> {
    let borrowed: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !borrowed.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&borrowed)) {
        return Err(Errno::TOOBIG);
    }
    loop {
        match rustix::net::sendmsg(channel, &[IoSlice::new(bytes)], &mut control, flags | SendFlags::NOSIGNAL)
        {
            Err(Errno::INTR) => {}
            other => return other.map(drop),
        }
    }
}

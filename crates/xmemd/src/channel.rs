//! Messages between the boxes of the server: one packet is one message, with descriptors where it needs them.
//!
//! Shape: `u32` length of the head, `u32` flags, head (JSON), body (bytes). A message too large for a packet travels in a
//! sealed memory file, which is then the last descriptor. Both ends were inherited; a name never gets anybody a channel.
//! Neither end ever waits for the other: what does not go out at once is kept, and the number of calls under way bounds
//! how much that can be.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Larger messages go into a memory file.
const PACKET_BYTES_MAX: usize = 96 * 1024;
/// Larger messages are an error of the sender.
const MESSAGE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Descriptors in one message.
const DESCRIPTORS_MAX: usize = 8;
const PREFIX_BYTES: usize = 8;
/// The rest of the message is in the last descriptor.
const IN_FILE: u32 = 1;

/// A message that came in.
#[derive(Debug)]
pub(crate) struct Message {
    bytes: Vec<u8>,
    head_bytes: usize,
    /// The descriptors that came along.
    pub(crate) fds: VecDeque<OwnedFd>,
}

impl Message {
    /// Reads the head.
    pub(crate) fn head<T: DeserializeOwned>(&self) -> io::Result<T> {
        serde_json::from_slice(&self.bytes[..self.head_bytes]).map_err(io::Error::other)
    }

    /// Returns the body.
    pub(crate) fn body(&self) -> &[u8] {
        &self.bytes[self.head_bytes..]
    }

    /// Takes the next descriptor.
    pub(crate) fn take_fd(&mut self) -> io::Result<OwnedFd> {
        self.fds.pop_front().ok_or_else(|| io::Error::other("a descriptor is missing"))
    }
}

#[derive(Debug)]
struct Outgoing {
    packet: Vec<u8>,
    fds: Vec<OwnedFd>,
}

/// One end.
#[derive(Debug)]
pub(crate) struct Channel {
    socket: OwnedFd,
    queue: VecDeque<Outgoing>,
    buffer: Vec<u8>,
}

/// Makes the two ends of a channel.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC;
    let (one, two) = rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    for end in [&one, &two] {
        // More than the default needs privilege; the default is enough for one message.
        rustix::net::sockopt::set_socket_send_buffer_size_force(end, 1 << 21).ok();
    }
    Ok((one, two))
}

impl Channel {
    /// Takes one end.
    pub(crate) fn new(socket: OwnedFd) -> io::Result<Self> {
        // Not with FIONBIO at the other end: the flag belongs to this end's file.
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Self { socket, queue: VecDeque::new(), buffer: Vec::new() })
    }

    /// Sends a message, or keeps it until there is room.
    ///
    /// Errors: the other end is gone.
    pub(crate) fn send(&mut self, head: &impl Serialize, body: &[u8], fds: Vec<OwnedFd>) -> io::Result<()> {
        let mut packet = vec![0; PREFIX_BYTES];
        serde_json::to_writer(&mut packet, head).map_err(io::Error::other)?;
        let head_bytes = u32::try_from(packet.len() - PREFIX_BYTES).map_err(io::Error::other)?;
        packet[..4].copy_from_slice(&head_bytes.to_le_bytes());
        packet.extend_from_slice(body);
        let mut fds = fds;
        if packet.len() > PACKET_BYTES_MAX {
            fds.push(memory_file(&packet[PREFIX_BYTES..])?);
            packet.truncate(PREFIX_BYTES);
            packet[4..8].copy_from_slice(&IN_FILE.to_le_bytes());
        }
        self.queue.push_back(Outgoing { packet, fds });
        self.flush()
    }

    /// Sends what was kept, as far as there is room.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while let Some(next) = self.queue.front() {
            match send_packet(self.socket.as_fd(), &next.packet, &next.fds) {
                Ok(()) => drop(self.queue.pop_front()),
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::NOBUFS) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Says whether something waits for room.
    pub(crate) fn wants_write(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Returns the next message; `None` when there is none yet.
    ///
    /// Errors: `UnexpectedEof` when the other end is gone; anything else says that it does not keep to the protocol.
    pub(crate) fn receive(&mut self) -> io::Result<Option<Message>> {
        self.buffer.resize(PACKET_BYTES_MAX, 0);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            let mut slices = [IoSliceMut::new(&mut self.buffer)];
            match rustix::net::recvmsg(&self.socket, &mut slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
                Ok(received) => break received,
                Err(rustix::io::Errno::AGAIN) => return Ok(None),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::CONNRESET) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(error) => return Err(error.into()),
            }
        };
        let mut fds: VecDeque<OwnedFd> = VecDeque::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                fds.extend(rights);
            }
        }
        if received.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
            return Err(io::Error::other("a message was cut"));
        }
        self.parse(received.bytes, fds).map(Some)
    }

    fn parse(&self, bytes: usize, mut fds: VecDeque<OwnedFd>) -> io::Result<Message> {
        let packet = &self.buffer[..bytes];
        let short = || io::Error::other("a message is too short");
        let number = |at: usize| -> io::Result<u32> {
            let word = packet.get(at..at + 4).and_then(|word| word.try_into().ok()).ok_or_else(short)?;
            Ok(u32::from_le_bytes(word))
        };
        let (head_bytes, flags) = (number(0)? as usize, number(4)?);
        let bytes = if flags & IN_FILE == 0 {
            packet[PREFIX_BYTES..].to_vec()
        } else {
            let file = fds.pop_back().ok_or_else(short)?;
            read_memory_file(&file, MESSAGE_BYTES_MAX)?
        };
        if head_bytes > bytes.len() {
            return Err(short());
        }
        Ok(Message { bytes, head_bytes, fds })
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Sends one packet, or fails at once.
pub(crate) fn send_packet(
    socket: BorrowedFd<'_>,
    packet: &[u8],
    fds: &[OwnedFd],
) -> Result<(), rustix::io::Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let borrowed: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
    if !borrowed.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(&borrowed)) {
        return Err(rustix::io::Errno::TOOMANYREFS);
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    rustix::net::sendmsg(socket, &[IoSlice::new(packet)], &mut ancillary, flags)?;
    Ok(())
}

/// Makes a memory file with this content that nobody can change.
pub(crate) fn memory_file(content: &[u8]) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = rustix::fs::memfd_create("tender-xmem", flags)?;
    let mut file = std::fs::File::from(file);
    io::Write::write_all(&mut file, content)?;
    // Who inherits it, as a program its standard input, reads from where the descriptor stands.
    io::Seek::rewind(&mut file)?;
    rustix::fs::fcntl_add_seals(
        &file,
        SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE,
    )?;
    Ok(file.into())
}

/// Reads a memory file that nobody can change any more.
///
/// Errors: it is no memory file, not sealed, or larger than `bytes_max`. A file of any other kind is never read: its
/// owner could make the reader wait for ever.
pub(crate) fn read_memory_file(file: &OwnedFd, bytes_max: u64) -> io::Result<Vec<u8>> {
    let wanted = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
    if crate::sys::seals(file.as_fd())? & wanted != wanted {
        return Err(io::Error::other("a memory file is not sealed"));
    }
    let bytes = rustix::fs::fstat(file)?.st_size.cast_unsigned();
    if bytes > bytes_max {
        return Err(io::Error::other("a memory file is too large"));
    }
    let mut content = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
    let mut done = 0;
    while done < content.len() {
        match rustix::io::pread(file, &mut content[done..], done as u64) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(more) => done += more,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_arrives_whole_whatever_its_size() {
        let (one, two) = pair().unwrap();
        let (mut one, mut two) = (Channel::new(one).unwrap(), Channel::new(two).unwrap());
        assert!(two.receive().unwrap().is_none());
        for bytes in [0, 5, PACKET_BYTES_MAX, 3 << 20] {
            let body = vec![7; bytes];
            one.send(&"head", &body, vec![memory_file(b"x").unwrap()]).unwrap();
            let mut message = two.receive().unwrap().unwrap();
            assert_eq!(message.head::<String>().unwrap(), "head");
            assert_eq!(message.body(), body);
            assert_eq!(read_memory_file(&message.take_fd().unwrap(), 9).unwrap(), b"x");
            assert!(message.take_fd().is_err());
        }
        drop(one);
        assert_eq!(two.receive().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn message_without_room_is_kept_and_sent_later() {
        let (one, two) = pair().unwrap();
        let (mut one, mut two) = (Channel::new(one).unwrap(), Channel::new(two).unwrap());
        let mut sent = 0_u32;
        while !one.wants_write() {
            one.send(&sent, &[0; 60_000], Vec::new()).unwrap();
            sent += 1;
        }
        for expected in 0..sent {
            let message = two.receive().unwrap().unwrap();
            assert_eq!(message.head::<u32>().unwrap(), expected);
            one.flush().unwrap();
        }
    }

    #[test]
    fn file_that_can_still_change_is_refused() {
        let file = rustix::fs::memfd_create("x", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        assert!(read_memory_file(&file, 9).is_err());
        let null = std::fs::File::open("/dev/zero").unwrap().into();
        assert!(read_memory_file(&null, 9).is_err());
    }
}

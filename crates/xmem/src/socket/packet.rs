//! One packet, with its descriptors.

use std::borrow::Cow;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use super::DESCRIPTORS_MAX;
use super::payload::{PayloadError, read_sealed, seal};
use crate::code::CmsCode;
use crate::frame::{Flags, FrameError, HEADER_BYTES, Header, INLINE_BYTES_MAX, PAYLOAD_BYTES_MAX};
use crate::sys;

// One more than a frame may bring: its memfd.
const _: () = assert!(DESCRIPTORS_MAX < sys::RECEIVED_DESCRIPTORS_MAX);

/// A frame that was received.
#[derive(Debug)]
pub struct Frame<'b> {
    /// The header.
    pub header: Header,
    /// The payload: in the buffer, or copied out of a sealed memfd.
    pub payload: Cow<'b, [u8]>,
    /// Descriptors beside it.
    pub descriptors: Vec<OwnedFd>,
}

/// What a peer did that the protocol does not allow. The connection ends with [`Violation::code`].
#[derive(Debug, thiserror::Error)]
pub enum Violation {
    /// The bytes are no frame.
    #[error("what came is no frame")]
    Frame(#[source] FrameError),
    /// The packet is longer than any may be.
    #[error("a packet is longer than {} bytes", crate::frame::PACKET_BYTES_MAX)]
    TooLong,
    /// More descriptors than there was room for, or other control data.
    #[error("a packet brought control data that was not asked for")]
    ControlData,
    /// Another number of descriptors than the frame may have.
    #[error("a packet brought {came} descriptors, at most {allowed} were expected")]
    Descriptors {
        /// How many came.
        came: usize,
        /// How many may come.
        allowed: usize,
    },
    /// The memfd is not what it must be.
    #[error("the payload can not be taken from its memfd")]
    Payload(#[source] PayloadError),
}

impl Violation {
    /// The CMS code that the connection ends with.
    #[must_use]
    pub const fn code(&self) -> CmsCode {
        match self {
            Self::Frame(error) => error.code(),
            Self::TooLong | Self::Payload(_) => CmsCode::BadParameter,
            Self::ControlData | Self::Descriptors { .. } => CmsCode::ProtocolViolated,
        }
    }
}

/// What went wrong with a connection.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Nothing there, or no room, within the time.
    #[error("the connection was not ready in time")]
    WouldBlock,
    /// The peer is gone.
    #[error("the connection was closed by its other end")]
    Closed,
    /// The peer broke the rules.
    #[error("the protocol was violated")]
    Violated(#[source] Violation),
    /// The payload is longer than any may be.
    #[error("a payload of {bytes} bytes is longer than {} bytes", PAYLOAD_BYTES_MAX)]
    TooLong {
        /// Bytes of it.
        bytes: usize,
    },
    /// The kernel refuses.
    #[error("the connection failed")]
    Io(#[source] std::io::Error),
}

impl From<Errno> for SocketError {
    fn from(error: Errno) -> Self {
        match error {
            Errno::AGAIN => Self::WouldBlock,
            Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN | Errno::SHUTDOWN => Self::Closed,
            error => Self::Io(error.into()),
        }
    }
}

/// Up to so many bytes are put together before they are sent: cheaper than telling the kernel about two pieces.
const TOGETHER_BYTES_MAX: usize = 256;

pub(super) fn send(
    socket: BorrowedFd<'_>,
    mut header: Header,
    payload: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> Result<(), SocketError> {
    let too_long = SocketError::TooLong { bytes: payload.len() };
    if payload.len() > PAYLOAD_BYTES_MAX || descriptors.len() > DESCRIPTORS_MAX {
        return Err(too_long);
    }
    header.length = u32::try_from(payload.len()).map_err(|_| too_long)?;
    if payload.len() <= INLINE_BYTES_MAX {
        return Ok(send_packet(socket, &header, payload, descriptors)?);
    }
    header.flags = header.flags.with(Flags::MEMFD);
    let memfd = seal(payload).map_err(SocketError::Io)?;
    let mut all = vec![memfd.as_fd()];
    all.extend_from_slice(descriptors);
    Ok(send_packet(socket, &header, &[], &all)?)
}

/// Sends one packet, all of it or nothing, without waiting: the header as it is, what follows it, and at most
/// [`DESCRIPTORS_MAX`] and one descriptors.
///
/// # Errors
///
/// The kernel's: `AGAIN` when there is no room.
pub fn send_packet(
    socket: BorrowedFd<'_>,
    header: &Header,
    inline: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> Result<(), Errno> {
    const FLAGS: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);
    let bytes = header.encode();
    let whole = HEADER_BYTES + inline.len();
    if descriptors.is_empty() && whole <= TOGETHER_BYTES_MAX {
        let mut together = [0; TOGETHER_BYTES_MAX];
        together[..HEADER_BYTES].copy_from_slice(&bytes);
        together[HEADER_BYTES..whole].copy_from_slice(inline);
        return sent(|| rustix::net::send(socket, &together[..whole], FLAGS));
    }
    let parts = [IoSlice::new(&bytes), IoSlice::new(inline)];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX + 1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(Errno::NOBUFS);
    }
    sent(|| sendmsg(socket, &parts, &mut control, FLAGS))
}

fn sent(mut send: impl FnMut() -> Result<usize, Errno>) -> Result<(), Errno> {
    loop {
        match send() {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            // A queue of descriptors in flight that is full is emptied by whoever reads.
            Err(Errno::TOOMANYREFS) => return Err(Errno::AGAIN),
            Err(error) => return Err(error),
        }
    }
}

/// One packet as it came, before anybody has looked into it.
#[derive(Debug)]
pub struct Packet {
    /// How many bytes of the buffer it filled; 0 with nothing else is the end of the connection.
    pub bytes: usize,
    /// Descriptors beside them.
    pub descriptors: Vec<OwnedFd>,
}

/// Receives one packet with room for exactly `room` descriptors (at most [`DESCRIPTORS_MAX`] and one), into a buffer that
/// is as long as a packet may be. It waits, if it is told to, as long as the socket's own time-out says.
///
/// # Errors
///
/// [`SocketError::WouldBlock`] when nothing is there (in time), [`SocketError::Closed`] at the end, and
/// [`SocketError::Violated`]: then every descriptor that arrived is closed.
#[inline]
pub fn receive_packet(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    room: usize,
    wait: bool,
) -> Result<Packet, SocketError> {
    let received = loop {
        match sys::receive(socket, buffer, room, wait) {
            // A peer that closed without having read everything leaves an error that hides what it sent before, once.
            Err(Errno::CONNRESET) => {}
            // Whoever waits looks at the clock again: a signal now and then must not make it wait for ever.
            Err(Errno::INTR) if wait => return Err(SocketError::WouldBlock),
            Err(Errno::INTR) => {}
            received => break received?,
        }
    };
    if received.has_more {
        return Err(SocketError::Violated(Violation::ControlData));
    }
    if received.is_cut {
        return Err(SocketError::Violated(Violation::TooLong));
    }
    if received.bytes == 0 && received.descriptors.is_empty() {
        return Err(SocketError::Closed);
    }
    Ok(Packet { bytes: received.bytes, descriptors: received.descriptors })
}

#[inline]
pub(super) fn receive<'b>(
    socket: BorrowedFd<'_>,
    buffer: &'b mut [u8],
    descriptors_max: usize,
    wait: bool,
) -> Result<Frame<'b>, SocketError> {
    let violated = |violation| Err(SocketError::Violated(violation));
    let descriptors_max = descriptors_max.min(DESCRIPTORS_MAX);
    let Packet { bytes, mut descriptors } = receive_packet(socket, buffer, descriptors_max + 1, wait)?;
    let packet = buffer.get(..bytes).unwrap_or_default();
    let (header, inline) =
        Header::decode_packet(packet).map_err(|error| SocketError::Violated(Violation::Frame(error)))?;
    let in_memfd = header.flags.contains(Flags::MEMFD);
    let allowed = descriptors_max + usize::from(in_memfd);
    if descriptors.len() > allowed || (in_memfd && descriptors.is_empty()) {
        return violated(Violation::Descriptors { came: descriptors.len(), allowed });
    }
    if !in_memfd {
        return Ok(Frame { header, payload: Cow::Borrowed(inline), descriptors });
    }
    let memfd = descriptors.remove(0);
    let payload = read_sealed(memfd.as_fd(), header.length as usize)
        .map_err(|error| SocketError::Violated(Violation::Payload(error)))?;
    Ok(Frame { header, payload: Cow::Owned(payload), descriptors })
}

//! Frames that are sent to clients, and the codes in them.

use std::os::fd::{BorrowedFd, OwnedFd};

use tender_xmem::code::CmsCode;
use tender_xmem::frame::{Header, Kind};
pub(crate) use tender_xmem::socket::send_packet as send;
use tender_xmem::socket::{SocketError, Violation};

pub(crate) const DENIED: u32 = CmsCode::PermissionDenied.number();
pub(crate) const NO_ROOM: u32 = CmsCode::NoRoom.number();
pub(crate) const VIOLATED: u32 = CmsCode::ProtocolViolated.number();

/// Descriptors that one packet of a client may bring: more are an attempt to use them up.
const CLIENT_DESCRIPTORS_MAX: usize = 1;

/// What came from a client.
#[derive(Debug)]
pub(crate) enum Packet {
    /// So many bytes, and a descriptor.
    Bytes(usize, Option<OwnedFd>),
    /// Nothing yet.
    Nothing,
    /// The other end is closed.
    End,
    /// More descriptors than can be meant, or a packet longer than any can be.
    Violation(&'static str),
}

/// Takes one packet of a client into a buffer that is larger than any packet may be.
#[inline]
pub(crate) fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Packet {
    to_packet(tender_xmem::socket::receive_packet(socket, buffer, CLIENT_DESCRIPTORS_MAX, false))
}

/// [`receive`], waiting for as long as the socket's own time-out says.
#[inline]
pub(crate) fn receive_waiting(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Packet {
    to_packet(tender_xmem::socket::receive_packet(socket, buffer, CLIENT_DESCRIPTORS_MAX, true))
}

#[inline]
fn to_packet(received: Result<tender_xmem::socket::Packet, SocketError>) -> Packet {
    match received {
        Ok(mut packet) => Packet::Bytes(packet.bytes, packet.descriptors.pop()),
        Err(SocketError::WouldBlock) => Packet::Nothing,
        Err(SocketError::Violated(Violation::ControlData)) => {
            Packet::Violation("more descriptors than one, or other control data")
        }
        Err(SocketError::Violated(_)) => Packet::Violation("a packet longer than any can be"),
        Err(_) => Packet::End,
    }
}

/// Says good-bye on a socket that is closed then.
pub(crate) fn turn_away(socket: BorrowedFd<'_>, code: u32, why: &str) {
    let mut header = Header::new(Kind::Goodbye, 0);
    header.code = code;
    header.length = u32::try_from(why.len()).unwrap_or(0);
    // Whoever does not read will see the end of file.
    send(socket, &header, why.as_bytes(), &[]).ok();
    // It may have sent already. It fails when the other end is gone.
    rustix::net::shutdown(socket, rustix::net::Shutdown::Read).ok();
    drain(socket);
}

/// Throws away what was sent on a socket that is shut for reading: what nobody read would make the other end lose the last
/// that it was sent.
pub(crate) fn drain(socket: BorrowedFd<'_>) {
    // One that is longer is cut, and gone as well.
    while let Packet::Bytes(..) | Packet::Violation(_) = receive(socket, &mut [0; 64]) {}
}

/// Puts the number of the audit record into a refusal.
pub(crate) fn with_reference(refusal: &str, reference: u64) -> String {
    match refusal.strip_suffix('}') {
        Some(open) => format!("{open},\"reference\":{reference}}}"),
        None => refusal.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_with_its_reference_is_what_clients_read() {
        let text = r#"{"subject":"A","class":"C","resource":"R","level":"READ","rule":"x","remedy":"y"}"#;
        let refusal: tender_xmem::Refusal = serde_json::from_str(&with_reference(text, 7)).unwrap();
        assert_eq!((refusal.reference, &*refusal.subject), (7, "A"));
    }

    #[test]
    fn word_at_the_door_is_heard_whatever_was_sent_before() {
        use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType};
        use std::os::fd::AsFd as _;
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
        for bytes in [10, 5000, 10] {
            rustix::net::send(&theirs, &vec![7; bytes], SendFlags::NOSIGNAL).unwrap();
        }
        turn_away(ours.as_fd(), DENIED, "no");
        drop(ours);
        let mut buffer = [0; 100];
        let Packet::Bytes(bytes, None) = receive(theirs.as_fd(), &mut buffer) else { panic!("nothing") };
        let (header, why) = Header::decode_packet(&buffer[..bytes]).unwrap();
        assert_eq!((header.kind, header.code, why), (Kind::Goodbye, DENIED, &b"no"[..]));
    }
}

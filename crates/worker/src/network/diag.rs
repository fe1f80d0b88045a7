//! The kernel's list of sockets: `NETLINK_SOCK_DIAG`.
//!
//! Layouts are those of `linux/netlink.h`, `linux/inet_diag.h` and `linux/unix_diag.h`. Numbers are in the byte order
//! of the host, ports and addresses in that of the network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use super::{Protocol, Socket, State};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const REQUEST_DUMP: u16 = 0x1 | 0x300;
const HEADER: usize = 16;
const INET_ANSWER: usize = 72;
const UNIX_ANSWER: usize = 16;
const UNIX_SHOW: u32 = 0x1 | 0x4 | 0x40;
const UNIX_NAME: u16 = 0;
const UNIX_PEER: u16 = 2;
const UNIX_UID: u16 = 7;
/// Enough for whatever the kernel puts into one part of a dump.
const PART_BYTES: usize = 64 * 1024;

/// Calls `each` with every socket of a protocol in one of the states (none for all), until it returns false.
pub(super) fn list(
    protocol: Protocol,
    states: &[State],
    each: &mut dyn FnMut(Socket) -> bool,
) -> Result<(), Errno> {
    let socket = open()?;
    let request = request(protocol, mask(states));
    rustix::net::sendto(&socket, &request, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut part = vec![0; PART_BYTES];
    loop {
        let (length, whole) = match rustix::net::recv(&socket, part.as_mut_slice(), RecvFlags::TRUNC) {
            Err(Errno::INTR) => continue,
            other => other?,
        };
        if whole > length {
            return Err(Errno::NOBUFS);
        }
        let mut rest = &part[..length];
        while let Some((kind, payload, next)) = message(rest) {
            rest = next;
            match kind {
                NLMSG_DONE => return Ok(()),
                NLMSG_ERROR => return error(payload),
                SOCK_DIAG_BY_FAMILY => {
                    if let Some(socket) = parse(protocol, payload)
                        && !each(socket)
                    {
                        return Ok(());
                    }
                }
                _ => {}
            }
        }
    }
}

fn open() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC;
    rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(netlink::SOCK_DIAG))
}

fn error(payload: &[u8]) -> Result<(), Errno> {
    match int(payload, 0) {
        Some(0) => Ok(()),
        // A kernel without this protocol (or without IPv6) has no sockets of it.
        Some(code)
            if [-libc::ENOENT, -libc::EAFNOSUPPORT, -libc::EPROTONOSUPPORT].contains(&code.cast_signed()) =>
        {
            Ok(())
        }
        Some(code) => Err(Errno::from_raw_os_error(code.cast_signed().saturating_neg())),
        None => Err(Errno::BADMSG),
    }
}

fn mask(states: &[State]) -> u32 {
    if states.is_empty() {
        return u32::MAX;
    }
    states.iter().fold(0, |mask, state| mask | 1 << state.number())
}

fn request(protocol: Protocol, states: u32) -> Vec<u8> {
    let (family, number) = match protocol {
        Protocol::Tcp4 => (libc::AF_INET, libc::IPPROTO_TCP),
        Protocol::Tcp6 => (libc::AF_INET6, libc::IPPROTO_TCP),
        Protocol::Udp4 => (libc::AF_INET, libc::IPPROTO_UDP),
        Protocol::Udp6 => (libc::AF_INET6, libc::IPPROTO_UDP),
        Protocol::Unix => (libc::AF_UNIX, 0),
    };
    let small = |number: libc::c_int| u8::try_from(number).unwrap_or(0);
    let mut payload = vec![small(family), small(number), 0, 0];
    payload.extend_from_slice(&states.to_ne_bytes());
    if protocol == Protocol::Unix {
        payload.extend_from_slice(&0_u32.to_ne_bytes());
        payload.extend_from_slice(&UNIX_SHOW.to_ne_bytes());
        payload.extend_from_slice(&[0; 8]);
    } else {
        payload.extend_from_slice(&[0; 48]);
    }
    let length = u32::try_from(HEADER + payload.len()).unwrap_or(0);
    let mut message = Vec::with_capacity(HEADER + payload.len());
    message.extend_from_slice(&length.to_ne_bytes());
    message.extend_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    message.extend_from_slice(&REQUEST_DUMP.to_ne_bytes());
    message.extend_from_slice(&1_u32.to_ne_bytes());
    message.extend_from_slice(&0_u32.to_ne_bytes());
    message.extend_from_slice(&payload);
    message
}

/// The first message: its type, its payload, and what follows.
fn message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = usize::try_from(int(bytes, 0)?).ok()?;
    if length < HEADER || length > bytes.len() {
        return None;
    }
    let next = length.next_multiple_of(4).min(bytes.len());
    Some((short(bytes, 4)?, &bytes[HEADER..length], &bytes[next..]))
}

fn parse(protocol: Protocol, payload: &[u8]) -> Option<Socket> {
    if protocol == Protocol::Unix { parse_unix(payload) } else { parse_inet(protocol, payload) }
}

fn parse_inet(protocol: Protocol, payload: &[u8]) -> Option<Socket> {
    let payload = payload.get(..INET_ANSWER)?;
    let v6 = matches!(protocol, Protocol::Tcp6 | Protocol::Udp6);
    let address = |at: usize| -> Option<IpAddr> {
        Some(if v6 {
            IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(payload.get(at..at + 16)?).ok()?))
        } else {
            IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(payload.get(at..at + 4)?).ok()?))
        })
    };
    let port = |at: usize| Some(u16::from_be_bytes(payload.get(at..at + 2)?.try_into().ok()?));
    Some(Socket {
        protocol,
        state: State::of(*payload.get(1)?),
        local: SocketAddr::new(address(8)?, port(4)?).to_string(),
        remote: SocketAddr::new(address(24)?, port(6)?).to_string(),
        uid: Some(int(payload, 64)?),
        inode: int(payload, 68)?.into(),
        owners: Vec::new(),
    })
}

fn parse_unix(payload: &[u8]) -> Option<Socket> {
    let mut socket = Socket {
        protocol: Protocol::Unix,
        state: State::of(*payload.get(2)?),
        local: String::new(),
        remote: String::new(),
        uid: None,
        inode: int(payload, 4)?.into(),
        owners: Vec::new(),
    };
    let mut rest = payload.get(UNIX_ANSWER..)?;
    while let Some(length) = short(rest, 0).map(usize::from) {
        let (Some(kind), Some(value)) = (short(rest, 2), rest.get(4..length)) else { break };
        match kind {
            UNIX_NAME => socket.local = name(value),
            UNIX_PEER => socket.remote = int(value, 0).map(|inode| inode.to_string()).unwrap_or_default(),
            UNIX_UID => socket.uid = int(value, 0),
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(socket)
}

/// A path, or `@` and an abstract name. Whoever bound it chose the bytes: what could steer a terminal is escaped.
fn name(bytes: &[u8]) -> String {
    let (prefix, bytes) = match bytes {
        [0, rest @ ..] => ("@", rest),
        path => ("", path.split(|byte| *byte == 0).next().unwrap_or_default()),
    };
    let text = String::from_utf8_lossy(bytes);
    text.chars().fold(prefix.to_owned(), |mut shown, char| {
        if char.is_control() || char == '\\' {
            shown.extend(char.escape_default());
        } else {
            shown.push(char);
        }
        shown
    })
}

fn int(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

impl State {
    const ALL: [Self; 12] = [
        Self::Established,
        Self::SynSent,
        Self::SynReceived,
        Self::FinWait1,
        Self::FinWait2,
        Self::TimeWait,
        Self::Close,
        Self::CloseWait,
        Self::LastAck,
        Self::Listen,
        Self::Closing,
        Self::NewSynReceived,
    ];

    /// The kernel's number.
    fn number(self) -> u8 {
        self as u8 + 1
    }

    fn of(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.number() == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_that_claims_more_than_there_is_is_not_read() {
        let mut bytes = request(Protocol::Tcp4, 1);
        assert!(message(&bytes).is_some());
        bytes[0] += 1;
        assert!(message(&bytes).is_none());
        bytes[0] = 3;
        assert!(message(&bytes).is_none());
        assert!(message(&[]).is_none());
    }

    #[test]
    fn parse_of_any_short_answer_is_nothing() {
        for length in 0..INET_ANSWER {
            assert_eq!(parse(Protocol::Tcp4, &vec![0xFF; length]), None);
        }
        for length in 0..UNIX_ANSWER {
            assert_eq!(parse(Protocol::Unix, &vec![0xFF; length]), None);
        }
        // An attribute with a length that makes no sense ends the list.
        assert!(parse(Protocol::Unix, &[0; UNIX_ANSWER + 9]).is_some());
        assert!(parse(Protocol::Unix, &[0xFF; UNIX_ANSWER + 9]).is_some());
    }

    #[test]
    fn name_with_control_characters_is_escaped() {
        assert_eq!(name(b"/run/a\nb\x1b[2J\0"), "/run/a\\nb\\u{1b}[2J");
        assert_eq!(name(b"\0abstract"), "@abstract");
        assert_eq!(name(b""), "");
    }

    #[test]
    fn mask_of_listen_is_the_kernels() {
        assert_eq!(mask(&[State::Listen]), 1 << 10);
        assert_eq!(mask(&[]), u32::MAX);
    }
}

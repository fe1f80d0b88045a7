//! A client that can send anything.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};
use tender_xmem::frame::{ANY_VERSION, Header, Kind};

use crate::world::{World, as_user};

/// What was heard.
#[derive(Debug)]
pub(crate) enum Heard {
    Frame(Header, Vec<u8>, Vec<OwnedFd>),
    End,
}

impl Heard {
    pub(crate) fn frame(self) -> (Header, Vec<u8>) {
        match self {
            Self::Frame(header, payload, _) => (header, payload),
            Self::End => panic!("the connection has ended"),
        }
    }
}

pub(crate) struct Raw {
    pub(crate) socket: OwnedFd,
    sequence: u64,
}

impl Raw {
    /// Connects as somebody and says nothing.
    pub(crate) fn connect(world: &World, uid: u32) -> Self {
        Self::connect_to(&world.path("run/ZWESIS_STD/socket"), uid)
    }

    pub(crate) fn connect_to(path: &std::path::Path, uid: u32) -> Self {
        let address = SocketAddrUnix::new(path).unwrap();
        let socket = as_user(uid, move || {
            let flags = SocketFlags::CLOEXEC;
            let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None);
            let socket = socket.unwrap();
            rustix::net::connect(&socket, &address).unwrap();
            socket
        });
        Self::of(socket)
    }

    /// Uses a connection that somebody else has made.
    pub(crate) fn of(socket: OwnedFd) -> Self {
        let timeout = Some(std::time::Duration::from_secs(60));
        rustix::net::sockopt::set_socket_timeout(&socket, rustix::net::sockopt::Timeout::Recv, timeout)
            .unwrap();
        Self { socket, sequence: 1000 }
    }

    /// Connects and greets; returns the answer.
    pub(crate) fn greet(world: &World, uid: u32) -> (Self, Header, Vec<u8>) {
        let mut raw = Self::connect(world, uid);
        raw.hello(r#"{"client":"raw","server":"ZWESIS_STD","requires":[]}"#);
        let (header, payload) = raw.hear().frame();
        (raw, header, payload)
    }

    /// Connects and is let in.
    pub(crate) fn enter(world: &World, uid: u32) -> Self {
        let (raw, header, payload) = Self::greet(world, uid);
        assert_eq!((header.kind, header.code), (Kind::Welcome, 0), "{}", String::from_utf8_lossy(&payload));
        raw
    }

    pub(crate) fn hello(&mut self, json: &str) {
        self.try_hello(json).unwrap();
    }

    pub(crate) fn try_hello(&mut self, json: &str) -> Result<(), rustix::io::Errno> {
        let mut header = Header::new(Kind::Hello, 0);
        header.length = json.len() as u32;
        self.send(&[&header.encode()[..], json.as_bytes()].concat(), &[])
    }

    pub(crate) fn send(&self, packet: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(), rustix::io::Errno> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(200))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            assert!(ancillary.push(SendAncillaryMessage::ScmRights(fds)));
        }
        rustix::net::sendmsg(&self.socket, &[IoSlice::new(packet)], &mut ancillary, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// Returns the header of the next call.
    pub(crate) fn next_call(&mut self, service: u16, length: usize) -> Header {
        self.sequence += 1;
        let mut header = Header::new(Kind::Call, self.sequence);
        header.service = service;
        header.code = ANY_VERSION;
        header.length = length as u32;
        header
    }

    /// Sends a call and waits for nothing.
    pub(crate) fn cast(&mut self, service: u16, payload: &[u8]) -> u64 {
        let header = self.next_call(service, payload.len());
        self.send(&[&header.encode()[..], payload].concat(), &[]).unwrap();
        header.sequence
    }

    pub(crate) fn call(&mut self, service: u16, payload: &[u8]) -> (Header, Vec<u8>) {
        let sequence = self.cast(service, payload);
        let (header, payload) = self.hear().frame();
        assert_eq!((header.kind, header.sequence), (Kind::Reply, sequence), "{header:?}");
        (header, payload)
    }

    pub(crate) fn hear(&self) -> Heard {
        let mut buffer = vec![0; 70_000];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut slices = [IoSliceMut::new(&mut buffer)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let received = rustix::net::recvmsg(&self.socket, &mut slices, &mut ancillary, flags);
        let bytes = match received {
            Ok(received) => received.bytes,
            Err(rustix::io::Errno::CONNRESET) => 0,
            Err(error) => panic!("nothing is heard: {error}"),
        };
        if bytes == 0 {
            return Heard::End;
        }
        let mut fds = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                fds.extend(rights);
            }
        }
        let (header, payload) = Header::decode_packet(&buffer[..bytes]).unwrap();
        Heard::Frame(header, payload.to_vec(), fds)
    }

    /// Hears GOODBYE with a code and then the end.
    pub(crate) fn hear_goodbye(&self) -> (u32, String) {
        loop {
            let (header, payload) = self.hear().frame();
            if header.kind == Kind::Goodbye {
                assert!(matches!(self.hear(), Heard::End));
                return (header.code, String::from_utf8_lossy(&payload).into_owned());
            }
        }
    }
}

impl AsFd for Raw {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

//! A client that can send anything.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};
use tender_xmem::frame::{ANY_VERSION, Flags, Header, Kind};

use crate::world::{World, as_user, wait_until};

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

/// Returns a memory file that nobody can change any more.
pub(crate) fn sealed(content: &[u8]) -> OwnedFd {
    let file = rustix::fs::memfd_create("payload", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    let mut written = 0;
    while written < content.len() {
        written += rustix::io::write(&file, &content[written..]).unwrap();
    }
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    rustix::fs::fcntl_add_seals(&file, seals).unwrap();
    file
}

pub(crate) struct Raw {
    pub(crate) socket: OwnedFd,
    sequence: u64,
}

/// Takes the connection that another process passes on.
pub(crate) fn passed_on(ours: &OwnedFd) -> OwnedFd {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0; 1];
    let mut pieces = [IoSliceMut::new(&mut byte)];
    rustix::net::recvmsg(ours, &mut pieces, &mut ancillary, RecvFlags::CMSG_CLOEXEC).unwrap();
    let passed = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut rights) => rights.next(),
        _ => None,
    });
    passed.unwrap()
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

    /// Connects as whoever this process is.
    pub(crate) fn connect_as_is(path: &std::path::Path) -> Self {
        let flags = SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None);
        let socket = socket.unwrap();
        rustix::net::connect(&socket, &SocketAddrUnix::new(path).unwrap()).unwrap();
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

    /// Gives the connection to whoever is at the other end of standard input.
    pub(crate) fn pass_on(&self) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let fds = [self.socket.as_fd()];
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&fds)));
        let (stdin, byte) = (std::io::stdin(), [IoSlice::new(b"x")]);
        rustix::net::sendmsg(&stdin, &byte, &mut ancillary, SendFlags::empty()).unwrap();
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

    /// Calls in the name of an actor.
    pub(crate) fn call_as(&mut self, actor: u64, service: u16, payload: &[u8]) -> (Header, Vec<u8>) {
        let mut header = self.next_call(service, payload.len());
        header.actor = actor;
        self.send(&[&header.encode()[..], payload].concat(), &[]).unwrap();
        let (reply, payload) = self.hear().frame();
        assert_eq!((reply.kind, reply.sequence), (Kind::Reply, header.sequence), "{reply:?}");
        (reply, payload)
    }

    /// Calls in the name of an actor with a payload that travels in a memory file, as the answer may.
    pub(crate) fn call_large(&mut self, actor: u64, service: u16, payload: &[u8]) -> (Header, Vec<u8>) {
        let mut header = self.next_call(service, payload.len());
        header.actor = actor;
        header.flags = Flags::MEMFD;
        self.send(&header.encode(), &[sealed(payload).as_fd()]).unwrap();
        match self.hear() {
            Heard::Frame(reply, _, fds) if reply.flags.contains(Flags::MEMFD) => {
                assert_eq!((reply.sequence, fds.len()), (header.sequence, 1));
                let mut content = vec![0; reply.length as usize + 1];
                let read = rustix::io::pread(&fds[0], &mut content, 0).unwrap();
                assert_eq!(read, reply.length as usize, "the length is that of the file");
                content.truncate(read);
                (reply, content)
            }
            other => other.frame(),
        }
    }

    /// Becomes an actor by SURROGAT as soon as the permission is in force; returns its handle.
    pub(crate) fn act_as(&mut self, user: &str) -> u64 {
        let request = format!(r#"{{"issue":{{"proof":{{"surrogate":{{"user":"{user}"}}}}}}}}"#);
        let mut handle = None;
        wait_until("the permission is in force", || {
            let (reply, payload) = self.call(6, request.as_bytes());
            if (reply.code, reply.detail) == (0, 0) {
                let answer: serde_json::Value = serde_json::from_slice(&payload).unwrap();
                handle = answer["issued"]["handle"].as_u64();
            }
            handle.is_some()
        });
        handle.unwrap()
    }

    pub(crate) fn hear(&self) -> Heard {
        let mut buffer = vec![0; 70_000];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut slices = [IoSliceMut::new(&mut buffer)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let bytes = loop {
            match rustix::net::recvmsg(&self.socket, &mut slices, &mut ancillary, flags) {
                Ok(received) => break received.bytes,
                // Said once, before what was sent to us, when the other end closes without having read all of ours.
                Err(rustix::io::Errno::CONNRESET) => {}
                Err(error) => panic!("nothing is heard: {error}"),
            }
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

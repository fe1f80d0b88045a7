//! A bare `SOCK_SEQPACKET` socket: what a call costs without anything done in it.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::thread;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};

use super::{Caller, Transport};
use crate::Failure;

/// The transport.
pub struct Seqpacket;

/// One connection.
struct Connection(OwnedFd, Vec<u8>);

fn socket() -> Result<OwnedFd, Failure> {
    Ok(rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

impl Transport for Seqpacket {
    fn name(&self) -> &'static str {
        "seqpacket"
    }

    fn serve(&self, place: &Path) -> Result<(), Failure> {
        let listener = socket()?;
        rustix::net::bind(&listener, &SocketAddrUnix::new(place)?)?;
        rustix::net::listen(&listener, 64)?;
        loop {
            let connection = rustix::net::accept(&listener)?;
            thread::spawn(move || answer(connection));
        }
    }

    fn connect(&self, place: &Path) -> Result<Box<dyn Caller>, Failure> {
        let socket = socket()?;
        rustix::net::connect(&socket, &SocketAddrUnix::new(place)?)?;
        Ok(Box::new(Connection(socket, vec![0; 1 << 16])))
    }
}

fn answer(connection: impl AsFd) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok((bytes @ 1.., _)) = rustix::net::recv(&connection, &mut buffer[..], RecvFlags::empty()) {
        if rustix::net::send(&connection, &buffer[..bytes], SendFlags::NOSIGNAL).is_err() {
            return;
        }
    }
}

impl Caller for Connection {
    fn call(&mut self, payload: &[u8]) -> Result<usize, Failure> {
        rustix::net::send(&self.0, payload, SendFlags::NOSIGNAL)?;
        Ok(rustix::net::recv(&self.0, &mut self.1[..], RecvFlags::empty())?.0)
    }
}

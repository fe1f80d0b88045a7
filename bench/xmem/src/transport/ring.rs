//! A bare ring of shared memory, both ends looking without a pause: what our ring costs without anything done in it.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tender_xmem::frame::{ANY_VERSION, Header, Kind};
use tender_xmem::ring::{CAPACITY_DEFAULT, ClientRing, ServerRing};
use tender_xmem::socket::Connection;

use super::{Caller, Transport};
use crate::Failure;

/// The transport.
pub struct Ring;

/// One connection; the socket only says that it is still there.
struct End {
    ring: ClientRing,
    sequence: u64,
    answer: Vec<u8>,
    _socket: Connection,
}

fn socket() -> Result<OwnedFd, Failure> {
    Ok(rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

impl Transport for Ring {
    fn name(&self) -> &'static str {
        "ring"
    }

    fn serve(&self, place: &Path) -> Result<(), Failure> {
        let listener = socket()?;
        rustix::net::bind(&listener, &SocketAddrUnix::new(place)?)?;
        rustix::net::listen(&listener, 64)?;
        loop {
            let connection = Connection::from_socket(rustix::net::accept(&listener)?);
            thread::spawn(move || answer(&connection).map_err(|failure| eprintln!("{failure}")));
        }
    }

    fn connect(&self, place: &Path) -> Result<Box<dyn Caller>, Failure> {
        let socket = socket()?;
        rustix::net::connect(&socket, &SocketAddrUnix::new(place)?)?;
        let (socket, mut buffer) = (Connection::from_socket(socket), Connection::buffer());
        let frame = socket.receive_until(&mut buffer, 2, None)?;
        let capacity = frame.header.detail;
        let [memory, doorbell] =
            <[OwnedFd; 2]>::try_from(frame.descriptors).map_err(|_| "two descriptors were awaited")?;
        let ring = ClientRing::open(&memory, doorbell, capacity)?;
        Ok(Box::new(End { ring, sequence: 0, answer: Vec::new(), _socket: socket }))
    }
}

/// Answers until the other end is gone, for which it looks when nothing has come for a while.
fn answer(connection: &Connection) -> Result<(), Failure> {
    let mut ring = ServerRing::create(CAPACITY_DEFAULT)?;
    let mut ready = Header::new(Kind::RingReady, 0);
    ready.detail = ring.capacity();
    connection.send(&ready, &[], &ring.descriptors())?;
    let (mut payload, mut looks) = (Vec::new(), 0_u32);
    loop {
        match ring.try_pop(&mut payload)? {
            Some(header) => {
                while !ring.try_push(&header.reply(0, 0), &payload)? {}
                looks = 0;
            }
            None => {
                looks += 1;
                if looks == 1 << 20 {
                    looks = 0;
                    let now = std::time::Instant::now() + Duration::from_micros(1);
                    if connection.readable_until(Some(now))? {
                        return Ok(());
                    }
                }
            }
        }
    }
}

impl Caller for End {
    fn call(&mut self, payload: &[u8]) -> Result<usize, Failure> {
        self.sequence += 1;
        let mut header = Header::new(Kind::Call, self.sequence);
        header.code = ANY_VERSION;
        while !self.ring.sender.try_push(&header, payload)? {}
        while self.ring.receiver.try_pop(&mut self.answer)?.is_none() {}
        Ok(self.answer.len())
    }
}

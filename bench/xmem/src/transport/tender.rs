//! The cross-memory server, called as its clients do; the place is its name.

use std::path::Path;

use tender_xmem::{Client, Options, ServerName};

use super::{Caller, Transport};
use crate::Failure;

/// Number of STATUS: it gives back what it gets.
const STATUS: u16 = 4;

/// The transport, over shared memory or over the socket.
pub struct Tender {
    name: &'static str,
    ring: bool,
}

/// Over a ring of shared memory.
pub const RING: Tender = Tender { name: "tender-ring", ring: true };
/// Over the socket alone.
pub const SOCKET: Tender = Tender { name: "tender-socket", ring: false };

impl Transport for Tender {
    fn name(&self) -> &'static str {
        self.name
    }

    fn serve(&self, _place: &Path) -> Result<(), Failure> {
        Err("the cross-memory server serves itself: tender-xmemd run".into())
    }

    fn connect(&self, place: &Path) -> Result<Box<dyn Caller>, Failure> {
        let server = ServerName::new(place.to_str().ok_or("a server's name is text")?)?;
        let options = Options { client: "bench".to_owned(), ring: self.ring, ..Options::default() };
        let client = Client::connect(server, options)?;
        if self.ring && !client.has_ring() {
            return Err("the server gave no ring".into());
        }
        Ok(Box::new(client))
    }
}

impl Caller for Client {
    fn call(&mut self, payload: &[u8]) -> Result<usize, Failure> {
        let reply = Self::call(self, STATUS, payload)?;
        Ok(reply.payload.len())
    }
}

//! A bare stream socket, one thread for each client.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;

use super::{Caller, Transport};
use crate::Failure;

/// The transport.
pub struct Stream;

/// One connection.
struct Connection(UnixStream, Vec<u8>);

impl Transport for Stream {
    fn name(&self) -> &'static str {
        "stream"
    }

    fn serve(&self, place: &Path) -> Result<(), Failure> {
        for connection in UnixListener::bind(place)?.incoming() {
            let mut connection = connection?;
            thread::spawn(move || {
                let mut buffer = vec![0; 1 << 16];
                while let Ok(bytes @ 1..) = connection.read(&mut buffer) {
                    if connection.write_all(&buffer[..bytes]).is_err() {
                        return;
                    }
                }
            });
        }
        Ok(())
    }

    fn connect(&self, place: &Path) -> Result<Box<dyn Caller>, Failure> {
        Ok(Box::new(Connection(UnixStream::connect(place)?, vec![0; 1 << 16])))
    }
}

impl Caller for Connection {
    fn call(&mut self, payload: &[u8]) -> Result<usize, Failure> {
        self.0.write_all(payload)?;
        self.0.read_exact(&mut self.1[..payload.len()])?;
        Ok(payload.len())
    }
}

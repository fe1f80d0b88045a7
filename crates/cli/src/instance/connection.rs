//! One connection to a launcher's console.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use tender_supervisor::console::{Reply, Request};

/// Longest line a launcher sends: the state of a thousand components with their last output.
const LINE_BYTES_MAX: u64 = 64 << 20;

/// A connection on which requests are lines and replies are lines.
#[derive(Debug)]
pub(super) struct Connection {
    stream: BufReader<UnixStream>,
}

impl Connection {
    /// Connects.
    pub(super) fn open(socket: &Path) -> io::Result<Self> {
        Ok(Self { stream: BufReader::new(UnixStream::connect(socket)?) })
    }

    /// Sends a request.
    pub(super) fn send(&mut self, request: &Request) -> io::Result<()> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        self.stream.get_mut().write_all(&line)
    }

    /// Receives a reply; `None` when the launcher closed the connection.
    pub(super) fn receive(&mut self) -> io::Result<Option<Reply>> {
        let mut line = Vec::new();
        let read = self.stream.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
        match read {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some(serde_json::from_slice(&line)?)),
            Err(fault) if fault.kind() == io::ErrorKind::ConnectionReset => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Waits until the other side closes; `false` when it does not within the time.
    pub(super) fn await_close(self, timeout: Duration) -> bool {
        let stream = self.stream.into_inner();
        if stream.set_read_timeout(Some(timeout.max(Duration::from_millis(1)))).is_err() {
            return false;
        }
        let mut byte = [0];
        !matches!((&stream).read(&mut byte), Err(fault) if
            matches!(fault.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut))
    }
}

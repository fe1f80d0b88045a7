//! The other end of the console socket: sends a request and reads what is answered.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use crate::console::{Reply, Request};

/// Says why a supervisor could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there: no supervisor runs this instance.
    #[error("reach the console `{}`", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The connection broke.
    #[error("talk over the console")]
    Talk(#[source] io::Error),
    /// An answer makes no sense.
    #[error("read an answer of the console")]
    Answer(#[source] serde_json::Error),
    /// The supervisor ended in the middle of an answer.
    #[error("read the whole answer: the supervisor ended before it was done")]
    Cut,
}

/// A connection to a supervisor.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
}

/// Returns where the console socket of an HA instance is.
#[must_use]
pub fn socket_path(instance_directory: &Path, ha_id: &str) -> PathBuf {
    instance_directory.join(format!(".console-{ha_id}"))
}

/// Connects to the console socket of a supervisor.
pub fn connect(socket: &Path) -> Result<Client, ClientError> {
    let failed = |source| ClientError::Connect { path: socket.to_owned(), source };
    let stream = crate::console::socket::with_short_path(socket, |path| UnixStream::connect(path));
    Ok(Client { stream: BufReader::new(stream.map_err(failed)?) })
}

impl Client {
    /// Sends a request; the answers come from the iterator, the last is [`Reply::Done`].
    ///
    /// Another request may be sent over the same connection when the iterator has ended.
    pub fn request(&mut self, request: &Request) -> Result<Replies<'_>, ClientError> {
        let mut line = serde_json::to_vec(request).expect("a request is plain strings and numbers");
        line.push(b'\n');
        self.stream.get_mut().write_all(&line).map_err(ClientError::Talk)?;
        Ok(Replies { client: self, is_over: false })
    }

    /// Sends a request and returns all answers.
    pub fn ask(&mut self, request: &Request) -> Result<Vec<Reply>, ClientError> {
        self.request(request)?.collect()
    }
}

/// The answers to one request.
#[derive(Debug)]
pub struct Replies<'c> {
    client: &'c mut Client,
    is_over: bool,
}

impl Iterator for Replies<'_> {
    type Item = Result<Reply, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let mut line = String::new();
        let reply = match self.client.stream.read_line(&mut line) {
            Err(error) => Err(ClientError::Talk(error)),
            Ok(0) => Err(ClientError::Cut),
            Ok(_) => serde_json::from_str::<Reply>(&line).map_err(ClientError::Answer),
        };
        self.is_over = reply.as_ref().map_or(true, Reply::is_last);
        Some(reply)
    }
}

//! The principal's end: one trait for every way to reach a managed system.

mod ftps;
mod listing;

use std::{fs::File, io, io::Read, io::Seek, io::SeekFrom, path::Path, path::PathBuf};

pub use self::ftps::{ConnectConfig, ConnectSecurity, FtpsLink};

/// Why talking to a managed system failed.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// No address of the host answered.
    #[error("reach {host}:{port}")]
    Unreachable {
        /// The host as configured.
        host: String,
        /// The control port.
        port: u16,
        /// Why the last address tried did not answer.
        #[source]
        source: io::Error,
    },
    /// The two ends do not accept each other's certificate, or do not speak TLS alike.
    #[error("agree on TLS with {host}: {why}")]
    Tls {
        /// The host as configured.
        host: String,
        /// What was wrong, in the words of the TLS library.
        why: String,
    },
    /// The server is there but does not let us in.
    #[error("log in to {host} as {user}: {code} {text}")]
    LoginRefused {
        /// The host as configured.
        host: String,
        /// The user.
        user: &'static str,
        /// The server's reply code.
        code: u32,
        /// The server's reply.
        text: String,
    },
    /// The server refused one operation; the connection is still good.
    #[error("{doing} on {host}: {code} {text}")]
    Refused {
        /// The host as configured.
        host: String,
        /// What was being done.
        doing: String,
        /// The server's reply code.
        code: u32,
        /// The server's reply.
        text: String,
    },
    /// The connection broke; rerun to resume.
    #[error("{doing} on {host}: the connection was lost after {offset} bytes")]
    Lost {
        /// The host as configured.
        host: String,
        /// What was being done.
        doing: String,
        /// How far the file had been handed to the connection; the server may have less.
        offset: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The server did not answer in time.
    #[error("{doing} on {host}: no answer within {timeout_ms} ms")]
    Timeout {
        /// The host as configured.
        host: String,
        /// What was being done.
        doing: String,
        /// The limit that passed.
        timeout_ms: u64,
        /// How far the file had been handed to the connection.
        offset: u64,
    },
    /// What answered does not follow the protocol.
    #[error("{doing} on {host}: the answer makes no sense: {what}")]
    Protocol {
        /// The host as configured.
        host: String,
        /// What was being done.
        doing: String,
        /// What it said.
        what: String,
    },
    /// A file is larger than the caller is ready to take.
    #[error("{name} on {host} is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The host as configured.
        host: String,
        /// The file.
        name: String,
        /// The caller's limit.
        limit_bytes: u64,
    },
    /// A name or word could not be sent safely.
    #[error("'{word}' cannot be sent in a command")]
    Word {
        /// The offending text.
        word: String,
    },
    /// The file to be sent could not be read.
    #[error("read {}", path.display())]
    Source {
        /// The local file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// This end's own key or certificate cannot be used.
    #[error("prepare the connection to {host}")]
    Identity {
        /// The host as configured.
        host: String,
        /// Why.
        #[source]
        source: crate::identity::IdentityError,
    },
}

impl LinkError {
    /// Whether the same command may well succeed later without anyone changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Lost { .. } | Self::Timeout { .. } => true,
            Self::LoginRefused { code, .. } | Self::Refused { code, .. } => (400..500).contains(code),
            _ => false,
        }
    }
}

/// One entry of a directory of the managed system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name within its directory.
    pub name: String,
    /// Its size in bytes; of no meaning for a directory.
    pub size: u64,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// What became of a resumable upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resumed {
    /// How much the server had already.
    pub from: u64,
    /// How much was sent now.
    pub sent: u64,
}

/// A connection to a managed system, logged in.
///
/// Names are relative to the system's incoming directory, with `/` between components. Every wait is bounded
/// by the timeouts the link was made with. After an error other than a refusal the link is used up; connect
/// again.
pub trait Link: Send {
    /// The size of a file, or nothing when there is none.
    fn size(&mut self, name: &str) -> Result<Option<u64>, LinkError>;

    /// Sends everything in `source` to `name`, from `offset` on; what the server has after `offset` is
    /// discarded.
    ///
    /// `progress` hears how far the file is after every block. Gives the number of bytes sent.
    fn store(
        &mut self,
        name: &str,
        source: &mut dyn Read,
        offset: u64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<u64, LinkError>;

    /// Fetches a file whole, unless it is larger than `limit_bytes`.
    fn retrieve(&mut self, name: &str, limit_bytes: u64) -> Result<Vec<u8>, LinkError> {
        self.retrieve_from(name, 0, limit_bytes)
    }

    /// Fetches what a file has from `offset` on, unless that is more than `limit_bytes`.
    fn retrieve_from(&mut self, name: &str, offset: u64, limit_bytes: u64) -> Result<Vec<u8>, LinkError>;

    /// What is in a directory, sorted by name.
    fn list(&mut self, dir: &str) -> Result<Vec<Entry>, LinkError>;

    /// Makes a directory; having one already is not an error.
    fn make_dir(&mut self, dir: &str) -> Result<(), LinkError>;

    /// Deletes a file; having none is not an error.
    fn delete(&mut self, name: &str) -> Result<(), LinkError>;

    /// Gives a file another name, replacing what has it.
    fn rename(&mut self, from: &str, to: &str) -> Result<(), LinkError>;

    /// Says a word to the system and gives its answer.
    fn site(&mut self, word: &str, arguments: &str) -> Result<String, LinkError>;

    /// Sends the file at `path`, going on where an earlier attempt ended.
    ///
    /// Goes by size alone: the caller gives every content a name of its own, and the receiver checks digests.
    /// A file on the server that is longer than ours is not a beginning of it and is sent from the start.
    fn resume(
        &mut self,
        name: &str,
        path: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Resumed, LinkError> {
        let failed = |source| LinkError::Source { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let present = self.size(name)?;
        if present == Some(size) {
            progress(size);
            return Ok(Resumed { from: size, sent: 0 });
        }
        let from = present.filter(|&present| present < size).unwrap_or(0);
        file.seek(SeekFrom::Start(from)).map_err(failed)?;
        let sent = self.store(name, &mut file, from, progress)?;
        Ok(Resumed { from, sent })
    }
}

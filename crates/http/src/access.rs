//! One line a request.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hyper::{Method, StatusCode, Version};

use crate::peer::Peer;

/// Where requests that were answered go.
pub type AccessSink = Arc<dyn Fn(&Access<'_>) + Send + Sync>;

/// A request that was answered, to its last byte or as far as the client took it.
#[derive(Debug)]
pub struct Access<'a> {
    /// Who asked.
    pub peer: &'a Peer,
    /// How.
    pub method: &'a Method,
    /// For what, path and query as they were sent.
    pub target: &'a str,
    /// In which protocol.
    pub version: Version,
    /// What was answered.
    pub status: StatusCode,
    /// Bytes of the answer's body that were handed on.
    pub bytes: u64,
    /// The answer was not given to its end.
    pub is_cut: bool,
    /// From the head of the request to the last byte of the answer.
    pub taken: Duration,
}

impl fmt::Display for Access<'_> {
    /// Writes client, certificate, request, status, bytes and milliseconds; no byte of the client's breaks the line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { peer, method, target, version, status, bytes, is_cut, taken } = self;
        let subject = peer.certificate.as_ref().map_or("-", |certificate| certificate.subject());
        write!(
            f,
            "{} \"{}\" \"{method} {} {version:?}\"",
            peer.address.ip(),
            Quoted(subject),
            Quoted(target)
        )?;
        write!(f, " {} {bytes} {:.1}ms", status.as_u16(), taken.as_secs_f64() * 1000.0)?;
        if *is_cut { f.write_str(" cut") } else { Ok(()) }
    }
}

struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '"' | '\\' => write!(f, "\\{character}")?,
                other if other.is_control() => write!(f, "{}", other.escape_default())?,
                other => write!(f, "{other}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_client_stays_in_its_quotes_and_on_its_line() {
        assert_eq!(Quoted("a\"b\\\n\u{1b}[1m").to_string(), "a\\\"b\\\\\\n\\u{1b}[1m");
    }
}

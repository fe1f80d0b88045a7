//! A GET by HTTP or HTTPS that asks one question: with which status does it answer?
//!
//! One request, one connection, one deadline over all of it; the body is not read. That is all that probes and checks
//! at the start need.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls_pki_types::ServerName;

/// More than this before the first line of an answer is over is no HTTP.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Says why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum GetError {
    /// The URL is none of ours.
    #[error("`{url}` is no URL of the form http(s)://host:port/path")]
    Url {
        /// As given.
        url: String,
    },
    /// The host has no address.
    #[error("find the address of `{host}`")]
    Resolve {
        /// The host.
        host: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Nobody answers.
    #[error("connect to {host}:{port}")]
    Connect {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The connection broke, or the certificate was not accepted.
    #[error("ask {host}:{port}")]
    Exchange {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
    /// What came back is no HTTP.
    #[error("{host}:{port} does not answer with HTTP")]
    NotHttp {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
}

/// The parts of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    is_tls: bool,
    host: String,
    port: u16,
    path: String,
}

fn parse(url: &str) -> Option<Target> {
    let (scheme, rest) = url.split_once("://")?;
    let is_tls = match scheme.to_ascii_lowercase().as_str() {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
        _ => (authority, if is_tls { 443 } else { 80 }),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_clean = |text: &str| !text.contains(|c: char| c.is_control() || c == ' ');
    let usable = !host.is_empty() && is_clean(host) && is_clean(path) && !host.contains('@');
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    usable.then(|| Target { is_tls, host: host.to_owned(), port, path })
}

/// Asks and returns the status, such as 200; `headers` are further lines of the request.
pub fn status(
    url: &str,
    headers: &[(&str, &str)],
    tls: &Arc<ClientConfig>,
    limit: Duration,
) -> Result<u16, GetError> {
    let target = parse(url).ok_or_else(|| GetError::Url { url: url.to_owned() })?;
    let deadline = Instant::now() + limit;
    let Target { host, port, .. } = target.clone();
    let stream = connect(&target, deadline)?;
    let failed = |source| GetError::Exchange { host: host.clone(), port, source };
    let mut stream = Timed { stream, deadline };
    let head = if target.is_tls {
        let name = ServerName::try_from(target.host.clone()).map_err(|_| GetError::Url { url: url.to_owned() })?;
        let connection = rustls::ClientConnection::new(Arc::clone(tls), name)
            .map_err(|error| failed(io::Error::other(error)))?;
        ask(&mut rustls::StreamOwned::new(connection, stream), &target, headers)
    } else {
        ask(&mut stream, &target, headers)
    };
    let head = head.map_err(failed)?;
    let code = head.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse().ok());
    code.ok_or_else(|| GetError::NotHttp { host: host.clone(), port })
}

fn connect(target: &Target, deadline: Instant) -> Result<TcpStream, GetError> {
    let (host, port) = (target.host.clone(), target.port);
    let resolve = |source| GetError::Resolve { host: host.clone(), source };
    let addresses = (target.host.as_str(), port).to_socket_addrs().map_err(resolve)?;
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            last = io::ErrorKind::TimedOut.into();
            break;
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(GetError::Connect { host, port, source: last })
}

/// Sends the request and returns the first line of the answer.
fn ask(stream: &mut (impl Read + Write), target: &Target, headers: &[(&str, &str)]) -> io::Result<String> {
    let host = if target.host.contains(':') { format!("[{}]", target.host) } else { target.host.clone() };
    let mut request = format!("GET {} HTTP/1.1\r\nHost: {host}:{}\r\n", target.path, target.port);
    for (name, value) in headers {
        request.push_str(name);
        request.push_str(": ");
        request.push_str(value);
        request.push_str("\r\n");
    }
    request.push_str("Accept: */*\r\nUser-Agent: tender\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    stream.flush()?;
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while !head.contains(&b'\n') && head.len() < HEAD_BYTES_MAX {
        match stream.read(&mut buffer)? {
            0 => break,
            count => head.extend_from_slice(&buffer[..count]),
        }
    }
    Ok(String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned())
}

/// A connection whose every read and write ends at the deadline.
#[derive(Debug)]
struct Timed {
    stream: TcpStream,
    deadline: Instant,
}

impl Timed {
    fn left(&self) -> io::Result<Option<Duration>> {
        match self.deadline.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
            left => Ok(Some(left)),
        }
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(buffer).map_err(timed_out)
    }
}

impl Write for Timed {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(buffer).map_err(timed_out)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// The system says "try again" when the time of a socket is over.
fn timed_out(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock { io::ErrorKind::TimedOut.into() } else { error }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn tls() -> Arc<ClientConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        Arc::new(config.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
    }

    /// Answers one request with `answer`; returns the URL.
    fn server(answer: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0; 1024];
            let _count = stream.read(&mut buffer).unwrap();
            stream.write_all(answer).unwrap();
            if answer.is_empty() {
                // Held open, without an answer, until the asker goes.
                let _count = stream.read(&mut buffer).unwrap_or(0);
            }
        });
        format!("http://127.0.0.1:{port}/x")
    }

    #[test]
    fn status_of_an_answer_is_read() {
        let url = server(b"HTTP/1.1 503 Service Unavailable\r\n\r\n");
        assert_eq!(status(&url, &[("X-CSRF-ZOSMF-HEADER", "true")], &tls(), Duration::from_secs(20)).unwrap(), 503);
    }

    #[test]
    fn server_that_hangs_ends_the_question_at_its_limit() {
        let error = status(&server(b""), &[], &tls(), Duration::from_millis(200)).unwrap_err();
        assert!(matches!(error, GetError::Exchange { source, .. } if source.kind() == io::ErrorKind::TimedOut));
    }

    #[test]
    fn answer_that_is_no_http_is_said_to_be_none() {
        let error = status(&server(b"SSH-2.0-x\r\n"), &[], &tls(), Duration::from_secs(20)).unwrap_err();
        assert!(matches!(error, GetError::NotHttp { .. }));
    }

    #[test]
    fn urls_are_taken_apart() {
        let target = parse("https://[::1]:7554/a?b").unwrap();
        assert_eq!((target.is_tls, target.host.as_str(), target.port, target.path.as_str()), (true, "::1", 7554, "/a?b"));
        assert_eq!(parse("http://host").unwrap().port, 80);
        for wrong in ["ftp://h/", "http://", "http://a b/", "http://h:x/", "http://u@h/", "http://h/\r\nX: y"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}

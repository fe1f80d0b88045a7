//! A service that reads requests as strictly as the protocol has it, and keeps what it was asked.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What to answer to a request, as bytes.
pub(crate) type Answer = dyn Fn(&Asked) -> Vec<u8> + Send + Sync;

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Method and target.
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// What another server could understand differently.
    pub(crate) is_ambiguous: bool,
}

impl Asked {
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }
}

/// The service; it goes on as long as the tests do.
pub(crate) struct Recorder {
    pub(crate) port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Recorder {
    /// Starts one that answers everything alike.
    pub(crate) fn start() -> Self {
        Self::answering(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood".to_vec())
    }

    pub(crate) fn answering(answer: impl Fn(&Asked) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer) = (Arc::clone(&asked), Arc::new(answer) as Arc<Answer>);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream, &kept, &*answer));
            }
        });
        Self { port, asked }
    }

    /// Returns what it was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(stream: TcpStream, kept: &Mutex<Vec<Asked>>, answer: &Answer) {
    let mut stream = BufReader::new(stream);
    while let Some(asked) = receive(&mut stream) {
        let bytes = answer(&asked);
        kept.lock().unwrap().push(asked);
        if stream.get_mut().write_all(&bytes).is_err() {
            return;
        }
    }
}

fn line(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line).ok().filter(|count| *count > 0)?;
    Some(String::from_utf8_lossy(&line).into_owned())
}

fn receive(stream: &mut BufReader<TcpStream>) -> Option<Asked> {
    let first = line(stream)?;
    let (mut headers, mut is_ambiguous) = (Vec::new(), !first.ends_with(" HTTP/1.1\r\n"));
    loop {
        let text = line(stream)?;
        let Some(text) = text.strip_suffix("\r\n") else {
            is_ambiguous = true;
            continue;
        };
        if text.is_empty() {
            break;
        }
        let (name, value) = text.split_once(':').unwrap_or((text, ""));
        // Blanks before the colon or the name, and control characters, are read by each server in its own way.
        is_ambiguous |=
            name != name.trim() || name.is_empty() || value.bytes().any(|byte| byte < b' ' && byte != b'\t');
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let asked = Asked { line: first.trim_end().to_owned(), headers, body: Vec::new(), is_ambiguous };
    let (lengths, codings) = (asked.values("content-length"), asked.values("transfer-encoding"));
    let is_plain = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mut is_ambiguous = asked.is_ambiguous
        || lengths.len() + codings.len() > 1
        || !lengths.iter().all(is_plain)
        || codings.iter().any(|coding| !coding.eq_ignore_ascii_case("chunked"));
    let body = if codings.is_empty() {
        let mut body = vec![0; lengths.first().and_then(|length| length.parse().ok()).unwrap_or(0)];
        stream.read_exact(&mut body).ok()?;
        body
    } else {
        chunks(stream, &mut is_ambiguous)?
    };
    Some(Asked { body, is_ambiguous, ..asked })
}

fn chunks(stream: &mut BufReader<TcpStream>, is_ambiguous: &mut bool) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = line(stream)?;
        *is_ambiguous |=
            !size.ends_with("\r\n") || !size.trim_end().bytes().all(|byte| byte.is_ascii_hexdigit());
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        let mut chunk = vec![0; size];
        stream.read_exact(&mut chunk).ok()?;
        body.extend(chunk);
        if line(stream)?.trim_end() != "" {
            *is_ambiguous = true;
        }
        if size == 0 {
            return Some(body);
        }
    }
}

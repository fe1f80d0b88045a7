//! The link over FTP with TLS.

mod dial;
mod tls;

use std::{io, io::Read, io::Write, path::PathBuf, time::Duration};

use suppaftp::{FtpError, RustlsFtpStream, Status, types::FileType};

use super::{Entry, Link, LinkError, listing};
use crate::{CONTROL_PORT, WORK_USER};

const BLOCK_BYTES: usize = 128 * 1024;
const CONNECT_TIMEOUT_MS: u64 = 10_000;
const IO_TIMEOUT_MS: u64 = 60_000;
/// What servers answer to a command that worked.
const DONE: [Status; 5] = [
    Status::CommandOk,
    Status::RequestedFileActionOk,
    Status::CommandNotImplemented,
    Status::System,
    Status::Help,
];

/// How the two ends prove themselves to each other.
#[derive(Clone)]
pub enum ConnectSecurity {
    /// TLS with certificates of the principal's authority on both ends.
    Certificate {
        /// The directory of CSMWORK's identity.
        identity: PathBuf,
    },
    /// TLS with a certificate that proves nothing yet: only to enrol, where proofs of the token protect what
    /// is said.
    Enrolment {
        /// The password derived from the join token.
        password: String,
    },
    /// No protection at all; the server must allow it.
    Clear {
        /// The password agreed with that server.
        password: String,
    },
}

impl std::fmt::Debug for ConnectSecurity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Certificate { identity } => {
                f.debug_struct("Certificate").field("identity", identity).finish()
            }
            Self::Enrolment { .. } => f.write_str("Enrolment"),
            Self::Clear { .. } => f.write_str("Clear"),
        }
    }
}

/// Where a managed system is and how to talk to it.
#[derive(Debug, Clone)]
pub struct ConnectConfig {
    /// Host name or address.
    pub host: String,
    /// Control port.
    pub port: u16,
    /// The name its certificate must have, when that is not `host`.
    pub server_name: Option<String>,
    /// Limit for finding and reaching the host, all its addresses together.
    pub connect_timeout_ms: u64,
    /// Limit for every single answer and for every block of data.
    pub io_timeout_ms: u64,
    /// How the two ends prove themselves to each other.
    pub security: ConnectSecurity,
}

impl ConnectConfig {
    /// The usual ports and timeouts.
    pub fn new(host: impl Into<String>, security: ConnectSecurity) -> Self {
        Self {
            host: host.into(),
            port: CONTROL_PORT,
            server_name: None,
            connect_timeout_ms: CONNECT_TIMEOUT_MS,
            io_timeout_ms: IO_TIMEOUT_MS,
            security,
        }
    }
}

/// A link over FTP with TLS on both channels, passive (extended) data connections and binary transfers.
pub struct FtpsLink {
    stream: RustlsFtpStream,
    host: String,
    io_timeout_ms: u64,
    /// A restart offset may have outlived a failed transfer on the server and must be taken back.
    is_restart_stale: bool,
}

impl std::fmt::Debug for FtpsLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FtpsLink").field("host", &self.host).finish_non_exhaustive()
    }
}

impl FtpsLink {
    /// Connects, agrees on TLS and logs in as CSMWORK.
    pub fn connect(config: &ConnectConfig) -> Result<Self, LinkError> {
        let tls = tls::client_config(&config.security)
            .map_err(|source| LinkError::Identity { host: config.host.clone(), source })?;
        let socket = dial::connect(config)?;
        let host = config.host.clone();
        let io_timeout_ms = config.io_timeout_ms;
        let failed =
            |doing: &str, error| Context { host: &host, io_timeout_ms, doing, offset: 0 }.error(error);

        let stream = RustlsFtpStream::connect_with_stream(socket).map_err(|error| failed("greet", error))?;
        let timeout = Duration::from_millis(io_timeout_ms);
        let connect_timeout = Duration::from_millis(config.connect_timeout_ms);
        let mut stream = stream.passive_stream_builder(move |address| {
            dial::open(&address, connect_timeout, timeout).map_err(FtpError::ConnectionError)
        });
        if let Some(tls) = tls {
            let name = config.server_name.as_deref().unwrap_or(&config.host);
            stream = stream
                .into_secure(suppaftp::RustlsConnector::from(tls), name)
                .map_err(|error| failed("agree on TLS", error))?;
        }
        stream.set_mode(suppaftp::Mode::ExtendedPassive);
        let mut link = Self { stream, host, io_timeout_ms, is_restart_stale: false };
        link.log_in(&config.security)?;
        link.stream
            .transfer_type(FileType::Binary)
            .map_err(|error| link.context("set binary transfers").error(error))?;
        Ok(link)
    }

    fn log_in(&mut self, security: &ConnectSecurity) -> Result<(), LinkError> {
        // 232 is the answer to USER when the certificate alone was enough.
        let logged_in = [Status::LoggedIn, Status::LogoutAck];
        let welcome = [Status::NeedPassword, logged_in[0], logged_in[1]];
        let refused = |context: Context<'_>, error| match error {
            FtpError::UnexpectedResponse(reply) => LinkError::LoginRefused {
                host: context.host.to_owned(),
                user: WORK_USER,
                code: code_of(&reply),
                text: text_of(&reply.body),
            },
            other => context.error(other),
        };
        let reply = self
            .stream
            .custom_command(format!("USER {WORK_USER}"), &welcome)
            .map_err(|error| refused(self.context("log in"), error))?;
        if reply.status != Status::NeedPassword {
            return Ok(());
        }
        let password = match security {
            // A server that asks for one did not like the certificate; it will say no to this.
            ConnectSecurity::Certificate { .. } => "none",
            ConnectSecurity::Enrolment { password } | ConnectSecurity::Clear { password } => {
                sendable(password)?
            }
        };
        self.stream
            .custom_command(format!("PASS {password}"), &logged_in)
            .map_err(|error| refused(self.context("log in"), error))?;
        Ok(())
    }

    /// What the server said first.
    pub fn greeting(&self) -> &str {
        self.stream.get_welcome_msg().unwrap_or_default()
    }

    /// Ends the session in good order; dropping the link just closes it.
    pub fn quit(mut self) -> Result<(), LinkError> {
        self.stream.quit().map_err(|error| self.context("say goodbye").error(error))
    }

    fn context<'a>(&'a self, doing: &'a str) -> Context<'a> {
        Context { host: &self.host, io_timeout_ms: self.io_timeout_ms, doing, offset: 0 }
    }

    fn command(&mut self, command: &str, doing: &str) -> Result<String, LinkError> {
        let reply =
            self.stream.custom_command(command, &DONE).map_err(|error| self.context(doing).error(error))?;
        Ok(text_of(&reply.body))
    }

    /// Tells the server where the next transfer begins; zero needs saying only after a transfer that failed.
    fn restart_at(&mut self, offset: u64, doing: &str) -> Result<(), LinkError> {
        if offset == 0 && !self.is_restart_stale {
            return Ok(());
        }
        self.is_restart_stale = true;
        self.stream
            .custom_command(format!("REST {offset}"), &[Status::RequestFilePending])
            .map_err(|error| self.context(doing).error(error))?;
        Ok(())
    }
}

impl Link for FtpsLink {
    fn size(&mut self, name: &str) -> Result<Option<u64>, LinkError> {
        let doing = format!("ask for the size of {name}");
        match self.stream.custom_command(format!("SIZE {}", sendable(name)?), &[Status::File]) {
            Ok(reply) => {
                let text = text_of(&reply.body);
                text.parse().map(Some).map_err(|_| self.context(&doing).nonsense(text))
            }
            Err(FtpError::UnexpectedResponse(reply)) if reply.status == Status::FileUnavailable => Ok(None),
            Err(error) => Err(self.context(&doing).error(error)),
        }
    }

    fn store(
        &mut self,
        name: &str,
        source: &mut dyn Read,
        offset: u64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<u64, LinkError> {
        let doing = format!("send {name}");
        sendable(name)?;
        self.restart_at(offset, &doing)?;
        let mut data = match self.stream.put_with_stream(name) {
            Ok(data) => data,
            Err(error) => return Err(self.context(&doing).error(error)),
        };
        let mut block = vec![0; BLOCK_BYTES];
        let mut at = offset;
        let written = loop {
            match source.read(&mut block) {
                Ok(0) => break data.flush(),
                Ok(length) => {
                    if let Err(error) = data.write_all(&block[..length]) {
                        break Err(error);
                    }
                    at += length as u64;
                    progress(at);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    self.is_restart_stale = true;
                    return Err(LinkError::Source { path: PathBuf::from(name), source });
                }
            }
        };
        // The reply to the transfer explains a broken data connection better than the broken connection does.
        let finished = data.finish();
        let context =
            Context { host: &self.host, io_timeout_ms: self.io_timeout_ms, doing: &doing, offset: at };
        let error = match (written, finished) {
            (Ok(()), Ok(())) => {
                self.is_restart_stale = false;
                return Ok(at - offset);
            }
            (_, Err(error @ FtpError::UnexpectedResponse(_))) | (Ok(()), Err(error)) => context.error(error),
            (Err(error), _) => context.error(FtpError::ConnectionError(error)),
        };
        self.is_restart_stale = true;
        Err(error)
    }

    fn retrieve_from(&mut self, name: &str, offset: u64, limit_bytes: u64) -> Result<Vec<u8>, LinkError> {
        let doing = format!("fetch {name}");
        sendable(name)?;
        self.restart_at(offset, &doing)?;
        let mut data = match self.stream.retr_as_stream(name) {
            Ok(data) => data,
            Err(error) => return Err(self.context(&doing).error(error)),
        };
        let mut bytes = Vec::new();
        let read = (&mut data).take(limit_bytes.saturating_add(1)).read_to_end(&mut bytes);
        let finished = data.finish();
        let offset = bytes.len() as u64;
        if offset > limit_bytes {
            return Err(LinkError::TooLarge { host: self.host.clone(), name: name.to_owned(), limit_bytes });
        }
        let context = Context { host: &self.host, io_timeout_ms: self.io_timeout_ms, doing: &doing, offset };
        match (read, finished) {
            (Ok(_), Ok(())) => {
                self.is_restart_stale = false;
                Ok(bytes)
            }
            (_, Err(error @ FtpError::UnexpectedResponse(_))) | (Ok(_), Err(error)) => {
                Err(context.error(error))
            }
            (Err(error), _) => Err(context.error(FtpError::ConnectionError(error))),
        }
    }

    fn list(&mut self, dir: &str) -> Result<Vec<Entry>, LinkError> {
        let doing = format!("list {dir}");
        // An empty name is the directory the session is in.
        let dir = if dir.is_empty() { None } else { Some(sendable(dir)?) };
        let lines = match self.stream.mlsd(dir) {
            Ok(lines) => lines,
            Err(error) => return Err(self.context(&doing).error(error)),
        };
        let mut entries = Vec::with_capacity(lines.len());
        for line in lines {
            entries.extend(listing::parse_line(&line).map_err(|line| self.context(&doing).nonsense(line))?);
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn make_dir(&mut self, dir: &str) -> Result<(), LinkError> {
        let made = match self.stream.mkdir(sendable(dir)?) {
            Ok(()) => return Ok(()),
            Err(error) => self.context(&format!("make directory {dir}")).error(error),
        };
        // Servers say the same about a directory that is there and one that cannot be made; listing it tells.
        match made {
            LinkError::Refused { .. } if self.list(dir).is_ok() => Ok(()),
            other => Err(other),
        }
    }

    fn delete(&mut self, name: &str) -> Result<(), LinkError> {
        let deleted = self.command(&format!("DELE {}", sendable(name)?), &format!("delete {name}"));
        match deleted {
            Err(LinkError::Refused { .. }) if self.size(name)?.is_none() => Ok(()),
            other => other.map(|_| ()),
        }
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), LinkError> {
        let doing = format!("rename {from} to {to}");
        self.stream.rename(sendable(from)?, sendable(to)?).map_err(|error| self.context(&doing).error(error))
    }

    fn site(&mut self, word: &str, arguments: &str) -> Result<String, LinkError> {
        let command = format!(
            "SITE {} {}",
            sendable(word)?,
            if arguments.is_empty() { "" } else { sendable(arguments)? }
        );
        self.command(command.trim_end(), &format!("say {word}"))
    }
}

/// Text that is safe in a command line: no line breaks, which would begin another command, and no other
/// controls.
fn sendable(word: &str) -> Result<&str, LinkError> {
    if word.is_empty() || word.chars().any(char::is_control) {
        return Err(LinkError::Word { word: word.escape_debug().to_string() });
    }
    Ok(word)
}

/// The reply without its code.
fn text_of(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.trim_end();
    let has_code = text.len() >= 3 && text.as_bytes()[..3].iter().all(u8::is_ascii_digit);
    let text = if has_code { text[3..].trim_start_matches([' ', '-']) } else { text };
    text.to_owned()
}

/// The numeric code, from the reply itself: the library knows some codes only as "unknown".
fn code_of(reply: &suppaftp::types::Response) -> u32 {
    let digits = reply.body.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or_else(|| reply.status.code())
}

/// What an error needs to name everything.
struct Context<'a> {
    host: &'a str,
    io_timeout_ms: u64,
    doing: &'a str,
    offset: u64,
}

impl Context<'_> {
    fn error(&self, error: FtpError) -> LinkError {
        let (host, doing) = (self.host.to_owned(), self.doing.to_owned());
        match error {
            FtpError::UnexpectedResponse(reply) => {
                LinkError::Refused { host, doing, code: code_of(&reply), text: text_of(&reply.body) }
            }
            FtpError::SecureError(why) => LinkError::Tls { host, why },
            FtpError::ConnectionError(source) => self.io_error(source),
            other => self.nonsense(other.to_string()),
        }
    }

    fn io_error(&self, source: io::Error) -> LinkError {
        let (host, doing, offset) = (self.host.to_owned(), self.doing.to_owned(), self.offset);
        if let Some(tls) = source.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return LinkError::Tls { host, why: tls::explain(tls) };
        }
        match source.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                LinkError::Timeout { host, doing, timeout_ms: self.io_timeout_ms, offset }
            }
            io::ErrorKind::UnexpectedEof => {
                // The text of the library is for programmers, with an address to read on at.
                let source = io::Error::new(io::ErrorKind::UnexpectedEof, "the other end went away");
                LinkError::Lost { host, doing, offset, source }
            }
            _ => LinkError::Lost { host, doing, offset, source },
        }
    }

    fn nonsense(&self, what: String) -> LinkError {
        LinkError::Protocol { host: self.host.to_owned(), doing: self.doing.to_owned(), what }
    }
}

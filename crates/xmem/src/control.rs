//! An operator's end of a server: commands in, lines out.

use std::time::{Duration, Instant};

use crate::client::{CallError, CallFailure, Options};
use crate::code::CmsCode;
use crate::frame::{Header, Kind};
use crate::handshake::ServerName;
use crate::socket::{Connection, SocketError, control_path};

/// `detail` of the OUTPUT that ends an answer.
pub const OUTPUT_LAST: u32 = 1;

/// A connection to a server's control socket. Who may connect is a matter of the socket's mode and the server's profiles.
#[derive(Debug)]
pub struct Control {
    connection: Connection,
    deadline: Duration,
    sequence: u64,
    buffer: Vec<u8>,
}

/// The answer to a command, line by line.
#[derive(Debug)]
pub struct Output<'a> {
    control: &'a mut Control,
    until: Instant,
    outcome: Option<u32>,
    failed: bool,
}

impl Control {
    /// Connects to the control socket. Of the options only the directory and the deadline count; the deadline also holds
    /// for each command.
    ///
    /// # Errors
    ///
    /// [`CallError`] as for [`crate::Client::connect`].
    pub fn connect(server: &ServerName, options: &Options) -> Result<Self, CallError> {
        let deadline = Duration::from_millis(options.deadline_ms.into());
        let path = control_path(&options.run_directory, server);
        let connection = crate::socket::connect(&path, Instant::now() + deadline)
            .map_err(|error| CallError::because(error.code(), CallFailure::Connect(error)))?;
        Ok(Self { connection, deadline, sequence: 0, buffer: Connection::buffer() })
    }

    /// Sends the text of a MODIFY command. Nothing is printed here; the lines of the answer come from what is returned.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub fn modify(&mut self, text: &str) -> Result<Output<'_>, CallError> {
        self.sequence += 1;
        let until = Instant::now() + self.deadline;
        let header = Header::new(Kind::Command, self.sequence);
        self.connection.send_until(&header, text.as_bytes(), &[], Some(until)).map_err(failed)?;
        Ok(Output { control: self, until, outcome: None, failed: false })
    }
}

impl Output<'_> {
    /// The code that the command ended with (0 done), when all lines were read.
    #[must_use]
    pub const fn outcome(&self) -> Option<u32> {
        self.outcome
    }

    fn line(&mut self) -> Result<Option<String>, CallError> {
        loop {
            let control = &mut *self.control;
            let frame =
                control.connection.receive_until(&mut control.buffer, 0, Some(self.until)).map_err(failed)?;
            match frame.header.kind {
                // What is left of a command before, whose lines nobody read.
                Kind::Output if frame.header.sequence != control.sequence => {}
                Kind::Output => {
                    let last = frame.header.detail == OUTPUT_LAST;
                    if last {
                        self.outcome = Some(frame.header.code);
                    }
                    if last && frame.payload.is_empty() {
                        return Ok(None);
                    }
                    return Ok(Some(String::from_utf8_lossy(&frame.payload).into_owned()));
                }
                Kind::Goodbye => {
                    let (code, text) =
                        (frame.header.code, String::from_utf8_lossy(&frame.payload).into_owned());
                    let known = CmsCode::from_number(code).unwrap_or(CmsCode::ServerUnavailable);
                    return Err(CallError::because(known, CallFailure::Goodbye { code, text }));
                }
                kind => {
                    let what = format!("{kind:?} in place of a line of output");
                    return Err(CallError::because(CmsCode::ProtocolViolated, CallFailure::Answer { what }));
                }
            }
        }
    }
}

impl Iterator for Output<'_> {
    type Item = Result<String, CallError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.outcome.is_some() || self.failed {
            return None;
        }
        let line = self.line();
        self.failed = line.is_err();
        line.transpose()
    }
}

fn failed(error: SocketError) -> CallError {
    let code = match &error {
        SocketError::WouldBlock => CmsCode::DeadlinePassed,
        SocketError::Closed => CmsCode::ServerDown,
        SocketError::Violated(violation) => violation.code(),
        SocketError::TooLong { .. } | SocketError::Io(_) => CmsCode::Error,
    };
    CallError::because(code, CallFailure::Socket(error))
}

//! Connecting and shaking hands.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::link::Link;
use super::reader::{BLOCK, Reader};
use super::{CallError, CallFailure, Options};
use crate::code::CmsCode;
use crate::frame::{Header, Kind};
use crate::handshake::{Hello, ServerName, Welcome};
use crate::ring::{ClientReceiver, ClientRing, ClientSender, Spin};
use crate::socket::{Connection, Frame, SocketError, socket_path};

/// Connects, says hello, and asks for a ring if one is wanted.
pub(super) fn connect(
    server: &ServerName,
    options: &Options,
    deadline: Instant,
) -> Result<Arc<Link>, CallError> {
    let path = socket_path(&options.run_directory, server);
    let connection = crate::socket::connect(&path, deadline)
        .map_err(|error| CallError::because(error.code(), CallFailure::Connect(error)))?;
    connection.set_receive_timeout(BLOCK).map_err(failed)?;
    let mut buffer = Connection::buffer();
    let welcome = greet(&connection, server, options, &mut buffer, deadline)?;
    let mut next = 1;
    let ring = if options.ring {
        next += 1;
        open_ring(&connection, options, &mut buffer, deadline)?
    } else {
        None
    };
    let (sender, receiver) = ring.map_or((None, None), |(sender, receiver)| (Some(sender), Some(receiver)));
    let spin = Spin::new(Duration::from_micros(options.spin_us.into()));
    let reader = Reader::new(receiver.map(|receiver| (receiver, spin)));
    Ok(Link::new(connection, welcome, next, sender, reader))
}

fn greet(
    connection: &Connection,
    server: &ServerName,
    options: &Options,
    buffer: &mut [u8],
    deadline: Instant,
) -> Result<Welcome, CallError> {
    let hello =
        Hello { client: options.client.clone(), server: server.clone(), requires: options.requires.clone() };
    let hello = serde_json::to_vec(&hello).map_err(|error| not_understood(error.to_string()))?;
    match connection.send_until(&Header::new(Kind::Hello, 0), &hello, &[], Some(deadline)) {
        // Turned away before it could speak: why stands in what the server said before it closed.
        Ok(()) | Err(SocketError::Closed) => {}
        Err(error) => return Err(failed(error)),
    }
    let frame = expect(connection, buffer, 0, deadline, Kind::Welcome)?;
    if frame.header.code != 0 {
        return Err(CallError::refused(frame.header.code, frame.header.reference, &frame.payload));
    }
    let welcome: Welcome =
        serde_json::from_slice(&frame.payload).map_err(|error| not_understood(error.to_string()))?;
    if welcome.server != *server {
        return Err(not_understood(format!("{} answers in place of {server}", welcome.server)));
    }
    Ok(welcome)
}

/// A ring, or nothing when the server has none to give.
fn open_ring(
    connection: &Connection,
    options: &Options,
    buffer: &mut [u8],
    deadline: Instant,
) -> Result<Option<(ClientSender, ClientReceiver)>, CallError> {
    let mut open = Header::new(Kind::RingOpen, 1);
    open.detail = options.ring_bytes;
    connection.send_until(&open, &[], &[], Some(deadline)).map_err(failed)?;
    let frame = expect(connection, buffer, 2, deadline, Kind::RingReady)?;
    if frame.header.code != 0 {
        return Ok(None);
    }
    let Ok([memory, doorbell]) = <[_; 2]>::try_from(frame.descriptors) else {
        return Err(not_understood("RING_READY did not bring two descriptors".to_owned()));
    };
    let ring = ClientRing::open(&memory, doorbell, frame.header.detail)
        .map_err(|error| not_understood(format!("the ring can not be used: {error}")))?;
    Ok(Some((ring.sender, ring.receiver)))
}

/// The next frame, which must be of this kind. A server that says goodbye or is gone is not ready.
fn expect<'b>(
    connection: &Connection,
    buffer: &'b mut [u8],
    descriptors_max: usize,
    deadline: Instant,
    kind: Kind,
) -> Result<Frame<'b>, CallError> {
    let frame = connection.receive_until(buffer, descriptors_max, Some(deadline)).map_err(failed)?;
    if frame.header.kind == Kind::Goodbye {
        let (code, text) = (frame.header.code, String::from_utf8_lossy(&frame.payload).into_owned());
        let known = CmsCode::from_number(code).unwrap_or(CmsCode::ServerNotReady);
        return Err(CallError::because(known, CallFailure::Goodbye { code, text }));
    }
    if frame.header.kind != kind {
        return Err(not_understood(format!("{:?} in place of {kind:?}", frame.header.kind)));
    }
    Ok(frame)
}

fn failed(error: SocketError) -> CallError {
    let code = match &error {
        SocketError::WouldBlock => CmsCode::DeadlinePassed,
        SocketError::Closed => CmsCode::ServerNotReady,
        SocketError::Violated(violation) => violation.code(),
        SocketError::TooLong { .. } | SocketError::Io(_) => CmsCode::Error,
    };
    CallError::because(code, CallFailure::Socket(error))
}

fn not_understood(what: String) -> CallError {
    CallError::because(CmsCode::WrongServerVersion, CallFailure::Answer { what })
}

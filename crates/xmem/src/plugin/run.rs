//! The life of a plug-in.
//!
//! ```text
//!   DESCRIPTOR ──► START ──► init ──► READY ──► calls, commands, pings ──► TERM ──► what is under way ends ──► exit 0
//! ```

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::pool::Pool;
use super::under_way::{Place, UnderWay};
use super::{
    CONTROL_DESCRIPTOR, Failure, Invocation, Keeper, Plugin, PluginCall, SERVE_DESCRIPTOR, Serve, Start,
    Startup,
};
use crate::code::{AuxCode, CmsCode, RouterCode};
use crate::frame::{Header, Kind};
use crate::socket::{Connection, SocketError};
use crate::sys::inherited;

const EXIT_FAILED: u8 = 8;
/// How long an answer may wait for a server that does not read.
const SEND: Duration = Duration::from_secs(10);

/// Says on standard error why the plug-in ends.
fn complain(message: &str) -> ExitCode {
    // Where else could it be said that standard error is closed?
    drop(writeln!(std::io::stderr(), "{message}"));
    ExitCode::from(EXIT_FAILED)
}

pub(super) fn run(plugin: Plugin) -> ExitCode {
    let (Some(control), Some(calls)) = (inherited(CONTROL_DESCRIPTOR), inherited(SERVE_DESCRIPTOR)) else {
        return complain(
            "ZWES0058E The communication area is not there: a plug-in is started by the cross-memory server, not by hand.",
        );
    };
    let control = Arc::new(Connection::from_socket(control));
    let calls = Arc::new(Connection::from_socket(calls));
    match serve(plugin, &control, &calls) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => complain(&message),
    }
}

fn serve(mut plugin: Plugin, control: &Arc<Connection>, calls: &Arc<Connection>) -> Result<(), String> {
    let mut buffer = Connection::buffer();
    let descriptor = serde_json::to_vec(&plugin.descriptor).map_err(|error| error.to_string())?;
    say(control, &Header::new(Kind::Descriptor, 0), &descriptor)?;
    let Some(start) = wait_for_start(control, &mut buffer)? else { return Ok(()) };
    let keeper =
        Keeper { control: Arc::clone(control), anchors: Arc::new(Mutex::new(start.anchors.clone())) };
    let startup = Startup { start, parameter: parameter(), keeper };
    if let Some(init) = plugin.init.take()
        && let Err(reason) = init(&startup)
    {
        let mut ready = Header::new(Kind::Ready, 0);
        ready.code = EXIT_FAILED.into();
        say(control, &ready, reason.as_bytes())?;
        return Err(format!("ZWES0017W Plug-in {} can not start: {reason}", plugin.descriptor.name));
    }
    say(control, &Header::new(Kind::Ready, 0), &[])?;
    let mut pool = Pool::default();
    let ended = listen(&plugin, control, calls, &mut pool, &mut buffer);
    pool.finish();
    if let Some(term) = plugin.term {
        term();
    }
    ended
}

/// Everything behind `MOD=…,COMM=3,` of the start string.
fn parameter() -> String {
    let argument = std::env::args().nth(1).unwrap_or_default();
    argument.splitn(3, ',').nth(2).unwrap_or_default().to_owned()
}

fn say(connection: &Connection, header: &Header, payload: &[u8]) -> Result<(), String> {
    connection
        .send_until(header, payload, &[], Some(Instant::now() + SEND))
        .map_err(|error| format!("ZWES0058E The server can not be reached: {error}"))
}

/// START; `None` when it is TERM instead.
fn wait_for_start(control: &Connection, buffer: &mut [u8]) -> Result<Option<Start>, String> {
    loop {
        let frame = control
            .receive_until(buffer, 0, None)
            .map_err(|error| format!("ZWES0058E The server ended before the plug-in was started: {error}"))?;
        match frame.header.kind {
            Kind::Start => {
                return serde_json::from_slice(&frame.payload)
                    .map(Some)
                    .map_err(|error| format!("ZWES0058E START is not understood: {error}"));
            }
            Kind::Term => return Ok(None),
            Kind::Ping => say(control, &Header::new(Kind::Pong, frame.header.sequence), &[])?,
            _ => {}
        }
    }
}

/// Takes calls and commands until TERM (`Ok`) or the end of the server.
fn listen(
    plugin: &Plugin,
    control: &Arc<Connection>,
    calls: &Arc<Connection>,
    pool: &mut Pool,
    buffer: &mut [u8],
) -> Result<(), String> {
    let under_way = UnderWay::default();
    loop {
        let mut wanted = [PollFd::new(control, PollFlags::IN), PollFd::new(calls, PollFlags::IN)];
        match poll(&mut wanted, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(format!("ZWES0058E Waiting failed: {error}")),
        }
        let (on_control, on_calls) = (!wanted[0].revents().is_empty(), !wanted[1].revents().is_empty());
        if on_calls {
            take_call(plugin, calls, &under_way, pool, buffer)?;
        }
        if on_control && !take_control(plugin, control, pool, buffer)? {
            // What was sent before TERM is still served.
            while take_call(plugin, calls, &under_way, pool, buffer)? {}
            return Ok(());
        }
    }
}

/// One frame of the control socket; `false` for TERM.
fn take_control(
    plugin: &Plugin,
    control: &Arc<Connection>,
    pool: &mut Pool,
    buffer: &mut [u8],
) -> Result<bool, String> {
    let frame = match control.receive(buffer, 0) {
        Ok(frame) => frame,
        Err(SocketError::WouldBlock) => return Ok(true),
        Err(error) => return Err(format!("ZWES0058E The server ended: {error}")),
    };
    let sequence = frame.header.sequence;
    match frame.header.kind {
        Kind::Ping => say(control, &Header::new(Kind::Pong, sequence), &[])?,
        Kind::Term => return Ok(false),
        Kind::PluginCommand => {
            let text = String::from_utf8_lossy(&frame.payload).into_owned();
            let (command, answers) = (Arc::clone(&plugin.command), Arc::clone(control));
            let taken = pool.run(Box::new(move || {
                let (status, text) = catch_unwind(AssertUnwindSafe(|| command(&text)))
                    .unwrap_or((super::CommandStatus::Rejected, "the command ended abnormally".to_owned()));
                let mut output = Header::new(Kind::PluginOutput, sequence);
                output.code = status.number();
                // A server that is gone is noticed by the thread that listens.
                drop(say(&answers, &output, text.as_bytes()));
            }));
            if !taken {
                let mut output = Header::new(Kind::PluginOutput, sequence);
                output.code = super::CommandStatus::Rejected.number();
                say(control, &output, AuxCode::RequestLimit.text().as_bytes())?;
            }
        }
        _ => {}
    }
    Ok(true)
}

/// One frame of the call socket; `false` when there is none.
fn take_call(
    plugin: &Plugin,
    calls: &Arc<Connection>,
    under_way: &UnderWay,
    pool: &mut Pool,
    buffer: &mut [u8],
) -> Result<bool, String> {
    let frame = match calls.receive(buffer, 0) {
        Ok(frame) => frame,
        Err(SocketError::WouldBlock) => return Ok(false),
        // The control socket says what the end of this one means.
        Err(SocketError::Closed) => return Ok(false),
        Err(error) => return Err(format!("ZWES0058E The server ended: {error}")),
    };
    match frame.header.kind {
        Kind::Call => {}
        Kind::Cancel => {
            under_way.cancel(frame.header.sequence);
            return Ok(true);
        }
        _ => return Ok(true),
    }
    let (header, payload) = (frame.header, frame.payload.into_owned());
    let Ok(call) = PluginCall::decode(&payload) else {
        say(calls, &header.reply(CmsCode::BadParameter.number(), 0), &[])?;
        return Ok(true);
    };
    let Some(service) = plugin.services.get(&call.head.service) else {
        say(calls, &header.reply(0, RouterCode::NotFound.number()), &[])?;
        return Ok(true);
    };
    let (service, answers) = (Arc::clone(service), Arc::clone(calls));
    let place = under_way.begin(header.sequence);
    let taken = pool.run(Box::new(move || answer(&service, &answers, &header, &payload, &place)));
    if !taken {
        say(calls, &header.reply(CmsCode::NoRoom.number(), AuxCode::RequestLimit.number()), &[])?;
    }
    Ok(true)
}

/// Runs a service and sends what it answers.
fn answer(service: &Serve, calls: &Connection, header: &Header, payload: &[u8], place: &Place) {
    let Ok(call) = PluginCall::decode(payload) else { return };
    let wait = (header.detail != 0).then(|| Duration::from_millis(header.detail.into()));
    let invocation = Invocation {
        caller: &call.head,
        request: call.bytes,
        deadline: wait.map(|wait| Instant::now() + wait),
        cancelled: place.cancelled.clone(),
    };
    // What was cancelled before its turn came is not begun.
    let (reply, payload) = match ran(service, &invocation) {
        Ran::Answered(payload) => (header.reply(0, 0), payload),
        Ran::Failed(failure) => (header.reply(0, failure.code), failure.payload),
        Ran::Panicked => (header.reply(CmsCode::ServiceEnded.number(), 0), Vec::new()),
        Ran::NotBegun => (header.reply(CmsCode::Cancelled.number(), 0), Vec::new()),
    };
    if let Err(SocketError::TooLong { .. }) =
        calls.send_until(&reply, &payload, &[], Some(Instant::now() + SEND))
    {
        // Said instead of nothing; and if that fails too, the server is gone.
        drop(say(calls, &header.reply(CmsCode::BadParameter.number(), 0), &[]));
    }
}

/// What became of a service's function.
enum Ran {
    Answered(Vec<u8>),
    Failed(Failure),
    Panicked,
    NotBegun,
}

fn ran(service: &Serve, invocation: &Invocation<'_>) -> Ran {
    if invocation.is_cancelled() {
        return Ran::NotBegun;
    }
    match catch_unwind(AssertUnwindSafe(|| service(invocation))) {
        Ok(Ok(payload)) => Ran::Answered(payload),
        Ok(Err(failure)) => Ran::Failed(failure),
        Err(_) => Ran::Panicked,
    }
}

//! Servers that run: who holds the lock of a name.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, OFlags};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use tender_parmlib::ServerName;
use tender_xmem::client::{Client, Options};
use tender_xmem::code::CmsCode;
use tender_xmem::control::Control;
use tender_xmem::service::ServiceId;

/// How long a command that only shows something may take.
const DISPLAY_MS: u32 = 5_000;

/// The process that runs a server, as it wrote itself down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Holder {
    /// Its number.
    pub(super) pid: u32,
    /// Since when.
    #[serde(default, alias = "start")]
    pub(super) since: String,
    /// Its version.
    #[serde(default)]
    pub(super) version: String,
}

impl Holder {
    /// Returns who runs the server of a name, if somebody does. What a server wrote that is gone does not count.
    pub(super) fn of(run: &Path, name: &ServerName) -> Option<Self> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let path = run.join(name.as_str()).join("lock");
        let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits().cast_signed();
        let file = File::options().read(true).custom_flags(flags).open(path).ok()?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
            Err(rustix::io::Errno::WOULDBLOCK) => {}
            // Closing the file gives the shared lock back.
            _ => return None,
        }
        let mut text = String::new();
        file.take(4096).read_to_string(&mut text).ok()?;
        // One that is about to write itself down is somebody unknown.
        let unknown = Self { pid: 0, since: "just now".to_owned(), version: String::new() };
        Some(serde_json::from_str(&text).unwrap_or(unknown))
    }

    /// Says whether there is a lock that this user may not look at: somebody may hold it.
    pub(super) fn is_hidden(run: &Path, name: &ServerName) -> bool {
        File::open(run.join(name.as_str()).join("lock"))
            .is_err_and(|fault| fault.kind() == std::io::ErrorKind::PermissionDenied)
    }

    /// Returns a descriptor that means this process and no later one of the same number.
    pub(super) fn pidfd(&self, run: &Path, name: &ServerName) -> Option<OwnedFd> {
        let pid = Pid::from_raw(self.pid.cast_signed()).filter(|_| self.pid > 0)?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        // The number could have become another's before it was opened, but then the lock was free.
        (Self::of(run, name).as_ref() == Some(self)).then_some(pidfd)
    }
}

/// Asks a process to end, or ends it.
pub(super) fn signal(pidfd: &OwnedFd, signal: Signal) -> std::io::Result<()> {
    Ok(pidfd_send_signal(pidfd, signal)?)
}

/// Waits until a process has ended; says whether it has.
pub(super) fn has_ended(pidfd: &OwnedFd, limit: Duration) -> std::io::Result<bool> {
    let deadline = Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).map_err(std::io::Error::other)?;
        let mut polled = [PollFd::new(pidfd, PollFlags::IN)];
        match poll(&mut polled, Some(&timeout)) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// How a server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Answers {
    /// It takes calls.
    Ready,
    /// It answers, and this user may not call it.
    Closed,
}

/// Returns what a client calls itself and how patient it is.
pub(super) fn options(run: PathBuf, deadline_ms: u32) -> Options {
    Options {
        client: "tender".to_owned(),
        deadline_ms,
        reconnect_ms: 0,
        run_directory: run,
        ..Options::default()
    }
}

/// Gives a command that only shows something; returns its lines.
pub(super) fn display(run: &Path, name: &ServerName, text: &str) -> Result<Vec<String>, String> {
    let server = name.as_str().parse().map_err(|fault: tender_xmem::NameError| fault.to_string())?;
    let said = Control::connect(&server, &options(run.to_owned(), DISPLAY_MS)).and_then(|mut control| {
        let mut output = control.modify(text)?;
        let lines = output.by_ref().collect::<Result<Vec<String>, _>>()?;
        Ok((lines, output.outcome()))
    });
    match said.map_err(|fault| tender_http::chain(&fault))? {
        (lines, Some(0)) => Ok(lines),
        (_, outcome) => Err(format!("outcome {outcome:?}")),
    }
}

/// Calls STATUS; says why where nobody answers.
pub(super) fn ask(run: &Path, name: &ServerName, deadline_ms: u32) -> Result<Answers, String> {
    let server = name.as_str().parse().map_err(|fault: tender_xmem::NameError| fault.to_string())?;
    let asked = Client::connect(server, options(run.to_owned(), deadline_ms))
        .and_then(|client| client.call(ServiceId::Status.number(), b"tender"));
    match asked {
        Ok(_) => Ok(Answers::Ready),
        // Whoever refuses is there.
        Err(fault) if fault.code() == Some(CmsCode::PermissionDenied) => Ok(Answers::Closed),
        Err(fault) => Err(tender_http::chain(&fault)),
    }
}

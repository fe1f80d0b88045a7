//! Starting a box: this program again, with a role, one socket and nothing else.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};

use crate::channel::{self, Channel};

/// A box that runs.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) pidfd: OwnedFd,
    pub(crate) channel: Channel,
}

/// Starts a box of this program, or of the one that is to replace it.
///
/// The child gets standard output and error, and the socket as standard input; everything else this process has is
/// closed by exec, and by the child again.
pub(crate) fn spawn(program: &Path, role: &str, server: &str) -> io::Result<Process> {
    let (ours, theirs) = channel::pair()?;
    let child = Command::new(program)
        .arg0("tender-xmemd")
        .arg(format!("@{role}"))
        .arg(server)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(theirs))
        .spawn()?;
    let number = child.id();
    // The child cannot be anybody else: nobody has waited for it yet.
    let pid = Pid::from_raw(number.cast_signed()).ok_or(io::ErrorKind::NotFound)?;
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
    Ok(Process { pid: number, pidfd, channel: Channel::new(ours)? })
}

/// Takes notice of the end of a box; says how it ended, `None` while it runs.
pub(crate) fn reap(pidfd: impl AsFd) -> io::Result<Option<String>> {
    let id = WaitId::PidFd(pidfd.as_fd());
    let Some(status) = rustix::process::waitid(id, WaitIdOptions::EXITED | WaitIdOptions::NOHANG)? else {
        return Ok(None);
    };
    Ok(Some(match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (_, Some(signal)) => format!("signal {signal}"),
        _ => "unknown end".to_owned(),
    }))
}

/// Ends a box of which nobody is to hear any more.
pub(crate) fn kill_and_reap(pidfd: impl AsFd) {
    kill(pidfd.as_fd());
    // It dies of that at once, unless it is not there.
    rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED).ok();
}

/// Ends a box at once.
pub(crate) fn kill(pidfd: impl AsFd) {
    // It fails when there is nobody left to kill.
    rustix::process::pidfd_send_signal(pidfd, Signal::KILL).ok();
}

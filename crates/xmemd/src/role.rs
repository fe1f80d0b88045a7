//! What every box does when it begins: close what it should not have, become somebody without power, and stay that.

use std::io;
use std::os::fd::AsFd as _;

use rustix::process::{DumpableBehavior, Resource, Rlimit};
use tender_worker::confine::{ConfineError, Confinement, Identity};

use crate::channel::{Channel, Message};
use crate::link::{Confined, RunAs};

/// Says why a box ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RoleError {
    /// The kernel refused, or another box does not keep to the protocol.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It was not started by the root process.
    #[error("this is a part of the server and is started by it, never by hand")]
    ByHand,
    /// It was told something at the wrong time.
    #[error("the root process said something unexpected")]
    Order,
    /// It could not be shut in.
    #[error("enter the sandbox")]
    Confine(#[source] ConfineError),
}

/// Takes the channel to the root process; everything but standard streams is closed.
pub(crate) fn enter() -> Result<Channel, RoleError> {
    crate::sys::close_from(3)?;
    let stdin = std::io::stdin();
    let is_socket = rustix::net::sockopt::socket_type(stdin.as_fd())
        .is_ok_and(|kind| kind == rustix::net::SocketType::SEQPACKET);
    if !is_socket {
        return Err(RoleError::ByHand);
    }
    let socket = stdin.as_fd().try_clone_to_owned()?;
    let nothing = std::fs::File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(&nothing).map_err(io::Error::from)?;
    Ok(Channel::new(socket)?)
}

/// Waits for the first message of the root process.
pub(crate) fn first(root: &mut Channel) -> Result<Message, RoleError> {
    loop {
        if let Some(message) = root.receive()? {
            return Ok(message);
        }
        let mut fds = [rustix::event::PollFd::new(root, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut fds, None).map_err(io::Error::from)?;
    }
}

/// Shuts a box in and makes it who it is to be; says how far that was possible.
///
/// To be called while the process has one thread. Every descriptor is closed that the confinement does not keep.
pub(crate) fn confine(confinement: Confinement, who: RunAs) -> Result<String, RoleError> {
    let confinement = match (who.uid, who.gid) {
        (Some(uid), Some(gid)) => confinement.identity(Identity { uid, gid, groups: Vec::new() }),
        _ => confinement,
    };
    let report = confinement.apply().map_err(RoleError::Confine)?;
    Ok(report.to_string())
}

/// Tells the root process that a box is in its sandbox.
pub(crate) fn tell_confined(root: &mut Channel, sandbox: String) -> Result<(), RoleError> {
    Ok(root.send(&Confined { sandbox }, &[], Vec::new())?)
}

/// Makes the root process one that leaves no core, gains nothing and that nobody can look into.
pub(crate) fn harden() -> io::Result<()> {
    rustix::thread::set_no_new_privs(true)?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(Resource::Core, none)?;
    Ok(())
}

/// Lets the process have as many descriptors as it may.
pub(crate) fn raise_files_limit() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(u64::MAX).min(1 << 17);
    let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
    // With the old limit it works as well, for fewer connections.
    rustix::process::setrlimit(Resource::Nofile, raised).ok();
}

/// Lets the process keep its memory out of swap, however much that is.
pub(crate) fn raise_memory_lock_limit() {
    let unlimited = Rlimit { current: None, maximum: None };
    // Without privilege the old limit stays, and then less is kept.
    rustix::process::setrlimit(Resource::Memlock, unlimited).ok();
}

/// Writes an error with its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

//! What every box does when it begins: close what it should not have, become somebody without power, and stay that.

use std::io;
use std::os::fd::AsFd as _;

use rustix::process::{DumpableBehavior, Resource, Rlimit};
use rustix::thread::Gid;

use crate::channel::{Channel, Message};
use crate::link::RunAs;

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
    /// The switch to another user did not hold.
    #[error("the process did not become uid {wanted}: it is {found}")]
    NotSwitched { wanted: u32, found: u32 },
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

/// Becomes a user: groups, then gid, then uid, each of the three kinds, and looks whether that is so.
///
/// To be called while the process has one thread: the raw calls change the calling thread alone.
pub(crate) fn become_user(who: RunAs) -> Result<(), RoleError> {
    if let Some(gid) = who.gid {
        let gid = Gid::from_raw(gid);
        rustix::thread::set_thread_groups(&[gid]).map_err(io::Error::from)?;
        rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(io::Error::from)?;
        let (now, effective) = (rustix::process::getgid(), rustix::process::getegid());
        if now != gid || effective != gid {
            return Err(RoleError::NotSwitched { wanted: gid.as_raw(), found: now.as_raw() });
        }
    }
    if let Some(wanted) = who.uid {
        let uid = rustix::thread::Uid::from_raw(wanted);
        rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(io::Error::from)?;
        for found in [rustix::process::getuid(), rustix::process::geteuid()] {
            if found != uid {
                return Err(RoleError::NotSwitched { wanted, found: found.as_raw() });
            }
        }
        // Somebody who is not root cannot become root again.
        if wanted != 0 {
            let root = rustix::thread::Uid::ROOT;
            if rustix::thread::set_thread_res_uid(root, root, root).is_ok() {
                return Err(RoleError::NotSwitched { wanted, found: 0 });
            }
        }
    }
    Ok(())
}

/// Makes the process one that can gain nothing, that leaves no core and that its own user cannot look into.
pub(crate) fn harden() -> io::Result<()> {
    rustix::thread::set_no_new_privs(true)?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(Resource::Core, none)?;
    Ok(())
}

/// Shuts the front in: no files, no new sockets, no programs. Says how far that was possible.
pub(crate) fn confine_front() -> Result<String, RoleError> {
    Ok("none".to_owned())
}

/// Lets the process have as many descriptors as it may.
pub(crate) fn raise_files_limit() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(u64::MAX).min(1 << 17);
    let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
    // With the old limit it works as well, for fewer connections.
    rustix::process::setrlimit(Resource::Nofile, raised).ok();
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

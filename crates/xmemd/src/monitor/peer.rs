//! Who connected, as the kernel says it; nothing that the other end claims is looked at.
//!
//! Uid, gid, groups and process are those at the time of `connect()`: a descriptor that was passed on, or a program that
//! changes its user later, changes nothing. The process is held by a pidfd, so that its number cannot come to mean another.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags};

use crate::auxiliary::DESCRIPTORS_MAX;
use crate::sys;

/// Who connected.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) pid: u32,
    /// Its groups, gid included, sorted.
    pub(crate) gids: Vec<u32>,
    pub(crate) pidfd: OwnedFd,
    /// What the kernel calls its program; its owner can change that.
    pub(crate) program: String,
}

/// Says why somebody is not let in, whoever it is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PeerError {
    /// The kernel does not say.
    #[error("the kernel does not say who it is")]
    Unknown(#[source] io::Error),
    /// It stands for users that this namespace does not know.
    #[error("its user does not exist in this namespace (overflow uid {0})")]
    Overflow(u32),
    /// It is in another pid namespace that this one cannot see into.
    #[error("its process is not visible from here: it is in a pid namespace outside of this one")]
    NoProcess,
    /// It ended before it could be looked at.
    #[error("its process has ended")]
    Gone,
    /// Its users are not those of this machine.
    #[error("it is in another user namespace: its users are not those of this machine")]
    Namespace,
    /// It is a plug-in, or was started by one.
    #[error(
        "it is held to {DESCRIPTORS_MAX} descriptors as plug-ins are, and a plug-in is no operator whoever runs it \
         (who is none has a higher limit in a new session: `ulimit -Hn`)"
    )]
    PlugIn,
    /// It cannot be seen which users it has, or what it is held to.
    #[error("its user namespace or its limits cannot be seen (is /proc mounted with hidepid?)")]
    Hidden,
}

/// Asks the kernel who connected.
///
/// With `is_userns_allowed` somebody in another user namespace is taken for the user that it is in this one.
pub(crate) fn identify(socket: BorrowedFd<'_>, is_userns_allowed: bool) -> Result<Peer, PeerError> {
    let unknown = |error: rustix::io::Errno| PeerError::Unknown(error.into());
    let pid = sys::peer_pid(socket).map_err(PeerError::Unknown)?;
    let Some(process) = Pid::from_raw(pid.pid) else { return Err(PeerError::NoProcess) };
    if pid.uid == overflow_uid() {
        return Err(PeerError::Overflow(pid.uid));
    }
    let pidfd = match sys::peer_pidfd(socket) {
        Ok(pidfd) => pidfd,
        // Before Linux 6.5: the number may have come to mean another process between connect and now, so the socket is
        // asked again whether it still means the same, and the other end must still be there.
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => {
            let pidfd =
                rustix::process::pidfd_open(process, PidfdFlags::empty()).map_err(|_| PeerError::Gone)?;
            let again = sys::peer_pid(socket).map_err(PeerError::Unknown)?;
            if again != pid || is_hung_up(socket) {
                return Err(PeerError::Gone);
            }
            pidfd
        }
        Err(_) => return Err(PeerError::Gone),
    };
    let mut gids = sys::peer_groups(socket).map_err(PeerError::Unknown)?;
    gids.push(pid.gid);
    gids.sort_unstable();
    gids.dedup();
    let program = std::fs::read_to_string(format!("/proc/{}/comm", pid.pid)).unwrap_or_default();
    let map = std::fs::read_to_string(format!("/proc/{}/uid_map", pid.pid));
    // What was read from /proc is about this process only if it has not ended meanwhile.
    if has_ended(pidfd.as_fd()).map_err(unknown)? {
        return Err(PeerError::Gone);
    }
    let own = std::fs::read_to_string("/proc/self/uid_map").map_err(PeerError::Unknown)?;
    match map {
        Ok(map) if map == own || is_userns_allowed => {}
        Ok(_) => return Err(PeerError::Namespace),
        Err(_) => return Err(PeerError::Hidden),
    }
    let pid_number = pid.pid.unsigned_abs();
    Ok(Peer {
        uid: pid.uid,
        gid: pid.gid,
        pid: pid_number,
        gids,
        pidfd,
        program: program.trim_end().to_owned(),
    })
}

/// Refuses plug-ins and whatever one has started.
///
/// Their uid says nothing where the server has no privilege and they run as whoever started it, and neither do their parents:
/// what is left of an earlier server has none of this one. But nobody without privilege can raise a hard limit.
pub(crate) fn refuse_plugin(peer: &Peer) -> Result<(), PeerError> {
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", peer.pid));
    if has_ended(peer.pidfd.as_fd()).map_err(|error| PeerError::Unknown(error.into()))? {
        return Err(PeerError::Gone);
    }
    let hard = limits.ok().and_then(|limits| hard_limit_of_descriptors(&limits)).ok_or(PeerError::Hidden)?;
    if hard <= DESCRIPTORS_MAX { Err(PeerError::PlugIn) } else { Ok(()) }
}

/// Finds a limit in the `limits` file of a process.
fn hard_limit_of_descriptors(limits: &str) -> Option<u64> {
    let values = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match values.split_ascii_whitespace().nth(1)? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

/// Says whether a process has ended.
pub(crate) fn has_ended(pidfd: BorrowedFd<'_>) -> Result<bool, rustix::io::Errno> {
    let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
    Ok(rustix::event::poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))? > 0)
}

fn is_hung_up(socket: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(&socket, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut fds, Some(&now)).is_err() || fds[0].revents().contains(PollFlags::HUP)
}

/// The uid that stands for those that have none here.
fn overflow_uid() -> u32 {
    let text = std::fs::read_to_string("/proc/sys/kernel/overflowuid").unwrap_or_default();
    text.trim().parse().unwrap_or(65_534)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn peer_is_this_process_with_its_groups() {
        let (one, _two) = UnixStream::pair().unwrap();
        let peer = identify(one.as_fd(), false).unwrap();
        assert_eq!(peer.pid, std::process::id());
        assert_eq!(peer.uid, rustix::process::getuid().as_raw());
        assert!(peer.gids.contains(&peer.gid) && peer.gids.is_sorted());
        assert!(!has_ended(peer.pidfd.as_fd()).unwrap() && !peer.program.is_empty());
        assert!(refuse_plugin(&peer).is_ok());
    }

    #[test]
    fn limit_of_descriptors_is_the_hard_one() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max processes             unlimited            7                    processes \n\
                      Max open files            1024                 256                  files     \n";
        assert_eq!(hard_limit_of_descriptors(limits), Some(256));
        assert_eq!(hard_limit_of_descriptors("Max open files 1 unlimited files"), Some(u64::MAX));
        assert_eq!(hard_limit_of_descriptors("Max open files 1"), None);
    }
}

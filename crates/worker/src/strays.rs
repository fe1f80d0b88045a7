//! Processes that an order left behind: when their parent ends they become children of the worker.

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

/// Makes what is left behind come to this process.
pub(crate) fn adopt() -> Result<(), String> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|error| format!("become the reaper of what is left behind: {error}"))
}

/// Kills and reaps all children but those known and those that `keep` wants; says whether some are still there.
pub(crate) fn sweep(known: &[Pid], keep: impl Fn(Pid) -> bool) -> bool {
    // A kernel without this file does not tell; the strays then live on, and are reaped by init after the worker.
    let Ok(children) = std::fs::read_to_string("/proc/thread-self/children") else { return false };
    let mut left = false;
    for pid in children.split_whitespace().filter_map(|pid| pid.parse().ok()).filter_map(Pid::from_raw) {
        if known.contains(&pid) {
            continue;
        }
        if !keep(pid) {
            // A child is not reaped by anybody else, so the number still means it.
            let _already_dead = rustix::process::kill_process(pid, Signal::KILL);
        }
        let reaped = rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
        left |= !matches!(reaped, Ok(Some(_)));
    }
    left
}

/// The session of a process, if it lives.
pub(crate) fn session(pid: Pid) -> Option<Pid> {
    rustix::process::getsid(Some(pid)).ok()
}

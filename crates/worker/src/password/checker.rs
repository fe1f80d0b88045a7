//! A process that checks one password and ends. What a module does to it, it does to one order.

use std::ffi::CString;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::SendFlags;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};
use zeroize::Zeroizing;

use super::{PasswordOrder, PasswordOutcome};
use crate::order::packet::{self, Buffer, Received};
use crate::sys::pam::{self, Checked, Pam};
use crate::sys::{self, Fork};

/// A helper that waits for its order, or has it.
#[derive(Debug)]
pub(super) struct Checker {
    pub(super) pid: Pid,
    process: OwnedFd,
    channel: OwnedFd,
}

impl Checker {
    /// Forks one.
    pub(super) fn start(pam: Pam, service: &CString, null: BorrowedFd<'_>) -> Result<Self, Errno> {
        let (ours, its) =
            packet::pair().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        match sys::fork()? {
            Fork::Child => {
                let status = if live(pam, service, its.as_fd(), null).is_ok() { 0 } else { 1 };
                sys::end(status)
            }
            Fork::Parent(pid) => {
                let process = rustix::process::pidfd_open(pid, PidfdFlags::empty());
                let process = process.inspect_err(|_| {
                    let _swept_later = rustix::process::kill_process(pid, Signal::KILL);
                })?;
                Ok(Self { pid, process, channel: ours })
            }
        }
    }

    /// Gives it its order.
    pub(super) fn order(&self, order: &PasswordOrder) -> Result<(), Errno> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(8 * 1024));
        serde_json::to_writer(&mut *bytes, order).map_err(|_shape| Errno::INVAL)?;
        packet::send(self.channel.as_fd(), &bytes, &[], SendFlags::DONTWAIT)
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }

    /// What it found, if it is there; `Some(None)` when it ended without.
    pub(super) fn outcome(&self, buffer: &mut Buffer) -> Option<Option<PasswordOutcome>> {
        let mut polled = [rustix::event::PollFd::new(&self.channel, rustix::event::PollFlags::IN)];
        if rustix::event::poll(&mut polled, Some(&rustix::time::Timespec::default())) != Ok(1) {
            return None;
        }
        match packet::receive(self.channel.as_fd(), buffer) {
            Ok(Received::Packet { bytes, .. }) => Some(serde_json::from_slice(buffer.bytes(bytes)).ok()),
            Err(Errno::AGAIN) => None,
            _ => Some(None),
        }
    }

    /// Kills it and what it has started in its session.
    pub(super) fn kill(&self) {
        let _no_group_yet = rustix::process::kill_process_group(self.pid, Signal::KILL);
        let _ended = rustix::process::pidfd_send_signal(&self.process, Signal::KILL);
    }

    /// Whether it has ended, and is reaped.
    pub(super) fn is_over(&self) -> bool {
        let wait = WaitId::PidFd(self.process.as_fd());
        !matches!(rustix::process::waitid(wait, WaitIdOptions::EXITED | WaitIdOptions::NOHANG), Ok(None))
    }
}

/// The life of a helper.
fn live(pam: Pam, service: &CString, channel: BorrowedFd<'_>, null: BorrowedFd<'_>) -> Result<(), Errno> {
    rustix::process::setsid()?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // Modules print, and what the worker has there may be anything.
    rustix::stdio::dup2_stdin(null)?;
    rustix::stdio::dup2_stdout(null)?;
    rustix::stdio::dup2_stderr(null)?;
    sys::close_all_but(&[channel.as_raw_fd()])?;
    let mut buffer = Buffer::new();
    let Received::Packet { bytes, .. } = packet::receive(channel, &mut buffer)? else { return Ok(()) };
    let order: PasswordOrder = serde_json::from_slice(buffer.bytes(bytes)).map_err(|_shape| Errno::INVAL)?;
    buffer.wipe(bytes);
    let user = CString::new(order.user).map_err(|_zero| Errno::INVAL)?;
    let mut password = Zeroizing::new(Vec::with_capacity(order.password.expose().len() + 1));
    password.extend_from_slice(order.password.expose());
    password.push(0);
    let password_text = std::ffi::CStr::from_bytes_with_nul(&password).map_err(|_zero| Errno::INVAL)?;
    let outcome = judge(pam.check(service, &user, password_text));
    drop(password);
    let bytes = serde_json::to_vec(&outcome).map_err(|_shape| Errno::INVAL)?;
    packet::send(channel, &bytes, &[], SendFlags::empty())
}

/// What PAM's codes mean to who asks. Before the password is found right, all that has to do with the user is one.
fn judge(checked: Checked) -> PasswordOutcome {
    let Checked { authenticated, code, text } = checked;
    match (authenticated, code) {
        (true, pam::SUCCESS) => PasswordOutcome::Accepted,
        (true, pam::NEW_AUTHTOK_REQD) => PasswordOutcome::PasswordExpired,
        (true, pam::ACCT_EXPIRED) => PasswordOutcome::AccountExpired,
        (true, pam::PERM_DENIED | pam::AUTH_ERR | pam::USER_UNKNOWN) => PasswordOutcome::AccountDenied,
        (
            false,
            pam::AUTH_ERR
            | pam::USER_UNKNOWN
            | pam::MAXTRIES
            | pam::PERM_DENIED
            | pam::CRED_INSUFFICIENT
            | pam::NEW_AUTHTOK_REQD
            | pam::ACCT_EXPIRED,
        ) => PasswordOutcome::Refused,
        (_, code) => PasswordOutcome::Unavailable { code, what: text },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(authenticated: bool, code: i32) -> PasswordOutcome {
        judge(Checked { authenticated, code, text: String::new() })
    }

    #[test]
    fn judge_before_the_password_is_right_tells_nothing_about_the_user() {
        for code in
            [pam::AUTH_ERR, pam::USER_UNKNOWN, pam::MAXTRIES, pam::ACCT_EXPIRED, pam::NEW_AUTHTOK_REQD]
        {
            assert_eq!(judged(false, code), PasswordOutcome::Refused, "{code}");
        }
    }

    #[test]
    fn judge_after_the_password_is_right_tells_apart() {
        assert_eq!(judged(true, pam::SUCCESS), PasswordOutcome::Accepted);
        assert_eq!(judged(true, pam::NEW_AUTHTOK_REQD), PasswordOutcome::PasswordExpired);
        assert_eq!(judged(true, pam::ACCT_EXPIRED), PasswordOutcome::AccountExpired);
        assert_eq!(judged(true, pam::PERM_DENIED), PasswordOutcome::AccountDenied);
    }

    #[test]
    fn judge_success_of_authentication_that_failed_is_not_accepted() {
        assert!(matches!(judged(false, pam::SUCCESS), PasswordOutcome::Unavailable { .. }));
    }
}

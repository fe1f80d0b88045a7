//! One look at memory: who is it, read, is it still the same.

use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use rustix::process::Pid;

use super::process::{self, Target};
use super::{INSPECT_BYTES_MAX, InspectOrder, InspectOutcome, InspectSettings};
use crate::order::{Bytes, Refusal};
use crate::range::Range;
use crate::sys;

/// Whether the process is the one that was meant, and may be looked at.
enum Look {
    Allowed,
    Gone,
}

/// Carries an order out.
pub(crate) fn inspect(
    order: &InspectOrder,
    pidfd: BorrowedFd<'_>,
    settings: &InspectSettings,
) -> Result<InspectOutcome, Refusal> {
    if !settings.enabled {
        return Err(Refusal::not_allowed("looking at memory is turned off"));
    }
    if order.bytes == 0 || order.bytes > INSPECT_BYTES_MAX {
        return Err(Refusal::invalid("bytes", format!("1 to {INSPECT_BYTES_MAX}")));
    }
    if order.address.checked_add(u64::from(order.bytes)).is_none() {
        return Err(Refusal::invalid("address", "ends beyond the address space"));
    }
    let pid = match process::target(pidfd).map_err(|error| system("read what the descriptor is", &error))? {
        Target::Process(pid) => pid,
        Target::Ended => return Ok(InspectOutcome::Gone),
        Target::Elsewhere => return Err(Refusal::not_allowed("the process is in another pid namespace")),
        Target::None => return Err(Refusal::invalid("descriptor", "is no pidfd")),
    };
    if let Look::Gone = look(order, pidfd, pid, settings)? {
        return Ok(InspectOutcome::Gone);
    }
    let mut bytes = vec![0; order.bytes as usize];
    let read = sys::read_memory(pid, order.address, &mut bytes);
    // The number meant this process all the time only if it lives even now; and it must not have become another user's
    // program meanwhile.
    if let Look::Gone = look(order, pidfd, pid, settings)? {
        return Ok(InspectOutcome::Gone);
    }
    match read {
        Ok(length) if length == bytes.len() => Ok(InspectOutcome::Complete { bytes: Bytes(bytes) }),
        Ok(0) | Err(Errno::FAULT) => Ok(InspectOutcome::Unreadable),
        Ok(length) => {
            bytes.truncate(length);
            Ok(InspectOutcome::Partial { bytes: Bytes(bytes) })
        }
        Err(Errno::SRCH) => Ok(InspectOutcome::Gone),
        Err(error) => Err(Refusal::system("read memory", error)),
    }
}

fn look(
    order: &InspectOrder,
    pidfd: BorrowedFd<'_>,
    pid: Pid,
    settings: &InspectSettings,
) -> Result<Look, Refusal> {
    let number = pid.as_raw_pid().cast_unsigned();
    let (started, uids) = match (process::start_time(number), process::uids(pid)) {
        (Ok(started), Ok(uids)) => (started, uids),
        (Err(error), _) | (_, Err(error)) => {
            return if process::lives(pidfd) {
                Err(system("look at the process", &error))
            } else {
                Ok(Look::Gone)
            };
        }
    };
    // Last: what was read above was of this process only if it has not ended by now.
    if !process::lives(pidfd) || started != order.start_time {
        return Ok(Look::Gone);
    }
    match uids.iter().find(|uid| !Range::any_has(&settings.uids, **uid)) {
        None => Ok(Look::Allowed),
        Some(uid) => {
            Err(Refusal::not_allowed(format!("uid {uid} of the process is not in a range of the settings")))
        }
    }
}

fn system(what: &str, error: &std::io::Error) -> Refusal {
    Refusal::System { what: what.to_owned(), errno: error.raw_os_error().unwrap_or(libc::EIO) }
}

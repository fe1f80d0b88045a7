//! The process that becomes a plug-in: what it is given, and then `tender-auxiliary`.

use crate::channel::Channel;
use crate::link::RootToHost;
use crate::role::{self, RoleError};

/// Descriptors that a plug-in may have open. It cannot raise that limit again, nor can anything that it starts.
pub(crate) const DESCRIPTORS_MAX: u64 = 256;

/// Becomes the plug-in; returns only when that failed.
pub(crate) fn run() -> Result<(), RoleError> {
    let mut inherited = role::enter()?;
    let mut message = role::first(&mut inherited)?;
    let RootToHost::Begin { entrance } = message.head()?;
    let (module, control, calls) = (message.take_fd()?, message.take_fd()?, message.take_fd()?);
    std::fs::write("/proc/self/oom_score_adj", "500").ok();
    // Above the numbers at which the plug-in finds what is its own; the one below is closed, because it may be one of those.
    let root = rustix::io::fcntl_dupfd_cloexec(&inherited, 16).map_err(std::io::Error::from)?;
    drop(inherited);
    let root = Channel::new(root)?;
    let failed = tender_auxiliary::enter(&entrance, module, control, calls, root, |root, report| {
        // Whether or not it was heard: the root process notices how this one ends.
        role::tell_confined(root, report.to_string()).ok();
    });
    match failed {
        Ok(never) => match never {},
        Err(error) => Err(std::io::Error::other(role::chain(&error)).into()),
    }
}

//! The process that becomes a plug-in: what it is given, and then `tender-auxiliary`.

use crate::link::RootToHost;
use crate::role::{self, RoleError};

/// Becomes the plug-in; returns only when that failed.
pub(crate) fn run() -> Result<(), RoleError> {
    let mut root = role::enter()?;
    let mut message = role::first(&mut root)?;
    let RootToHost::Begin { entrance } = message.head()?;
    let (module, control, calls) = (message.take_fd()?, message.take_fd()?, message.take_fd()?);
    std::fs::write("/proc/self/oom_score_adj", "500").ok();
    drop(root);
    let failed = tender_auxiliary::enter(&entrance, module, control, calls, |_| {});
    match failed {
        Ok(never) => match never {},
        Err(error) => Err(std::io::Error::other(role::chain(&error)).into()),
    }
}

//! Namespaces.

use rustix::mount::MountPropagationFlags;
use rustix::thread::UnshareFlags;

use super::{Level, Mechanism, Report};
use crate::sys;

/// Namespaces to be entered new. Without root, `user` is what makes the others possible.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// Users: own uid and gid stay, all others are nobody.
    pub user: bool,
    /// Mounts: what is mounted later is not seen on either side.
    pub mount: bool,
    /// Network: no interface but a loopback that is down.
    pub network: bool,
    /// System V IPC and POSIX message queues.
    pub ipc: bool,
    /// Host name.
    pub host: bool,
}

impl Namespaces {
    pub(super) fn enter(self, report: &mut Report) {
        if self.user {
            report.try_note(Mechanism::UserNamespace, enter_user());
        }
        if self.mount {
            let entered = sys::unshare(UnshareFlags::NEWNS).and_then(|()| {
                let flags = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
                rustix::mount::mount_change("/", flags)
            });
            report.try_note(Mechanism::MountNamespace, entered);
        }
        let others = [
            (self.network, UnshareFlags::NEWNET, Mechanism::NetworkNamespace),
            (self.ipc, UnshareFlags::NEWIPC, Mechanism::IpcNamespace),
            (self.host, UnshareFlags::NEWUTS, Mechanism::HostNamespace),
        ];
        for (wanted, flag, mechanism) in others {
            if wanted {
                let level = sys::unshare(flag)
                    .map_or_else(|error| Level::Missing(error.to_string()), |()| Level::Full);
                report.note(mechanism, level);
            }
        }
    }
}

fn enter_user() -> std::io::Result<()> {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    sys::unshare(UnshareFlags::NEWUSER)?;
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("{uid} {uid} 1\n"))?;
    std::fs::write("/proc/self/gid_map", format!("{gid} {gid} 1\n"))
}

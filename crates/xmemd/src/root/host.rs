//! Hosts of plug-ins: the module is opened once, compared with the list of authorised modules, and handed over sealed.

use std::path::PathBuf;

use tender_auxiliary::{Entrance, StartString};
use tender_parmlib::{AuthorisedList, ModuleName, Purpose, VerifiedModule};

use tender_worker::confine::CgroupLimits;

use super::Root;
use super::boxes::Kind;
use crate::channel;
use crate::link::{RootToHost, ToMonitor};
use crate::role::chain;

/// Descriptors that a plug-in may have open.
const DESCRIPTORS_MAX: u64 = 256;

impl Root {
    /// Opens a module that is on the list.
    pub(super) fn open_module(&self, module: &str, purpose: Purpose) -> Result<VerifiedModule, String> {
        let path = self.places.parmlib.join("authorised");
        let text = std::fs::read_to_string(&path)
            .map_err(|error| format!("read the list of authorised modules `{}`: {error}", path.display()))?;
        let list = AuthorisedList::parse(&text).map_err(|error| chain(&error))?;
        let name: ModuleName = module.parse().map_err(|error| chain(&error))?;
        list.open_verified(&self.libraries(), &name, purpose).map_err(|error| chain(&error))
    }

    /// Returns where modules are.
    fn libraries(&self) -> Vec<PathBuf> {
        if !self.settings.loadlib.is_empty() {
            return self.settings.loadlib.clone();
        }
        let own = std::env::current_exe().ok().and_then(|path| Some(path.parent()?.to_owned()));
        own.into_iter().collect()
    }

    /// Starts a host and gives the monitor its sockets.
    pub(super) fn start_host(&mut self, module: &str, start: u64, parameter: &str) -> Result<(), String> {
        let verified = self.open_module(module, Purpose::Plugin)?;
        let argument = StartString::new(module, parameter).map_err(|error| chain(&error))?.to_string();
        let identity = match (self.users.monitor, self.users.auxiliary) {
            (None, _) => None,
            (Some(_), Some(user)) => Some(user),
            (Some(_), None) => {
                let user = &self.settings.auxiliary_user;
                return Err(format!(
                    "there is no user `{user}` for plug-ins; make it with `useradd --system {user}`, or name another one \
                     in the member (ZWES.USER.AUXILIARY)"
                ));
            }
        };
        let limits = CgroupLimits {
            memory_bytes: Some(self.settings.auxiliary_memory_bytes_max),
            processes: Some(self.settings.auxiliary_processes_max),
            processor_weight: None,
        };
        let (cgroup, place) = self.cgroups.make(start, limits);
        let entrance = Entrance {
            module: module.to_owned(),
            argument,
            identity,
            memory_bytes_max: limits.memory_bytes,
            descriptors_max: DESCRIPTORS_MAX,
            cgroup: place,
        };
        let system = |error: std::io::Error| error.to_string();
        let (control, their_control) = channel::pair().map_err(system)?;
        let (calls, their_calls) = channel::pair().map_err(system)?;
        for socket in [&control, &calls] {
            rustix::io::ioctl_fionbio(socket, true).map_err(|error| error.to_string())?;
        }
        let fds = vec![verified.program.into_fd(), their_control, their_calls];
        let uid = identity.map(|(uid, _)| uid);
        let id = self.launch(Kind::Host(start), uid, &RootToHost::Begin { entrance }, fds).map_err(system)?;
        let Some(boxed) = self.boxes.get_mut(&id) else { return Ok(()) };
        module.clone_into(&mut boxed.module);
        boxed.cgroup = cgroup;
        let started = ToMonitor::Host { module: module.to_owned(), start, pid: boxed.process.pid };
        self.tell_monitor(&started, vec![control, calls]);
        Ok(())
    }
}

//! Hosts of plug-ins: the module is opened once, compared with the list of authorised modules, and handed over sealed.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use tender_auxiliary::{Entrance, StartString};
use tender_parmlib::{AuthorisedList, ModuleName, Purpose, VerifiedModule};

use tender_worker::confine::CgroupLimits;

use super::Root;
use super::boxes::{BoxId, Kind};
use crate::auxiliary::DESCRIPTORS_MAX;
use crate::channel;
use crate::link::{RootToHost, ToMonitor};
use crate::role::chain;

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
        // Attempts are counted by each monitor from the beginning; a box's number is never used again.
        let number = self.take_number();
        let (cgroup, place) = self.cgroups.make(number, limits);
        let entrance = Entrance {
            module: module.to_owned(),
            argument,
            identity,
            memory_bytes_max: limits.memory_bytes,
            descriptors_max: DESCRIPTORS_MAX,
            cgroup: place,
        };
        let launched = self.launch_host(start, entrance, verified.program.into_fd());
        let boxed = launched.as_ref().ok().and_then(|(id, _)| self.boxes.get_mut(id));
        match (boxed, cgroup) {
            (Some(boxed), cgroup) => {
                module.clone_into(&mut boxed.module);
                boxed.cgroup = cgroup;
            }
            (None, Some(cgroup)) => {
                let is_dying = self.cgroups.ended(cgroup);
                self.tidy_later(is_dying);
            }
            (None, None) => {}
        }
        let (id, sockets) = launched.map_err(|error| error.to_string())?;
        let pid = self.boxes.get(&id).map_or(0, |boxed| boxed.process.pid);
        self.tell_monitor(&ToMonitor::Host { module: module.to_owned(), start, pid }, sockets);
        Ok(())
    }

    /// Starts the process of a host; returns the monitor's ends of its sockets.
    fn launch_host(
        &mut self,
        start: u64,
        entrance: Entrance,
        module: OwnedFd,
    ) -> io::Result<(BoxId, Vec<OwnedFd>)> {
        let (control, their_control) = channel::pair()?;
        let (calls, their_calls) = channel::pair()?;
        for socket in [&control, &calls] {
            rustix::io::ioctl_fionbio(socket, true)?;
        }
        let uid = entrance.identity.map(|(uid, _)| uid);
        let fds = vec![module, their_control, their_calls];
        let id = self.launch(Kind::Host(start), uid, &RootToHost::Begin { entrance }, fds)?;
        Ok((id, vec![control, calls]))
    }
}

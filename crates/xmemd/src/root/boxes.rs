//! The boxes: starting them and connecting them with each other.

use std::io;
use std::os::fd::OwnedFd;

use super::spawn::{self, Process};
use super::{Root, token};
use crate::channel;
use crate::link::{Begin, RootToFront, RootToKeeper, RootToWorker, RunAs, ToMonitor};
use crate::poller::Poller;
use tender_worker::confine::Cgroup;

/// Numbers a box; never used again.
pub(crate) type BoxId = u64;

/// What a box is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub(crate) enum Kind {
    Keeper,
    Monitor,
    Front,
    /// A worker of a kind.
    Worker(tender_worker::Kind),
    /// A host of a plug-in, by the number of the attempt.
    Host(u64),
}

impl Kind {
    /// The word on its command line.
    pub(crate) fn role(self) -> &'static str {
        match self {
            Self::Keeper => "keeper",
            Self::Monitor => "monitor",
            Self::Front => "front",
            Self::Worker(_) => "worker",
            Self::Host(_) => "auxiliary",
        }
    }
}

/// A box that runs.
#[derive(Debug)]
pub(crate) struct Boxed {
    pub(crate) kind: Kind,
    pub(crate) set: u64,
    /// The module of a host.
    pub(crate) module: String,
    pub(crate) process: Process,
    pub(crate) uid: u32,
    /// What its sandbox became; `None` until it has said so.
    pub(crate) sandbox: Option<String>,
    /// Of a host.
    pub(crate) cgroup: Option<Cgroup>,
    /// Whether it was told to end.
    pub(crate) is_ending: bool,
}

impl Boxed {
    /// Ends it at once, with everything that it has started.
    pub(crate) fn kill(&self) {
        spawn::kill(&self.process.pidfd);
        if let Some(cgroup) = &self.cgroup {
            cgroup.kill().ok();
        }
    }

    /// What it is, for people.
    pub(crate) fn title(&self) -> String {
        match self.kind {
            Kind::Worker(kind) => format!("worker {kind}"),
            Kind::Host(_) => format!("plug-in {}", self.module),
            other => other.role().to_owned(),
        }
    }

    /// Tells it to end.
    pub(crate) fn close(&mut self, poller: &Poller) {
        self.is_ending = true;
        poller.remove(&self.process.channel);
        // Nothing more can be sent, so the box reads the end of file.
        rustix::net::shutdown(&self.process.channel, rustix::net::Shutdown::Both).ok();
    }
}

impl Root {
    /// Starts a set of boxes.
    pub(super) fn start_boxes(&mut self) -> io::Result<()> {
        let (keeper_end, monitor_of_keeper) = channel::pair()?;
        let (front_end, monitor_of_front) = channel::pair()?;
        self.start_keeper(keeper_end)?;
        self.start_monitor()?;
        self.tell_monitor(&ToMonitor::Keeper, vec![monitor_of_keeper]);
        self.start_front(front_end)?;
        self.tell_monitor(&ToMonitor::Front, vec![monitor_of_front]);
        Ok(())
    }

    fn begin(&mut self, kind: Kind, run_as: Option<(u32, u32)>) -> Box<Begin> {
        let generation = self.generation_of_set();
        let is_replacement = self
            .replacing
            .as_ref()
            .is_some_and(|replacing| !replacing.is_switched && replacing.old != self.set);
        let start = self.starts.entry(kind).or_default();
        *start += 1;
        Box::new(Begin {
            run_as: RunAs { uid: run_as.map(|(uid, _)| uid), gid: run_as.map(|(_, gid)| gid) },
            server: self.name.clone(),
            generation,
            start: *start - 1,
            level: self.level,
            settings: self.settings.clone(),
            state: self.places.state.clone(),
            parmlib: self.places.parmlib.clone(),
            database: self.places.database.clone(),
            is_privileged: self.users.monitor.is_some(),
            is_cold: self.is_cold,
            run: self.places.run.clone(),
            is_replacement,
        })
    }

    /// Returns a number that nothing else has; also the programs that this one is replaced by go on counting.
    pub(super) fn take_number(&mut self) -> BoxId {
        let number = self.next_box;
        self.next_box += 1;
        number
    }

    pub(super) fn launch(
        &mut self,
        kind: Kind,
        uid: Option<u32>,
        first: &impl serde::Serialize,
        fds: Vec<OwnedFd>,
    ) -> io::Result<BoxId> {
        let mut process = spawn::spawn(self.program_of_set(), kind.role(), &self.name)?;
        let id = self.take_number();
        let watched = process.channel.send(first, &[], fds).and_then(|()| {
            self.poller.add(&process.channel, token::CHANNEL | id)?;
            self.poller.add(&process.pidfd, token::PIDFD | id)
        });
        if let Err(error) = watched {
            // One that nobody would hear of must not run.
            spawn::kill_and_reap(&process.pidfd);
            return Err(error);
        }
        self.print.debug(|| format!("{} has pid {}", kind.role(), process.pid));
        let boxed = Boxed {
            kind,
            set: self.set,
            module: String::new(),
            process,
            uid: uid.unwrap_or_else(|| rustix::process::geteuid().as_raw()),
            sandbox: None,
            cgroup: None,
            is_ending: false,
        };
        self.boxes.insert(id, boxed);
        Ok(id)
    }

    pub(super) fn start_keeper(&mut self, link: OwnedFd) -> io::Result<()> {
        // As whoever owns the database: it has that one's rights and no other.
        let owner = if self.users.monitor.is_some() {
            let stat = rustix::fs::stat(&self.places.database)?;
            Some((stat.st_uid, stat.st_gid))
        } else {
            None
        };
        let begin = self.begin(Kind::Keeper, owner);
        let uid = begin.run_as.uid;
        self.launch(Kind::Keeper, uid, &RootToKeeper::Begin(begin), vec![link])?;
        Ok(())
    }

    pub(super) fn start_monitor(&mut self) -> io::Result<()> {
        let begin = self.begin(Kind::Monitor, self.users.monitor);
        let fds = vec![self.listener.try_clone()?, self.control.try_clone()?];
        let uid = begin.run_as.uid;
        self.launch(Kind::Monitor, uid, &ToMonitor::Begin(begin), fds)?;
        Ok(())
    }

    pub(super) fn start_front(&mut self, link: OwnedFd) -> io::Result<()> {
        let begin = self.begin(Kind::Front, self.users.front);
        let uid = begin.run_as.uid;
        self.launch(Kind::Front, uid, &RootToFront::Begin(begin), vec![link])?;
        Ok(())
    }

    /// Starts a worker and gives the monitor its orders.
    pub(super) fn start_worker(&mut self, kind: tender_worker::Kind) -> io::Result<()> {
        let (orders, theirs) = tender_worker::order::pair()?;
        let run_as = if kind.runs_as_root() { Some((0, 0)) } else { self.users.monitor };
        let begin = self.begin(Kind::Worker(kind), run_as);
        let uid = begin.run_as.uid;
        let first = RootToWorker::Begin { kind: kind.name().to_owned(), begin };
        self.launch(Kind::Worker(kind), uid, &first, vec![theirs])?;
        let started = ToMonitor::Worker { kind: kind.name().to_owned() };
        self.tell_monitor(&started, vec![orders]);
        Ok(())
    }

    /// Tells a box of the set that counts something; false when there is none.
    pub(super) fn tell(&mut self, kind: Kind, what: &impl serde::Serialize, fds: Vec<OwnedFd>) -> bool {
        let set = self.set;
        let found = self
            .boxes
            .iter_mut()
            .find(|(_, boxed)| boxed.kind == kind && boxed.set == set && !boxed.is_ending);
        let Some((id, boxed)) = found else { return false };
        let channel = &mut boxed.process.channel;
        if channel.send(what, &[], fds).is_err() {
            return false;
        }
        let wants_write = channel.wants_write();
        self.poller.want_write(&*channel, token::CHANNEL | id, wants_write).is_ok()
    }

    /// Does something for the boxes of another set.
    pub(super) fn on_behalf_of<T>(&mut self, set: u64, what: impl FnOnce(&mut Self) -> T) -> T {
        let counting = std::mem::replace(&mut self.set, set);
        let done = what(self);
        self.set = counting;
        done
    }

    pub(super) fn tell_monitor(&mut self, what: &ToMonitor, fds: Vec<OwnedFd>) -> bool {
        self.tell(Kind::Monitor, what, fds)
    }
}

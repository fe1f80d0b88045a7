//! The boxes: starting them, connecting them with each other, starting them again.

use std::io;
use std::os::fd::OwnedFd;

use super::spawn::{self, Process};
use super::{Phase, Restarts, Root, Timer, token};
use crate::channel;
use crate::link::{Begin, RootToFront, RootToKeeper, RootToWorker, RunAs, ToMonitor};
use crate::messages;
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

/// After how many milliseconds a box is started again that has ended so often in a row.
pub(crate) fn pause_ms(count: u32) -> u64 {
    match count {
        0 | 1 => 0,
        _ => (50_u64 << (count - 2).min(8)).min(10_000),
    }
}

/// How long until cgroups are looked at again in which something was dying.
const TIDY_MS: u64 = 200;
/// A box that ran so long has not ended in a row with the one before.
const GOOD_MS: u64 = 60_000;

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
        let start = self.starts.entry(kind).or_default();
        *start += 1;
        Box::new(Begin {
            run_as: RunAs { uid: run_as.map(|(uid, _)| uid), gid: run_as.map(|(_, gid)| gid) },
            server: self.name.clone(),
            generation: self.generation,
            start: *start - 1,
            level: self.level,
            settings: self.settings.clone(),
            state: self.places.state.clone(),
            parmlib: self.places.parmlib.clone(),
            database: self.places.database.clone(),
            is_privileged: self.users.monitor.is_some(),
            is_cold: self.is_cold,
            run: self.places.run.clone(),
        })
    }

    pub(super) fn launch(
        &mut self,
        kind: Kind,
        uid: Option<u32>,
        first: &impl serde::Serialize,
        fds: Vec<OwnedFd>,
    ) -> io::Result<BoxId> {
        let mut process = spawn::spawn(&self.program, kind.role(), &self.name)?;
        process.channel.send(first, &[], fds)?;
        let id = self.next_box;
        self.next_box += 1;
        self.poller.add(&process.channel, token::CHANNEL | id)?;
        self.poller.add(&process.pidfd, token::PIDFD | id)?;
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

    fn start_keeper(&mut self, link: OwnedFd) -> io::Result<()> {
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

    fn start_monitor(&mut self) -> io::Result<()> {
        let begin = self.begin(Kind::Monitor, self.users.monitor);
        let fds = vec![self.listener.try_clone()?, self.control.try_clone()?];
        let uid = begin.run_as.uid;
        self.launch(Kind::Monitor, uid, &ToMonitor::Begin(begin), fds)?;
        Ok(())
    }

    fn start_front(&mut self, link: OwnedFd) -> io::Result<()> {
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

    /// Starts a box in place of one that has ended, and connects it with the others.
    pub(super) fn start_again(&mut self, kind: Kind) -> io::Result<()> {
        match kind {
            Kind::Keeper => {
                let (theirs, monitors) = channel::pair()?;
                self.start_keeper(theirs)?;
                self.tell_monitor(&ToMonitor::Keeper, vec![monitors]);
            }
            Kind::Front => {
                let (theirs, monitors) = channel::pair()?;
                self.start_front(theirs)?;
                self.tell_monitor(&ToMonitor::Front, vec![monitors]);
            }
            // The monitor asks for another when it needs one.
            Kind::Worker(_) | Kind::Host(_) => {}
            Kind::Monitor => {
                // Nobody else has the orders of these.
                for boxed in self.boxes.values_mut() {
                    if matches!(boxed.kind, Kind::Worker(_) | Kind::Host(_)) && boxed.set == self.set {
                        boxed.close(&self.poller);
                        boxed.kill();
                    }
                }
                self.start_monitor()?;
                let (theirs, monitors) = channel::pair()?;
                if self.tell(Kind::Keeper, &RootToKeeper::Monitor, vec![theirs]) {
                    self.tell_monitor(&ToMonitor::Keeper, vec![monitors]);
                }
                let (theirs, monitors) = channel::pair()?;
                if self.tell(Kind::Front, &RootToFront::Monitor, vec![theirs]) {
                    self.tell_monitor(&ToMonitor::Front, vec![monitors]);
                }
            }
        }
        Ok(())
    }

    /// Starts a keeper for another database in place of the one that there is, which finishes what it is at.
    pub(super) fn renew_keeper(&mut self) {
        let set = self.set;
        let is_old = |boxed: &&mut Boxed| boxed.kind == Kind::Keeper && boxed.set == set && !boxed.is_ending;
        for boxed in self.boxes.values_mut().filter(is_old) {
            boxed.close(&self.poller);
        }
        if let Err(error) = self.start_again(Kind::Keeper) {
            self.print.say(messages::POLICY_FAILED, &[&error]);
        }
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

    /// Looks again at cgroups in which something is still dying.
    pub(super) fn tidy_later(&mut self, is_dying: bool) {
        if is_dying {
            self.timers.arm(Timer::Tidy, self.clock.now_ms() + TIDY_MS);
        }
    }

    /// Notices that a box has ended.
    pub(super) fn ended(&mut self, id: BoxId) -> io::Result<()> {
        let Some(boxed) = self.boxes.get(&id) else { return Ok(()) };
        let Some(how) = spawn::reap(&boxed.process.pidfd)? else { return Ok(()) };
        self.poller.remove(&boxed.process.pidfd);
        self.poller.remove(&boxed.process.channel);
        let Some(mut boxed) = self.boxes.remove(&id) else { return Ok(()) };
        if let Some(cgroup) = boxed.cgroup.take() {
            let is_dying = self.cgroups.ended(cgroup);
            self.tidy_later(is_dying);
        }
        if let Kind::Host(start) = boxed.kind {
            let ended = ToMonitor::HostEnded { module: boxed.module, start, how };
            self.on_behalf_of(boxed.set, |root| root.tell_monitor(&ended, Vec::new()));
            self.old_set_ended();
            return Ok(());
        }
        if self.replacing.as_ref().is_some_and(|replacing| !replacing.is_switched && boxed.set == self.set) {
            self.roll_back(&format!("its {} ended: {how}", boxed.kind.role()));
            return Ok(());
        }
        if boxed.is_ending || boxed.set != self.set || self.phase == Phase::Ending {
            if boxed.set != self.set && boxed.kind == Kind::Monitor {
                // Nobody is left to say that the others are done.
                self.end_old_set(boxed.is_ending);
            }
            self.old_set_ended();
            return Ok(());
        }
        let now_ms = self.clock.now_ms();
        let restarts = self.restarts.entry(boxed.kind).or_insert(Restarts { count: 0, last_ms: now_ms });
        restarts.count = if now_ms - restarts.last_ms > GOOD_MS { 1 } else { restarts.count + 1 };
        restarts.last_ms = now_ms;
        let pause = pause_ms(restarts.count);
        self.print.say(messages::CHILD_ENDED, &[&boxed.kind.role(), &boxed.process.pid, &how, &pause]);
        if pause == 0 {
            self.start_again(boxed.kind)
        } else {
            self.timers.arm(Timer::Again(boxed.kind, boxed.set), now_ms + pause);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pause_grows_from_none_to_ten_seconds() {
        assert_eq!([1, 2, 3, 4].map(pause_ms), [0, 50, 100, 200]);
        assert_eq!(pause_ms(40), 10_000);
    }
}

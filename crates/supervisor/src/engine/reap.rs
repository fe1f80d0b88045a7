//! Taking the ends of processes: who ended, what is left of its tree, and what that means.

use rustix::process::WaitOptions;

use super::Engine;
use super::unit::Owner;
use crate::life::{Event, Timer};
use crate::process::ending::Ending;
use crate::process::proc::Stat;

impl Engine {
    /// Waits for every child that has ended.
    pub(super) fn reap(&mut self) {
        let mut touched = Vec::new();
        let mut has_unknown = false;
        // An error means that there are no children.
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            let pid = pid.as_raw_nonzero().get();
            let ending = Ending::from_wait(status);
            match self.owners.remove(&pid) {
                Some(Owner::Leader(id)) => {
                    self.leader_ended(id, ending);
                    touched.push(id);
                }
                Some(Owner::Member(id)) => {
                    self.member_ended(id, pid, ending);
                    touched.push(id);
                }
                Some(Owner::Probe(id)) => self.probe_program_ended(id, pid, ending),
                Some(Owner::PreStop(id)) => self.pre_stop_ended(id, pid),
                Some(Owner::Planner) => self.planner_ended(ending),
                Some(Owner::Stray) => {}
                None => {
                    has_unknown = true;
                    self.unknown_ended(pid, ending);
                }
            }
        }
        if has_unknown {
            // It came to us and ended before we looked: any tree without its leader may have ended with it.
            let open = self
                .units
                .iter()
                .filter(|(_, unit)| unit.run.as_ref().is_some_and(|run| run.has_leader_ended));
            touched.extend(open.map(|(id, _)| *id));
        }
        for id in touched {
            self.check_tree(id);
        }
    }

    fn leader_ended(&mut self, id: u32, ending: Ending) {
        // What it wrote last says why.
        self.drain(id);
        self.take_report(id);
        let Some(unit) = self.units.get_mut(&id) else { return };
        let Some(run) = &mut unit.run else { return };
        self.poller.remove(&run.pidfd);
        run.has_leader_ended = true;
        let pid = run.pid;
        self.server_ended(id, pid, ending);
    }

    /// Takes the end of a process that came from below and was not looked at before: it may be a server that is followed.
    fn unknown_ended(&mut self, pid: i32, ending: Ending) {
        let followed = self
            .units
            .iter()
            .find(|(_, unit)| unit.run.as_ref().is_some_and(|run| run.has_leader_ended && run.server == pid));
        if let Some(id) = followed.map(|(id, _)| *id) {
            self.member_ended(id, pid, ending);
        }
    }

    fn member_ended(&mut self, id: u32, pid: i32, ending: Ending) {
        self.drain(id);
        self.server_ended(id, pid, ending);
    }

    /// Notes how the server itself ended, if it was that.
    fn server_ended(&mut self, id: u32, pid: i32, ending: Ending) {
        let Some(unit) = self.units.get_mut(&id) else { return };
        let Some(run) = unit.run.as_mut().filter(|run| run.server == pid) else { return };
        let kills = unit.group.as_ref().and_then(|group| group.memory_kills()).unwrap_or(0);
        run.ending = ending;
        let is_killed = ending.signal() == Some(libc::SIGKILL);
        run.ending.is_out_of_memory =
            is_killed && (kills > unit.memory_kills || self.out_of_memory.is_victim(pid));
    }

    /// Decides what the end of a process means for the component.
    ///
    /// A server that ended well and left others of its tree is followed: the oldest of them is the server now. One that
    /// ended badly takes its tree with it.
    pub(super) fn check_tree(&mut self, id: u32) {
        let is_open = |unit: &super::unit::Unit| unit.run.as_ref().is_some_and(|run| run.has_leader_ended);
        if !self.units.get(&id).is_some_and(is_open) {
            return;
        }
        let survivors = self.survivors(id);
        let Some(unit) = self.units.get_mut(&id) else { return };
        let Some(run) = &mut unit.run else { return };
        if survivors.is_empty() {
            self.tree_gone(id);
            return;
        }
        let has_server = survivors.iter().any(|stat| stat.pid == run.server);
        if has_server || run.is_end_told {
            return;
        }
        if run.ending.is_success() || !unit.life.is_running() {
            if let Some(oldest) = oldest(&survivors) {
                run.server = oldest.pid;
                run.ending = Ending::unknown();
                self.journal.is_stale = true;
            }
            return;
        }
        run.is_end_told = true;
        let ending = run.ending;
        unit.last_exit = Some(ending.to_string());
        self.push(id, Event::Ended { ending, has_survivors: true });
    }

    fn tree_gone(&mut self, id: u32) {
        self.close_output(id);
        self.disarm(id, Timer::Look);
        let Some(unit) = self.units.get_mut(&id) else { return };
        let Some(run) = unit.run.take() else { return };
        self.journal.is_stale = true;
        if let Some(report) = &run.report {
            self.poller.remove(report);
        }
        let pre_stop = unit.pre_stop.take();
        unit.last_pid = Some(run.server);
        if !run.is_end_told {
            unit.last_exit = Some(run.ending.to_string());
            let ending = run.ending;
            self.push(id, Event::Ended { ending, has_survivors: false });
        }
        if let Some(pid) = pre_stop {
            self.kill_helper(pid);
        }
        self.push(id, Event::Gone);
    }

    fn pre_stop_ended(&mut self, id: u32, pid: i32) {
        let Some(unit) = self.units.get_mut(&id) else { return };
        if unit.pre_stop == Some(pid) {
            unit.pre_stop = None;
            self.send_stop_signal(id);
        }
    }

    /// Follows the process that a component names as its server, if that is of its tree.
    pub(super) fn follow(&mut self, id: u32, pid: i32) {
        let is_of_tree = self.tree(id).iter().any(|stat| stat.pid == pid);
        if let (true, Some(run)) = (is_of_tree, self.units.get_mut(&id).and_then(|unit| unit.run.as_mut())) {
            run.server = pid;
            self.journal.is_stale = true;
        }
    }
}

fn oldest(stats: &[Stat]) -> Option<&Stat> {
    stats.iter().min_by_key(|stat| (stat.start_ticks, stat.pid))
}

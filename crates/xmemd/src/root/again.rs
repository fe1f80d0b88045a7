//! Boxes that have ended, and the ones in their place.

use std::io;

use super::boxes::{BoxId, Boxed, Kind};
use super::{END_MS, Phase, Restarts, Root, Timer, spawn};
use crate::channel;
use crate::link::{RootToFront, RootToKeeper, ToMonitor};
use crate::messages;

/// How long until cgroups are looked at again in which something was dying.
const TIDY_MS: u64 = 200;
/// A box that ran so long has not ended in a row with the one before.
const GOOD_MS: u64 = 60_000;
/// The least pause after a start that was not possible.
const FAILED_MS: u64 = 50;

/// After how many milliseconds a box is started again that has ended so often in a row.
fn pause_ms(count: u32) -> u64 {
    match count {
        0 | 1 => 0,
        _ => (50_u64 << (count - 2).min(8)).min(10_000),
    }
}

impl Root {
    /// Notices that a box has ended.
    pub(super) fn ended(&mut self, id: BoxId) -> io::Result<()> {
        let Some(boxed) = self.boxes.get(&id) else { return Ok(()) };
        let Some(how) = spawn::reap(&boxed.process.pidfd)? else { return Ok(()) };
        self.poller.remove(&boxed.process.pidfd);
        self.poller.remove(&boxed.process.channel);
        self.timers.disarm(Timer::Late(id));
        let Some(mut boxed) = self.boxes.remove(&id) else { return Ok(()) };
        if let Some(cgroup) = boxed.cgroup.take() {
            let is_dying = self.cgroups.ended(cgroup);
            self.tidy_later(is_dying);
        }
        if let Kind::Host(start) = boxed.kind {
            // Not to a monitor that was started after it and may have given the same number to another.
            if !boxed.is_ending {
                let ended = ToMonitor::HostEnded { module: boxed.module, start, how };
                self.on_behalf_of(boxed.set, |root| root.tell_monitor(&ended, Vec::new()));
            }
        } else if boxed.is_ending || self.phase == Phase::Ending {
            self.end_with_its_monitor(&boxed);
        } else if self.is_unswitched() && boxed.set == self.set {
            self.roll_back(&format!("its {} ended: {how}", boxed.kind.role()));
        } else if self.does_count(boxed.set) {
            self.start_after_pause(&boxed, &how);
        } else {
            self.end_with_its_monitor(&boxed);
        }
        self.old_set_ended();
        Ok(())
    }

    /// Says whether boxes of a set are started again: those that are replaced count until others are ready.
    fn does_count(&self, set: u64) -> bool {
        set == self.set
            || self.replacing.as_ref().is_some_and(|replacing| !replacing.is_switched && replacing.old == set)
    }

    /// A set that was replaced and has lost its monitor has nobody left to say that the others are done.
    fn end_with_its_monitor(&mut self, boxed: &Boxed) {
        let is_replaced = self
            .replacing
            .as_ref()
            .is_some_and(|replacing| replacing.is_switched && replacing.old == boxed.set);
        if is_replaced && boxed.kind == Kind::Monitor {
            self.end_old_set(boxed.is_ending);
        }
    }

    fn start_after_pause(&mut self, boxed: &Boxed, how: &str) {
        let pause = self.next_pause_ms(boxed.kind);
        self.print.say(messages::CHILD_ENDED, &[&boxed.kind.role(), &boxed.process.pid, &how, &pause]);
        if pause == 0 {
            // What it says is in the log.
            self.start_in_place(boxed.kind, boxed.set).ok();
        } else {
            self.timers.arm(Timer::Again(boxed.kind, boxed.set), self.clock.now_ms() + pause);
        }
    }

    fn next_pause_ms(&mut self, kind: Kind) -> u64 {
        let now_ms = self.clock.now_ms();
        let restarts = self.restarts.entry(kind).or_insert(Restarts { count: 0, last_ms: now_ms });
        restarts.count = if now_ms - restarts.last_ms > GOOD_MS { 1 } else { restarts.count + 1 };
        restarts.last_ms = now_ms;
        pause_ms(restarts.count)
    }

    /// The pause after which a box was to be started is over.
    pub(super) fn pause_is_over(&mut self, kind: Kind, set: u64) {
        if self.does_count(set) && self.phase != Phase::Ending {
            // As above.
            self.start_in_place(kind, set).ok();
        }
    }

    /// Starts a box where there is none any more. If that is not possible now it is tried again later; the text says so.
    fn start_in_place(&mut self, kind: Kind, set: u64) -> Result<(), String> {
        self.timers.disarm(Timer::Again(kind, set));
        self.on_behalf_of(set, |root| root.start_again(kind)).map_err(|error| {
            let pause = self.next_pause_ms(kind).max(FAILED_MS);
            self.timers.arm(Timer::Again(kind, set), self.clock.now_ms() + pause);
            let text = messages::NOT_STARTED_AGAIN.with(&[&kind.role(), &error, &pause]);
            self.print.line(crate::sysprint::stamped("ROOT", &text));
            text
        })
    }

    /// Starts a box in place of one that has ended, and connects it with the others; none is started when this fails.
    fn start_again(&mut self, kind: Kind) -> io::Result<()> {
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
                let (keepers, of_keeper) = channel::pair()?;
                let (fronts, of_front) = channel::pair()?;
                // Nobody else has the orders of these.
                for boxed in self.boxes.values_mut() {
                    if matches!(boxed.kind, Kind::Worker(_) | Kind::Host(_)) && boxed.set == self.set {
                        boxed.close(&self.poller);
                        boxed.kill();
                    }
                }
                self.start_monitor()?;
                if self.tell(Kind::Keeper, &RootToKeeper::Monitor, vec![keepers]) {
                    self.tell_monitor(&ToMonitor::Keeper, vec![of_keeper]);
                }
                if self.tell(Kind::Front, &RootToFront::Monitor, vec![fronts]) {
                    self.tell_monitor(&ToMonitor::Front, vec![of_front]);
                }
            }
        }
        Ok(())
    }

    /// Starts a keeper for another database in place of the one that there is, which finishes what it is at.
    pub(super) fn renew_keeper(&mut self, set: u64) -> Result<(), String> {
        let by_ms = self.clock.now_ms() + END_MS;
        for (id, boxed) in &mut self.boxes {
            if boxed.kind == Kind::Keeper && boxed.set == set && !boxed.is_ending {
                boxed.close(&self.poller);
                self.timers.arm(Timer::Late(*id), by_ms);
            }
        }
        self.start_in_place(Kind::Keeper, set)
    }

    /// Looks again at cgroups in which something is still dying.
    pub(super) fn tidy_later(&mut self, is_dying: bool) {
        if is_dying {
            self.timers.arm(Timer::Tidy, self.clock.now_ms() + TIDY_MS);
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

//! What the boxes say to the root process.

use std::io;

use super::boxes::{BoxId, Boxed, Kind};
use super::{Phase, Root, Timer, token};
use crate::channel::Message;
use crate::link::{Confined, FromMonitor, FrontToRoot, RootCommand, ToMonitor};
use crate::messages;

/// What is done after a monitor was heard.
enum After {
    Nothing,
    LookWhetherReady,
    EndOldSet(bool),
    Replace(Option<std::path::PathBuf>, u64),
}

impl Root {
    pub(super) fn hear(&mut self, id: BoxId) -> io::Result<()> {
        loop {
            let Some(boxed) = self.boxes.get_mut(&id) else { return Ok(()) };
            let (kind, set) = (boxed.kind, boxed.set);
            boxed.process.channel.flush().ok();
            match boxed.process.channel.receive() {
                Ok(Some(message)) => {
                    let heard = if boxed.sandbox.is_none() {
                        self.confined(id, &message)
                    } else {
                        self.heard(kind, set, message)
                    };
                    if let Err(error) = heard {
                        self.print.say(messages::WORKER_FAILED, &[&kind.role(), &error]);
                        self.expel(id);
                        return Ok(());
                    }
                }
                Ok(None) => {
                    let wants_write = boxed.process.channel.wants_write();
                    let channel = &boxed.process.channel;
                    return self.poller.want_write(channel, token::CHANNEL | id, wants_write);
                }
                // These keep no channel: they are held to what they were born with.
                Err(_) if matches!(kind, Kind::Worker(_) | Kind::Host(_)) => {
                    let channel = &boxed.process.channel;
                    self.poller.remove(channel);
                    return Ok(());
                }
                // It ends; the pidfd says how. One that only closed its channel is ended.
                Err(_) => {
                    self.expel(id);
                    return Ok(());
                }
            }
        }
    }

    /// The first that a box says: its sandbox.
    fn confined(&mut self, id: BoxId, message: &Message) -> io::Result<()> {
        let Confined { sandbox } = message.head()?;
        let Some(boxed) = self.boxes.get_mut(&id) else { return Ok(()) };
        let values: [&dyn std::fmt::Display; 4] = [&boxed.title(), &boxed.process.pid, &boxed.uid, &sandbox];
        self.print.say(messages::CHILD_STARTED, &values);
        boxed.sandbox = Some(sandbox);
        Ok(())
    }

    /// Kills a box that does not keep to the protocol.
    fn expel(&mut self, id: BoxId) {
        if let Some(boxed) = self.boxes.get(&id) {
            self.poller.remove(&boxed.process.channel);
            super::spawn::kill(&boxed.process.pidfd);
        }
    }

    fn heard(&mut self, kind: Kind, set: u64, message: Message) -> io::Result<()> {
        match kind {
            Kind::Keeper | Kind::Worker(_) | Kind::Host(_) => Err(io::Error::other("it has nothing to say")),
            Kind::Front => {
                let FrontToRoot::Ready = message.head()?;
                self.ready_boxes.insert((kind, set));
                self.replacement_ready();
                Ok(())
            }
            Kind::Monitor => {
                // What concerns both sets is done when the one that counts is the one that counts again.
                match self.on_behalf_of(set, |root| root.heard_monitor(&message))? {
                    After::Nothing => {}
                    After::LookWhetherReady => self.replacement_ready(),
                    After::EndOldSet(is_clean) => self.end_old_set(is_clean),
                    After::Replace(module, ticket) => {
                        if let Err(why) = self.replace(module, Some((set, ticket))) {
                            let lines = vec![messages::REPLACE_FAILED.with(&[&why])];
                            let said = ToMonitor::Said { ticket, lines, is_last: true };
                            self.on_behalf_of(set, |root| root.tell_monitor(&said, Vec::new()));
                        }
                    }
                }
                Ok(())
            }
        }
    }

    /// Hears a monitor, on behalf of whose set this is called.
    fn heard_monitor(&mut self, message: &Message) -> io::Result<After> {
        match message.head()? {
            FromMonitor::Ready { services, plugins, version } => {
                if let Some(replacing) = self.replacing.as_mut().filter(|replacing| replacing.old != self.set)
                {
                    replacing.version = version;
                }
                self.ready_boxes.insert((Kind::Monitor, self.set));
                if self.phase == Phase::Starting {
                    self.phase = Phase::Running;
                    self.timers.disarm(Timer::Start);
                    let control = self.places.run.join("control");
                    self.print.say(messages::CONSOLE_STARTING, &[&control.display()]);
                    let values: [&dyn std::fmt::Display; 4] =
                        [&self.name, &self.generation, &services, &plugins];
                    self.print.say(messages::READY, &values);
                }
                Ok(After::LookWhetherReady)
            }
            FromMonitor::Drained { is_clean } => {
                if self
                    .replacing
                    .as_ref()
                    .is_some_and(|replacing| replacing.is_switched && replacing.old == self.set)
                {
                    return Ok(After::EndOldSet(is_clean));
                } else if self.phase == Phase::Draining {
                    self.unclean |= !is_clean;
                    self.print.say(messages::MAIN_LOOP_ENDED, &[]);
                    self.end();
                }
                Ok(After::Nothing)
            }
            FromMonitor::Operator { ticket, what } => {
                if let RootCommand::Replace(module) = what {
                    return Ok(After::Replace(module, ticket));
                }
                let lines = self.operator(&what);
                let said = ToMonitor::Said { ticket, lines, is_last: true };
                self.tell_monitor(&said, Vec::new());
                Ok(After::Nothing)
            }
            FromMonitor::NeedWorker { kind } => {
                let started = match tender_worker::Kind::named(&kind) {
                    Some(found) => self.start_worker(found).map_err(|error| error.to_string()),
                    None => Err("there is no such kind".to_owned()),
                };
                if let Err(why) = started {
                    self.tell_monitor(&ToMonitor::NoWorker { kind, why }, Vec::new());
                }
                Ok(After::Nothing)
            }
            FromMonitor::StartHost { module, start, parameter } => {
                if let Err(why) = self.start_host(&module, start, &parameter) {
                    self.tell_monitor(&ToMonitor::NoHost { module, start, why }, Vec::new());
                }
                Ok(After::Nothing)
            }
            FromMonitor::KillHost { start, .. } => {
                let set = self.set;
                let is_it =
                    |boxed: &&Boxed| boxed.kind == Kind::Host(start) && boxed.set == set && !boxed.is_ending;
                if let Some(boxed) = self.boxes.values().find(is_it) {
                    boxed.kill();
                }
                Ok(After::Nothing)
            }
        }
    }

    fn operator(&mut self, what: &RootCommand) -> Vec<String> {
        match what {
            RootCommand::Stop => {
                self.stop();
                vec![messages::STOP_RECEIVED.with(&[])]
            }
            RootCommand::Reload => self.reload(),
            RootCommand::Replace(_) => Vec::new(),
            RootCommand::Sandboxes => self.sandboxes(),
        }
    }

    /// Returns every process and how far its sandbox got, in lines.
    fn sandboxes(&self) -> Vec<String> {
        let own = (std::process::id(), rustix::process::geteuid().as_raw());
        let score = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap_or_default();
        let root = format!(
            "  root: pid {}, uid {}, no new privileges, not dumpable, OOM score {}",
            own.0,
            own.1,
            score.trim()
        );
        let mut boxes: Vec<_> = self.boxes.iter().collect();
        boxes.sort_by_key(|(id, boxed)| (boxed.kind, **id));
        let boxes = boxes.into_iter().map(|(_, boxed)| {
            let old = if boxed.set == self.set { "" } else { ", of the set that does not count" };
            let sandbox = boxed.sandbox.as_deref().unwrap_or("is being started");
            format!("  {}: pid {}, uid {}{old}, {sandbox}", boxed.title(), boxed.process.pid, boxed.uid)
        });
        std::iter::once(messages::DISPLAY.with(&[&"Sandboxes"])).chain([root]).chain(boxes).collect()
    }
}

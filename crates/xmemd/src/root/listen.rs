//! What the boxes say to the root process.

use std::io;

use super::boxes::{BoxId, Kind};
use super::{Phase, Root, Timer, token};
use crate::channel::Message;
use crate::link::{FromMonitor, FrontToRoot, RootCommand, ToMonitor};
use crate::messages;

impl Root {
    pub(super) fn hear(&mut self, id: BoxId) -> io::Result<()> {
        loop {
            let Some(boxed) = self.boxes.get_mut(&id) else { return Ok(()) };
            let (kind, set) = (boxed.kind, boxed.set);
            boxed.process.channel.flush().ok();
            match boxed.process.channel.receive() {
                Ok(Some(message)) => {
                    if let Err(error) = self.heard(kind, set, message) {
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
                // It ends; the pidfd says how. One that only closed its channel is ended.
                Err(_) => {
                    self.expel(id);
                    return Ok(());
                }
            }
        }
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
            Kind::Keeper | Kind::Worker(_) => Err(io::Error::other("it has nothing to say")),
            Kind::Front => {
                let FrontToRoot::Ready { sandbox } = message.head()?;
                self.print.debug(|| format!("front is ready, sandbox: {sandbox}"));
                self.ready_boxes.insert(kind);
                Ok(())
            }
            Kind::Monitor => self.heard_monitor(set, &message),
        }
    }

    fn heard_monitor(&mut self, set: u64, message: &Message) -> io::Result<()> {
        match message.head()? {
            FromMonitor::Ready { services, plugins, .. } => {
                self.ready_boxes.insert(Kind::Monitor);
                if self.phase == Phase::Starting {
                    self.phase = Phase::Running;
                    self.timers.disarm(Timer::Start);
                    let control = self.places.run.join("control");
                    self.print.say(messages::CONSOLE_STARTING, &[&control.display()]);
                    let values: [&dyn std::fmt::Display; 4] =
                        [&self.name, &self.generation, &services, &plugins];
                    self.print.say(messages::READY, &values);
                }
                Ok(())
            }
            FromMonitor::Drained { is_clean } => {
                if set == self.set && self.phase == Phase::Draining {
                    self.unclean |= !is_clean;
                    self.print.say(messages::MAIN_LOOP_ENDED, &[]);
                    self.end();
                }
                Ok(())
            }
            FromMonitor::Operator { ticket, what } => {
                let lines = self.operator(&what);
                let said = ToMonitor::Said { ticket, lines, is_last: true };
                self.tell_monitor(&said, Vec::new());
                Ok(())
            }
            FromMonitor::NeedWorker { kind } => {
                let started = match tender_worker::Kind::named(&kind) {
                    Some(found) => self.start_worker(found).map_err(|error| error.to_string()),
                    None => Err("there is no such kind".to_owned()),
                };
                if let Err(why) = started {
                    self.tell_monitor(&ToMonitor::NoWorker { kind, why }, Vec::new());
                }
                Ok(())
            }
            FromMonitor::StartHost { .. } | FromMonitor::KillHost { .. } => {
                Ok(())
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
            RootCommand::Replace(_) => vec![messages::REPLACE_FAILED.with(&[&"not yet"])],
            RootCommand::Processes => {
                let mut lines: Vec<String> = self
                    .boxes
                    .values()
                    .map(|boxed| format!("{} pid {}", boxed.kind.role(), boxed.process.pid))
                    .collect();
                lines.sort();
                lines
            }
        }
    }
}

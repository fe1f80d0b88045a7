//! Operators: who they are, what they may, and the way of their commands and answers.

use std::collections::VecDeque;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::net::SocketFlags;
use tender_saf::{AccessLevel, AuditEntry, Verdict};
use tender_xmem::frame::{Header, Kind, PACKET_BYTES_MAX};

use super::peer;
use super::rights::{self, CLASS};
use super::{AfterAudit, Monitor, Phase, token};
use crate::link::{FromMonitor, Report, ToFront};
use crate::operator::{self, Invocation, Outcome};
use crate::sysprint::Level;
use crate::wire::{self, Packet};
use crate::{messages, services};

/// Operators at once.
const OPERATORS_MAX: usize = 64;
/// Commands in progress at once.
const COMMANDS_MAX: usize = 30;
/// Lines that an operator may be owed.
const OWED_MAX: usize = 4096;

/// Somebody on the control socket.
#[derive(Debug)]
pub(super) struct Operator {
    pub(super) socket: OwnedFd,
    pub(super) uid: u32,
    pub(super) pid: u32,
    pub(super) gids: Vec<u32>,
    pub(super) program: String,
    owed: VecDeque<(Header, String)>,
}

/// A command whose answer comes from somebody else.
#[derive(Debug)]
pub(super) struct Commanding {
    operator: u64,
    sequence: u64,
    how: How,
}

#[derive(Debug)]
enum How {
    Report(fn(&Monitor, &Report) -> Vec<String>),
    Flush,
    Root,
    Plugin,
    /// The record of a right is being written; then this is done.
    Allowed(Invocation),
}

impl Monitor {
    pub(super) fn accept_operators(&mut self) {
        for _ in 0..8 {
            let Some(control) = &self.control else { return };
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let Ok(socket) = rustix::net::accept_with(control, flags) else { return };
            let identified = peer::identify(socket.as_fd(), self.settings.is_userns_allowed)
                .and_then(|peer| peer::refuse_plugin(&peer).map(|()| peer));
            let peer = match identified {
                Ok(peer) if self.operators.len() < OPERATORS_MAX => peer,
                Ok(_) => {
                    wire::turn_away(socket.as_fd(), wire::NO_ROOM, "too many operators");
                    continue;
                }
                Err(error) => {
                    let credentials = crate::sys::peer_pid(socket.as_fd());
                    let (uid, pid) = credentials.map_or((u32::MAX, 0), |found| (found.uid, found.pid));
                    let why = crate::role::chain(&error);
                    self.print.say(messages::CONNECTION_REFUSED, &[&uid, &pid, &why]);
                    wire::turn_away(socket.as_fd(), wire::DENIED, &why);
                    continue;
                }
            };
            // Asked for now, so that they are there when a command comes.
            self.names.get(peer.uid, &peer.gids);
            let id = self.ticket();
            if self.poller.add(&socket, token::OPERATOR | id).is_err() {
                continue;
            }
            let operator = Operator {
                socket,
                uid: peer.uid,
                pid: peer.pid,
                gids: peer.gids,
                program: peer.program,
                owed: VecDeque::new(),
            };
            self.operators.insert(id, operator);
        }
    }

    pub(super) fn hear_operator(&mut self, id: u64) {
        let mut buffer = vec![0; PACKET_BYTES_MAX + 1];
        for _ in 0..8 {
            let Some(operator) = self.operators.get(&id) else { return };
            match wire::receive(operator.socket.as_fd(), &mut buffer) {
                Packet::Nothing => break,
                Packet::Bytes(bytes, None) => match Header::decode_packet(&buffer[..bytes]) {
                    Ok((header, text)) if header.kind == Kind::Command => {
                        let text = String::from_utf8_lossy(text).into_owned();
                        self.command(id, header.sequence, &text);
                    }
                    // A client that greets before it commands is told that it can.
                    Ok((header, _)) if header.kind == Kind::Hello => {
                        self.owe(id, Header::new(Kind::Welcome, header.sequence), String::new());
                    }
                    _ => return self.dismiss(id),
                },
                Packet::Bytes(..) | Packet::End | Packet::Violation(_) => return self.dismiss(id),
            }
        }
        self.pay(id);
    }

    fn dismiss(&mut self, id: u64) {
        if let Some(operator) = self.operators.remove(&id) {
            self.poller.remove(&operator.socket);
        }
    }

    fn owe(&mut self, id: u64, mut header: Header, text: String) {
        let Some(operator) = self.operators.get_mut(&id) else { return };
        if operator.owed.len() >= OWED_MAX {
            return self.dismiss(id);
        }
        header.length = u32::try_from(text.len()).unwrap_or(0);
        operator.owed.push_back((header, text));
    }

    fn pay(&mut self, id: u64) {
        let Some(operator) = self.operators.get_mut(&id) else { return };
        while let Some((header, text)) = operator.owed.front() {
            match wire::send(operator.socket.as_fd(), header, text.as_bytes(), &[]) {
                Ok(()) => drop(operator.owed.pop_front()),
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::NOBUFS) => break,
                Err(_) => return self.dismiss(id),
            }
        }
        let wants_write = !operator.owed.is_empty();
        self.poller.want_write(&operator.socket, token::OPERATOR | id, wants_write).ok();
    }

    /// Answers a command.
    fn output(&mut self, id: u64, sequence: u64, lines: Vec<String>, code: u32) {
        let last = lines.len().saturating_sub(1);
        let lines = if lines.is_empty() { vec![String::new()] } else { lines };
        for (place, line) in lines.into_iter().enumerate() {
            let mut header = Header::new(Kind::Output, sequence);
            header.detail = u32::from(place == last);
            header.code = if place < last { 0 } else { code };
            // Several lines at once where a member, a plug-in or a program has put them into one.
            let line: String =
                line.chars().map(|found| if found.is_control() { ' ' } else { found }).collect();
            self.owe(id, header, line);
        }
        self.pay(id);
    }

    fn command(&mut self, id: u64, sequence: u64, text: &str) {
        let Some(operator) = self.operators.get(&id) else { return };
        let who = format!("uid {} pid {} {}", operator.uid, operator.pid, operator.program);
        let shown: String = text.chars().take(128).collect();
        self.print.say(messages::COMMAND_RECEIVED, &[&shown, &who]);
        if self.commanding.len() >= COMMANDS_MAX {
            return self.conclude(id, sequence, Outcome::line(messages::TOO_MANY_COMMANDS, &[]));
        }
        if self.phase == Phase::Starting {
            return self.conclude(id, sequence, Outcome::line(messages::NOT_READY, &[]));
        }
        let invocation = match operator::parse(text) {
            Ok(invocation) => invocation,
            Err(wrong) => return self.conclude(id, sequence, wrong),
        };
        let right = match &invocation.target {
            Some(target) => target.clone(),
            None => match operator::find(&invocation) {
                Ok(verb) => verb.names[0].split('(').next().unwrap_or_default().to_owned(),
                Err(wrong) => return self.conclude(id, sequence, wrong),
            },
        };
        self.ask_right(id, sequence, invocation, &right);
    }

    /// Decides whether an operator may; what was decided is on disk before anything happens.
    fn ask_right(&mut self, id: u64, sequence: u64, invocation: Invocation, right: &str) {
        let Some(operator) = self.operators.get(&id) else { return };
        let (uid, pid, gids) = (operator.uid, operator.pid, operator.gids.clone());
        let origin = format!("operator uid {uid} pid {pid} {}", operator.program);
        let resource = format!("ZWES.IS.OPER.{right}");
        let identity =
            self.names.get(uid, &gids).unwrap_or_else(|| super::names::Names::nameless(uid, &gids));
        let Some(policy) = &self.policy else { return };
        let subject = policy.compiled.subject(&identity);
        let asked = rights::question(CLASS, &resource, AccessLevel::Update);
        let decision = policy.compiled.decide(&subject, &asked);
        let mut entry = AuditEntry::of(jiff::Timestamp::now(), &subject, &asked, &decision);
        entry.origin = Some(origin);
        // A server without privilege is the own of whoever started it, who could also end it with a signal.
        let is_owner = !self.begin.is_privileged && uid == rustix::process::geteuid().as_raw();
        let is_allowed = decision.granted || uid == 0 || is_owner;
        if !decision.granted && is_allowed {
            entry.verdict = Verdict::Granted;
            entry.rule = match uid {
                0 => "uid 0 is an operator".to_owned(),
                _ => format!("uid {uid} started the server"),
            };
            entry.remedy = None;
        }
        if is_allowed {
            let ticket = self.ticket();
            self.commanding
                .insert(ticket, Commanding { operator: id, sequence, how: How::Allowed(invocation) });
            self.write_refusal(entry, AfterAudit::Command(ticket));
        } else {
            let why = format!("FACILITY {resource} UPDATE is needed: {}", entry.rule);
            let line = messages::COMMAND_REJECTED.with(&[&invocation.verb, &why]);
            self.write_refusal(entry, AfterAudit::Nobody);
            self.output(id, sequence, vec![line], wire::DENIED);
        }
    }

    /// Carries out a command that was allowed, and whose record is on disk.
    pub(super) fn carry_out(&mut self, ticket: u64, reference: u64) {
        let Some(Commanding { operator, sequence, how: How::Allowed(invocation) }) =
            self.commanding.remove(&ticket)
        else {
            return;
        };
        if reference == 0 {
            let why = "its record could not be written";
            let outcome = Outcome::line(messages::COMMAND_REJECTED, &[&invocation.verb, &why]);
            return self.conclude(operator, sequence, outcome);
        }
        let outcome = match (&invocation.target, operator::find(&invocation)) {
            (Some(target), _) => {
                let text = format!("{} {}", invocation.verb, invocation.rest);
                let ticket = self.ticket();
                match self.command_plugin(ticket, target, text.trim_end()) {
                    Ok(()) => {
                        self.commanding.insert(ticket, Commanding { operator, sequence, how: How::Plugin });
                        return;
                    }
                    Err(outcome) => outcome,
                }
            }
            (None, Ok(verb)) => (verb.run)(self, &invocation),
            (None, Err(wrong)) => wrong,
        };
        self.conclude(operator, sequence, outcome);
    }

    fn conclude(&mut self, operator: u64, sequence: u64, outcome: Outcome) {
        let how = match outcome {
            Outcome::Lines(lines, code) => {
                for line in &lines {
                    self.print.line(crate::sysprint::stamped("MONITOR", line));
                }
                return self.output(operator, sequence, lines, code);
            }
            Outcome::AskFront(make) => How::Report(make),
            Outcome::Flush => How::Flush,
            Outcome::AskRoot(_) => How::Root,
        };
        let ticket = self.ticket();
        let is_flush = matches!(how, How::Flush);
        let is_root = matches!(how, How::Root);
        self.commanding.insert(ticket, Commanding { operator, sequence, how });
        if let Outcome::AskRoot(what) = outcome {
            self.tell_root(&FromMonitor::Operator { ticket, what }).ok();
        } else if self.front.is_none() {
            self.commanding.remove(&ticket);
            self.output(operator, sequence, vec![messages::NOT_READY.with(&[])], 4);
        } else if is_flush {
            self.print.flush(std::time::Duration::from_secs(1));
            self.tell_front(&ToFront::Flush { ticket }, &[], Vec::new());
        } else if !is_root {
            self.tell_front(&ToFront::Report { ticket }, &[], Vec::new());
        }
    }

    /// The front has printed everything.
    pub(super) fn flushed(&mut self, ticket: u64) {
        if let Some(Commanding { operator, sequence, .. }) = self.commanding.remove(&ticket) {
            self.output(operator, sequence, vec![messages::FLUSHED.with(&[])], 0);
        }
    }

    /// A plug-in has answered.
    pub(super) fn plugin_answered(&mut self, ticket: u64, lines: Vec<String>, code: u32) {
        if let Some(Commanding { operator, sequence, .. }) = self.commanding.remove(&ticket) {
            self.output(operator, sequence, lines, code);
        }
    }

    /// The front has reported.
    pub(super) fn reported(&mut self, ticket: u64, report: &Report) {
        if let Some(Commanding { operator, sequence, how: How::Report(make) }) =
            self.commanding.remove(&ticket)
        {
            let lines = make(self, report);
            self.output(operator, sequence, lines, 0);
        }
    }

    /// The root process has answered.
    pub(super) fn root_said(&mut self, ticket: u64, lines: Vec<String>, is_last: bool) {
        if !is_last {
            if let Some(Commanding { operator, sequence, .. }) = self.commanding.get(&ticket) {
                let (operator, sequence) = (*operator, *sequence);
                for line in lines {
                    let header = Header::new(Kind::Output, sequence);
                    self.owe(operator, header, line);
                }
                self.pay(operator);
            }
        } else if let Some(Commanding { operator, sequence, .. }) = self.commanding.remove(&ticket) {
            let is_warning = lines.last().is_some_and(|line| line.get(8..9) == Some("W"));
            self.output(operator, sequence, lines, if is_warning { 4 } else { 0 });
        }
    }

    /// The front is gone, and what it was asked with it.
    pub(super) fn commands_lost(&mut self) {
        let lost: Vec<u64> = self
            .commanding
            .iter()
            .filter(|(_, found)| matches!(found.how, How::Report(_) | How::Flush))
            .map(|(ticket, _)| *ticket)
            .collect();
        for ticket in lost {
            if let Some(Commanding { operator, sequence, .. }) = self.commanding.remove(&ticket) {
                self.output(operator, sequence, vec![messages::NOT_READY.with(&[])], 4);
            }
        }
    }

    /// Changes how much is printed.
    pub(crate) fn set_level(&mut self, component: &str, level: Level) {
        match component {
            "CMSPC" => self.tell_front(&ToFront::Level(level), &[], Vec::new()),
            _ => self.print.set_level(level),
        }
    }

    /// Returns what the server is, in lines.
    pub(crate) fn config_lines(&self) -> Vec<String> {
        let begin = &self.begin;
        let settings = &self.settings;
        let (database, epoch) =
            self.policy.as_ref().map_or((&begin.database, 0), |policy| (&policy.path, policy.epoch));
        let mut lines = vec![
            format!("  server {} generation {}", begin.server, begin.generation),
            format!("  version {}", env!("CARGO_PKG_VERSION")),
            format!("  run {}", begin.run.display()),
            format!("  state {}", begin.state.display()),
            format!("  parmlib {}", begin.parmlib.display()),
            format!("  profiles {} epoch {epoch}", database.display()),
            format!("  privileged {}", if begin.is_privileged { "yes" } else { "no" }),
            format!("  services {}", services::ALL.len()),
            format!(
                "  calls {} of the server, {} of a user, {} of a connection",
                settings.calls_max, settings.calls_per_uid_max, settings.calls_per_connection_max
            ),
            format!("  deadline {} ms, drain {} ms", settings.deadline_ms, settings.drain_ms),
            format!("  log level {}", self.print.level()),
        ];
        // What is for one client alone may be a secret, and these lines are printed as well.
        let shown = |(key, value): &(String, String)| match key.starts_with("ZWES.CLIENT.") {
            true => format!("  {key}=(not shown)"),
            false => format!("  {key}={value}"),
        };
        lines.extend(settings.parameters.iter().map(shown));
        lines
    }
}

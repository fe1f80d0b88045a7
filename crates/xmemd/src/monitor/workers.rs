//! Workers: asked for when they are needed, given orders, replaced when they end.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::OwnedFd;

use tender_worker::Kind;
use tender_worker::order::{OrderError, Orders, Work};
use tender_xmem::code::CmsCode;

use super::calls::{AfterWork, Answer, Asking, Waits};
use super::{Monitor, token};
use crate::link::FromMonitor;
use crate::messages;

/// An order that waits for a worker.
#[derive(Debug)]
struct Waiting {
    ticket: u64,
    work: Work,
    fds: Vec<OwnedFd>,
    asked: Asking,
}

/// The worker of one kind.
#[derive(Debug, Default)]
pub(super) struct Worker {
    orders: Option<Orders>,
    is_coming: bool,
    waiting: VecDeque<Waiting>,
    /// Ticket by order.
    tickets: HashMap<u64, u64>,
    ended: u32,
}

/// Orders that may wait for a worker that is coming.
const WAITING_MAX: usize = 1024;

impl Monitor {
    /// Has something done by a worker.
    pub(super) fn order(&mut self, asked: Asking, work: Work, fds: Vec<OwnedFd>, then: AfterWork) {
        let Some(kind) = work.kind() else { return };
        if !self.begin.is_privileged {
            return self.follow(asked, Answer::code(CmsCode::NotPossibleHere));
        }
        let ticket = self.ticket();
        let worker = self.workers.entry(kind).or_default();
        if worker.waiting.len() >= WAITING_MAX {
            return self.follow(asked, Answer::code(CmsCode::NoRoom));
        }
        self.waits.insert(ticket, (asked, Waits::Worker(then)));
        worker.waiting.push_back(Waiting { ticket, work, fds, asked });
        self.give_orders(kind);
    }

    fn give_orders(&mut self, kind: Kind) {
        let Some(worker) = self.workers.get_mut(&kind) else { return };
        let Some(orders) = &mut worker.orders else {
            if !worker.is_coming {
                worker.is_coming = true;
                self.tell_root(&FromMonitor::NeedWorker { kind: kind.name().to_owned() }).ok();
            }
            return;
        };
        let mut failed = Vec::new();
        let mut is_over = false;
        while let Some(next) = worker.waiting.pop_front() {
            match orders.send(next.work, next.fds, Self::time_for(next.asked)) {
                Ok(id) => drop(worker.tickets.insert(id, next.ticket)),
                Err(error) => {
                    failed.push(next.ticket);
                    if matches!(error, OrderError::Ended { .. } | OrderError::Channel { .. }) {
                        is_over = true;
                        break;
                    }
                }
            }
        }
        let wants_write = orders.wants_write();
        self.poller.want_write(&*orders, token::WORKER | kind as u64, wants_write).ok();
        for ticket in failed {
            self.worked(ticket, None);
        }
        if is_over {
            self.worker_ended(kind);
        }
    }

    /// Takes a worker that was just started.
    pub(super) fn worker_started(&mut self, kind: &str, channel: OwnedFd) -> io::Result<()> {
        let Some(kind) = Kind::named(kind) else { return Err(io::Error::other("no such kind of worker")) };
        let orders = Orders::new(kind, channel).map_err(io::Error::other)?;
        self.poller.add(&orders, token::WORKER | kind as u64)?;
        let worker = self.workers.entry(kind).or_default();
        worker.is_coming = false;
        worker.orders = Some(orders);
        self.give_orders(kind);
        Ok(())
    }

    /// No worker of a kind can be had.
    pub(super) fn no_worker(&mut self, kind: &str, why: &str) {
        self.print.say(messages::WORKER_FAILED, &[&kind, &why]);
        let Some(kind) = Kind::named(kind) else { return };
        let Some(worker) = self.workers.get_mut(&kind) else { return };
        worker.is_coming = false;
        for waiting in std::mem::take(&mut worker.waiting) {
            self.worked(waiting.ticket, None);
        }
    }

    /// Takes what a worker has answered.
    pub(super) fn hear_worker(&mut self, number: u64) {
        let Some(kind) = Kind::ALL.into_iter().find(|kind| *kind as u64 == number) else { return };
        loop {
            let Some(worker) = self.workers.get_mut(&kind) else { return };
            let Some(orders) = &mut worker.orders else { return };
            let flushed = orders.flush();
            match flushed.and_then(|()| orders.receive()) {
                Ok(Some(answer)) => {
                    let ticket = worker.tickets.remove(&answer.id);
                    if let Some(ticket) = ticket {
                        self.worked(ticket, Some((answer.outcome, answer.descriptors)));
                    }
                }
                Ok(None) => {
                    let wants_write = orders.wants_write();
                    self.poller.want_write(&*orders, token::WORKER | number, wants_write).ok();
                    return;
                }
                Err(error) => {
                    self.print.say(messages::WORKER_FAILED, &[&kind, &error]);
                    return self.worker_ended(kind);
                }
            }
        }
    }

    /// A worker has ended: its callers get 36, and the next order starts another.
    fn worker_ended(&mut self, kind: Kind) {
        let Some(worker) = self.workers.get_mut(&kind) else { return };
        if let Some(orders) = worker.orders.take() {
            self.poller.remove(&orders);
        }
        worker.ended += 1;
        for (_, ticket) in std::mem::take(&mut worker.tickets) {
            self.worked(ticket, None);
        }
        if self.workers.get(&kind).is_some_and(|worker| !worker.waiting.is_empty()) {
            self.give_orders(kind);
        }
    }

    /// Asks a worker to end an order that nobody waits for.
    pub(super) fn cancel_order(&mut self, ticket: u64) {
        for worker in self.workers.values_mut() {
            let found = worker.tickets.iter().find(|(_, found)| **found == ticket).map(|(id, _)| *id);
            if let (Some(id), Some(orders)) = (found, &mut worker.orders) {
                orders.cancel(id).ok();
            }
        }
    }

    /// Returns the workers, in lines.
    pub(crate) fn worker_lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self
            .workers
            .iter()
            .map(|(kind, worker)| {
                let state = if worker.orders.is_some() { "ready" } else { "not started" };
                format!(
                    "  worker {kind}: {state}, {} orders, ended {} times",
                    worker.tickets.len(),
                    worker.ended
                )
            })
            .collect();
        lines.sort();
        lines
    }
}

//! What is to be written to etcd, and what came of it.

use std::collections::BTreeSet;

use super::super::Key;
use super::super::record::{Record, key_of};
use super::super::said::Said;
use super::{Journal, Sent, Waiting};
use crate::discovery::registry::{Kept, Registry};

/// Something to be written if nobody has written it since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) key: Key,
    /// Which order this is, for its answer.
    pub(crate) number: u64,
    /// The key as etcd has it.
    pub(crate) place: Vec<u8>,
    /// The revision in which it was written last; nothing when it is not there.
    pub(crate) revision: Option<i64>,
    pub(crate) write: Write,
}

/// What is to be done with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Write {
    /// It is to be this.
    Put {
        value: Vec<u8>,
        /// The lease to write under; another must be taken when there is none.
        lease: Option<i64>,
        /// How long a lease lasts that must be taken.
        ttl_s: u64,
    },
    /// It is to go.
    Delete,
}

/// What came of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It was carried out in this revision.
    Done { revision: i64 },
    /// Somebody else wrote before.
    Conflict,
    /// The lease to write under is gone.
    NoLease,
    /// etcd does not take it.
    Refused,
    /// Nobody knows whether it was carried out.
    Failed,
}

impl Journal {
    /// Takes what is to be written, at most so much at once; nothing only when nothing is due.
    pub(crate) fn take(&mut self, registry: &Registry, most: usize) -> Vec<Order> {
        loop {
            let is_due = |(key, waiting): &(&Key, &Waiting)| {
                let is_free = waiting.after.is_none_or(|after| self.seen > after);
                is_free && !waiting.is_refused && !self.sent.contains_key(*key)
            };
            let due = self.said.iter().filter(is_due).take(most).map(|(key, _)| key.clone());
            let due: Vec<Key> = due.collect();
            let is_done = due.is_empty();
            let orders: Vec<Order> = due.into_iter().filter_map(|key| self.order(registry, key)).collect();
            if is_done || !orders.is_empty() {
                return orders;
            }
        }
    }

    /// Makes of what was said of an instance what is to be written; nothing when it is gone and nobody has to be told.
    fn order(&mut self, registry: &Registry, key: Key) -> Option<Order> {
        let Waiting { said, .. } = self.said.remove(&key)?;
        let known = self.known.get(&key);
        let write = match registry.get(&key.0, &key.1) {
            Some(entry) => {
                let is_elsewhere = entry.kept() == Kept::Elsewhere;
                let elsewhere = known.filter(|_| is_elsewhere).map(|known| known.heard_by.clone());
                let ttl_s = self.ttl_s(entry.instance.lease.duration_s);
                let lease = known.filter(|known| known.lease != 0 && known.ttl_s == ttl_s);
                let record = Record {
                    instance: (*entry.instance).clone(),
                    heard_by: elsewhere.unwrap_or_else(|| self.name.clone()),
                    writer: self.name.clone(),
                    number: self.number + 1,
                };
                Write::Put { value: record.write(), lease: lease.map(|known| known.lease), ttl_s }
            }
            None if known.is_some() && said.cancelled.is_some() => Write::Delete,
            None => return None,
        };
        let revision = known.map(|known| known.revision);
        self.number += 1;
        let (number, place) = (self.number, key_of(&self.prefix, &key));
        self.sent.insert(key.clone(), Sent { number, said, seen: self.seen, done: None });
        Some(Order { key, number, place, revision, write })
    }

    /// Takes what came of an order.
    pub(crate) fn answered(&mut self, order: &Order, answer: Answer) {
        // What was seen to be carried out, or has become needless, is no longer there.
        let Some(sent) = self.sent.get_mut(&order.key).filter(|sent| sent.number == order.number) else {
            return;
        };
        if let Answer::Done { revision } = answer
            && revision > self.seen
        {
            // It counts when it is seen, between what others wrote before and after it.
            sent.done = Some(revision);
            return;
        }
        // What was carried out and not seen, because everything was read anew meanwhile, is said again: others may have
        // written since.
        let Some(Sent { said, seen, .. }) = self.sent.remove(&order.key) else { return };
        let is_conflict = answer == Answer::Conflict;
        if answer == Answer::NoLease
            && let Some(known) = self.known.get_mut(&order.key)
        {
            known.lease = 0;
        }
        self.again(order.key.clone(), said, is_conflict.then_some(seen), answer == Answer::Refused);
        self.has_news = true;
    }

    /// Forgets what was carried out in a revision that was seen: it is what was seen, or others wrote over it.
    pub(super) fn drop_seen(&mut self) {
        let seen = self.seen;
        self.sent.retain(|_, sent| sent.done.is_none_or(|done| done > seen));
        self.has_news |= !self.said.is_empty();
    }

    pub(super) fn again(&mut self, key: Key, said: Said, after: Option<i64>, is_refused: bool) {
        // What was said since may be taken.
        let is_same = !self.said.contains_key(&key);
        let waiting = self.said.entry(key).or_default();
        let later = std::mem::take(&mut waiting.said);
        *waiting = Waiting { said: said.and(later), after, is_refused: is_refused && is_same };
    }

    /// Says whether there is something that etcd did not take.
    pub(crate) fn has_refused(&self) -> bool {
        self.said.values().any(|waiting| waiting.is_refused)
    }

    /// Has written again what etcd did not take.
    pub(crate) fn retry_refused(&mut self) {
        self.said.values_mut().for_each(|waiting| waiting.is_refused = false);
    }

    /// Takes the leases that are to be renewed.
    pub(crate) fn take_renewals(&mut self) -> BTreeSet<i64> {
        let taken = std::mem::take(&mut self.renewals);
        self.asked.extend(&taken);
        taken
    }

    /// No more answers come to renewals that were asked for: they are to be asked for again.
    pub(crate) fn renewals_lost(&mut self) {
        let asked = std::mem::take(&mut self.asked);
        self.has_news |= !asked.is_empty();
        self.renewals.extend(asked);
    }
}

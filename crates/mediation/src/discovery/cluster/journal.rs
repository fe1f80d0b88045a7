//! What etcd has, what it is still to be told, and what it told: decides, and leaves the asking to others.

mod orders;

use std::collections::{BTreeMap, BTreeSet};

use super::Key;
use super::record::{self, Record, RecordError};
use super::said::{self, Effect, Said};
use crate::discovery::registry::{Entry, Kept, Limit, Registered, Registry};

pub(crate) use orders::{Answer, Order, Write};

/// What etcd has of an instance, as far as it told.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    /// In which revision it was written.
    revision: i64,
    /// 0 when it is known to be gone, so that the key goes, too.
    lease: i64,
    ttl_s: u64,
    heard_by: String,
}

/// What is to be written, and waits.
#[derive(Debug, Default)]
struct Waiting {
    said: Said,
    /// Somebody else wrote: nothing is tried before more than this revision was seen.
    after: Option<i64>,
    /// etcd does not take it as it is.
    is_refused: bool,
}

/// What is being written.
#[derive(Debug)]
struct Sent {
    number: u64,
    said: Said,
    /// What was seen when it was sent.
    seen: i64,
    /// In which revision it was carried out, once that is known.
    done: Option<i64>,
}

/// What happened to the registry that an administrator may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// An instance is gone: its lease ended, or it was cancelled at another server.
    Gone(Key),
    /// An instance that another server took is not taken here.
    Refused(Key, Limit),
}

/// A key as etcd has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) key: Key,
    pub(crate) record: Record,
    pub(crate) revision: i64,
    pub(crate) lease: i64,
}

impl Asked {
    /// Reads what a key below a prefix stands for.
    pub(crate) fn read(
        prefix: &str,
        (place, value): (&[u8], &[u8]),
        (revision, lease): (i64, i64),
        now_ms: u64,
    ) -> Result<Self, RecordError> {
        let key = record::read_key(prefix, place)?;
        let record = Record::read(&key, value, now_ms)?;
        Ok(Self { key, record, revision, lease })
    }
}

/// What one server has to do with etcd.
#[derive(Debug)]
pub(crate) struct Journal {
    /// What the keys of instances begin with.
    prefix: String,
    /// This server, of this start.
    name: String,
    /// How many times its duration a lease lasts.
    lease_factor: u64,
    known: BTreeMap<Key, Known>,
    /// Whose leases they are.
    leases: BTreeMap<i64, Key>,
    said: BTreeMap<Key, Waiting>,
    sent: BTreeMap<Key, Sent>,
    /// Instances that were heard of here and etcd does not have: their leases tell why.
    doubtful: BTreeSet<Key>,
    renewals: BTreeSet<i64>,
    /// Renewals whose answer is not there yet.
    asked: BTreeSet<i64>,
    number: u64,
    /// Up to which revision changes were seen.
    seen: i64,
    has_news: bool,
}

impl Journal {
    /// Makes one that knows nothing; no two servers and no two starts of one may have the same name.
    pub(crate) fn new(name: String, prefix: &str, is_double_lease: bool) -> Self {
        Self {
            prefix: record::key_prefix(prefix),
            name,
            lease_factor: if is_double_lease { 2 } else { 1 },
            known: BTreeMap::new(),
            leases: BTreeMap::new(),
            said: BTreeMap::new(),
            sent: BTreeMap::new(),
            doubtful: BTreeSet::new(),
            renewals: BTreeSet::new(),
            asked: BTreeSet::new(),
            number: 0,
            seen: 0,
            has_news: false,
        }
    }

    /// Says whether there is something to be written or renewed since this was asked last.
    pub(crate) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.has_news)
    }

    /// Returns how many instances etcd is still to be told of.
    pub(crate) fn waiting(&self) -> usize {
        self.said.len() + self.sent.keys().filter(|key| !self.said.contains_key(*key)).count()
    }

    /// An instance was announced here.
    pub(crate) fn announced(&mut self, key: Key) {
        self.renew(&key);
        self.say(key, Said::announced());
    }

    /// An operator set or removed the status of an instance here.
    pub(crate) fn ruled(&mut self, key: Key) {
        self.say(key, Said::ruled());
    }

    /// Metadata of an instance was added here.
    pub(crate) fn added(&mut self, key: Key, metadata: BTreeMap<String, String>) {
        self.say(key, Said::added(metadata));
    }

    /// An instance that last changed at this time was cancelled here.
    pub(crate) fn cancelled(&mut self, key: Key, dirty_ms: u64) {
        self.say(key, Said::cancelled(dirty_ms));
    }

    /// An instance was heard of here.
    pub(crate) fn heard(&mut self, registry: &Registry, key: &Key) {
        self.renew(key);
        let is_told = self.is_told(key);
        let kept = registry.get(&key.0, &key.1).map(Entry::kept);
        match self.known.get(key) {
            Some(known) if kept == Some(Kept::Here) && known.heard_by != self.name && !is_told => {
                self.say(key.clone(), Said::default());
            }
            None if !is_told && !self.doubtful.contains(key) => self.say(key.clone(), Said::announced()),
            _ => {}
        }
    }

    /// Has the lease of an instance renewed.
    pub(crate) fn renew(&mut self, key: &Key) {
        if let Some(known) = self.known.get(key).filter(|known| known.lease != 0) {
            self.renewals.insert(known.lease);
            self.has_news = true;
        }
    }

    /// Takes what was written, also by this server, to the registry.
    pub(crate) fn written(&mut self, registry: &mut Registry, asked: Asked, now_ms: u64) -> Option<Told> {
        let Asked { key, record, revision, lease } = asked;
        self.saw(revision);
        if self.known.get(&key).is_some_and(|known| known.revision >= revision) {
            return None;
        }
        let ttl_s = self.ttl_s(record.instance.lease.duration_s);
        let Record { instance: theirs, heard_by, writer, number } = record;
        let is_mine = heard_by == self.name;
        self.know(&key, Known { revision, lease, ttl_s, heard_by });
        if self.doubtful.remove(&key) {
            self.leases.retain(|own, of| *of != key || *own == lease);
        }
        if writer == self.name && self.sent.get(&key).is_some_and(|sent| sent.number == number) {
            self.sent.remove(&key);
        }
        let said = self.all_said(&key);
        let ours = registry.get(&key.0, &key.1).map(|entry| &*entry.instance);
        match said::written(said.as_ref(), ours, theirs) {
            Effect::Become { instance, is_still_said } => {
                let is_announced = is_still_said && said.is_some_and(|said| said.is_announced);
                if !is_still_said {
                    self.forget(&key);
                }
                let kept = if is_mine || is_announced { Kept::Here } else { Kept::Elsewhere };
                match registry.adopt(*instance, kept, now_ms) {
                    Registered::Full(limit) => Some(Told::Refused(key, limit)),
                    _ => None,
                }
            }
            Effect::Stay | Effect::Go => None,
        }
    }

    /// Takes to the registry that an instance is gone.
    pub(crate) fn deleted(
        &mut self,
        registry: &mut Registry,
        key: Key,
        revision: i64,
        now_ms: u64,
    ) -> Option<Told> {
        self.saw(revision);
        self.known.get(&key).filter(|known| known.revision < revision)?;
        self.unknow(&key);
        self.gone(registry, key, now_ms)
    }

    /// Takes that a key stands for nothing that is understood: who hears of the instance writes over it.
    pub(crate) fn spoilt(&mut self, registry: &Registry, key: Key, revision: i64, lease: i64) {
        self.saw(revision);
        if self.known.get(&key).is_some_and(|known| known.revision >= revision) {
            return;
        }
        self.know(&key, Known { revision, lease, ttl_s: 0, heard_by: String::new() });
        let is_ours = registry.get(&key.0, &key.1).is_some_and(|entry| entry.kept() != Kept::Elsewhere);
        if is_ours {
            self.say(key, Said::announced());
        }
    }

    /// Says whether a key stands for what it stood for when it was seen last.
    pub(crate) fn is_unchanged(&self, key: &Key, revision: i64, lease: i64) -> bool {
        self.known.get(key).is_some_and(|known| (known.revision, known.lease) == (revision, lease))
    }

    /// Takes all that etcd has to the registry, and what it has not: for who may have missed changes. Of what is
    /// unchanged the keys are enough.
    pub(crate) fn all(
        &mut self,
        registry: &mut Registry,
        all: Vec<Asked>,
        unchanged: Vec<Key>,
        revision: i64,
        now_ms: u64,
    ) -> Vec<Told> {
        if revision < self.seen {
            self.begin_anew(revision);
        }
        let there: BTreeSet<Key> = all.iter().map(|asked| asked.key.clone()).chain(unchanged).collect();
        let missed: Vec<Key> = self.known.keys().filter(|key| !there.contains(*key)).cloned().collect();
        let mut told = Vec::new();
        for key in missed {
            told.extend(self.missed(registry, key, now_ms));
        }
        for asked in all {
            if let Some(known) =
                self.known.get_mut(&asked.key).filter(|known| known.revision > asked.revision)
            {
                known.revision = 0;
            }
            told.extend(self.written(registry, asked, now_ms));
        }
        self.saw(revision);
        // Whoever nobody knows of but us.
        let others: Vec<(Key, bool)> = registry
            .entries()
            .map(|entry| {
                let key = (entry.instance.app.clone(), entry.instance.id.clone());
                (key, entry.kept() == Kept::Own || entry.is_heard(now_ms))
            })
            .filter(|(key, _)| {
                !self.known.contains_key(key) && !self.is_told(key) && !self.doubtful.contains(key)
            })
            .collect();
        for (key, is_alive) in others {
            if is_alive {
                self.say(key, Said::announced());
            } else {
                told.extend(self.gone(registry, key, now_ms));
            }
        }
        told
    }

    /// Takes what became of a lease that was renewed.
    pub(crate) fn renewed(
        &mut self,
        registry: &mut Registry,
        lease: i64,
        is_there: bool,
        now_ms: u64,
    ) -> Option<Told> {
        self.asked.remove(&lease);
        let key = self.leases.get(&lease)?.clone();
        if self.doubtful.remove(&key) {
            self.leases.remove(&lease);
            if is_there {
                // Somebody took the key away and not the lease: the instance was cancelled.
                return self.gone(registry, key, now_ms);
            }
            self.say(key, Said::announced());
            return None;
        }
        if let Some(known) = self.known.get_mut(&key).filter(|known| !is_there && known.lease == lease) {
            known.lease = 0;
            self.leases.remove(&lease);
            let entry = registry.get(&key.0, &key.1);
            if entry.is_some_and(|entry| entry.kept() == Kept::Own || entry.is_heard(now_ms)) {
                self.say(key, Said::announced());
            }
        }
        None
    }

    /// It is another etcd than before, or one that was set back: its revisions begin anew.
    fn begin_anew(&mut self, revision: i64) {
        self.seen = revision;
        self.known.values_mut().for_each(|known| known.revision = 0);
        for (key, sent) in std::mem::take(&mut self.sent) {
            self.again(key, sent.said, None, false);
        }
        self.said.values_mut().for_each(|waiting| waiting.after = None);
        self.has_news = true;
    }

    /// Takes to the registry that a key went unseen. Whoever was heard of here meanwhile lives, or was cancelled: that its
    /// lease tells.
    fn missed(&mut self, registry: &mut Registry, key: Key, now_ms: u64) -> Option<Told> {
        let lease = self.unknow(&key);
        let entry = registry.get(&key.0, &key.1);
        let is_heard = entry.is_some_and(|entry| entry.kept() != Kept::Own && entry.is_heard(now_ms));
        if is_heard && lease != 0 && !self.all_said(&key).is_some_and(|said| said.is_announced) {
            self.leases.insert(lease, key.clone());
            self.doubtful.insert(key);
            self.renewals.insert(lease);
            self.has_news = true;
            return None;
        }
        self.gone(registry, key, now_ms)
    }

    fn gone(&mut self, registry: &mut Registry, key: Key, now_ms: u64) -> Option<Told> {
        let said = self.all_said(&key);
        let is_own = registry.get(&key.0, &key.1).is_some_and(|entry| entry.kept() == Kept::Own);
        match said::deleted(said.as_ref(), is_own) {
            Effect::Stay => {
                if said.is_none() {
                    self.say(key, Said::announced());
                }
                None
            }
            _ => {
                self.forget(&key);
                registry.lose(&key.0, &key.1, now_ms).map(|_| Told::Gone(key))
            }
        }
    }

    /// Changes were seen up to this revision: what waits for them may be tried.
    fn saw(&mut self, revision: i64) {
        self.seen = self.seen.max(revision);
        self.drop_seen();
    }

    fn say(&mut self, key: Key, said: Said) {
        let waiting = self.said.entry(key).or_default();
        waiting.said = std::mem::take(&mut waiting.said).and(said);
        waiting.is_refused = false;
        self.has_news = true;
    }

    fn is_told(&self, key: &Key) -> bool {
        self.said.contains_key(key) || self.sent.contains_key(key)
    }

    /// Returns what was said here of an instance and is not known to be written.
    fn all_said(&self, key: &Key) -> Option<Said> {
        let sent = self.sent.get(key).map(|sent| sent.said.clone());
        let waiting = self.said.get(key).map(|waiting| waiting.said.clone());
        match (sent, waiting) {
            (Some(sent), Some(waiting)) => Some(sent.and(waiting)),
            (one, other) => one.or(other),
        }
    }

    /// Nothing is to be written of an instance any more.
    fn forget(&mut self, key: &Key) {
        self.said.remove(key);
        self.sent.remove(key);
        self.doubtful.remove(key);
    }

    fn ttl_s(&self, duration_s: u64) -> u64 {
        duration_s.saturating_mul(self.lease_factor)
    }

    fn know(&mut self, key: &Key, known: Known) {
        self.unknow(key);
        if known.lease != 0 {
            self.leases.insert(known.lease, key.clone());
        }
        self.known.insert(key.clone(), known);
    }

    /// Returns the lease that the instance had.
    fn unknow(&mut self, key: &Key) -> i64 {
        let lease = self.known.remove(key).map_or(0, |known| known.lease);
        self.leases.remove(&lease);
        lease
    }
}

#[cfg(test)]
mod tests;

//! What a peer is still to be told: of which instances, not in which order.
//!
//! What is told is how an instance is when it is told: however long a peer is away, there is one thing to tell of each.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Instances that may wait to be told of; of others the peer learns when they renew their leases.
const PENDING_MAX: usize = 100_000;

/// Service and instance.
pub(in crate::discovery::service) type Key = (String, String);

/// What is new of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::discovery::service) struct News {
    /// More than that its lease was renewed.
    pub(in crate::discovery::service) is_changed: bool,
    /// An operator's status was removed.
    pub(in crate::discovery::service) is_override_removed: bool,
}

impl News {
    /// Its lease was renewed.
    pub(in crate::discovery::service) const RENEWED: Self =
        Self { is_changed: false, is_override_removed: false };
    /// It is there, gone, or different.
    pub(in crate::discovery::service) const CHANGED: Self =
        Self { is_changed: true, is_override_removed: false };
    /// An operator's status was removed.
    pub(in crate::discovery::service) const OVERRIDE_REMOVED: Self =
        Self { is_changed: true, is_override_removed: true };
}

/// What one peer is still to be told.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pending: Mutex<BTreeMap<Key, News>>,
    filled: Notify,
}

impl Outbox {
    fn pending(&self) -> MutexGuard<'_, BTreeMap<Key, News>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds news of an instance to what is there.
    pub(super) fn add(&self, key: Key, news: News) {
        let mut pending = self.pending();
        if pending.len() >= PENDING_MAX && !pending.contains_key(&key) {
            return;
        }
        let all = pending.entry(key).or_default();
        all.is_changed |= news.is_changed;
        all.is_override_removed |= news.is_override_removed;
        drop(pending);
        self.filled.notify_one();
    }

    /// Waits until there is something, and takes at most so much.
    pub(super) async fn take(&self, most: usize) -> Vec<(Key, News)> {
        loop {
            let filled = self.filled.notified();
            let taken: Vec<_> = {
                let mut pending = self.pending();
                std::iter::from_fn(|| pending.pop_first()).take(most).collect()
            };
            if !taken.is_empty() {
                return taken;
            }
            filled.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn news_of_one_instance_are_told_together_and_a_few_at_a_time() {
        let outbox = Outbox::default();
        let key = |id: &str| ("SVC".to_owned(), id.to_owned());
        outbox.add(key("a"), News::OVERRIDE_REMOVED);
        outbox.add(key("a"), News::RENEWED);
        outbox.add(key("b"), News::RENEWED);
        assert_eq!(outbox.take(1).await, [(key("a"), News::OVERRIDE_REMOVED)]);
        assert_eq!(outbox.take(9).await, [(key("b"), News::RENEWED)]);
        let (taken, ()) = tokio::join!(outbox.take(9), async { outbox.add(key("c"), News::CHANGED) });
        assert_eq!(taken, [(key("c"), News::CHANGED)]);
    }
}

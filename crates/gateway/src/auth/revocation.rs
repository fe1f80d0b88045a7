//! Tokens that were logged out: known here at once, and to all gateways that share a store.
//!
//! ```text
//! logout ──► own memory ──► store ──► memory of the other gateways, a second later
//! ```
//!
//! A store that is away stops nothing: what is known stays known, and what could not be written is written later.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tender_cache::{Created, Entry, Limits, Owner, Store, StoreError};

/// How often the store is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What was logged out.
pub struct Revocations {
    store: Option<Arc<dyn Store>>,
    owner: Owner,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// The id of a token, and when the token ends by itself, in seconds since 1970.
    revoked: HashMap<String, u64>,
    /// Those that the store does not have yet.
    unwritten: HashMap<String, u64>,
}

impl std::fmt::Debug for Revocations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Revocations").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Revocations {
    /// Keeps them in memory alone, or in a store with others.
    #[must_use]
    pub fn new(store: Option<Arc<dyn Store>>) -> Self {
        let owner = Owner::new("gateway revocations").expect("the name is not empty");
        Self { store, owner, known: Mutex::default() }
    }

    /// Says whether a token was logged out.
    #[must_use]
    pub fn is_revoked(&self, id: &str) -> bool {
        self.known().revoked.contains_key(id)
    }

    /// Logs a token out.
    ///
    /// Errors: the store does not have it yet; here it counts all the same.
    pub async fn revoke(&self, id: &str, ends_s: u64, now_s: u64) -> Result<(), StoreError> {
        self.remember(id, ends_s, now_s);
        self.write(now_s).await
    }

    fn remember(&self, id: &str, ends_s: u64, now_s: u64) {
        let mut known = self.known();
        known.revoked.retain(|_, ends| *ends > now_s);
        known.revoked.insert(id.to_owned(), ends_s);
        if self.store.is_some() {
            known.unwritten.insert(id.to_owned(), ends_s);
        }
    }

    fn learn(&self, revoked: Vec<(u64, String)>, now_s: u64) {
        let mut known = self.known();
        known.revoked.retain(|_, ends| *ends > now_s);
        known.revoked.extend(revoked.into_iter().map(|(ends, id)| (id, ends)));
    }

    /// Takes over what other gateways logged out, and hands on what they do not know.
    pub async fn look(&self, now_s: u64) -> Result<(), StoreError> {
        let Some(store) = &self.store else { return Ok(()) };
        self.write(now_s).await?;
        let entries = store.list(&self.owner).await?;
        let (over, good): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .map(|entry| (entry.value.parse().unwrap_or(u64::MAX), entry.key))
            .partition(|(ends, _): &(u64, String)| *ends <= now_s);
        self.learn(good, now_s);
        for (_, id) in over {
            store.delete(&self.owner, &id).await?;
        }
        Ok(())
    }

    /// Looks again and again, for as long as it is polled.
    pub async fn run(self: Arc<Self>, told: impl Fn(&StoreError)) {
        let mut is_lost = false;
        loop {
            match self.look(super::now_s()).await {
                Ok(()) => is_lost = false,
                Err(error) => {
                    if !std::mem::replace(&mut is_lost, true) {
                        told(&error);
                    }
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn write(&self, now_s: u64) -> Result<(), StoreError> {
        let Some(store) = &self.store else { return Ok(()) };
        let unwritten: Vec<_> = self.known().unwritten.clone().into_iter().collect();
        // Nothing makes room for a revocation, and none makes room for anything else.
        let limits = Limits { entries_max: u64::MAX, ..Limits::default() };
        for (id, ends) in unwritten {
            if ends > now_s {
                let entry = Entry { key: id.clone(), value: ends.to_string(), created_ms: now_s * 1000 };
                match store.create(&self.owner, entry, &limits).await? {
                    Created::Done | Created::Exists | Created::Full => {}
                }
            }
            self.known().unwritten.remove(&id);
        }
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().expect("no thread panics while it changes what is revoked")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tender_cache::MemoryStore;

    #[tokio::test]
    async fn token_logged_out_on_one_gateway_is_on_the_other_until_it_would_end() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let (one, two) =
            (Revocations::new(Some(Arc::clone(&store))), Revocations::new(Some(Arc::clone(&store))));
        one.revoke("id", 100, 10).await.unwrap();
        assert!(one.is_revoked("id") && !two.is_revoked("id"));
        two.look(10).await.unwrap();
        assert!(two.is_revoked("id") && !two.is_revoked("other"));
        two.look(100).await.unwrap();
        assert!(!two.is_revoked("id"));
        assert_eq!(store.count().await.unwrap(), 0, "what is over is cleared up");
        let late = Revocations::new(Some(store));
        late.look(10).await.unwrap();
        assert!(!late.is_revoked("id"));
    }
}

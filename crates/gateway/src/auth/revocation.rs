//! Tokens that were logged out or taken back: known here at once, and to all gateways that share a store.
//!
//! ```text
//! logout ──► own memory ──► store ──► memory of the other gateways, a second later
//!
//! <id of a token>               ──►  <when the token ends>
//! user:<user>, scope:<service>  ──►  <when the last of them ends> <personal tokens made before this>
//! ```
//!
//! Times are seconds since 1970.
//!
//! A store that is away stops nothing: what is known stays known, and what could not be written is written later.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tender_cache::{Created, Entry, Limits, Owner, Store, StoreError};

use super::jwt::Claims;

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
    revoked: HashMap<String, Revoked>,
    /// Those that the store does not have yet.
    unwritten: HashMap<String, Revoked>,
}

/// What is known of a token, or of all personal tokens of a user or for a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Revoked {
    /// When it is over: all that it is about has ended by itself.
    ends_s: u64,
    /// It is about tokens made no later than this.
    before_s: Option<u64>,
}

impl Revoked {
    fn written(self) -> String {
        let before = self.before_s.map(|before| format!(" {before}")).unwrap_or_default();
        format!("{}{before}", self.ends_s)
    }

    /// Reads what the store has; what it cannot be stays for ever, and revokes.
    fn read(text: &str) -> Self {
        let mut numbers = text.split(' ').map(|number| number.parse().unwrap_or(u64::MAX));
        Self { ends_s: numbers.next().unwrap_or(u64::MAX), before_s: numbers.next() }
    }

    /// Returns the one that revokes more.
    fn widest(self, other: Self) -> Self {
        Self { ends_s: self.ends_s.max(other.ends_s), before_s: self.before_s.max(other.before_s) }
    }
}

/// Whose personal tokens are taken back.
#[derive(Debug, Clone, Copy)]
pub(super) enum Whose<'a> {
    User(&'a str),
    Scope(&'a str),
}

impl Whose<'_> {
    /// Returns the key: ids of tokens have no colon.
    fn key(self) -> String {
        match self {
            Self::User(user) => format!("user:{user}"),
            Self::Scope(scope) => format!("scope:{scope}"),
        }
    }
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

    /// Says whether a token was logged out or taken back.
    #[must_use]
    pub fn is_revoked(&self, claims: &Claims) -> bool {
        let known = self.known();
        if known.revoked.contains_key(&claims.jti) {
            return true;
        }
        if !claims.is_personal() {
            return false;
        }
        let scopes = claims.scopes.iter().flatten().map(|scope| Whose::Scope(scope));
        let mut rules = scopes.chain([Whose::User(&claims.sub)]);
        rules.any(|whose| {
            let rule = known.revoked.get(&whose.key());
            rule.and_then(|rule| rule.before_s).is_some_and(|before| claims.iat <= before)
        })
    }

    /// Logs a token out.
    ///
    /// Errors: the store does not have it yet; here it counts all the same.
    pub async fn revoke(&self, id: &str, ends_s: u64, now_s: u64) -> Result<(), StoreError> {
        self.remember(id.to_owned(), Revoked { ends_s, before_s: None }, now_s);
        self.write(now_s).await
    }

    /// Takes back all personal tokens of a user or for a service that were made before a time.
    pub(super) async fn revoke_before(
        &self,
        whose: Whose<'_>,
        before_s: u64,
        ends_s: u64,
        now_s: u64,
    ) -> Result<(), StoreError> {
        self.remember(whose.key(), Revoked { ends_s, before_s: Some(before_s) }, now_s);
        self.write(now_s).await
    }

    fn remember(&self, key: String, revoked: Revoked, now_s: u64) {
        let mut known = self.known();
        known.revoked.retain(|_, revoked| revoked.ends_s > now_s);
        let revoked = known.revoked.get(&key).map_or(revoked, |earlier| earlier.widest(revoked));
        known.revoked.insert(key.clone(), revoked);
        if self.store.is_some() {
            known.unwritten.insert(key, revoked);
        }
    }

    fn learn(&self, learnt: Vec<(String, Revoked)>, now_s: u64) {
        let mut known = self.known();
        known.revoked.retain(|_, revoked| revoked.ends_s > now_s);
        for (key, revoked) in learnt {
            let revoked = known.revoked.get(&key).map_or(revoked, |earlier| earlier.widest(revoked));
            known.revoked.insert(key, revoked);
        }
    }

    /// Takes over what other gateways logged out, and hands on what they do not know.
    pub async fn look(&self, now_s: u64) -> Result<(), StoreError> {
        let Some(store) = &self.store else { return Ok(()) };
        self.write(now_s).await?;
        let entries = store.list(&self.owner).await?;
        let (over, good): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .map(|entry| (entry.key, Revoked::read(&entry.value)))
            .partition(|(_, revoked): &(String, Revoked)| revoked.ends_s <= now_s);
        self.learn(good, now_s);
        for (key, _) in over {
            store.delete(&self.owner, &key).await?;
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
        for (key, revoked) in unwritten {
            if revoked.ends_s > now_s {
                let entry = |revoked: Revoked| Entry {
                    key: key.clone(),
                    value: revoked.written(),
                    created_ms: now_s * 1000,
                };
                if store.create(&self.owner, entry(revoked), &limits).await? == Created::Exists
                    && let Some(there) = store.get(&self.owner, &key).await?
                {
                    let widest = Revoked::read(&there.value).widest(revoked);
                    if widest != Revoked::read(&there.value) {
                        store.update(&self.owner, entry(widest)).await?;
                    }
                }
            }
            // What was added to it meanwhile is written the next time.
            let mut known = self.known();
            if known.unwritten.get(&key) == Some(&revoked) {
                known.unwritten.remove(&key);
            }
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
    use crate::auth::jwt::{PERSONAL_ISSUER, tests::claims};
    use tender_cache::MemoryStore;

    #[tokio::test]
    async fn token_logged_out_on_one_gateway_is_on_the_other_until_it_would_end() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let (one, two) =
            (Revocations::new(Some(Arc::clone(&store))), Revocations::new(Some(Arc::clone(&store))));
        let (token, other) = (claims(), Claims { jti: "other".to_owned(), ..claims() });
        one.revoke("id", 100, 10).await.unwrap();
        assert!(one.is_revoked(&token) && !two.is_revoked(&token));
        two.look(10).await.unwrap();
        assert!(two.is_revoked(&token) && !two.is_revoked(&other));
        two.look(100).await.unwrap();
        assert!(!two.is_revoked(&token));
        assert_eq!(store.count().await.unwrap(), 0, "what is over is cleared up");
        let late = Revocations::new(Some(store));
        late.look(10).await.unwrap();
        assert!(!late.is_revoked(&token));
    }

    fn personal(user: &str, scope: &str, iat: u64) -> Claims {
        let scopes = Some(vec![scope.to_owned()]);
        Claims { sub: user.to_owned(), iat, iss: PERSONAL_ISSUER.to_owned(), scopes, ..claims() }
    }

    #[tokio::test]
    async fn personal_tokens_of_a_user_or_for_a_service_are_taken_back_everywhere() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let (one, two) =
            (Revocations::new(Some(Arc::clone(&store))), Revocations::new(Some(Arc::clone(&store))));
        one.revoke_before(Whose::User("a"), 50, 1000, 60).await.unwrap();
        one.revoke_before(Whose::Scope("jobs"), 40, 1000, 60).await.unwrap();
        // An older rule takes nothing from a newer one.
        two.revoke_before(Whose::User("a"), 20, 900, 60).await.unwrap();
        two.look(60).await.unwrap();
        for gateway in [&one, &two] {
            assert!(gateway.is_revoked(&personal("a", "files", 50)));
            assert!(!gateway.is_revoked(&personal("a", "files", 51)), "it was made later");
            assert!(gateway.is_revoked(&personal("b", "jobs", 40)));
            assert!(!gateway.is_revoked(&personal("b", "files", 40)));
            assert!(
                !gateway.is_revoked(&Claims { sub: "a".to_owned(), iat: 1, ..claims() }),
                "a log-in stays"
            );
        }
        let late = Revocations::new(Some(store));
        late.look(60).await.unwrap();
        assert!(late.is_revoked(&personal("a", "files", 50)));
    }
}

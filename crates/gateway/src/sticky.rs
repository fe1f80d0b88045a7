//! Users who stay with an instance, for services that ask for it. Source: the reference's 3.6.
//!
//! ```text
//! known here ──► known to the store that gateways share ──► chosen by user and instances, the same on every gateway
//! ```
//!
//! Gateways that know the same instances choose the same one for a user without a word between them; the store is for
//! users who came before an instance was added. An instance that is gone, or does not answer, is replaced by the one that
//! did.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tender_cache::{Created, Entry, Limits, Owner, Store, now_ms};

use crate::candidates::Ends;
use crate::table::End;

/// How long a record lives unless the service says otherwise.
const LIFETIME: Duration = hours(8);
/// Records kept here; users beyond are led by what every gateway chooses.
const RECORDS_MAX: usize = 100_000;
/// How long the store may take: stickiness is not worth a wait.
const STORE_TIMEOUT: Duration = Duration::from_millis(250);

/// Which user is with which instance.
#[derive(Debug)]
pub struct Sticky {
    store: Option<Arc<dyn Store>>,
    owner: Owner,
    records: Mutex<HashMap<Visit, Record>>,
}

/// A user of a service.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Visit {
    pub(crate) user: String,
    pub(crate) service: String,
}

impl Visit {
    /// Returns the key in the store.
    fn key(&self) -> String {
        format!("lb.{}:{}", self.user, self.service)
    }
}

#[derive(Debug, Clone)]
struct Record {
    instance: String,
    until: Instant,
}

const fn hours(hours: u32) -> Duration {
    Duration::from_secs(hours as u64 * 3600)
}

/// How long records of a service live. Source: `apiml.lb.cacheRecordExpirationTimeInHours`.
pub(crate) fn lifetime(said: Option<&str>) -> Duration {
    said.and_then(|said| said.parse().ok()).map_or(LIFETIME, hours)
}

impl Sticky {
    /// Keeps records here, and in a store that gateways share.
    #[must_use]
    pub fn new(store: Option<Arc<dyn Store>>) -> Self {
        let owner = Owner::new("gateway users").expect("the name is not empty");
        Self { store, owner, records: Mutex::default() }
    }

    /// Puts the instance of a user first, if there is one that takes requests.
    pub(crate) async fn lead(&self, visit: &Visit, ends: &mut Ends<'_>) {
        let wanted = match self.known_here(visit) {
            Some(instance) => Some(instance),
            None => self.known_to_store(visit).await,
        };
        let position = wanted.and_then(|wanted| ends.iter().position(|end| end.instance.id == wanted));
        let position = position.or_else(|| chosen(&visit.user, ends));
        if let Some(position) = position {
            let end = ends.remove(position);
            ends.insert(0, end);
        }
    }

    /// Remembers which instance answered a user; gateways that share a store learn of it.
    pub(crate) fn answered(&self, visit: Visit, instance: &str, lifetime: Duration) {
        let record = Record { instance: instance.to_owned(), until: Instant::now() + lifetime };
        let is_news = self.known_here(&visit).is_none_or(|known| known != instance);
        let mut records = self.records();
        if records.len() >= RECORDS_MAX && !records.contains_key(&visit) {
            let now = Instant::now();
            records.retain(|_, record| record.until > now);
        }
        if records.len() < RECORDS_MAX || records.contains_key(&visit) {
            records.insert(visit.clone(), record);
        }
        drop(records);
        if let Some(store) = self.store.clone().filter(|_| is_news) {
            let ends_ms = now_ms() + u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX / 2);
            let entry =
                Entry { key: visit.key(), value: format!("{ends_ms} {instance}"), created_ms: now_ms() };
            let owner = self.owner.clone();
            // Nobody waits for it: without it the user is led by what every gateway chooses.
            tokio::spawn(async move {
                let limits = Limits { entries_max: u64::MAX, ..Limits::default() };
                if matches!(store.create(&owner, entry.clone(), &limits).await, Ok(Created::Exists)) {
                    store.update(&owner, entry).await.ok();
                }
            });
        }
    }

    fn known_here(&self, visit: &Visit) -> Option<String> {
        let now = Instant::now();
        let mut records = self.records();
        let record = records.get(visit)?;
        if record.until > now {
            return Some(record.instance.clone());
        }
        records.remove(visit);
        None
    }

    async fn known_to_store(&self, visit: &Visit) -> Option<String> {
        let store = self.store.as_ref()?;
        let key = visit.key();
        let asked = store.get(&self.owner, &key);
        let entry = tokio::time::timeout(STORE_TIMEOUT, asked).await.ok()?.ok()??;
        let (ends_ms, instance) = entry.value.split_once(' ')?;
        (ends_ms.parse::<u64>().ok()? > now_ms()).then(|| instance.to_owned())
    }

    fn records(&self) -> MutexGuard<'_, HashMap<Visit, Record>> {
        self.records.lock().expect("no thread panics while it changes records")
    }
}

/// Chooses the instance with the highest number that is made of user and instance: an instance that comes or goes moves
/// its own users alone. `DefaultHasher` has no random seed of its own: all gateways of a version count alike.
fn chosen(user: &str, ends: &[&End]) -> Option<usize> {
    let number = |end: &End| {
        let mut hasher = DefaultHasher::new();
        (user, &end.instance.id).hash(&mut hasher);
        hasher.finish()
    };
    (0..ends.len()).max_by_key(|at| number(ends[*at]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candidates::tests::end;
    use tender_cache::MemoryStore;

    fn visit(user: &str) -> Visit {
        Visit { user: user.to_owned(), service: "a".to_owned() }
    }

    async fn led(sticky: &Sticky, user: &str, ports: &[u16]) -> u16 {
        let made: Vec<_> = ports.iter().map(|port| end(*port, true)).collect();
        let mut ends: Ends<'_> = made.iter().collect();
        sticky.lead(&visit(user), &mut ends).await;
        assert_eq!(ends.len(), ports.len());
        ends[0].instance.port
    }

    #[tokio::test]
    async fn gateways_without_a_word_between_them_lead_a_user_to_the_same_instance() {
        let (one, two) = (Sticky::new(None), Sticky::new(None));
        let mut met = std::collections::HashSet::new();
        for number in 0..50 {
            let user = format!("user{number}");
            let port = led(&one, &user, &[1, 2, 3]).await;
            assert_eq!(led(&two, &user, &[3, 1, 2]).await, port);
            let others: Vec<_> = [1, 2, 3].into_iter().filter(|other| *other != port).collect();
            let without_one = [port, others[0]];
            assert_eq!(
                led(&two, &user, &without_one).await,
                port,
                "it moves the users of the one that went alone"
            );
            met.insert(port);
        }
        assert_eq!(met.len(), 3, "all instances have users");
    }

    #[tokio::test]
    async fn user_stays_when_an_instance_comes_and_moves_when_his_goes() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let (one, two) = (Sticky::new(Some(Arc::clone(&store))), Sticky::new(Some(Arc::clone(&store))));
        for number in 0..20 {
            let user = format!("user{number}");
            let port = led(&one, &user, &[1, 2]).await;
            one.answered(visit(&user), &port.to_string(), LIFETIME);
            while store.count().await.unwrap() <= number {
                tokio::task::yield_now().await;
            }
            assert_eq!(led(&two, &user, &[1, 2, 3, 4, 5]).await, port, "the other gateway knows");
            assert_ne!(led(&two, &user, &[6, 7]).await, port);
        }
    }

    #[tokio::test]
    async fn record_that_is_over_counts_no_more() {
        let sticky = Sticky::new(None);
        let by_choice = led(&sticky, "user", &[1, 2]).await;
        let other = 3 - by_choice;
        sticky.answered(visit("user"), &other.to_string(), LIFETIME);
        assert_eq!(led(&sticky, "user", &[1, 2]).await, other);
        sticky.answered(visit("user"), &other.to_string(), Duration::ZERO);
        assert_eq!(led(&sticky, "user", &[1, 2]).await, by_choice);
    }

    #[test]
    fn lifetime_is_what_the_service_says_in_hours() {
        assert_eq!(lifetime(Some("2")), hours(2));
        assert_eq!((lifetime(None), lifetime(Some("x"))), (LIFETIME, LIFETIME));
    }
}

//! API documents that were had, kept for a while.
//!
//! ```text
//!          asked            had                 older than its age, or the service has changed
//!   ─────────────► fetching ────► good ─────────────────────────────────► fetching
//!                     │ not had                                              │ not had
//!                     └────► failed ── after a few seconds ──► fetching      └────► good, but stale: with the reason
//! ```
//!
//! Whoever asks while somebody fetches waits for the same answer.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tender_certificate::tls::TlsError;
use tokio::sync::Semaphore;

use crate::api::Api;
use crate::document::Context;
use crate::fetch::{Failure, Fetcher, Outcome};
use crate::known::Written;
use crate::outward::Outward;
use crate::registered::Service;

/// How long a document is good for.
const GOOD: Duration = Duration::from_secs(300);
/// How long nobody tries again after a failure.
const FAILED: Duration = Duration::from_secs(5);
/// Documents that are fetched at a time.
const FETCHES_MAX: usize = 16;
/// What is kept of all documents together, in bytes; more, and all are fetched again when they are asked for.
const BYTES_MAX: usize = 256 << 20;

/// A service and one of its APIs.
type Key = (String, String);
type Slot = Arc<tokio::sync::Mutex<Option<Kept>>>;

/// Documents of all services.
#[derive(Debug)]
pub(crate) struct Documents {
    fetcher: Fetcher,
    permits: Semaphore,
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    by_key: HashMap<Key, Slot>,
    bytes: usize,
}

/// What came of the last try.
#[derive(Debug)]
struct Kept {
    context: Context,
    tried: Instant,
    outcome: Outcome,
    /// The last that was good, and when it was had.
    good: Option<(Instant, Written)>,
}

/// A document as it is handed out.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) written: Written,
    pub(crate) age: Duration,
    /// Why it is not newer, when it should be.
    pub(crate) stale: Option<Arc<Failure>>,
}

impl Documents {
    pub(crate) fn new(outward: &Outward) -> Result<Self, TlsError> {
        let fetcher = Fetcher::new(outward)?;
        Ok(Self { fetcher, permits: Semaphore::new(FETCHES_MAX), slots: Mutex::default() })
    }

    /// Returns the document of an API of a service; `is_new` asks for one of this moment.
    pub(crate) async fn document(
        &self,
        service: &Service,
        api: Option<&Api>,
        gateway: &str,
        is_new: bool,
    ) -> Result<Document, Arc<Failure>> {
        let context = Context::new(service, api, gateway);
        let key = (service.id.clone(), api.map(Api::key).unwrap_or_default());
        let slot = Arc::clone(self.slots().by_key.entry(key).or_default());
        let asked = Instant::now();
        let mut kept = slot.lock().await;
        if let Some(kept) = kept.as_ref().filter(|kept| kept.is_of_use(&context, asked, is_new)) {
            return kept.handed_out();
        }
        let outcome = {
            let _permit = self.permits.acquire().await;
            self.fetcher.document(&context, &service.instances).await.map_err(Arc::new)
        };
        let before = kept.take().filter(|before| before.context == context).and_then(|before| before.good);
        let tried = Instant::now();
        let good = match &outcome {
            Ok(written) => {
                self.count(written.plain.len() + written.gzip.len());
                Some((tried, written.clone()))
            }
            Err(_) => before,
        };
        kept.insert(Kept { context, tried, outcome, good }).handed_out()
    }

    /// Forgets what belongs to services and APIs that are gone.
    pub(crate) fn retain(&self, services: &BTreeMap<String, Service>) {
        self.slots().by_key.retain(|(id, key), _| {
            let service = services.get(id);
            service.is_some_and(|service| key.is_empty() || service.apis.iter().any(|api| api.key() == *key))
        });
    }

    fn count(&self, bytes: usize) {
        let mut slots = self.slots();
        slots.bytes += bytes;
        if slots.bytes > BYTES_MAX {
            *slots = Slots { bytes, ..Slots::default() };
        }
    }

    fn slots(&self) -> std::sync::MutexGuard<'_, Slots> {
        // A map of slots is whole after each of the calls above.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn is_of_use(&self, context: &Context, asked: Instant, is_new: bool) -> bool {
        // Whoever waited for it got it after asking: that is new enough for anybody.
        if self.tried >= asked {
            return self.context == *context;
        }
        let age = if self.outcome.is_ok() { GOOD } else { FAILED };
        !is_new && self.context == *context && self.tried.elapsed() < age
    }

    fn handed_out(&self) -> Result<Document, Arc<Failure>> {
        match (&self.outcome, &self.good) {
            (outcome, Some((had, written))) => Ok(Document {
                written: written.clone(),
                age: had.elapsed(),
                stale: outcome.as_ref().err().map(Arc::clone),
            }),
            (Err(failure), None) => Err(Arc::clone(failure)),
            (Ok(written), None) => {
                Ok(Document { written: written.clone(), age: self.tried.elapsed(), stale: None })
            }
        }
    }
}

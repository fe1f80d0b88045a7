//! A registry as it is answered: each document is written once for a change, then handed out as often as it is asked for.
//!
//! ```text
//!   ask ──► is it of the newest version? ──yes──────────────────────────────────────► hand out
//!              │ no                                                                     ▲
//!              └─► wait for who writes it ──► still old? freeze, write, swap ──────────┘
//! ```
//!
//! Nobody writes what nobody asks for, and many who ask at once get what one of them wrote. A document that takes long to
//! write is handed out for a multiple of that time, so that no storm of changes makes a server do nothing but write.

use std::io::Write as _;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::registry::View;
use super::{json, xml};

/// What has more bytes is written and compressed beside the threads that answer.
pub(crate) const LARGE: usize = 256 << 10;

/// In which form something is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// JSON.
    Json,
    /// XML, for who does not ask for JSON.
    Xml,
}

impl Form {
    /// Returns the content type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Xml => "application/xml",
        }
    }
}

/// What of a registry is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// What has changed of late.
    Delta,
}

/// Which state a document is of: the registry's version, and for changes how often old ones were forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Edition {
    /// The registry's version.
    pub version: u64,
    /// How often changes were forgotten.
    pub forgotten: u64,
}

/// A document that was written.
#[derive(Debug)]
pub struct Document {
    /// Which state it is of.
    pub edition: Edition,
    /// As it is.
    pub plain: Bytes,
    gzip: OnceLock<Bytes>,
    /// Held by who compresses it.
    packing: Arc<tokio::sync::Mutex<()>>,
    written: Instant,
    took: Duration,
}

impl Document {
    /// Writes a registry down.
    #[must_use]
    pub fn of(view: &View, edition: Edition, form: Form) -> Self {
        let began = Instant::now();
        let plain = match form {
            Form::Json => json::applications(view),
            Form::Xml => xml::applications(view),
        };
        let plain = Bytes::from(plain);
        Self {
            edition,
            plain,
            gzip: OnceLock::new(),
            packing: Arc::default(),
            written: Instant::now(),
            took: began.elapsed(),
        }
    }

    /// Returns it compressed; compressed at first use.
    pub fn gzip(&self) -> &Bytes {
        self.gzip.get_or_init(|| compressed(&self.plain))
    }

    /// Returns it compressed: by one of those who ask, a large one beside the threads that answer, and to its end whoever
    /// goes away meanwhile.
    pub(crate) async fn packed(self: &Arc<Self>) -> Bytes {
        if let Some(bytes) = self.gzip.get() {
            return bytes.clone();
        }
        if self.plain.len() < LARGE {
            return self.gzip().clone();
        }
        let packing = Arc::clone(&self.packing).lock_owned().await;
        if let Some(bytes) = self.gzip.get() {
            return bytes.clone();
        }
        let document = Arc::clone(self);
        let packed = tokio::task::spawn_blocking(move || {
            let _packing = packing;
            document.gzip().clone()
        });
        packed.await.expect("compressing a document does not fail")
    }

    /// Returns until when it is handed out though it is not of the newest state.
    pub(crate) fn worth_until(&self) -> Instant {
        /// Nothing is ever answered late that is written within this time.
        const QUICK: Duration = Duration::from_millis(5);
        const TIMES: u32 = 4;
        let worth =
            if self.took > QUICK { (self.took * TIMES).min(Duration::from_secs(1)) } else { Duration::ZERO };
        self.written + worth
    }
}

/// Compresses quickly rather than well: it is done for each change.
pub(crate) fn compressed(bytes: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 8), Compression::fast());
    encoder.write_all(bytes).expect("writing into memory does not fail");
    Bytes::from(encoder.finish().expect("writing into memory does not fail"))
}

/// One document, of the newest state or soon.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    document: Arc<ArcSwapOption<Document>>,
    /// Held by who writes it.
    writing: Arc<tokio::sync::Mutex<()>>,
}

impl Slot {
    /// Returns the document; `freeze` is called when it must be written. What was begun is written to its end and kept, also
    /// when who asked for it goes away.
    pub(crate) async fn get(
        &self,
        form: Form,
        newest: impl Fn() -> Edition,
        freeze: impl FnOnce() -> (View, Edition),
    ) -> Arc<Document> {
        /// More instances than this are written beside the threads that answer.
        const MANY: usize = 500;
        if let Some(document) = self.usable(&newest) {
            return document;
        }
        let writing = Arc::clone(&self.writing).lock_owned().await;
        if let Some(document) = self.usable(&newest) {
            return document;
        }
        let (view, edition) = freeze();
        let is_large = view.count() > MANY;
        let slot = Arc::clone(&self.document);
        let write = move || {
            let document = Arc::new(Document::of(&view, edition, form));
            slot.store(Some(Arc::clone(&document)));
            drop(writing);
            document
        };
        if is_large {
            tokio::task::spawn_blocking(write).await.expect("writing a document does not fail")
        } else {
            write()
        }
    }

    fn usable(&self, newest: impl Fn() -> Edition) -> Option<Arc<Document>> {
        let document = self.document.load_full()?;
        (document.edition == newest() || Instant::now() < document.worth_until()).then_some(document)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::future::Future as _;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;
    use crate::discovery::{Instance, json};

    fn view(instances: usize) -> View {
        let instance = |number: usize| -> Arc<Instance> {
            let body = format!(
                r#"{{"instance":{{"instanceId":"{number}","app":"svc","hostName":"h","ipAddr":"1","dataCenterInfo":{{"name":"MyOwn"}}}}}}"#
            );
            Arc::new(json::read_instance(body.as_bytes(), 1).unwrap())
        };
        View::of(1, BTreeMap::from([("SVC".to_owned(), (0..instances).map(instance).collect())]))
    }

    #[tokio::test]
    async fn document_whose_reader_goes_away_is_written_to_its_end_for_the_next() {
        let (slot, edition) = (Slot::default(), Edition { version: 1, forgotten: 0 });
        {
            let mut left = pin!(slot.get(Form::Json, || edition, || (view(1000), edition)));
            let mut context = Context::from_waker(Waker::noop());
            // It has begun: it was frozen at the first look.
            drop(left.as_mut().poll(&mut context));
        }
        let document = slot.get(Form::Json, || edition, || panic!("it is written already")).await;
        assert_eq!(document.edition, edition);
        assert!(document.plain.len() > LARGE);

        let packed = {
            let mut left = pin!(document.packed());
            drop(left.as_mut().poll(&mut Context::from_waker(Waker::noop())));
            document.packed().await
        };
        assert_eq!(&packed, document.gzip());
    }
}

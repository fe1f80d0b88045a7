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
        Self { edition, plain, gzip: OnceLock::new(), written: Instant::now(), took: began.elapsed() }
    }

    /// Returns it compressed; compressed at first use.
    pub fn gzip(&self) -> &Bytes {
        self.gzip.get_or_init(|| compressed(&self.plain))
    }

    /// Says whether [`Document::gzip`] has it already.
    pub(crate) fn is_compressed(&self) -> bool {
        self.gzip.get().is_some()
    }

    /// Says whether it may be handed out though it is not of the newest state.
    fn is_worth_its_work(&self) -> bool {
        /// Nothing is ever answered late that is written within this time.
        const QUICK: Duration = Duration::from_millis(5);
        const TIMES: u32 = 4;
        self.took > QUICK && self.written.elapsed() < (self.took * TIMES).min(Duration::from_secs(1))
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
    document: ArcSwapOption<Document>,
    writing: tokio::sync::Mutex<()>,
}

impl Slot {
    /// Returns the document; `freeze` is called when it must be written.
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
        let _writing = self.writing.lock().await;
        if let Some(document) = self.usable(&newest) {
            return document;
        }
        let (view, edition) = freeze();
        let document = if view.count() > MANY {
            let written = tokio::task::spawn_blocking(move || Document::of(&view, edition, form)).await;
            written.expect("writing a document does not fail")
        } else {
            Document::of(&view, edition, form)
        };
        let document = Arc::new(document);
        self.document.store(Some(Arc::clone(&document)));
        document
    }

    fn usable(&self, newest: impl Fn() -> Edition) -> Option<Arc<Document>> {
        let document = self.document.load_full()?;
        (document.edition == newest() || document.is_worth_its_work()).then_some(document)
    }
}

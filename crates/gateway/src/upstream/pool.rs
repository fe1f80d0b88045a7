//! Connections that wait for the next request.
//!
//! ```text
//!              take                          the answer has ended
//!   waiting ─────────► lent with a request ─────────────────────────► waiting
//!      │                      │
//!      │ the other end        │ the answer is dropped before its end
//!      │ closes, or too long  ▼
//!      └──────────────────► gone
//! ```
//!
//! There is a shelf for each thread that answers: a connection is worked on by the thread that uses it.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::SendRequest;
use tender_http::{Bytes, ResponseBody};
use tokio::time::{Instant, Sleep};

use super::body::SharedBody;
use super::driven::{Driven, quietly};
use crate::table::End;

/// Shorter than what servers usually keep a connection for: the end of one would meet a request on its way.
const IDLE_MAX: Duration = Duration::from_secs(4);
/// How often it is looked whether connections have waited too long.
const SWEEP: Duration = Duration::from_secs(1);

/// A connection.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) sender: SendRequest<SharedBody>,
    pub(super) connection: Driven,
    /// Says that an answer is late: set once for many requests, see [`super::within`].
    pub(super) alarm: Pin<Box<Sleep>>,
    /// Since when it waits.
    since: Instant,
}

impl Kept {
    pub(super) fn new((sender, connection): (SendRequest<SharedBody>, Driven), timeout: Duration) -> Self {
        let now = Instant::now();
        Self { sender, connection, alarm: Box::pin(tokio::time::sleep_until(now + timeout)), since: now }
    }

    /// Says whether a request can be sent, having looked whether the other end has closed.
    fn is_ready(&mut self) -> bool {
        self.connection.rest();
        self.sender.is_ready()
    }
}

/// Connections of one thread, by where they lead.
#[derive(Debug)]
pub(super) struct Shelf {
    waiting: Mutex<Waiting>,
    /// To one place, at most.
    most: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    /// The one that waits longest comes first.
    by_origin: BTreeMap<Arc<str>, Vec<Kept>>,
    is_swept: bool,
}

impl Shelf {
    pub(super) fn new(most: usize) -> Self {
        Self { waiting: Mutex::default(), most }
    }

    /// Takes the connection that was used last, if there is one that works.
    pub(super) fn take(&self, origin: &str) -> Option<Kept> {
        let mut waiting = self.waiting();
        let kept = waiting.by_origin.get_mut(origin)?;
        // Whether the other end has closed it meanwhile is found before anything is sent.
        kept.pop()
    }

    /// Keeps a connection for the next request.
    fn keep(self: &Arc<Self>, origin: &Arc<str>, kept: Kept) {
        let kept = Kept { since: Instant::now(), ..kept };
        let mut waiting = self.waiting();
        match waiting.by_origin.get_mut(origin) {
            Some(others) if others.len() >= self.most => return,
            Some(others) => others.push(kept),
            None => drop(waiting.by_origin.insert(Arc::clone(origin), vec![kept])),
        }
        if !std::mem::replace(&mut waiting.is_swept, true) {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// Drops what has waited too long; says whether anything is left.
    fn sweep(&self, now: Instant) -> bool {
        let mut waiting = self.waiting();
        waiting.by_origin.retain(|_, kept| {
            kept.retain_mut(|one| now - one.since < IDLE_MAX && one.is_ready());
            !kept.is_empty()
        });
        waiting.is_swept = !waiting.by_origin.is_empty();
        waiting.is_swept
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("no thread panics while it takes a connection or gives one back")
    }
}

/// Looks now and then, as long as connections wait.
async fn sweep(shelf: Weak<Shelf>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let Some(shelf) = shelf.upgrade() else { return };
        if !shelf.sweep(Instant::now()) {
            return;
        }
    }
}

/// The body of an answer; with its end the connection is there for the next request.
#[derive(Debug)]
pub(super) struct Lent {
    body: Incoming,
    /// Nothing once it was given back.
    kept: Option<Kept>,
    origin: Arc<str>,
    shelf: Arc<Shelf>,
}

impl Lent {
    /// Lends the connection `kept` to the body of an answer that an end gave over it.
    pub(super) fn body(body: Incoming, kept: Kept, end: &End, shelf: &Arc<Shelf>) -> ResponseBody {
        let (origin, shelf) = (Arc::clone(&end.origin), Arc::clone(shelf));
        ResponseBody::stream(Self { body, kept: Some(kept), origin, shelf })
    }

    /// Gives the connection back if it can take another request: not while the end of this one is still being sent.
    fn give_back(&mut self) {
        if let Some(mut kept) = self.kept.take()
            && kept.is_ready()
        {
            self.shelf.keep(&self.origin, kept);
        }
    }
}

impl Body for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut polled = quietly(|context| Pin::new(&mut self.body).poll_frame(context));
        if polled.is_pending()
            && let Some(kept) = &mut self.kept
        {
            kept.connection.work(context);
            polled = quietly(|context| Pin::new(&mut self.body).poll_frame(context));
        }
        let has_ended = match &polled {
            Poll::Ready(None) => true,
            Poll::Ready(Some(Ok(_))) => self.body.is_end_stream(),
            Poll::Ready(Some(Err(_))) | Poll::Pending => false,
        };
        if has_ended {
            self.give_back();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if self.body.is_end_stream() {
            self.give_back();
        }
    }
}

//! How fast a connection moves, and what is too slow.
//!
//! ```text
//!           first byte                 head complete
//!   idle ──────────────► head ───────────────────────► busy (requests > 0)
//!    ▲    idle_timeout     │ head_timeout                │ write_timeout when no byte goes out
//!    └─────────────────────┴────── answer given ─────────┘
//! ```
//!
//! The socket says when bytes move, requests say when they begin and end, and whoever drives the connection looks now and
//! then: no timer is set and cleared for each request.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::limits::Limits;

/// What is too slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// No request for too long.
    Idle,
    /// The head of a request takes too long.
    Head,
    /// The client takes no byte of an answer.
    Write,
}

/// What a connection is doing.
#[derive(Debug)]
pub(crate) struct Pace {
    origin: Instant,
    requests: AtomicU32,
    is_in_head: AtomicBool,
    /// Since when it is idle or in a head, in milliseconds since `origin`.
    since_ms: AtomicU64,
    /// Since when no byte goes out, in milliseconds since `origin` plus one; 0 while bytes do.
    blocked_ms: AtomicU64,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self {
            origin: Instant::now(),
            requests: AtomicU32::new(0),
            is_in_head: AtomicBool::new(false),
            since_ms: AtomicU64::new(0),
            blocked_ms: AtomicU64::new(0),
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn received(&self, now_ms: impl FnOnce() -> u64) {
        if self.requests.load(Ordering::Relaxed) == 0 && !self.is_in_head.swap(true, Ordering::Relaxed) {
            self.since_ms.store(now_ms(), Ordering::Relaxed);
        }
    }

    fn blocked(&self, is_blocked: bool, now_ms: impl FnOnce() -> u64) {
        if !is_blocked {
            self.blocked_ms.store(0, Ordering::Relaxed);
        } else if self.blocked_ms.load(Ordering::Relaxed) == 0 {
            self.blocked_ms.store(now_ms() + 1, Ordering::Relaxed);
        }
    }

    fn sent(&self, now_ms: impl FnOnce() -> u64) {
        // The end of an answer goes out after its last byte was handed on: that is not waiting for a request.
        if self.requests.load(Ordering::Relaxed) == 0 && !self.is_in_head.load(Ordering::Relaxed) {
            self.since_ms.store(now_ms(), Ordering::Relaxed);
        }
    }

    /// A request has come in whole, as far as its head goes.
    pub(crate) fn begin(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.is_in_head.store(false, Ordering::Relaxed);
    }

    /// A request is answered.
    pub(crate) fn end(&self) {
        self.end_at(self.now_ms());
    }

    fn end_at(&self, now_ms: u64) {
        self.is_in_head.store(false, Ordering::Relaxed);
        self.since_ms.store(now_ms, Ordering::Relaxed);
        self.requests.fetch_sub(1, Ordering::Relaxed);
    }

    /// Says what is too slow now.
    pub(crate) fn overdue(&self, limits: &Limits, is_http2: bool) -> Option<Overdue> {
        self.overdue_at(limits, is_http2, self.now_ms())
    }

    fn overdue_at(&self, limits: &Limits, is_http2: bool, now_ms: u64) -> Option<Overdue> {
        let is_over =
            |since_ms: u64, limit: Duration| Duration::from_millis(now_ms.saturating_sub(since_ms)) >= limit;
        let blocked_ms = self.blocked_ms.load(Ordering::Relaxed);
        if blocked_ms > 0 {
            return is_over(blocked_ms, limits.write_timeout).then_some(Overdue::Write);
        }
        if self.requests.load(Ordering::Relaxed) > 0 {
            return None;
        }
        let since_ms = self.since_ms.load(Ordering::Relaxed);
        // On HTTP/2 other frames than heads come in between requests; there the idle time bounds both.
        if self.is_in_head.load(Ordering::Relaxed) && !is_http2 {
            is_over(since_ms, limits.head_timeout).then_some(Overdue::Head)
        } else {
            is_over(since_ms, limits.idle_timeout).then_some(Overdue::Idle)
        }
    }

    /// Says how long may pass until somebody looks again.
    pub(crate) fn interval(limits: &Limits) -> Duration {
        let least = limits.head_timeout.min(limits.idle_timeout).min(limits.write_timeout) / 2;
        least.max(Duration::from_millis(20))
    }
}

/// A request from its head to the last byte of its answer.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<Pace>);

impl InFlight {
    pub(crate) fn begin(pace: &Arc<Pace>) -> Self {
        pace.begin();
        Self(Arc::clone(pace))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// A socket that says when bytes move; holds `held` as long as it is open.
#[derive(Debug)]
pub(crate) struct Paced<S, H> {
    socket: S,
    pace: Arc<Pace>,
    _held: H,
}

impl<S, H> Paced<S, H> {
    pub(crate) fn new(socket: S, pace: Arc<Pace>, held: H) -> Self {
        Self { socket, pace, _held: held }
    }

    fn noted<T>(&self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.pace.blocked(written.is_pending(), || self.pace.now_ms());
        written
    }

    fn sent(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.pace.sent(|| self.pace.now_ms());
        }
        self.noted(written)
    }
}

impl<S: AsyncRead + Unpin, H: Unpin> AsyncRead for Paced<S, H> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.pace.received(|| self.pace.now_ms());
        }
        read
    }
}

impl<S: AsyncWrite + Unpin, H: Unpin> AsyncWrite for Paced<S, H> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.sent(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(context, slices);
        self.sent(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.socket).poll_flush(context);
        self.noted(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.socket).poll_shutdown(context);
        self.noted(closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits {
            idle_timeout: Duration::from_secs(100),
            head_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            ..Limits::default()
        }
    }

    #[test]
    fn connection_is_overdue_by_what_it_is_doing() {
        let (pace, limits) = (Pace::new(), limits());
        let overdue = |seconds: u64| pace.overdue_at(&limits, false, seconds * 1000);
        assert_eq!((overdue(99), overdue(100)), (None, Some(Overdue::Idle)));
        pace.received(|| 100_000);
        // More bytes do not buy more time.
        pace.received(|| 109_000);
        assert_eq!((overdue(109), overdue(110)), (None, Some(Overdue::Head)));
        assert_eq!(pace.overdue_at(&limits, true, 110_000), None);
        pace.begin();
        assert_eq!(overdue(10_000), None);
        pace.blocked(true, || 200_000);
        pace.blocked(true, || 229_000);
        assert_eq!((overdue(229), overdue(231)), (None, Some(Overdue::Write)));
        pace.blocked(false, || 231_000);
        pace.end_at(231_000);
        // What was handed on goes out slowly: not idle until it is out.
        pace.blocked(true, || 320_000);
        assert_eq!(overdue(340), None);
        pace.sent(|| 345_000);
        pace.blocked(false, || 345_000);
        assert_eq!((overdue(444), overdue(445)), (None, Some(Overdue::Idle)));
    }
}

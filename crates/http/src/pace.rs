//! How fast a connection moves, and what is too slow.
//!
//! ```text
//!           first byte                 head complete
//!   idle ──────────────► head ───────────────────────► busy (requests > 0)
//!    ▲    idle_timeout     │ head_timeout                │ write_timeout when the socket takes no byte,
//!    │                     │                             │ four times that when no byte of an answer gets to it
//!    └─────────────────────┴────── answer given ─────────┘
//! ```
//!
//! The socket says when bytes move, requests say when they begin and end, answers say how much of them is still owed, and
//! whoever drives the connection looks now and then: no timer is set and cleared for each request.
//!
//! Over HTTP/2 a client says itself how many bytes of an answer it takes: the socket may be free while nothing of an answer
//! gets there. So what counts is bytes of answers. A client that reads slowly from a large window says so late: that is
//! why it has longer then.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use nix::time::{ClockId, clock_gettime};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::limits::Limits;

/// How many times [`Limits::write_timeout`] no byte of any answer may get to the socket, though the socket is free.
const STALLED_TIMES: u32 = 4;
/// The same for one answer while others of its connection get on.
const HELD_TIMES: u32 = 16;
/// How many times [`Limits::idle_timeout`] a connection of HTTP/2 may last that has no request and only shows that it lives.
const LIVING_TIMES: u32 = 5;

/// So many bytes in pieces are written as one: the kernel takes them quicker than a list, and a processor copies them in no time.
const JOINED_MAX: usize = 2048;

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
    requests: AtomicU32,
    is_in_head: AtomicBool,
    /// Since when it is idle or in a head, in milliseconds of the clock.
    since_ms: AtomicU64,
    /// When the last request ended, in milliseconds of the clock.
    ended_ms: AtomicU64,
    /// When a byte of an answer got to the socket last, in milliseconds of the clock.
    moved_ms: AtomicU64,
    /// Requests that are not answered to their end.
    answers: Mutex<Vec<Weak<InFlight>>>,
    /// Since when no byte goes out, in milliseconds of the clock plus one; 0 while bytes do.
    blocked_ms: AtomicU64,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self::at(now_ms())
    }

    fn at(now_ms: u64) -> Self {
        Self {
            requests: AtomicU32::new(0),
            is_in_head: AtomicBool::new(false),
            since_ms: AtomicU64::new(now_ms),
            ended_ms: AtomicU64::new(now_ms),
            moved_ms: AtomicU64::new(now_ms),
            answers: Mutex::default(),
            blocked_ms: AtomicU64::new(0),
        }
    }

    fn received(&self, is_http2: bool, now_ms: impl FnOnce() -> u64) {
        if self.requests.load(Ordering::Relaxed) > 0 {
            return;
        }
        // On HTTP/2 other frames than heads come in between requests: by them a client shows that it still takes what was
        // given to the socket.
        if is_http2 || !self.is_in_head.swap(true, Ordering::Relaxed) {
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
        self.end_at(now_ms());
    }

    fn end_at(&self, now_ms: u64) {
        self.is_in_head.store(false, Ordering::Relaxed);
        self.since_ms.store(now_ms, Ordering::Relaxed);
        self.ended_ms.store(now_ms, Ordering::Relaxed);
        self.requests.fetch_sub(1, Ordering::Relaxed);
    }

    /// Says what is too slow now.
    pub(crate) fn overdue(&self, limits: &Limits, is_http2: bool) -> Option<Overdue> {
        self.overdue_at(limits, is_http2, now_ms())
    }

    fn overdue_at(&self, limits: &Limits, is_http2: bool, now_ms: u64) -> Option<Overdue> {
        let is_over =
            |since_ms: u64, limit: Duration| Duration::from_millis(now_ms.saturating_sub(since_ms)) >= limit;
        let blocked_ms = self.blocked_ms.load(Ordering::Relaxed);
        if blocked_ms > 0 {
            return is_over(blocked_ms, limits.write_timeout).then_some(Overdue::Write);
        }
        if self.requests.load(Ordering::Relaxed) > 0 {
            let since_ms = self.owed_since_ms()?;
            let moved_ms = since_ms.max(self.moved_ms.load(Ordering::Relaxed));
            let is_stuck = is_over(moved_ms, limits.write_timeout * STALLED_TIMES)
                || is_over(since_ms, limits.write_timeout * HELD_TIMES);
            return is_stuck.then_some(Overdue::Write);
        }
        let since_ms = self.since_ms.load(Ordering::Relaxed);
        // On HTTP/2 the idle time bounds heads, too.
        if self.is_in_head.load(Ordering::Relaxed) && !is_http2 {
            return is_over(since_ms, limits.head_timeout).then_some(Overdue::Head);
        }
        let is_only_living =
            is_http2 && is_over(self.ended_ms.load(Ordering::Relaxed), limits.idle_timeout * LIVING_TIMES);
        (is_only_living || is_over(since_ms, limits.idle_timeout)).then_some(Overdue::Idle)
    }

    /// Returns since when the answer that waits longest for its client does not get on; nothing when none waits.
    fn owed_since_ms(&self) -> Option<u64> {
        // The last holder of a request takes the lock: nobody holds one here while it is taken.
        let answers: Vec<_> = {
            let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            answers.iter().filter_map(Weak::upgrade).collect()
        };
        let owed = answers.iter().filter(|answer| answer.owed.load(Ordering::Relaxed) > 0);
        owed.map(|answer| answer.since_ms.load(Ordering::Relaxed)).min()
    }

    /// Says how long may pass until somebody looks again.
    pub(crate) fn interval(limits: &Limits) -> Duration {
        let least = limits.head_timeout.min(limits.idle_timeout).min(limits.write_timeout) / 2;
        least.max(Duration::from_millis(20))
    }
}

/// Returns the milliseconds of a clock that only goes forward; it is some milliseconds late, and costs next to nothing.
fn now_ms() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC_COARSE).expect("Linux has this clock");
    u64::try_from(Duration::from(now).as_millis()).unwrap_or(u64::MAX)
}

/// A request from its head to the last byte of its answer.
#[derive(Debug)]
pub(crate) struct InFlight {
    pace: Arc<Pace>,
    /// Bytes of the answer that were taken from its maker and have not got to the socket.
    owed: AtomicU64,
    /// Since when they do not get on, in milliseconds of the clock.
    since_ms: AtomicU64,
}

impl InFlight {
    pub(crate) fn begin(pace: &Arc<Pace>) -> Arc<Self> {
        pace.begin();
        let (owed, since_ms) = (AtomicU64::new(0), AtomicU64::new(0));
        let request = Arc::new(Self { pace: Arc::clone(pace), owed, since_ms });
        let mut answers = pace.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.push(Arc::downgrade(&request));
        drop(answers);
        request
    }

    /// Owes bytes of the answer to the client; the request lasts until they have got to the socket.
    pub(crate) fn owe(self: &Arc<Self>, bytes: Bytes) -> Piece {
        self.owe_at(bytes.len() as u64, now_ms());
        Piece { bytes, of: Arc::clone(self) }
    }

    fn owe_at(&self, bytes: u64, now_ms: u64) {
        if self.owed.fetch_add(bytes, Ordering::Relaxed) == 0 {
            self.since_ms.store(now_ms, Ordering::Relaxed);
        }
    }

    fn given_at(&self, bytes: u64, now_ms: u64) {
        self.owed.fetch_sub(bytes, Ordering::Relaxed);
        self.since_ms.store(now_ms, Ordering::Relaxed);
        self.pace.moved_ms.store(now_ms, Ordering::Relaxed);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut answers = self.pace.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = answers.iter().position(|one| std::ptr::eq(one.as_ptr(), self)) {
            answers.swap_remove(at);
        }
        drop(answers);
        self.pace.end();
    }
}

/// Bytes of an answer that say when they get to the socket.
#[derive(Debug)]
pub(crate) struct Piece {
    bytes: Bytes,
    of: Arc<InFlight>,
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        if count > 0 {
            self.of.given_at(count as u64, now_ms());
        }
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        // The client has gone, or does not want the rest.
        self.of.owed.fetch_sub(self.bytes.len() as u64, Ordering::Relaxed);
    }
}

/// A socket that says when bytes move; holds `held` as long as it is open.
#[derive(Debug)]
pub(crate) struct Paced<S, H> {
    socket: S,
    pace: Arc<Pace>,
    is_http2: bool,
    _held: H,
}

impl<S, H> Paced<S, H> {
    pub(crate) fn new(socket: S, pace: Arc<Pace>, is_http2: bool, held: H) -> Self {
        Self { socket, pace, is_http2, _held: held }
    }

    fn noted<T>(&self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.pace.blocked(written.is_pending(), now_ms);
        written
    }

    fn sent(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.pace.sent(now_ms);
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
            self.pace.received(self.is_http2, now_ms);
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
        let bytes: usize = slices.iter().map(|slice| slice.len()).sum();
        let written = if bytes <= JOINED_MAX {
            let mut joined = [0; JOINED_MAX];
            Pin::new(&mut self.socket).poll_write(context, join(slices, &mut joined))
        } else {
            Pin::new(&mut self.socket).poll_write_vectored(context, slices)
        };
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

/// Puts pieces one behind the other into a buffer that has room for them.
fn join<'b>(pieces: &[io::IoSlice<'_>], buffer: &'b mut [u8]) -> &'b [u8] {
    let mut end = 0;
    for piece in pieces {
        buffer[end..end + piece.len()].copy_from_slice(piece);
        end += piece.len();
    }
    &buffer[..end]
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
        let (pace, limits) = (Pace::at(0), limits());
        let overdue = |seconds: u64| pace.overdue_at(&limits, false, seconds * 1000);
        assert_eq!((overdue(99), overdue(100)), (None, Some(Overdue::Idle)));
        pace.received(false, || 100_000);
        // More bytes do not buy more time.
        pace.received(false, || 109_000);
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

    #[test]
    fn answers_that_do_not_get_on_are_overdue_and_slow_ones_are_not() {
        let (pace, limits) = (Arc::new(Pace::at(0)), limits());
        let overdue = |seconds: u64| pace.overdue_at(&limits, true, seconds * 1000);
        let (stuck, moving) = (InFlight::begin(&pace), InFlight::begin(&pace));
        assert_eq!(overdue(10_000), None, "their makers are at work");
        stuck.owe_at(100, 1_000_000);
        assert_eq!((overdue(1119), overdue(1120)), (None, Some(Overdue::Write)));
        // One byte now and then is progress, of whichever answer, for a while.
        moving.owe_at(100, 1_000_000);
        for second in [1_100, 1_200, 1_300, 1_400] {
            moving.given_at(1, second * 1000);
            assert_eq!(overdue(second + 70), None, "{second}");
        }
        moving.given_at(1, 1_479_000);
        assert_eq!((overdue(1479), overdue(1480)), (None, Some(Overdue::Write)));
        stuck.given_at(100, 1_480_000);
        assert_eq!(overdue(1480), None);
        drop((stuck, moving));
        assert!(pace.answers.lock().unwrap().is_empty());
    }

    #[test]
    fn http2_client_without_a_request_shows_that_it_lives_for_a_bounded_time() {
        let (pace, limits) = (Pace::at(0), limits());
        let overdue = |seconds: u64| pace.overdue_at(&limits, true, seconds * 1000);
        for second in [90, 180, 270, 360, 450] {
            pace.received(true, || second * 1000);
            assert_eq!(overdue(second + 49), None, "{second}");
        }
        assert_eq!(overdue(500), Some(Overdue::Idle));
    }

    #[test]
    fn piece_is_owed_until_it_is_given_or_dropped() {
        let pace = Arc::new(Pace::new());
        let request = InFlight::begin(&pace);
        let mut piece = request.owe(Bytes::from_static(b"hello"));
        piece.advance(2);
        assert_eq!((piece.chunk(), pace.owed_since_ms().is_some()), (&b"llo"[..], true));
        drop(request);
        assert_eq!(pace.requests.load(Ordering::Relaxed), 1, "its bytes are not given");
        drop(piece);
        assert_eq!((pace.requests.load(Ordering::Relaxed), pace.owed_since_ms()), (0, None));
    }

    /// Takes what it is given, and remembers the pieces.
    #[derive(Default)]
    struct Pieces(Vec<Vec<u8>>);

    impl AsyncWrite for Pieces {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.0.push(bytes.to_vec());
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn small_pieces_are_written_as_one_and_large_ones_as_they_are() {
        let mut paced = Paced::new(Pieces::default(), Arc::new(Pace::new()), false, ());
        let (head, small, large) = (vec![b'h'; 300], vec![b's'; JOINED_MAX - 300], vec![b'l'; JOINED_MAX]);
        let mut context = Context::from_waker(std::task::Waker::noop());
        for body in [&small, &large] {
            let slices = [io::IoSlice::new(&head), io::IoSlice::new(body)];
            assert!(Pin::new(&mut paced).poll_write_vectored(&mut context, &slices).is_ready());
        }
        // Of a list it writes the first piece, as every writer may that knows no lists.
        assert_eq!(paced.socket.0, [[head.clone(), small].concat(), head]);
    }
}

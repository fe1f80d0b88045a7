//! Bodies: what comes in is bounded in bytes and in time, what goes out is one piece or a stream.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::limits::Limits;

/// Why a body of an answer broke off.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Says why the body of a request cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum BodyFault {
    /// It is larger than is taken.
    #[error("the body has more than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// It comes in too slowly.
    #[error("the body comes in too slowly: {received} bytes in {} seconds", taken.as_secs())]
    TooSlow {
        /// What came.
        received: u64,
        /// For how long.
        taken: Duration,
    },
    /// The connection broke.
    #[error("the body broke off")]
    Broken(#[source] hyper::Error),
}

/// The body of a request: ends with a fault when it is too large or too slow.
///
/// What is dropped before its end is read on beside the answer, a little and for a short time: a client that is still
/// sending could otherwise lose the answer together with its connection.
#[derive(Debug)]
pub struct RequestBody {
    /// Nothing once it is dropped.
    inner: Option<Incoming>,
    limit: u64,
    received: u64,
    timeout: Duration,
    rate: u64,
    clock: Option<Clock>,
}

#[derive(Debug)]
struct Clock {
    begun: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl RequestBody {
    pub(crate) fn new(inner: Incoming, limits: &Limits) -> Self {
        Self {
            inner: Some(inner),
            limit: limits.body_bytes,
            received: 0,
            timeout: limits.body_timeout,
            rate: limits.body_rate.max(1),
            clock: None,
        }
    }

    /// Takes another number of bytes than the server does by itself.
    #[must_use]
    pub fn with_limit(mut self, bytes: u64) -> Self {
        self.limit = bytes;
        self
    }

    /// Reads it to its end.
    ///
    /// Errors: [`BodyFault`]; a body that announces more bytes than are taken is refused before any of them is read.
    pub async fn read(mut self) -> Result<Bytes, BodyFault> {
        if self.size_hint().lower() > self.limit {
            return Err(BodyFault::TooLarge { limit: self.limit });
        }
        let mut whole = BytesMut::new();
        let mut first: Option<Bytes> = None;
        while let Some(frame) = poll_fn(|context| Pin::new(&mut self).poll_frame(context)).await {
            let Ok(data) = frame?.into_data() else { continue };
            if let Some(begun) = first.take() {
                whole.extend_from_slice(&begun);
            }
            if whole.is_empty() {
                first = Some(data);
            } else {
                whole.extend_from_slice(&data);
            }
        }
        Ok(first.unwrap_or_else(|| whole.freeze()))
    }

    fn poll_clock(&mut self, context: &mut Context<'_>) -> Poll<BodyFault> {
        let (timeout, received) = (self.timeout, self.received);
        let granted = timeout + Duration::from_millis(received.saturating_mul(1000) / self.rate);
        let clock = self.clock.get_or_insert_with(|| {
            let begun = Instant::now();
            Clock { begun, sleep: Box::pin(sleep_until(begun + granted)) }
        });
        let deadline = clock.begun + granted;
        if clock.sleep.deadline() != deadline {
            clock.sleep.as_mut().reset(deadline);
        }
        ready!(clock.sleep.as_mut().poll(context));
        Poll::Ready(BodyFault::TooSlow { received, taken: clock.begun.elapsed() })
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        match Pin::new(inner).poll_frame(context) {
            Poll::Pending => self.poll_clock(context).map(|fault| Some(Err(fault))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(BodyFault::Broken(error)))),
            Poll::Ready(Some(Ok(frame))) => {
                self.received += frame.data_ref().map_or(0, |data| data.len() as u64);
                if self.received > self.limit {
                    return Poll::Ready(Some(Err(BodyFault::TooLarge { limit: self.limit })));
                }
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let left = self.inner.take().filter(|inner| !inner.is_end_stream());
        if let (Some(inner), Ok(runtime)) = (left, tokio::runtime::Handle::try_current()) {
            runtime.spawn(drain(inner));
        }
    }
}

/// Reads what nobody wants, within limits.
async fn drain(mut body: Incoming) {
    const BYTES_MAX: usize = 256 << 10;
    const TIME_MAX: Duration = Duration::from_secs(2);
    let read = async {
        let mut bytes = 0;
        while bytes < BYTES_MAX {
            match poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
                Some(Ok(frame)) => bytes += frame.data_ref().map_or(0, Bytes::len),
                Some(Err(_)) | None => return,
            }
        }
    };
    drop(tokio::time::timeout(TIME_MAX, read).await);
}

/// The body of an answer.
#[derive(Default)]
pub enum ResponseBody {
    /// None.
    #[default]
    Empty,
    /// One piece.
    Full(Bytes),
    /// As it comes.
    Stream(Pin<Box<dyn Body<Data = Bytes, Error = BoxError> + Send>>),
}

impl std::fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Full(bytes) => write!(f, "Full({} bytes)", bytes.len()),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

impl ResponseBody {
    /// Hands another body on as it comes, for instance that of an answer from elsewhere.
    pub fn stream<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        if body.is_end_stream() { Self::Empty } else { Self::Stream(Box::pin(Boxed(body))) }
    }
}

/// A body whose error is boxed.
struct Boxed<B>(B);

impl<B> Body for Boxed<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.0).poll_frame(context).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

impl From<Vec<u8>> for ResponseBody {
    fn from(bytes: Vec<u8>) -> Self {
        Self::from(Bytes::from(bytes))
    }
}

impl From<Bytes> for ResponseBody {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() { Self::Empty } else { Self::Full(bytes) }
    }
}

impl From<&'static str> for ResponseBody {
    fn from(text: &'static str) -> Self {
        Self::from(Bytes::from_static(text.as_bytes()))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Stream(body) => body.as_mut().poll_frame(context),
            Self::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(_) => false,
            Self::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(body) => body.size_hint(),
        }
    }
}

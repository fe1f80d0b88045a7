//! The body of a request on its way to an instance.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use hyper::body::{Body, Frame, SizeHint};
use tender_http::{BodyFault, Bytes, RequestBody};
use tokio::time::Instant;

/// The body of a request, in more than one request until the first of them takes it.
///
/// A request that could not be sent has not touched it: another one may.
#[derive(Debug, Clone)]
pub(crate) struct SharedBody {
    /// Nothing when there are no bytes.
    inner: Option<Arc<Mutex<Inner>>>,
    hint: SizeHint,
}

#[derive(Debug)]
struct Inner {
    body: RequestBody,
    is_touched: bool,
    /// When some of it was taken last.
    moved: Option<Instant>,
    fault: Option<BodyFault>,
}

impl SharedBody {
    pub(crate) fn new(body: RequestBody) -> Self {
        if body.is_end_stream() {
            return Self { inner: None, hint: SizeHint::with_exact(0) };
        }
        let hint = body.size_hint();
        let inner = Inner { body, is_touched: false, moved: None, fault: None };
        Self { inner: Some(Arc::new(Mutex::new(inner))), hint }
    }

    /// Says whether it can be sent with another request.
    pub(crate) fn is_whole(&self) -> bool {
        self.inner().is_none_or(|inner| !inner.is_touched)
    }

    /// Returns when some of it was taken last.
    pub(super) fn moved(&self) -> Option<Instant> {
        self.inner()?.moved
    }

    /// Takes what went wrong with it.
    pub(super) fn fault(&self) -> Option<BodyFault> {
        self.inner()?.fault.take()
    }

    fn inner(&self) -> Option<MutexGuard<'_, Inner>> {
        Some(self.inner.as_ref()?.lock().expect("no thread panics while it reads a body"))
    }
}

/// Says that a body broke off; what it was about stays with the body.
#[derive(Debug, thiserror::Error)]
#[error("the body of the request broke off")]
pub(crate) struct BrokenOff;

impl Body for SharedBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let Some(mut inner) = self.inner() else { return Poll::Ready(None) };
        inner.is_touched = true;
        inner.moved = Some(Instant::now());
        Pin::new(&mut inner.body).poll_frame(context).map(|frame| match frame? {
            Ok(frame) => Some(Ok(frame)),
            Err(fault) => {
                inner.fault = Some(fault);
                Some(Err(BrokenOff))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner().is_none_or(|inner| inner.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}

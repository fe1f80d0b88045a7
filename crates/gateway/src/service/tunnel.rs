//! Connections that become ones of another protocol, such as `WebSocket`: bytes both ways until one side ends.

use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::upgrade::OnUpgrade;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use tender_http::{BoxError, Bytes, ResponseBody};

use super::Gateway;

/// Makes an answer of what a service answered; on 101 the two connections are joined.
pub(super) fn answer(
    gateway: &Gateway,
    mut response: Response<Incoming>,
    client: Option<OnUpgrade>,
) -> Response<ResponseBody> {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return response.map(|body| ResponseBody::Stream(Box::pin(Passed(body))));
    }
    let service = hyper::upgrade::on(&mut response);
    if let Some(client) = client {
        gateway.0.counters.tunnels.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(join(client, service));
    }
    response.map(|_| ResponseBody::Empty)
}

async fn join(client: OnUpgrade, service: OnUpgrade) {
    let (Ok(client), Ok(service)) = tokio::join!(client, service) else { return };
    // However it ends, both ends see it: the other side is closed too.
    let mut ends = (TokioIo::new(client), TokioIo::new(service));
    tokio::io::copy_bidirectional(&mut ends.0, &mut ends.1).await.ok();
}

/// The body of an answer as it comes from a service.
struct Passed(Incoming);

impl Body for Passed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.0)
            .poll_frame(context)
            .map(|frame| frame.map(|frame| frame.map_err(BoxError::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

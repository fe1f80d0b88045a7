//! Connections to instances: kept for the next request, checked as `zowe.verifyCertificates` says.

mod body;
mod connect;
mod driven;
mod guarded;
mod pool;

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use hyper::{Request, Response};
use rustls::ClientConfig;
use tender_http::{BodyFault, BoxError, ResponseBody};
use tokio::time::{Instant, Sleep};

pub(crate) use body::SharedBody;
use connect::Connector;
use driven::{Driven, quietly};
pub use guarded::Guarded;
use pool::{Kept, Lent, Shelf};

use crate::table::End;

/// Threads beyond share a shelf of connections with others.
const SHELVES: usize = 64;

/// How instances are reached.
#[derive(Debug, Clone)]
pub struct UpstreamSettings {
    /// How TLS is spoken with them.
    pub tls: Arc<ClientConfig>,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How long the head of an answer may take.
    pub answer_timeout: Duration,
    /// How many idle connections each thread keeps to each.
    pub idle_per_instance: usize,
    /// Where nobody is led.
    pub guarded: Guarded,
}

impl UpstreamSettings {
    /// Returns what fits most services.
    #[must_use]
    pub fn new(tls: Arc<ClientConfig>) -> Self {
        Self {
            tls,
            connect_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(60),
            idle_per_instance: 1000,
            guarded: Guarded::default(),
        }
    }
}

/// Connections to instances.
#[derive(Debug)]
pub(crate) struct Upstream {
    connector: Connector,
    shelves: Vec<Arc<Shelf>>,
    answer_timeout: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unanswered {
    /// Nothing was sent.
    #[error("it cannot be reached")]
    Unreachable(#[source] BoxError),
    /// The other end is not who it should be, or speaks no TLS; nothing was sent.
    #[error("no TLS connection can be made")]
    Tls(#[source] BoxError),
    /// What was registered makes no address; nothing was sent.
    #[error("what it registered makes no address")]
    Address(#[source] hyper::http::Error),
    /// The client sends a body that is not taken.
    #[error("the body of the request cannot be had")]
    Body(#[source] BodyFault),
    /// Some of the request was sent: it may have been done.
    #[error("the connection broke before the answer")]
    Broken(#[source] hyper::Error),
    /// The request was sent: it may be done.
    #[error("there is no answer after {} seconds", .0.as_secs())]
    Late(Duration),
}

/// What became of a request on one connection.
enum Asked {
    Answered(Response<ResponseBody>),
    /// Nothing was sent: the connection had ended.
    Unsent(Request<SharedBody>, hyper::Error),
    Failed(Unanswered),
}

impl Upstream {
    pub(crate) fn new(settings: &UpstreamSettings) -> Self {
        Self {
            connector: Connector::new(&settings.tls, settings.connect_timeout, settings.guarded.clone()),
            shelves: (0..SHELVES).map(|_| Arc::new(Shelf::new(settings.idle_per_instance))).collect(),
            answer_timeout: settings.answer_timeout,
        }
    }

    /// Sends a request to where an end leads and waits for the head of the answer; the time limit runs from the last of the
    /// body on. `worker` is the number of the thread that asks.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "what waits is made where it stays instead of being moved there"
    )]
    pub(crate) fn send<'s>(
        &'s self,
        end: &'s End,
        mut request: Request<SharedBody>,
        timeout: Option<Duration>,
        worker: usize,
    ) -> impl Future<Output = Result<Response<ResponseBody>, Unanswered>> + Send + use<'s> {
        let shelf = &self.shelves[worker % SHELVES];
        let timeout = timeout.unwrap_or(self.answer_timeout);
        async move {
            while let Some(kept) = shelf.take(&end.origin) {
                match ask(kept, request, timeout, end, shelf).await {
                    Asked::Answered(answer) => return Ok(answer),
                    Asked::Failed(why) => return Err(why),
                    Asked::Unsent(back, _) => request = back,
                }
            }
            let origin =
                end.origin.parse().map_err(|error| Unanswered::Address(hyper::http::Error::from(error)))?;
            // Seldom needed, and large: every request would carry the space for it.
            let kept = Kept::new(Box::pin(self.connector.connect(origin)).await?, timeout);
            match ask(kept, request, timeout, end, shelf).await {
                Asked::Answered(answer) => Ok(answer),
                Asked::Failed(why) => Err(why),
                Asked::Unsent(_, error) => Err(Unanswered::Unreachable(error.into())),
            }
        }
    }
}

/// Sends a request over a connection, and waits for the answer.
#[inline(always)]
#[expect(clippy::inline_always, reason = "what waits is made where it stays instead of being moved there")]
fn ask<'e>(
    mut kept: Kept,
    request: Request<SharedBody>,
    timeout: Duration,
    end: &'e End,
    shelf: &'e Arc<Shelf>,
) -> impl Future<Output = Asked> + Send + use<'e> {
    let body = request.body().clone();
    let answer = kept.sender.try_send_request(request);
    async move {
        let answer = pin!(answer);
        match within(&mut kept.alarm, &mut kept.connection, timeout, &body, answer).await {
            None => Asked::Failed(Unanswered::Late(timeout)),
            Some(Ok(answer)) => Asked::Answered(answer.map(|body| Lent::body(body, kept, end, shelf))),
            Some(Err(mut failed)) => {
                let back = failed.take_message();
                let error = failed.into_error();
                match (body.fault(), back) {
                    (Some(fault), _) => Asked::Failed(Unanswered::Body(fault)),
                    (None, Some(request)) => Asked::Unsent(request, error),
                    (None, None) => Asked::Failed(Unanswered::Broken(error)),
                }
            }
        }
    }
}

/// Waits for an answer until it is late; nothing then.
///
/// The alarm stays set for an earlier request of its connection, which is earlier than it need be, and is set again only
/// when it goes off: setting it for each request would cost more than the rest of the waiting.
fn within<T>(
    alarm: &mut Pin<Box<Sleep>>,
    connection: &mut Driven,
    timeout: Duration,
    body: &SharedBody,
    mut answer: Pin<&mut impl Future<Output = T>>,
) -> impl Future<Output = Option<T>> {
    let begun = Instant::now();
    if alarm.deadline() > begun + timeout {
        alarm.as_mut().reset(begun + timeout);
    }
    poll_fn(move |context| {
        connection.work(context);
        if let Poll::Ready(answer) = quietly(|context| answer.as_mut().poll(context)) {
            return Poll::Ready(Some(answer));
        }
        loop {
            ready!(alarm.as_mut().poll(context));
            let late = body.moved().unwrap_or(begun) + timeout;
            if late <= Instant::now() {
                return Poll::Ready(None);
            }
            alarm.as_mut().reset(late);
        }
    })
}

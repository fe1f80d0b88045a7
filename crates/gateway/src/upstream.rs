//! Connections to instances: kept for the next request, checked as `zowe.verifyCertificates` says.

use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::{Request, Response, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use tender_http::{BodyFault, BoxError, Bytes, RequestBody};
use tokio::time::Instant;

use crate::resolver::{Reach, Resolver};

/// How instances are reached.
#[derive(Debug, Clone)]
pub struct UpstreamSettings {
    /// How TLS is spoken with them.
    pub tls: Arc<ClientConfig>,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How long the head of an answer may take.
    pub answer_timeout: Duration,
    /// How many idle connections are kept to each.
    pub idle_per_instance: usize,
}

impl UpstreamSettings {
    /// Returns what fits most services.
    #[must_use]
    pub fn new(tls: Arc<ClientConfig>) -> Self {
        Self {
            tls,
            connect_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(60),
            idle_per_instance: 100,
        }
    }
}

/// Connections to instances.
#[derive(Debug)]
pub(crate) struct Upstream {
    client: Client<Bounded<HttpsConnector<HttpConnector<Resolver>>>, SharedBody>,
    answer_timeout: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unanswered {
    /// Nothing was sent.
    #[error("it cannot be reached")]
    Unreachable(#[source] Error),
    /// The other end is not who it should be, or speaks no TLS; nothing was sent.
    #[error("no TLS connection can be made")]
    Tls(#[source] Error),
    /// What was registered makes no address; nothing was sent.
    #[error("what it registered makes no address")]
    Address(#[source] hyper::http::Error),
    /// The client sends a body that is not taken.
    #[error("the body of the request cannot be had")]
    Body(#[source] BodyFault),
    /// Some of the request was sent: it may have been done.
    #[error("the connection broke before the answer")]
    Broken(#[source] Error),
    /// The request was sent: it may be done.
    #[error("there is no answer after {} seconds", .0.as_secs())]
    Late(Duration),
}

impl Upstream {
    pub(crate) fn new(settings: &UpstreamSettings) -> Self {
        let mut http = HttpConnector::new_with_resolver(Resolver::new(Reach::Registered));
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(settings.connect_timeout));
        let https = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config((*settings.tls).clone())
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            // Shorter than what servers usually keep a connection for: the end of one would meet a request on its way.
            .pool_idle_timeout(Duration::from_secs(4))
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(settings.idle_per_instance)
            .build(Bounded { connector: https, timeout: settings.connect_timeout });
        Self { client, answer_timeout: settings.answer_timeout }
    }

    /// Sends a request and waits for the head of the answer; the time limit runs from the last of the body on.
    pub(crate) async fn send(
        &self,
        request: Request<SharedBody>,
        timeout: Option<Duration>,
    ) -> Result<Response<Incoming>, Unanswered> {
        let timeout = timeout.unwrap_or(self.answer_timeout);
        let body = request.body().clone();
        let mut answer = pin!(self.client.request(request));
        loop {
            let until = body.moved() + timeout;
            match tokio::time::timeout_at(until, &mut answer).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => return Err(understood(error, &body)),
                Err(_) if body.moved() + timeout > until => {}
                Err(_) => return Err(Unanswered::Late(timeout)),
            }
        }
    }
}

fn understood(error: Error, body: &SharedBody) -> Unanswered {
    if let Some(fault) = body.fault() {
        return Unanswered::Body(fault);
    }
    if error.is_connect() {
        return if is_tls(&error) { Unanswered::Tls(error) } else { Unanswered::Unreachable(error) };
    }
    Unanswered::Broken(error)
}

fn is_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    if error.is::<rustls::Error>() {
        return true;
    }
    // What an error of input and output holds is not among its causes.
    let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    let held = held.map(|held| held as &(dyn std::error::Error + 'static));
    held.or_else(|| error.source()).is_some_and(is_tls)
}

/// The body of a request, in more than one request until the first of them takes it.
///
/// A request that could not be sent has not touched it: another one may.
#[derive(Debug, Clone)]
pub(crate) struct SharedBody {
    inner: Arc<Mutex<Inner>>,
    hint: SizeHint,
    is_empty: bool,
}

#[derive(Debug)]
struct Inner {
    body: RequestBody,
    is_touched: bool,
    /// When some of it was taken last.
    moved: Instant,
    fault: Option<BodyFault>,
}

impl SharedBody {
    pub(crate) fn new(body: RequestBody) -> Self {
        let (hint, is_empty) = (body.size_hint(), body.is_end_stream());
        Self {
            inner: Arc::new(Mutex::new(Inner {
                body,
                is_touched: false,
                moved: Instant::now(),
                fault: None,
            })),
            hint,
            is_empty,
        }
    }

    /// Says whether it can be sent with another request.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_empty || !self.inner().is_touched
    }

    fn moved(&self) -> Instant {
        self.inner().moved
    }

    fn fault(&self) -> Option<BodyFault> {
        self.inner().fault.take()
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().expect("no thread panics while it reads a body")
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
        let mut inner = self.inner();
        inner.is_touched = true;
        inner.moved = Instant::now();
        Pin::new(&mut inner.body).poll_frame(context).map(|frame| match frame? {
            Ok(frame) => Some(Ok(frame)),
            Err(fault) => {
                inner.fault = Some(fault);
                Some(Err(BrokenOff))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.is_empty || self.inner().body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}

/// Makes connections, TLS included, within a time.
#[derive(Debug, Clone)]
struct Bounded<C> {
    connector: C,
    timeout: Duration,
}

impl<C> tower_service::Service<Uri> for Bounded<C>
where
    C: tower_service::Service<Uri, Error = BoxError>,
    C::Future: Send + 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connection, timeout) = (self.connector.call(uri), self.timeout);
        let late =
            move |_| io::Error::new(io::ErrorKind::TimedOut, format!("no connection after {timeout:?}"));
        Box::pin(async move { tokio::time::timeout(timeout, connection).await.map_err(late)? })
    }
}

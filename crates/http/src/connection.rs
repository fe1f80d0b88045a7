//! One connection: handshake, requests, end.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HeaderValue};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::coop::has_budget_remaining;
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;

use crate::access::Access;
use crate::body::{BoxError, RequestBody, ResponseBody};
use crate::event::Event;
use crate::message::{Message, chain};
use crate::pace::{InFlight, Overdue, Pace, Paced, Piece};
use crate::peer::{Peer, PeerCertificate};
use crate::server::{Handler, Settings, Stage, Transport};
use crate::tls;

/// Header lines that hyper takes of a request by itself.
const HEADERS_UNSAID: usize = 100;

/// What all connections of a server share.
pub(crate) struct Shared<H> {
    pub(crate) handler: H,
    pub(crate) settings: Settings,
    /// Every answer is the last of its connection.
    pub(crate) is_ending: AtomicBool,
}

/// Serves one connection of the thread `worker` to its end; holds `held` as long, also when it has become one of another
/// protocol.
pub(crate) async fn serve<H: Handler>(
    shared: Arc<Shared<H>>,
    stream: TcpStream,
    (client, worker): (SocketAddr, usize),
    held: impl Unpin + Send + 'static,
    told: watch::Receiver<Stage>,
) {
    stream.set_nodelay(true).ok();
    let local = stream.local_addr().unwrap_or(client);
    let mut peer = Peer::new(client, local);
    peer.worker = worker;
    let pace = Arc::new(Pace::new());
    let Transport::Tls(tls) = &shared.settings.transport else {
        let socket = Paced::new(stream, Arc::clone(&pace), false, held);
        return drive(&shared, socket, &Arc::new(peer), &pace, told, false).await;
    };
    // Taken for each connection: a certificate that was read again is used from the next one on.
    let accepted = TlsAcceptor::from(tls.current()).accept(stream);
    let failed = |reason: String| (shared.settings.events)(&Event::Handshake { client, reason });
    let stream = match tokio::time::timeout(shared.settings.limits.handshake_timeout, accepted).await {
        Ok(Ok(stream)) => stream,
        // Who only looks whether the port is open goes away like this.
        Ok(Err(error)) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
            let reason = "the client went away before the TLS handshake".to_owned();
            return (shared.settings.events)(&Event::Connection { client, reason });
        }
        Ok(Err(error)) => return failed(tls::reason(&error)),
        Err(_) => return failed("the client did not go on with it in time".to_owned()),
    };
    let session = stream.get_ref().1;
    let is_http2 = session.alpn_protocol() == Some(b"h2");
    let certificate = session.peer_certificates().and_then(PeerCertificate::of);
    let peer = Arc::new(peer.over_tls(certificate));
    let socket = Paced::new(stream, Arc::clone(&pace), is_http2, held);
    drive(&shared, socket, &peer, &pace, told, is_http2).await;
}

async fn drive<H: Handler>(
    shared: &Arc<Shared<H>>,
    socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: &Arc<Peer>,
    pace: &Arc<Pace>,
    told: watch::Receiver<Stage>,
    is_http2: bool,
) {
    let (io, limits) = (TokioIo::new(socket), &shared.settings.limits);
    let ended = if is_http2 {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new());
        builder.max_concurrent_streams(limits.streams);
        builder.max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX));
        // Each becomes a task, and is moved some times before it is one.
        let service = service_fn(|request| {
            Box::pin(respond(Arc::clone(shared), request, Arc::clone(peer), pace, true))
        });
        watched(builder.serve_connection(io, service), shared, pace, told, true).await
    } else {
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new());
        // The pace has both times, idle and head; this one would count them together.
        builder.header_read_timeout(None);
        builder.half_close(false);
        // Said, it costs every request; what is not said is a hundred.
        if limits.headers != HEADERS_UNSAID {
            builder.max_headers(limits.headers);
        }
        builder.max_buf_size(limits.head_bytes.max(8192));
        let service =
            service_fn(|request| respond(Arc::clone(shared), request, Arc::clone(peer), pace, false));
        watched(builder.serve_connection(io, service).with_upgrades(), shared, pace, told, false).await
    };
    if let Err(reason) = ended {
        (shared.settings.events)(&Event::Connection { client: peer.address, reason });
    }
}

/// A connection that can be told to end after what it is doing.
trait Served: Future<Output = hyper::Result<()>> {
    fn close(self: Pin<&mut Self>);
}

impl<I, B, S> Served for http1::UpgradeableConnection<I, S>
where
    S: hyper::service::HttpService<Incoming, ResBody = B>,
    S::Error: Into<BoxError>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    B: Body + 'static,
    B::Error: Into<BoxError>,
{
    fn close(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, B, S> Served for http2::Connection<I, S, TokioExecutor>
where
    S: hyper::service::HttpService<Incoming, ResBody = B>,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    fn close(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// For how long a connection without a request is kept when the server ends: one may be on its way.
const DRAIN: Duration = Duration::from_secs(1);

/// Drives a connection and ends it when it is overdue or the server ends.
async fn watched<H>(
    connection: impl Served,
    shared: &Shared<H>,
    pace: &Pace,
    mut told: watch::Receiver<Stage>,
    is_http2: bool,
) -> Result<(), String> {
    let limits = &shared.settings.limits;
    let interval = Pace::interval(limits);
    let mut connection = pin!(connection);
    let mut look = pin!(tokio::time::sleep(interval));
    let mut seen = told.clone();
    let mut is_closing = *told.borrow_and_update() != Stage::Open;
    let mut drain = pin!(tokio::time::sleep(DRAIN));
    let mut is_draining = is_closing && !is_http2;
    if is_closing && is_http2 {
        connection.as_mut().close();
    }
    loop {
        seen.mark_unchanged();
        let turn = {
            let mut changed = pin!(told.changed());
            let drain = is_draining.then_some(drain.as_mut());
            let rest = (look.as_mut(), drain, changed.as_mut());
            next(connection.as_mut(), rest, &seen).await
        };
        match turn {
            Turn::Ended(ended) => return ended.map_err(|error| chain(&error)),
            Turn::Drained => {
                is_draining = false;
                connection.as_mut().close();
            }
            Turn::Look => {
                match pace.overdue(limits, is_http2) {
                    None => {}
                    // A second time: it did not react to the first.
                    Some(Overdue::Idle) if is_closing => return Ok(()),
                    Some(Overdue::Idle) => {
                        is_closing = true;
                        connection.as_mut().close();
                    }
                    Some(Overdue::Head) => return Err("the head of a request came too slowly".to_owned()),
                    Some(Overdue::Write) => return Err("the client takes no byte of its answer".to_owned()),
                }
                look.as_mut().reset(tokio::time::Instant::now() + interval);
            }
            Turn::Told(is_there) => match (is_there, *told.borrow_and_update()) {
                (true, Stage::Closing) => {
                    is_closing = true;
                    if is_http2 {
                        connection.as_mut().close();
                    } else {
                        // A request may be on its way.
                        drain.as_mut().reset(tokio::time::Instant::now() + DRAIN);
                        is_draining = true;
                    }
                }
                (true, Stage::Open) => {}
                (true, Stage::Cut) | (false, _) => return Err("the server ends".to_owned()),
            },
        }
    }
}

/// What a connection is to be woken for.
enum Turn {
    Ended(hyper::Result<()>),
    Drained,
    Look,
    /// The server says something, or is gone.
    Told(bool),
}

/// Drives a connection until something is to be decided.
///
/// Everything wakes the same task. What has not gone off since it was asked last is not asked again, or all of it would be for
/// every packet that comes.
async fn next<C: Served, T>(
    mut connection: Pin<&mut C>,
    (mut look, mut drain, mut changed): (Pin<&mut Sleep>, Option<Pin<&mut Sleep>>, Pin<&mut T>),
    seen: &watch::Receiver<Stage>,
) -> Turn
where
    T: Future<Output = Result<(), watch::error::RecvError>>,
{
    let mut asked_by: Option<Waker> = None;
    poll_fn(|context| {
        if let Poll::Ready(ended) = connection.as_mut().poll(context) {
            return Poll::Ready(Turn::Ended(ended));
        }
        let is_new = !asked_by.as_ref().is_some_and(|waker| waker.will_wake(context.waker()));
        if let Some(drain) = &mut drain
            && drain.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Turn::Drained);
        }
        if (is_new || look.is_elapsed()) && look.as_mut().poll(context).is_ready() {
            return Poll::Ready(Turn::Look);
        }
        if (is_new || !matches!(seen.has_changed(), Ok(false)))
            && let Poll::Ready(told) = changed.as_mut().poll(context)
        {
            return Poll::Ready(Turn::Told(told.is_ok()));
        }
        // A task that has had its share of this turn is told to come again instead of being heard: then all are asked again.
        if is_new && has_budget_remaining() {
            asked_by = Some(context.waker().clone());
        }
        Poll::Pending
    })
    .await
}

/// Answers a request.
#[inline(always)]
#[expect(clippy::inline_always, reason = "what waits is made where it stays instead of being moved there")]
fn respond<H: Handler>(
    shared: Arc<Shared<H>>,
    request: Request<Incoming>,
    peer: Arc<Peer>,
    pace: &Arc<Pace>,
    is_http2: bool,
) -> impl Future<Output = Result<Response<Answer>, Infallible>> + Send + use<H> {
    let in_flight = InFlight::begin(pace);
    let is_head = request.method() == Method::HEAD;
    let line = shared.settings.access.is_some().then(|| Line {
        begun: Instant::now(),
        method: request.method().clone(),
        target: request.uri().path_and_query().map_or("", |target| target.as_str()).to_owned(),
        version: request.version(),
    });
    let request = request.map(|body| RequestBody::new(body, &shared.settings.limits));
    async move {
        let mut response = match refusal(&request) {
            Some(refusal) => refusal,
            None => shared.handler.handle(request, &peer).await,
        };
        if is_head {
            response = without_body(response);
        }
        if shared.is_ending.load(Ordering::Relaxed)
            && !is_http2
            && response.status() != StatusCode::SWITCHING_PROTOCOLS
        {
            // The client need not find out by asking again.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let tell = line.map(|line| line.teller(shared, peer, response.status()));
        Ok(response.map(|body| Answer { body, sent: 0, is_done: false, tell, in_flight }))
    }
}

/// Leaves the body of an answer to HEAD out, and says how long it would have been.
fn without_body(mut response: Response<ResponseBody>) -> Response<ResponseBody> {
    let length = response.body().size_hint().exact().filter(|_| !response.body().is_end_stream());
    if let Some(length) = length {
        response.headers_mut().entry(CONTENT_LENGTH).or_insert_with(|| length.into());
    }
    response.map(|_| ResponseBody::Empty)
}

/// Says how many bytes of an answer were sent, and whether it was cut off.
type Tell = Box<dyn FnOnce(u64, bool) + Send>;

/// A request, as whoever keeps them is told of it.
struct Line {
    begun: Instant,
    method: Method,
    target: String,
    version: Version,
}

impl Line {
    /// Returns what tells of the request once it is answered.
    fn teller<H: Handler>(self, shared: Arc<Shared<H>>, peer: Arc<Peer>, status: StatusCode) -> Tell {
        Box::new(move |bytes, is_cut| {
            let Self { begun, method, target, version } = self;
            let taken = begun.elapsed();
            let access = Access {
                peer: &peer,
                method: &method,
                target: &target,
                version,
                status,
                bytes,
                is_cut,
                taken,
            };
            if let Some(sink) = &shared.settings.access {
                sink(&access);
            }
        })
    }
}

/// Refuses what a server behind this one could understand differently.
fn refusal<B>(request: &Request<B>) -> Option<Response<ResponseBody>> {
    let refused = |reason: &str| Some(Message::bad_request(reason).answer(StatusCode::BAD_REQUEST));
    // Of a length beside chunks hyper leaves nothing; lengths that differ, and codings it does not know, it refuses.
    if request.version() == Version::HTTP_11
        && request.headers().get_all(hyper::header::HOST).iter().count() != 1
    {
        return refused("The request must have one Host header");
    }
    None
}

/// The body of an answer, which says when it was given.
struct Answer {
    body: ResponseBody,
    sent: u64,
    is_done: bool,
    tell: Option<Tell>,
    in_flight: Arc<InFlight>,
}

impl Body for Answer {
    type Data = Piece;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, BoxError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Ready(None) => self.is_done = true,
            Poll::Ready(Some(Ok(frame))) => {
                self.sent += frame.data_ref().map_or(0, |data| data.len() as u64);
                self.is_done = self.body.is_end_stream();
            }
            _ => {}
        }
        polled.map_ok(|frame| frame.map_data(|bytes| self.in_flight.owe(bytes)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(tell) = self.tell.take() {
            tell(self.sent, !self.is_done && !self.body.is_end_stream());
        }
    }
}

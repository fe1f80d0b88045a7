//! A server with short limits whose handler can be held up, and clients that say exactly what they mean.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tender_http::hyper::{Request, Response, StatusCode};
use tender_http::{
    Ended, Handler, Limits, Message, Peer, RequestBody, ResponseBody, Server, Settings, Transport,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

/// How long anything may take before the test gives up.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Limits that a test can wait for.
pub(crate) fn short() -> Limits {
    Limits {
        head_timeout: Duration::from_millis(300),
        idle_timeout: Duration::from_millis(300),
        body_timeout: Duration::from_millis(300),
        write_timeout: Duration::from_millis(300),
        handshake_timeout: Duration::from_millis(300),
        grace: Duration::from_millis(500),
        body_bytes: 1000,
        ..Limits::default()
    }
}

/// Limits that nobody reaches.
pub(crate) fn long() -> Limits {
    let long = Duration::from_secs(60);
    Limits {
        head_timeout: long,
        idle_timeout: long,
        body_timeout: long,
        write_timeout: long,
        handshake_timeout: long,
        grace: long,
        ..Limits::default()
    }
}

/// What runs for a test.
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) events: Arc<Mutex<Vec<String>>>,
    pub(crate) requests: Arc<Mutex<Vec<String>>>,
    /// Lets one request to `/wait` go on.
    pub(crate) go_on: Arc<Notify>,
    /// Says that a request to `/wait` has come.
    pub(crate) waits: Arc<Notify>,
    stop: Option<oneshot::Sender<()>>,
    ended: JoinHandle<Ended>,
}

struct Answers {
    go_on: Arc<Notify>,
    waits: Arc<Notify>,
}

impl Handler for Answers {
    async fn handle(&self, mut request: Request<RequestBody>, peer: &Arc<Peer>) -> Response<ResponseBody> {
        match request.uri().path() {
            "/mirror" => Response::new(ResponseBody::stream(request.into_body().with_limit(u64::MAX))),
            "/upgrade" => {
                let upgrade = tender_http::hyper::upgrade::on(&mut request);
                tokio::spawn(async move {
                    let upgraded = hyper_util::rt::TokioIo::new(upgrade.await.unwrap());
                    let (mut from, mut to) = tokio::io::split(upgraded);
                    tokio::io::copy(&mut from, &mut to).await.ok();
                });
                let mut answer = Response::new(ResponseBody::Empty);
                *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
                answer.headers_mut().insert("connection", "upgrade".parse().unwrap());
                answer.headers_mut().insert("upgrade", "echo".parse().unwrap());
                answer
            }
            "/echo" => match request.into_body().read().await {
                Ok(body) => Response::new(body.into()),
                Err(fault) => Message::bad_request(fault.to_string()).answer(StatusCode::BAD_REQUEST),
            },
            "/wait" => {
                self.waits.notify_one();
                self.go_on.notified().await;
                Response::new("waited".into())
            }
            "/large" => Response::new(vec![b'x'; 64 << 20].into()),
            "/who" => {
                let subject = peer.certificate.as_ref().map_or("nobody", |one| one.subject());
                Response::new(subject.to_owned().into_bytes().into())
            }
            path => Message::no_endpoint(path).answer(StatusCode::NOT_FOUND),
        }
    }
}

impl World {
    /// Starts a server on loopback.
    pub(crate) fn start(transport: Transport, limits: Limits) -> Self {
        let (events, requests) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<Mutex<Vec<String>>>::default());
        let (told, asked) = (Arc::clone(&events), Arc::clone(&requests));
        let settings = Settings {
            limits,
            transport,
            threads: 2,
            events: Arc::new(move |event| told.lock().unwrap().push(event.to_string())),
            access: Some(Arc::new(move |access| asked.lock().unwrap().push(access.to_string()))),
        };
        let server = Server::bind(&["127.0.0.1:0".parse().unwrap()], settings).unwrap();
        let address = server.addresses()[0];
        let (go_on, waits) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let handler = Answers { go_on: Arc::clone(&go_on), waits: Arc::clone(&waits) };
        let (stop, stopped) = oneshot::channel();
        let ended = tokio::spawn(server.run(handler, async { drop(stopped.await) }));
        Self { address, events, requests, go_on, waits, stop: Some(stop), ended }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        within(TcpStream::connect(self.address)).await.unwrap()
    }

    /// Tells the server to end.
    pub(crate) fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(self) -> Ended {
        within(self.ended).await.unwrap()
    }

    /// Waits until an event has this text.
    pub(crate) async fn await_event(&self, text: &str) {
        within(async {
            while !self.events.lock().unwrap().iter().any(|event| event.contains(text)) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }
}

/// Gives up after the deadline.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("it takes too long")
}

/// Returns everything up to the end of the connection, also when it is broken off.
pub(crate) async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    within(stream.read_to_end(&mut bytes)).await.ok();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Sends a request and reads its answer up to `end`.
pub(crate) async fn ask(stream: &mut TcpStream, request: &str, end: &str) -> String {
    within(stream.write_all(request.as_bytes())).await.unwrap();
    let mut bytes = Vec::new();
    while !String::from_utf8_lossy(&bytes).ends_with(end) {
        let mut more = [0; 4096];
        let count = within(stream.read(&mut more)).await.unwrap();
        assert!(count > 0, "it ends after {}", String::from_utf8_lossy(&bytes));
        bytes.extend_from_slice(&more[..count]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

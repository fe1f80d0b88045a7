//! A gateway on loopback, services that answer as a test wants, and a client that sends bytes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tender_gateway::{Event, Gateway, Instance, Settings, Table, UpstreamSettings};
use tender_http::{Server, Settings as ServerSettings, Transport};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("not in time: {what}"))
}

/// What came over a connection: a head as it was sent, and a body.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Message {
    pub(crate) fn first_line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    pub(crate) fn status(&self) -> u16 {
        self.first_line().split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn is(&self, status: u16, text: &str) -> &Self {
        assert!(self.status() == status && self.text().contains(text), "{}{}", self.head, self.text());
        self
    }
}

/// Reads a message; nothing when the other end closes before one begins.
pub(crate) async fn receive(
    stream: &mut BufReader<impl tokio::io::AsyncRead + Unpin>,
    has_body: bool,
) -> Option<Message> {
    let mut message = Message::default();
    loop {
        let before = message.head.len();
        let count = stream.read_line(&mut message.head).await.ok()?;
        if count == 0 {
            return None;
        }
        if message.head[before..].trim().is_empty() {
            break;
        }
    }
    if !has_body {
        return Some(message);
    }
    if let Some(length) = message.header("content-length") {
        message.body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut message.body).await.ok()?;
    } else if message.header("transfer-encoding").is_some() {
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.ok()?;
            let size = usize::from_str_radix(line.trim(), 16).ok()?;
            let mut chunk = vec![0; size + 2];
            stream.read_exact(&mut chunk).await.ok()?;
            if size == 0 {
                break;
            }
            message.body.extend_from_slice(&chunk[..size]);
        }
    }
    Some(message)
}

/// What a service does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Answers with this status and body, and these lines as headers.
    Answer(u16, &'static str, String),
    /// Answers with the head that it got.
    Echo,
    /// Closes the connection without an answer.
    HangUp,
    /// Never answers.
    Silence,
}

/// A service on loopback.
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    pub(crate) got: Arc<Mutex<Vec<Message>>>,
    acceptor: JoinHandle<()>,
    connections: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Service {
    pub(crate) async fn start(reply: impl Fn(&Message) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (got, reply) = (Arc::new(Mutex::new(Vec::new())), Arc::new(reply));
        let connections = Arc::new(Mutex::new(Vec::new()));
        let (all, all_connections) = (Arc::clone(&got), Arc::clone(&connections));
        let acceptor = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = tokio::spawn(serve(stream, Arc::clone(&reply), Arc::clone(&all)));
                all_connections.lock().unwrap().push(serving);
            }
        });
        Self { address, got, acceptor, connections }
    }

    pub(crate) fn got(&self) -> Vec<Message> {
        self.got.lock().unwrap().clone()
    }

    /// Ends it as a kill does: nobody listens, and connections break.
    pub(crate) fn kill(&self) {
        self.acceptor.abort();
        self.connections.lock().unwrap().iter().for_each(JoinHandle::abort);
    }

    /// Closes its connections, and listens on; they are closed when this returns.
    pub(crate) async fn hang_up(&self) {
        let connections = std::mem::take(&mut *self.connections.lock().unwrap());
        for connection in connections {
            connection.abort();
            connection.await.unwrap_or_default();
        }
    }

    /// Returns how many connections were made to it since it hung up last.
    pub(crate) fn connections(&self) -> usize {
        self.connections.lock().unwrap().len()
    }

    pub(crate) fn instance(&self, service: &str, metadata: &[(&str, &str)]) -> Instance {
        instance(service, self.address, metadata)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn serve(stream: TcpStream, reply: Arc<impl Fn(&Message) -> Reply>, got: Arc<Mutex<Vec<Message>>>) {
    let mut stream = BufReader::new(stream);
    while let Some(message) = receive(&mut stream, true).await {
        got.lock().unwrap().push(message.clone());
        let (status, headers, body) = match reply(&message) {
            Reply::Answer(status, headers, body) => (status, headers, body),
            Reply::Echo => (200, "", message.head),
            Reply::HangUp => return,
            Reply::Silence => std::future::pending().await,
        };
        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len());
        if stream.get_mut().write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// An instance at an address, with the route `api/v1` to `/own` unless metadata says otherwise.
pub(crate) fn instance(service: &str, address: SocketAddr, metadata: &[(&str, &str)]) -> Instance {
    let usual = [("apiml.routes.api_v1.gatewayUrl", "api/v1"), ("apiml.routes.api_v1.serviceUrl", "/own")];
    let text = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    Instance {
        id: format!("localhost:{service}:{}", address.port()),
        service: service.to_owned(),
        host: address.ip().to_string(),
        port: address.port(),
        is_secure: false,
        is_up: true,
        metadata: usual.iter().chain(metadata).map(text).collect::<BTreeMap<_, _>>(),
        home_page: None,
        health_check: None,
        status_page: None,
    }
}

/// A gateway on loopback, without TLS.
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) gateway: Gateway,
    pub(crate) events: Arc<Mutex<Vec<Event>>>,
    _stop: oneshot::Sender<()>,
}

impl World {
    pub(crate) fn new(instances: impl IntoIterator<Item = Instance>) -> Self {
        Self::with(instances, |_| {})
    }

    pub(crate) fn with(
        instances: impl IntoIterator<Item = Instance>,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let roots = tender_certificate::tls::Roots::of(Vec::new());
        let tls =
            tender_certificate::tls::client_config(tender_certificate::tls::VerifyMode::Strict, roots, None);
        let mut settings = Settings::new(UpstreamSettings::new(Arc::new(tls.unwrap())));
        let events = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&events);
        settings.events = Arc::new(move |event| sink.lock().unwrap().push(event.clone()));
        change(&mut settings);
        let gateway = Gateway::new(settings);
        gateway.replace(Table::new(instances));
        let server =
            Server::bind(&["127.0.0.1:0".parse().unwrap()], ServerSettings::new(Transport::Plain)).unwrap();
        let address = server.addresses()[0];
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(server.run(gateway.clone(), async {
            stopped.await.ok();
        }));
        Self { address, gateway, events, _stop: stop }
    }

    /// Sends bytes and takes the answer.
    pub(crate) async fn send(&self, bytes: impl AsRef<[u8]>) -> Message {
        let mut stream = BufReader::new(TcpStream::connect(self.address).await.unwrap());
        stream.get_mut().write_all(bytes.as_ref()).await.unwrap();
        in_time("an answer", receive(&mut stream, true)).await.unwrap_or_default()
    }

    pub(crate) async fn get(&self, path: &str) -> Message {
        self.ask("GET", path, "").await
    }

    /// Asks with header lines, each with its end.
    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &str) -> Message {
        self.send(format!("{method} {path} HTTP/1.1\r\nHost: gateway:7554\r\n{headers}\r\n")).await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Message {
        let length = body.len();
        self.send(format!("POST {path} HTTP/1.1\r\nHost: gateway\r\nContent-Length: {length}\r\n\r\n{body}"))
            .await
    }
}

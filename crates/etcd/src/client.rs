//! A connection to a cluster, and the one way in which calls go over it.

pub(crate) mod keys;
pub(crate) mod lease;
pub(crate) mod renewal;
pub(crate) mod watch;

use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};
use tonic::metadata::MetadataValue;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::error::EtcdError;
use crate::message::auth::{AuthenticateRequest, AuthenticateResponse};

type Token = MetadataValue<tonic::metadata::Ascii>;

/// A message may hold many keys: etcd itself answers with as much as was asked for.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// How to reach a cluster.
#[derive(Clone)]
pub struct Settings {
    /// Addresses of members, such as `https://10.0.0.1:2379`; those that answer share the calls.
    pub endpoints: Vec<String>,
    /// Name and password, for a cluster that asks for them.
    pub user: Option<(String, String)>,
    /// Certificates, for addresses that begin with `https`.
    pub tls: Option<Tls>,
    /// How long a connection may take, in milliseconds.
    pub connect_timeout_ms: u64,
    /// How long an answer may take, in milliseconds.
    pub call_timeout_ms: u64,
}

/// Certificates, as PEM.
#[derive(Clone)]
pub struct Tls {
    /// Who may have signed the certificate of the cluster.
    pub authorities: Vec<u8>,
    /// Our own certificate with its key, for a cluster that asks for one.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl Settings {
    /// Returns what fits a cluster at these addresses.
    #[must_use]
    pub fn new(endpoints: Vec<String>) -> Self {
        Self { endpoints, user: None, tls: None, connect_timeout_ms: 2000, call_timeout_ms: 5000 }
    }
}

// Neither passwords nor keys may show.
impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// A cluster. Clones share the connection.
///
/// One member answers all calls as long as it does; when it is lost, the next that can be reached takes its place. A read is
/// then asked again, a change is not: it may have been done.
#[derive(Clone)]
pub struct Client {
    members: Arc<Vec<Endpoint>>,
    connection: Arc<Mutex<Connection>>,
    endpoints: String,
    call_timeout: Duration,
    user: Option<(String, String)>,
    /// What etcd gave for name and password; it forgets it when it starts anew or when nobody shows it for a while.
    token: Arc<Mutex<Option<Token>>>,
}

/// The connection to the member that answers.
struct Connection {
    channel: Option<Channel>,
    /// Counts connections: who finds one broken does not close the next.
    number: u64,
    /// The member that is tried first.
    member: usize,
}

/// A connection for one call.
struct Ready {
    grpc: tonic::client::Grpc<Channel>,
    number: u64,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}

impl Client {
    /// Makes ready to talk to a cluster; with a user it talks at once, otherwise with the first call.
    pub async fn connect(settings: &Settings) -> Result<Self, EtcdError> {
        let client = Self::new(settings)?;
        client.token("Authenticate").await?;
        Ok(client)
    }

    /// Makes ready to talk to a cluster with the first call, whether it is there or not.
    ///
    /// Errors: only for addresses and certificates that are none.
    pub fn new(settings: &Settings) -> Result<Self, EtcdError> {
        if settings.endpoints.is_empty() {
            return Err(EtcdError::NoEndpoint);
        }
        let members: Result<Vec<_>, _> =
            settings.endpoints.iter().map(|endpoint| prepared(endpoint, settings)).collect();
        Ok(Self {
            members: Arc::new(members?),
            connection: Arc::new(Mutex::new(Connection { channel: None, number: 0, member: 0 })),
            endpoints: settings.endpoints.join(", "),
            call_timeout: Duration::from_millis(settings.call_timeout_ms),
            user: settings.user.clone(),
            token: Arc::default(),
        })
    }

    /// Returns what shows who asks, for a cluster that wants to know.
    async fn token(&self, call: &'static str) -> Result<Option<Token>, EtcdError> {
        let Some((name, password)) = &self.user else { return Ok(None) };
        let mut token = self.token.lock().await;
        if token.is_none() {
            let message = AuthenticateRequest { name: name.clone(), password: password.clone() };
            let until = Instant::now() + self.call_timeout;
            let answer: AuthenticateResponse =
                self.ask(call, "/etcdserverpb.Auth/Authenticate", Request::new(message), until).await?;
            *token = answer.token.parse().ok();
        }
        Ok(token.clone())
    }

    /// Asks once and takes one answer; who asks is shown anew when etcd has forgotten it.
    async fn call<Q, A>(&self, call: &'static str, path: &'static str, message: Q) -> Result<A, EtcdError>
    where
        Q: prost::Message + Default + Clone + 'static,
        A: prost::Message + Default + 'static,
    {
        // The time limit of the request is for the member to keep; this one holds when it is frozen.
        let until = Instant::now() + self.call_timeout;
        let answer = self.ask(call, path, self.request(call, message.clone()).await?, until).await;
        match answer {
            // It was refused before anything was done.
            Err(EtcdError::NotLoggedIn { .. }) if self.user.is_some() => {
                self.ask(call, path, self.request(call, message).await?, until).await
            }
            other => other,
        }
    }

    async fn ask<Q, A>(
        &self,
        call: &'static str,
        path: &'static str,
        mut request: Request<Q>,
        until: Instant,
    ) -> Result<A, EtcdError>
    where
        Q: prost::Message + Default + 'static,
        A: prost::Message + Default + 'static,
    {
        let late = |_| Err(Status::deadline_exceeded("no answer in time"));
        let mut ready = match timeout_at(until, self.ready(call)).await {
            Ok(ready) => ready?,
            Err(_) => return Err(self.understood(call, Status::deadline_exceeded("no connection in time"))),
        };
        request.set_timeout(self.call_timeout);
        let codec = ProstCodec::<Q, A>::default();
        let answer = ready.grpc.unary(request, PathAndQuery::from_static(path), codec);
        let answer = timeout_at(until, answer).await;
        match answer.unwrap_or_else(late) {
            Ok(answer) => Ok(answer.into_inner()),
            Err(status) => Err(self.failed(call, ready.number, status).await),
        }
    }

    /// Asks, and asks another member when one is lost: for what changes nothing.
    async fn call_again<Q, A>(
        &self,
        call: &'static str,
        path: &'static str,
        message: Q,
    ) -> Result<A, EtcdError>
    where
        Q: prost::Message + Default + Clone + 'static,
        A: prost::Message + Default + 'static,
    {
        match self.call(call, path, message.clone()).await {
            Err(error) if error.is_unreachable() => self.call(call, path, message).await,
            other => other,
        }
    }

    /// Returns the connection, or makes one to the first member that can be reached.
    async fn ready(&self, call: &'static str) -> Result<Ready, EtcdError> {
        let mut connection = self.connection.lock().await;
        let mut status = Status::unavailable("no member answers");
        for _ in 0..self.members.len() {
            if connection.channel.is_some() {
                break;
            }
            match self.members[connection.member].connect().await {
                Ok(channel) => {
                    connection.channel = Some(channel);
                    connection.number += 1;
                }
                Err(error) => {
                    status = Status::from_error(Box::new(error));
                    connection.member = (connection.member + 1) % self.members.len();
                }
            }
        }
        let (channel, number) = (connection.channel.clone(), connection.number);
        drop(connection);
        let Some(channel) = channel else { return Err(self.understood(call, status)) };
        let mut grpc = tonic::client::Grpc::new(channel)
            .max_decoding_message_size(ANSWER_BYTES_MAX)
            .max_encoding_message_size(ANSWER_BYTES_MAX);
        match grpc.ready().await {
            Ok(()) => Ok(Ready { grpc, number }),
            Err(error) => Err(self.failed(call, number, Status::from_error(Box::new(error))).await),
        }
    }

    async fn request<T>(&self, call: &'static str, message: T) -> Result<Request<T>, EtcdError> {
        let mut request = Request::new(message);
        if let Some(token) = self.token(call).await? {
            request.metadata_mut().insert("authorization", token);
        }
        Ok(request)
    }

    /// Understands what went wrong; a connection that is broken is not used again.
    async fn failed(&self, call: &'static str, number: u64, status: Status) -> EtcdError {
        let error = self.understood(call, status);
        if matches!(error, EtcdError::NotLoggedIn { .. })
            && let Ok(mut token) = self.token.try_lock()
        {
            *token = None;
        }
        if error.is_unreachable() {
            let mut connection = self.connection.lock().await;
            if connection.number == number {
                connection.channel = None;
                connection.member = (connection.member + 1) % self.members.len();
            }
        }
        error
    }

    fn understood(&self, call: &'static str, status: Status) -> EtcdError {
        match status.code() {
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown | Code::Internal => {
                EtcdError::Unreachable { endpoints: self.endpoints.clone(), source: Box::new(status) }
            }
            Code::Unauthenticated => EtcdError::NotLoggedIn { call, reason: status.message().to_owned() },
            Code::NotFound if status.message().contains("lease not found") => EtcdError::NoLease { call },
            _ => EtcdError::Refused { call, reason: status.message().to_owned() },
        }
    }
}

fn prepared(endpoint: &str, settings: &Settings) -> Result<Endpoint, EtcdError> {
    let wrong = |source| EtcdError::Endpoint { endpoint: endpoint.to_owned(), source };
    let mut prepared = Endpoint::from_shared(endpoint.to_owned())
        .map_err(wrong)?
        .connect_timeout(Duration::from_millis(settings.connect_timeout_ms))
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(5))
        .keep_alive_timeout(Duration::from_secs(3))
        .keep_alive_while_idle(true);
    if let Some(tls) = &settings.tls {
        let mut config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&tls.authorities));
        if let Some((certificate, key)) = &tls.identity {
            config = config.identity(Identity::from_pem(certificate, key));
        }
        prepared = prepared.tls_config(config).map_err(wrong)?;
    }
    Ok(prepared)
}

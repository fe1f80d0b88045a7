//! The gateway's own entry at discovery, so that others find it.
//!
//! ```text
//!            taken                 not known there
//!   told ───────────► renewed ───────────────────────► told again
//!     ▲                  │ no answer: the next address is told
//!     └──────────────────┤
//!                        │ the gateway ends
//!                        ▼
//!                    taken back
//! ```
//!
//! Source: the reference's 1.1 to 1.4.

use std::fmt;
use std::time::Duration;

use http_body_util::Full;
use hyper::header::{ACCEPT, CONTENT_TYPE};
use hyper::{Method, Request, StatusCode, Uri};
use rustls::ClientConfig;
use serde_json::{Value, json};
use tender_http::{BoxError, Bytes, Client, Reach, bracketed};

/// By which name others find the gateway.
const SERVICE: &str = "gateway";
/// For how many intervals discovery keeps an entry that is not renewed.
const LEASE_INTERVALS: u64 = 3;
/// How long a gateway that ends waits for discovery.
const LAST_TIMEOUT: Duration = Duration::from_secs(2);

/// What the gateway says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The host by which others reach it.
    pub host: String,
    /// Its address.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// It is reached over TLS.
    pub is_secure: bool,
    /// Its address as users know it, such as `https://front.example.com`, where somebody said it.
    pub public: Option<String>,
}

impl Entry {
    fn id(&self) -> String {
        format!("{}:{SERVICE}:{}", self.host, self.port)
    }

    /// Writes it as discovery takes it, to be renewed within `interval`.
    fn document(&self, interval: Duration) -> Value {
        let Self { host, address, port, is_secure, public } = self;
        let scheme = if *is_secure { "https" } else { "http" };
        let at = |path: &str| format!("{scheme}://{}:{port}{path}", bracketed(host));
        let health = if *is_secure { "secureHealthCheckUrl" } else { "healthCheckUrl" };
        let enabled = |is_enabled: bool| json!({ "$": port, "@enabled": is_enabled.to_string() });
        let mut document = json!({ "instance": {
            "instanceId": self.id(),
            "app": SERVICE.to_ascii_uppercase(),
            "hostName": host,
            "ipAddr": address,
            "status": "UP",
            "port": enabled(!is_secure),
            "securePort": enabled(*is_secure),
            "vipAddress": SERVICE,
            "secureVipAddress": SERVICE,
            "homePageUrl": at("/"),
            "statusPageUrl": at("/application/info"),
            health: at("/application/health"),
            "dataCenterInfo": {
                "@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo",
                "name": "MyOwn",
            },
            "leaseInfo": {
                "renewalIntervalInSecs": interval.as_secs(),
                "durationInSecs": interval.as_secs() * LEASE_INTERVALS,
            },
            "metadata": {
                "apiml.service.title": "API Gateway",
                "apiml.service.description": "The one way in to all services, and where users log in.",
                "apiml.apiBasePath": "/gateway/api/v1",
                "apiml.catalog.tile.id": "apimediationlayer",
                "apiml.catalog.tile.title": "API Mediation Layer",
                "apiml.catalog.tile.description": "The way in to all services, and what describes them.",
                "apiml.catalog.tile.version": "1.0.0",
                "version": "2.2.0",
            },
        } });
        if let Some(public) = public {
            document["instance"]["metadata"]["apiml.service.externalUrl"] = json!(public);
        }
        document
    }
}

/// Where the entry goes, and how often it is renewed.
#[derive(Debug, Clone)]
pub struct RegistrationSettings {
    /// Addresses such as `https://host:7553/eureka`; the next is told when one does not answer.
    pub discovery: Vec<Uri>,
    /// How TLS is spoken with it.
    pub tls: ClientConfig,
    /// How often the entry is renewed; whole seconds.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// What is said.
    pub entry: Entry,
}

/// Why discovery has no entry of the gateway.
#[derive(Debug, thiserror::Error)]
enum Untold {
    #[error("tell {address}")]
    Unreachable {
        address: Uri,
        #[source]
        source: BoxError,
    },
    #[error("tell {address}: no answer after {} seconds", timeout.as_secs_f32())]
    Late { address: Uri, timeout: Duration },
    #[error("tell {address}: it answers {status}")]
    Refused { address: Uri, status: StatusCode },
    #[error("no address of discovery is configured")]
    NoAddress,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistrationEvent {
    /// Discovery has the entry: for the first time, or again.
    Taken {
        /// By which id.
        id: String,
    },
    /// It has not; told once.
    Untold {
        /// Why, down to the cause.
        reason: String,
    },
}

impl fmt::Display for RegistrationEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken { id } => write!(f, "discovery knows this gateway as {id}"),
            Self::Untold { reason } => {
                write!(f, "discovery does not take the entry of this gateway, or renew it: {reason}")
            }
        }
    }
}

/// Keeps the gateway's entry at discovery.
#[derive(Debug)]
pub struct Registration {
    settings: RegistrationSettings,
    client: Client,
    /// The address that answered last.
    current: usize,
    /// What was told last: discovery has the entry, or has it not.
    is_taken: Option<bool>,
    /// Discovery was asked to take it, and may have, whatever came of the answer.
    may_be_there: bool,
}

impl Registration {
    /// Makes ready to tell.
    #[must_use]
    pub fn new(settings: RegistrationSettings) -> Self {
        let client = tender_http::client(settings.tls.clone(), settings.timeout, Reach::Configured);
        Self { settings, client, current: 0, is_taken: None, may_be_there: false }
    }

    /// Keeps the entry until `stop` is ready, then takes it back: clients are to be led elsewhere while the last requests
    /// are answered.
    pub async fn run(mut self, stop: impl Future<Output = ()>, tell: impl Fn(&RegistrationEvent)) {
        let kept = async {
            loop {
                self.turn(&tell).await;
                tokio::time::sleep(self.settings.interval).await;
            }
        };
        tokio::select! {
            biased;
            () = stop => {}
            () = kept => {}
        }
        if self.may_be_there {
            // Where nobody answers its lease ends by itself.
            drop(tokio::time::timeout(LAST_TIMEOUT, self.take_back()).await);
        }
    }

    /// Takes the entry back, at the first address that answers.
    async fn take_back(&mut self) {
        for _ in 0..self.settings.discovery.len() {
            match self.ask(Method::DELETE, &self.entry_path(), None).await {
                Ok(()) | Err(Untold::Refused { .. }) => return,
                Err(_) => self.next_address(),
            }
        }
    }

    fn next_address(&mut self) {
        self.current = (self.current + 1) % self.settings.discovery.len();
    }

    /// Renews the entry, or tells it.
    async fn turn(&mut self, tell: &impl Fn(&RegistrationEvent)) {
        let outcome = self.renew_or_tell().await;
        let is_news = self.is_taken.replace(outcome.is_ok()) != Some(outcome.is_ok());
        if is_news {
            tell(&match outcome {
                Ok(()) => RegistrationEvent::Taken { id: self.settings.entry.id() },
                Err(untold) => RegistrationEvent::Untold { reason: tender_http::chain(&untold) },
            });
        }
    }

    async fn renew_or_tell(&mut self) -> Result<(), Untold> {
        let mut last = Untold::NoAddress;
        for _ in 0..self.settings.discovery.len() {
            match self.renew_or_tell_current().await {
                Ok(()) => return Ok(()),
                Err(untold) => {
                    last = untold;
                    self.next_address();
                }
            }
        }
        Err(last)
    }

    async fn renew_or_tell_current(&mut self) -> Result<(), Untold> {
        if self.is_taken == Some(true) {
            match self.ask(Method::PUT, &format!("{}?status=UP", self.entry_path()), None).await {
                // It has begun anew, or has given the gateway up.
                Err(Untold::Refused { status: StatusCode::NOT_FOUND, .. }) => {}
                outcome => return outcome,
            }
        }
        let document = self.settings.entry.document(self.settings.interval).to_string();
        self.may_be_there = true;
        self.ask(Method::POST, &format!("apps/{}", SERVICE.to_ascii_uppercase()), Some(document)).await
    }

    fn entry_path(&self) -> String {
        // An address of IPv6 may be in it: the colons stay as they are.
        format!("apps/{}/{}", SERVICE.to_ascii_uppercase(), self.settings.entry.id())
    }

    async fn ask(&self, method: Method, path: &str, document: Option<String>) -> Result<(), Untold> {
        let Some(base) = self.settings.discovery.get(self.current) else { return Err(Untold::NoAddress) };
        let timeout = self.settings.timeout;
        let unreachable = |source: BoxError| Untold::Unreachable { address: base.clone(), source };
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}/{path}", base.to_string().trim_end_matches('/')))
            .header(ACCEPT, "application/json");
        if document.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = Full::new(Bytes::from(document.unwrap_or_default()));
        let request = request.body(body).map_err(|error| unreachable(error.into()))?;
        let answered = tokio::time::timeout(timeout, self.client.request(request)).await;
        let answer = answered.map_err(|_| Untold::Late { address: base.clone(), timeout })?;
        match answer.map_err(|error| unreachable(error.into()))?.status() {
            status if status.is_success() => Ok(()),
            status => Err(Untold::Refused { address: base.clone(), status }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_says_where_the_gateway_is_and_how_users_know_it() {
        let entry = Entry {
            host: "h".to_owned(),
            address: "10.0.0.1".to_owned(),
            port: 7554,
            is_secure: true,
            public: Some("https://front.example.com".to_owned()),
        };
        let document = entry.document(Duration::from_secs(30));
        let instance = &document["instance"];
        assert_eq!(instance["instanceId"], "h:gateway:7554");
        assert_eq!(
            (&instance["port"]["@enabled"], &instance["securePort"]["@enabled"]),
            (&"false".into(), &"true".into())
        );
        assert_eq!(instance["secureHealthCheckUrl"], "https://h:7554/application/health");
        assert_eq!(instance["leaseInfo"]["durationInSecs"], 90);
        assert_eq!(instance["metadata"]["apiml.service.externalUrl"], "https://front.example.com");
        // What nobody said stays unsaid: whoever reads it may know better.
        let silent =
            Entry { public: None, host: "::1".to_owned(), ..entry }.document(Duration::from_secs(30));
        assert_eq!(silent["instance"]["metadata"].get("apiml.service.externalUrl"), None);
        assert_eq!(silent["instance"]["homePageUrl"], "https://[::1]:7554/");
    }
}

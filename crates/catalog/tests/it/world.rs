//! Discovery, gateway, catalog and a service on loopback, in this process.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tender_catalog::{Catalog, Outward, Settings};
use tender_certificate::tls::{Roots, VerifyMode, client_config};
use tender_gateway::auth::provider::Dummy;
use tender_gateway::auth::{AuthSettings, Revocations, SigningKey};
use tender_gateway::{Fetcher, FetcherSettings, Gateway, UpstreamSettings};
use tender_http::hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use tender_http::hyper::{Request, Response, StatusCode};
use tender_http::{Handler, Peer, RequestBody, ResponseBody, Server, Settings as ServerSettings, Transport};
use tender_mediation::discovery::{Access, Discovery, Settings as DiscoverySettings};
use tokio::sync::oneshot;

/// Longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(120);

/// A server that ends with this value.
pub(crate) struct Running {
    pub(crate) port: u16,
    stop: Option<oneshot::Sender<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
    }
}

/// Serves something on loopback.
pub(crate) fn serve(handler: impl Handler) -> Running {
    serve_over(Transport::Plain, handler)
}

pub(crate) fn serve_over(transport: Transport, handler: impl Handler) -> Running {
    let mut settings = ServerSettings::new(transport);
    settings.limits.grace = Duration::from_millis(1);
    let server = Server::bind(&["127.0.0.1:0".parse().unwrap()], settings).unwrap();
    let port = server.addresses()[0].port();
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(server.run(handler, async {
        stopped.await.ok();
    }));
    Running { port, stop: Some(stop) }
}

/// A service that answers with what it was given for a path; anything else it says back.
#[derive(Debug, Clone, Default)]
pub(crate) struct Service {
    answers: Arc<Mutex<Vec<(String, Reply)>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

/// An answer of a service.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: 200,
            headers: vec![("content-type", "application/json".to_owned())],
            body: body.into(),
        }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }
}

impl Service {
    pub(crate) fn set(&self, path: &str, reply: Reply) {
        let mut answers = self.answers.lock().unwrap();
        answers.retain(|(known, _)| known != path);
        answers.push((path.to_owned(), reply));
    }

    /// Returns the paths that were asked for.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Handler for Service {
    async fn handle(&self, request: Request<RequestBody>, _peer: &Arc<Peer>) -> Response<ResponseBody> {
        let path = request.uri().path().to_owned();
        self.asked.lock().unwrap().push(path.clone());
        let known = self.answers.lock().unwrap().iter().find(|(known, _)| *known == path).cloned();
        if let Some((_, reply)) = known {
            let mut answer = Response::new(ResponseBody::from(reply.body));
            *answer.status_mut() = StatusCode::from_u16(reply.status).unwrap();
            for (name, value) in reply.headers {
                answer.headers_mut().insert(HeaderName::from_static(name), value.parse().unwrap());
            }
            return answer;
        }
        let (head, body) = request.into_parts();
        let headers: serde_json::Map<_, _> = head
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
            .collect();
        let body =
            body.read().await.map(|body| String::from_utf8_lossy(&body).into_owned()).unwrap_or_default();
        let said = serde_json::json!({
            "method": head.method.as_str(), "target": head.uri.to_string(), "headers": headers, "body": body,
        });
        let mut answer = Response::new(ResponseBody::from(said.to_string().into_bytes()));
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        answer
    }
}

/// Who logs in at the gateway, and whether the catalog wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogIn {
    Users,
    Nobody,
    /// Nobody, and the catalog is open.
    Open,
}

/// Everything that stands between a user and a service.
pub(crate) struct World {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) service: Service,
    pub(crate) service_at: Running,
    pub(crate) gateway_at: Running,
    pub(crate) catalog_at: Running,
    pub(crate) discovery: Discovery,
    catalog: Catalog,
    gateway: Gateway,
    fetchers: tokio::sync::Mutex<(Fetcher, Fetcher)>,
    discovery_at: Option<Running>,
}

impl World {
    /// Starts everything; `more` are static definitions beside that of the catalog, `SERVICE` in them is the service.
    pub(crate) async fn new(more: &str) -> Self {
        Self::with(more, LogIn::Users).await
    }

    pub(crate) async fn with(more: &str, log_in: LogIn) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let service = Service::default();
        let service_at = serve(service.clone());
        let definitions = directory.path().join("definitions");
        fs::create_dir(&definitions).unwrap();
        let discovery = Discovery::new(DiscoverySettings {
            access: Access::Open,
            directories: vec![definitions.clone()],
            ..DiscoverySettings::default()
        });
        let discovery_at = serve(discovery.clone());
        let tls = client_config(VerifyMode::Strict, Roots::of(Vec::new()), None).unwrap();
        let gateway = Gateway::new(gateway_settings(&tls, log_in));
        let gateway_at = serve(gateway.clone());
        let address = |port: u16| format!("http://localhost:{port}");
        let discovery_url: tender_http::hyper::Uri =
            format!("{}/eureka", address(discovery_at.port)).parse().unwrap();
        let catalog = Catalog::new(Settings {
            outward: outward(Roots::of(Vec::new())),
            // The first is away, always: the next is asked.
            gateways: vec![address(1).parse().unwrap(), address(gateway_at.port).parse().unwrap()],
            public: address(gateway_at.port),
            discovery: vec![discovery_url.clone()],
            is_open: log_in == LogIn::Open,
            events: Arc::new(|_| {}),
        })
        .unwrap();
        let catalog_at = serve(catalog.clone());
        let fetcher = || {
            Fetcher::new(FetcherSettings {
                discovery: vec![discovery_url.clone()],
                tls: tls.clone(),
                interval: Duration::from_secs(3600),
                timeout: Duration::from_secs(20),
            })
        };
        let fetchers = tokio::sync::Mutex::new((fetcher(), fetcher()));
        let world = Self {
            directory,
            service,
            service_at,
            gateway_at,
            catalog_at,
            discovery,
            catalog,
            gateway,
            fetchers,
            discovery_at: Some(discovery_at),
        };
        world.define("catalog", &CATALOG.replace("CATALOG", &world.catalog_at.port.to_string())).await;
        world.define("more", more).await;
        world
    }

    /// Writes static definitions, and has everybody read them.
    pub(crate) async fn define(&self, name: &str, text: &str) {
        let path = self.directory.path().join("definitions").join(format!("{name}.yml"));
        fs::write(path, text.replace("SERVICE", &self.service_at.port.to_string())).unwrap();
        self.discovery.begin().await;
        self.follow().await;
    }

    /// Has everybody read what is registered.
    pub(crate) async fn follow(&self) {
        let (gateway, catalog) = &mut *self.fetchers.lock().await;
        let turns = async {
            gateway.turn(&self.gateway).await;
            catalog.turn(&self.catalog).await;
        };
        tokio::time::timeout(DEADLINE, turns).await.expect("discovery answers in time");
    }

    pub(crate) fn discovery_port(&self) -> u16 {
        self.discovery_at.as_ref().unwrap().port
    }

    /// Ends discovery, and has everybody find that out.
    pub(crate) async fn lose_discovery(&mut self) {
        self.discovery_at = None;
        // Connections that are kept are answered to their end.
        let lost = async {
            while self.direct("/apicatalog/session", &[]).await.body.contains("\"isDiscoveryLost\":false") {
                self.follow().await;
            }
        };
        tokio::time::timeout(DEADLINE, lost).await.expect("it is found out in time");
    }

    /// Returns an address on the gateway.
    pub(crate) fn on_gateway(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.gateway_at.port)
    }

    /// Asks the catalog through the gateway as a user who is logged in with his password.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        curl(&["-u", "user:user", &self.on_gateway(&format!("/apicatalog/api/v1{path}"))]).await
    }

    /// Asks the catalog itself.
    pub(crate) async fn direct(&self, path: &str, more: &[&str]) -> Answer {
        let url = format!("http://localhost:{}{path}", self.catalog_at.port);
        curl(&[more, &[&url]].concat()).await
    }
}

pub(crate) fn outward(roots: Roots) -> Outward {
    Outward { mode: VerifyMode::Strict, roots, identity: None, timeout: Duration::from_secs(20) }
}

fn gateway_settings(tls: &rustls::ClientConfig, log_in: LogIn) -> tender_gateway::Settings {
    let mut settings = tender_gateway::Settings::new(UpstreamSettings::new(Arc::new(tls.clone())));
    settings.auth = (log_in == LogIn::Users).then(|| AuthSettings {
        provider: Arc::new(Dummy),
        key: Arc::new(SigningKey::generate()),
        revocations: Arc::new(Revocations::new(None)),
        lifetime: Duration::from_secs(3600),
        allows_refresh: false,
    });
    settings
}

/// As the catalog's component defines it.
const CATALOG: &str = "\
services:
  - serviceId: apicatalog
    title: API Catalog
    description: Which services there are
    catalogUiTileId: mediation
    instanceBaseUrls: ['http://localhost:CATALOG/apicatalog']
    homePageRelativeUrl: /
    routes:
      - {gatewayUrl: ui/v1, serviceRelativeUrl: ''}
      - {gatewayUrl: api/v1, serviceRelativeUrl: ''}
    apiInfo:
      - apiId: org.tender.apicatalog
        version: 1.0.0
        gatewayUrl: api/v1
        swaggerUrl: http://localhost:CATALOG/apicatalog/v3/api-docs
catalogUiTiles:
  mediation: {title: Mediation, description: The front door}
";

/// A service with an API document at `/sample/docs`.
pub(crate) const SAMPLE: &str = "\
services:
  - serviceId: sample
    title: Sample
    description: For trials
    catalogUiTileId: samples
    instanceBaseUrls: ['http://localhost:SERVICE/sample']
    homePageRelativeUrl: /home
    routes:
      - {gatewayUrl: api/v1, serviceRelativeUrl: /api}
      - {gatewayUrl: ui/v1, serviceRelativeUrl: ''}
    apiInfo:
      - apiId: org.sample
        version: 1.0.0
        gatewayUrl: api/v1
        swaggerUrl: http://localhost:SERVICE/sample/docs
        documentationUrl: https://docs.example.com/
catalogUiTiles:
  samples: {title: Samples, description: Services for trials}
";

/// What curl got.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn is(&self, status: u16, text: &str) -> &Self {
        let all = format!("{}{}", self.head, self.body);
        assert!(self.status == status && all.contains(text), "not {status} with `{text}`: {all}");
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|fault| panic!("{fault}: {}{}", self.head, self.body))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// Asks with curl.
pub(crate) async fn curl(arguments: &[&str]) -> Answer {
    let mut command = Command::new("curl");
    command.args(["-sS", "-i", "--max-time", "60", "--path-as-is"]).args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| {
        panic!("curl: {}", String::from_utf8_lossy(&output.stderr));
    });
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

/// Returns a directory below `target/` for what tests leave to look at.
pub(crate) fn kept(name: &str) -> std::path::PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("..").join(name);
    fs::create_dir_all(&directory).unwrap();
    directory.canonicalize().unwrap()
}

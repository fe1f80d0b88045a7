//! The service over TLS, asked by curl.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::Value;
use tender_cache::{
    Caching, Eviction, Limits, MemoryStore, OwnerRules, RedisSettings, RedisStore, Store, StoreEventSink,
};
use tender_http::{ClientAuth, EventSink, Identity, Server, Settings, Tls, TlsFiles, Transport, TrustFile};
use tokio::sync::oneshot;

use crate::servers::Redis;

/// A service under way, and certificates of an authority that it trusts.
struct World {
    directory: tempfile::TempDir,
    base: String,
    /// What became of the store.
    told: Arc<Mutex<Vec<String>>>,
    _stop: oneshot::Sender<()>,
}

/// What curl got.
struct Answer {
    status: u16,
    body: String,
}

impl Answer {
    #[track_caller]
    fn is(&self, status: u16, text: &str) -> &Self {
        assert!(self.status == status && self.body.contains(text), "{} {}", self.status, self.body);
        self
    }
}

impl World {
    fn new(store: Arc<dyn Store>, limits: Limits) -> Self {
        let directory = tempfile::tempdir().unwrap();
        certificates(directory.path());
        let file = |name: &str| directory.path().join(name);
        let events: EventSink = Arc::new(|_| {});
        let files = TlsFiles {
            identity: Identity::Pem { key: file("service.key"), certificate: file("service.crt") },
            trust: vec![TrustFile { file: file("ca.crt"), password: None }],
            client_auth: ClientAuth::Optional,
        };
        let tls = Tls::load(files, &events).unwrap();
        let settings = Settings::new(Transport::Tls(tls));
        let server = Server::bind(&["127.0.0.1:0".parse().unwrap()], settings).unwrap();
        let base = format!("https://localhost:{}/cachingservice", server.addresses()[0].port());
        let owners = OwnerRules { gateways: vec!["CN=gateway".to_owned()], believes_everybody: false };
        let (stop, stopped) = oneshot::channel::<()>();
        let told = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&told);
        let events: StoreEventSink = Arc::new(move |event| sink.lock().unwrap().push(format!("{event:?}")));
        let handler = Caching::new(store, limits, owners, events);
        tokio::spawn(server.run(handler, async {
            stopped.await.ok();
        }));
        Self { directory, base, told, _stop: stop }
    }

    /// Asks with the certificate of `client`, `-` for none.
    async fn ask(&self, client: &str, method: &str, path: &str, more: &[&str]) -> Answer {
        let file = |name: String| -> PathBuf { self.directory.path().join(name) };
        let mut command = Command::new("curl");
        command.args([
            "--silent",
            "--show-error",
            "--max-time",
            "60",
            "--path-as-is",
            "-X",
            method,
            "-w",
            "\n%{http_code}",
        ]);
        command.arg("--cacert").arg(file("ca.crt".to_owned()));
        if client != "-" {
            command
                .arg("--cert")
                .arg(file(format!("{client}.crt")))
                .arg("--key")
                .arg(file(format!("{client}.key")));
        }
        command.args(more).arg(format!("{}{path}", self.base));
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (body, status) = text.rsplit_once('\n').unwrap_or_else(|| {
            panic!("curl: {}", String::from_utf8_lossy(&output.stderr));
        });
        Answer { status: status.parse().unwrap(), body: body.to_owned() }
    }

    async fn send(&self, client: &str, method: &str, json: &str) -> Answer {
        let more = ["-H", "Content-Type: application/json", "--data-binary", json];
        self.ask(client, method, "/api/v1/cache", &more).await
    }
}

/// Makes an authority, and certificates for the service and its clients.
fn certificates(directory: &Path) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let own = params.self_signed(&key).unwrap();
    std::fs::write(directory.join("ca.crt"), own.pem()).unwrap();
    let issuer = Issuer::new(params, key);
    for name in ["service", "a", "b", "gateway"] {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &issuer).unwrap();
        std::fs::write(directory.join(format!("{name}.crt")), certificate.pem()).unwrap();
        std::fs::write(directory.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

fn in_memory(limits: Limits) -> World {
    World::new(Arc::new(MemoryStore::new()), limits)
}

#[tokio::test]
async fn entries_live_as_the_reference_has_it() {
    let world = in_memory(Limits { entries_max: 2, ..Limits::default() });
    world.ask("a", "GET", "/api/v1/cache", &[]).await.is(200, "{}");
    world.send("a", "POST", r#"{"key":"k","value":"v"}"#).await.is(201, "");
    world.send("a", "POST", r#"{"key":"k","value":"w"}"#).await.is(409, "ZWECS133E");
    let entry = world.ask("a", "GET", "/api/v1/cache/k", &[]).await;
    let entry: Value = serde_json::from_str(&entry.is(200, "").body).unwrap();
    assert_eq!((entry["key"].as_str(), entry["value"].as_str()), (Some("k"), Some("v")));
    assert!(entry["created"].as_str().unwrap().parse::<u64>().unwrap() > 1_700_000_000_000);
    world.send("a", "PUT", r#"{"key":"k","value":"w"}"#).await.is(204, "");
    world.send("a", "PUT", r#"{"key":"other","value":"w"}"#).await.is(404, "ZWECS131E");
    world.send("a", "POST", r#"{"key":"a/b","value":""}"#).await.is(201, "");
    world.send("a", "POST", r#"{"key":"third","value":""}"#).await.is(507, "ZWECS134E");
    let all = world.ask("a", "GET", "/api/v1/cache", &[]).await;
    let all: Value = serde_json::from_str(&all.is(200, "").body).unwrap();
    assert_eq!((all["k"]["value"].as_str(), all["a/b"]["value"].as_str()), (Some("w"), Some("")));
    world.ask("a", "DELETE", "/api/v1/cache/a%2Fb", &[]).await.is(204, "");
    world.ask("a", "DELETE", "/api/v1/cache/a%2Fb", &[]).await.is(404, "org.zowe.apiml.cache.keyNotInCache");
    world.ask("a", "DELETE", "/api/v1/cache", &[]).await.is(200, "");
    world.ask("a", "GET", "/api/v1/cache/k", &[]).await.is(404, "ZWECS131E");
}

#[tokio::test]
async fn payload_that_is_no_entry_is_refused_with_what_is_wrong() {
    let world = in_memory(Limits { value_bytes_max: 1000, ..Limits::default() });
    for (payload, words) in [
        ("", "no entry in JSON"),
        ("[]", "no entry in JSON"),
        (r#"{"key":"k"}"#, "`value` is missing"),
        (r#"{"value":"v"}"#, "`key` is missing"),
        (r#"{"key":"","value":"v"}"#, "the key is empty"),
        (r#"{"key":"k","value":{"a":1}}"#, "expected a string"),
        (r#"{"key":"k\u0000","value":"v"}"#, "control character"),
    ] {
        world.send("a", "POST", payload).await.is(400, words).is(400, "ZWECS130E");
    }
    let long = format!(r#"{{"key":"k","value":"{}"}}"#, "x".repeat(1001));
    world.send("a", "POST", &long).await.is(413, "1001 bytes");
    let larger = format!(r#"{{"key":"k","value":"{}"}}"#, "x".repeat(100_000));
    world.send("a", "POST", &larger).await.is(413, "ZWECS130E");
    world.send("a", "PATCH", "{}").await.is(405, "ZWEAO405E");
    world.ask("a", "GET", "/api/v2/cache", &[]).await.is(404, "ZWEAM104E");
    world.ask("a", "POST", "/api/v1/cache-list/tokens", &[]).await.is(400, "ZWECS136E");
    assert_eq!(world.ask("a", "GET", "/api/v1/cache", &[]).await.body, "{}");
}

#[tokio::test]
async fn service_sees_its_own_entries_whatever_its_headers_say() {
    let world = in_memory(Limits::default());
    world.send("a", "POST", r#"{"key":"k","value":"of a"}"#).await.is(201, "");
    let forged = ["-H", "X-Certificate-DistinguishedName: CN=a"];
    world.ask("b", "GET", "/api/v1/cache/k", &forged).await.is(404, "");
    world.ask("b", "DELETE", "/api/v1/cache", &forged).await.is(200, "");
    world.ask("a", "GET", "/api/v1/cache/k", &[]).await.is(200, "of a");
    world.ask("gateway", "GET", "/api/v1/cache/k", &forged).await.is(200, "of a");
    world.ask("gateway", "GET", "/api/v1/cache/k", &[]).await.is(401, "ZWECS702W");
    let passed_on = ["-H", "X-Forwarded-Prefix: /cachingservice/api/v1"];
    world.ask("b", "GET", "/api/v1/cache", &passed_on).await.is(401, "CN=b").is(401, "not named as one");
    world.ask("gateway", "GET", "/api/v1/cache", &[&forged[..], &passed_on].concat()).await.is(200, "of a");
    let part = ["-H", "X-CS-Service-ID: part"];
    world.ask("gateway", "GET", "/api/v1/cache/k", &part).await.is(401, "whose certificate");
    world.ask("a", "GET", "/api/v1/cache/k", &part).await.is(404, "");
    let service_alone = ["-H", "X-CS-Service-ID: CN=a"];
    world.ask("gateway", "GET", "/api/v1/cache/k", &service_alone).await.is(401, "X-CS-Service-ID");
}

#[tokio::test]
async fn whoever_has_no_certificate_may_ask_how_the_service_is_and_no_more() {
    let world = in_memory(Limits { entries_max: 7, eviction: Eviction::RemoveOldest, ..Limits::default() });
    for (method, path) in [("GET", "/api/v1/cache"), ("GET", "/api/v1/cache/k"), ("DELETE", "/api/v1/cache")]
    {
        world.ask("-", method, path, &["-H", "X-CS-Service-ID: a"]).await.is(401, "client certificate");
    }
    world.ask("-", "GET", "/application/health", &[]).await.is(200, r#""status":"UP""#);
    world.ask("-", "GET", "/application/info", &[]).await.is(200, "removeOldest");
    let document = world.ask("-", "GET", "/v3/api-docs", &[]).await;
    let document: Value = serde_json::from_str(&document.is(200, "").body).unwrap();
    assert!(document["paths"]["/cache/{key}"]["get"].is_object());
}

#[tokio::test]
async fn store_that_is_gone_is_told_and_nothing_else_breaks() {
    let redis = Redis::start();
    let store = RedisStore::connect(&RedisSettings::new(redis.url()), "cache").await.unwrap();
    let world = World::new(Arc::new(store), Limits::default());
    world.send("a", "POST", r#"{"key":"k","value":"v"}"#).await.is(201, "");
    drop(redis);
    for _ in 0..2 {
        let answer = world.ask("a", "GET", "/api/v1/cache/k", &[]).await;
        assert!(!answer.is(503, "ZWECS152E").body.contains("127.0.0.1"), "{}", answer.body);
    }
    world.ask("-", "GET", "/application/health", &[]).await.is(503, "DOWN");
    let told = world.told.lock().unwrap().clone();
    assert!(told.len() == 1 && told[0].starts_with("Lost(Redis"), "{told:?}");
}

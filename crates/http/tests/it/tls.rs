//! Certificates of server and client.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tender_http::{ClientAuth, EventSink, Identity, Limits, Tls, TlsError, TlsFiles, Transport, TrustFile};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::world::{World, long, short, within};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap())
    }

    /// Writes `<name>.key` and `<name>.cer`.
    fn issue(&self, directory: &Path, name: &str) {
        self.issue_until(directory, name, None);
    }

    fn issue_until(&self, directory: &Path, name: &str, ends: Option<SystemTime>) {
        let mut parameters = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
        parameters.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        if let Some(ends) = ends {
            parameters.not_after = ends.into();
        }
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.0).unwrap();
        fs::write(directory.join(format!("{name}.key")), key.serialize_pem()).unwrap();
        fs::write(directory.join(format!("{name}.cer")), certificate.pem()).unwrap();
    }
}

/// A server's and a client's key and certificate, and the authority of both.
pub(crate) struct Files {
    directory: tempfile::TempDir,
    authority: Authority,
}

impl Files {
    pub(crate) fn new() -> Self {
        let (directory, authority) = (tempfile::tempdir().unwrap(), Authority::new("authority"));
        fs::write(directory.path().join("ca.cer"), authority.0.pem()).unwrap();
        authority.issue(directory.path(), "server");
        authority.issue(directory.path(), "client");
        Self { directory, authority }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn tls(&self, client_auth: ClientAuth, events: &EventSink) -> Result<Arc<Tls>, TlsError> {
        let identity = Identity::Pem { key: self.path("server.key"), certificate: self.path("server.cer") };
        let trust = vec![TrustFile { file: self.path("ca.cer"), password: None }];
        Tls::load(TlsFiles { identity, trust, client_auth }, events)
    }

    pub(crate) fn client(&self, name: Option<&str>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.path("ca.cer")).unwrap()).unwrap();
        let builder =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots);
        match name {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let certificate = CertificateDer::from_pem_file(self.path(&format!("{name}.cer"))).unwrap();
                let key = PrivateKeyDer::from_pem_file(self.path(&format!("{name}.key"))).unwrap();
                builder.with_client_auth_cert(vec![certificate], key).unwrap()
            }
        }
    }
}

pub(crate) async fn connect(
    world: &World,
    config: ClientConfig,
) -> std::io::Result<TlsStream<tokio::net::TcpStream>> {
    let connector = TlsConnector::from(Arc::new(config));
    within(connector.connect(ServerName::try_from("localhost").unwrap(), world.connect().await)).await
}

/// Asks who the client is, and returns the answer's body.
async fn who(stream: &mut TlsStream<tokio::net::TcpStream>) -> std::io::Result<String> {
    within(stream.write_all(b"GET /who HTTP/1.1\r\nHost: localhost\r\n\r\n")).await?;
    let mut bytes = vec![0; 4096];
    let count = within(stream.read(&mut bytes)).await?;
    let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
    Ok(text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

fn shown(stream: &TlsStream<tokio::net::TcpStream>) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test]
async fn peer_is_the_owner_of_the_certificate_that_was_checked() {
    let files = Files::new();
    let nothing: EventSink = Arc::new(|_| {});
    let world = World::start(Transport::Tls(files.tls(ClientAuth::Optional, &nothing).unwrap()), long());
    assert_eq!(who(&mut connect(&world, files.client(None)).await.unwrap()).await.unwrap(), "nobody");
    let mut named = connect(&world, files.client(Some("client"))).await.unwrap();
    assert!(who(&mut named).await.unwrap().contains("CN=client"));
    // The same name of another authority.
    Authority::new("authority").issue(files.directory.path(), "forged");
    let forged = connect(&world, files.client(Some("forged"))).await;
    // Under TLS 1.3 the client learns of the refusal when it reads.
    let is_refused = match forged {
        Ok(mut stream) => who(&mut stream).await.is_err(),
        Err(_) => true,
    };
    assert!(is_refused);
    world.await_event("client showed `").await;

    let world = World::start(Transport::Tls(files.tls(ClientAuth::Required, &nothing).unwrap()), long());
    let refused = connect(&world, files.client(None)).await;
    assert!(refused.is_err() || who(&mut refused.unwrap()).await.is_err());
    world.await_event("the client showed no certificate").await;
}

#[tokio::test]
async fn new_certificate_is_used_for_new_connections_and_old_ones_stay_open() {
    let files = Files::new();
    let told = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&told);
    let events: EventSink = Arc::new(move |event| keep.lock().unwrap().push(event.to_string()));
    let tls = files.tls(ClientAuth::None, &events).unwrap();
    let watching = tokio::spawn(Arc::clone(&tls).watch(Duration::from_millis(20), Arc::clone(&events)));
    let world = World::start(Transport::Tls(tls), long());
    let mut old = connect(&world, files.client(None)).await.unwrap();
    assert_eq!(who(&mut old).await.unwrap(), "nobody");

    // First the key alone: it does not fit, nothing changes.
    let other = tempfile::tempdir().unwrap();
    files.authority.issue(other.path(), "server");
    fs::copy(other.path().join("server.key"), files.path("server.key")).unwrap();
    let has = |text: &str| told.lock().unwrap().iter().any(|line: &String| line.contains(text));
    let wait = |text: &'static str| {
        within(async move {
            while !has(text) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
    };
    wait("changed certificates are not used").await;
    let between = connect(&world, files.client(None)).await.unwrap();
    assert_eq!(shown(&between), shown(&old));
    fs::copy(other.path().join("server.cer"), files.path("server.cer")).unwrap();
    wait("certificate read again").await;
    let new = connect(&world, files.client(None)).await.unwrap();
    assert_ne!(shown(&new), shown(&old));
    assert_eq!(who(&mut old).await.unwrap(), "nobody", "it was not dropped");
    watching.abort();
}

fn telling() -> (EventSink, Arc<Mutex<Vec<String>>>) {
    let told = Arc::<Mutex<Vec<String>>>::default();
    let keep = Arc::clone(&told);
    (Arc::new(move |event| keep.lock().unwrap().push(event.to_string())), told)
}

async fn await_line(told: &Mutex<Vec<String>>, text: &str) {
    within(async {
        while !told.lock().unwrap().iter().any(|line| line.contains(text)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn certificate_that_changes_before_anybody_watches_is_read_again() {
    let files = Files::new();
    let (events, told) = telling();
    let tls = files.tls(ClientAuth::None, &events).unwrap();
    files.authority.issue(files.directory.path(), "server");
    let watching = tokio::spawn(Arc::clone(&tls).watch(Duration::from_millis(20), events));
    await_line(&told, "certificate read again").await;
    watching.abort();
}

#[tokio::test]
async fn certificate_is_told_when_its_last_days_begin() {
    let files = Files::new();
    // A whole number of days is left for two seconds more.
    let ends = SystemTime::now() + Duration::from_secs(30 * 24 * 60 * 60 + 2);
    files.authority.issue_until(files.directory.path(), "server", Some(ends));
    let (events, told) = telling();
    let tls = files.tls(ClientAuth::None, &events).unwrap();
    let watching = tokio::spawn(Arc::clone(&tls).watch(Duration::from_millis(20), events));
    await_line(&told, "ends in 29 days").await;
    assert_eq!(told.lock().unwrap().len(), 1, "once a day");
    watching.abort();
}

#[tokio::test]
async fn handshake_that_does_not_go_on_is_cut_off() {
    let files = Files::new();
    let nothing: EventSink = Arc::new(|_| {});
    let limits = Limits { idle_timeout: Duration::from_secs(60), ..short() };
    let world = World::start(Transport::Tls(files.tls(ClientAuth::None, &nothing).unwrap()), limits);
    let mut silent = world.connect().await;
    assert_eq!(crate::world::rest(&mut silent).await, "");
    world.await_event("did not go on with it in time").await;
}

#[tokio::test]
async fn clients_that_stop_in_the_middle_of_a_handshake_hold_nobody_up() {
    let files = Files::new();
    let nothing: EventSink = Arc::new(|_| {});
    let world = World::start(Transport::Tls(files.tls(ClientAuth::None, &nothing).unwrap()), long());
    let config = Arc::new(files.client(None));
    let mut stopped = Vec::new();
    for is_after_hello in [false, true, false, true, false, true] {
        let mut stream = world.connect().await;
        if is_after_hello {
            let name = ServerName::try_from("localhost").unwrap();
            let mut client = rustls::ClientConnection::new(Arc::clone(&config), name).unwrap();
            let mut hello = Vec::new();
            client.write_tls(&mut hello).unwrap();
            within(stream.write_all(&hello)).await.unwrap();
            // The server has done its part of it.
            within(stream.read_exact(&mut [0])).await.unwrap();
        }
        stopped.push(stream);
    }
    for _ in 0..4 {
        let mut stream = connect(&world, files.client(None)).await.unwrap();
        assert_eq!(who(&mut stream).await.unwrap(), "nobody");
    }
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let files = Files::new();
    let nothing: EventSink = Arc::new(|_| {});
    fs::write(files.path("ca.cer"), "").unwrap();
    let error = files.tls(ClientAuth::Optional, &nothing).unwrap_err().to_string();
    assert!(error.contains("ca.cer"), "{error}");
    fs::remove_file(files.path("server.key")).unwrap();
    let error = files.tls(ClientAuth::None, &nothing).unwrap_err().to_string();
    assert!(error.contains("server.key"), "{error}");
}

//! Calls that need a certificate beside a token, asked by curl over TLS.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::Value;
use tender_certificate::tls::{Roots, VerifyMode, client_config};
use tender_gateway::{Gateway, Settings, UpstreamSettings};
use tender_http::{ClientAuth, EventSink, Identity, Server, Tls, TlsFiles, Transport, TrustFile};
use tokio::sync::oneshot;

use crate::personal::{BASE, Full, settings};

/// A gateway over TLS, and the certificates of its authority.
struct World {
    directory: tempfile::TempDir,
    base: String,
    _stop: oneshot::Sender<()>,
}

/// Makes an authority, and certificates for the gateway and for a client.
fn certificates(directory: &Path) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    std::fs::write(directory.join("ca.crt"), params.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(params, key);
    for name in ["gateway", "client"] {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &issuer).unwrap();
        std::fs::write(directory.join(format!("{name}.crt")), certificate.pem()).unwrap();
        std::fs::write(directory.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        certificates(directory.path());
        let file = |name: &str| directory.path().join(name);
        let events: EventSink = Arc::new(|_| {});
        let files = TlsFiles {
            identity: Identity::Pem { key: file("gateway.key"), certificate: file("gateway.crt") },
            trust: vec![TrustFile { file: file("ca.crt"), password: None }],
            client_auth: ClientAuth::Optional,
        };
        let transport = Transport::Tls(Tls::load(files, &events).unwrap());
        let address = "127.0.0.1:0".parse().unwrap();
        let server = Server::bind(&[address], tender_http::Settings::new(transport)).unwrap();
        let base = format!("https://localhost:{}{BASE}", server.addresses()[0].port());
        let upstream = client_config(VerifyMode::Strict, Roots::of(Vec::new()), None).unwrap();
        let mut of_gateway = Settings::new(UpstreamSettings::new(Arc::new(upstream)));
        of_gateway.auth = Some(settings(Full));
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(server.run(Gateway::new(of_gateway), async {
            stopped.await.ok();
        }));
        Self { directory, base, _stop: stop }
    }

    /// Asks with the client's certificate and more words for curl; returns head and body.
    async fn ask(&self, path: &str, more: &[&str]) -> String {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--include", "--max-time", "60", "-X", "POST"]);
        curl.arg("--cacert").arg(self.directory.path().join("ca.crt"));
        curl.arg("--cert").arg(self.directory.path().join("client.crt"));
        curl.arg("--key").arg(self.directory.path().join("client.key"));
        curl.args(more).arg(format!("{}/{path}", self.base));
        let output = tokio::task::spawn_blocking(move || curl.output()).await.unwrap().unwrap();
        assert!(output.status.success(), "curl: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Returns the token that an answer sets.
fn token(answer: &str) -> &str {
    let (_, rest) = answer.split_once("apimlAuthenticationToken=").unwrap_or_else(|| panic!("{answer}"));
    rest.split(';').next().unwrap()
}

#[tokio::test]
async fn token_is_followed_by_another_and_ends() {
    let world = World::new();
    let login = world.ask("login", &["-u", "user:user"]).await;
    let bearer = format!("Authorization: Bearer {}", token(&login));
    let refreshed = world.ask("refresh", &["-H", &bearer]).await;
    assert!(refreshed.contains(" 204") && token(&refreshed) != token(&login), "{refreshed}");
    assert!(world.ask("refresh", &["-H", &bearer]).await.contains("ZWEAG130E"), "the first has ended");
    let next = format!("Authorization: Bearer {}", token(&refreshed));
    assert!(world.ask("logout", &["-H", &next]).await.contains(" 204"));
}

#[tokio::test]
async fn ticket_is_made_for_an_application_that_has_a_name() {
    let world = World::new();
    let login = world.ask("login", &["-u", "user:user"]).await;
    let bearer = format!("Authorization: Bearer {}", token(&login));
    let of = async |body: &str| world.ask("ticket", &["-H", &bearer, "-d", body]).await;
    let answer = of(r#"{"applicationName":"APPL"}"#).await;
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let ticket: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"));
    assert_eq!(ticket["ticket"], "TICKET-user");
    assert_eq!((&ticket["userId"], &ticket["applicationName"]), (&"user".into(), &"APPL".into()));
    assert_eq!(ticket["token"], token(&login));
    for body in ["", "{}", r#"{"applicationName":""}"#, r#"{"applicationName":"NINELONGS"}"#] {
        assert!(of(body).await.contains("ZWEAG140E"), "{body}");
    }
    let answer = of(r#"{"applicationName":"OTHER"}"#).await;
    assert!(answer.contains(" 503") && answer.contains("ZWEAG104E"), "{answer}");
}

#[tokio::test]
async fn certificate_of_a_gateway_in_between_opens_nothing_to_its_clients() {
    let world = World::new();
    let login = world.ask("login", &["-u", "user:user"]).await;
    let bearer = format!("Authorization: Bearer {}", token(&login));
    let prefix = "X-Forwarded-Prefix: /evil/api/v1";
    for (path, body) in [("refresh", ""), ("ticket", r#"{"applicationName":"APPL"}"#)] {
        let through = world.ask(path, &["-H", &bearer, "-H", prefix, "-d", body]).await;
        assert!(through.contains(" 403") && through.contains("ZWEAG167E"), "{path}: {through}");
    }
    let straight = world.ask("ticket", &["-H", &bearer, "-d", r#"{"applicationName":"APPL"}"#]).await;
    assert!(straight.contains("TICKET-user"), "{straight}");
}

//! Instances that are asked over TLS.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tender_certificate::tls::{Roots, VerifyMode, client_config};
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::world::{Service, World, instance, receive};

struct Authority {
    own: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let own = params.self_signed(&key).unwrap().der().clone();
        Self { own, issuer: Issuer::new(params, key) }
    }

    /// Serves one answer after the other with a certificate for a name.
    async fn serve(&self, name: &str) -> std::net::SocketAddr {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(stream) = acceptor.accept(stream).await else { continue };
                let mut stream = BufReader::new(stream);
                if receive(&mut stream, true).await.is_some() {
                    stream
                        .get_mut()
                        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecure")
                        .await
                        .ok();
                }
            }
        });
        address
    }
}

fn world(authority: &Authority, mode: VerifyMode, address: std::net::SocketAddr) -> World {
    let mut of_instance = instance("a", address, &[]);
    of_instance.is_secure = true;
    let roots = Roots::of(vec![authority.own.clone()]);
    World::with([of_instance], |settings| {
        settings.upstream.tls = Arc::new(client_config(mode, roots, None).unwrap());
    })
}

#[tokio::test]
async fn instance_must_be_who_it_should_be_as_the_mode_says() {
    let (ours, other) = (Authority::new(), Authority::new());
    let (right, misnamed, foreign) =
        (ours.serve("127.0.0.1").await, ours.serve("elsewhere").await, other.serve("127.0.0.1").await);
    for (mode, address, is_trusted) in [
        (VerifyMode::Strict, right, true),
        (VerifyMode::Strict, misnamed, false),
        (VerifyMode::Strict, foreign, false),
        (VerifyMode::Nonstrict, misnamed, true),
        (VerifyMode::Nonstrict, foreign, false),
        (VerifyMode::Disabled, foreign, true),
    ] {
        let answer = world(&ours, mode, address).post("/a/api/v1/x", "x").await;
        if is_trusted {
            answer.is(200, "secure");
        } else {
            answer.is(502, "ZWEAM511E");
        }
    }
}

#[tokio::test]
async fn instance_without_tls_where_it_should_be_is_told() {
    let plain = Service::start(|_| crate::world::Reply::HangUp).await;
    let answer = world(&Authority::new(), VerifyMode::Strict, plain.address).get("/a/api/v1/x").await;
    assert!([502, 503].contains(&answer.status()), "{}{}", answer.head, answer.text());
}

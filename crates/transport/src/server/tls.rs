//! The server's side of TLS: version 1.3, a certificate from the client, a handshake for every data
//! connection.

use std::sync::Arc;

use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    server::{
        ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
        danger::ClientCertVerifier,
    },
    sign::CertifiedKey,
    version::TLS13,
};

use super::{Security, activity::Activity};
use crate::identity::{Identity, IdentityError};

/// The configuration for one connection, whose handshakes `activity` counts.
pub(super) fn server_config(
    security: &Security,
    activity: &Arc<Activity>,
) -> Result<Arc<ServerConfig>, IdentityError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let (verifier, key) = match security {
        Security::Required { identity } => {
            let identity = Identity::open(identity)?;
            (verifier(&identity, &provider, Certificate::Required)?, identity.certified_key()?)
        }
        Security::ClearAllowed { identity, .. } => {
            let identity = Identity::open(identity)?;
            (verifier(&identity, &provider, Certificate::Optional)?, identity.certified_key()?)
        }
        Security::Enrolment { identity, system, .. } => {
            (WebPkiClientVerifier::no_client_auth(), Identity::open(identity)?.self_signed(system)?)
        }
    };
    let resolver = CountingResolver { key, activity: Arc::clone(activity) };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .expect("the provider has cipher suites for TLS 1.3")
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(resolver));
    // Without resumption every data connection shows the client's certificate again, and is counted.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Certificate {
    Required,
    Optional,
}

/// Checks that a client's certificate is from our authority, in its time, and made for logging in: a managed
/// system's is made for serving and fails here already.
fn verifier(
    identity: &Identity,
    provider: &Arc<CryptoProvider>,
    certificate: Certificate,
) -> Result<Arc<dyn ClientCertVerifier>, IdentityError> {
    let builder = WebPkiClientVerifier::builder_with_provider(identity.roots()?, Arc::clone(provider));
    let builder =
        if certificate == Certificate::Optional { builder.allow_unauthenticated() } else { builder };
    builder.build().map_err(|_| IdentityError::Unusable {
        dir: identity.dir().to_owned(),
        what: "the authority's certificate is not one of an authority",
    })
}

/// Gives the one certificate there is, and counts how often it is asked for one: once per handshake.
#[derive(Debug)]
struct CountingResolver {
    key: Arc<CertifiedKey>,
    activity: Arc<Activity>,
}

impl ResolvesServerCert for CountingResolver {
    fn resolve(&self, _client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.activity.count_handshake();
        Some(Arc::clone(&self.key))
    }
}

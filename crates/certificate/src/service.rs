//! Looking at the certificate of another server, and trusting it when its fingerprint is known.

use std::{
    io,
    net::{TcpStream, ToSocketAddrs},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rustls::{
    ClientConnection, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    server::ParsedCertificate,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use serde::Serialize;

use crate::{
    CertificateInfo, Check, CheckStatus, KeyEntry, TrustError, TrustStore, alternative,
    chain::{self, Purpose},
    info,
    tls::{self, ModeVerifier, Roots, TlsError, VerifyMode},
    trust::{self, Imported},
};

/// A server to look at.
#[derive(Debug, Clone)]
pub struct ServiceTarget {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// How long the connection and the handshake may take together, in milliseconds.
    pub timeout_ms: u64,
}

/// What a server showed, and what is to be said of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceReport {
    /// How much was checked.
    pub mode: VerifyMode,
    /// Version of the protocol that was agreed on.
    pub protocol: Option<String>,
    /// Cipher suite that was agreed on.
    pub cipher: Option<String>,
    /// The certificates the server sent, its own first.
    pub chain: Vec<CertificateInfo>,
    /// One line for each check; the server is accepted when none failed.
    pub checks: Vec<Check>,
}

impl ServiceReport {
    /// Tells whether a client in this mode would go on.
    pub fn is_accepted(&self) -> bool {
        self.checks.iter().all(|check| check.status != CheckStatus::Failed)
    }
}

/// Why a server's certificate could not be had or trusted.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The host is neither a name nor an address.
    #[error("connect to '{host}': it is neither a host name nor an address")]
    Host {
        /// The host.
        host: String,
    },
    /// No connection.
    #[error("connect to {host} port {port}")]
    Connect {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No handshake.
    #[error("shake hands with {host} port {port}; does a TLS server listen there?")]
    Handshake {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The client configuration could not be made.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The text given is no SHA-256 fingerprint.
    #[error("compare with the fingerprint '{text}': a SHA-256 fingerprint has 64 hexadecimal digits")]
    NoFingerprint {
        /// The text.
        text: String,
    },
    /// No certificate of the server has the fingerprint.
    #[error("trust {host} port {port}: no certificate it sent has the fingerprint {expected}; it sent {}; nothing was changed", presented.join(", "))]
    Fingerprint {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// The fingerprint given.
        expected: String,
        /// The fingerprints of what the server sent.
        presented: Vec<String>,
    },
    /// The trust store could not be changed.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

/// Shakes hands with a server and checks its certificate as `mode` says.
///
/// A server that cannot be accepted is a report with a failed check, not an error.
/// Limits: under TLS 1.3 a server that insists on another client certificate says so only when it is asked for
///         something; that does not show here.
pub fn verify_service(
    target: &ServiceTarget,
    mode: VerifyMode,
    roots: &Roots,
    identity: Option<&KeyEntry>,
    now: Timestamp,
) -> Result<ServiceReport, ServiceError> {
    let seen = look(target, identity)?;
    let described: Vec<_> = seen.chain.iter().filter_map(|der| CertificateInfo::of_der(der, now)).collect();
    let mut checks = Vec::new();
    let subject = format!("{}:{}", target.host, target.port);
    let mut add = |what: &'static str, status, text: String| {
        checks.push(Check { what, subject: subject.clone(), status, text });
    };
    let Some((own, intermediates)) = seen.chain.split_first() else {
        add("chain", CheckStatus::Failed, "it sent no certificate".to_owned());
        return Ok(ServiceReport { mode, protocol: None, cipher: None, chain: described, checks });
    };
    let severity = |is_checked| if is_checked { CheckStatus::Failed } else { CheckStatus::Skipped };
    match chain::check(own, intermediates, roots, chain::unix_time(now), Purpose::Server) {
        Ok(()) => add("chain", CheckStatus::Passed, "it leads to a trusted authority".to_owned()),
        Err(error) => {
            let reason = chain::reason(&error);
            let text =
                if mode.checks_chain() { reason } else { format!("not checked in mode {mode}: {reason}") };
            add("chain", severity(mode.checks_chain()), text);
        }
    }
    let name = ParsedCertificate::try_from(own).and_then(|parsed| verify_server_name(&parsed, &seen.name));
    match name {
        Ok(()) => add("host name", CheckStatus::Passed, format!("it is for {}", target.host)),
        Err(_) => {
            let names = described.first().map(|info| info.alternative_names.join(", ")).unwrap_or_default();
            let names = if names.is_empty() { "no name at all".to_owned() } else { names };
            let text = format!("the certificate is not for {} but for {names}", target.host);
            let text = if mode.checks_host() { text } else { format!("not checked in mode {mode}: {text}") };
            add("host name", severity(mode.checks_host()), text);
        }
    }
    if let Some(weakness) = described.first().and_then(CertificateInfo::weakness) {
        add("strength", CheckStatus::Warning, weakness);
    }
    Ok(ServiceReport { mode, protocol: seen.protocol, cipher: seen.cipher, chain: described, checks })
}

/// What a server showed, and what was added to the trust store.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrustOutcome {
    /// The certificates the server sent, its own first, with their fingerprints.
    pub chain: Vec<CertificateInfo>,
    /// What became of the one with the fingerprint; nothing when no fingerprint was given.
    pub imported: Option<Imported>,
}

/// Trusts the certificate of a server that has the fingerprint given; without one only shows what it sends.
///
/// The fingerprint is what makes this safe: it must come from the server's owner, not from the connection.
pub fn trust_service(
    target: &ServiceTarget,
    expected_fingerprint: Option<&str>,
    store: &TrustStore,
    now: Timestamp,
) -> Result<TrustOutcome, ServiceError> {
    let expected = expected_fingerprint
        .map(|text| {
            info::normal_fingerprint(text)
                .ok_or_else(|| ServiceError::NoFingerprint { text: text.to_owned() })
        })
        .transpose()?;
    let seen = look(target, None)?;
    let chain: Vec<_> = seen.chain.iter().filter_map(|der| CertificateInfo::of_der(der, now)).collect();
    let Some(expected) = expected else { return Ok(TrustOutcome { chain, imported: None }) };
    match seen.chain.iter().find(|der| info::fingerprint(der) == expected) {
        Some(certificate) => {
            let imported = trust::import(store, vec![certificate.clone()], now)?;
            Ok(TrustOutcome { chain, imported: Some(imported) })
        }
        None => Err(ServiceError::Fingerprint {
            host: target.host.clone(),
            port: target.port,
            expected,
            presented: seen.chain.iter().map(|der| info::fingerprint(der)).collect(),
        }),
    }
}

/// What a handshake brought to light.
struct Seen {
    name: ServerName<'static>,
    chain: Vec<CertificateDer<'static>>,
    protocol: Option<String>,
    cipher: Option<String>,
}

/// Shakes hands without judging, so that a report can tell what is wrong.
fn look(target: &ServiceTarget, identity: Option<&KeyEntry>) -> Result<Seen, ServiceError> {
    let name = alternative::server_name(&target.host)
        .ok_or_else(|| ServiceError::Host { host: target.host.clone() })?;
    let deadline = Instant::now() + Duration::from_millis(target.timeout_ms.max(1));
    let verifier = Arc::new(Witness {
        inner: ModeVerifier::new(VerifyMode::Disabled, Roots::of(Vec::new())),
        chain: Mutex::new(Vec::new()),
    });
    let config = tls::with_verifier(verifier.clone(), identity)?;
    let (host, port) = (target.host.clone(), target.port);
    let mut stream = connect(target, deadline).map_err(|source| ServiceError::Connect {
        host: host.clone(),
        port,
        source,
    })?;
    let handshake = |source| ServiceError::Handshake { host: host.clone(), port, source };
    let mut connection = ClientConnection::new(Arc::new(config), name.clone())
        .map_err(|error| handshake(io::Error::other(error)))?;
    shake_hands(&mut connection, &mut stream, deadline).map_err(handshake)?;
    connection.send_close_notify();
    // The handshake is over; whether the farewell arrives is the server's business.
    drop(connection.write_tls(&mut stream));
    let chain = verifier.chain.lock().map(|chain| chain.clone()).unwrap_or_default();
    Ok(Seen {
        name,
        chain,
        protocol: connection.protocol_version().and_then(|version| version.as_str().map(str::to_owned)),
        cipher: connection
            .negotiated_cipher_suite()
            .and_then(|suite| suite.suite().as_str().map(str::to_owned)),
    })
}

fn connect(target: &ServiceTarget, deadline: Instant) -> io::Result<TcpStream> {
    let host = alternative::normal(&target.host);
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
    for address in (host.as_str(), target.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, left(deadline)?) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A deadline for all of it: a server that sends a byte now and then does not hold the caller for ever.
fn shake_hands(
    connection: &mut ClientConnection,
    stream: &mut TcpStream,
    deadline: Instant,
) -> io::Result<()> {
    while connection.is_handshaking() {
        let left = left(deadline)?;
        if connection.wants_write() {
            stream.set_write_timeout(Some(left))?;
            connection.write_tls(stream)?;
            continue;
        }
        stream.set_read_timeout(Some(left))?;
        if connection.read_tls(stream)? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection"));
        }
        if let Err(error) = connection.process_new_packets() {
            return Err(io::Error::other(error));
        }
    }
    while connection.wants_write() {
        stream.set_write_timeout(Some(left(deadline)?))?;
        connection.write_tls(stream)?;
    }
    Ok(())
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")) } else { Ok(left) }
}

/// Keeps what the server sends and accepts it; nothing is said to the server after the handshake.
#[derive(Debug)]
struct Witness {
    inner: ModeVerifier,
    chain: Mutex<Vec<CertificateDer<'static>>>,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Ok(mut chain) = self.chain.lock() {
            *chain = std::iter::once(end_entity)
                .chain(intermediates)
                .map(|certificate| certificate.clone().into_owned())
                .collect();
        }
        self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

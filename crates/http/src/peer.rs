//! Who is at the other end of a connection.

use std::net::SocketAddr;
use std::sync::OnceLock;

use hyper::header::HeaderValue;
use rustls_pki_types::CertificateDer;
use tender_certificate::CertificateInfo;

/// The other end of a connection.
#[derive(Debug)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// The address it connected to.
    pub local: SocketAddr,
    /// The connection is TLS.
    pub is_tls: bool,
    /// The certificate it proved to own, checked against the trusted authorities.
    pub certificate: Option<PeerCertificate>,
    /// The number of the thread that answers it: what its requests need can be kept near; 0 when the server has no threads
    /// of its own.
    pub worker: usize,
    address_value: OnceLock<HeaderValue>,
}

impl Peer {
    /// Describes a connection without TLS.
    #[must_use]
    pub fn new(address: SocketAddr, local: SocketAddr) -> Self {
        Self { address, local, is_tls: false, certificate: None, worker: 0, address_value: OnceLock::new() }
    }

    /// Describes one over TLS.
    #[must_use]
    pub fn over_tls(self, certificate: Option<PeerCertificate>) -> Self {
        Self { is_tls: true, certificate, ..self }
    }

    /// Returns its address without the port, as headers have it.
    pub fn address_value(&self) -> &HeaderValue {
        self.address_value.get_or_init(|| {
            let text = self.address.ip().to_canonical().to_string();
            HeaderValue::try_from(text).expect("an address is written in digits, letters, dots and colons")
        })
    }
}

/// A certificate that a client proved to own, with the chain it sent.
#[derive(Debug)]
pub struct PeerCertificate {
    chain: Vec<CertificateDer<'static>>,
    info: OnceLock<Option<CertificateInfo>>,
}

impl PeerCertificate {
    /// Takes a chain whose first certificate is the client's own.
    pub(crate) fn of(chain: &[CertificateDer<'_>]) -> Option<Self> {
        let chain: Vec<_> = chain.iter().map(|one| one.clone().into_owned()).collect();
        (!chain.is_empty()).then(|| Self { chain, info: OnceLock::new() })
    }

    /// Returns the certificate itself, as DER.
    #[must_use]
    pub fn der(&self) -> &CertificateDer<'static> {
        self.chain.first().expect("a chain has at least one certificate")
    }

    /// Returns the chain that the client sent, its own certificate first.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// Returns what it says; read at first use. Nothing when it is too odd to be read.
    pub fn info(&self) -> Option<&CertificateInfo> {
        self.info.get_or_init(|| CertificateInfo::of_der(self.der(), jiff::Timestamp::now())).as_ref()
    }

    /// Returns whom it names, `?` when that cannot be read.
    pub fn subject(&self) -> &str {
        self.info().map_or("?", |info| info.subject.as_str())
    }
}

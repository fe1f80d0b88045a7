//! Who is at the other end of a connection.

use std::net::SocketAddr;
use std::sync::OnceLock;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use rustls_pki_types::CertificateDer;
use tender_certificate::CertificateInfo;

/// What a gateway says to a service of the path that a request came by. No request passes one without it.
pub const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// Says whether a request has come through a gateway.
#[must_use]
pub fn is_passed_on(headers: &HeaderMap) -> bool {
    headers.contains_key(FORWARDED_PREFIX)
}

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

    /// Returns the certificate of whoever asks.
    ///
    /// Nothing when the request has come through a gateway: the certificate is the gateway's own, and says nothing of the one
    /// who asks. Otherwise whoever has a service registered where others are asked would have them take everybody for the
    /// gateway.
    #[must_use]
    pub fn certificate_of(&self, headers: &HeaderMap) -> Option<&PeerCertificate> {
        self.certificate.as_ref().filter(|_| !is_passed_on(headers))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificate_of_a_gateway_is_not_that_of_whoever_asks_through_it() {
        let address = SocketAddr::from(([10, 0, 0, 1], 1));
        let certificate = PeerCertificate::of(&[CertificateDer::from(vec![1])]);
        let peer = Peer::new(address, address).over_tls(certificate);
        let mut headers = HeaderMap::new();
        assert!(peer.certificate_of(&headers).is_some());
        headers.insert(FORWARDED_PREFIX, HeaderValue::from_static("/evil/api/v1"));
        assert!(peer.certificate_of(&headers).is_none());
        assert!(Peer::new(address, address).certificate_of(&HeaderMap::new()).is_none());
    }
}

//! Whom entries belong to.
//!
//! ```text
//! certificate of a gateway ──► X-Certificate-DistinguishedName [, SERVICE=X-CS-Service-ID]
//! certificate of a service ──► whom it names [, SERVICE=X-CS-Service-ID]
//! none                     ──► nobody
//! ```
//!
//! A service that talks to us directly is whom its certificate names, whatever its headers say; only a gateway, which has
//! looked at the certificate of its own client, may speak for another. Whose client showed none, a gateway does not know:
//! a service id alone is anybody's. And a gateway that is not named as one is refused: all of its clients would share what
//! is its own.

use tender_http::hyper::HeaderMap;
use tender_http::{PeerCertificate, is_passed_on};

use crate::entry::Owner;

const NAME: &str = "X-Certificate-DistinguishedName";
const SERVICE: &str = "X-CS-Service-ID";

/// Who may speak for whom.
#[derive(Debug, Clone, Default)]
pub struct OwnerRules {
    /// Certificates of gateways: whom they name, or their SHA-256 in hexadecimal with colons.
    pub gateways: Vec<String>,
    /// Certificates are not asked for, and everybody is believed: for a closed network alone.
    pub believes_everybody: bool,
}

/// Why a request has no owner.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoOwner {
    #[error("it needs a client certificate that this service trusts")]
    NoCertificate,
    #[error("the gateway does not say whose certificate its client showed, in the header {NAME}")]
    NoName,
    #[error("it comes from a gateway with the certificate `{subject}`, which is not named as one here")]
    UnknownGateway { subject: String },
    #[error("the header {header} holds no name: {reason}")]
    BadHeader { header: &'static str, reason: &'static str },
}

impl OwnerRules {
    /// Finds the owner of what a request is about.
    pub(super) fn owner(
        &self,
        certificate: Option<&PeerCertificate>,
        headers: &HeaderMap,
    ) -> Result<Owner, NoOwner> {
        let info = certificate.and_then(PeerCertificate::info);
        let is_gateway = info.is_some_and(|info| {
            let is = |named: &String| named.eq_ignore_ascii_case(&info.fingerprint) || *named == info.subject;
            self.gateways.iter().any(is)
        });
        let caller = match info {
            _ if self.believes_everybody => Caller::Believed,
            _ if is_gateway => Caller::Gateway,
            Some(info) if is_passed_on(headers) => {
                return Err(NoOwner::UnknownGateway { subject: info.subject.clone() });
            }
            Some(info) => Caller::Service(&info.subject),
            None => return Err(NoOwner::NoCertificate),
        };
        owner(caller, text(headers, NAME)?, text(headers, SERVICE)?)
    }
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
enum Caller<'a> {
    /// A service, by whom its certificate names.
    Service(&'a str),
    /// A gateway for its client.
    Gateway,
    /// Somebody who is whoever he says he is.
    Believed,
}

fn text<'h>(headers: &'h HeaderMap, header: &'static str) -> Result<Option<&'h str>, NoOwner> {
    let mut values = headers.get_all(header).iter();
    let Some(first) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(NoOwner::BadHeader { header, reason: "it is there more than once" });
    }
    let first = first.to_str().map_err(|_| NoOwner::BadHeader { header, reason: "it is no plain text" })?;
    Ok(Some(first.trim()).filter(|text| !text.is_empty()))
}

fn owner(caller: Caller<'_>, name: Option<&str>, service: Option<&str>) -> Result<Owner, NoOwner> {
    if let Some(service) = service {
        // Anything else could be read as the name of a certificate, or as more than one service.
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if service.len() > 64 || !service.bytes().all(is_name) {
            let reason = "a service id has up to 64 letters, digits, dots, hyphens and underscores";
            return Err(NoOwner::BadHeader { header: SERVICE, reason });
        }
    }
    let named = if let Caller::Service(subject) = caller { Some(subject) } else { name };
    let owner = match (named, service) {
        (Some(name), Some(service)) => format!("{name}, SERVICE={service}"),
        (Some(name), None) => name.to_owned(),
        (None, Some(service)) if matches!(caller, Caller::Believed) => service.to_owned(),
        (None, _) => return Err(NoOwner::NoName),
    };
    Owner::new(owner).ok_or(NoOwner::BadHeader { header: NAME, reason: "it holds a control character" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(caller: Caller<'_>, name: Option<&str>, service: Option<&str>) -> String {
        owner(caller, name, service).map_or_else(|why| why.to_string(), |owner| owner.to_string())
    }

    #[test]
    fn service_is_whom_its_certificate_names_whatever_it_says() {
        let me = Caller::Service("CN=me");
        assert_eq!(owned(me, None, None), "CN=me");
        assert_eq!(owned(me, Some("CN=victim"), None), "CN=me");
        assert_eq!(owned(me, Some("CN=victim"), Some("part")), "CN=me, SERVICE=part");
    }

    #[test]
    fn gateway_speaks_for_others_and_must_say_for_whom() {
        assert_eq!(owned(Caller::Gateway, Some("CN=a"), None), "CN=a");
        assert_eq!(owned(Caller::Gateway, Some("CN=a"), Some("b")), "CN=a, SERVICE=b");
        for service in [None, Some("b")] {
            assert!(owned(Caller::Gateway, None, service).contains("whose certificate"), "{service:?}");
        }
    }

    #[test]
    fn whoever_is_believed_may_be_a_service_alone() {
        assert_eq!(owned(Caller::Believed, Some("CN=a"), None), "CN=a");
        assert_eq!(owned(Caller::Believed, None, Some("b")), "b");
        assert!(owned(Caller::Believed, None, None).contains("whose certificate"));
    }

    #[test]
    fn nobody_without_a_certificate_owns_anything() {
        let mut headers = HeaderMap::new();
        headers.insert(NAME, "CN=a".parse().unwrap());
        headers.insert(SERVICE, "b".parse().unwrap());
        let refused = OwnerRules::default().owner(None, &headers);
        assert_eq!(refused, Err(NoOwner::NoCertificate));
        let believing = OwnerRules { believes_everybody: true, ..OwnerRules::default() };
        assert_eq!(believing.owner(None, &headers).unwrap().as_str(), "CN=a, SERVICE=b");
    }

    #[test]
    fn service_id_that_looks_like_a_name_is_refused() {
        for service in ["CN=victim", "a, SERVICE=b", "a b", &"x".repeat(65)] {
            assert!(owned(Caller::Gateway, None, Some(service)).contains("X-CS-Service-ID"), "{service}");
        }
    }
}

//! Whom entries belong to.
//!
//! ```text
//! certificate of a gateway ──► X-Certificate-DistinguishedName [, SERVICE=X-CS-Service-ID], or X-CS-Service-ID alone
//! certificate of a service ──► whom it names [, SERVICE=X-CS-Service-ID]
//! none                     ──► nobody
//! ```
//!
//! A service that talks to us directly is whom its certificate names, whatever its headers say; only a gateway, which has
//! looked at the certificate of its own client, may speak for another.

use tender_http::PeerCertificate;
use tender_http::hyper::HeaderMap;

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
    #[error("a gateway must say for whom it asks, in the header {NAME} or {SERVICE}")]
    NoName,
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
        let subject = info.map(|info| info.subject.as_str());
        let speaks_for_others = is_gateway || self.believes_everybody;
        owner(subject, speaks_for_others, text(headers, NAME)?, text(headers, SERVICE)?)
    }
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

fn owner(
    subject: Option<&str>,
    speaks_for_others: bool,
    name: Option<&str>,
    service: Option<&str>,
) -> Result<Owner, NoOwner> {
    if let Some(service) = service {
        // Anything else could be read as the name of a certificate, or as more than one service.
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if service.len() > 64 || !service.bytes().all(is_name) {
            let reason = "a service id has up to 64 letters, digits, dots, hyphens and underscores";
            return Err(NoOwner::BadHeader { header: SERVICE, reason });
        }
    }
    let named = if speaks_for_others { name } else { Some(subject.ok_or(NoOwner::NoCertificate)?) };
    let owner = match (named, service) {
        (Some(name), Some(service)) => format!("{name}, SERVICE={service}"),
        (Some(name), None) => name.to_owned(),
        (None, Some(service)) => service.to_owned(),
        (None, None) => return Err(NoOwner::NoName),
    };
    Owner::new(owner).ok_or(NoOwner::BadHeader { header: NAME, reason: "it holds a control character" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(subject: Option<&str>, is_gateway: bool, name: Option<&str>, service: Option<&str>) -> String {
        owner(subject, is_gateway, name, service)
            .map_or_else(|why| why.to_string(), |owner| owner.to_string())
    }

    #[test]
    fn service_is_whom_its_certificate_names_whatever_it_says() {
        assert_eq!(owned(Some("CN=me"), false, None, None), "CN=me");
        assert_eq!(owned(Some("CN=me"), false, Some("CN=victim"), None), "CN=me");
        assert_eq!(owned(Some("CN=me"), false, Some("CN=victim"), Some("part")), "CN=me, SERVICE=part");
    }

    #[test]
    fn gateway_speaks_for_others_and_must_say_for_whom() {
        assert_eq!(owned(Some("CN=gateway"), true, Some("CN=a"), None), "CN=a");
        assert_eq!(owned(Some("CN=gateway"), true, Some("CN=a"), Some("b")), "CN=a, SERVICE=b");
        assert_eq!(owned(Some("CN=gateway"), true, None, Some("b")), "b");
        assert!(owned(Some("CN=gateway"), true, None, None).starts_with("a gateway must say"));
    }

    #[test]
    fn nobody_without_a_certificate_owns_anything() {
        assert!(owned(None, false, Some("CN=a"), Some("b")).contains("client certificate"));
        assert_eq!(owned(None, true, Some("CN=a"), None), "CN=a", "unless everybody is believed");
    }

    #[test]
    fn service_id_that_looks_like_a_name_is_refused() {
        for service in ["CN=victim", "a, SERVICE=b", "a b", &"x".repeat(65)] {
            assert!(
                owned(Some("CN=gateway"), true, None, Some(service)).contains("X-CS-Service-ID"),
                "{service}"
            );
        }
    }
}

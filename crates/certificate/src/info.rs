//! What a certificate says, for people and for programs; never anything of the key.

use std::net::{Ipv4Addr, Ipv6Addr};

use aws_lc_rs::digest;
use jiff::Timestamp;
use serde::Serialize;
use x509_parser::{
    extensions::{ExtendedKeyUsage, GeneralName, KeyUsage},
    objects::{oid_registry, oid2abbrev},
    oid_registry::Oid,
    prelude::{FromDer, X509Certificate},
    public_key::PublicKey,
    x509::{AttributeTypeAndValue, X509Name},
};

const SECONDS_PER_DAY: i64 = 86_400;

/// Everything a certificate says that matters to its users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateInfo {
    /// The alias under which it is stored, when it has one.
    pub alias: Option<String>,
    /// Whether the private key is stored with it.
    pub has_private_key: bool,
    /// Whether it is stored as one to trust, rather than as part of a chain.
    pub is_trusted: bool,
    /// Its place in the chain of its key, the key's own certificate being 0.
    pub chain_position: u32,
    /// Whom it names.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Serial number, hexadecimal with colons.
    pub serial: String,
    /// Alternative names as `DNS:…` and `IP:…`.
    pub alternative_names: Vec<String>,
    /// Kind and size of the public key.
    pub key: KeyInfo,
    /// The algorithm of the signature.
    pub signature: String,
    /// What the key may be used for.
    pub key_usages: Vec<String>,
    /// What the certificate may be used for; empty means anything.
    pub extended_key_usages: Vec<String>,
    /// Not valid before this moment.
    pub not_before: Timestamp,
    /// Not valid after this moment.
    pub not_after: Timestamp,
    /// Whole days until it ends, negative when it has ended.
    pub days_left: i64,
    /// SHA-256 of the certificate, upper-case hexadecimal with colons.
    pub fingerprint: String,
    /// Whether it may sign certificates.
    pub is_ca: bool,
    /// Whether subject and issuer are the same.
    pub is_self_issued: bool,
}

/// Kind and size of a public key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyInfo {
    /// `RSA`, `EC P-256`, `Ed25519` and the like.
    pub kind: String,
    /// Size in bits.
    pub bits: u32,
}

/// Writes a name as `C=DE, O=Example, CN=host`; a sign in a value that could be read as the next part has a backslash.
fn name_text(name: &X509Name<'_>) -> String {
    let part = |part: &AttributeTypeAndValue<'_>| {
        let kind = oid2abbrev(part.attr_type(), oid_registry())
            .map_or_else(|_| part.attr_type().to_id_string(), str::to_owned);
        let mut text = format!("{kind}=");
        for sign in part.as_str().unwrap_or_default().chars() {
            if matches!(sign, ',' | '+' | '=' | '\\' | '"' | '<' | '>' | ';') {
                text.push('\\');
            }
            text.push(sign);
        }
        text
    };
    let parts = name.iter_rdn().map(|parts| parts.iter().map(part).collect::<Vec<_>>().join(" + "));
    parts.collect::<Vec<_>>().join(", ")
}

impl CertificateInfo {
    /// Reads a certificate; `None` when the bytes are none or say something impossible.
    pub fn of_der(der: &[u8], now: Timestamp) -> Option<Self> {
        let certificate = parse(der)?;
        let not_before = Timestamp::from_second(certificate.validity().not_before.timestamp()).ok()?;
        let not_after = Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()?;
        Some(Self {
            alias: None,
            has_private_key: false,
            is_trusted: false,
            chain_position: 0,
            subject: name_text(certificate.subject()),
            issuer: name_text(certificate.issuer()),
            serial: with_colons(certificate.raw_serial()),
            alternative_names: alternative_names(&certificate),
            key: key_info(&certificate),
            signature: signature_name(&certificate.signature_algorithm.algorithm),
            key_usages: certificate
                .key_usage()
                .ok()
                .flatten()
                .map_or_else(Vec::new, |extension| key_usages(extension.value)),
            extended_key_usages: certificate
                .extended_key_usage()
                .ok()
                .flatten()
                .map_or_else(Vec::new, |extension| extended_key_usages(extension.value)),
            not_before,
            not_after,
            days_left: days_between(now, not_after),
            fingerprint: fingerprint(der),
            is_ca: certificate.is_ca(),
            is_self_issued: certificate.subject().as_raw() == certificate.issuer().as_raw(),
        })
    }

    /// Tells whether the signature or the key is weaker than is accepted today, and why.
    pub fn weakness(&self) -> Option<String> {
        let signature = self.signature.to_ascii_lowercase();
        if signature.contains("md5") || signature.contains("md2") || signature.contains("sha1") {
            // The signature of a root is never looked at.
            if !self.is_self_issued {
                return Some(format!("its signature uses {}", self.signature));
            }
        }
        match self.key.kind.as_str() {
            "RSA" if self.key.bits < 2048 => Some(format!("its RSA key has {} bits only", self.key.bits)),
            "DSA" => Some("its key is a DSA key".to_owned()),
            kind if kind.starts_with("EC") && self.key.bits < 256 => {
                Some(format!("its EC key has {} bits only", self.key.bits))
            }
            _ => None,
        }
    }
}

/// Parses a certificate that is followed by nothing.
pub(crate) fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
    X509Certificate::from_der(der)
        .ok()
        .filter(|(rest, _)| rest.is_empty())
        .map(|(_, certificate)| certificate)
}

/// The subject public key info, which a key and its certificate share.
pub(crate) fn public_key(der: &[u8]) -> Option<Vec<u8>> {
    Some(parse(der)?.public_key().raw.to_vec())
}

/// SHA-256 of the bytes, upper-case hexadecimal with colons, as `openssl` and `keytool` show it.
pub(crate) fn fingerprint(der: &[u8]) -> String {
    with_colons(digest::digest(&digest::SHA256, der).as_ref())
}

/// A fingerprint as someone typed it, in the form of [`fingerprint`]; `None` when it cannot be one.
pub(crate) fn normal_fingerprint(text: &str) -> Option<String> {
    let text = text.trim();
    let text = text.rsplit_once('=').map_or(text, |(_, digits)| digits);
    let lower = text.to_ascii_lowercase();
    let digits = lower.strip_prefix("sha256:").unwrap_or(&lower);
    let digits: String = digits.chars().filter(|c| !matches!(c, ':' | ' ' | '-')).collect();
    if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let upper = digits.to_ascii_uppercase();
    let pairs: Vec<&str> = (0..64).step_by(2).map(|at| &upper[at..at + 2]).collect();
    Some(pairs.join(":"))
}

/// Whole days from `now` to `then`, rounded down.
pub(crate) fn days_between(now: Timestamp, then: Timestamp) -> i64 {
    then.as_second().saturating_sub(now.as_second()).div_euclid(SECONDS_PER_DAY)
}

fn with_colons(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

fn alternative_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    extension.value.general_names.iter().map(general_name).collect()
}

fn general_name(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(host) => format!("DNS:{host}"),
        GeneralName::IPAddress(bytes) => match (<[u8; 4]>::try_from(*bytes), <[u8; 16]>::try_from(*bytes)) {
            (Ok(bytes), _) => format!("IP:{}", Ipv4Addr::from(bytes)),
            (_, Ok(bytes)) => format!("IP:{}", Ipv6Addr::from(bytes)),
            _ => format!("IP:invalid({})", with_colons(bytes)),
        },
        GeneralName::RFC822Name(address) => format!("email:{address}"),
        GeneralName::URI(uri) => format!("URI:{uri}"),
        GeneralName::DirectoryName(name) => format!("directory:{name}"),
        other => format!("other:{other:?}"),
    }
}

fn key_info(certificate: &X509Certificate<'_>) -> KeyInfo {
    let public_key = certificate.public_key();
    let info = |kind: &str, bits: usize| KeyInfo {
        kind: kind.to_owned(),
        bits: u32::try_from(bits).unwrap_or(u32::MAX),
    };
    let algorithm = public_key.algorithm.algorithm.to_id_string();
    match algorithm.as_str() {
        "1.3.101.112" => return info("Ed25519", 256),
        "1.3.101.113" => return info("Ed448", 456),
        "1.2.840.10045.2.1" => {
            let curve = public_key.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
            match curve.map(|oid| oid.to_id_string()).as_deref() {
                Some("1.2.840.10045.3.1.7") => return info("EC P-256", 256),
                Some("1.3.132.0.34") => return info("EC P-384", 384),
                Some("1.3.132.0.35") => return info("EC P-521", 521),
                _ => {}
            }
        }
        _ => {}
    }
    match public_key.parsed() {
        Ok(PublicKey::RSA(key)) => info("RSA", rsa_bits(key.modulus)),
        Ok(PublicKey::EC(point)) => info("EC", point.key_size()),
        Ok(PublicKey::DSA(_)) => info("DSA", 0),
        _ => info(&algorithm, 0),
    }
}

/// Bits of a modulus without its leading zeros.
fn rsa_bits(modulus: &[u8]) -> usize {
    let significant = modulus.iter().skip_while(|byte| **byte == 0).count();
    let first = modulus.iter().find(|byte| **byte != 0).map_or(0, |byte| byte.leading_zeros() as usize);
    (significant * 8).saturating_sub(first)
}

fn signature_name(algorithm: &Oid<'_>) -> String {
    let oid = algorithm.to_id_string();
    let name = match oid.as_str() {
        "1.2.840.113549.1.1.2" => "md2WithRSA",
        "1.2.840.113549.1.1.4" => "md5WithRSA",
        "1.2.840.113549.1.1.5" | "1.3.14.3.2.29" => "sha1WithRSA",
        "1.2.840.113549.1.1.10" => "RSA-PSS",
        "1.2.840.113549.1.1.11" => "sha256WithRSA",
        "1.2.840.113549.1.1.12" => "sha384WithRSA",
        "1.2.840.113549.1.1.13" => "sha512WithRSA",
        "1.2.840.10045.4.1" => "ecdsa-with-SHA1",
        "1.2.840.10045.4.3.2" => "ecdsa-with-SHA256",
        "1.2.840.10045.4.3.3" => "ecdsa-with-SHA384",
        "1.2.840.10045.4.3.4" => "ecdsa-with-SHA512",
        "1.2.840.10040.4.3" => "dsa-with-SHA1",
        "1.3.101.112" => "Ed25519",
        "1.3.101.113" => "Ed448",
        _ => return oid,
    };
    name.to_owned()
}

fn key_usages(usage: &KeyUsage) -> Vec<String> {
    let all = [
        (usage.digital_signature(), "digitalSignature"),
        (usage.non_repudiation(), "nonRepudiation"),
        (usage.key_encipherment(), "keyEncipherment"),
        (usage.data_encipherment(), "dataEncipherment"),
        (usage.key_agreement(), "keyAgreement"),
        (usage.key_cert_sign(), "keyCertSign"),
        (usage.crl_sign(), "cRLSign"),
    ];
    all.into_iter().filter(|(is_set, _)| *is_set).map(|(_, name)| name.to_owned()).collect()
}

fn extended_key_usages(usage: &ExtendedKeyUsage<'_>) -> Vec<String> {
    let known = [
        (usage.any, "any"),
        (usage.server_auth, "serverAuth"),
        (usage.client_auth, "clientAuth"),
        (usage.code_signing, "codeSigning"),
        (usage.email_protection, "emailProtection"),
        (usage.time_stamping, "timeStamping"),
        (usage.ocsp_signing, "OCSPSigning"),
    ];
    let known = known.into_iter().filter(|(is_set, _)| *is_set).map(|(_, name)| name.to_owned());
    known.chain(usage.other.iter().map(Oid::to_id_string)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprint_in_any_common_spelling_is_the_same() {
        let expected = fingerprint(b"x");
        let plain = expected.replace(':', "");
        for text in [
            expected.clone(),
            plain.to_lowercase(),
            format!("sha256:{plain}"),
            format!("SHA256 Fingerprint={expected}"),
            format!(" {} ", expected.to_lowercase()),
        ] {
            assert_eq!(normal_fingerprint(&text).as_deref(), Some(expected.as_str()), "{text}");
        }
        for text in ["", "AA:BB", &plain[1..], &format!("{}g", &plain[1..])] {
            assert_eq!(normal_fingerprint(text), None, "{text}");
        }
    }

    #[test]
    fn days_left_are_rounded_down_on_both_sides_of_now() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(days_between(at(0), at(SECONDS_PER_DAY * 2 - 1)), 1);
        assert_eq!(days_between(at(1), at(0)), -1);
    }

    #[test]
    fn modulus_with_leading_zero_counts_its_real_bits() {
        assert_eq!(rsa_bits(&[0, 0x80, 0]), 16);
        assert_eq!(rsa_bits(&[]), 0);
    }
}

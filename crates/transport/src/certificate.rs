//! Reading certificates: who they name, when they end, what their digest is.

use aws_lc_rs::digest;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use x509_parser::prelude::{FromDer, X509Certificate};

/// A PEM text that holds no usable certificate.
#[derive(Debug, thiserror::Error)]
#[error("{what} is not a certificate in PEM form")]
pub(crate) struct NotACertificate {
    what: &'static str,
}

/// The first certificate of a PEM text; `what` names it in the error.
pub(crate) fn first_of_pem(
    pem: &str,
    what: &'static str,
) -> Result<CertificateDer<'static>, NotACertificate> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| NotACertificate { what })?;
    parse(&der).ok_or(NotACertificate { what })?;
    Ok(der)
}

/// SHA-256 of the certificate in lowercase hexadecimal, as `openssl x509 -fingerprint -sha256` shows it
/// without colons.
pub(crate) fn fingerprint(der: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, der).as_ref())
}

/// The common name, when the certificate has exactly one.
pub(crate) fn common_name(der: &[u8]) -> Option<String> {
    let certificate = parse(der)?;
    let mut names = certificate.subject().iter_common_name();
    let name = names.next()?.as_str().ok()?.to_owned();
    names.next().is_none().then_some(name)
}

/// The last moment at which the certificate is valid.
pub(crate) fn expires(der: &[u8]) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_second(parse(der)?.validity().not_after.timestamp()).ok()
}

/// The subject public key info, the part that a key, a signing request and a certificate share.
pub(crate) fn public_key(der: &[u8]) -> Option<Vec<u8>> {
    Some(parse(der)?.public_key().raw.to_vec())
}

/// The public key itself, as a signature is checked with it.
pub(crate) fn public_point(der: &[u8]) -> Option<Vec<u8>> {
    Some(parse(der)?.public_key().subject_public_key.data.to_vec())
}

fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
    X509Certificate::from_der(der).ok().map(|(_, certificate)| certificate)
}

/// Lowercase hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}

/// Bytes from hexadecimal of either case.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_that_is_not_hexadecimal_gives_nothing() {
        for text in ["a", "0g", "+1", " 1", "é"] {
            assert_eq!(unhex(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn bytes_in_hexadecimal_come_back(bytes: Vec<u8>) {
            prop_assert_eq!(unhex(&hex(&bytes)), Some(bytes.clone()));
            prop_assert_eq!(unhex(&hex(&bytes).to_uppercase()), Some(bytes));
        }
    }
}

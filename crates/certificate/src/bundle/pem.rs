//! PEM text.

use std::path::Path;

use rustls_pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer,
    pem::{PemObject, SectionKind},
};
use x509_parser::nom::AsBytes;
use zeroize::Zeroizing;

use super::{Bundle, BundleError, KeyEntry, display_name};
use crate::{chain, info, key};

const LINE_CHARACTERS: usize = 64;
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(super) fn parse(text: &[u8], path: &Path) -> Result<Bundle, BundleError> {
    let damaged = |what: String| BundleError::Damaged { path: path.to_owned(), what };
    if text.windows(27).any(|window| window == b"BEGIN ENCRYPTED PRIVATE KEY")
        || text.windows(22).any(|window| window == b"Proc-Type: 4,ENCRYPTED")
    {
        return Err(BundleError::Unsupported {
            path: path.to_owned(),
            what: "its key is encrypted; give a PKCS12 store, or take the encryption off with `openssl pkey`"
                .to_owned(),
        });
    }
    let mut keys = Vec::new();
    let mut certificates: Vec<CertificateDer<'static>> = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text) {
        let (kind, der) = section.map_err(|error| damaged(error.to_string()))?;
        if kind == SectionKind::Certificate {
            info::parse(&der).ok_or_else(|| damaged("a certificate in it cannot be read".to_owned()))?;
            certificates.push(der.into());
        } else if let Some(key) = PrivateKeyDer::from_pem(kind, der) {
            keys.push(key::to_pkcs8(&key).map_err(|error| damaged(error.to_string()))?);
        }
    }
    assemble(keys, certificates, path)
}

fn assemble(
    keys: Vec<PrivatePkcs8KeyDer<'static>>,
    mut certificates: Vec<CertificateDer<'static>>,
    path: &Path,
) -> Result<Bundle, BundleError> {
    if certificates.is_empty() && keys.is_empty() {
        return Err(BundleError::Empty { path: path.to_owned() });
    }
    let mut bundle = Bundle::default();
    let mut used = Vec::new();
    for key in keys {
        let alone = || BundleError::KeyAlone { path: path.to_owned(), alias: "(PEM)".to_owned() };
        let public = key::public_key_of(&key).ok_or_else(alone)?;
        let own = certificates.iter().find(|der| info::public_key(der).as_ref() == Some(&public));
        let chain = chain::from(own.ok_or_else(alone)?, &certificates);
        used.extend(chain.iter().cloned());
        bundle.add_key(KeyEntry { alias: display_name(&chain[0]), key, chain });
    }
    certificates.retain(|certificate| !used.contains(certificate));
    for certificate in certificates {
        bundle.add_trusted(&display_name(&certificate), certificate);
    }
    Ok(bundle)
}

pub(super) fn write_key(key: &PrivatePkcs8KeyDer<'_>) -> Zeroizing<String> {
    section("PRIVATE KEY", key.secret_pkcs8_der())
}

pub(super) fn write_certificate(certificate: &CertificateDer<'_>) -> String {
    section("CERTIFICATE", certificate.as_bytes()).to_string()
}

fn section(label: &str, der: &[u8]) -> Zeroizing<String> {
    // The final size at once: a growing string would leave copies of a key behind.
    let mut text = Zeroizing::new(String::with_capacity(der.len() * 3 / 2 + 2 * label.len() + 64));
    text.extend(["-----BEGIN ", label, "-----\n"]);
    for (position, group) in der.chunks(3).enumerate() {
        if position > 0 && position.is_multiple_of(LINE_CHARACTERS / 4) {
            text.push('\n');
        }
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = (byte(0) << 16) | (byte(1) << 8) | byte(2);
        for sextet in 0..4 {
            let letter = BASE64[(bits >> (18 - 6 * sextet)) as usize & 63];
            text.push(if sextet > group.len() as u32 { '=' } else { char::from(letter) });
        }
    }
    text.extend(["\n-----END ", label, "-----\n"]);
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn written_section_is_read_back(der in proptest::collection::vec(any::<u8>(), 1..300)) {
            let text = section("CERTIFICATE", &der);
            prop_assert!(text.lines().all(|line| line.len() <= LINE_CHARACTERS));
            let read = CertificateDer::from_pem_slice(text.as_bytes()).unwrap();
            prop_assert_eq!(read.as_ref(), der.as_slice());
        }
    }

    #[test]
    fn text_without_any_section_is_refused() {
        let error = parse(b"-----BEGIN NOTHING", Path::new("/x.pem")).unwrap_err();
        assert!(error.to_string().contains("/x.pem"), "{error}");
    }

    #[test]
    fn encrypted_key_is_named_as_such() {
        let text = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        let error = parse(text, Path::new("/x.pem")).unwrap_err();
        assert!(error.to_string().contains("encrypted"), "{error}");
    }
}

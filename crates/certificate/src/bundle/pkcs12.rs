//! PKCS12 stores, as Java and OpenSSL write and read them, the old algorithms included for reading.

use std::path::Path;

use p12_keystore::{
    Certificate, CertificateBag, KeyStore, KeyStoreEntry, Pkcs12Archive, PrivateKey, PrivateKeyBag,
    PrivateKeyChain, error::Error,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::{Bundle, BundleError, Entry, KeyEntry, display_name};
use crate::{Secret, chain, info, key};

pub(super) fn parse(bytes: &[u8], path: &Path, password: Option<&Secret>) -> Result<Bundle, BundleError> {
    let text = password.map_or("", Secret::expose);
    let archive =
        Pkcs12Archive::from_pkcs12(bytes, text).map_err(|error| refusal(&error, path, password.is_some()))?;
    let mut bundle = Bundle::default();
    let pool: Vec<CertificateDer<'static>> =
        archive.certs.iter().map(|bag| CertificateDer::from(bag.cert.as_der().to_vec())).collect();
    let mut used = Vec::new();
    for bag in &archive.keys {
        let entry = key_entry(bag, &archive.certs, &pool, path)?;
        used.extend(entry.chain.iter().cloned());
        bundle.add_key(entry);
    }
    for (bag, certificate) in archive.certs.iter().zip(pool) {
        if bag.trusted || !used.contains(&certificate) {
            let alias = bag.friendly_name.clone().unwrap_or_else(|| display_name(&certificate));
            bundle.add_trusted(&alias, certificate);
        }
    }
    if bundle.entries().is_empty() {
        return Err(BundleError::Empty { path: path.to_owned() });
    }
    Ok(bundle)
}

fn key_entry(
    bag: &PrivateKeyBag,
    bags: &[CertificateBag],
    pool: &[CertificateDer<'static>],
    path: &Path,
) -> Result<KeyEntry, BundleError> {
    let alias = bag.friendly_name.clone().unwrap_or_default();
    let unusable = |what: String| BundleError::Damaged { path: path.to_owned(), what };
    let key = key::to_pkcs8(&PrivateKeyDer::Pkcs8(bag.key.as_der().to_vec().into()))
        .map_err(|error| unusable(format!("key '{alias}': {error}")))?;
    let public = key::public_key_of(&key);
    let is_own = |der: &CertificateDer<'_>| public.is_some() && info::public_key(der) == public;
    // Two certificates of one key, an old and a new one: the store's own link decides.
    let is_linked = |cert: &CertificateBag| {
        cert.local_key_id.is_some()
            && cert.local_key_id.as_deref() == bag.local_key_id.as_ref().map(AsRef::as_ref)
    };
    let linked = bags.iter().zip(pool).find(|(cert, der)| is_linked(cert) && is_own(der));
    let own = linked.map(|(_, der)| der).or_else(|| pool.iter().find(|der| is_own(der)));
    let own = own.ok_or_else(|| BundleError::KeyAlone { path: path.to_owned(), alias: alias.clone() })?;
    let alias = if alias.is_empty() { display_name(own) } else { alias };
    Ok(KeyEntry { alias, key, chain: chain::from(own, pool) })
}

fn refusal(error: &Error, path: &Path, has_password: bool) -> BundleError {
    let path = path.to_owned();
    let unsupported = |what: &str| BundleError::Unsupported {
        path: path.clone(),
        what: format!("{what}; write the store again with `openssl pkcs12` or `keytool -importkeystore`"),
    };
    match error {
        // Without a MAC a wrong password shows only in the padding.
        Error::MacError(_) | Error::UnpadError | Error::Pkcs5Error(_) if has_password => {
            BundleError::Password { path }
        }
        Error::MacError(_) | Error::UnpadError | Error::Pkcs5Error(_) => {
            BundleError::PasswordMissing { path }
        }
        Error::UnsupportedEncryptionScheme => unsupported("it is encrypted in a way that is not read here"),
        Error::UnsupportedMacAlgorithm => unsupported("its checksum is of a kind that is not read here"),
        Error::UnsupportedContentType => unsupported("it is signed or sealed for a public key"),
        Error::InvalidParameters => unsupported("it asks for more work to open it than is allowed"),
        error => BundleError::Damaged { path, what: format!("it is no PKCS12 store ({error})") },
    }
}

pub(super) fn write(bundle: &Bundle, password: &Secret) -> Result<Zeroizing<Vec<u8>>, BundleError> {
    let failed = |error: Error| BundleError::Write { what: error.to_string() };
    let mut store = KeyStore::new();
    for entry in bundle.entries() {
        match entry {
            Entry::Trusted(trusted) => {
                let certificate = Certificate::from_der(&trusted.certificate).map_err(failed)?;
                store.add_entry(&trusted.alias, KeyStoreEntry::Certificate(certificate));
            }
            Entry::Key(entry) => {
                let chain =
                    entry.chain.iter().map(|der| Certificate::from_der(der)).collect::<Result<Vec<_>, _>>();
                let key = PrivateKey::from_der(entry.key.secret_pkcs8_der()).map_err(failed)?;
                // What links key and certificate must differ between the entries of one store.
                let id = info::fingerprint(entry.certificate());
                let chain = PrivateKeyChain::new(id, key, chain.map_err(failed)?);
                store.add_entry(&entry.alias, KeyStoreEntry::PrivateKeyChain(chain));
            }
        }
    }
    store.writer(password.expose()).write().map(Zeroizing::new).map_err(failed)
}

//! What is there before anything is decided.

use std::{collections::BTreeSet, fs, path::PathBuf};

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;

use super::{ImportRequest, SetupError, SetupRequest};
use crate::{
    Bundle, BundleError, KeyEntry, Layout, Password, RuntimeCertificate, Secret, bundle::display_name, chain,
    info, issue::Identity,
};

/// File in the directory of an authority: its own certificate signed by the authority before it, and that one's.
pub(crate) const BRIDGE_FILE: &str = "bridge.cer";

/// The state of a key store directory and of the files to import.
#[derive(Debug)]
pub struct Observed {
    pub(super) layout: Layout,
    pub(super) has_leaf: bool,
    /// Names in the key store directory.
    pub(super) siblings: BTreeSet<String>,
    pub(super) authority: AuthorityState,
    pub(super) import: Option<KeyEntry>,
    /// Certificates that came with the import or are to be trusted besides, each with the file it came from.
    pub(super) further: Vec<(PathBuf, CertificateDer<'static>)>,
}

impl Observed {
    /// Returns what an instance is to be configured with to use the certificate that is there.
    ///
    /// Nothing when there is none with both stores, as one that somebody else put there.
    #[must_use]
    pub fn certificate_in_place(&self) -> Option<RuntimeCertificate> {
        let layout = &self.layout;
        let is_there = |file: &String| layout.leaf(file).is_file();
        if ![layout.keystore(), layout.truststore(), layout.password()].iter().all(is_there) {
            return None;
        }
        let further = (1..).map(Layout::further_authority).take_while(is_there);
        let authorities = [layout.ca_pem()].into_iter().filter(is_there).chain(further).collect();
        Some(super::runtime_certificate(layout, authorities))
    }
}

/// The authority in a key store directory.
#[derive(Debug)]
pub enum AuthorityState {
    /// There is none.
    Missing,
    /// It can sign.
    Usable(Box<UsableAuthority>),
    /// It is there but cannot be used.
    Unusable {
        /// Why.
        why: String,
    },
}

/// An authority that can sign.
#[derive(Debug)]
pub struct UsableAuthority {
    pub(crate) identity: Identity,
    pub(crate) password: Secret,
    /// The bridge from the authority before this one, while that one is valid, and that one.
    pub(crate) bridge: Vec<CertificateDer<'static>>,
}

impl AuthorityState {
    /// Opens the authority in its directory, with the password given or the one kept beside it.
    pub(crate) fn open(layout: &Layout, password: Option<&Secret>, now: Timestamp) -> Self {
        if layout.ca_dir().symlink_metadata().is_err() {
            return Self::Missing;
        }
        let unusable = |why: &dyn std::error::Error| {
            let cause = why.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            Self::Unusable { why: format!("cannot {why}{cause}") }
        };
        let password = match password.filter(|secret| !secret.is_published()) {
            Some(password) => password.clone(),
            None => match Password::File(layout.ca(&layout.ca_password())).resolve() {
                Ok(password) => password,
                Err(error) => return unusable(&error),
            },
        };
        let store = layout.ca(&layout.ca_keystore());
        let entry =
            Bundle::read(&store, Some(&password)).and_then(|bundle| bundle.key(None, &store).cloned());
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => return unusable(&error),
        };
        if !info::parse(entry.certificate()).is_some_and(|parsed| parsed.is_ca()) {
            return Self::Unusable { why: "its certificate is not that of an authority".to_owned() };
        }
        let bridge = Bundle::read(&layout.ca(BRIDGE_FILE), None).map(|bundle| bundle.certificates());
        // A bridge to an authority that has expired leads nowhere.
        let is_live = |der: &CertificateDer<'_>| {
            info::parse(der).is_some_and(|parsed| parsed.validity().not_after.timestamp() > now.as_second())
        };
        let bridge = bridge.ok().filter(|bridge| bridge.iter().all(is_live));
        let identity = Identity { certificate: entry.certificate().clone(), key: entry.key.clone_key() };
        Self::Usable(Box::new(UsableAuthority { identity, password, bridge: bridge.unwrap_or_default() }))
    }
}

/// Looks at the key store directory and reads what is to be imported.
pub fn observe(request: &SetupRequest, now: Timestamp) -> Result<Observed, SetupError> {
    let layout = Layout::new(&request.directory, &request.name, &request.ca_alias)
        .ok_or_else(|| SetupError::Name { name: request.name.clone(), ca_alias: request.ca_alias.clone() })?;
    let mut further = Vec::new();
    let import = match &request.import {
        Some(import) => Some(read_import(import, &mut further)?),
        None => None,
    };
    for path in &request.authorities {
        further.extend(read_authorities(path)?.into_iter().map(|certificate| (path.clone(), certificate)));
    }
    let siblings = fs::read_dir(&request.directory)
        .map(|entries| {
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
        })
        .unwrap_or_default();
    Ok(Observed {
        has_leaf: layout.leaf_dir().symlink_metadata().is_ok(),
        authority: AuthorityState::open(&layout, request.ca_password.as_ref(), now),
        layout,
        siblings,
        import,
        further,
    })
}

fn read_import(
    import: &ImportRequest,
    further: &mut Vec<(PathBuf, CertificateDer<'static>)>,
) -> Result<KeyEntry, SetupError> {
    let path = &import.keystore;
    let bundle = match &import.key {
        Some(key) => Bundle::read_pem_files(&[path, key])?,
        None => Bundle::read(path, import.password.as_ref())?,
    };
    let entry = bundle.key(import.alias.as_deref(), path)?.clone();
    further.extend(
        bundle
            .trusted()
            .filter(|trusted| chain::is_authority(&trusted.certificate))
            .map(|trusted| (path.clone(), trusted.certificate.clone())),
    );
    Ok(entry)
}

/// The authorities in a file.
pub(crate) fn read_authorities(path: &std::path::Path) -> Result<Vec<CertificateDer<'static>>, SetupError> {
    let certificates = Bundle::read(path, None)?.certificates();
    if certificates.is_empty() {
        return Err(BundleError::Empty { path: path.to_owned() }.into());
    }
    for certificate in &certificates {
        if !chain::is_authority(certificate) {
            let subject = display_name(certificate);
            return Err(SetupError::NotAnAuthority { path: path.to_owned(), subject });
        }
    }
    Ok(certificates)
}

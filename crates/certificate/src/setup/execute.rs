//! Doing what was decided.

use std::path::PathBuf;

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{
    Plan, SetupError,
    plan::{AuthoritySource, Source, Work},
};
use crate::{
    Bundle, BundleError, CertificateInfo, KeyEntry, Layout, Owner, RuntimeCertificate, Secret,
    bundle::certificate_pem,
    directory::{Modes, Staged},
    issue::{self, Identity},
};

/// What was done.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The new value of `zowe.certificate`.
    pub certificate: RuntimeCertificate,
    /// What the certificate says.
    pub leaf: Option<CertificateInfo>,
    /// What the authority's certificate says, when it is an own one.
    pub authority: Option<CertificateInfo>,
    /// Where what was there before is kept.
    pub backups: Vec<PathBuf>,
}

/// Carries a plan out.
///
/// The authority is written before the certificate: a kill in between leaves an authority that the next run
/// signs with, and the certificate that was there before, which its own directory makes complete.
pub fn execute(plan: &Plan) -> Result<Outcome, SetupError> {
    let now = Timestamp::now();
    let work = &plan.work;
    let mut backups = Vec::new();
    let (entry, own, authority) = match &work.source {
        Source::Imported(entry) => (entry.clone(), Vec::new(), None),
        Source::Issued { authority, leaf } => {
            let made;
            let (ca, bridge): (&Identity, &[CertificateDer<'static>]) = match authority {
                AuthoritySource::Existing(usable) => (&usable.identity, &usable.bridge),
                AuthoritySource::New(new) => {
                    made = issue::authority(&new.subject, new.key_type, new.validity)?;
                    put_authority(work, &made, &new.password, new.backup.as_deref())?;
                    backups.extend(new.backup.clone());
                    (&made, &[])
                }
            };
            let identity = issue::leaf(leaf, ca)?;
            let described = CertificateInfo::of_der(&ca.certificate, now);
            (entry_of(&identity, ca, bridge, work.layout.name()), trusted_own(ca, bridge), described)
        }
    };
    let has_own_authority = !own.is_empty();
    LeafDirectory {
        layout: &work.layout,
        entry: &entry,
        trusted: own.into_iter().chain(work.further.iter().cloned()).collect(),
        has_own_authority,
        password: &work.password,
        modes: work.modes,
        owner: work.owner,
    }
    .stage()?
    .put(work.leaf_backup.as_deref())?;
    backups.extend(work.leaf_backup.clone());
    Ok(Outcome {
        certificate: plan.certificate.clone(),
        leaf: CertificateInfo::of_der(entry.certificate(), now),
        authority,
        backups,
    })
}

/// The chain by way of the bridge while there is one, so that who trusts the old authority alone is content.
pub(crate) fn entry_of(
    identity: &Identity,
    ca: &Identity,
    bridge: &[CertificateDer<'static>],
    alias: &str,
) -> KeyEntry {
    let mut chain = vec![identity.certificate.clone()];
    if bridge.is_empty() {
        chain.push(ca.certificate.clone());
    } else {
        chain.extend(bridge.iter().cloned());
    }
    KeyEntry { alias: alias.to_owned(), key: identity.key.clone_key(), chain }
}

/// The own authority and, while there is a bridge, the one before it.
pub(crate) fn trusted_own(ca: &Identity, bridge: &[CertificateDer<'static>]) -> Vec<CertificateDer<'static>> {
    std::iter::once(&ca.certificate).chain(bridge.iter().skip(1)).cloned().collect()
}

fn put_authority(
    work: &Work,
    ca: &Identity,
    password: &Secret,
    backup: Option<&std::path::Path>,
) -> Result<(), SetupError> {
    let staged = authority_directory(&work.layout, ca, password, work.ca_modes, Owner::default())?;
    Ok(staged.put(backup)?)
}

/// The files of an authority. It is never given away: servers need its certificate only.
pub(crate) fn authority_directory(
    layout: &Layout,
    ca: &Identity,
    password: &Secret,
    modes: Modes,
    owner: Owner,
) -> Result<Staged, BundleError> {
    let mut store = Bundle::default();
    store.add_key(KeyEntry {
        alias: layout.ca_alias().to_owned(),
        key: ca.key.clone_key(),
        chain: vec![ca.certificate.clone()],
    });
    let mut staged = Staged { path: layout.ca_dir(), mode: modes.directory, owner, files: Vec::new() };
    staged.set(layout.ca_keystore(), modes.secret, store.to_pkcs12(password)?);
    staged.set(layout.ca_password(), modes.secret, line_of(password));
    staged.set(layout.ca_pem(), modes.public, certificate_pem(&ca.certificate).into_bytes());
    Ok(staged)
}

/// The files of a certificate.
pub(crate) struct LeafDirectory<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) entry: &'a KeyEntry,
    /// The own authority first, when there is one.
    pub(crate) trusted: Vec<CertificateDer<'static>>,
    pub(crate) has_own_authority: bool,
    pub(crate) password: &'a Secret,
    pub(crate) modes: Modes,
    pub(crate) owner: Owner,
}

impl LeafDirectory<'_> {
    /// Puts the directory together in memory.
    pub(crate) fn stage(&self) -> Result<Staged, BundleError> {
        let (layout, modes) = (self.layout, self.modes);
        let mut keys = Bundle::default();
        keys.add_key(self.entry.clone());
        let mut trust = Bundle::default();
        let mut pem_files = Vec::new();
        for (position, certificate) in self.trusted.iter().enumerate() {
            let number = position + usize::from(!self.has_own_authority);
            let (alias, file) = match number {
                0 => (layout.ca_alias().to_owned(), layout.ca_pem()),
                number => (format!("extca.{number}"), Layout::further_authority(number)),
            };
            trust.add_trusted(&alias, certificate.clone());
            pem_files.push((file, certificate_pem(certificate)));
        }
        let mut staged =
            Staged { path: layout.leaf_dir(), mode: modes.directory, owner: self.owner, files: Vec::new() };
        staged.set(layout.keystore(), modes.secret, keys.to_pkcs12(self.password)?);
        staged.set(layout.truststore(), modes.secret, trust.to_pkcs12(self.password)?);
        staged.set(layout.password(), modes.secret, line_of(self.password));
        let key = Zeroizing::new(self.entry.key_pem().as_bytes().to_vec());
        staged.set(layout.key_pem(), modes.secret, key);
        staged.set(layout.certificate_pem(), modes.public, self.entry.chain_pem().into_bytes());
        for (file, text) in pem_files {
            staged.set(file, modes.public, text.into_bytes());
        }
        Ok(staged)
    }
}

fn line_of(password: &Secret) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(format!("{}\n", password.expose()).into_bytes())
}

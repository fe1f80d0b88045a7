//! Adding certificates to a trust store.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use serde::Serialize;

use crate::{
    Bundle, BundleError, CertificateInfo, DirectoryError, Layout, Secret,
    bundle::{certificate_pem, display_name},
    chain,
    directory::{self, Staged},
    setup::{backup_of, stamp},
};

/// A PKCS12 trust store.
#[derive(Debug, Clone)]
pub struct TrustStore {
    /// The file.
    pub file: PathBuf,
    /// Its password.
    pub password: Secret,
}

/// What became of certificates that were to be trusted.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Imported {
    /// Those that are trusted from now on.
    pub added: Vec<CertificateInfo>,
    /// Those that were trusted before.
    pub present: Vec<CertificateInfo>,
    /// PEM files that were written for them; add them to `pem.certificateAuthorities`.
    pub pem_files: Vec<PathBuf>,
    /// Where what was there before is kept.
    pub backup: Option<PathBuf>,
}

/// Why a trust store could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file holds something that is no authority.
    #[error("import certificate authorities from {}: '{subject}' is not one", path.display())]
    NotAnAuthority {
        /// The file.
        path: PathBuf,
        /// The certificate's subject.
        subject: String,
    },
    /// A store or certificate file could not be read.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The store could not be written.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

/// Adds the authorities in the files to the trust store.
pub fn import_authorities(
    store: &TrustStore,
    files: &[PathBuf],
    now: Timestamp,
) -> Result<Imported, TrustError> {
    let mut certificates = Vec::new();
    for file in files {
        for certificate in Bundle::read(file, None)?.certificates() {
            if !chain::is_authority(&certificate) {
                let subject = display_name(&certificate);
                return Err(TrustError::NotAnAuthority { path: file.clone(), subject });
            }
            certificates.push(certificate);
        }
    }
    import(store, certificates, now)
}

/// Adds certificates to the trust store, and beside it as PEM files when it is in a directory of ours.
pub(crate) fn import(
    store: &TrustStore,
    certificates: Vec<CertificateDer<'static>>,
    now: Timestamp,
) -> Result<Imported, TrustError> {
    let mut bundle = Bundle::read(&store.file, Some(&store.password))?;
    let mut imported = Imported::default();
    let mut new = Vec::new();
    for certificate in certificates {
        let described = CertificateInfo::of_der(&certificate, now);
        if bundle.trusted().any(|entry| entry.certificate == certificate) {
            imported.present.extend(described);
        } else {
            bundle.add_trusted(&display_name(&certificate).to_lowercase(), certificate.clone());
            imported.added.extend(described);
            new.push(certificate);
        }
    }
    if new.is_empty() {
        return Ok(imported);
    }
    let bytes = bundle.to_pkcs12(&store.password)?;
    match own_directory(&store.file) {
        Some(dir) => {
            let mut staged = Staged::of_existing(dir)?;
            let secret = file_mode(&store.file)?;
            staged.set(file_name(&store.file), secret, bytes);
            for certificate in &new {
                let number = (1..)
                    .find(|number| {
                        !staged.files.iter().any(|file| file.name == Layout::further_authority(*number))
                    })
                    .expect("numbers do not end");
                let name = Layout::further_authority(number);
                imported.pem_files.push(dir.join(&name));
                // Certificates are as public as those that are there.
                staged.set(name, secret | 0o444 & staged.mode, certificate_pem(certificate).into_bytes());
            }
            let parent = dir.parent().unwrap_or(Path::new("/"));
            let entries = fs::read_dir(parent).into_iter().flatten().flatten();
            let siblings = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
            let backup = backup_of(dir, &siblings, now);
            staged.put(Some(&backup))?;
            imported.backup = Some(backup);
        }
        None => {
            let name = format!("{}.backup-{}", file_name(&store.file), stamp(now));
            let backup = store.file.with_file_name(name);
            directory::write_file(&store.file, file_mode(&store.file)?, &bytes, Some(&backup))?;
            imported.backup = Some(backup);
        }
    }
    Ok(imported)
}

/// The directory of the store when it is laid out as ours: then all of it is ours to replace.
fn own_directory(file: &Path) -> Option<&Path> {
    let dir = file.parent()?;
    let name = dir.file_name()?.to_str()?;
    (file_name(file) == format!("{name}.truststore.p12") && dir.join(format!("{name}.keystore.p12")).exists())
        .then_some(dir)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn file_mode(path: &Path) -> Result<u32, DirectoryError> {
    fs::metadata(path).map(|metadata| metadata.mode() & 0o777).map_err(|source| DirectoryError::Io {
        step: "look at",
        path: path.to_owned(),
        source,
    })
}

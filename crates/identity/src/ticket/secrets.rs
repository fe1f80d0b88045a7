//! The secrets of the applications.

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::hmac;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::TicketError;
use crate::base64url;
use crate::name::ApplicationName;
use crate::random;
use crate::vault::{Stamp, Vault, VaultError};

/// The file that keeps them.
const FILE: &str = "tickets.json";
/// The format that this version writes.
const FORMAT: u32 = 1;
/// Bytes of a secret.
const SECRET_BYTES: usize = 32;
/// Applications that may have one.
const APPLICATIONS_MAX: usize = 1024;

/// The secret of one application.
#[derive(Clone)]
struct Secret {
    bytes: Zeroizing<[u8; SECRET_BYTES]>,
    key: hmac::Key,
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

impl Secret {
    fn of(bytes: Zeroizing<[u8; SECRET_BYTES]>) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &*bytes);
        Self { bytes, key }
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = Zeroizing::new(base64url::encode(&*self.bytes));
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer).map(Zeroizing::new)?;
        let bytes = base64url::decode(&text).map(Zeroizing::new);
        let bytes: Option<[u8; SECRET_BYTES]> = bytes.and_then(|bytes| bytes.as_slice().try_into().ok());
        // Says nothing of what it found.
        let bytes = bytes.ok_or_else(|| serde::de::Error::custom("a secret is not 32 bytes"))?;
        Ok(Self::of(Zeroizing::new(bytes)))
    }
}

/// One application as the file has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    created_s: u64,
    secret: Secret,
}

/// The whole file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretFile {
    format: u32,
    applications: BTreeMap<ApplicationName, Entry>,
}

/// The secrets of all applications.
#[derive(Debug)]
pub(super) struct Secrets {
    stamp: Option<Stamp>,
    applications: BTreeMap<ApplicationName, Entry>,
}

impl Secrets {
    pub(super) fn open(vault: &Vault) -> Result<Self, VaultError> {
        let mut secrets = Self { stamp: None, applications: BTreeMap::new() };
        secrets.refresh(vault)?;
        Ok(secrets)
    }

    /// Reads the secrets again if another process has changed them.
    pub(super) fn refresh(&mut self, vault: &Vault) -> Result<(), VaultError> {
        let stamp = vault.stamp(FILE)?;
        if stamp.is_none() || stamp == self.stamp { Ok(()) } else { self.read(vault) }
    }

    fn read(&mut self, vault: &Vault) -> Result<(), VaultError> {
        let Some((bytes, stamp)) = vault.read(FILE)? else { return Ok(()) };
        let malformed = |what: String| VaultError::Malformed { path: vault.path_of(FILE), what };
        let place = |error: serde_json::Error| format!("line {}, column {}", error.line(), error.column());
        let file: SecretFile = serde_json::from_slice(&bytes).map_err(|error| malformed(place(error)))?;
        if file.format != FORMAT {
            return Err(malformed(format!("it has format {}, this version knows {FORMAT}", file.format)));
        }
        *self = Self { stamp: Some(stamp), applications: file.applications };
        Ok(())
    }

    /// Changes the file under the lock; nothing changes in memory when that fails.
    fn change<T>(
        &mut self,
        vault: &Vault,
        change: impl FnOnce(&mut BTreeMap<ApplicationName, Entry>) -> Result<Option<T>, TicketError>,
    ) -> Result<Option<T>, TicketError> {
        let lock = vault.lock()?;
        self.read(vault)?;
        let mut applications = self.applications.clone();
        let Some(result) = change(&mut applications)? else { return Ok(None) };
        let file = SecretFile { format: FORMAT, applications };
        let mut bytes = Zeroizing::new(Vec::with_capacity(256 + 256 * file.applications.len()));
        serde_json::to_writer(&mut *bytes, &file).expect("plain fields become JSON");
        bytes.push(b'\n');
        let stamp = vault.write(&lock, FILE, &bytes)?;
        *self = Self { stamp: Some(stamp), applications: file.applications };
        Ok(Some(result))
    }

    pub(super) fn define(
        &mut self,
        vault: &Vault,
        application: &ApplicationName,
        now_s: u64,
    ) -> Result<bool, TicketError> {
        let defined = self.change(vault, |applications| {
            if applications.contains_key(application) {
                return Ok(None);
            }
            if applications.len() >= APPLICATIONS_MAX {
                return Err(TicketError::TooManyApplications { max: APPLICATIONS_MAX });
            }
            applications.insert(application.clone(), entry(now_s)?);
            Ok(Some(()))
        })?;
        Ok(defined.is_some())
    }

    pub(super) fn renew(
        &mut self,
        vault: &Vault,
        application: &ApplicationName,
        now_s: u64,
    ) -> Result<(), TicketError> {
        let unknown = || TicketError::UnknownApplication { application: application.clone() };
        self.change(vault, |applications| {
            *applications.get_mut(application).ok_or_else(unknown)? = entry(now_s)?;
            Ok(Some(()))
        })?;
        Ok(())
    }

    pub(super) fn remove(
        &mut self,
        vault: &Vault,
        application: &ApplicationName,
    ) -> Result<bool, TicketError> {
        let removed = self.change(vault, |applications| Ok(applications.remove(application).map(drop)))?;
        Ok(removed.is_some())
    }

    pub(super) fn applications(&self) -> impl Iterator<Item = &ApplicationName> {
        self.applications.keys()
    }

    pub(super) fn key(&self, application: &ApplicationName) -> Option<&hmac::Key> {
        self.applications.get(application).map(|entry| &entry.secret.key)
    }
}

fn entry(created_s: u64) -> Result<Entry, TicketError> {
    let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
    random::fill(&mut *bytes)?;
    Ok(Entry { created_s, secret: Secret::of(bytes) })
}

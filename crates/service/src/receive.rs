//! Receiving envelopes: finding, checking and recording them. Receiving only adds; no level changes by it.

use std::path::{Path, PathBuf};

use tender_package::{FixId, Vrm};

use crate::envelope::{Envelope, EnvelopeError, Limits, VendorPublicKey, open};
use crate::error::{Refusal, ServiceError};
use crate::hold::ActiveHold;
use crate::principal::Principal;
use crate::shapes::{EnvelopeHeader, Fix, Hold};
use crate::tables::{fixes, holds};
use crate::verbs::Context;

/// An envelope named in a command.
#[derive(Debug)]
pub(crate) enum Named {
    /// A file whose header was checked.
    File { path: PathBuf, envelope: Box<Envelope>, is_signed: bool },
    /// One that was received before.
    Received { name: String, fixes: Vec<FixId> },
}

impl Named {
    /// Returns the fixes in it.
    pub(crate) fn fix_ids(&self) -> Vec<FixId> {
        match self {
            Self::File { envelope, .. } => envelope.header.fixes.iter().map(|fix| fix.id.clone()).collect(),
            Self::Received { fixes, .. } => fixes.clone(),
        }
    }

    /// Returns its name.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::File { envelope, .. } => &envelope.header.name,
            Self::Received { name, .. } => name,
        }
    }

    /// Returns its header, when it is a file.
    pub(crate) fn header(&self) -> Option<&EnvelopeHeader> {
        match self {
            Self::File { envelope, .. } => Some(&envelope.header),
            Self::Received { .. } => None,
        }
    }
}

/// Finds an envelope: as a file, with `.envelope` added, below `envelopes/`, or among those received before.
pub(crate) fn find(principal: &Principal, vrm: &Vrm, word: &Path) -> Result<Named, ServiceError> {
    let mut with_suffix = word.as_os_str().to_owned();
    with_suffix.push(".envelope");
    let with_suffix = PathBuf::from(with_suffix);
    let kept = principal.home().join("envelopes");
    let places = [word.to_owned(), with_suffix.clone(), kept.join(word), kept.join(&with_suffix)];
    if let Some(path) = places.into_iter().find(|path| path.is_file()) {
        return open_file(principal, vrm, path);
    }
    let name = word.to_string_lossy().to_ascii_uppercase();
    let ids = fixes::of_envelope(&principal.tables(), vrm, &name)?;
    if ids.is_empty() {
        return Err(ServiceError::Unknown {
            kind: "envelope",
            name: word.display().to_string(),
            hint: format!("give its file, or put it into {}", kept.display()),
        });
    }
    Ok(Named::Received { name, fixes: ids })
}

fn open_file(principal: &Principal, vrm: &Vrm, path: PathBuf) -> Result<Named, ServiceError> {
    let check = || {
        let envelope = open(&path, &Limits::default())?;
        if let Some(found) = envelope.header.vrm.clone().filter(|found| found != vrm) {
            return Err(EnvelopeError::OtherRelease { found });
        }
        Ok(envelope)
    };
    let wrap = |source| ServiceError::Envelope { path: path.clone(), source };
    let envelope = check().map_err(wrap)?;
    let is_signed = check_vendor(principal, &envelope)?.map_err(wrap)?;
    check_known(principal, vrm, &envelope)?.map_err(wrap)?;
    Ok(Named::File { path, envelope: Box::new(envelope), is_signed })
}

/// Checks the signature, or that the site said that the vendor does not sign; tells which.
fn check_vendor(
    principal: &Principal,
    envelope: &Envelope,
) -> Result<Result<bool, EnvelopeError>, ServiceError> {
    let vendor = || envelope.header.vendor.clone();
    let Some(row) = fixes::vendor(&principal.tables(), &envelope.header.vendor)? else {
        return Ok(Err(EnvelopeError::UnknownVendor { vendor: vendor() }));
    };
    let key = row.key.as_deref().and_then(VendorPublicKey::from_bytes);
    Ok(match key {
        Some(key) => envelope.verify_signature(&key).map(|()| true),
        None if row.is_unsigned => Ok(false),
        None => Err(EnvelopeError::NotSigned { vendor: vendor() }),
    })
}

/// Checks that names that were received before mean the same.
fn check_known(
    principal: &Principal,
    vrm: &Vrm,
    envelope: &Envelope,
) -> Result<Result<(), EnvelopeError>, ServiceError> {
    let tables = principal.tables();
    let header = &envelope.header;
    if let Some(known) = fixes::envelope(&tables, vrm, &header.name)?
        && known.digest != envelope.digest
    {
        return Ok(Err(EnvelopeError::NameTaken { name: header.name.clone() }));
    }
    for fix in &header.fixes {
        if fixes::find(&tables, vrm, &fix.id)?.is_some_and(|known| known.parts != fix.parts) {
            return Ok(Err(EnvelopeError::FixDiffers { fix: fix.id.clone() }));
        }
    }
    Ok(Ok(()))
}

/// Lists the holds that come with an envelope.
pub(crate) fn holds_of(header: &EnvelopeHeader) -> impl Iterator<Item = (&FixId, &Hold)> {
    let own = header.fixes.iter().flat_map(|fix| fix.holds.iter().map(move |hold| (&fix.id, hold)));
    own.chain(header.holds.iter().map(|(fix, hold)| (fix, hold)))
}

/// Takes the parts of an envelope into the store and its fixes and holds into the tables.
///
/// Returns the fixes for which a hold was new.
pub(crate) fn receive(
    principal: &Principal,
    context: &Context<'_>,
    vrm: &Vrm,
    named: Named,
) -> Result<Vec<FixId>, ServiceError> {
    let Named::File { path, envelope, is_signed } = named else { return Ok(Vec::new()) };
    let digest = envelope.digest;
    let header = envelope
        .receive(principal.store(), context.progress)
        .map_err(|source| ServiceError::Envelope { path, source })?;
    principal.sync_store()?;
    let now = (context.now)();
    principal.transaction(|tables| {
        fixes::receive(tables, vrm, &header, &digest, is_signed, now)?;
        let mut held = Vec::new();
        for (fix, hold) in holds_of(&header) {
            if holds::raise(tables, vrm, fix, hold, &header.vendor, now)? {
                held.push(fix.clone());
            }
        }
        Ok(held)
    })
}

/// Everything received, with what the named envelopes would add.
#[derive(Debug)]
pub(crate) struct Received {
    /// The fixes.
    pub(crate) fixes: Vec<Fix>,
    /// The envelope each came in, in the same order.
    pub(crate) envelopes: Vec<String>,
    /// The holds.
    pub(crate) holds: Vec<ActiveHold>,
}

impl Received {
    /// Reads what was received and adds what `named` would bring.
    pub(crate) fn with(principal: &Principal, vrm: &Vrm, named: &[Named]) -> Result<Self, ServiceError> {
        let tables = principal.tables();
        let (mut all, mut envelopes): (Vec<Fix>, Vec<String>) = fixes::all(&tables, vrm)?.into_iter().unzip();
        let mut holds = holds::active(&tables, vrm)?;
        for header in named.iter().filter_map(Named::header) {
            for fix in &header.fixes {
                if all.iter().all(|known| known.id != fix.id) {
                    all.push(fix.clone());
                    envelopes.push(header.name.clone());
                }
            }
            for (fix, hold) in holds_of(header) {
                let is_known = holds.iter().any(|known| {
                    known.fix == *fix && known.hold.class == hold.class && known.hold.reason == hold.reason
                });
                if !is_known {
                    holds.push(ActiveHold {
                        number: 0,
                        fix: fix.clone(),
                        hold: hold.clone(),
                        accepted: Vec::new(),
                    });
                }
            }
        }
        Ok(Self { fixes: all, envelopes, holds })
    }

    /// Finds a fix.
    pub(crate) fn fix(&self, id: &FixId) -> Option<&Fix> {
        self.fixes.iter().find(|fix| fix.id == *id)
    }

    /// Finds the envelope a fix came in.
    pub(crate) fn envelope_of(&self, id: &FixId) -> String {
        let place = self.fixes.iter().position(|fix| fix.id == *id);
        place.and_then(|place| self.envelopes.get(place)).cloned().unwrap_or_default()
    }
}

/// Refuses when nothing was named.
pub(crate) fn find_all(
    principal: &Principal,
    vrm: &Vrm,
    words: &[PathBuf],
) -> Result<Vec<Named>, ServiceError> {
    if words.is_empty() {
        return Err(Refusal::new(121, "SERVICE needs an envelope, or --select and fixes received before")
            .hint("tender servmgr srvlvl service VRM LEVEL all FILE.envelope")
            .into());
    }
    words.iter().map(|word| find(principal, vrm, word)).collect()
}

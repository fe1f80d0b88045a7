//! Deciding what will be done.

use std::{
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use serde::Serialize;

use super::{AuthorityState, Observed, SetupError, SetupRequest, stamp};
use crate::{
    DistinguishedName, KeyEntry, KeyType, Layout, OneOrMany, Owner, Password, PemFiles, RuntimeCertificate,
    Secret, StoreFile, alternative,
    bundle::display_name,
    chain::{self, Purpose},
    directory::Modes,
    info::{self, CertificateInfo},
    issue::{CA_DAYS, IssueError, LEAF_DAYS, LeafSpec, Validity},
    tls::Roots,
};

use super::observe::UsableAuthority;

/// An authority of more than thirty years would outlive its algorithms.
const CA_DAYS_MAX: u32 = 30 * 365;
/// What servers and clients of today still accept is less; some sites insist on more.
const LEAF_DAYS_MAX: u32 = 3650;
const DAYS_BROWSERS_TAKE: u32 = 397;

/// One step of a plan, in the order of execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "camelCase")]
pub enum Step {
    /// Makes a key and a certificate signed by itself.
    CreateAuthority {
        /// Whom it names.
        subject: String,
        /// Kind of its key.
        key_type: KeyType,
        /// Until when it is valid.
        until: Timestamp,
    },
    /// Signs with the authority that is there.
    UseAuthority {
        /// Whom it names.
        subject: String,
        /// SHA-256 of its certificate.
        fingerprint: String,
        /// Until when it is valid.
        until: Timestamp,
    },
    /// Makes a key and a certificate signed by the authority.
    Issue {
        /// Whom it names.
        subject: String,
        /// Host names and addresses in it.
        names: Vec<String>,
        /// Kind of its key.
        key_type: KeyType,
        /// Until when it is valid.
        until: Timestamp,
    },
    /// Takes a foreign key and its chain.
    Import {
        /// The file.
        from: PathBuf,
        /// Whom the certificate names.
        subject: String,
        /// SHA-256 of the certificate.
        fingerprint: String,
        /// Until when it is valid.
        until: Timestamp,
    },
    /// Puts a certificate in the trust store.
    Trust {
        /// The file it comes from.
        from: PathBuf,
        /// Whom it names.
        subject: String,
        /// SHA-256 of it.
        fingerprint: String,
    },
    /// Writes a directory, all its files at once.
    Write {
        /// The directory.
        directory: PathBuf,
        /// Its permission bits, octal.
        mode: String,
        /// Its files, each with its permission bits.
        files: Vec<String>,
        /// Where the directory that is there goes.
        backup: Option<PathBuf>,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateAuthority { subject, key_type, until } => {
                write!(f, "create the authority '{subject}' with a key {key_type}, valid until {until}")
            }
            Self::UseAuthority { subject, fingerprint, until } => {
                write!(f, "use the authority '{subject}', SHA-256 {fingerprint}, valid until {until}")
            }
            Self::Issue { subject, names, key_type, until } => {
                let names = names.join(", ");
                write!(f, "issue '{subject}' with a key {key_type} for {names}, valid until {until}")
            }
            Self::Import { from, subject, fingerprint, until } => {
                let from = from.display();
                write!(f, "import '{subject}' from {from}, SHA-256 {fingerprint}, valid until {until}")
            }
            Self::Trust { from, subject, fingerprint } => {
                write!(f, "trust '{subject}' from {}, SHA-256 {fingerprint}", from.display())
            }
            Self::Write { directory, mode, files, backup } => {
                write!(f, "write {} (mode {mode}): {}", directory.display(), files.join(", "))?;
                match backup {
                    Some(backup) => write!(f, "; keep the old one as {}", backup.display()),
                    None => Ok(()),
                }
            }
        }
    }
}

/// What will be done, and what the instance is then to be configured with.
#[derive(Debug, Serialize)]
pub struct Plan {
    /// The steps in their order.
    pub steps: Vec<Step>,
    /// What whoever asked for it should know.
    pub notes: Vec<String>,
    /// The new value of `zowe.certificate`.
    pub certificate: RuntimeCertificate,
    #[serde(skip)]
    pub(super) work: Work,
}

/// The inputs of the execution.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) layout: Layout,
    pub(super) modes: Modes,
    pub(super) ca_modes: Modes,
    pub(super) owner: Owner,
    pub(super) password: Secret,
    pub(super) source: Source,
    pub(super) further: Vec<CertificateDer<'static>>,
    pub(super) leaf_backup: Option<PathBuf>,
}

/// Where the certificate comes from.
#[derive(Debug)]
pub(super) enum Source {
    Issued { authority: AuthoritySource, leaf: LeafSpec },
    Imported(KeyEntry),
}

/// Where the authority comes from.
#[derive(Debug)]
pub(super) enum AuthoritySource {
    Existing(Box<UsableAuthority>),
    New(Box<NewAuthority>),
}

/// An authority that is to be made.
#[derive(Debug)]
pub(super) struct NewAuthority {
    pub(super) subject: rcgen::DistinguishedName,
    pub(super) key_type: KeyType,
    pub(super) validity: Validity,
    pub(super) password: Secret,
    pub(super) backup: Option<PathBuf>,
}

/// Decides what will be done.
pub fn plan(request: &SetupRequest, observed: Observed, now: Timestamp) -> Result<Plan, SetupError> {
    check(request)?;
    let layout = observed.layout.clone();
    if observed.has_leaf && !request.overwrite {
        return Err(SetupError::Exists { path: layout.leaf_dir() });
    }
    let mut notes = Vec::new();
    let leaf_backup = observed.has_leaf.then(|| backup_of(&layout.leaf_dir(), &observed.siblings, now));
    let password = choose_password(request.password.as_ref(), "the stores", &mut notes);
    // Who owns the files can read them anyway; the group matters when the owner cannot be changed.
    let modes = Modes::new(request.lock, request.owner.gid.is_some() && request.owner.uid.is_none());
    let mut steps = Vec::new();
    let mut further = observed.further;
    let source = match observed.import {
        Some(entry) => {
            let entry = decide_import(request, entry, &mut further, &mut steps, &mut notes, now)?;
            Source::Imported(entry)
        }
        None => {
            let found = (observed.authority, &observed.siblings);
            let authority = decide_authority(request, found, &layout, &mut steps, &mut notes, now)?;
            let leaf = decide_leaf(request, authority.until(), &mut steps, &mut notes, now)?;
            Source::Issued { authority, leaf }
        }
    };
    let further = decide_trust(&source, further, &mut steps);
    let work = Work {
        ca_modes: Modes::new(request.lock, false),
        owner: request.owner,
        layout,
        modes,
        password,
        source,
        further,
        leaf_backup,
    };
    steps.extend(work.write_steps());
    let certificate = runtime_certificate(&work.layout, work.authority_files());
    Ok(Plan { steps, notes, certificate, work })
}

fn check(request: &SetupRequest) -> Result<(), SetupError> {
    if let Some((part, reason)) = request.subject.refused_part() {
        return Err(SetupError::Subject { part, reason });
    }
    for (days, days_max) in [(request.ca_days, CA_DAYS_MAX), (request.leaf_days, LEAF_DAYS_MAX)] {
        if let Some(days) = days.filter(|days| *days == 0 || *days > days_max) {
            return Err(SetupError::Validity { days, days_max });
        }
    }
    Ok(())
}

fn choose_password(given: Option<&Secret>, of: &str, notes: &mut Vec<String>) -> Secret {
    match given {
        Some(secret) if !secret.is_published() && !secret.expose().is_empty() => secret.clone(),
        Some(secret) if !secret.expose().is_empty() => {
            notes.push(format!(
                "the password given for {of} stands in public documentation; a random one is used"
            ));
            Secret::generate()
        }
        _ => Secret::generate(),
    }
}

fn decide_authority(
    request: &SetupRequest,
    (found, siblings): (AuthorityState, &BTreeSet<String>),
    layout: &Layout,
    steps: &mut Vec<Step>,
    notes: &mut Vec<String>,
    now: Timestamp,
) -> Result<AuthoritySource, SetupError> {
    let refused = |why: String| SetupError::Authority { path: layout.ca_dir(), why };
    let is_there = !matches!(found, AuthorityState::Missing);
    match found {
        AuthorityState::Usable(usable) if !request.new_authority => {
            let described = CertificateInfo::of_der(&usable.identity.certificate, now)
                .ok_or_else(|| refused("its certificate cannot be read".to_owned()))?;
            if described.not_after <= now {
                return Err(refused(format!("it expired on {}", described.not_after)));
            }
            let CertificateInfo { subject, fingerprint, not_after: until, .. } = described;
            steps.push(Step::UseAuthority { subject, fingerprint, until });
            return Ok(AuthoritySource::Existing(usable));
        }
        AuthorityState::Unusable { why } if !request.new_authority => return Err(refused(why)),
        _ => {}
    }
    if is_there {
        notes.push("whoever trusts the old authority must learn to trust the new one".to_owned());
    }
    let subject = request.subject.authority();
    let validity = Validity::starting(now, request.ca_days.unwrap_or(CA_DAYS), None);
    steps.push(Step::CreateAuthority {
        subject: DistinguishedName::display(&subject),
        key_type: request.key_type,
        until: validity.until,
    });
    Ok(AuthoritySource::New(Box::new(NewAuthority {
        subject,
        key_type: request.key_type,
        validity,
        password: choose_password(request.ca_password.as_ref(), "the authority", notes),
        backup: is_there.then(|| backup_of(&layout.ca_dir(), siblings, now)),
    })))
}

fn decide_leaf(
    request: &SetupRequest,
    ca_until: Option<Timestamp>,
    steps: &mut Vec<Step>,
    notes: &mut Vec<String>,
    now: Timestamp,
) -> Result<LeafSpec, SetupError> {
    let days = request.leaf_days.unwrap_or(LEAF_DAYS);
    if days > DAYS_BROWSERS_TAKE {
        notes.push(format!("browsers refuse certificates that last longer than {DAYS_BROWSERS_TAKE} days"));
    } else if request.ca_days.is_some_and(|asked| asked > days) {
        notes.push(format!("the certificate lasts {days} days; renew it in time, the authority stays"));
    }
    let spec = LeafSpec {
        subject: request.subject.leaf(),
        names: alternative::with_local_names(&request.host_names),
        key_type: request.key_type,
        validity: Validity::starting(now, days, ca_until),
    };
    if let Some(name) = spec.names.iter().find(|name| alternative::of(name).is_none()) {
        return Err(IssueError::Name { name: name.clone() }.into());
    }
    steps.push(Step::Issue {
        subject: DistinguishedName::display(&spec.subject),
        names: spec.names.clone(),
        key_type: spec.key_type,
        until: spec.validity.until,
    });
    Ok(spec)
}

fn decide_import(
    request: &SetupRequest,
    mut entry: KeyEntry,
    further: &mut Vec<(PathBuf, CertificateDer<'static>)>,
    steps: &mut Vec<Step>,
    notes: &mut Vec<String>,
    now: Timestamp,
) -> Result<KeyEntry, SetupError> {
    let path = request.import.as_ref().map(|import| import.keystore.clone()).unwrap_or_default();
    let pool: Vec<_> =
        entry.chain.iter().chain(further.iter().map(|(_, certificate)| certificate)).cloned().collect();
    entry.chain = chain::from(entry.certificate(), &pool);
    let last = entry.chain.last().cloned().unwrap_or_else(|| entry.certificate().clone());
    let is_trusted = further.iter().any(|(_, certificate)| *certificate == last);
    if !chain::is_self_issued(&last) && !is_trusted {
        let issuer = info::parse(&last).map(|parsed| parsed.issuer().to_string()).unwrap_or_default();
        return Err(SetupError::NoRoot { path, issuer });
    }
    if !is_trusted {
        further.push((path.clone(), last.clone()));
    }
    let described = CertificateInfo::of_der(entry.certificate(), now)
        .ok_or_else(|| SetupError::NotValid { path: path.clone(), why: "cannot be read".to_owned() })?;
    let roots = Roots::of(vec![last]);
    let checked =
        chain::check(entry.certificate(), &entry.chain[1..], &roots, chain::unix_time(now), Purpose::Server);
    if let Err(error) = checked {
        let why = format!("does not pass: {}", chain::reason(&error));
        return Err(SetupError::NotValid { path, why });
    }
    if let Some(weakness) = described.weakness() {
        notes.push(format!("the imported certificate is weak: {weakness}"));
    }
    for name in request
        .host_names
        .iter()
        .filter(|name| !name.is_empty() && !crate::verify::covers(entry.certificate(), name))
    {
        notes.push(format!("the imported certificate is not for {name}"));
    }
    entry.alias.clone_from(&request.name);
    steps.push(Step::Import {
        from: path,
        subject: described.subject,
        fingerprint: described.fingerprint,
        until: described.not_after,
    });
    Ok(entry)
}

/// Which certificates are trusted beside the own authority, each once.
fn decide_trust(
    source: &Source,
    further: Vec<(PathBuf, CertificateDer<'static>)>,
    steps: &mut Vec<Step>,
) -> Vec<CertificateDer<'static>> {
    let mut trusted: Vec<CertificateDer<'static>> = Vec::new();
    for (from, certificate) in further {
        let is_own = match source {
            Source::Issued { authority: AuthoritySource::Existing(usable), .. } => {
                usable.identity.certificate == certificate || usable.bridge.contains(&certificate)
            }
            _ => false,
        };
        if is_own || trusted.contains(&certificate) {
            continue;
        }
        steps.push(Step::Trust {
            from,
            subject: display_name(&certificate),
            fingerprint: info::fingerprint(&certificate),
        });
        trusted.push(certificate);
    }
    trusted
}

impl AuthoritySource {
    fn until(&self) -> Option<Timestamp> {
        match self {
            Self::New(new) => Some(new.validity.until),
            Self::Existing(usable) => info::parse(&usable.identity.certificate)
                .and_then(|parsed| Timestamp::from_second(parsed.validity().not_after.timestamp()).ok()),
        }
    }
}

impl Work {
    /// File names of trusted authorities in the directory of the certificate.
    pub(super) fn authority_files(&self) -> Vec<String> {
        let own = matches!(self.source, Source::Issued { .. }).then(|| self.layout.ca_pem());
        // The authority before the present one comes right after it.
        let bridged = match &self.source {
            Source::Issued { authority: AuthoritySource::Existing(usable), .. } => {
                usize::from(usable.bridge.len() > 1)
            }
            _ => 0,
        };
        let further = (1..=bridged + self.further.len()).map(Layout::further_authority);
        own.into_iter().chain(further).collect()
    }

    fn write_steps(&self) -> Vec<Step> {
        let octal = |mode: u32| format!("{mode:04o}");
        let shown = |(name, mode): (String, u32)| format!("{name} ({})", octal(mode));
        let mut steps = Vec::new();
        let layout = &self.layout;
        if let Source::Issued { authority: AuthoritySource::New(new), .. } = &self.source {
            let modes = self.ca_modes;
            let files = [
                (layout.ca_keystore(), modes.secret),
                (layout.ca_password(), modes.secret),
                (layout.ca_pem(), modes.public),
            ];
            steps.push(Step::Write {
                directory: layout.ca_dir(),
                mode: octal(modes.directory),
                files: files.into_iter().map(shown).collect(),
                backup: new.backup.clone(),
            });
        }
        let modes = self.modes;
        let secret = [layout.keystore(), layout.truststore(), layout.password(), layout.key_pem()];
        let public = std::iter::once(layout.certificate_pem()).chain(self.authority_files());
        let files = secret.into_iter().map(|name| (name, modes.secret));
        steps.push(Step::Write {
            directory: layout.leaf_dir(),
            mode: octal(modes.directory),
            files: files.chain(public.map(|name| (name, modes.public))).map(shown).collect(),
            backup: self.leaf_backup.clone(),
        });
        steps
    }
}

/// What an instance is configured with when its files are laid out this way.
pub(crate) fn runtime_certificate(layout: &Layout, authorities: Vec<String>) -> RuntimeCertificate {
    let store = |file: String, alias: Option<&str>| StoreFile {
        kind: "PKCS12".to_owned(),
        file: layout.leaf(&file),
        password: Some(Password::File(layout.leaf(&layout.password()))),
        alias: alias.map(str::to_owned),
    };
    RuntimeCertificate {
        keystore: store(layout.keystore(), Some(layout.name())),
        truststore: store(layout.truststore(), None),
        pem: Some(PemFiles {
            key: Some(layout.leaf(&layout.key_pem())),
            certificate: Some(layout.leaf(&layout.certificate_pem())),
            certificate_authorities: Some(OneOrMany::Many(
                authorities.iter().map(|file| layout.leaf(file)).collect(),
            )),
        }),
    }
}

/// A free name for the copy of a directory that is replaced.
pub(crate) fn backup_of(dir: &Path, siblings: &BTreeSet<String>, now: Timestamp) -> PathBuf {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let first = format!("{name}.backup-{}", stamp(now));
    let free = std::iter::once(first.clone())
        .chain((2..).map(|number| format!("{first}-{number}")))
        .find(|candidate| !siblings.contains(candidate))
        .expect("numbers do not end");
    dir.with_file_name(free)
}

//! A new certificate in time from the same authority, or a new authority that the old one vouches for.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rcgen::{DnType, DnValue};
use rustls_pki_types::CertificateDer;
use serde::Serialize;

use crate::{
    Bundle, CertificateInfo, DirectoryError, DistinguishedName, KeyEntry, KeyType, Layout, Owner, Password,
    Secret, alternative,
    bundle::certificate_pem,
    directory::Modes,
    info,
    issue::{self, CA_DAYS, Identity, IssueError, LEAF_DAYS, LeafSpec, Validity},
    setup::{
        AuthorityState, BRIDGE_FILE, LeafDirectory, Outcome, SetupError, Step, UsableAuthority,
        authority_directory, backup_of, entry_of, runtime_certificate, trusted_own,
    },
};

/// When a certificate should be renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Due {
    /// Whether it should be now.
    pub is_due: bool,
    /// From when on it should be.
    pub renew_from: Timestamp,
    /// When it ends.
    pub not_after: Timestamp,
    /// Whole days until then.
    pub days_left: i64,
}

/// Tells when to renew: once less than a third of the validity is left.
pub fn due(not_before: Timestamp, not_after: Timestamp, now: Timestamp) -> Due {
    let third = (not_after.as_second() - not_before.as_second()).max(0) / 3;
    let renew_from = Timestamp::from_second(not_after.as_second() - third).unwrap_or(not_after);
    Due { is_due: now > renew_from, renew_from, not_after, days_left: info::days_between(now, not_after) }
}

/// What is to be renewed.
#[derive(Debug, Clone)]
pub struct RenewRequest {
    /// The key store directory.
    pub directory: PathBuf,
    /// Alias of the certificate.
    pub name: String,
    /// Alias of the authority.
    pub ca_alias: String,
    /// Password of the authority's store, when it is not in the file beside it.
    pub ca_password: Option<Secret>,
    /// Password of the certificate's stores, when it is not in the file beside them.
    pub password: Option<Secret>,
    /// Days the new certificate lasts; 396 unless told otherwise.
    pub leaf_days: Option<u32>,
    /// Host names and addresses to be added to those in the old certificate.
    pub host_names: Vec<String>,
    /// Kind of the new key; that of the old one unless told otherwise.
    pub key_type: Option<KeyType>,
    /// Does nothing while the certificate has more than a third of its time before it.
    pub only_when_due: bool,
    /// Also makes a new authority, for which the old one vouches as long as it lasts.
    pub new_authority: bool,
}

impl RenewRequest {
    /// Asks to renew a certificate in every case, everything else as it is.
    pub fn new(directory: &Path, name: &str, ca_alias: &str) -> Self {
        Self {
            directory: directory.to_owned(),
            name: name.to_owned(),
            ca_alias: ca_alias.to_owned(),
            ca_password: None,
            password: None,
            leaf_days: None,
            host_names: Vec::new(),
            key_type: None,
            only_when_due: false,
            new_authority: false,
        }
    }
}

/// What will be done; nothing when `steps` is empty.
#[derive(Debug, Serialize)]
pub struct RenewPlan {
    /// The steps in their order.
    pub steps: Vec<Step>,
    /// When the present certificate should be renewed.
    pub due: Due,
    #[serde(skip)]
    work: Option<Work>,
}

#[derive(Debug)]
struct Work {
    layout: Layout,
    authority: Box<UsableAuthority>,
    successor: Option<Successor>,
    leaf: LeafSpec,
    password: Secret,
    further: Vec<CertificateDer<'static>>,
    backup: PathBuf,
}

#[derive(Debug)]
struct Successor {
    subject: rcgen::DistinguishedName,
    key_type: KeyType,
    validity: Validity,
    /// Until when the old authority can vouch for it.
    bridge: Validity,
    backup: PathBuf,
}

/// What is there.
struct Present {
    layout: Layout,
    entry: KeyEntry,
    info: CertificateInfo,
    password: Secret,
    trusted: Vec<CertificateDer<'static>>,
}

/// Decides what will be done.
pub fn plan(request: &RenewRequest, now: Timestamp) -> Result<RenewPlan, SetupError> {
    let present = observe(request, now)?;
    let due = due(present.info.not_before, present.info.not_after, now);
    if request.only_when_due && !due.is_due {
        return Ok(RenewPlan { steps: Vec::new(), due, work: None });
    }
    let layout = present.layout;
    let refused = |why: String| SetupError::Authority { path: layout.ca_dir(), why };
    let authority = match AuthorityState::open(&layout, request.ca_password.as_ref(), now) {
        AuthorityState::Usable(usable) => usable,
        AuthorityState::Unusable { why } => return Err(refused(why)),
        AuthorityState::Missing => return Err(refused("it is not there".to_owned())),
    };
    let ca = CertificateInfo::of_der(&authority.identity.certificate, now)
        .ok_or_else(|| refused("its certificate cannot be read".to_owned()))?;
    let is_own = present.info.issuer == ca.subject
        || present.entry.chain.contains(&authority.identity.certificate)
        || present.trusted.contains(&authority.identity.certificate);
    if !is_own {
        return Err(SetupError::ForeignIssuer { path: layout.leaf_dir(), issuer: present.info.issuer });
    }
    if ca.not_after <= now {
        return Err(refused(format!("it expired on {}", ca.not_after)));
    }
    let siblings = siblings(&request.directory);
    let mut steps = Vec::new();
    let successor = if request.new_authority {
        Some(plan_successor(&authority.identity, &ca, &layout, &siblings, &mut steps, now)?)
    } else {
        let (subject, fingerprint) = (ca.subject.clone(), ca.fingerprint.clone());
        steps.push(Step::UseAuthority { subject, fingerprint, until: ca.not_after });
        None
    };
    let end = successor.as_ref().map_or(ca.not_after, |successor| successor.validity.until);
    let leaf = plan_leaf(request, &present.entry, &present.info, end, now)?;
    steps.push(Step::Issue {
        subject: DistinguishedName::display(&leaf.subject),
        names: leaf.names.clone(),
        key_type: leaf.key_type,
        until: leaf.validity.until,
    });
    let backup = backup_of(&layout.leaf_dir(), &siblings, now);
    steps.push(write_step(&layout.leaf_dir(), &backup));
    // What has expired is of no use to anyone; the own authorities come in by themselves.
    let is_live = |der: &CertificateDer<'_>| {
        CertificateInfo::of_der(der, now).is_some_and(|described| described.not_after > now)
    };
    let further = present.trusted.into_iter().filter(is_live).collect();
    let password = present.password;
    Ok(RenewPlan {
        steps,
        due,
        work: Some(Work { layout, authority, successor, leaf, password, further, backup }),
    })
}

fn observe(request: &RenewRequest, now: Timestamp) -> Result<Present, SetupError> {
    let layout = Layout::new(&request.directory, &request.name, &request.ca_alias)
        .ok_or_else(|| SetupError::Name { name: request.name.clone(), ca_alias: request.ca_alias.clone() })?;
    if layout.leaf_dir().symlink_metadata().is_err() {
        return Err(SetupError::Missing { path: layout.leaf_dir() });
    }
    let password = match &request.password {
        Some(password) => password.clone(),
        None => Password::File(layout.leaf(&layout.password())).resolve()?,
    };
    let keystore = layout.leaf(&layout.keystore());
    let entry = Bundle::read(&keystore, Some(&password))?.key(Some(layout.name()), &keystore)?.clone();
    let info = CertificateInfo::of_der(entry.certificate(), now)
        .ok_or_else(|| SetupError::NotValid { path: keystore.clone(), why: "cannot be read".to_owned() })?;
    let truststore = Bundle::read(&layout.leaf(&layout.truststore()), Some(&password))?;
    let trusted = truststore.trusted().map(|entry| entry.certificate.clone()).collect();
    Ok(Present { layout, entry, info, password, trusted })
}

fn plan_leaf(
    request: &RenewRequest,
    entry: &KeyEntry,
    info: &CertificateInfo,
    end: Timestamp,
    now: Timestamp,
) -> Result<LeafSpec, SetupError> {
    let days = request.leaf_days.unwrap_or(LEAF_DAYS);
    if days == 0 {
        return Err(SetupError::Validity { days, days_max: LEAF_DAYS });
    }
    let subject = issue::subject_of(entry.certificate())
        .map_err(|source| IssueError::Sign { subject: info.subject.clone(), source })?;
    let old = info
        .alternative_names
        .iter()
        .filter_map(|name| name.strip_prefix("DNS:").or_else(|| name.strip_prefix("IP:")).map(str::to_owned));
    let names =
        alternative::with_local_names(&old.chain(request.host_names.iter().cloned()).collect::<Vec<_>>());
    if let Some(name) = names.iter().find(|name| alternative::of(name).is_none()) {
        return Err(IssueError::Name { name: name.clone() }.into());
    }
    let key_type = request.key_type.unwrap_or_else(|| issue::key_type_of(entry.certificate()));
    Ok(LeafSpec { subject, names, key_type, validity: Validity::starting(now, days, Some(end)) })
}

fn plan_successor(
    ca: &Identity,
    info: &CertificateInfo,
    layout: &Layout,
    siblings: &BTreeSet<String>,
    steps: &mut Vec<Step>,
    now: Timestamp,
) -> Result<Successor, SetupError> {
    let subject = issue::subject_of(&ca.certificate)
        .map(next_generation)
        .map_err(|source| IssueError::Sign { subject: info.subject.clone(), source })?;
    let key_type = issue::key_type_of(&ca.certificate);
    let validity = Validity::starting(now, CA_DAYS, None);
    steps.push(Step::CreateAuthority {
        subject: DistinguishedName::display(&subject),
        key_type,
        until: validity.until,
    });
    let backup = backup_of(&layout.ca_dir(), siblings, now);
    steps.push(write_step(&layout.ca_dir(), &backup));
    let bridge = Validity::starting(now, CA_DAYS, Some(info.not_after));
    Ok(Successor { subject, key_type, validity, bridge, backup })
}

/// A name of its own for the successor, so that nobody takes one for the other: `… G2`, then `… G3`.
fn next_generation(mut subject: rcgen::DistinguishedName) -> rcgen::DistinguishedName {
    let common = match subject.get(&DnType::CommonName) {
        Some(DnValue::Utf8String(text)) => text.clone(),
        _ => "CA".to_owned(),
    };
    let counted = common
        .rsplit_once(" G")
        .and_then(|(base, number)| number.parse::<u32>().ok().map(|number| (base.to_owned(), number)));
    let (base, generation) = counted.unwrap_or((common, 1));
    subject.push(DnType::CommonName, format!("{base} G{}", generation.saturating_add(1)));
    subject
}

/// Carries the plan out; `None` when there was nothing to do.
pub fn execute(plan: &RenewPlan) -> Result<Option<Outcome>, SetupError> {
    let Some(work) = &plan.work else { return Ok(None) };
    let now = Timestamp::now();
    let mut backups = Vec::new();
    let (layout, old) = (&work.layout, &work.authority);
    let made;
    let (ca, bridge) = match &work.successor {
        None => (&old.identity, old.bridge.clone()),
        Some(successor) => {
            made = issue::authority(&successor.subject, successor.key_type, successor.validity)?;
            let bridge = issue::bridge(&old.identity, &made, successor.bridge)?;
            let bridge = vec![bridge, old.identity.certificate.clone()];
            put_successor(work, successor, &made, &bridge)?;
            backups.push(successor.backup.clone());
            (&made, bridge)
        }
    };
    let entry = entry_of(&issue::leaf(&work.leaf, ca)?, ca, &bridge, layout.name());
    let own = trusted_own(ca, &bridge);
    let further = work.further.iter().filter(|certificate| !own.contains(certificate)).cloned();
    let trusted: Vec<_> = own.iter().cloned().chain(further).collect();
    let (modes, owner) = as_it_is(&layout.leaf_dir(), &layout.keystore(), &layout.certificate_pem())?;
    let count = trusted.len();
    LeafDirectory {
        layout,
        entry: &entry,
        trusted,
        has_own_authority: true,
        password: &work.password,
        modes,
        owner,
    }
    .stage()?
    .put(Some(&work.backup))?;
    backups.push(work.backup.clone());
    let authorities = std::iter::once(layout.ca_pem()).chain((1..count).map(Layout::further_authority));
    Ok(Some(Outcome {
        certificate: runtime_certificate(layout, authorities.collect()),
        leaf: CertificateInfo::of_der(entry.certificate(), now),
        authority: CertificateInfo::of_der(&ca.certificate, now),
        backups,
    }))
}

fn put_successor(
    work: &Work,
    successor: &Successor,
    ca: &Identity,
    bridge: &[CertificateDer<'static>],
) -> Result<(), SetupError> {
    let layout = &work.layout;
    let (modes, owner) = as_it_is(&layout.ca_dir(), &layout.ca_keystore(), &layout.ca_pem())?;
    let mut staged = authority_directory(layout, ca, &work.authority.password, modes, owner)?;
    let text: String = bridge.iter().map(certificate_pem).collect();
    staged.set(BRIDGE_FILE, modes.public, text.into_bytes());
    Ok(staged.put(Some(&successor.backup))?)
}

/// The permission bits and the owner that a directory and its files have.
fn as_it_is(dir: &Path, secret: &str, public: &str) -> Result<(Modes, Owner), DirectoryError> {
    let look = |path: PathBuf| {
        fs::metadata(&path).map_err(|source| DirectoryError::Io { step: "look at", path, source })
    };
    let directory = look(dir.to_owned())?;
    let modes = Modes {
        directory: directory.mode() & 0o777,
        secret: look(dir.join(secret))?.mode() & 0o777,
        public: look(dir.join(public))?.mode() & 0o777,
    };
    Ok((modes, Owner { uid: Some(directory.uid()), gid: Some(directory.gid()) }))
}

fn siblings(dir: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn write_step(directory: &Path, backup: &Path) -> Step {
    Step::Write {
        directory: directory.to_owned(),
        mode: "as it is".to_owned(),
        files: vec!["all files".to_owned()],
        backup: Some(backup.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificate_is_due_once_less_than_a_third_is_left() {
        let at = |day: i64| Timestamp::from_second(day * 86_400).unwrap();
        let (from, until) = (at(0), at(300));
        assert!(!due(from, until, at(200)).is_due);
        assert!(due(from, until, at(201)).is_due);
        assert_eq!(due(from, until, at(201)).days_left, 99);
        assert_eq!(due(from, until, at(0)).renew_from, at(200));
        assert!(due(from, until, at(400)).is_due);
    }

    #[test]
    fn successor_of_an_authority_has_the_next_generation_in_its_name() {
        let mut name = rcgen::DistinguishedName::new();
        name.push(DnType::CommonName, "Example CA");
        let second = next_generation(name);
        assert_eq!(DistinguishedName::display(&second), "CN=Example CA G2");
        assert_eq!(DistinguishedName::display(&next_generation(second)), "CN=Example CA G3");
    }
}

//! The keys of a principal and the root metadata that names them.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::Ed25519KeyPair;
use jiff::Timestamp;
use tough::schema::{Role, RoleKeys, RoleType, Root, Signature, Signed};
use tough::sign::Sign as _;

use super::{Expiry, RepositoryError, SPEC_VERSION, expires, write_atomically};

const ONE: NonZeroU64 = NonZeroU64::MIN;
const ROLES: [RoleType; 4] = [RoleType::Root, RoleType::Targets, RoleType::Snapshot, RoleType::Timestamp];

/// A role whose key is used every day and can be replaced by the root key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnlineRole {
    /// Names what is published.
    Targets,
    /// Ties lists together.
    Snapshot,
    /// Says what is newest.
    Timestamp,
}

impl From<OnlineRole> for RoleType {
    fn from(role: OnlineRole) -> Self {
        match role {
            OnlineRole::Targets => Self::Targets,
            OnlineRole::Snapshot => Self::Snapshot,
            OnlineRole::Timestamp => Self::Timestamp,
        }
    }
}

/// The keys of a principal.
///
/// Shape:  one Ed25519 key a role as PKCS#8, mode 0600, in a directory of mode 0700; beside them every version of
///         the root metadata. All releases share them, so one trusted root serves every release.
/// Limits: the threshold of every role is one key.
#[derive(Debug)]
pub struct KeyDir {
    dir: PathBuf,
    roots: Vec<Signed<Root>>,
    root_bytes: Vec<Vec<u8>>,
    pairs: HashMap<RoleType, Ed25519KeyPair>,
}

impl KeyDir {
    /// Makes keys and the first root metadata.
    pub fn create(dir: &Path, now: Timestamp, expiry: &Expiry) -> Result<Self, RepositoryError> {
        if dir.join("1.root.json").exists() {
            return Err(RepositoryError::Exists { path: dir.join("1.root.json") });
        }
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(RepositoryError::io(dir))?;
        let mut pairs = HashMap::new();
        for role in ROLES {
            pairs.insert(role, generate(&key_path(dir, role))?);
        }
        let mut root = Root {
            spec_version: SPEC_VERSION.to_owned(),
            consistent_snapshot: true,
            version: ONE,
            expires: expires(now, expiry.root_s),
            keys: HashMap::new(),
            roles: HashMap::new(),
            _extra: HashMap::new(),
        };
        for (role, pair) in &pairs {
            set_key(&mut root, *role, pair)?;
        }
        // The root is written last: without it the keys count as never made.
        let signed = sign_with(&pairs[&RoleType::Root], root)?;
        write_atomically(&dir.join("1.root.json"), &to_bytes(&signed)?)?;
        Self::open(dir)
    }

    /// Opens keys that exist.
    pub fn open(dir: &Path) -> Result<Self, RepositoryError> {
        let (mut roots, mut root_bytes) = (Vec::new(), Vec::new());
        for version in 1_u64.. {
            let path = dir.join(format!("{version}.root.json"));
            if version > 1 && !path.exists() {
                break;
            }
            let bytes = std::fs::read(&path).map_err(RepositoryError::io(&path))?;
            roots.push(parse::<Root>(&bytes, &path)?);
            root_bytes.push(bytes);
        }
        let mut pairs = HashMap::new();
        for role in ROLES {
            pairs.insert(role, read_key(&key_path(dir, role))?);
        }
        let keys = Self { dir: dir.to_owned(), roots, root_bytes, pairs };
        keys.finish_rotation()
    }

    /// Replaces the key of `role` and names the new one in a new version of the root.
    ///
    /// Repositories take it over at their next publication or refresh.
    pub fn rotate(
        &mut self,
        role: OnlineRole,
        now: Timestamp,
        expiry: &Expiry,
    ) -> Result<(), RepositoryError> {
        let role = RoleType::from(role);
        let next = next_key_path(&self.dir, role);
        let pair = generate(&next)?;
        let mut root = self.root().signed.clone();
        root.version = root.version.saturating_add(1);
        root.expires = expires(now, expiry.root_s);
        set_key(&mut root, role, &pair)?;
        let signed = sign_with(&self.pairs[&RoleType::Root], root)?;
        let path = self.dir.join(signed.signed.filename(true));
        write_atomically(&path, &to_bytes(&signed)?)?;
        *self = Self::open(&self.dir)?;
        Ok(())
    }

    /// Puts a new key in its place when the root names it but a crash left it beside.
    fn finish_rotation(mut self) -> Result<Self, RepositoryError> {
        for role in ROLES {
            let next = next_key_path(&self.dir, role);
            if !next.exists() {
                continue;
            }
            let pair = read_key(&next)?;
            if self.root().signed.keys(role).any(|key| *key == pair.tuf_key()) {
                let path = key_path(&self.dir, role);
                std::fs::rename(&next, &path).map_err(RepositoryError::io(&path))?;
                self.pairs.insert(role, pair);
            } else {
                std::fs::remove_file(&next).map_err(RepositoryError::io(&next))?;
            }
        }
        Ok(self)
    }

    /// Returns the newest root metadata: what a managed system must get in a trusted way, at enrolment.
    #[must_use]
    pub fn trusted_root(&self) -> &[u8] {
        self.root_bytes.last().expect("opening keys needs version 1 of the root")
    }

    pub(super) fn root(&self) -> &Signed<Root> {
        self.roots.last().expect("opening keys needs version 1 of the root")
    }

    /// Checks that a role is signed by its key, or by the key it had before a rotation.
    pub(super) fn verify_own<R: Role>(&self, role: &Signed<R>) -> Result<(), RepositoryError> {
        let mut last = None;
        for root in self.roots.iter().rev() {
            match root.signed.verify_role(role) {
                Ok(()) => return Ok(()),
                Err(source) => last = last.or(Some(source)),
            }
        }
        let source = Box::new(last.expect("there is at least one root"));
        Err(RepositoryError::BadSignature { role: R::TYPE.to_string(), source })
    }

    /// Returns every version of the root with the name of its file.
    pub(super) fn root_files(&self) -> impl Iterator<Item = (String, &[u8])> {
        (1_u64..)
            .zip(&self.root_bytes)
            .map(|(version, bytes)| (format!("{version}.root.json"), bytes.as_slice()))
    }

    /// Signs `role` and returns the bytes to be stored.
    pub(super) fn sign<R: Role>(&self, role: R) -> Result<(Signed<R>, Vec<u8>), RepositoryError> {
        let signed = sign_with(&self.pairs[&R::TYPE], role)?;
        let bytes = to_bytes(&signed)?;
        Ok((signed, bytes))
    }
}

fn key_path(dir: &Path, role: RoleType) -> PathBuf {
    dir.join(format!("{role}.pk8"))
}

fn next_key_path(dir: &Path, role: RoleType) -> PathBuf {
    dir.join(format!("{role}.pk8.next"))
}

fn generate(path: &Path) -> Result<Ed25519KeyPair, RepositoryError> {
    let randomness = |_| RepositoryError::Randomness { path: path.to_owned() };
    let pair = Ed25519KeyPair::generate().map_err(randomness)?;
    let document = pair.to_pkcs8().map_err(randomness)?;
    // Temporary files are made with mode 0600, and so the key has it from the first byte on.
    write_atomically(path, document.as_ref())?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .map_err(RepositoryError::io(path))?;
    Ok(pair)
}

fn read_key(path: &Path) -> Result<Ed25519KeyPair, RepositoryError> {
    let bytes = std::fs::read(path).map_err(RepositoryError::io(path))?;
    Ed25519KeyPair::from_pkcs8(&bytes)
        .map_err(|source| RepositoryError::Key { path: path.to_owned(), source })
}

fn set_key(root: &mut Root, role: RoleType, pair: &Ed25519KeyPair) -> Result<(), RepositoryError> {
    let key = pair.tuf_key();
    let id = key.key_id().map_err(rules)?;
    if let Some(old) = root.roles.remove(&role) {
        for old_id in old.keyids {
            root.keys.remove(&old_id);
        }
    }
    root.keys.insert(id.clone(), key);
    root.roles.insert(role, RoleKeys { keyids: vec![id], threshold: ONE, _extra: HashMap::new() });
    Ok(())
}

fn sign_with<R: Role>(pair: &Ed25519KeyPair, role: R) -> Result<Signed<R>, RepositoryError> {
    let message = role.canonical_form().map_err(rules)?;
    let keyid = pair.tuf_key().key_id().map_err(rules)?;
    let sig = Ed25519KeyPair::sign(pair, &message).as_ref().to_vec().into();
    Ok(Signed { signed: role, signatures: vec![Signature { keyid, sig }] })
}

fn to_bytes<R: Role>(signed: &Signed<R>) -> Result<Vec<u8>, RepositoryError> {
    let mut bytes = serde_json::to_vec_pretty(signed)
        .map_err(|source| RepositoryError::Malformed { file: signed.signed.filename(true), source })?;
    bytes.push(b'\n');
    Ok(bytes)
}

pub(super) fn parse<R: serde::de::DeserializeOwned>(
    bytes: &[u8],
    path: &Path,
) -> Result<Signed<R>, RepositoryError> {
    serde_json::from_slice(bytes)
        .map_err(|source| RepositoryError::Malformed { file: path.display().to_string(), source })
}

fn rules(source: tough::schema::Error) -> RepositoryError {
    RepositoryError::BadSignature { role: "new".to_owned(), source: Box::new(source) }
}

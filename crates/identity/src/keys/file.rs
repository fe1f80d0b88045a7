//! The file that keeps the keys.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::{KeyId, KeyInfo, KeyState, PUBLIC_BYTES, SEED_BYTES, SigningKey, VerifyingKey};
use crate::base64url;

/// Its name.
pub(super) const FILE: &str = "signing.json";
/// The format that this version writes.
const FORMAT: u32 = 1;

/// Text that is cleared when it is no longer used.
struct Secret(Zeroizing<String>);

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

/// One key as the file has it: a private half, or of a retired key the public one.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    kid: KeyId,
    state: KeyState,
    created_s: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seed: Option<Secret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    public: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    verify_until_s: Option<u64>,
}

/// The whole file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyFile {
    format: u32,
    keys: Vec<Entry>,
}

/// One key of a file.
pub(super) enum FileKey {
    Signing(SigningKey),
    Verifying(VerifyingKey),
}

impl KeyFile {
    /// Reads a file; errors never repeat what it holds.
    pub(super) fn parse(bytes: &[u8]) -> Result<Vec<FileKey>, String> {
        let place = |error: serde_json::Error| format!("line {}, column {}", error.line(), error.column());
        let file: Self = serde_json::from_slice(bytes).map_err(place)?;
        if file.format != FORMAT {
            return Err(format!("it has format {}, this version knows {FORMAT}", file.format));
        }
        file.keys.into_iter().map(Entry::key).collect()
    }

    /// Writes a file into memory that is cleared and does not grow on the way.
    pub(super) fn write(signing: &[&SigningKey], retired: &[VerifyingKey]) -> Zeroizing<Vec<u8>> {
        let entry = |key: &VerifyingKey, seed: Option<Secret>| Entry {
            kid: key.info.kid.clone(),
            state: key.info.state,
            created_s: key.info.created_s,
            public: seed.is_none().then(|| base64url::encode(&key.public)),
            seed,
            verify_until_s: key.info.verify_until_s,
        };
        let secret = |key: &SigningKey| Secret(Zeroizing::new(base64url::encode(&*key.seed)));
        let keys = signing.iter().map(|key| entry(&key.verifying, Some(secret(key))));
        let keys: Vec<Entry> = keys.chain(retired.iter().map(|key| entry(key, None))).collect();
        let mut bytes = Zeroizing::new(Vec::with_capacity(256 + 256 * keys.len()));
        serde_json::to_writer(&mut *bytes, &Self { format: FORMAT, keys }).expect("plain fields become JSON");
        bytes.push(b'\n');
        bytes
    }
}

impl Entry {
    fn key(self) -> Result<FileKey, String> {
        let kid = self.kid;
        let wrong = |what: &str| format!("key {}: {what}", kid.as_str().escape_debug());
        let key = match (self.state, self.seed, self.public, self.verify_until_s) {
            (KeyState::Current | KeyState::Next, Some(seed), None, None) => {
                let bytes = base64url::decode(&seed.0).map(Zeroizing::new);
                let seed: Option<[u8; SEED_BYTES]> = bytes.and_then(|bytes| bytes.as_slice().try_into().ok());
                let seed = Zeroizing::new(seed.ok_or_else(|| wrong("its private half is not 32 bytes"))?);
                let key = SigningKey::of(seed, self.created_s, self.state);
                FileKey::Signing(key.ok_or_else(|| wrong("its private half is none"))?)
            }
            (KeyState::Retired, None, Some(public), Some(until_s)) => {
                let bytes = base64url::decode(&public);
                let public: Option<[u8; PUBLIC_BYTES]> = bytes.and_then(|bytes| bytes.try_into().ok());
                let public = public.ok_or_else(|| wrong("its public half is not 32 bytes"))?;
                let (state, created_s) = (self.state, self.created_s);
                let info =
                    KeyInfo { kid: KeyId::of(&public), state, created_s, verify_until_s: Some(until_s) };
                FileKey::Verifying(VerifyingKey { info, public })
            }
            _ => return Err(wrong("it has not what a key in its state has")),
        };
        let found = match &key {
            FileKey::Signing(key) => &key.verifying.info.kid,
            FileKey::Verifying(key) => &key.info.kid,
        };
        if *found == kid { Ok(key) } else { Err(wrong("it is not the key that it is called by")) }
    }
}

//! CONFIG (3): a parameter of the server's, by its key. Key and value are the payloads.

use super::limits::Invalid;
use crate::code::CmsCode;

/// Most bytes of a key.
pub const CONFIG_KEY_BYTES_MAX: usize = 255;

/// The key that a CONFIG request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigKey(String);

impl ConfigKey {
    /// The key of a payload.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with CMS code 78 (empty), 75 (too long) or 79 (not printable ASCII).
    pub fn decode(payload: &[u8]) -> Result<Self, Invalid> {
        if payload.is_empty() {
            return Err(Invalid::new(CmsCode::ServiceParameterMissing, "key", "is empty"));
        }
        if payload.len() > CONFIG_KEY_BYTES_MAX {
            let reason = format!("{} bytes, at most {CONFIG_KEY_BYTES_MAX} are allowed", payload.len());
            return Err(Invalid::new(CmsCode::ParameterNameTooLong, "key", reason));
        }
        match std::str::from_utf8(payload) {
            Ok(key) if key.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(Self(key.to_owned())),
            _ => {
                Err(Invalid::new(CmsCode::BadServiceParameter, "key", "has other than printable characters"))
            }
        }
    }

    /// The key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

//! JSON and bytes in one payload.

use serde::{Serialize, de::DeserializeOwned};

use super::limits::Invalid;

/// Most bytes of the JSON in a parcel.
const HEAD_BYTES_MAX: usize = 256 * 1024;

/// A payload of a little-endian `u32`, that many bytes of JSON, and bytes that are not JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel<'a, T> {
    /// What the JSON says.
    pub head: T,
    /// What follows it.
    pub bytes: &'a [u8],
}

/// Why a payload is no parcel.
#[derive(Debug, thiserror::Error)]
pub enum ParcelError {
    /// The length goes beyond the payload.
    #[error("the payload of {bytes} bytes is shorter than the JSON that it announces")]
    Short {
        /// Bytes of the payload.
        bytes: usize,
    },
    /// The JSON is not of the shape.
    #[error("the JSON of the payload is not understood")]
    Json(#[source] serde_json::Error),
}

impl ParcelError {
    /// The same as a service says it that does not take the payload.
    #[must_use]
    pub fn to_invalid(&self, code: impl Into<u32>) -> Invalid {
        let cause = std::error::Error::source(self).map_or_else(String::new, |source| format!(": {source}"));
        let reason =
            format!("{self}{cause}; it is a u32 (little endian), so many bytes of JSON, and what follows");
        Invalid::new(code, "request", reason)
    }
}

impl<'a, T: DeserializeOwned> Parcel<'a, T> {
    /// Takes a payload apart.
    ///
    /// # Errors
    ///
    /// [`ParcelError`].
    pub fn decode(payload: &'a [u8]) -> Result<Self, ParcelError> {
        let short = || ParcelError::Short { bytes: payload.len() };
        let (length, rest) = payload.split_first_chunk::<4>().ok_or_else(short)?;
        let length = u32::from_le_bytes(*length) as usize;
        if length > HEAD_BYTES_MAX {
            return Err(short());
        }
        let (head, bytes) = rest.split_at_checked(length).ok_or_else(short)?;
        let head = serde_json::from_slice(head).map_err(ParcelError::Json)?;
        Ok(Self { head, bytes })
    }
}

impl<T: Serialize> Parcel<'_, T> {
    /// The payload.
    ///
    /// # Errors
    ///
    /// [`ParcelError::Json`] when the head can not be written as JSON or is longer than 256 KiB.
    pub fn encode(&self) -> Result<Vec<u8>, ParcelError> {
        let head = serde_json::to_vec(&self.head).map_err(ParcelError::Json)?;
        let length = u32::try_from(head.len()).ok().filter(|length| *length as usize <= HEAD_BYTES_MAX);
        let length = length.ok_or(ParcelError::Short { bytes: HEAD_BYTES_MAX })?;
        let mut payload = Vec::with_capacity(4 + head.len() + self.bytes.len());
        payload.extend_from_slice(&length.to_le_bytes());
        payload.extend_from_slice(&head);
        payload.extend_from_slice(self.bytes);
        Ok(payload)
    }
}

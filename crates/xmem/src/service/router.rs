//! ROUTER (64, 65): a service of a plug-in.

use super::limits::Invalid;
use crate::code::RouterCode;

/// Bytes before the payload.
pub const ROUTER_HEADER_BYTES: usize = 32;
const NAME_BYTES_MAX: usize = 16;

/// A call for a plug-in: 16 bytes plug-in, 16 bytes service (both filled with blanks), payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterCall<'a> {
    /// Plug-in.
    pub plugin: String,
    /// Service.
    pub service: String,
    /// What the service gets.
    pub payload: &'a [u8],
}

impl<'a> RouterCall<'a> {
    /// Takes a payload apart.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with router code 12.
    pub fn decode(payload: &'a [u8]) -> Result<Self, Invalid> {
        let bad = |field, reason: &str| Invalid::new(RouterCode::BadRequest, field, reason);
        let (plugin, rest) =
            payload.split_first_chunk::<NAME_BYTES_MAX>().ok_or_else(|| bad("plug-in", "is not whole"))?;
        let (service, payload) =
            rest.split_first_chunk::<NAME_BYTES_MAX>().ok_or_else(|| bad("service", "is not whole"))?;
        let plugin =
            name(plugin).ok_or_else(|| bad("plug-in", "is not a name of 1 to 16 printable characters"))?;
        let service =
            name(service).ok_or_else(|| bad("service", "is not a name of 1 to 16 printable characters"))?;
        Ok(Self { plugin, service, payload })
    }

    /// The payload of the call.
    ///
    /// # Errors
    ///
    /// [`Invalid`] as [`RouterCall::decode`].
    pub fn encode(&self) -> Result<Vec<u8>, Invalid> {
        let mut bytes = Vec::with_capacity(ROUTER_HEADER_BYTES + self.payload.len());
        for (field, name) in [("plug-in", &self.plugin), ("service", &self.service)] {
            if name.len() > NAME_BYTES_MAX {
                return Err(Invalid::new(RouterCode::BadRequest, field, "is longer than 16 characters"));
            }
            bytes.extend_from_slice(name.as_bytes());
            bytes.resize(bytes.len().next_multiple_of(NAME_BYTES_MAX).max(NAME_BYTES_MAX), b' ');
        }
        bytes.extend_from_slice(self.payload);
        RouterCall::decode(&bytes)?;
        Ok(bytes)
    }
}

/// A name without the blanks (or NULs) that fill it up.
fn name(bytes: &[u8; NAME_BYTES_MAX]) -> Option<String> {
    let end = bytes.iter().rposition(|byte| !matches!(byte, b' ' | 0))? + 1;
    let name = bytes.get(..end)?;
    let printable = name.iter().all(u8::is_ascii_graphic);
    printable.then(|| String::from_utf8_lossy(name).into_owned())
}

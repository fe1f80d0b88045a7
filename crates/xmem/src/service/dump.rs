//! DUMP (2): bytes for the server's log.

use super::limits::Invalid;
use crate::code::CmsCode;

/// Most bytes of the description.
pub const DUMP_DESCRIPTION_BYTES_MAX: usize = 255;
/// Most bytes that are printed; what is beyond is counted.
pub const DUMP_BYTES_PRINTED_MAX: usize = 512;

/// A DUMP request: `u16` length of the description, description, bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dump<'a> {
    /// What the bytes are, control characters escaped.
    pub description: String,
    /// The bytes.
    pub bytes: &'a [u8],
}

impl<'a> Dump<'a> {
    /// Takes a payload apart; a length that goes beyond the payload is refused.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with CMS code 78 or 41.
    pub fn decode(payload: &'a [u8]) -> Result<Self, Invalid> {
        let missing = || Invalid::new(CmsCode::ServiceParameterMissing, "description", "is not whole");
        let (length, rest) = payload.split_first_chunk::<2>().ok_or_else(missing)?;
        let (description, bytes) =
            rest.split_at_checked(usize::from(u16::from_le_bytes(*length))).ok_or_else(missing)?;
        if description.len() > DUMP_DESCRIPTION_BYTES_MAX {
            let reason =
                format!("{} bytes, at most {DUMP_DESCRIPTION_BYTES_MAX} are allowed", description.len());
            return Err(Invalid::new(CmsCode::MessageTooLong, "description", reason));
        }
        Ok(Self { description: super::log::escape(&String::from_utf8_lossy(description)), bytes })
    }

    /// The payload for a description and bytes.
    ///
    /// # Errors
    ///
    /// [`Invalid`] as [`Dump::decode`].
    pub fn encode(description: &str, bytes: &[u8]) -> Result<Vec<u8>, Invalid> {
        let length = u16::try_from(description.len()).unwrap_or(u16::MAX);
        let mut payload = Vec::with_capacity(2 + description.len() + bytes.len());
        payload.extend_from_slice(&length.to_le_bytes());
        payload.extend_from_slice(description.as_bytes());
        payload.extend_from_slice(bytes);
        Dump::decode(&payload)?;
        Ok(payload)
    }

    /// What is printed: 16 bytes a line, offset, hexadecimal, printable characters.
    pub fn lines(&self) -> impl Iterator<Item = String> + use<'a> {
        let printed = self.bytes.get(..DUMP_BYTES_PRINTED_MAX).unwrap_or(self.bytes);
        printed.chunks(16).enumerate().map(|(line, chunk)| {
            let hex: Vec<String> =
                chunk.chunks(4).map(|word| word.iter().map(|byte| format!("{byte:02X}")).collect()).collect();
            let text: String = chunk
                .iter()
                .map(|byte| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' })
                .collect();
            format!("{:08X}  {:<35}  {text}", line * 16, hex.join(" "))
        })
    }
}

//! PLACE (24): a file put into a slot that belongs to root.

use serde::{Deserialize, Serialize};

use super::limits::{Invalid, present};
use super::{Request, ServiceId};
use crate::code::PlaceCode;

/// Most bytes of a file: what one payload can carry beside the description.
pub const PLACE_BYTES_MAX: usize = 15 * 1024 * 1024;
const SLOT_BYTES_MAX: usize = 64;
const NAME_BYTES_MAX: usize = 1024;

/// Where the file goes. The payload is a [`super::Parcel`] of this and the file's bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Name of the slot, a directory below `ZWES.PLACE.ROOT`.
    pub slot: String,
    /// Path below it: plain names with `/` between them.
    pub name: String,
    /// Permission bits, at most 0755: no set-uid, no group or other writing.
    pub mode: u32,
    /// BLAKE3 digest of the bytes in hexadecimal, compared before anything is written.
    pub digest: String,
    /// Digest of the file that is to be replaced: without it the file must not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
}

/// Where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// Its path on this host.
    pub path: String,
    /// Whether it was there already, with these bytes.
    pub unchanged: bool,
}

impl Request for Place {
    const SERVICE: ServiceId = ServiceId::Place;
    const EXAMPLES: &'static [&'static str] = &[
        r#"{"slot": "SLOT", "name": "file", "mode": 420, "digest": "0000000000000000000000000000000000000000000000000000000000000000"}"#,
    ];
    type Answer = Placed;

    fn validate(&self) -> Result<(), Invalid> {
        let (empty, long) = (PlaceCode::Empty, PlaceCode::TooLong);
        present(&self.slot, SLOT_BYTES_MAX, "slot", empty, long)?;
        present(&self.name, NAME_BYTES_MAX, "name", empty, long)?;
        if self.slot.contains('/') || !plain(&self.slot) {
            return Err(Invalid::new(PlaceCode::Name, "slot", "is not a plain name"));
        }
        if !self.name.split('/').all(plain) {
            return Err(Invalid::new(PlaceCode::Name, "name", "is not a path of plain names"));
        }
        if self.mode & !0o755 != 0 {
            return Err(Invalid::new(PlaceCode::Mode, "mode", "has a bit beyond 0755"));
        }
        digest(&self.digest, "digest")?;
        self.replaces.as_deref().map_or(Ok(()), |replaces| digest(replaces, "replaces"))
    }
}

fn plain(name: &str) -> bool {
    !name.is_empty() && name.len() <= 255 && name != "." && name != ".."
}

fn digest(value: &str, field: &'static str) -> Result<(), Invalid> {
    let hex = value.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    if value.len() != 64 || !hex {
        return Err(Invalid::new(PlaceCode::Digest, field, "is not 64 lower-case hexadecimal digits"));
    }
    Ok(())
}

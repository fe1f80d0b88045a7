//! INSPECT (12): memory of another process.

use serde::{Deserialize, Serialize};

use super::limits::Invalid;
use super::{Request, ServiceId};
use crate::code::InspectCode;

/// Most bytes of one request.
pub const INSPECT_BYTES_MAX: u32 = 65_536;

/// Which bytes of which process. The answer is a [`super::Parcel`] of [`Inspected`] and the bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inspect {
    /// Process, as the server's pid namespace numbers it.
    pub pid: u32,
    /// First address.
    pub address: u64,
    /// How many bytes, 1 to 65536.
    pub length: u32,
}

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspected {
    /// The process's program.
    pub program: String,
    /// Its uid.
    pub uid: u32,
    /// Bytes that follow; fewer than asked for when the mapping ends before.
    pub length: u32,
}

impl Request for Inspect {
    const SERVICE: ServiceId = ServiceId::Inspect;
    const EXAMPLES: &'static [&'static str] = &[r#"{"pid": 4711, "address": 4096, "length": 64}"#];
    type Answer = Inspected;

    fn validate(&self) -> Result<(), Invalid> {
        if self.pid == 0 || i32::try_from(self.pid).is_err() {
            return Err(Invalid::new(InspectCode::NoProcess, "pid", "is no process"));
        }
        if self.length == 0 || self.length > INSPECT_BYTES_MAX {
            let reason = format!("{} is not within 1 to {INSPECT_BYTES_MAX}", self.length);
            return Err(Invalid::new(InspectCode::Size, "length", reason));
        }
        if self.address.checked_add(u64::from(self.length)).is_none() {
            return Err(Invalid::new(
                InspectCode::Size,
                "address",
                "the range goes beyond the address space",
            ));
        }
        Ok(())
    }
}

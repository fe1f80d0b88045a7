//! What a plug-in's functions are given.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::under_way::Cancelled;
use super::{Anchors, Caller, Start};
use crate::frame::{Header, Kind};
use crate::socket::{Connection, SocketError};

/// Bytes of an anchor.
const ANCHOR_BYTES: usize = 64;

/// One call of a service.
#[derive(Debug)]
pub struct Invocation<'a> {
    pub(super) caller: &'a Caller,
    pub(super) request: &'a [u8],
    pub(super) deadline: Option<Instant>,
    pub(super) cancelled: Cancelled,
}

impl Invocation<'_> {
    /// What the caller sent.
    #[must_use]
    pub const fn request(&self) -> &[u8] {
        self.request
    }

    /// Who calls; from the kernel and the server, not from the caller.
    #[must_use]
    pub const fn caller(&self) -> &Caller {
        self.caller
    }

    /// When the caller stops waiting.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether the caller has stopped waiting: it cancelled the call, its deadline passed, or it is gone. What takes long
    /// asks now and then and gives up; the answer, whatever it is, reaches nobody.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.is_set()
    }
}

/// A service's refusal: its code (33 and above; what is below becomes 4) and what the caller is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub(super) code: u32,
    pub(super) payload: Vec<u8>,
}

impl Failure {
    /// A refusal with this code.
    #[must_use]
    pub fn new(code: u32, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            code: if code < 33 { crate::code::RouterCode::ServiceFailed.number() } else { code },
            payload: payload.into(),
        }
    }
}

impl From<u32> for Failure {
    fn from(code: u32) -> Self {
        Self::new(code, Vec::new())
    }
}

/// What the server gives a plug-in at its start.
#[derive(Debug)]
pub struct Startup {
    pub(super) start: Start,
    pub(super) parameter: String,
    pub(super) keeper: Keeper,
}

impl Startup {
    /// Name of the server.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.start.server
    }

    /// PARMLIB's parameters for this plug-in.
    #[must_use]
    pub const fn parameters(&self) -> &BTreeMap<String, String> {
        &self.start.parameters
    }

    /// What stands behind the module in the start string.
    #[must_use]
    pub fn parameter(&self) -> &str {
        &self.parameter
    }

    /// The 64 bytes that were kept for a service, or for the plug-in under the empty name.
    #[must_use]
    pub fn anchor(&self, service: &str) -> Option<[u8; ANCHOR_BYTES]> {
        from_hex(self.start.anchors.get(service)?)
    }

    /// Keeps anchors; may be cloned and used at any time.
    #[must_use]
    pub fn keeper(&self) -> Keeper {
        self.keeper.clone()
    }
}

/// Keeps 64 bytes for the next start.
#[derive(Clone, Debug)]
pub struct Keeper {
    pub(super) control: Arc<Connection>,
    pub(super) anchors: Arc<Mutex<Anchors>>,
}

impl Keeper {
    /// Keeps these bytes for a service, or for the plug-in under the empty name.
    ///
    /// # Errors
    ///
    /// [`SocketError`]: the server is gone, or does not read.
    pub fn keep(&self, service: &str, bytes: &[u8; ANCHOR_BYTES]) -> Result<(), SocketError> {
        let mut anchors = self.anchors.lock().unwrap_or_else(PoisonError::into_inner);
        anchors.insert(service.to_owned(), to_hex(bytes));
        let payload = serde_json::to_vec(&*anchors).map_err(|error| SocketError::Io(error.into()))?;
        self.control.send(&Header::new(Kind::Anchor, 0), &payload, &[])
    }
}

fn to_hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

fn from_hex(digits: &str) -> Option<[u8; ANCHOR_BYTES]> {
    let digits: Vec<u8> = digits
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
    if rest.is_empty() { bytes.try_into().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::{Failure, from_hex, to_hex};

    #[test]
    fn anchor_there_and_back_is_the_same() {
        let bytes: [u8; 64] = std::array::from_fn(|index| index as u8 * 3);
        assert_eq!(from_hex(&to_hex(&bytes)), Some(bytes));
        assert_eq!(from_hex("00"), None);
        assert_eq!(from_hex(&"zz".repeat(64)), None);
        assert_eq!(from_hex(&"0".repeat(127)), None);
    }

    #[test]
    fn failure_with_a_code_of_the_router_becomes_4() {
        assert_eq!(Failure::from(17).code, 4);
        assert_eq!(Failure::from(33).code, 33);
    }
}

//! LOG (1): a line for the server's log. The server stamps time, connection, uid and program.

use super::limits::Invalid;
use crate::code::CmsCode;

/// Most bytes of a line.
pub const LOG_BYTES_MAX: usize = 4096;

/// The text of a LOG request. Bytes that are not UTF-8 are shown as replacement characters; control characters are
/// escaped by whoever prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogText(String);

impl LogText {
    /// The text of a payload.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with CMS code 41 (the outcome of services 1 to 4 is the CMS code) when it is too long.
    pub fn decode(payload: &[u8]) -> Result<Self, Invalid> {
        if payload.len() > LOG_BYTES_MAX {
            let reason = format!("{} bytes, at most {LOG_BYTES_MAX} are allowed", payload.len());
            return Err(Invalid::new(CmsCode::MessageTooLong, "text", reason));
        }
        Ok(Self(String::from_utf8_lossy(payload).into_owned()))
    }

    /// The text as it was sent.
    #[must_use]
    pub fn raw(&self) -> &str {
        &self.0
    }

    /// The text with control characters (also those that reorder text) and `\` escaped: one line that can not pretend
    /// to be several.
    #[must_use]
    pub fn escaped(&self) -> String {
        escape(&self.0)
    }
}

/// See [`LogText::escaped`].
pub(super) fn escape(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        let reorders =
            matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if character.is_control() || reorders || character == '\\' {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

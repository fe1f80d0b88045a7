//! The sixteen characters.

use aws_lc_rs::{constant_time, digest, hmac};

use crate::name::{ApplicationName, UserName};

/// Characters, each worth its place.
const ALPHABET: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
/// Characters of a ticket.
const LENGTH: usize = 16;
/// Characters of the time.
const TIME: usize = 3;
/// Characters of the number.
const NUMBER: usize = 2;
/// Where the authenticator begins.
const AUTHENTICATOR: usize = TIME + NUMBER;
/// Seconds after which times repeat.
const TIMES: u64 = 36_u64.pow(3);
/// Numbers of one second.
pub(super) const NUMBERS: u64 = 36_u64.pow(2);
/// Authenticators.
const AUTHENTICATORS: u128 = 36_u128.pow(11);

/// A ticket as text.
#[derive(Clone, Copy)]
pub(super) struct Code([u8; LENGTH]);

impl Code {
    /// Makes the ticket of a second and number.
    pub(super) fn make(
        key: &hmac::Key,
        application: &ApplicationName,
        user: &UserName,
        at_s: u64,
        number: u64,
    ) -> Self {
        let mut code = [0; LENGTH];
        write(&mut code[..TIME], u128::from(at_s % TIMES));
        write(&mut code[TIME..AUTHENTICATOR], u128::from(number % NUMBERS));
        code[AUTHENTICATOR..].copy_from_slice(&authenticator(key, application, user, at_s, number));
        Self(code)
    }

    /// Reads a ticket; there is one spelling of each.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let code: [u8; LENGTH] = text.as_bytes().try_into().ok()?;
        code.iter().all(|byte| ALPHABET.contains(byte)).then_some(Self(code))
    }

    /// Returns the characters.
    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("only letters and digits of ASCII")
    }

    /// Returns the second of issue that is nearest to now.
    pub(super) fn issued_s(&self, now_s: u64) -> Option<u64> {
        let time = u64::try_from(read(&self.0[..TIME])).ok()?;
        let ahead = (time + TIMES - now_s % TIMES) % TIMES;
        if ahead <= TIMES / 2 { now_s.checked_add(ahead) } else { now_s.checked_sub(TIMES - ahead) }
    }

    /// Returns whether it was made for this application, user and second; takes as long whatever is wrong.
    pub(super) fn is_right(
        &self,
        key: &hmac::Key,
        application: &ApplicationName,
        user: &UserName,
        at_s: u64,
    ) -> bool {
        let number = u64::try_from(read(&self.0[TIME..AUTHENTICATOR])).unwrap_or(u64::MAX);
        let wanted = authenticator(key, application, user, at_s, number);
        constant_time::verify_slices_are_equal(&wanted, &self.0[AUTHENTICATOR..]).is_ok()
    }

    /// Returns what tells this ticket from every other for good.
    pub(super) fn id(&self, application: &ApplicationName, user: &UserName, at_s: u64) -> [u8; 16] {
        let mut message = context(b"tender ticket used 1", application, user, at_s);
        message.extend_from_slice(&self.0);
        let digest = digest::digest(&digest::SHA256, &message);
        digest.as_ref()[..16].try_into().expect("a digest has 32 bytes")
    }
}

fn authenticator(
    key: &hmac::Key,
    application: &ApplicationName,
    user: &UserName,
    at_s: u64,
    number: u64,
) -> [u8; LENGTH - AUTHENTICATOR] {
    let mut message = context(b"tender ticket 1", application, user, at_s);
    message.extend_from_slice(&number.to_be_bytes());
    let tag = hmac::sign(key, &message);
    let first: [u8; 16] = tag.as_ref()[..16].try_into().expect("a tag has 32 bytes");
    let mut text = [0; LENGTH - AUTHENTICATOR];
    // 2¹²⁸ is so much more than 36¹¹ that the remainder prefers no authenticator noticeably.
    write(&mut text, u128::from_be_bytes(first) % AUTHENTICATORS);
    text
}

/// Puts together what an authenticator is about; lengths come first, so that no two read the same.
fn context(label: &[u8], application: &ApplicationName, user: &UserName, at_s: u64) -> Vec<u8> {
    let mut message = Vec::with_capacity(96);
    for part in [label, application.as_str().as_bytes(), user.as_str().as_bytes()] {
        message.extend_from_slice(&(part.len() as u64).to_be_bytes());
        message.extend_from_slice(part);
    }
    message.extend_from_slice(&at_s.to_be_bytes());
    message
}

/// Writes a number with as many characters as there is room for.
fn write(text: &mut [u8], mut number: u128) {
    for place in text.iter_mut().rev() {
        let digit = usize::try_from(number % 36).expect("a remainder of 36");
        *place = ALPHABET[digit];
        number /= 36;
    }
}

fn read(text: &[u8]) -> u128 {
    let digit = |byte: u8| if byte.is_ascii_digit() { byte - b'0' } else { byte - b'A' + 10 };
    text.iter().fold(0, |number, byte| number * 36 + u128::from(digit(*byte)))
}

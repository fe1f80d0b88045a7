//! The path of a request, looked at before anything is looked up.
//!
//! Nothing is decoded: what a service gets is what the client sent, byte for byte. So it is refused here what some service
//! would understand as another path than the one that was looked up.

use std::borrow::Cow;

/// Why a path goes nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadPath {
    #[error("it does not begin with a slash")]
    NoSlash,
    #[error("it holds `.` or `..` as a step, plain or encoded")]
    Steps,
    #[error("it holds a backslash, a control character or a percent sign that encodes nothing")]
    Characters,
}

/// Checks a path as it came.
pub(crate) fn check(path: &str) -> Result<(), BadPath> {
    if !path.starts_with('/') {
        return Err(BadPath::NoSlash);
    }
    if is_plain(path) {
        return Ok(());
    }
    if !is_encoded_well(path) {
        return Err(BadPath::Characters);
    }
    // Everything that one service or another takes for the end of a step.
    let is_end = |byte: &u8| matches!(byte, b'/' | b'\\' | b';' | b'?');
    // Without a percent sign this is the path itself.
    let decoded: Cow<'_, [u8]> = percent_encoding::percent_decode_str(path).into();
    let is_dots = |step: &[u8]| matches!(step, b"." | b"..");
    if decoded.split(is_end).any(is_dots) {
        return Err(BadPath::Steps);
    }
    Ok(())
}

/// Says whether a path holds nothing but letters, digits and signs that mean the same everywhere, and no step begins with a
/// dot: so do most.
fn is_plain(path: &str) -> bool {
    let mut last = 0;
    path.bytes().all(|byte| {
        let is_plain = byte.is_ascii_alphanumeric()
            || matches!(byte, b'/' | b'-' | b'_' | b'~')
            || (byte == b'.' && last != b'/');
        last = byte;
        is_plain
    })
}

/// Says whether a path holds an encoded slash.
pub(crate) fn has_encoded_slash(path: &str) -> bool {
    path.as_bytes().windows(3).any(|three| three.eq_ignore_ascii_case(b"%2f"))
}

/// Says whether a path holds a character that some services forbid.
pub(crate) fn has_encoded_character(path: &str) -> bool {
    path.bytes().any(|byte| matches!(byte, b'%' | b';' | b'\\'))
}

fn is_encoded_well(path: &str) -> bool {
    let bytes = path.as_bytes();
    bytes.iter().enumerate().all(|(at, byte)| match byte {
        b'%' => {
            let code = bytes.get(at + 1..at + 3);
            let code = code.and_then(|code| std::str::from_utf8(code).ok());
            let code = code.and_then(|code| u8::from_str_radix(code, 16).ok());
            code.is_some_and(|code| !code.is_ascii_control())
        }
        b'\\' => false,
        other => !other.is_ascii_control(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_data_sets_pass_as_they_are() {
        for path in [
            "/",
            "/a/b",
            "/zosmf/ds/'A.B(C)'",
            "/a/%23x",
            "/a/a%2Fb",
            "/a/$x",
            "/a/.../b",
            "/a./b.c/d..",
            "/a/.b/..c",
            "/a;b=c/d",
        ] {
            assert_eq!(check(path), Ok(()), "{path}");
        }
    }

    #[test]
    fn steps_that_lead_elsewhere_are_refused_however_they_are_written() {
        for path in [
            "/a/../b",
            "/a/..",
            "/./a",
            "/a/%2e%2E/b",
            "/a/.%2e/b",
            "/a%2f..%2fb",
            "/a/..;x=y/b",
            "/a/%2e",
            "/a%3b../%2e%2e%3bx/b",
        ] {
            assert_eq!(check(path), Err(BadPath::Steps), "{path}");
        }
        for path in ["/a\\..\\b", "/a/%00", "/a/%0d%0aX", "/a/%zz", "/a/%2", "/a/%+1", "/a\u{7f}"] {
            assert_eq!(check(path), Err(BadPath::Characters), "{path}");
        }
        assert_eq!(check("a/b"), Err(BadPath::NoSlash));
    }
}

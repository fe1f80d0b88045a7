//! Values by their kind.

use std::path::{Component, Path};

use super::name::ServerName;
use super::ranges::Ranges;
use super::table::Kind;

/// Says whether a value is one of a kind; an empty one is one of a flag only.
pub(super) fn fits(kind: Kind, value: &str) -> Result<(), String> {
    let is_one = match kind {
        Kind::Flag => value.is_empty(),
        Kind::Choice => ["YES", "NO"].contains(&value),
        Kind::Number { min, max } => number(value).is_some_and(|number| (min..=max).contains(&number)),
        Kind::Server => value.parse::<ServerName>().is_ok(),
        Kind::Module | Kind::Class => is_short_name(value),
        Kind::User => is_user(value),
        Kind::Path => is_plain_path(value),
        Kind::Directories => value.split(':').all(is_plain_path),
        Kind::Ranges { min, max } => {
            return Ranges::parse(value, min, max)
                .map(drop)
                .map_err(|fault| format!("{}: {fault}", kind.expected()));
        }
        Kind::Text => true,
    };
    if is_one { Ok(()) } else { Err(kind.expected()) }
}

/// Reads digits, and nothing else.
pub(super) fn number(value: &str) -> Option<u64> {
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| value.parse().ok()).flatten()
}

fn is_short_name(value: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_uppercase() || b"$#@".contains(&byte);
    value.len() <= 8
        && value.bytes().next().is_some_and(is_letter)
        && value.bytes().all(|byte| is_letter(byte) || byte.is_ascii_digit())
}

/// Says whether a value names a user, by name or by a number that is not root's.
fn is_user(value: &str) -> bool {
    if value.bytes().all(|byte| byte.is_ascii_digit()) {
        return number(value).is_some_and(|number| (1..=u64::from(super::table::UID_MAX)).contains(&number));
    }
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    value.len() <= 32
        && value.bytes().next().is_some_and(is_letter)
        && value.bytes().all(|byte| is_letter(byte) || byte.is_ascii_digit() || byte == b'-')
}

/// Says whether a path is absolute, leads only downwards and is not the root itself.
fn is_plain_path(value: &str) -> bool {
    let mut components = Path::new(value).components();
    components.next() == Some(Component::RootDir)
        && components.clone().next().is_some()
        && components.all(|component| matches!(component, Component::Normal(_)))
        && !value.split('/').any(|part| part == ".")
}

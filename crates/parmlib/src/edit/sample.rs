//! What a plug-in wants in the member.

use super::Change;
use crate::member::Member;

/// Says why a sample cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SampleError {
    /// A value names a variable that is not there.
    #[error("{key}: variable {variable} is not defined")]
    Variable {
        /// The key.
        key: String,
        /// The variable.
        variable: String,
    },
}

/// Makes changes of the lines of a plug-in's sample member.
///
/// A value that is `$NAME` as a whole is taken from a variable. Keys of `lists` get what they have not; all others are set.
pub fn changes_of_sample(
    sample: &Member,
    lists: &[&str],
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Vec<Change>, SampleError> {
    let mut changes = Vec::new();
    for parameter in sample.parameters() {
        let key = parameter.key.clone();
        let written = parameter.value.clone().unwrap_or_default();
        let value = match variable_name(&written) {
            Some(name) => variable(name)
                .ok_or_else(|| SampleError::Variable { key: key.clone(), variable: name.to_owned() })?,
            None => written,
        };
        changes.push(if lists.contains(&key.as_str()) {
            Change::Append { key, value }
        } else {
            Change::Set { key, value }
        });
    }
    Ok(changes)
}

/// Returns the name in `$NAME`: capitals, digits and `_`.
fn variable_name(value: &str) -> Option<&str> {
    let name = value.strip_prefix('$')?;
    let is_of_a_name = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    (!name.is_empty() && name.bytes().all(is_of_a_name)).then_some(name)
}

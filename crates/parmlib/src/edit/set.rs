//! Setting keys.

use super::document::Document;
use super::{EditError, Edited, KeyChange, KeyChangeKind};

/// What is to be done with one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It gets this value.
    Set {
        /// The key.
        key: String,
        /// Its value; an empty one makes a flag.
        value: String,
    },
    /// Its value is a list separated by commas, which gets these items unless it has them.
    Append {
        /// The key.
        key: String,
        /// One item, or several separated by commas.
        value: String,
    },
}

/// Carries changes out, one after the other. What is there already is left alone, so doing it twice changes nothing.
///
/// A key that stands there several times is changed where it counts, in its last line; a new one comes at the end.
pub fn set(text: &str, changes: &[Change]) -> Result<Edited, EditError> {
    let mut document = Document::parse("edited", text)?;
    let mut told = Vec::new();
    for change in changes {
        let (key, value) = match change {
            Change::Set { key, value } => (key, value.clone()),
            Change::Append { key, value } => (key, appended(document.value(key), value)),
        };
        if let Some(kind) = set_one(&mut document, key, &value)? {
            told.push(KeyChange { key: key.clone(), kind });
        }
    }
    let text = if told.is_empty() { text.to_owned() } else { document.text() };
    Ok(Edited { text, changes: told })
}

/// Gives one key a value; returns what changed, if anything did.
pub(super) fn set_one(
    document: &mut Document,
    key: &str,
    value: &str,
) -> Result<Option<KeyChangeKind>, EditError> {
    let Some(position) = document.position(key) else {
        let (end, statement) = (document.end(), document.statement(key, value)?);
        document.pieces.insert(end, statement);
        return Ok(Some(KeyChangeKind::Added { value: value.to_owned() }));
    };
    let before = document.value(key).unwrap_or_default().to_owned();
    if before == value {
        return Ok(None);
    }
    document.replace(position, value)?;
    Ok(Some(KeyChangeKind::Updated { before, value: value.to_owned() }))
}

fn appended(present: Option<&str>, more: &str) -> String {
    let mut items: Vec<&str> =
        present.unwrap_or_default().split(',').map(str::trim).filter(|item| !item.is_empty()).collect();
    for item in more.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        if !items.contains(&item) {
            items.push(item);
        }
    }
    let joined = items.join(",");
    // Blanks between items are the administrator's; they stay as long as no item is added.
    match present {
        Some(present) if present.split(',').map(str::trim).filter(|item| !item.is_empty()).eq(items) => {
            present.to_owned()
        }
        _ => joined,
    }
}

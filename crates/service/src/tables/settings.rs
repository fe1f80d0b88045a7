//! Settings of the principal, each with a default.

use rusqlite::{Connection, OptionalExtension as _};

use crate::error::{ServiceError, TablesContext};

/// A setting: its key, and its value when nobody set it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    /// Its key.
    pub(crate) key: &'static str,
    /// Its value when nobody set it.
    pub(crate) default: u32,
}

/// Most managed systems of one principal; the seed's number, not a wall.
pub(crate) const SYSTEMS_MAX: Setting = Setting { key: "systems_max", default: 54 };
/// Most systems a group verb works on at once.
pub(crate) const PARALLEL_MAX: Setting = Setting { key: "parallel_max", default: 4 };

/// Every setting.
pub(crate) const ALL: [Setting; 2] = [SYSTEMS_MAX, PARALLEL_MAX];

/// Reads a setting.
pub(crate) fn read(tables: &Connection, setting: Setting) -> Result<u32, ServiceError> {
    tables
        .query_row("SELECT CAST(value AS INTEGER) FROM setting WHERE key = ?1", [setting.key], |row| {
            row.get(0)
        })
        .optional()
        .doing("reading the settings")
        .map(|value| value.unwrap_or(setting.default))
}

/// Changes a setting.
pub(crate) fn write(tables: &Connection, setting: Setting, value: u32) -> Result<(), ServiceError> {
    tables
        .execute(
            "INSERT OR REPLACE INTO setting (key, value) VALUES (?1, ?2)",
            [setting.key.to_owned(), value.to_string()],
        )
        .doing("writing the settings")
        .map(drop)
}

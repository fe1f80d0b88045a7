//! Package generations.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use tender_content::Digest;
use tender_package::{LevelManifest, LevelName, Vrm};

use super::{json, parse, parse_json};
use crate::error::{ServiceError, TablesContext};

/// One generation of a level's package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PackageRow {
    /// Identity of the content it carries.
    pub(crate) content: Digest,
    /// Everything in it.
    pub(crate) manifest: LevelManifest,
    /// Bytes of its servlinks.
    pub(crate) bytes: u64,
    /// When it was made.
    pub(crate) made: Timestamp,
    /// Whether a system loaded it for testing.
    pub(crate) is_tested: bool,
}

fn package_of(row: &Row<'_>) -> Result<PackageRow, rusqlite::Error> {
    let bytes: i64 = row.get(2)?;
    Ok(PackageRow {
        content: parse(row, 0)?,
        manifest: parse_json(row, 1)?,
        bytes: bytes.unsigned_abs(),
        made: parse(row, 3)?,
        is_tested: row.get(4)?,
    })
}

/// Finds a generation.
pub(crate) fn find(
    tables: &Connection,
    vrm: &Vrm,
    level: &LevelName,
    generation: u32,
) -> Result<Option<PackageRow>, ServiceError> {
    tables
        .query_row(
            "SELECT content, manifest, bytes, made, is_tested FROM package
             WHERE vrm = ?1 AND level = ?2 AND generation = ?3",
            params![vrm.as_str(), level.as_str(), generation],
            package_of,
        )
        .optional()
        .doing("reading the packages")
}

/// Records a generation.
pub(crate) fn insert(tables: &Connection, package: &PackageRow) -> Result<(), ServiceError> {
    let level = &package.manifest.level;
    tables
        .execute(
            "INSERT OR REPLACE INTO package (vrm, level, generation, content, manifest, bytes, made, is_tested)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                level.vrm.as_str(),
                level.level.as_str(),
                level.generation,
                package.content.to_hex(),
                json(&package.manifest),
                i64::try_from(package.bytes).unwrap_or(i64::MAX),
                package.made.to_string(),
                package.is_tested
            ],
        )
        .doing("recording the package")
        .map(drop)
}

/// Records that a generation was loaded for testing.
pub(crate) fn set_tested(
    tables: &Connection,
    vrm: &Vrm,
    level: &LevelName,
    generation: u32,
) -> Result<(), ServiceError> {
    tables
        .execute(
            "UPDATE package SET is_tested = 1 WHERE vrm = ?1 AND level = ?2 AND generation = ?3",
            params![vrm.as_str(), level.as_str(), generation],
        )
        .doing("recording the test")
        .map(drop)
}

/// Remembers, before the first step, which generation is being made of which content and when it was begun: a rerun
/// after a kill then makes the very same package.
pub(crate) fn begin(
    tables: &Connection,
    vrm: &Vrm,
    level: &LevelName,
    generation: u32,
    content: &Digest,
    now: Timestamp,
) -> Result<Timestamp, ServiceError> {
    const DOING: &str = "beginning the package";
    let begun = tables
        .query_row(
            "SELECT made FROM packaging WHERE vrm = ?1 AND level = ?2 AND generation = ?3 AND content = ?4",
            params![vrm.as_str(), level.as_str(), generation, content.to_hex()],
            |row| parse(row, 0),
        )
        .optional()
        .doing(DOING)?;
    if let Some(made) = begun {
        return Ok(made);
    }
    tables
        .execute(
            "INSERT OR REPLACE INTO packaging (vrm, level, generation, content, made) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![vrm.as_str(), level.as_str(), generation, content.to_hex(), now.to_string()],
        )
        .doing(DOING)?;
    Ok(now)
}

/// Forgets what [`begin`] remembered.
pub(crate) fn end(tables: &Connection, vrm: &Vrm, level: &LevelName) -> Result<(), ServiceError> {
    tables
        .execute("DELETE FROM packaging WHERE vrm = ?1 AND level = ?2", [vrm.as_str(), level.as_str()])
        .doing("ending the package")
        .map(drop)
}

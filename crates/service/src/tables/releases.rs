//! Releases and the components of their BASE.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _};
use tender_content::Digest;
use tender_package::{ComponentName, Vrm};

use super::{collect, parse};
use crate::error::{ServiceError, TablesContext};

/// A release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReleaseRow {
    /// Its name.
    pub(crate) vrm: Vrm,
    /// Identity of its BASE.
    pub(crate) base: Digest,
    /// When it was initialised.
    pub(crate) at: Timestamp,
}

/// A component of a BASE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BaseComponent {
    /// Its name.
    pub(crate) name: ComponentName,
    /// Its parts as shipped.
    pub(crate) tree: Digest,
    /// Components with the same word restart together.
    pub(crate) restart: String,
}

/// Lists the releases.
pub(crate) fn all(tables: &Connection) -> Result<Vec<ReleaseRow>, ServiceError> {
    collect(tables, "reading the releases", "SELECT vrm, base, at FROM release ORDER BY vrm", [], |row| {
        Ok(ReleaseRow { vrm: parse(row, 0)?, base: parse(row, 1)?, at: parse(row, 2)? })
    })
}

/// Finds a release.
pub(crate) fn find(tables: &Connection, vrm: &Vrm) -> Result<Option<ReleaseRow>, ServiceError> {
    tables
        .query_row("SELECT vrm, base, at FROM release WHERE vrm = ?1", [vrm.as_str()], |row| {
            Ok(ReleaseRow { vrm: parse(row, 0)?, base: parse(row, 1)?, at: parse(row, 2)? })
        })
        .optional()
        .doing("reading the releases")
}

/// Finds a release that must exist.
pub(crate) fn expect(tables: &Connection, vrm: &Vrm) -> Result<ReleaseRow, ServiceError> {
    find(tables, vrm)?.ok_or_else(|| ServiceError::Unknown {
        kind: "release",
        name: vrm.to_string(),
        hint: format!("run `tender servmgr initialize {vrm} --from DIR` first"),
    })
}

/// Writes a release and its components.
pub(crate) fn insert(
    tables: &Connection,
    release: &ReleaseRow,
    components: &[BaseComponent],
) -> Result<(), ServiceError> {
    tables
        .execute(
            "INSERT INTO release (vrm, base, at) VALUES (?1, ?2, ?3)",
            [release.vrm.as_str(), &release.base.to_hex(), &release.at.to_string()],
        )
        .doing("writing the release")?;
    let mut statement = tables
        .prepare("INSERT INTO component (vrm, name, ord, tree, restart) VALUES (?1, ?2, ?3, ?4, ?5)")
        .doing("writing the components")?;
    for (order, component) in (0_i64..).zip(components) {
        statement
            .execute(rusqlite::params![
                release.vrm.as_str(),
                component.name.as_str(),
                order,
                component.tree.to_hex(),
                component.restart
            ])
            .doing("writing the components")?;
    }
    Ok(())
}

/// Lists the components of a release's BASE in service order.
pub(crate) fn components(tables: &Connection, vrm: &Vrm) -> Result<Vec<BaseComponent>, ServiceError> {
    collect(
        tables,
        "reading the components",
        "SELECT name, tree, restart FROM component WHERE vrm = ?1 ORDER BY ord",
        [vrm.as_str()],
        |row| Ok(BaseComponent { name: parse(row, 0)?, tree: parse(row, 1)?, restart: row.get(2)? }),
    )
}

/// Deletes a release whose levels are gone, with its components, envelopes, fixes, holds and embargoes.
pub(crate) fn delete(tables: &Connection, vrm: &Vrm) -> Result<(), ServiceError> {
    for sql in [
        "DELETE FROM acceptance WHERE hold IN (SELECT id FROM hold WHERE vrm = ?1)",
        "DELETE FROM hold WHERE vrm = ?1",
        "DELETE FROM embargo WHERE vrm = ?1",
        "DELETE FROM envelope_fix WHERE vrm = ?1",
        "DELETE FROM envelope WHERE vrm = ?1",
        "DELETE FROM fix WHERE vrm = ?1",
        "DELETE FROM component WHERE vrm = ?1",
        "DELETE FROM release WHERE vrm = ?1",
    ] {
        tables.execute(sql, [vrm.as_str()]).doing("deleting the release")?;
    }
    Ok(())
}

//! Received envelopes and fixes, and the vendors they come from.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};
use tender_content::Digest;
use tender_package::{FixId, Vrm};

use super::{collect, json, parse, parse_json};
use crate::error::{ServiceError, TablesContext};
use crate::shapes::{EnvelopeHeader, EnvelopeKind, Fix};

/// A vendor whose envelopes are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VendorRow {
    /// Its name.
    pub(crate) name: String,
    /// Its public key; absent when it does not sign.
    pub(crate) key: Option<Vec<u8>>,
    /// Whether the site said that it does not sign.
    pub(crate) is_unsigned: bool,
}

/// A received envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EnvelopeRow {
    /// Its name.
    pub(crate) name: String,
    /// Digest of its header.
    pub(crate) digest: Digest,
    /// RSU or COR.
    pub(crate) kind: String,
    /// Who made it.
    pub(crate) vendor: String,
    /// Whether its signature was checked.
    pub(crate) is_signed: bool,
    /// What to read first.
    pub(crate) memo: Option<String>,
}

/// Finds a vendor.
pub(crate) fn vendor(tables: &Connection, name: &str) -> Result<Option<VendorRow>, ServiceError> {
    tables
        .query_row("SELECT name, key, is_unsigned FROM vendor WHERE name = ?1", [name], |row| {
            Ok(VendorRow { name: row.get(0)?, key: row.get(1)?, is_unsigned: row.get(2)? })
        })
        .optional()
        .doing("reading the vendors")
}

/// Lists the vendors.
pub(crate) fn vendors(tables: &Connection) -> Result<Vec<VendorRow>, ServiceError> {
    collect(
        tables,
        "reading the vendors",
        "SELECT name, key, is_unsigned FROM vendor ORDER BY name",
        [],
        |row| Ok(VendorRow { name: row.get(0)?, key: row.get(1)?, is_unsigned: row.get(2)? }),
    )
}

/// Adds or changes a vendor.
pub(crate) fn set_vendor(
    tables: &Connection,
    vendor: &VendorRow,
    now: Timestamp,
) -> Result<(), ServiceError> {
    tables
        .execute(
            "INSERT OR REPLACE INTO vendor (name, key, is_unsigned, at) VALUES (?1, ?2, ?3, ?4)",
            params![vendor.name, vendor.key, vendor.is_unsigned, now.to_string()],
        )
        .doing("writing the vendor")
        .map(drop)
}

/// Finds a received envelope by its name in any case.
pub(crate) fn envelope(
    tables: &Connection,
    vrm: &Vrm,
    name: &str,
) -> Result<Option<EnvelopeRow>, ServiceError> {
    tables
        .query_row(
            "SELECT name, digest, kind, vendor, is_signed, memo FROM envelope
             WHERE vrm = ?1 AND name = upper(?2)",
            [vrm.as_str(), name],
            |row| {
                Ok(EnvelopeRow {
                    name: row.get(0)?,
                    digest: parse(row, 1)?,
                    kind: row.get(2)?,
                    vendor: row.get(3)?,
                    is_signed: row.get(4)?,
                    memo: row.get(5)?,
                })
            },
        )
        .optional()
        .doing("reading the envelopes")
}

/// Records an envelope and its fixes; a fix received before is left as it is.
pub(crate) fn receive(
    tables: &Connection,
    vrm: &Vrm,
    header: &EnvelopeHeader,
    digest: &Digest,
    is_signed: bool,
    now: Timestamp,
) -> Result<(), ServiceError> {
    const DOING: &str = "recording the envelope";
    let kind = match header.kind {
        EnvelopeKind::Rsu => "RSU",
        EnvelopeKind::Cor => "COR",
    };
    tables
        .execute(
            "INSERT OR IGNORE INTO envelope (vrm, name, digest, kind, vendor, is_signed, memo, at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                vrm.as_str(),
                header.name,
                digest.to_hex(),
                kind,
                header.vendor,
                is_signed,
                header.memo,
                now.to_string()
            ],
        )
        .doing(DOING)?;
    for fix in &header.fixes {
        tables
            .execute(
                "INSERT OR IGNORE INTO fix (vrm, id, component, envelope, body, at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                [
                    vrm.as_str(),
                    fix.id.as_str(),
                    fix.component.as_str(),
                    &header.name,
                    &json(fix),
                    &now.to_string(),
                ],
            )
            .doing(DOING)?;
        tables
            .execute(
                "INSERT OR IGNORE INTO envelope_fix (vrm, envelope, fix) VALUES (?1, ?2, ?3)",
                [vrm.as_str(), &header.name, fix.id.as_str()],
            )
            .doing(DOING)?;
    }
    Ok(())
}

/// Lists the received fixes of a release with the envelope each came in.
pub(crate) fn all(tables: &Connection, vrm: &Vrm) -> Result<Vec<(Fix, String)>, ServiceError> {
    collect(
        tables,
        "reading the fixes",
        "SELECT body, envelope FROM fix WHERE vrm = ?1 ORDER BY id",
        [vrm.as_str()],
        |row| Ok((parse_json(row, 0)?, row.get(1)?)),
    )
}

/// Finds a received fix.
pub(crate) fn find(tables: &Connection, vrm: &Vrm, id: &FixId) -> Result<Option<Fix>, ServiceError> {
    tables
        .query_row("SELECT body FROM fix WHERE vrm = ?1 AND id = ?2", [vrm.as_str(), id.as_str()], |row| {
            parse_json(row, 0)
        })
        .optional()
        .doing("reading the fixes")
}

/// Lists the fixes of an envelope.
pub(crate) fn of_envelope(tables: &Connection, vrm: &Vrm, name: &str) -> Result<Vec<FixId>, ServiceError> {
    collect(
        tables,
        "reading the fixes of an envelope",
        "SELECT fix FROM envelope_fix WHERE vrm = ?1 AND envelope = upper(?2) ORDER BY fix",
        [vrm.as_str(), name],
        |row| parse(row, 0),
    )
}

/// Lists the received envelopes that have a memo, with the memo.
pub(crate) fn memos(tables: &Connection, vrm: &Vrm) -> Result<Vec<(String, String)>, ServiceError> {
    collect(
        tables,
        "reading the memos of envelopes",
        "SELECT name, memo FROM envelope WHERE vrm = ?1 AND memo IS NOT NULL ORDER BY name",
        [vrm.as_str()],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

//! Requests sent to managed systems; each is written down before it is sent.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _};
use tender_package::SystemName;
use tender_package::request::{Request, RequestResult};

use super::{json, parse_json};
use crate::error::{ServiceError, TablesContext};

/// Finds the request of this kind that has no result yet.
pub(crate) fn open(
    tables: &Connection,
    system: &SystemName,
    verb: &str,
) -> Result<Option<Request>, ServiceError> {
    tables
        .query_row(
            "SELECT body FROM request WHERE system = ?1 AND verb = ?2 AND result IS NULL
             ORDER BY at DESC LIMIT 1",
            [system.as_str(), verb],
            |row| parse_json(row, 0),
        )
        .optional()
        .doing("reading the requests")
}

/// Writes a request down.
pub(crate) fn insert(
    tables: &Connection,
    system: &SystemName,
    request: &Request,
    now: Timestamp,
) -> Result<(), ServiceError> {
    tables
        .execute(
            "INSERT INTO request (id, system, verb, body, at) VALUES (?1, ?2, ?3, ?4, ?5)",
            [&request.id, system.as_str(), request.verb.word(), &json(request), &now.to_string()],
        )
        .doing("writing the request")
        .map(drop)
}

/// Keeps the result of a request.
pub(crate) fn finish(tables: &Connection, result: &RequestResult) -> Result<(), ServiceError> {
    tables
        .execute("UPDATE request SET result = ?2 WHERE id = ?1", [&result.request.id, &json(result)])
        .doing("keeping the result")
        .map(drop)
}

/// Gives up a request that the system does not know.
pub(crate) fn forget(tables: &Connection, id: &str) -> Result<(), ServiceError> {
    tables.execute("DELETE FROM request WHERE id = ?1", [id]).doing("forgetting a request").map(drop)
}

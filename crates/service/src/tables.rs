//! Reading and writing the tables: plain functions from a connection and values to rows and back.
//!
//! Rules do not live here; those that must hold whatever a verb does are triggers in `principal/schema.rs`.

pub(crate) mod fixes;
pub(crate) mod holds;
pub(crate) mod levels;
pub(crate) mod packages;
pub(crate) mod releases;
pub(crate) mod requests;
pub(crate) mod settings;
pub(crate) mod systems;
pub(crate) mod test_runs;

use rusqlite::{Connection, Params, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{ServiceError, TablesContext};

/// Runs a query and collects its rows.
pub(crate) fn collect<T>(
    tables: &Connection,
    doing: &'static str,
    sql: &str,
    params: impl Params,
    row: impl FnMut(&Row<'_>) -> Result<T, rusqlite::Error>,
) -> Result<Vec<T>, ServiceError> {
    let mut statement = tables.prepare_cached(sql).doing(doing)?;
    let rows = statement.query_map(params, row).doing(doing)?;
    rows.collect::<Result<Vec<T>, _>>().doing(doing)
}

/// Reads a cell of text through its own parser.
pub(crate) fn parse<T>(row: &Row<'_>, index: usize) -> Result<T, rusqlite::Error>
where
    T: std::str::FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text: String = row.get(index)?;
    text.parse().map_err(|error: T::Err| cell_error(index, error))
}

/// Reads a cell that may be absent.
pub(crate) fn parse_optional<T>(row: &Row<'_>, index: usize) -> Result<Option<T>, rusqlite::Error>
where
    T: std::str::FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text: Option<String> = row.get(index)?;
    text.map(|text| text.parse().map_err(|error: T::Err| cell_error(index, error))).transpose()
}

/// Reads a cell of JSON.
pub(crate) fn parse_json<T: DeserializeOwned>(row: &Row<'_>, index: usize) -> Result<T, rusqlite::Error> {
    let text: String = row.get(index)?;
    serde_json::from_str(&text).map_err(|error| cell_error(index, error))
}

/// Reads a cell of JSON that may be absent.
pub(crate) fn parse_json_optional<T: DeserializeOwned>(
    row: &Row<'_>,
    index: usize,
) -> Result<Option<T>, rusqlite::Error> {
    let text: Option<String> = row.get(index)?;
    text.map(|text| serde_json::from_str(&text).map_err(|error| cell_error(index, error))).transpose()
}

/// Writes a shape as JSON.
pub(crate) fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("stored shapes have only text keys")
}

fn cell_error(index: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(index, rusqlite::types::Type::Text, Box::new(error))
}

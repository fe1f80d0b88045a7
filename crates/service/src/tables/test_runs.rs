//! What test instances showed, per system and generation of a level: the proofs of tests.

use rusqlite::{Connection, params};
use tender_package::report::TestRun;
use tender_package::{LevelName, SystemName, Vrm};

use super::{collect, json, parse, parse_json};
use crate::error::{ServiceError, TablesContext};

/// Keeps what a system's test instance showed; an earlier run of the same generation there is replaced.
pub(crate) fn set(tables: &Connection, system: &SystemName, run: &TestRun) -> Result<(), ServiceError> {
    let level = &run.level;
    tables
        .execute(
            "INSERT OR REPLACE INTO test_run (system, vrm, level, generation, body) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![system.as_str(), level.vrm.as_str(), level.level.as_str(), level.generation, json(run)],
        )
        .doing("keeping the test run")
        .map(drop)
}

/// Lists the runs of a release, by system and level.
pub(crate) fn of_release(tables: &Connection, vrm: &Vrm) -> Result<Vec<(SystemName, TestRun)>, ServiceError> {
    collect(
        tables,
        "reading the test runs",
        "SELECT system, body FROM test_run WHERE vrm = ?1 ORDER BY system, level, generation",
        [vrm.as_str()],
        |row| Ok((parse(row, 0)?, parse_json(row, 1)?)),
    )
}

/// Lists the systems on which a generation of a level did not become ready.
pub(crate) fn failed(
    tables: &Connection,
    vrm: &Vrm,
    level: &LevelName,
    generation: u32,
) -> Result<Vec<(SystemName, TestRun)>, ServiceError> {
    let mut runs = of_release(tables, vrm)?;
    runs.retain(|(_, run)| run.level.level == *level && run.level.generation == generation && !run.is_ready);
    Ok(runs)
}

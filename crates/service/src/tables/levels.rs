//! Levels and their content.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use tender_content::Digest;
use tender_package::{FixId, LevelName, Mode, Vrm};

use super::{collect, json, parse, parse_json, parse_optional};
use crate::error::{ServiceError, TablesContext};
use crate::level::{Level, PackageState, Work};
use crate::shapes::{LevelComponent, LevelContent, LevelFix, Operation};

const COLUMNS: &str = "vrm, name, parent, variant, description, state, is_locked, work, package, generation,
    is_signed, content, made, changed, changed_by";

fn level_of(row: &Row<'_>) -> Result<Level, rusqlite::Error> {
    let state: String = row.get(5)?;
    let work: String = row.get(7)?;
    let package: String = row.get(8)?;
    Ok(Level {
        vrm: parse(row, 0)?,
        name: parse(row, 1)?,
        parent: parse_optional(row, 2)?,
        variant: parse(row, 3)?,
        description: row.get(4)?,
        state: match state.as_str() {
            "STABLE" => Mode::Stable,
            "WITHDRAWN" => Mode::Withdrawn,
            _ => Mode::Test,
        },
        is_locked: row.get(6)?,
        work: match work.as_str() {
            "INCOMPLETE" => Work::Incomplete,
            "DELETING" => Work::Deleting,
            _ => Work::Idle,
        },
        package: match package.as_str() {
            "CURRENT" => PackageState::Current,
            "STALE" => PackageState::Stale,
            _ => PackageState::None,
        },
        generation: row.get(9)?,
        is_signed: row.get(10)?,
        content: parse(row, 11)?,
        made: parse(row, 12)?,
        changed: parse(row, 13)?,
        changed_by: row.get(14)?,
    })
}

/// Returns the word kept in the tables.
fn state_word(state: Mode) -> &'static str {
    match state {
        Mode::Test => "TEST",
        Mode::Stable => "STABLE",
        Mode::Withdrawn => "WITHDRAWN",
    }
}

fn work_word(work: Work) -> &'static str {
    match work {
        Work::Idle => "IDLE",
        Work::Incomplete => "INCOMPLETE",
        Work::Deleting => "DELETING",
    }
}

fn package_word(package: PackageState) -> &'static str {
    match package {
        PackageState::None => "NONE",
        PackageState::Current => "CURRENT",
        PackageState::Stale => "STALE",
    }
}

/// Finds a level.
pub(crate) fn find(tables: &Connection, vrm: &Vrm, name: &LevelName) -> Result<Option<Level>, ServiceError> {
    tables
        .query_row(
            &format!("SELECT {COLUMNS} FROM level WHERE vrm = ?1 AND name = ?2"),
            [vrm.as_str(), name.as_str()],
            level_of,
        )
        .optional()
        .doing("reading the levels")
}

/// Finds a level that must exist; the release must exist too.
pub(crate) fn expect(tables: &Connection, vrm: &Vrm, name: &LevelName) -> Result<Level, ServiceError> {
    super::releases::expect(tables, vrm)?;
    find(tables, vrm, name)?.ok_or_else(|| ServiceError::Unknown {
        kind: "level",
        name: format!("{vrm} {name}"),
        hint: format!("list the levels with `tender servmgr srvlvl query {vrm} all`"),
    })
}

/// Lists the levels of a release, oldest first.
pub(crate) fn all(tables: &Connection, vrm: &Vrm) -> Result<Vec<Level>, ServiceError> {
    let sql = format!("SELECT {COLUMNS} FROM level WHERE vrm = ?1 ORDER BY name <> 'BASE', made, name");
    collect(tables, "reading the levels", &sql, [vrm.as_str()], level_of)
}

/// Lists the releases that have a level of this name.
pub(crate) fn releases_with(tables: &Connection, name: &LevelName) -> Result<Vec<Vrm>, ServiceError> {
    collect(
        tables,
        "reading the levels",
        "SELECT vrm FROM level WHERE name = ?1 ORDER BY vrm",
        [name.as_str()],
        |row| parse(row, 0),
    )
}

/// Lists the levels based on this one.
pub(crate) fn children(
    tables: &Connection,
    vrm: &Vrm,
    name: &LevelName,
) -> Result<Vec<LevelName>, ServiceError> {
    collect(
        tables,
        "reading the levels",
        "SELECT name FROM level WHERE vrm = ?1 AND parent = ?2 ORDER BY name",
        [vrm.as_str(), name.as_str()],
        |row| parse(row, 0),
    )
}

/// Writes a new level; its content follows.
pub(crate) fn insert(tables: &Connection, level: &Level) -> Result<(), ServiceError> {
    tables
        .execute(
            &format!(
                "INSERT INTO level ({COLUMNS})
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"
            ),
            params![
                level.vrm.as_str(),
                level.name.as_str(),
                level.parent.as_ref().map(LevelName::as_str),
                level.variant.as_str(),
                level.description,
                state_word(level.state),
                level.is_locked,
                work_word(level.work),
                package_word(level.package),
                level.generation,
                level.is_signed,
                level.content.to_hex(),
                level.made.to_string(),
                level.changed.to_string(),
                level.changed_by,
            ],
        )
        .doing("writing the level")
        .map(drop)
}

/// Writes a level's states back; name, parent, variant and time of making never change.
pub(crate) fn update(tables: &Connection, level: &Level) -> Result<(), ServiceError> {
    tables
        .execute(
            "UPDATE level SET description = ?3, state = ?4, is_locked = ?5, work = ?6, package = ?7,
                generation = ?8, is_signed = ?9, content = ?10, changed = ?11, changed_by = ?12
             WHERE vrm = ?1 AND name = ?2",
            params![
                level.vrm.as_str(),
                level.name.as_str(),
                level.description,
                state_word(level.state),
                level.is_locked,
                work_word(level.work),
                package_word(level.package),
                level.generation,
                level.is_signed,
                level.content.to_hex(),
                level.changed.to_string(),
                level.changed_by,
            ],
        )
        .doing("writing the level")
        .map(drop)
}

/// Reads a level's content.
pub(crate) fn content(
    tables: &Connection,
    vrm: &Vrm,
    name: &LevelName,
) -> Result<LevelContent, ServiceError> {
    let key = [vrm.as_str(), name.as_str()];
    let fixes = collect(
        tables,
        "reading the fixes of a level",
        "SELECT fix, component, envelope, superseded_by FROM level_fix WHERE vrm = ?1 AND level = ?2 ORDER BY ord",
        key,
        |row| {
            Ok(LevelFix {
                id: parse(row, 0)?,
                component: parse(row, 1)?,
                envelope: row.get(2)?,
                superseded_by: parse_optional(row, 3)?,
            })
        },
    )?;
    let excluded = collect(
        tables,
        "reading the excludes of a level",
        "SELECT fix FROM level_exclude WHERE vrm = ?1 AND level = ?2 ORDER BY fix",
        key,
        |row| parse(row, 0),
    )?;
    let mods = collect(
        tables,
        "reading the local modifications of a level",
        "SELECT body FROM level_mod WHERE vrm = ?1 AND level = ?2 ORDER BY id",
        key,
        |row| parse_json(row, 0),
    )?;
    Ok(LevelContent { fixes, excluded, mods, components: components(tables, vrm, name)? })
}

/// Reads a level's components in service order.
pub(crate) fn components(
    tables: &Connection,
    vrm: &Vrm,
    name: &LevelName,
) -> Result<Vec<LevelComponent>, ServiceError> {
    collect(
        tables,
        "reading the components of a level",
        "SELECT name, source, tree, restart FROM level_component WHERE vrm = ?1 AND level = ?2 ORDER BY ord",
        [vrm.as_str(), name.as_str()],
        |row| {
            Ok(LevelComponent {
                name: parse(row, 0)?,
                source: parse(row, 1)?,
                tree: parse(row, 2)?,
                restart: row.get(3)?,
            })
        },
    )
}

/// Replaces a level's content; triggers refuse it when the level is locked.
pub(crate) fn write_content(
    tables: &Connection,
    vrm: &Vrm,
    name: &LevelName,
    content: &LevelContent,
) -> Result<(), ServiceError> {
    const DOING: &str = "writing the content of a level";
    let key = [vrm.as_str(), name.as_str()];
    delete_content(tables, vrm, name)?;
    for (order, fix) in (0_i64..).zip(&content.fixes) {
        tables
            .prepare_cached(
                "INSERT INTO level_fix (vrm, level, fix, component, envelope, superseded_by, ord)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )
            .doing(DOING)?
            .execute(params![
                key[0],
                key[1],
                fix.id.as_str(),
                fix.component.as_str(),
                fix.envelope,
                fix.superseded_by.as_ref().map(FixId::as_str),
                order
            ])
            .doing(DOING)?;
    }
    for fix in &content.excluded {
        tables
            .execute(
                "INSERT INTO level_exclude (vrm, level, fix) VALUES (?1, ?2, ?3)",
                [key[0], key[1], fix.as_str()],
            )
            .doing(DOING)?;
    }
    for local_mod in &content.mods {
        tables
            .execute(
                "INSERT INTO level_mod (vrm, level, id, body) VALUES (?1, ?2, ?3, ?4)",
                [key[0], key[1], local_mod.id.as_str(), &json(local_mod)],
            )
            .doing(DOING)?;
    }
    for (order, component) in (0_i64..).zip(&content.components) {
        tables
            .execute(
                "INSERT INTO level_component (vrm, level, name, ord, source, tree, restart)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    key[0],
                    key[1],
                    component.name.as_str(),
                    order,
                    component.source.to_hex(),
                    component.tree.to_hex(),
                    component.restart
                ],
            )
            .doing(DOING)?;
    }
    Ok(())
}

fn delete_content(tables: &Connection, vrm: &Vrm, name: &LevelName) -> Result<(), ServiceError> {
    for table in ["level_fix", "level_exclude", "level_mod", "level_component"] {
        tables
            .execute(
                &format!("DELETE FROM {table} WHERE vrm = ?1 AND level = ?2"),
                [vrm.as_str(), name.as_str()],
            )
            .doing("writing the content of a level")?;
    }
    Ok(())
}

/// Deletes a level whose work is DELETING, with everything that belongs to it.
pub(crate) fn delete(tables: &Connection, vrm: &Vrm, name: &LevelName) -> Result<(), ServiceError> {
    delete_content(tables, vrm, name)?;
    for sql in [
        "DELETE FROM operation WHERE vrm = ?1 AND level = ?2",
        "DELETE FROM packaging WHERE vrm = ?1 AND level = ?2",
        "DELETE FROM package WHERE vrm = ?1 AND level = ?2",
        "DELETE FROM deployment WHERE vrm = ?1 AND level = ?2",
        "DELETE FROM level WHERE vrm = ?1 AND name = ?2",
    ] {
        tables.execute(sql, [vrm.as_str(), name.as_str()]).doing("deleting the level")?;
    }
    Ok(())
}

/// Reads the unfinished operation of a level.
pub(crate) fn operation(
    tables: &Connection,
    vrm: &Vrm,
    name: &LevelName,
) -> Result<Option<Operation>, ServiceError> {
    tables
        .query_row(
            "SELECT body FROM operation WHERE vrm = ?1 AND level = ?2",
            [vrm.as_str(), name.as_str()],
            |row| parse_json(row, 0),
        )
        .optional()
        .doing("reading the unfinished operation")
}

/// Keeps, replaces or, with `None`, ends the unfinished operation of a level.
pub(crate) fn set_operation(
    tables: &Connection,
    vrm: &Vrm,
    name: &LevelName,
    operation: Option<&Operation>,
) -> Result<(), ServiceError> {
    match operation {
        Some(operation) => tables.execute(
            "INSERT OR REPLACE INTO operation (vrm, level, body) VALUES (?1, ?2, ?3)",
            [vrm.as_str(), name.as_str(), &json(operation)],
        ),
        None => tables
            .execute("DELETE FROM operation WHERE vrm = ?1 AND level = ?2", [vrm.as_str(), name.as_str()]),
    }
    .doing("writing the unfinished operation")
    .map(drop)
}

/// Lists the levels that contain a fix, and by which fix it is contained when it is superseded.
pub(crate) fn with_fix(
    tables: &Connection,
    vrm: &Vrm,
    fix: &FixId,
) -> Result<Vec<(LevelName, Option<FixId>)>, ServiceError> {
    collect(
        tables,
        "looking for a fix in the levels",
        "SELECT level, superseded_by FROM level_fix WHERE vrm = ?1 AND fix = ?2 ORDER BY level",
        [vrm.as_str(), fix.as_str()],
        |row| Ok((parse(row, 0)?, parse_optional(row, 1)?)),
    )
}

/// Finds the recorded outputs of a build with the same recipe and inputs.
pub(crate) fn built(
    tables: &Connection,
    recipe: &Digest,
    inputs: &Digest,
) -> Result<Option<Digest>, ServiceError> {
    tables
        .query_row(
            "SELECT outputs FROM built WHERE recipe = ?1 AND inputs = ?2",
            [recipe.to_hex(), inputs.to_hex()],
            |row| parse(row, 0),
        )
        .optional()
        .doing("looking for an earlier build")
}

/// Records the outputs of a build.
pub(crate) fn record_built(
    tables: &Connection,
    recipe: &Digest,
    inputs: &Digest,
    outputs: &Digest,
) -> Result<(), ServiceError> {
    tables
        .execute(
            "INSERT OR REPLACE INTO built (recipe, inputs, outputs) VALUES (?1, ?2, ?3)",
            [recipe.to_hex(), inputs.to_hex(), outputs.to_hex()],
        )
        .doing("recording a build")
        .map(drop)
}

/// Lists the outputs of every recorded build.
pub(crate) fn all_built(tables: &Connection) -> Result<Vec<Digest>, ServiceError> {
    collect(tables, "reading the builds", "SELECT outputs FROM built ORDER BY outputs", [], |row| {
        parse(row, 0)
    })
}

//! Managed systems, how far each level is with each, nicknames, drift and acknowledgements.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use tender_content::Digest;
use tender_package::changes::{Changes, DivergedHead};
use tender_package::report::{DriftItem, ServcheckReport, SystemInfo};
use tender_package::{FixId, LevelName, ReturnCode, SystemName, Vrm};

use super::{collect, json, parse, parse_json, parse_json_optional, parse_optional};
use crate::error::{ServiceError, TablesContext};
use crate::shapes::{AuditCopy, PairState, SystemRecord};

/// A managed system as the tables know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SystemRow {
    /// What was asked for.
    pub(crate) record: SystemRecord,
    /// Whether SYSTEM ADD has ended.
    pub(crate) is_added: bool,
    /// Level and generation in production as last seen.
    pub(crate) prod: Option<(LevelName, u32)>,
    /// The system as last seen.
    pub(crate) info: Option<SystemInfo>,
    /// The last SERVCHECK.
    pub(crate) servcheck: Option<ServcheckReport>,
    /// The last verb with its return code and time.
    pub(crate) last: Option<(String, u8, Timestamp)>,
    /// When it was last reached.
    pub(crate) last_contact: Option<Timestamp>,
    /// What was changed on it by hand, as last read.
    pub(crate) changes: Option<Changes>,
    /// How far the copy of its audit log goes.
    pub(crate) audit: Option<AuditCopy>,
}

impl SystemRow {
    /// Returns the level whose content it has because of what was changed by hand, when there is one: the system
    /// counts as running it.
    pub(crate) fn absorbed(&self) -> Option<&LevelName> {
        let info = self.info.as_ref()?;
        let current = info.current.as_ref()?;
        let is_diverged = info.changes.as_ref().is_some_and(|head| !head.diverged.is_empty());
        let (level, _) = self.prod.as_ref()?;
        (is_diverged && *level != current.level.level).then_some(level)
    }

    /// Returns the components that are not as any level here says.
    pub(crate) fn diverged(&self) -> &[DivergedHead] {
        let head = self.info.as_ref().and_then(|info| info.changes.as_ref());
        if self.absorbed().is_some() { &[] } else { head.map_or(&[], |head| &head.diverged) }
    }
}

/// How far a level is with a system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeploymentRow {
    /// The system.
    pub(crate) system: SystemName,
    /// The level.
    pub(crate) level: LevelName,
    /// Its generation.
    pub(crate) generation: u32,
    /// The state's word.
    pub(crate) state: String,
    /// Return code of the last step.
    pub(crate) code: Option<u8>,
    /// How often it was tried.
    pub(crate) attempts: u32,
    /// When.
    pub(crate) at: Timestamp,
}

const COLUMNS: &str =
    "body, state, prod_level, prod_generation, info, servcheck, last_verb, last_code, last_at,
    last_contact, changes, audit";

fn system_of(row: &Row<'_>) -> Result<SystemRow, rusqlite::Error> {
    let state: String = row.get(1)?;
    let level: Option<LevelName> = parse_optional(row, 2)?;
    let generation: Option<u32> = row.get(3)?;
    let verb: Option<String> = row.get(6)?;
    let code: Option<u8> = row.get(7)?;
    let at: Option<Timestamp> = parse_optional(row, 8)?;
    Ok(SystemRow {
        record: parse_json(row, 0)?,
        is_added: state == "ADDED",
        prod: level.zip(generation),
        info: parse_json_optional(row, 4)?,
        servcheck: parse_json_optional(row, 5)?,
        last: verb.zip(code).zip(at).map(|((verb, code), at)| (verb, code, at)),
        last_contact: parse_optional(row, 9)?,
        changes: parse_json_optional(row, 10)?,
        audit: parse_json_optional(row, 11)?,
    })
}

/// Finds a system.
pub(crate) fn find(tables: &Connection, name: &SystemName) -> Result<Option<SystemRow>, ServiceError> {
    tables
        .query_row(&format!("SELECT {COLUMNS} FROM system WHERE name = ?1"), [name.as_str()], system_of)
        .optional()
        .doing("reading the systems")
}

/// Finds a system of a release that must exist.
pub(crate) fn expect(tables: &Connection, vrm: &Vrm, name: &SystemName) -> Result<SystemRow, ServiceError> {
    super::releases::expect(tables, vrm)?;
    find(tables, name)?.filter(|row| row.record.vrm == *vrm).ok_or_else(|| ServiceError::Unknown {
        kind: "system",
        name: format!("{vrm} {name}"),
        hint: format!("list the systems with `tender servmgr system query {vrm} all`"),
    })
}

/// Lists the systems of a release.
pub(crate) fn all(tables: &Connection, vrm: &Vrm) -> Result<Vec<SystemRow>, ServiceError> {
    let sql = format!("SELECT {COLUMNS} FROM system WHERE vrm = ?1 ORDER BY name");
    collect(tables, "reading the systems", &sql, [vrm.as_str()], system_of)
}

/// Counts all systems of the principal.
pub(crate) fn count(tables: &Connection) -> Result<u32, ServiceError> {
    tables.query_row("SELECT count(*) FROM system", [], |row| row.get(0)).doing("counting the systems")
}

/// Writes a system that is being added, or changes what was asked for.
pub(crate) fn set_record(
    tables: &Connection,
    record: &SystemRecord,
    is_added: bool,
    now: Timestamp,
) -> Result<(), ServiceError> {
    tables
        .execute(
            "INSERT INTO system (name, vrm, body, state, added) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (name) DO UPDATE SET body = excluded.body, state = excluded.state",
            [
                record.name.as_str(),
                record.vrm.as_str(),
                &json(record),
                if is_added { "ADDED" } else { "ADDING" },
                &now.to_string(),
            ],
        )
        .doing("writing the system")
        .map(drop)
}

/// Deletes a system.
pub(crate) fn delete(tables: &Connection, name: &SystemName) -> Result<(), ServiceError> {
    for sql in ["DELETE FROM member WHERE system = ?1", "DELETE FROM system WHERE name = ?1"] {
        tables.execute(sql, [name.as_str()]).doing("deleting the system")?;
    }
    Ok(())
}

/// Keeps what a system said about itself; what runs in slot `current` becomes the known production level.
pub(crate) fn set_info(
    tables: &Connection,
    name: &SystemName,
    info: &SystemInfo,
    now: Timestamp,
) -> Result<(), ServiceError> {
    let Some(row) = find(tables, name)? else { return Ok(()) };
    let prod = production_of(tables, &row, info)?;
    tables
        .execute(
            "UPDATE system SET info = ?2, last_contact = ?3, prod_level = ?4, prod_generation = ?5
             WHERE name = ?1",
            params![
                name.as_str(),
                json(info),
                now.to_string(),
                prod.as_ref().map(|(level, _)| level.as_str()),
                prod.as_ref().map(|(_, generation)| *generation),
            ],
        )
        .doing("keeping the state of the system")
        .map(drop)
}

/// Keeps what was changed on a system by hand; `None` when nothing was.
pub(crate) fn set_changes(
    tables: &Connection,
    name: &SystemName,
    changes: Option<&Changes>,
) -> Result<(), ServiceError> {
    tables
        .execute("UPDATE system SET changes = ?2 WHERE name = ?1", params![name.as_str(), changes.map(json)])
        .doing("keeping what was changed on the system")
        .map(drop)
}

/// Keeps how far the copy of a system's audit log goes.
pub(crate) fn set_audit(
    tables: &Connection,
    name: &SystemName,
    audit: Option<&AuditCopy>,
) -> Result<(), ServiceError> {
    tables
        .execute("UPDATE system SET audit = ?2 WHERE name = ?1", params![name.as_str(), audit.map(json)])
        .doing("keeping how far the copy of the audit log goes")
        .map(drop)
}

/// Tells which level a system has in production: the one it names, or one with equal content when what it runs was
/// only taken over; none when no level here has that content.
fn production_of(
    tables: &Connection,
    row: &SystemRow,
    info: &SystemInfo,
) -> Result<Option<(LevelName, u32)>, ServiceError> {
    let Some(current) = &info.current else { return Ok(None) };
    let vrm = &row.record.vrm;
    let changed = info.changes.as_ref().and_then(|head| head.content);
    if let Some(level) = changed.map(|content| with_content(tables, row, &content)).transpose()?.flatten() {
        return Ok(Some(level));
    }
    if current.level.vrm == *vrm && super::levels::find(tables, vrm, &current.level.level)?.is_some() {
        return Ok(Some((current.level.level.clone(), current.level.generation)));
    }
    with_content(tables, row, &current.content)
}

/// Finds a level or package with this content; what the system is said to run counts first.
fn with_content(
    tables: &Connection,
    row: &SystemRow,
    content: &Digest,
) -> Result<Option<(LevelName, u32)>, ServiceError> {
    let known = row.prod.as_ref().map_or("", |(level, _)| level.as_str());
    tables
        .query_row(
            "SELECT name, generation FROM (
                SELECT name, 0 AS generation FROM level WHERE vrm = ?1 AND content = ?2
                UNION ALL SELECT level, generation FROM package WHERE vrm = ?1 AND content = ?2)
             ORDER BY name <> ?3, name <> ?4, name <> 'BASE', generation DESC, name LIMIT 1",
            [row.record.vrm.as_str(), &content.to_hex(), row.record.asserted.as_str(), known],
            |row| Ok((parse(row, 0)?, row.get(1)?)),
        )
        .optional()
        .doing("looking for the level a system runs")
}

/// Notes that what a system has in production now is what it is said to run.
pub(crate) fn follow_production(
    tables: &Connection,
    name: &SystemName,
    now: Timestamp,
) -> Result<(), ServiceError> {
    let Some(mut row) = find(tables, name)? else { return Ok(()) };
    let slot = row.info.as_ref().and_then(|info| info.current.as_ref()).map(|slot| &slot.level.level);
    if let Some(level) = row.prod.as_ref().map(|(level, _)| level).or(slot) {
        row.record.asserted = level.clone();
    }
    set_record(tables, &row.record, row.is_added, now)
}

/// Asserts what a system runs, as when an existing one is added.
pub(crate) fn set_prod(
    tables: &Connection,
    name: &SystemName,
    level: &LevelName,
    generation: u32,
) -> Result<(), ServiceError> {
    tables
        .execute(
            "UPDATE system SET prod_level = ?2, prod_generation = ?3 WHERE name = ?1",
            params![name.as_str(), level.as_str(), generation],
        )
        .doing("recording the level of the system")
        .map(drop)
}

/// Keeps the last SERVCHECK and its drift.
pub(crate) fn set_servcheck(
    tables: &Connection,
    name: &SystemName,
    report: &ServcheckReport,
) -> Result<(), ServiceError> {
    tables
        .execute("UPDATE system SET servcheck = ?2 WHERE name = ?1", [name.as_str(), &json(report)])
        .doing("keeping the check")?;
    tables.execute("DELETE FROM drift WHERE system = ?1", [name.as_str()]).doing("keeping the drift")?;
    for item in &report.drift {
        tables
            .execute("INSERT INTO drift (system, body) VALUES (?1, ?2)", [name.as_str(), &json(item)])
            .doing("keeping the drift")?;
    }
    Ok(())
}

/// Lists the parts of a system that differed at the last SERVCHECK.
pub(crate) fn drift(tables: &Connection, name: &SystemName) -> Result<Vec<DriftItem>, ServiceError> {
    collect(tables, "reading the drift", "SELECT body FROM drift WHERE system = ?1", [name.as_str()], |row| {
        parse_json(row, 0)
    })
}

/// Records how the last verb on a system ended.
pub(crate) fn set_last(
    tables: &Connection,
    name: &SystemName,
    verb: &str,
    code: ReturnCode,
    now: Timestamp,
) -> Result<(), ServiceError> {
    tables
        .execute(
            "UPDATE system SET last_verb = ?2, last_code = ?3, last_at = ?4 WHERE name = ?1",
            params![name.as_str(), verb, u8::from(code), now.to_string()],
        )
        .doing("recording the verb")
        .map(drop)
}

/// One step of a level towards a system.
#[derive(Debug, Clone)]
pub(crate) struct DeploymentStep<'a> {
    pub(crate) system: &'a SystemName,
    pub(crate) vrm: &'a Vrm,
    pub(crate) level: &'a LevelName,
    pub(crate) generation: u32,
    pub(crate) state: PairState,
    pub(crate) request: Option<&'a str>,
    pub(crate) code: Option<ReturnCode>,
    pub(crate) now: Timestamp,
}

/// Records a step; entering SENDING counts as one more attempt.
pub(crate) fn set_deployment(tables: &Connection, step: &DeploymentStep<'_>) -> Result<(), ServiceError> {
    let attempt = u32::from(step.state == PairState::Sending);
    tables
        .execute(
            "INSERT INTO deployment (system, vrm, level, generation, state, request, code, attempts, at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (system, level) DO UPDATE SET generation = excluded.generation, state = excluded.state,
                request = coalesce(excluded.request, request), code = excluded.code,
                attempts = attempts + excluded.attempts, at = excluded.at",
            params![
                step.system.as_str(),
                step.vrm.as_str(),
                step.level.as_str(),
                step.generation,
                step.state.word(),
                step.request,
                step.code.map(u8::from),
                attempt,
                step.now.to_string()
            ],
        )
        .doing("recording the deployment")
        .map(drop)
}

/// Lists how far levels are with systems; both filters are optional.
pub(crate) fn deployments(
    tables: &Connection,
    vrm: &Vrm,
    level: Option<&LevelName>,
) -> Result<Vec<DeploymentRow>, ServiceError> {
    collect(
        tables,
        "reading the deployments",
        "SELECT system, level, generation, state, code, attempts, at FROM deployment
         WHERE vrm = ?1 AND (?2 IS NULL OR level = ?2) ORDER BY system, level",
        params![vrm.as_str(), level.map(LevelName::as_str)],
        |row| {
            Ok(DeploymentRow {
                system: parse(row, 0)?,
                level: parse(row, 1)?,
                generation: row.get(2)?,
                state: row.get(3)?,
                code: row.get(4)?,
                attempts: row.get(5)?,
                at: parse(row, 6)?,
            })
        },
    )
}

/// Records that action items of fixes were acknowledged for a system.
pub(crate) fn acknowledge(
    tables: &Connection,
    system: &SystemName,
    fixes: &[FixId],
    who: &str,
    now: Timestamp,
) -> Result<(), ServiceError> {
    for fix in fixes {
        tables
            .execute(
                "INSERT OR IGNORE INTO acknowledged (system, fix, who, at) VALUES (?1, ?2, ?3, ?4)",
                [system.as_str(), fix.as_str(), who, &now.to_string()],
            )
            .doing("recording the acknowledgement")?;
    }
    Ok(())
}

/// Lists the fixes whose action items were acknowledged for a system.
pub(crate) fn acknowledged(tables: &Connection, system: &SystemName) -> Result<Vec<FixId>, ServiceError> {
    collect(
        tables,
        "reading the acknowledgements",
        "SELECT fix FROM acknowledged WHERE system = ?1 ORDER BY fix",
        [system.as_str()],
        |row| parse(row, 0),
    )
}

/// Lists the systems that run one of these levels.
pub(crate) fn running(
    tables: &Connection,
    vrm: &Vrm,
    level: &LevelName,
) -> Result<Vec<SystemName>, ServiceError> {
    collect(
        tables,
        "looking for systems of a level",
        "SELECT name FROM system WHERE vrm = ?1 AND prod_level = ?2 ORDER BY name",
        [vrm.as_str(), level.as_str()],
        |row| parse(row, 0),
    )
}

/// Lists the systems of a release whose production level does not have a fix, and that level.
pub(crate) fn missing_fix(
    tables: &Connection,
    vrm: &Vrm,
    fix: &FixId,
) -> Result<Vec<(SystemName, Option<LevelName>)>, ServiceError> {
    collect(
        tables,
        "looking for systems without a fix",
        "SELECT name, prod_level FROM system WHERE vrm = ?1 AND (prod_level IS NULL OR prod_level NOT IN
             (SELECT level FROM level_fix WHERE vrm = ?1 AND fix = ?2)) ORDER BY name",
        [vrm.as_str(), fix.as_str()],
        |row| Ok((parse(row, 0)?, parse_optional(row, 1)?)),
    )
}

/// Lists the systems of a release whose production level has a fix, and that level.
pub(crate) fn with_fix(
    tables: &Connection,
    vrm: &Vrm,
    fix: &FixId,
) -> Result<Vec<(SystemName, LevelName)>, ServiceError> {
    collect(
        tables,
        "looking for systems with a fix",
        "SELECT system.name, prod_level FROM level_fix
         JOIN system ON system.vrm = level_fix.vrm AND system.prod_level = level_fix.level
         WHERE level_fix.vrm = ?1 AND level_fix.fix = ?2 ORDER BY system.name",
        [vrm.as_str(), fix.as_str()],
        |row| Ok((parse(row, 0)?, parse(row, 1)?)),
    )
}

/// Lists the members of a nickname in order.
pub(crate) fn members(tables: &Connection, nickname: &SystemName) -> Result<Vec<SystemName>, ServiceError> {
    collect(
        tables,
        "reading the nicknames",
        "SELECT system FROM member WHERE nickname = ?1 ORDER BY ord",
        [nickname.as_str()],
        |row| parse(row, 0),
    )
}

/// Lists every nickname with its members.
pub(crate) fn nicknames(tables: &Connection) -> Result<Vec<(SystemName, SystemName)>, ServiceError> {
    collect(
        tables,
        "reading the nicknames",
        "SELECT nickname, system FROM member ORDER BY nickname, ord",
        [],
        |row| Ok((parse(row, 0)?, parse(row, 1)?)),
    )
}

/// Replaces the members of a nickname; none removes it.
pub(crate) fn set_members(
    tables: &Connection,
    nickname: &SystemName,
    members: &[SystemName],
) -> Result<(), ServiceError> {
    tables
        .execute("DELETE FROM member WHERE nickname = ?1", [nickname.as_str()])
        .doing("writing the nickname")?;
    for (order, member) in (0_i64..).zip(members) {
        tables
            .execute(
                "INSERT INTO member (nickname, system, ord) VALUES (?1, ?2, ?3)",
                params![nickname.as_str(), member.as_str(), order],
            )
            .doing("writing the nickname")?;
    }
    Ok(())
}

//! Holds and their acceptances.

use jiff::Timestamp;
use rusqlite::{Connection, params};
use tender_package::{FixId, LevelName, Vrm};

use super::{collect, parse, parse_optional};
use crate::error::{ServiceError, TablesContext};
use crate::hold::ActiveHold;
use crate::shapes::{Hold, HoldClass};

/// Records a hold; one with the same fix, class and reason is kept as it is.
pub(crate) fn raise(
    tables: &Connection,
    vrm: &Vrm,
    fix: &FixId,
    hold: &Hold,
    who: &str,
    now: Timestamp,
) -> Result<bool, ServiceError> {
    tables
        .execute(
            "INSERT OR IGNORE INTO hold (vrm, fix, class, reason, resolved_by, text, raised, raised_by)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                vrm.as_str(),
                fix.as_str(),
                hold.class.word(),
                hold.reason,
                hold.resolved_by.as_ref().map(FixId::as_str),
                hold.text,
                now.to_string(),
                who
            ],
        )
        .doing("writing the hold")
        .map(|count| count > 0)
}

/// Lists the holds of a release that were not released; `accepted` tells for which scopes people took the risk.
pub(crate) fn active(tables: &Connection, vrm: &Vrm) -> Result<Vec<ActiveHold>, ServiceError> {
    let mut holds = collect(
        tables,
        "reading the holds",
        "SELECT id, fix, class, reason, resolved_by, text FROM hold
         WHERE vrm = ?1 AND released IS NULL ORDER BY fix, class, reason",
        [vrm.as_str()],
        |row| {
            let class: String = row.get(2)?;
            Ok(ActiveHold {
                number: row.get(0)?,
                fix: parse(row, 1)?,
                hold: Hold {
                    class: match class.as_str() {
                        "error" => HoldClass::Error,
                        "action" => HoldClass::Action,
                        "category" => HoldClass::Category,
                        _ => HoldClass::User,
                    },
                    reason: row.get(3)?,
                    resolved_by: parse_optional(row, 4)?,
                    text: row.get(5)?,
                },
                accepted: Vec::new(),
            })
        },
    )?;
    let accepted = collect(
        tables,
        "reading the acceptances",
        "SELECT acceptance.hold, scope FROM acceptance JOIN hold ON hold.id = acceptance.hold WHERE vrm = ?1",
        [vrm.as_str()],
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)),
    )?;
    for (number, scope) in accepted {
        if let Some(hold) = holds.iter_mut().find(|hold| hold.number == number) {
            hold.accepted.push(scope);
        }
    }
    Ok(holds)
}

/// Records that people took the risk of a hold for one level.
pub(crate) fn accept(
    tables: &Connection,
    number: i64,
    level: &LevelName,
    who: &str,
    why: &str,
    now: Timestamp,
) -> Result<(), ServiceError> {
    tables
        .execute(
            "INSERT OR REPLACE INTO acceptance (hold, scope, who, why, at) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![number, level.as_str(), who, why, now.to_string()],
        )
        .doing("writing the acceptance")
        .map(drop)
}

/// Records that a hold is no more.
pub(crate) fn release(
    tables: &Connection,
    number: i64,
    who: &str,
    now: Timestamp,
) -> Result<(), ServiceError> {
    tables
        .execute(
            "UPDATE hold SET released = ?2, released_by = ?3 WHERE id = ?1",
            params![number, now.to_string(), who],
        )
        .doing("releasing the hold")
        .map(drop)
}

//! Holds and their acceptances.

use jiff::Timestamp;
use rusqlite::{Connection, params};
use tender_package::{FixId, LevelName, Vrm};

use super::{collect, parse, parse_optional};
use crate::error::{ServiceError, TablesContext};
use crate::hold::{Acceptance, ActiveHold};
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
        "SELECT acceptance.hold, scope, until FROM acceptance JOIN hold ON hold.id = acceptance.hold
         WHERE vrm = ?1 ORDER BY scope",
        [vrm.as_str()],
        |row| {
            let scope: String = row.get(1)?;
            Ok((row.get::<_, i64>(0)?, Acceptance::read(&scope, parse_optional(row, 2)?)))
        },
    )?;
    for (number, acceptance) in accepted {
        if let Some(hold) = holds.iter_mut().find(|hold| hold.number == number) {
            hold.accepted.push(acceptance);
        }
    }
    Ok(holds)
}

/// Records that people took the risk of a hold for one level, everywhere or on one system.
pub(crate) fn accept(
    tables: &Connection,
    number: i64,
    acceptance: &Acceptance,
    who: &str,
    why: &str,
    now: Timestamp,
) -> Result<(), ServiceError> {
    let until = acceptance.until.map(|until| until.to_string());
    tables
        .execute(
            "INSERT OR REPLACE INTO acceptance (hold, scope, who, why, at, until)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![number, acceptance.scope(), who, why, now.to_string(), until],
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

/// What an embargo is on: `LEVEL` or `FIX`, and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Embargoed {
    pub(crate) kind: &'static str,
    pub(crate) name: String,
}

/// Sets an embargo; one that is set gets the new reason.
pub(crate) fn set_embargo(
    tables: &Connection,
    vrm: &Vrm,
    what: &Embargoed,
    who: &str,
    why: &str,
    now: Timestamp,
) -> Result<(), ServiceError> {
    tables
        .execute(
            "INSERT OR REPLACE INTO embargo (vrm, kind, name, who, why, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            [vrm.as_str(), what.kind, &what.name, who, why, &now.to_string()],
        )
        .doing("setting the embargo")
        .map(drop)
}

/// Lifts an embargo; tells whether there was one.
pub(crate) fn lift_embargo(tables: &Connection, vrm: &Vrm, what: &Embargoed) -> Result<bool, ServiceError> {
    tables
        .execute(
            "DELETE FROM embargo WHERE vrm = ?1 AND kind = ?2 AND name = ?3",
            [vrm.as_str(), what.kind, &what.name],
        )
        .doing("lifting the embargo")
        .map(|count| count > 0)
}

/// Lists the embargoes that keep a level from being sent, in words: its own, and those of fixes that are on.
pub(crate) fn embargoes(
    tables: &Connection,
    vrm: &Vrm,
    level: &LevelName,
    on: &[FixId],
) -> Result<Vec<String>, ServiceError> {
    let rows = collect(
        tables,
        "reading the embargoes",
        "SELECT kind, name, why, who FROM embargo WHERE vrm = ?1 ORDER BY kind DESC, name",
        [vrm.as_str()],
        |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, String>(2)?,
                row.get::<_, String>(3)?,
            ))
        },
    )?;
    let counts = |kind: &str, name: &str| match kind {
        "LEVEL" => name == level.as_str(),
        _ => on.iter().any(|fix| fix.as_str() == name),
    };
    let meant = rows.into_iter().filter(|(kind, name, _, _)| counts(kind, name));
    Ok(meant
        .map(|(kind, name, why, who)| format!("{} {name} by {who}: {why}", kind.to_lowercase()))
        .collect())
}

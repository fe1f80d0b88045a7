//! The tables: their layout, its versions, and the rules the storage layer itself enforces.
//!
//! A level that is not TEST with its lock OFF refuses changes of content by triggers, whatever a verb does
//! (specification 11.2, invariants 2 and 3).

use rusqlite::Connection;

use crate::error::{ServiceError, TablesContext};

/// One step per version; step N brings version N to N+1.
const STEPS: &[&str] = &[VERSION_1, VERSION_2];

const VERSION_1: &str = "
CREATE TABLE migration (version INTEGER PRIMARY KEY, at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE release (
    vrm TEXT PRIMARY KEY, base TEXT NOT NULL, at TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE component (
    vrm TEXT NOT NULL REFERENCES release, name TEXT NOT NULL, ord INTEGER NOT NULL,
    tree TEXT NOT NULL, restart TEXT NOT NULL, PRIMARY KEY (vrm, name)) WITHOUT ROWID;

CREATE TABLE vendor (
    name TEXT PRIMARY KEY, key BLOB, is_unsigned INTEGER NOT NULL, at TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE envelope (
    vrm TEXT NOT NULL REFERENCES release, name TEXT NOT NULL, digest TEXT NOT NULL, kind TEXT NOT NULL,
    vendor TEXT NOT NULL, is_signed INTEGER NOT NULL, memo TEXT, at TEXT NOT NULL,
    PRIMARY KEY (vrm, name)) WITHOUT ROWID;
CREATE TABLE fix (
    vrm TEXT NOT NULL REFERENCES release, id TEXT NOT NULL, component TEXT NOT NULL, envelope TEXT NOT NULL,
    body TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (vrm, id)) WITHOUT ROWID;
CREATE TABLE envelope_fix (
    vrm TEXT NOT NULL, envelope TEXT NOT NULL, fix TEXT NOT NULL,
    PRIMARY KEY (vrm, envelope, fix),
    FOREIGN KEY (vrm, envelope) REFERENCES envelope, FOREIGN KEY (vrm, fix) REFERENCES fix) WITHOUT ROWID;

CREATE TABLE hold (
    id INTEGER PRIMARY KEY, vrm TEXT NOT NULL REFERENCES release, fix TEXT NOT NULL, class TEXT NOT NULL,
    reason TEXT NOT NULL, resolved_by TEXT, text TEXT NOT NULL, raised TEXT NOT NULL, raised_by TEXT NOT NULL,
    released TEXT, released_by TEXT, UNIQUE (vrm, fix, class, reason));
CREATE TABLE acceptance (
    hold INTEGER NOT NULL REFERENCES hold, scope TEXT NOT NULL, who TEXT NOT NULL, why TEXT NOT NULL,
    at TEXT NOT NULL, PRIMARY KEY (hold, scope)) WITHOUT ROWID;

CREATE TABLE level (
    vrm TEXT NOT NULL REFERENCES release, name TEXT NOT NULL, parent TEXT, variant TEXT NOT NULL,
    description TEXT NOT NULL, state TEXT NOT NULL CHECK (state IN ('TEST', 'STABLE', 'WITHDRAWN')),
    is_locked INTEGER NOT NULL, work TEXT NOT NULL CHECK (work IN ('IDLE', 'INCOMPLETE', 'DELETING')),
    package TEXT NOT NULL CHECK (package IN ('NONE', 'CURRENT', 'STALE')), generation INTEGER NOT NULL,
    is_signed INTEGER NOT NULL DEFAULT 0, content TEXT NOT NULL, made TEXT NOT NULL, changed TEXT NOT NULL,
    changed_by TEXT NOT NULL,
    CHECK (state = 'TEST' OR is_locked), PRIMARY KEY (vrm, name),
    FOREIGN KEY (vrm, parent) REFERENCES level) WITHOUT ROWID;
CREATE TABLE level_fix (
    vrm TEXT NOT NULL, level TEXT NOT NULL, fix TEXT NOT NULL, component TEXT NOT NULL, envelope TEXT NOT NULL,
    superseded_by TEXT, ord INTEGER NOT NULL, PRIMARY KEY (vrm, level, fix),
    FOREIGN KEY (vrm, level) REFERENCES level) WITHOUT ROWID;
CREATE INDEX level_fix_by_fix ON level_fix (vrm, fix);
CREATE TABLE level_exclude (
    vrm TEXT NOT NULL, level TEXT NOT NULL, fix TEXT NOT NULL, PRIMARY KEY (vrm, level, fix),
    FOREIGN KEY (vrm, level) REFERENCES level) WITHOUT ROWID;
CREATE TABLE level_mod (
    vrm TEXT NOT NULL, level TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (vrm, level, id),
    FOREIGN KEY (vrm, level) REFERENCES level) WITHOUT ROWID;
CREATE TABLE level_component (
    vrm TEXT NOT NULL, level TEXT NOT NULL, name TEXT NOT NULL, ord INTEGER NOT NULL, source TEXT NOT NULL,
    tree TEXT NOT NULL, restart TEXT NOT NULL, PRIMARY KEY (vrm, level, name),
    FOREIGN KEY (vrm, level) REFERENCES level) WITHOUT ROWID;
CREATE TABLE operation (
    vrm TEXT NOT NULL, level TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (vrm, level),
    FOREIGN KEY (vrm, level) REFERENCES level) WITHOUT ROWID;
CREATE TABLE packaging (
    vrm TEXT NOT NULL, level TEXT NOT NULL, generation INTEGER NOT NULL, content TEXT NOT NULL, made TEXT NOT NULL,
    PRIMARY KEY (vrm, level), FOREIGN KEY (vrm, level) REFERENCES level) WITHOUT ROWID;
CREATE TABLE built (
    recipe TEXT NOT NULL, inputs TEXT NOT NULL, outputs TEXT NOT NULL, PRIMARY KEY (recipe, inputs)) WITHOUT ROWID;
CREATE TABLE package (
    vrm TEXT NOT NULL, level TEXT NOT NULL, generation INTEGER NOT NULL, content TEXT NOT NULL,
    manifest TEXT NOT NULL, bytes INTEGER NOT NULL, made TEXT NOT NULL, is_tested INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (vrm, level, generation), FOREIGN KEY (vrm, level) REFERENCES level) WITHOUT ROWID;

CREATE TABLE system (
    name TEXT PRIMARY KEY, vrm TEXT NOT NULL REFERENCES release, body TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('ADDING', 'ADDED')),
    prod_level TEXT, prod_generation INTEGER, info TEXT, servcheck TEXT, last_verb TEXT, last_code INTEGER,
    last_at TEXT, last_contact TEXT, added TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX system_by_level ON system (vrm, prod_level);
CREATE TABLE deployment (
    system TEXT NOT NULL REFERENCES system ON DELETE CASCADE, vrm TEXT NOT NULL, level TEXT NOT NULL,
    generation INTEGER NOT NULL, state TEXT NOT NULL, request TEXT, code INTEGER, attempts INTEGER NOT NULL,
    at TEXT NOT NULL, PRIMARY KEY (system, level)) WITHOUT ROWID;
CREATE TABLE drift (
    system TEXT NOT NULL REFERENCES system ON DELETE CASCADE, body TEXT NOT NULL);
CREATE INDEX drift_by_system ON drift (system);
CREATE TABLE acknowledged (
    system TEXT NOT NULL REFERENCES system ON DELETE CASCADE, fix TEXT NOT NULL, who TEXT NOT NULL,
    at TEXT NOT NULL, PRIMARY KEY (system, fix)) WITHOUT ROWID;
CREATE TABLE request (
    id TEXT PRIMARY KEY, system TEXT NOT NULL, verb TEXT NOT NULL, body TEXT NOT NULL, result TEXT,
    at TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX request_open ON request (system, verb) WHERE result IS NULL;
CREATE TABLE member (
    nickname TEXT NOT NULL, system TEXT NOT NULL, ord INTEGER NOT NULL, PRIMARY KEY (nickname, system)) WITHOUT ROWID;
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY, previous TEXT NOT NULL, body TEXT NOT NULL, digest TEXT NOT NULL);

CREATE TRIGGER audit_is_append_only BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END;
CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END;
CREATE TRIGGER level_state_goes_forward BEFORE UPDATE OF state ON level
WHEN NOT (OLD.state = NEW.state OR (OLD.state = 'TEST' AND NEW.state = 'STABLE')
          OR (OLD.state = 'STABLE' AND NEW.state = 'WITHDRAWN'))
BEGIN SELECT RAISE(ABORT, 'a level never becomes TEST again'); END;
CREATE TRIGGER level_content_is_locked BEFORE UPDATE OF content ON level
WHEN OLD.content <> NEW.content AND (OLD.state <> 'TEST' OR OLD.is_locked)
BEGIN SELECT RAISE(ABORT, 'the content of this level is locked'); END;
CREATE TRIGGER level_stays_locked BEFORE UPDATE OF is_locked ON level
WHEN OLD.state <> 'TEST' AND NOT NEW.is_locked
BEGIN SELECT RAISE(ABORT, 'a stable level cannot be unlocked'); END;
CREATE TRIGGER level_is_kept BEFORE DELETE ON level WHEN OLD.work <> 'DELETING'
BEGIN SELECT RAISE(ABORT, 'only SRVLVL DELETE deletes a level'); END;
";

/// Changes made on systems themselves, the copies of their audit logs, acceptances that end, embargoes, test runs.
const VERSION_2: &str = "
ALTER TABLE system ADD COLUMN changes TEXT;
ALTER TABLE system ADD COLUMN audit TEXT;
ALTER TABLE acceptance ADD COLUMN until TEXT;
CREATE TABLE embargo (
    vrm TEXT NOT NULL REFERENCES release, kind TEXT NOT NULL CHECK (kind IN ('LEVEL', 'FIX')), name TEXT NOT NULL,
    who TEXT NOT NULL, why TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (vrm, kind, name)) WITHOUT ROWID;
CREATE TABLE test_run (
    system TEXT NOT NULL REFERENCES system ON DELETE CASCADE, vrm TEXT NOT NULL, level TEXT NOT NULL,
    generation INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (system, vrm, level, generation)) WITHOUT ROWID;
";

/// The tables whose rows are the content of a level, and the columns that name it.
const CONTENT_TABLES: [&str; 4] = ["level_fix", "level_exclude", "level_mod", "level_component"];

fn content_triggers() -> String {
    let mut sql = String::new();
    for table in CONTENT_TABLES {
        for (event, row) in [("INSERT", "NEW"), ("UPDATE", "OLD"), ("DELETE", "OLD")] {
            sql.push_str(&format_trigger(table, event, row));
        }
    }
    sql
}

fn format_trigger(table: &str, event: &str, row: &str) -> String {
    format!(
        "CREATE TRIGGER {table}_{event} BEFORE {event} ON {table}
         WHEN EXISTS (SELECT 1 FROM level WHERE vrm = {row}.vrm AND name = {row}.level
                      AND (state <> 'TEST' OR is_locked) AND work <> 'DELETING')
         BEGIN SELECT RAISE(ABORT, 'the content of this level is locked'); END;\n"
    )
}

/// Brings the tables to the newest version.
///
/// Errors: [`ServiceError::TooNew`] when a newer Tender wrote them.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), ServiceError> {
    let version = |connection: &Connection| -> Result<i64, ServiceError> {
        connection.query_row("PRAGMA user_version", [], |row| row.get(0)).doing("reading their version")
    };
    let known = i64::try_from(STEPS.len()).expect("there are few steps");
    let found = version(connection)?;
    if found > known {
        return Err(ServiceError::TooNew { found, known });
    }
    if found == known {
        return Ok(());
    }
    let transaction = connection
        .transaction_with_behavior(rusqlite::TransactionBehavior::Exclusive)
        .doing("taking them for an upgrade")?;
    // Another process may have upgraded while this one waited.
    let found = version(&transaction)?;
    for (number, step) in (1_i64..).zip(STEPS).filter(|(number, _)| *number > found) {
        transaction.execute_batch(step).doing("upgrading them")?;
        if number == 1 {
            transaction.execute_batch(&content_triggers()).doing("upgrading them")?;
        }
        transaction
            .execute("INSERT INTO migration (version) VALUES (?1)", [number])
            .doing("recording their version")?;
        transaction.pragma_update(None, "user_version", number).doing("recording their version")?;
    }
    transaction.commit().doing("upgrading them")
}

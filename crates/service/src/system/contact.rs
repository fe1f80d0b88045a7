//! What the principal takes home from every contact with a system: its state, what was changed on it by hand, and
//! the lines its audit log grew by.

use std::fs::{File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use tender_content::Digest;
use tender_package::SystemName;
use tender_package::audit::{beginning, follow as follow_chain};
use tender_package::changes::Changes;
use tender_package::report::{AuditHead, SystemInfo};

use crate::error::ServiceError;
use crate::link::{ManagedSystem, Reading};
use crate::principal::Principal;
use crate::shapes::{AuditCopy, SystemRecord};
use crate::tables::systems;
use crate::verbs::Context;

/// Notes what a system said of itself, and reads what it has to say besides.
pub(crate) fn note(
    principal: &Principal,
    context: &Context<'_>,
    record: &SystemRecord,
    link: &mut dyn ManagedSystem,
    info: &SystemInfo,
) -> Result<(), ServiceError> {
    systems::set_info(&principal.tables(), &record.name, info, (context.now)())?;
    follow(principal, record, link, info)
}

/// Reads what is new: what was changed by hand, and the lines of the audit log.
///
/// A link that breaks here breaks again at the next question, which says so; what could not be read stays unread.
pub(crate) fn follow(
    principal: &Principal,
    record: &SystemRecord,
    link: &mut dyn ManagedSystem,
    info: &SystemInfo,
) -> Result<(), ServiceError> {
    let Some(row) = systems::find(&principal.tables(), &record.name)? else { return Ok(()) };
    let known = row.changes.as_ref().map(|known| Digest::of(&encode(known)));
    match &info.changes {
        None if known.is_none() => {}
        None => systems::set_changes(&principal.tables(), &record.name, None)?,
        Some(head) if known == Some(head.digest) => {}
        Some(head) => {
            // What people changed meanwhile is told by the head at the next contact.
            let read = link.read(Reading::Changes, 0).ok().filter(|bytes| Digest::of(bytes) == head.digest);
            let changes: Option<Changes> = read.and_then(|bytes| serde_json::from_slice(&bytes).ok());
            systems::set_changes(&principal.tables(), &record.name, changes.as_ref())?;
        }
    }
    follow_audit(principal, &record.name, row.audit, link, info.audit)
}

fn encode(changes: &Changes) -> Vec<u8> {
    serde_json::to_vec(changes).expect("names, paths and digests always become JSON")
}

/// Returns the file with the copy of a system's audit log.
pub(crate) fn audit_path(principal: &Principal, name: &SystemName) -> PathBuf {
    principal.home().join("logs/systems").join(format!("{name}.audit"))
}

fn follow_audit(
    principal: &Principal,
    name: &SystemName,
    known: Option<AuditCopy>,
    link: &mut dyn ManagedSystem,
    now: Option<AuditHead>,
) -> Result<(), ServiceError> {
    let known = known.unwrap_or(AuditCopy { end: beginning(), bytes: 0, fault: None });
    let keep = |copy: &AuditCopy| systems::set_audit(&principal.tables(), name, Some(copy));
    if known.fault.is_some() {
        return Ok(());
    }
    let Some(now) = now else {
        return match known.end.count {
            0 => Ok(()),
            count => keep(&faulty(&known, format!("the log is gone; {count} records of it are copied"))),
        };
    };
    if now.count < known.end.count {
        let text = format!(
            "it has {} records, {} of it are copied: its end was cut off",
            now.count, known.end.count
        );
        return keep(&faulty(&known, text));
    }
    if now == known.end {
        return Ok(());
    }
    let Ok(bytes) = link.read(Reading::Audit, known.bytes) else { return Ok(()) };
    match follow_chain(known.end, &bytes) {
        Err(error) => keep(&faulty(&known, error.to_string())),
        Ok((end, _)) if end.count < now.count => {
            // A log without changes grows; one that gives fewer lines than it says it has was exchanged.
            keep(&faulty(&known, format!("it says it has {} records and gives {}", now.count, end.count)))
        }
        Ok((end, whole)) => {
            append(principal, name, known.bytes, &bytes[..whole])?;
            keep(&AuditCopy { end, bytes: known.bytes + whole as u64, fault: None })
        }
    }
}

fn faulty(known: &AuditCopy, fault: String) -> AuditCopy {
    AuditCopy { fault: Some(fault), ..known.clone() }
}

/// Adds lines to a copy, durably; what a killed command added and did not note is written over.
fn append(principal: &Principal, name: &SystemName, at: u64, lines: &[u8]) -> Result<(), ServiceError> {
    let path = audit_path(principal, name);
    let failed = |error| ServiceError::file("writing the copy of an audit log", &path)(error);
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(failed)?;
    }
    let write = |file: &mut File| {
        file.set_len(at)?;
        file.seek(SeekFrom::Start(at))?;
        file.write_all(lines)?;
        file.sync_all()
    };
    let opened = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    opened.and_then(|mut file| write(&mut file)).map_err(failed)
}

/// Puts the copy of a system's audit log aside, for people, and begins a new one with the next contact.
pub(crate) fn set_audit_aside(
    principal: &Principal,
    name: &SystemName,
    now: jiff::Timestamp,
) -> Result<Option<PathBuf>, ServiceError> {
    let path = audit_path(principal, name);
    let aside = path.with_extension(format!("audit.{}", now.as_second()));
    let moved = match std::fs::rename(&path, &aside) {
        Ok(()) => Some(aside),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(ServiceError::file("putting aside", &path)(error)),
    };
    systems::set_audit(&principal.tables(), name, None)?;
    Ok(moved)
}

//! The record of everything done: a hash-chained table, and a readable log a release.

use std::io::Write as _;

use rusqlite::OptionalExtension as _;
use tender_content::Digest;
use tender_package::Vrm;

use super::Principal;
use crate::error::{ServiceError, TablesContext};
use crate::shapes::AuditEvent;

/// Says where the chain of audit records is broken.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// A record was changed, or one before it is missing.
    #[error("audit record {seq} does not follow from the one before it")]
    Broken {
        /// The first record that does not fit.
        seq: i64,
    },
    /// The records could not be read.
    #[error("audit records cannot be read")]
    Tables(#[from] ServiceError),
}

const FIRST: &str = "tender audit 1";

fn chain(previous: &str, body: &str) -> String {
    Digest::of(format!("{previous}\n{body}").as_bytes()).to_hex()
}

impl Principal {
    /// Appends an event to the audit table and to `logs/<vrm>.msglog`, the `$CSMCMD $MSGLOG` of the release.
    pub(crate) fn record(&self, event: &AuditEvent) -> Result<(), ServiceError> {
        let body = serde_json::to_string(event).expect("an event has only text and numbers");
        self.transaction(|tables| {
            let last: Option<String> = tables
                .query_row("SELECT digest FROM audit ORDER BY seq DESC LIMIT 1", [], |row| row.get(0))
                .optional()
                .doing("reading the audit")?;
            let previous = last.unwrap_or_else(|| FIRST.to_owned());
            let digest = chain(&previous, &body);
            tables
                .execute(
                    "INSERT INTO audit (previous, body, digest) VALUES (?1, ?2, ?3)",
                    [&previous, &body, &digest],
                )
                .doing("writing the audit")?;
            Ok(())
        })?;
        self.write_msglog(event)
    }

    fn write_msglog(&self, event: &AuditEvent) -> Result<(), ServiceError> {
        let name = event.vrm.as_ref().map_or("principal", Vrm::as_str);
        let path = self.home.join("logs").join(format!("{name}.msglog"));
        let mut text = format!("{:.3} {} SERVMGR {}\n", event.at, event.operator, event.command);
        for message in &event.messages {
            text.push_str(&format_line(event, message));
        }
        text.push_str(&format_line(event, &format!("Ready({:05})", event.code)));
        std::fs::File::options()
            .append(true)
            .create(true)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(ServiceError::file("writing the log", &path))
    }

    /// Checks the whole chain of audit records and returns how many there are.
    pub fn verify_audit(&self) -> Result<u64, AuditError> {
        let tables = self.tables();
        let mut statement = tables
            .prepare("SELECT seq, previous, body, digest FROM audit ORDER BY seq")
            .doing("reading the audit")?;
        let rows = statement
            .query_map([], |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, String>(2)?,
                    row.get::<_, String>(3)?,
                ))
            })
            .doing("reading the audit")?;
        let mut last = FIRST.to_owned();
        let mut count = 0;
        for row in rows {
            let (seq, previous, body, digest) = row.doing("reading the audit")?;
            count += 1;
            if seq != count || previous != last || chain(&previous, &body) != digest {
                return Err(AuditError::Broken { seq });
            }
            last = digest;
        }
        Ok(count.unsigned_abs())
    }
}

fn format_line(event: &AuditEvent, text: &str) -> String {
    format!("{:.3}   {text}\n", event.at)
}

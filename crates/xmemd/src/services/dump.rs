//! DUMP (2): bytes for the server's log, at most 512 of them.

use tender_xmem::code::CmsCode;
use tender_xmem::service::Dump;

use crate::front::{Connection, Logging, Said};
use crate::sysprint;

pub(crate) fn answer(log: &Logging<'_>, connection: &mut Connection, payload: &[u8]) -> Said {
    let dump = match Dump::decode(payload) {
        Ok(dump) => dump,
        Err(invalid) => return Said::Codes(invalid.code, 0),
    };
    let who = &connection.who;
    let first = format!("ZWES0101I {} ({} bytes)", dump.description, dump.bytes.len());
    for line in std::iter::once(first).chain(dump.lines()) {
        // Each line costs: a dump is a way to write a lot with one call.
        if !connection.bucket.take(log.lines_per_second, log.now_ms) {
            return Said::Codes(CmsCode::NoMessageStorage.number(), 0);
        }
        log.print.line(sysprint::stamped_for(who.id, who.uid, who.pid, &who.program, &line));
    }
    Said::Codes(0, 0)
}

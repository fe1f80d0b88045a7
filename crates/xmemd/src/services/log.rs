//! LOG (1): a line for the server's log, stamped by the server.

use tender_xmem::code::CmsCode;
use tender_xmem::service::LogText;

use crate::front::{Connection, Logging, Said};
use crate::sysprint;

pub(crate) fn answer(log: &Logging<'_>, connection: &mut Connection, payload: &[u8]) -> Said {
    let text = match LogText::decode(payload) {
        Ok(text) => text,
        Err(invalid) => return Said::Codes(invalid.code, 0),
    };
    if !connection.bucket.take(log.lines_per_second, log.now_ms) {
        return Said::Codes(CmsCode::NoMessageStorage.number(), 0);
    }
    let who = &connection.who;
    if connection.bucket.left_out > 0 {
        let missing = std::mem::take(&mut connection.bucket.left_out);
        let text = format!("{missing} lines were refused: more than {} a second", log.lines_per_second);
        log.print.line(sysprint::stamped_for(who.id, who.uid, who.pid, &who.program, &text));
    }
    log.print.line(sysprint::stamped_for(who.id, who.uid, who.pid, &who.program, text.raw()));
    Said::Codes(0, 0)
}

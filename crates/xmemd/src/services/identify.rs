//! IDENTIFY (5): who the server takes the caller for.

use tender_xmem::service::WhoAmI;

use crate::front::{Connection, Said};

pub(crate) fn answer(connection: &Connection, actor: u64, generation: u64) -> Said {
    let who = &connection.who;
    let answer = WhoAmI {
        connection: who.id,
        pid: who.pid,
        uid: who.uid,
        gid: who.gid,
        groups: who.gids.clone(),
        user: connection.rights.table.user.clone(),
        actor: connection.actors.get(&actor).cloned(),
        client: connection.client.clone(),
        generation,
        epoch: connection.rights.epoch,
        services: connection.rights.entries(),
    };
    Said::Payload(serde_json::to_vec(&answer).unwrap_or_default())
}

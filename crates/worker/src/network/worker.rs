//! Joins sockets with owners, within the limits.

use std::time::{Duration, Instant};

use super::owners::{self, Owners};
use super::{NetworkOrder, NetworkOutcome, NetworkSettings, Protocol, ROWS_MAX, Socket, diag};
use crate::order::{PACKET_BYTES_MAX, Refusal};

/// Room in the answer for everything but the rows.
const REST_BYTES: usize = 1024;
/// The most owners that are named of one socket: some are inherited by hundreds of processes.
const OWNERS_MAX: usize = 16;

/// Carries an order out.
pub(crate) fn list(order: &NetworkOrder, settings: &NetworkSettings) -> Result<NetworkOutcome, Refusal> {
    let with_owners = order.owners || order.process.is_some();
    if with_owners && !settings.owners {
        return Err(Refusal::not_allowed("looking for owners is turned off"));
    }
    if order.protocols.len() > Protocol::ALL.len() || order.states.len() > 16 {
        return Err(Refusal::invalid("protocols", "each at most once"));
    }
    let rows_max = [order.rows_max, settings.rows_max, ROWS_MAX].into_iter().filter(|&rows| rows != 0).min();
    let mut rows = Rows {
        sockets: Vec::new(),
        rows_max: rows_max.unwrap_or(ROWS_MAX) as usize,
        bytes_left: PACKET_BYTES_MAX - REST_BYTES,
        more: false,
    };
    let found = if with_owners {
        let deadline = Instant::now() + Duration::from_millis(settings.owners_ms_max.into());
        owners::find(order.process, deadline)
    } else {
        Owners { by_inode: std::collections::HashMap::new(), complete: true }
    };
    let mut protocols =
        if order.protocols.is_empty() { Protocol::ALL.to_vec() } else { order.protocols.clone() };
    protocols.sort_unstable();
    protocols.dedup();
    for protocol in protocols {
        diag::list(protocol, &order.states, &mut |mut socket| {
            if !fits(order, &socket) {
                return true;
            }
            if let Some(owners) = found.by_inode.get(&socket.inode).filter(|_| socket.inode != 0) {
                socket.owners = owners.iter().take(OWNERS_MAX).cloned().collect();
            }
            if order.process.is_some() && socket.owners.is_empty() {
                return true;
            }
            rows.push(socket)
        })
        .map_err(|error| Refusal::system(format!("list {protocol:?} sockets"), error))?;
        if rows.more {
            break;
        }
    }
    Ok(NetworkOutcome { sockets: rows.sockets, more: rows.more, owners_complete: found.complete })
}

fn fits(order: &NetworkOrder, socket: &Socket) -> bool {
    let port = |address: &str| address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    let has = |wanted: Option<u16>, address: &str| {
        wanted.is_none_or(|wanted| socket.protocol != Protocol::Unix && port(address) == Some(wanted))
    };
    has(order.local_port, &socket.local)
        && has(order.remote_port, &socket.remote)
        && order.uid.is_none_or(|uid| socket.uid == Some(uid))
        // The kernel looks at states of TCP only.
        && (order.states.is_empty() || socket.state.is_some_and(|state| order.states.contains(&state)))
}

struct Rows {
    sockets: Vec<Socket>,
    rows_max: usize,
    bytes_left: usize,
    more: bool,
}

impl Rows {
    /// Takes one more row if there is room; says whether the next may be tried.
    fn push(&mut self, socket: Socket) -> bool {
        let bytes = serde_json::to_vec(&socket).map_or(usize::MAX, |row| row.len() + 1);
        if self.sockets.len() >= self.rows_max || bytes > self.bytes_left {
            self.more = true;
            return false;
        }
        self.bytes_left -= bytes;
        self.sockets.push(socket);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Owner, State};

    fn socket(local: &str) -> Socket {
        Socket {
            protocol: Protocol::Tcp6,
            state: Some(State::Listen),
            local: local.to_owned(),
            remote: "[::]:0".to_owned(),
            uid: Some(7),
            inode: 1,
            owners: vec![Owner { pid: 1, name: "x".to_owned() }],
        }
    }

    #[test]
    fn fits_compares_the_port_behind_the_last_colon() {
        let order = NetworkOrder { local_port: Some(443), ..NetworkOrder::default() };
        assert!(fits(&order, &socket("[::1]:443")));
        assert!(!fits(&order, &socket("[::443]:80")));
        assert!(!fits(&order, &Socket { protocol: Protocol::Unix, ..socket("/run/x:443") }));
    }

    #[test]
    fn rows_end_at_their_limits() {
        let mut rows = Rows { sockets: Vec::new(), rows_max: 2, bytes_left: 10_000, more: false };
        assert!(rows.push(socket("a")) && rows.push(socket("b")) && !rows.push(socket("c")));
        assert!(rows.more && rows.sockets.len() == 2);
        let mut rows = Rows { sockets: Vec::new(), rows_max: 2, bytes_left: 10, more: false };
        assert!(!rows.push(socket("a")) && rows.more);
    }
}

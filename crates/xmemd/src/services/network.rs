//! NETWORK (13): sockets with their owners.

use std::os::fd::OwnedFd;

use tender_worker::network as order;
use tender_worker::order::{Outcome, Refusal, Work};
use tender_xmem::code::{CmsCode, NetworkCode};
use tender_xmem::service::{Network, NetworkAnswer, Protocol, Request as _, SocketEntry};

use crate::monitor::Monitor;
use crate::monitor::calls::{Answer, Asking, Step};

pub(super) fn call(_: &mut Monitor, _: Asking, payload: &[u8], _: Option<OwnedFd>) -> Step {
    let request = match Network::decode(payload) {
        Ok(request) => request,
        Err(invalid) => return Answer::not_taken::<Network>(&invalid),
    };
    let protocols = request.protocols.iter().flat_map(|protocol| match protocol {
        Protocol::Tcp => vec![order::Protocol::Tcp4, order::Protocol::Tcp6],
        Protocol::Udp => vec![order::Protocol::Udp4, order::Protocol::Udp6],
        Protocol::Unix => vec![order::Protocol::Unix],
    });
    let order = order::NetworkOrder {
        protocols: protocols.collect(),
        local_port: request.port,
        states: if request.listening { vec![order::State::Listen] } else { Vec::new() },
        uid: request.uid,
        owners: true,
        rows_max: request.capacity.min(order::ROWS_MAX),
        ..order::NetworkOrder::default()
    };
    Step::Work {
        work: Box::new(Work::Network(order)),
        fds: Vec::new(),
        then: Box::new(|monitor, _, done| match done {
            None => Answer::code(CmsCode::ServiceEnded),
            Some((Outcome::Network(found), _)) => answer(found),
            Some((Outcome::Refused(Refusal::TimedOut), _)) => Answer::code(CmsCode::DeadlinePassed),
            Some((Outcome::Refused(refusal), _)) => {
                monitor.debug(|| format!("network: {refusal}"));
                Answer::detail(NetworkCode::QueryFailed)
            }
            Some(_) => Answer::detail(NetworkCode::QueryEnded),
        }),
    }
}

fn answer(found: order::NetworkOutcome) -> Step {
    let sockets: Vec<SocketEntry> = found.sockets.into_iter().map(entry).collect();
    // That there are more is said by a number higher than what came.
    let count = u32::try_from(sockets.len()).unwrap_or(u32::MAX) + u32::from(found.more);
    Answer::json(&NetworkAnswer { found: count, sockets })
}

fn entry(socket: order::Socket) -> SocketEntry {
    let owner = socket.owners.into_iter().next();
    let state = socket.state.and_then(|state| serde_json::to_value(state).ok());
    SocketEntry {
        protocol: match socket.protocol {
            order::Protocol::Tcp4 | order::Protocol::Tcp6 => Protocol::Tcp,
            order::Protocol::Udp4 | order::Protocol::Udp6 => Protocol::Udp,
            order::Protocol::Unix => Protocol::Unix,
        },
        local: socket.local,
        remote: socket.remote,
        state: state.and_then(|state| state.as_str().map(str::to_owned)).unwrap_or_default(),
        uid: socket.uid.unwrap_or(u32::MAX),
        inode: socket.inode,
        pid: owner.as_ref().map(|owner| owner.pid),
        program: owner.map(|owner| owner.name),
    }
}

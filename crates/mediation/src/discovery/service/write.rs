//! Calls that change the registry.

use std::sync::Arc;

use tender_http::hyper::{HeaderMap, StatusCode};
use tender_http::{Peer, RequestBody};

use super::Discovery;
use super::announce;
use super::answer::{self, Answer};
use super::counters::Kind;
use super::peers::News;
use super::route::{Undecodable, parameters};
use crate::discovery::event::Event;
use crate::discovery::instance::LONG_MAX;
use crate::discovery::metadata;
use crate::discovery::registry::Refused;
use crate::discovery::{Heartbeat, Registered, Status, json};

/// The header by which another server says that it is one.
const REPLICATION: &str = "x-netflix-discovery-replication";

impl Discovery {
    /// Takes an announcement.
    pub(super) async fn register(
        &self,
        app: &str,
        headers: &HeaderMap,
        body: RequestBody,
        peer: &Arc<Peer>,
    ) -> Answer {
        let state = &self.0.state;
        let mut instance = match announce::read(app, headers, body, state.clock.now_ms()).await {
            Ok(instance) => instance,
            Err(refusal) => {
                state.counters.count(Kind::Refused);
                return refusal.answer();
            }
        };
        metadata::modernise(&mut instance);
        self.0.statics.add_to(&mut instance);
        // Whether a server is the one that is asked is not for others to say.
        instance.is_coordinating = false;
        let (app, id) = (instance.app.clone(), instance.id.clone());
        let (registered, before, after) = {
            let mut registry = state.registry();
            let before = registry.get(&app, &id).map(|entry| entry.instance.status);
            let registered = registry.register(instance, state.clock.now_ms());
            (registered, before, registry.get(&app, &id).map(|entry| entry.instance.status))
        };
        match registered {
            Registered::New | Registered::Replaced | Registered::Kept => {}
            Registered::Own => {
                state.counters.count(Kind::Refused);
                let reason = format!("the server keeps the instance `{id}` of {app} itself");
                return answer::refused(StatusCode::CONFLICT, &reason);
            }
            Registered::Full(limit) => {
                state.counters.count(Kind::Refused);
                return answer::refused(StatusCode::INSUFFICIENT_STORAGE, &limit.to_string());
            }
        }
        state.counters.count(Kind::Registrations);
        if !is_replication(headers) {
            self.spread(&app, &id, News::CHANGED);
        }
        if let Some(status) = after.filter(|_| before != after) {
            let subject = peer.certificate.as_ref().map(|certificate| certificate.subject().to_owned());
            self.tell(&Event::Registered { app, id, status: status.name(), subject });
        }
        answer::bare(StatusCode::NO_CONTENT)
    }

    /// Renews a lease.
    pub(super) fn heartbeat(&self, app: &str, id: &str, query: Option<&str>, headers: &HeaderMap) -> Answer {
        let parameters = match parameters(query.unwrap_or_default()) {
            Ok(parameters) => parameters,
            Err(fault) => return malformed(&fault),
        };
        let dirty_ms = value_of(&parameters, "lastDirtyTimestamp").and_then(time_ms);
        let state = &self.0.state;
        let now_ms = state.clock.now_ms();
        let outcome = state.registry().heartbeat(app, id, dirty_ms, is_replication(headers), now_ms);
        match outcome {
            Ok(Heartbeat::Renewed) => {
                state.counters.count(Kind::Heartbeats);
                answer::bare(StatusCode::OK)
            }
            Ok(Heartbeat::Older(instance)) => {
                let mut answer = answer::body("application/json", json::instance(&instance));
                *answer.status_mut() = StatusCode::CONFLICT;
                answer
            }
            Err(_) => {
                state.counters.count(Kind::Unknown);
                answer::bare(StatusCode::NOT_FOUND)
            }
        }
    }

    /// Takes an instance away because it says so.
    pub(super) fn cancel(&self, app: &str, id: &str) -> Answer {
        let state = &self.0.state;
        let now_ms = state.clock.now_ms();
        let cancelled = state.registry().cancel(app, id, now_ms);
        if cancelled.is_ok() {
            state.counters.count(Kind::Cancellations);
            self.tell(&Event::Cancelled { app: app.to_ascii_uppercase(), id: id.to_owned() });
        }
        done(cancelled)
    }

    /// Overrides the status of an instance.
    pub(super) fn set_status(&self, app: &str, id: &str, query: Option<&str>) -> Answer {
        match status_of(query) {
            Ok(Some(status)) => {
                let state = &self.0.state;
                let now_ms = state.clock.now_ms();
                let set = state.registry().set_status(app, id, status, now_ms);
                done(set)
            }
            Ok(None) => answer::refused(
                StatusCode::BAD_REQUEST,
                "the query says no status: `?value=STATUS` is wanted",
            ),
            Err(refused) => *refused,
        }
    }

    /// Removes the override of an instance.
    pub(super) fn remove_status(&self, app: &str, id: &str, query: Option<&str>) -> Answer {
        match status_of(query) {
            Ok(then) => {
                let state = &self.0.state;
                let now_ms = state.clock.now_ms();
                let removed = state.registry().remove_status(app, id, then.unwrap_or_default(), now_ms);
                done(removed)
            }
            Err(refused) => *refused,
        }
    }

    /// Merges metadata into that of an instance.
    pub(super) fn add_metadata(&self, app: &str, id: &str, query: Option<&str>) -> Answer {
        let parameters = match parameters(query.unwrap_or_default()) {
            Ok(parameters) => parameters,
            Err(fault) => return malformed(&fault),
        };
        let state = &self.0.state;
        let now_ms = state.clock.now_ms();
        let added = state.registry().add_metadata(app, id, parameters.into_iter().collect(), now_ms);
        if matches!(added, Err(Refused::Full(_))) {
            state.counters.count(Kind::Refused);
        }
        done(added)
    }
}

/// Says whether a call comes from another server and not from the instance itself.
pub(super) fn is_replication(headers: &HeaderMap) -> bool {
    headers.get(REPLICATION).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"))
}

/// Reads a time in milliseconds since 1970 as Java clients write it; nothing for what is none.
pub(super) fn time_ms(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|time| *time <= LONG_MAX)
}

/// Reads the status of `?value=`; nothing when there is none.
fn status_of(query: Option<&str>) -> Result<Option<Status>, Box<Answer>> {
    let parameters = parameters(query.unwrap_or_default()).map_err(|fault| Box::new(malformed(&fault)))?;
    let Some(word) = value_of(&parameters, "value") else { return Ok(None) };
    let known = Status::ALL.into_iter().find(|status| status.name().eq_ignore_ascii_case(word.trim()));
    known.map(Some).ok_or_else(|| {
        let names = Status::ALL.map(Status::name).join(", ");
        let reason = format!("`{}` is no status; there are {names}", word.escape_debug());
        Box::new(answer::refused(StatusCode::BAD_REQUEST, &reason))
    })
}

fn done(outcome: Result<(), Refused>) -> Answer {
    match outcome {
        Ok(()) => answer::bare(StatusCode::OK),
        Err(Refused::Full(limit)) => answer::refused(StatusCode::INSUFFICIENT_STORAGE, &limit.to_string()),
        Err(Refused::Unknown { .. } | Refused::Newer { .. }) => answer::bare(StatusCode::NOT_FOUND),
    }
}

fn malformed(fault: &Undecodable) -> Answer {
    answer::refused(StatusCode::BAD_REQUEST, &fault.to_string())
}

fn value_of<'p>(parameters: &'p [(String, String)], name: &str) -> Option<&'p str> {
    parameters.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
}

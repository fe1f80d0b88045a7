//! What other servers of an installation tell of their instances, many at a time.
//!
//! Source: the peer replication of the Eureka protocol. What is told here is told to nobody else: every server tells all
//! the others itself.

mod batch;

use std::sync::Arc;

use serde_json::{Value, json};
use tender_http::hyper::StatusCode;
use tender_http::{BodyFault, Peer, RequestBody};

use super::Discovery;
use super::announce;
use super::answer::{self, Answer};
use super::counters::Kind;
use super::write::time_ms;
use crate::discovery::json as documents;
use crate::discovery::registry::Refused;
use crate::discovery::snapshot::LARGE;
use crate::discovery::{Heartbeat, Registered, Status, metadata};
use batch::Item;

/// Bytes of one batch.
const BYTES_MAX: u64 = 8 << 20;

impl Discovery {
    /// Takes a batch; each item has its own status in the answer, in the same order.
    pub(super) async fn replicate(&self, body: RequestBody, peer: &Arc<Peer>) -> Answer {
        let bytes = match body.with_limit(BYTES_MAX).read().await {
            Ok(bytes) => bytes,
            Err(fault @ BodyFault::TooLarge { .. }) => {
                return answer::refused(StatusCode::PAYLOAD_TOO_LARGE, &fault.to_string());
            }
            Err(fault) => return answer::refused(StatusCode::BAD_REQUEST, &fault.to_string()),
        };
        let (this, peer) = (self.clone(), Arc::clone(peer));
        let take = move || {
            // Before anything of it is taken.
            batch::check(&bytes)?;
            let mut answers = Vec::new();
            batch::each(&bytes, |item| answers.push(this.replicated(&item, &peer)))?;
            Ok::<_, serde_json::Error>(answers)
        };
        match self.0.state.made(LARGE, take).await {
            Ok(answers) => answer::json(&json!({ "responseList": answers })),
            Err(fault) => {
                let reason = format!("the body is no JSON with a list `replicationList`: {fault}");
                answer::refused(StatusCode::BAD_REQUEST, &reason)
            }
        }
    }

    fn replicated(&self, item: &Item, peer: &Arc<Peer>) -> Value {
        let Item::Read(item) = item else { return status(StatusCode::PAYLOAD_TOO_LARGE) };
        let text = |key: &str| item[key].as_str().filter(|text| !text.is_empty());
        let (Some(app), Some(id), Some(action)) = (text("appName"), text("id"), text("action")) else {
            return status(StatusCode::BAD_REQUEST);
        };
        if self.is_forbidden(app, peer).is_some() {
            return status(StatusCode::FORBIDDEN);
        }
        let state = &self.0.state;
        let now_ms = state.clock.now_ms();
        let said = |key: &str| text(key).map(Status::of);
        match action {
            "Register" => self.taken(app, &item["instanceInfo"], now_ms),
            "Heartbeat" => {
                let dirty = &item["lastDirtyTimestamp"];
                let dirty_ms = dirty.as_u64().map(|number| number.to_string());
                let dirty_ms = dirty_ms.as_deref().or(dirty.as_str()).and_then(time_ms);
                let outcome = state.registry().heartbeat(app, id, dirty_ms, true, now_ms);
                match outcome {
                    Ok(Heartbeat::Renewed) => status(StatusCode::OK),
                    Ok(Heartbeat::Older(instance)) => json!({
                        "statusCode": StatusCode::CONFLICT.as_u16(),
                        "responseEntity": documents::value(&instance),
                    }),
                    // The other server has it and tells it whole, or registers it next.
                    Err(_) if item["instanceInfo"].is_object() => {
                        self.taken(app, &item["instanceInfo"], now_ms)
                    }
                    Err(_) => status(StatusCode::NOT_FOUND),
                }
            }
            "Cancel" => outcome(state.registry().cancel(app, id, now_ms)),
            "StatusUpdate" => match said("status") {
                Some(new) => outcome(state.registry().set_status(app, id, new, now_ms)),
                None => status(StatusCode::BAD_REQUEST),
            },
            "DeleteStatusOverride" => {
                let then = said("status").unwrap_or_default();
                outcome(state.registry().remove_status(app, id, then, now_ms))
            }
            _ => status(StatusCode::BAD_REQUEST),
        }
    }

    fn taken(&self, app: &str, document: &Value, now_ms: u64) -> Value {
        let read = documents::read_value(document, now_ms).ok();
        let read = read.filter(|one| one.app.eq_ignore_ascii_case(app));
        let Some(mut instance) = read.and_then(|instance| announce::checked(instance).ok()) else {
            return status(StatusCode::BAD_REQUEST);
        };
        metadata::modernise(&mut instance);
        self.0.statics.add_to(&mut instance);
        instance.is_coordinating = false;
        let registered = self.0.state.registry().register(instance, now_ms);
        match registered {
            Registered::Full(_) => status(StatusCode::INSUFFICIENT_STORAGE),
            // Another server reads the same definitions: both keep their own.
            Registered::Own => status(StatusCode::OK),
            Registered::New | Registered::Replaced | Registered::Kept => {
                self.0.state.counters.count(Kind::Registrations);
                status(StatusCode::OK)
            }
        }
    }
}

fn outcome(outcome: Result<(), Refused>) -> Value {
    status(if outcome.is_ok() { StatusCode::OK } else { StatusCode::NOT_FOUND })
}

fn status(code: StatusCode) -> Value {
    json!({ "statusCode": code.as_u16() })
}

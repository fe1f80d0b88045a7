//! EXPLAIN (26): who can call what, and the last refusals, for those who may know.

use std::os::fd::OwnedFd;

use tender_saf::AccessLevel;
use tender_xmem::code::CmsCode;
use tender_xmem::service::{Explain, ExplainAnswer, RefusalRecord, Request as _, WhoCan};

use crate::monitor::Monitor;
use crate::monitor::calls::{Answer, Asking, Step};
use crate::monitor::rights;
use crate::services;

pub(super) fn call(monitor: &mut Monitor, asked: Asking, payload: &[u8], _: Option<OwnedFd>) -> Step {
    let request = match Explain::decode(payload) {
        Ok(request) => request,
        Err(invalid) => return Answer::not_taken::<Explain>(&invalid),
    };
    let Some(subject) = monitor.subject(asked) else { return Answer::code(CmsCode::Error) };
    if let Err(step) = monitor.require(asked, &subject, (rights::CLASS, rights::EXPLAIN, AccessLevel::Read)) {
        return step;
    }
    match request {
        Explain::WhoCan { service } => who_can(monitor, &service),
        Explain::Refusals { count, uid } => {
            let wanted = |record: &&RefusalRecord| uid.is_none_or(|uid| record.uid == uid);
            let found = monitor.refusals().filter(wanted).take(count as usize).cloned().collect();
            Answer::json(&ExplainAnswer::Refusals(found))
        }
        Explain::Reference(reference) => {
            let found = monitor.refusals().filter(|record| record.refusal.reference == reference);
            Answer::json(&ExplainAnswer::Refusals(found.cloned().collect()))
        }
    }
}

fn who_can(monitor: &Monitor, service: &str) -> Step {
    let Some(policy) = monitor.policy() else { return Answer::code(CmsCode::ServerNotReady) };
    let (resource, level) = match services::ALL.iter().find(|found| found.name == service) {
        Some(found) => (rights::service_resource(found.name), found.level),
        None => match service.split_once('.') {
            Some((plugin, service)) => (rights::plugin_resource(plugin, service), AccessLevel::Read),
            None => (service.to_owned(), AccessLevel::Read),
        },
    };
    let asked = rights::question(rights::CLASS, &resource, level);
    let who = tender_saf::who_can(&policy.compiled, &asked)
        .into_iter()
        .map(|grant| WhoCan { id: grant.user.unwrap_or_else(|| "(anybody)".to_owned()), rule: grant.rule });
    Answer::json(&ExplainAnswer::WhoCan { resource, who: who.collect() })
}

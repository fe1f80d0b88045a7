//! One request to one managed system: written down, sent, waited for, kept, acknowledged.

use std::sync::atomic::{AtomicU32, Ordering};

use jiff::Timestamp;
use tender_package::manifest::FORMAT;
use tender_package::report::SystemInfo;
use tender_package::request::{PROTOCOL, Request, RequestResult, RequestState, Verb};

use super::contact;
use crate::error::{Refusal, ServiceError};
use crate::fault;
use crate::link::{LinkError, ManagedSystem, wait_for_result};
use crate::principal::{Guard, Principal};
use crate::shapes::SystemRecord;
use crate::tables::requests;
use crate::tables::systems::{self, SystemRow};
use crate::verbs::Context;

/// Fault points to pass: after the request was sent, and after its result was kept.
pub(crate) type Points = Option<(&'static str, &'static str)>;

fn new_id(verb: &Verb, now: Timestamp) -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("{}-{:x}-{:x}-{number}", verb.word(), now.as_nanosecond(), std::process::id())
}

fn link_error(record: &SystemRecord) -> impl Fn(LinkError) -> ServiceError {
    let system = record.name.to_string();
    move |source| ServiceError::Link { system: system.clone(), source }
}

/// Has a managed system do something and returns its result.
///
/// An earlier request of the same kind whose result was never read, as after a kill, is finished first; when it asked
/// for the same, its result is the answer and nothing is asked twice.
pub(crate) fn ask(
    principal: &Principal,
    context: &Context<'_>,
    record: &SystemRecord,
    link: &mut dyn ManagedSystem,
    verb: Verb,
    points: Points,
) -> Result<RequestResult, ServiceError> {
    let open = requests::open(&principal.tables(), &record.name, verb.word())?;
    if let Some(open) = open {
        let is_same = open.verb == verb;
        let state = link.state(&open.id).map_err(link_error(record))?;
        match (state, is_same) {
            (RequestState::Unknown, false) => requests::forget(&principal.tables(), &open.id)?,
            (_, true) => return carry_through(principal, context, record, link, &open, points),
            (_, false) => {
                carry_through(principal, context, record, link, &open, None)?;
            }
        }
    }
    let now = (context.now)();
    let request = Request {
        protocol: PROTOCOL,
        id: new_id(&verb, now),
        made: now,
        operator: context.operator.clone(),
        verb,
    };
    requests::insert(&principal.tables(), &record.name, &request, now)?;
    carry_through(principal, context, record, link, &request, points)
}

fn carry_through(
    principal: &Principal,
    context: &Context<'_>,
    record: &SystemRecord,
    link: &mut dyn ManagedSystem,
    request: &Request,
    points: Points,
) -> Result<RequestResult, ServiceError> {
    let wrap = link_error(record);
    if let Err(error) = link.begin(request) {
        // A refusal is final: asking again with the same id would only be refused again.
        if matches!(error, LinkError::Refused { .. }) {
            requests::forget(&principal.tables(), &request.id)?;
        }
        return Err(wrap(error));
    }
    if let Some((sent, _)) = points {
        fault::point(sent);
    }
    let address = super::address(record);
    let result = wait_for_result(link, &address, request, context.patience).map_err(&wrap)?;
    let now = (context.now)();
    principal.transaction(|tables| {
        requests::finish(tables, &result)?;
        systems::set_info(tables, &record.name, &result.info, now)?;
        systems::set_last(tables, &record.name, request.verb.word(), result.outcome.code, now)
    })?;
    if let Some((_, ended)) = points {
        fault::point(ended);
    }
    contact::follow(principal, record, link, &result.info)?;
    link.acknowledge(&request.id).map_err(&wrap)?;
    Ok(result)
}

/// A system that a verb is at work on: locked here, connected, and as it is now.
pub(crate) struct Visit {
    /// The connection.
    pub(crate) link: Box<dyn ManagedSystem>,
    /// The system with what it just said of itself, which the tables know too.
    pub(crate) system: SystemRow,
    _lock: Guard,
}

/// Locks a system, connects, and checks and notes what it says of itself.
pub(crate) fn visit(
    principal: &Principal,
    context: &Context<'_>,
    system: &SystemRow,
    word: &str,
) -> Result<Visit, ServiceError> {
    let record = &system.record;
    super::refuse_unadded(system)?;
    let lock = principal.lock_system(&record.name, &context.operator, word)?;
    let mut link = context.fleet.connect(&super::address(record)).map_err(link_error(record))?;
    let info = link.info().map_err(link_error(record))?;
    check_info(record, &info)?;
    contact::note(principal, context, record, link.as_mut(), &info)?;
    let found = systems::find(&principal.tables(), &record.name)?;
    let mut system = found.unwrap_or_else(|| system.clone());
    system.info = Some(info);
    Ok(Visit { link, system, _lock: lock })
}

/// Checks that a managed system speaks what is going to be said, and is the one that is meant.
pub(crate) fn check_info(record: &SystemRecord, info: &SystemInfo) -> Result<(), Refusal> {
    let name = &record.name;
    if info.protocol < PROTOCOL || info.format < FORMAT {
        let text = format!(
            "system {name} runs Tender {}, which speaks protocol {} and reads packages of format {}; protocol {PROTOCOL} and format {FORMAT} are needed",
            info.tool, info.protocol, info.format
        );
        return Err(Refusal::new(130, text).hint("bring its Tender up to date first"));
    }
    if !info.system.eq_ignore_ascii_case(name.as_str()) {
        let text = format!("at {}:{} is system {}, not {name}", record.host, record.port, info.system);
        return Err(Refusal::new(131, text).hint("correct the address with SYSTEM MODIFY"));
    }
    if info.variant != record.variant {
        let text = format!("system {name} has variant {}, not {}", info.variant, record.variant);
        return Err(Refusal::new(132, text)
            .hint(format!("tender servmgr system modify {} {name} variant {}", record.vrm, info.variant)));
    }
    Ok(())
}

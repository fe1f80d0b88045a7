//! LEAVE: the principal gives this system up; local service is allowed again.

use tender_package::request::Request;
use tender_package::{Message, Severity};

use super::step::Step;
use super::{Context, Handler, Refusal};
use crate::managed::ManagedState;
use crate::queue::Plan;

/// The verb LEAVE.
#[derive(Debug)]
pub(super) struct Leave;

impl Handler for Leave {
    fn word(&self) -> &'static str {
        "LEAVE"
    }

    fn plan(&self, context: &Context<'_>, _request: &Request) -> Result<Plan, Refusal> {
        let state =
            ManagedState::read(context.home).map_err(|error| Refusal::failed(793, "LEAVE", &error))?;
        Ok(plan(&state))
    }
}

/// A system that is not managed has nothing to override either. What it keeps as exceptions stands in its slots, so
/// it stays known: a principal to come must see it.
fn plan(state: &ManagedState) -> Plan {
    let left = ManagedState { exceptions: state.exceptions.clone(), ..ManagedState::default() };
    if *state == left {
        let done = Message::csm(794, Severity::I, "this system is not managed");
        return Plan { done: Some(done), ..Plan::default() };
    }
    Plan {
        steps: vec![Step::State { state: left }],
        done: Some(Message::csm(
            795,
            Severity::I,
            "this system is no longer managed; its slots stay as they are",
        )),
        ..Plan::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::managed::ManagedBy;

    #[test]
    fn leave_of_a_managed_system_clears_its_state() {
        let by = ManagedBy { operator: "op".to_owned(), since: jiff::Timestamp::UNIX_EPOCH };
        let state = ManagedState { managed: Some(by), ..ManagedState::default() };
        assert_eq!(plan(&state).steps, [Step::State { state: ManagedState::default() }]);
        assert!(plan(&ManagedState::default()).steps.is_empty());
    }
}

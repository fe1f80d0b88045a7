//! ENTER: this system becomes managed; local service is refused from now on.

use jiff::Timestamp;
use tender_package::request::Request;
use tender_package::{Message, Severity};

use super::step::Step;
use super::{Context, Handler, Refusal};
use crate::managed::{ManagedBy, ManagedState};
use crate::queue::Plan;

/// The verb ENTER.
#[derive(Debug)]
pub(super) struct Enter;

impl Handler for Enter {
    fn word(&self) -> &'static str {
        "ENTER"
    }

    fn plan(&self, context: &Context<'_>, request: &Request) -> Result<Plan, Refusal> {
        let state =
            ManagedState::read(context.home).map_err(|error| Refusal::failed(790, "ENTER", &error))?;
        Ok(plan(state, &request.operator, Timestamp::now()))
    }
}

fn plan(mut state: ManagedState, operator: &str, now: Timestamp) -> Plan {
    if let Some(by) = &state.managed {
        let text = format!("this system is managed since {:.0}", by.since);
        return Plan { done: Some(Message::csm(791, Severity::I, text)), ..Plan::default() };
    }
    state.managed = Some(ManagedBy { operator: operator.to_owned(), since: now });
    Plan {
        steps: vec![Step::State { state }],
        done: Some(Message::csm(792, Severity::I, "this system is managed from now on")),
        ..Plan::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enter_twice_keeps_the_first() {
        let first = plan(ManagedState::default(), "op", Timestamp::UNIX_EPOCH);
        let Step::State { state } = &first.steps[0] else { panic!("{first:?}") };
        assert!(plan(state.clone(), "other", Timestamp::now()).steps.is_empty());
    }
}

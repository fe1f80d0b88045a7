//! UNLOAD: takes the level out of slot `test`.

use tender_package::request::Request;
use tender_package::{Message, Severity};

use super::step::Step;
use super::{Context, Handler, Refusal};
use crate::queue::Plan;
use crate::slots::{self, Slot, Slots};

/// The verb UNLOAD.
#[derive(Debug)]
pub(super) struct Unload;

impl Handler for Unload {
    fn word(&self) -> &'static str {
        "UNLOAD"
    }

    fn plan(&self, context: &Context<'_>, _request: &Request) -> Result<Plan, Refusal> {
        let slots = slots::read(context.home).map_err(|error| Refusal::failed(740, "UNLOAD", &error))?;
        Ok(plan(&slots))
    }
}

/// Decides the steps.
pub(super) fn plan(slots: &Slots) -> Plan {
    let Some(test) = &slots.test else {
        let done = Message::csm(741, Severity::I, "slot test is empty already");
        return Plan { done: Some(done), ..Plan::default() };
    };
    Plan {
        steps: vec![Step::Slot { slot: Slot::Test, level: None }, Step::Collect],
        undo: Vec::new(),
        done: Some(Message::csm(742, Severity::I, format!("{} is out of slot test", test.level()))),
        notes: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::samples;

    #[test]
    fn unload_of_an_empty_slot_does_nothing() {
        assert!(plan(&Slots::default()).steps.is_empty());
    }

    #[test]
    fn unload_clears_the_slot_and_collects() {
        let slots = Slots { test: Some(samples::occupant("BLD1", 1)), ..Slots::default() };
        let steps = plan(&slots).steps;
        assert_eq!(steps, [Step::Slot { slot: Slot::Test, level: None }, Step::Collect]);
    }
}

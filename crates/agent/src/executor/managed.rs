//! MANAGED ON|OFF: takes components out for emergency service, and gives them back with an inventory.

use jiff::Timestamp;
use tender_package::report::{Override, ServcheckReport};
use tender_package::request::{Request, Verb};
use tender_package::{ComponentName, Message, ReturnCode, Severity};

use super::step::Step;
use super::{Context, Handler, Refusal, servcheck};
use crate::managed::ManagedState;
use crate::queue::Plan;
use crate::slots;

/// The verb MANAGED.
#[derive(Debug)]
pub(super) struct Managed;

/// What is asked.
#[derive(Debug, Clone, Copy)]
struct Wish<'a> {
    on: bool,
    components: &'a [ComponentName],
    reason: &'a str,
    until: Option<Timestamp>,
    operator: &'a str,
}

impl Handler for Managed {
    fn word(&self) -> &'static str {
        "MANAGED"
    }

    fn plan(&self, context: &Context<'_>, request: &Request) -> Result<Plan, Refusal> {
        let Verb::Managed { on, components, reason, until } = &request.verb else {
            return Ok(Plan::default());
        };
        let wish = Wish { on: *on, components, reason, until: *until, operator: &request.operator };
        let failed = |error: &(dyn std::error::Error + 'static)| Refusal::failed(780, "MANAGED", error);
        let state = ManagedState::read(context.home).map_err(|error| failed(&error))?;
        let slots = slots::read(context.home).map_err(|error| failed(&error))?;
        let current = slots.current.as_ref();
        let installed: Vec<ComponentName> = current
            .into_iter()
            .flat_map(|current| current.record.trees())
            .map(|(name, _)| name.clone())
            .collect();
        plan(state, &installed, &wish, Timestamp::now())
    }

    /// ON takes an inventory, so that the principal sees what was done by hand meanwhile.
    fn report(&self, context: &Context<'_>, request: &Request) -> Result<Option<ServcheckReport>, Refusal> {
        match request.verb {
            Verb::Managed { on: true, .. } => servcheck::check(context, request, false).map(Some),
            _ => Ok(None),
        }
    }
}

fn plan(
    mut state: ManagedState,
    installed: &[ComponentName],
    wish: &Wish<'_>,
    now: Timestamp,
) -> Result<Plan, Refusal> {
    let mut refusal = Refusal::default();
    if !wish.on && wish.reason.trim().is_empty() {
        let message = Message::csm(781, Severity::E, "MANAGED OFF needs a reason");
        refusal.add(ReturnCode::Refused, message.with_hint("say why the component is taken out"));
    }
    if !wish.on && wish.until.is_some_and(|until| until <= now) {
        let message = Message::csm(782, Severity::E, "the end of MANAGED OFF lies in the past");
        refusal.add(ReturnCode::Refused, message.with_hint("give a time to come"));
    }
    let is_known = |name: &ComponentName| {
        installed.contains(name) || (wish.on && state.overrides.iter().any(|one| one.component == *name))
    };
    for name in wish.components.iter().filter(|name| !is_known(name)) {
        let text = format!("component {name} is not in production on this system");
        let hint = "name one of the components of slot current";
        refusal.add(ReturnCode::Unknown, Message::csm(783, Severity::E, text).with_hint(hint));
    }
    refusal.or_fine()?;

    let is_meant = |name: &ComponentName| wish.components.is_empty() || wish.components.contains(name);
    state.overrides.retain(|one| !is_meant(&one.component));
    if !wish.on {
        state.overrides.extend(installed.iter().filter(|name| is_meant(name)).map(|name| Override {
            component: name.clone(),
            since: now,
            by: wish.operator.to_owned(),
            reason: wish.reason.to_owned(),
            until: wish.until,
        }));
        state.overrides.sort_by(|a, b| a.component.cmp(&b.component));
    }
    let word = if wish.on { "ON" } else { "OFF" };
    let names: Vec<&str> = wish.components.iter().map(ComponentName::as_str).collect();
    let names = if names.is_empty() { "all components".to_owned() } else { names.join(", ") };
    let done = Message::csm(784, Severity::I, format!("MANAGED {word}: {names}"));
    Ok(Plan { steps: vec![Step::State { state }], done: Some(done), ..Plan::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(words: &[&str]) -> Vec<ComponentName> {
        words.iter().map(|word| ComponentName::new(word).unwrap()).collect()
    }

    fn wish<'a>(on: bool, components: &'a [ComponentName], reason: &'a str) -> Wish<'a> {
        Wish { on, components, reason, until: None, operator: "op" }
    }

    fn after(plan: Plan) -> ManagedState {
        match plan.steps.into_iter().next() {
            Some(Step::State { state }) => state,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn off_for_one_component_leaves_the_others_managed() {
        let installed = names(&["http", "ftp"]);
        let one = names(&["http"]);
        let state = after(
            plan(ManagedState::default(), &installed, &wish(false, &one, "outage"), Timestamp::now())
                .unwrap(),
        );
        assert_eq!(state.overrides.len(), 1);
        let state = after(plan(state, &installed, &wish(true, &[], ""), Timestamp::now()).unwrap());
        assert!(state.overrides.is_empty());
    }

    #[test]
    fn off_for_all_components_names_each() {
        let installed = names(&["http", "ftp"]);
        let plan = plan(ManagedState::default(), &installed, &wish(false, &[], "outage"), Timestamp::now());
        assert_eq!(after(plan.unwrap()).overrides.len(), 2);
    }

    #[test]
    fn off_without_reason_in_the_past_or_for_an_unknown_component_is_refused() {
        let installed = names(&["http"]);
        let unknown = names(&["smtp"]);
        let mut wish = wish(false, &unknown, " ");
        wish.until = Some(Timestamp::UNIX_EPOCH);
        let refusal = plan(ManagedState::default(), &installed, &wish, Timestamp::now()).unwrap_err();
        assert_eq!(refusal.messages.len(), 3);
        assert_eq!(refusal.code, ReturnCode::Unknown);
    }
}

//! MANAGED ON|OFF: takes components out for emergency service, and gives them back with an inventory.

use jiff::Timestamp;
use tender_content::scan::ScanMode;
use tender_package::report::{DriftItem, Override, ServcheckReport};
use tender_package::request::{Request, Verb};
use tender_package::{ComponentName, Message, ReturnCode, Severity};

use super::step::Step;
use super::{Context, Handler, Refusal, servcheck};
use crate::chain;
use crate::managed::ManagedState;
use crate::queue::Plan;
use crate::slots::{self, Occupant, Slot};
use crate::trees;

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
        let mut plan = plan(state, &installed, &wish, Timestamp::now())?;
        if let Some(current) = current.filter(|_| wish.on) {
            plan.notes = inventory(context, current, components);
        }
        Ok(plan)
    }

    /// ON takes an inventory, so that the principal sees what was done by hand meanwhile.
    fn report(&self, context: &Context<'_>, request: &Request) -> Result<Option<ServcheckReport>, Refusal> {
        match request.verb {
            Verb::Managed { on: true, .. } => servcheck::check(context, request, false).map(Some),
            _ => Ok(None),
        }
    }
}

/// Names what was changed by hand in the components given back.
fn inventory(context: &Context<'_>, current: &Occupant, components: &[ComponentName]) -> Vec<Message> {
    let drift = trees::drift(
        context.home,
        &context.store,
        Slot::Current.word(),
        &current.record.contents(),
        ScanMode::Cached,
        context.progress,
    );
    match drift {
        Ok(drift) => changes(&drift, components),
        // Damage must not keep a component from coming back; SERVCHECK says more.
        Err(error) => {
            let text = format!("changes by hand cannot be found: {}", chain(&error));
            vec![Message::csm(787, Severity::W, text)]
        }
    }
}

fn changes(drift: &[DriftItem], components: &[ComponentName]) -> Vec<Message> {
    let is_meant = |item: &&DriftItem| {
        components.is_empty() || components.iter().any(|name| name.as_str() == item.component)
    };
    let text = |item: &DriftItem| {
        format!("component {} comes back changed by hand: {} ({:?})", item.component, item.path, item.kind)
    };
    drift.iter().filter(is_meant).map(|item| Message::csm(786, Severity::W, text(item))).collect()
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
    let is_nothing_there = !wish.on && installed.is_empty();
    if is_nothing_there {
        let text = "no level is in production, so there is no component to take out of management";
        let message = Message::csm(785, Severity::E, text);
        refusal.add(ReturnCode::Refused, message.with_hint("put a level in production, or adopt what runs"));
    }
    for name in wish.components.iter().filter(|name| !is_nothing_there && !is_known(name)) {
        let text = format!("component {name} is not in production on this system");
        let hint = "name one of the components of slot current";
        refusal.add(ReturnCode::Unknown, Message::csm(783, Severity::E, text).with_hint(hint));
    }
    refusal.or_fine()?;

    let is_meant = |name: &ComponentName| wish.components.is_empty() || wish.components.contains(name);
    let (meant, kept): (Vec<_>, Vec<_>) =
        std::mem::take(&mut state.overrides).into_iter().partition(|one| is_meant(&one.component));
    state.overrides = kept;
    let mut names: Vec<&ComponentName> = installed.iter().filter(|name| is_meant(name)).collect();
    if wish.on {
        names = meant.iter().map(|one| &one.component).collect();
    } else {
        state.overrides.extend(installed.iter().filter(|name| is_meant(name)).map(|name| Override {
            component: name.clone(),
            since: now,
            by: wish.operator.to_owned(),
            reason: wish.reason.to_owned(),
            until: wish.until,
        }));
        state.overrides.sort_by(|a, b| a.component.cmp(&b.component));
    }
    let names: Vec<&str> = names.into_iter().map(ComponentName::as_str).collect();
    let text = match (wish.on, names.join(", ").as_str()) {
        (true, "") => "MANAGED ON: no component was out of management".to_owned(),
        (true, names) => format!("MANAGED ON: {names} back in management"),
        (false, names) => format!("MANAGED OFF: {names} out of management"),
    };
    let done = Message::csm(784, Severity::I, text);
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
        let plan = plan.unwrap();
        assert_eq!(plan.done.as_ref().unwrap().text, "MANAGED OFF: http, ftp out of management");
        let state = after(plan);
        assert_eq!(state.overrides.len(), 2);
        let back = super::plan(state, &installed, &wish(true, &names(&["ftp"]), ""), Timestamp::now());
        assert_eq!(back.unwrap().done.unwrap().text, "MANAGED ON: ftp back in management");
    }

    #[test]
    fn off_without_a_level_is_refused_as_nothing_could_be_recorded() {
        for components in [names(&[]), names(&["http"])] {
            let wish = wish(false, &components, "outage");
            let refusal = plan(ManagedState::default(), &[], &wish, Timestamp::now()).unwrap_err();
            assert_eq!(refusal.code, ReturnCode::Refused);
            assert!(refusal.messages[0].text.contains("no level is in production"), "{refusal:?}");
            assert_eq!(refusal.messages.len(), 1);
        }
    }

    #[test]
    fn off_without_a_reason_is_refused() {
        let wish = wish(false, &[], "\t ");
        let refusal = plan(ManagedState::default(), &names(&["http"]), &wish, Timestamp::now()).unwrap_err();
        assert_eq!((refusal.code, refusal.messages.len()), (ReturnCode::Refused, 1));
    }

    #[test]
    fn on_names_what_was_changed_in_the_components_given_back() {
        let drift =
            ["http", "ftp"].map(|name| crate::executor::samples::drift("current", name, "bin/server"));
        let changed = changes(&drift, &names(&["ftp"]));
        assert_eq!(changed.len(), 1);
        assert_eq!(changed[0].text, "component ftp comes back changed by hand: bin/server (Modified)");
        assert_eq!(changes(&drift, &[]).len(), 2);
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

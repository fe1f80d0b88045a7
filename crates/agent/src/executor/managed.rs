//! MANAGED ON|OFF: takes components out for emergency service, and gives them back with an inventory.

use jiff::Timestamp;
use tender_content::scan::ScanMode;
use tender_package::changes::Diverged;
use tender_package::report::{DriftItem, Override, ServcheckReport};
use tender_package::request::{Request, Verb};
use tender_package::{ComponentName, LevelRef, Message, ReturnCode, Severity};

use super::step::Step;
use super::{Context, Handler, Refusal, servcheck};
use crate::chain;
use crate::changes;
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
        let now = Timestamp::now();
        let Decision { mut state, names, done } = decide(state, &installed, &wish, now)?;
        let mut notes = Vec::new();
        if let Some(current) = current.filter(|_| wish.on) {
            (state, notes) = inventory(context, current, state, components, now);
        }
        Ok(plan(state, names, current.map(|current| current.level().clone()), wish.on, done, notes))
    }

    /// ON takes an inventory, so that the principal sees what was done by hand meanwhile.
    fn report(&self, context: &Context<'_>, request: &Request) -> Result<Option<ServcheckReport>, Refusal> {
        match request.verb {
            Verb::Managed { on: true, .. } => servcheck::check(context, request, false).map(Some),
            _ => Ok(None),
        }
    }
}

/// What the words come to, before the inventory.
#[derive(Debug)]
struct Decision {
    state: ManagedState,
    /// The components that are taken out or given back.
    names: Vec<ComponentName>,
    done: Message,
}

/// Notes exactly what was changed by hand, and names it in the components given back.
fn inventory(
    context: &Context<'_>,
    current: &Occupant,
    state: ManagedState,
    components: &[ComponentName],
    now: Timestamp,
) -> (ManagedState, Vec<Message>) {
    let record = &current.record;
    let drift = trees::drift(
        context.home,
        &context.store,
        Slot::Current.word(),
        &record.contents(),
        ScanMode::Cached,
        context.progress,
    );
    let found = drift.and_then(|drift| {
        let state = changes::find(context.home, &context.store, &state, record, &drift, now)?;
        Ok((state, drift))
    });
    match found {
        Ok((state, drift)) => {
            let mut notes = named(&drift, components);
            notes.extend(state.diverged.iter().map(diverged));
            (state, notes)
        }
        // Damage must not keep a component from coming back; SERVCHECK says more.
        Err(error) => {
            let text = format!("changes by hand cannot be found: {}", chain(&error));
            (state, vec![Message::csm(787, Severity::W, text)])
        }
    }
}

/// Says that a component is not as its level says, and what its principal can do.
pub(super) fn diverged(one: &Diverged) -> Message {
    let text = format!(
        "component {} has DIVERGED from its level: {} parts, since {:.0}",
        one.component,
        one.parts.len(),
        one.since
    );
    let hint =
        "at the principal: SYSTEM ABSORB makes a level of it, SYSTEM EXCEPTION keeps it, SEND overwrites it";
    Message::csm(788, Severity::W, text).with_hint(hint)
}

fn named(drift: &[DriftItem], components: &[ComponentName]) -> Vec<Message> {
    let is_meant = |item: &&DriftItem| {
        components.is_empty() || components.iter().any(|name| name.as_str() == item.component)
    };
    let text = |item: &DriftItem| {
        format!("component {} comes back changed by hand: {} ({:?})", item.component, item.path, item.kind)
    };
    drift.iter().filter(is_meant).map(|item| Message::csm(786, Severity::W, text(item))).collect()
}

/// Orders the steps: parts are writable only while their component is out of management.
fn plan(
    state: ManagedState,
    components: Vec<ComponentName>,
    level: Option<LevelRef>,
    on: bool,
    done: Message,
    notes: Vec<Message>,
) -> Plan {
    let state = Step::State { state };
    let steps = match level.filter(|_| !components.is_empty()) {
        None => vec![state],
        Some(level) if on => vec![Step::Seal { level, components }, state],
        Some(level) => vec![state, Step::OpenUp { level, components }],
    };
    Plan { steps, done: Some(done), notes, ..Plan::default() }
}

fn decide(
    mut state: ManagedState,
    installed: &[ComponentName],
    wish: &Wish<'_>,
    now: Timestamp,
) -> Result<Decision, Refusal> {
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
    let mut names: Vec<ComponentName> = installed.iter().filter(|name| is_meant(name)).cloned().collect();
    if wish.on {
        names = meant.into_iter().map(|one| one.component).collect();
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
    let listed: Vec<&str> = names.iter().map(ComponentName::as_str).collect();
    let text = match (wish.on, listed.join(", ").as_str()) {
        (true, "") => "MANAGED ON: no component was out of management".to_owned(),
        (true, names) => format!("MANAGED ON: {names} back in management"),
        (false, names) => format!("MANAGED OFF: {names} out of management"),
    };
    let done = Message::csm(784, Severity::I, text);
    Ok(Decision { state, names, done })
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

    #[test]
    fn off_for_one_component_leaves_the_others_managed() {
        let installed = names(&["http", "ftp"]);
        let one = names(&["http"]);
        let now = Timestamp::now();
        let state =
            decide(ManagedState::default(), &installed, &wish(false, &one, "outage"), now).unwrap().state;
        assert_eq!(state.overrides.len(), 1);
        let state = decide(state, &installed, &wish(true, &[], ""), now).unwrap().state;
        assert!(state.overrides.is_empty());
    }

    #[test]
    fn off_for_all_components_names_each() {
        let installed = names(&["http", "ftp"]);
        let decision =
            decide(ManagedState::default(), &installed, &wish(false, &[], "outage"), Timestamp::now());
        let Decision { state, done, .. } = decision.unwrap();
        assert_eq!(done.text, "MANAGED OFF: http, ftp out of management");
        assert_eq!(state.overrides.len(), 2);
        let back = decide(state, &installed, &wish(true, &names(&["ftp"]), ""), Timestamp::now()).unwrap();
        assert_eq!(back.done.text, "MANAGED ON: ftp back in management");
        assert_eq!(back.names, names(&["ftp"]));
    }

    #[test]
    fn parts_are_opened_after_it_is_noted_and_closed_before() {
        let labels = |on| {
            let level = crate::executor::samples::level("BLD1", 1);
            let done = Message::csm(784, Severity::I, "done");
            let plan = plan(ManagedState::default(), names(&["http"]), Some(level), on, done, Vec::new());
            plan.steps.iter().map(|step| step.label("managed")).collect::<Vec<_>>()
        };
        assert_eq!(labels(false), ["state", "open"]);
        assert_eq!(labels(true), ["seal", "state"]);
    }

    #[test]
    fn off_without_a_level_is_refused_as_nothing_could_be_recorded() {
        for components in [names(&[]), names(&["http"])] {
            let wish = wish(false, &components, "outage");
            let refusal = decide(ManagedState::default(), &[], &wish, Timestamp::now()).unwrap_err();
            assert_eq!(refusal.code, ReturnCode::Refused);
            assert!(refusal.messages[0].text.contains("no level is in production"), "{refusal:?}");
            assert_eq!(refusal.messages.len(), 1);
        }
    }

    #[test]
    fn off_without_a_reason_is_refused() {
        let wish = wish(false, &[], "\t ");
        let refusal =
            decide(ManagedState::default(), &names(&["http"]), &wish, Timestamp::now()).unwrap_err();
        assert_eq!((refusal.code, refusal.messages.len()), (ReturnCode::Refused, 1));
    }

    #[test]
    fn on_names_what_was_changed_in_the_components_given_back() {
        let drift =
            ["http", "ftp"].map(|name| crate::executor::samples::drift("current", name, "bin/server"));
        let changed = named(&drift, &names(&["ftp"]));
        assert_eq!(changed.len(), 1);
        assert_eq!(changed[0].text, "component ftp comes back changed by hand: bin/server (Modified)");
        assert_eq!(named(&drift, &[]).len(), 2);
    }

    #[test]
    fn off_without_reason_in_the_past_or_for_an_unknown_component_is_refused() {
        let installed = names(&["http"]);
        let unknown = names(&["smtp"]);
        let mut wish = wish(false, &unknown, " ");
        wish.until = Some(Timestamp::UNIX_EPOCH);
        let refusal = decide(ManagedState::default(), &installed, &wish, Timestamp::now()).unwrap_err();
        assert_eq!(refusal.messages.len(), 3);
        assert_eq!(refusal.code, ReturnCode::Unknown);
    }
}

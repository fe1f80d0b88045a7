//! EXCEPTION: keeps changed parts of this system whatever level is loaded, or keeps them no longer.
//!
//! What is kept is no drift any more as long as it stays as it is. Nothing that runs changes by it: an exception that
//! is dropped leaves its part where it is, as drift, until the next level is put in production.

use jiff::Timestamp;
use tender_content::scan::ScanMode;
use tender_content::{Node, PartPath};
use tender_package::changes::{ChangedPart, Exception};
use tender_package::request::{Request, Verb};
use tender_package::{ComponentName, Message, ReturnCode, Severity};

use super::step::Step;
use super::{Context, Handler, Refusal};
use crate::changes;
use crate::managed::ManagedState;
use crate::queue::Plan;
use crate::slots::{self, LevelRecord, Occupant, Slot};
use crate::trees::{self, TreesError};

/// The verb EXCEPTION.
#[derive(Debug)]
pub(super) struct Keep;

/// What the principal asks for.
#[derive(Debug, Clone, Copy)]
struct Wish<'a> {
    keep: bool,
    component: &'a ComponentName,
    paths: &'a [PartPath],
    reason: &'a str,
    operator: &'a str,
    now: Timestamp,
}

impl Handler for Keep {
    fn word(&self) -> &'static str {
        "EXCEPTION"
    }

    fn plan(&self, context: &Context<'_>, request: &Request) -> Result<Plan, Refusal> {
        let Verb::Exception { keep, component, paths, reason } = &request.verb else {
            return Ok(Plan::default());
        };
        let now = Timestamp::now();
        let wish = Wish { keep: *keep, component, paths, reason, operator: &request.operator, now };
        let failed = |error: &(dyn std::error::Error + 'static)| Refusal::failed(840, "EXCEPTION", error);
        let state = ManagedState::read(context.home).map_err(|error| failed(&error))?;
        let slots = slots::read(context.home).map_err(|error| failed(&error))?;
        let Some(current) = &slots.current else {
            let message =
                Message::csm(841, Severity::E, "no level is in production, so nothing is changed in it");
            return Err(Refusal::new(ReturnCode::Refused, message.with_hint("put a level in production")));
        };
        if wish.keep && current.record.tree(component).is_none() {
            let text = format!(
                "component {component} is not part of {}, so none of it can be kept over it",
                current.level()
            );
            let hint = "at the principal: SYSTEM ABSORB makes a level that has it; or remove its directory";
            return Err(Refusal::new(
                ReturnCode::Refused,
                Message::csm(848, Severity::E, text).with_hint(hint),
            ));
        }
        let before = found(context, &state, &current.record).map_err(|error| failed(&error))?;
        let vendor = |path: &PartPath| vendor_part(context, current, component, path);
        let exceptions =
            if wish.keep { added(&before, &wish, &vendor)? } else { dropped(&state.exceptions, &wish)? };
        let names = names(&state.exceptions, &exceptions);
        let state = ManagedState { exceptions, ..state };
        let kept = super::load::kept(&state, &current.record.manifest);
        let record = LevelRecord { kept, ..current.record.clone() };
        let state = found(context, &state, &record).map_err(|error| failed(&error))?;
        Ok(plan(state, record, &wish, &names))
    }
}

/// Notes what differs from the level in production with the parts kept in `record`.
fn found(
    context: &Context<'_>,
    state: &ManagedState,
    record: &LevelRecord,
) -> Result<ManagedState, TreesError> {
    let drift = trees::drift(
        context.home,
        &context.store,
        Slot::Current.word(),
        &record.contents(),
        ScanMode::Cached,
        context.progress,
    )?;
    changes::find(context.home, &context.store, state, record, &drift, Timestamp::now())
}

/// Returns what the level itself has at a path.
fn vendor_part(
    context: &Context<'_>,
    current: &Occupant,
    component: &ComponentName,
    path: &PartPath,
) -> Result<Option<Node>, Refusal> {
    let Some(digest) = current.record.tree(component) else { return Ok(None) };
    let tree =
        trees::read(&context.store, digest).map_err(|error| Refusal::failed(840, "EXCEPTION", &error))?;
    Ok(tree.get(path.as_str()).cloned())
}

fn added(
    state: &ManagedState,
    wish: &Wish<'_>,
    vendor: &dyn Fn(&PartPath) -> Result<Option<Node>, Refusal>,
) -> Result<Vec<Exception>, Refusal> {
    let mut refusal = Refusal::default();
    if wish.reason.trim().is_empty() {
        let message = Message::csm(842, Severity::E, "an exception needs a reason");
        refusal.add(ReturnCode::Refused, message.with_hint("say why the part must stay"));
    }
    let component = wish.component;
    let diverged = state.diverged.iter().find(|one| one.component == *component);
    let parts: Vec<&ChangedPart> = diverged.iter().flat_map(|one| &one.parts).collect();
    let unknown = wish.paths.iter().filter(|path| parts.iter().all(|part| part.path != **path));
    for path in unknown {
        let text = format!("{component}/{path} is as its level says, or is kept already");
        let hint = "see SYSTEM QUERY for the parts that differ";
        refusal.add(ReturnCode::Unknown, Message::csm(843, Severity::E, text).with_hint(hint));
    }
    if diverged.is_none() && wish.paths.is_empty() {
        let text = format!("component {component} is as its level says");
        refusal.add(ReturnCode::Refused, Message::csm(844, Severity::E, text));
    }
    let mut exceptions = state.exceptions.clone();
    let is_meant = |part: &&&ChangedPart| wish.paths.is_empty() || wish.paths.contains(&part.path);
    for part in parts.iter().filter(is_meant) {
        if let Some(fault) = &part.fault {
            let text = format!("{component}/{} cannot be kept: {fault}", part.path);
            let message = Message::csm(845, Severity::E, text);
            refusal.add(ReturnCode::Refused, message.with_hint("remove it, or name the other parts alone"));
            continue;
        }
        exceptions.retain(|one| !(one.component == *component && one.path == part.path));
        exceptions.push(Exception {
            component: component.clone(),
            path: part.path.clone(),
            was: vendor(&part.path)?,
            is: part.is.clone(),
            reason: wish.reason.to_owned(),
            by: wish.operator.to_owned(),
            since: wish.now,
        });
    }
    refusal.or_fine()?;
    exceptions.sort_by(|a, b| (&a.component, &a.path).cmp(&(&b.component, &b.path)));
    Ok(exceptions)
}

fn dropped(exceptions: &[Exception], wish: &Wish<'_>) -> Result<Vec<Exception>, Refusal> {
    let is_of = |one: &Exception| one.component == *wish.component;
    let mut refusal = Refusal::default();
    let component = wish.component;
    let unknown =
        wish.paths.iter().filter(|path| !exceptions.iter().any(|one| is_of(one) && one.path == **path));
    for path in unknown {
        let text = format!("{component}/{path} is no exception");
        refusal.add(ReturnCode::Unknown, Message::csm(846, Severity::E, text));
    }
    if wish.paths.is_empty() && !exceptions.iter().any(is_of) {
        let text = format!("component {component} has no exceptions");
        refusal.add(ReturnCode::Unknown, Message::csm(846, Severity::E, text));
    }
    refusal.or_fine()?;
    let is_meant = |one: &Exception| is_of(one) && (wish.paths.is_empty() || wish.paths.contains(&one.path));
    Ok(exceptions.iter().filter(|one| !is_meant(one)).cloned().collect())
}

fn names(before: &[Exception], after: &[Exception]) -> Vec<String> {
    let only = |one: &[Exception], other: &[Exception]| -> Vec<String> {
        let missing = one.iter().filter(|item| !other.contains(item));
        missing.map(|item| format!("{}/{}", item.component, item.path)).collect()
    };
    let mut names = only(after, before);
    names.extend(only(before, after));
    names.sort();
    names.dedup();
    names
}

/// The record comes last: until then the parts are drift, which is what they are when the steps are cut off.
fn plan(state: ManagedState, record: LevelRecord, wish: &Wish<'_>, names: &[String]) -> Plan {
    let verb = if wish.keep { "kept on this system" } else { "no longer kept on this system" };
    let text = format!("{verb}: {}", names.join(", "));
    let notes = state.diverged.iter().map(super::managed::diverged).collect();
    Plan {
        steps: vec![Step::State { state }, Step::Record { record: Box::new(record) }],
        undo: Vec::new(),
        done: Some(Message::csm(847, Severity::I, text)),
        notes,
    }
}

#[cfg(test)]
mod tests {
    use tender_content::Digest;
    use tender_package::changes::Diverged;
    use tender_package::report::DriftKind;

    use super::*;

    fn node(text: &str) -> Option<Node> {
        Some(Node::File { mode: 0o644, size: text.len() as u64, digest: Digest::of(text.as_bytes()) })
    }

    fn part(path: &str, fault: Option<&str>) -> ChangedPart {
        let is = if fault.is_some() { None } else { node(path) };
        let fault = fault.map(str::to_owned);
        ChangedPart { path: PartPath::new(path).unwrap(), kind: DriftKind::Modified, is, fault }
    }

    fn state(parts: Vec<ChangedPart>) -> ManagedState {
        let component = ComponentName::new("http").unwrap();
        let diverged = vec![Diverged { component, since: Timestamp::UNIX_EPOCH, parts }];
        ManagedState { diverged, ..ManagedState::default() }
    }

    fn wish<'a>(component: &'a ComponentName, paths: &'a [PartPath], reason: &'a str) -> Wish<'a> {
        Wish { keep: true, component, paths, reason, operator: "op", now: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn exceptions_are_made_of_the_parts_named_or_of_all() {
        let (http, one) = (ComponentName::new("http").unwrap(), [PartPath::new("a").unwrap()]);
        let state = state(vec![part("a", None), part("b", None)]);
        let vendor = |_: &PartPath| Ok(node("vendor"));
        assert_eq!(added(&state, &wish(&http, &one, "why"), &vendor).unwrap().len(), 1);
        let all = added(&state, &wish(&http, &[], "why"), &vendor).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!((&all[0].was, &all[0].is), (&node("vendor"), &node("a")));
        assert_eq!(dropped(&all, &wish(&http, &one, "")).unwrap().len(), 1);
        assert!(dropped(&all, &wish(&http, &[], "")).unwrap().is_empty());
        assert_eq!(dropped(&all[1..], &wish(&http, &one, "")).unwrap_err().code, ReturnCode::Unknown);
    }

    #[test]
    fn exception_without_reason_of_an_unchanged_part_or_a_device_is_refused() {
        let (http, none) = (ComponentName::new("http").unwrap(), [PartPath::new("c").unwrap()]);
        let state = state(vec![part("a", Some("a device"))]);
        let vendor = |_: &PartPath| Ok(None);
        assert_eq!(added(&state, &wish(&http, &[], " "), &vendor).unwrap_err().messages.len(), 2);
        assert_eq!(added(&state, &wish(&http, &none, "x"), &vendor).unwrap_err().code, ReturnCode::Unknown);
    }
}

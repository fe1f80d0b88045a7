//! SERVCHECK: compares what is there with what should be there, one line a check.
//!
//! The numbers are those of specification 7.3. Checks 7 (running against installed), 8 (new holds) and 9 (requisites
//! across systems) rest on facts that this system does not have.

use jiff::{SignedDuration, Timestamp};
use tender_content::scan::ScanMode;
use tender_package::changes::{Diverged, Exception};
use tender_package::manifest::{LevelManifest, content_digest};
use tender_package::report::{CheckLine, DriftItem, DriftKind, ServcheckReport, Verdict};
use tender_package::request::{PROTOCOL, Request, Verb};
use tender_package::{Message, Mode, Severity};

use super::step::Step;
use super::{Context, Handler, Refusal};
use crate::base::{self, ADOPTED, BaseRecord};
use crate::changes;
use crate::managed::ManagedState;
use crate::queue::Plan;
use crate::slots::{self, LevelRecord, Slot, Slots};
use crate::trees;

/// How far two clocks may be apart before it is worth a look, and before it is wrong.
const SKEW_WARN: SignedDuration = SignedDuration::from_mins(5);
const SKEW_BAD: SignedDuration = SignedDuration::from_hours(24);

/// The verb SERVCHECK.
#[derive(Debug)]
pub(super) struct Servcheck;

/// All that the checks rest on.
#[derive(Debug)]
struct Facts {
    now: Timestamp,
    asked: Timestamp,
    state: ManagedState,
    slots: Slots,
    bases: Vec<BaseRecord>,
    /// What the record of a slot contradicts, in words.
    inventory: Vec<String>,
    /// Local modifications whose part is not in the level.
    strays: Vec<String>,
    drift: Vec<DriftItem>,
    free_bytes: u64,
    free_bytes_min: u64,
    /// Bytes of the level in production, which the next one may need again.
    current_bytes: u64,
}

impl Handler for Servcheck {
    fn word(&self) -> &'static str {
        "SERVCHECK"
    }

    /// Notes what is not as the level in production says; the checks themselves change nothing.
    fn plan(&self, context: &Context<'_>, request: &Request) -> Result<Plan, Refusal> {
        let full = matches!(request.verb, Verb::Servcheck { full: true });
        // What cannot be found out here is said by the checks.
        let state = noted(context, full).ok().flatten();
        Ok(Plan { steps: state.into_iter().map(|state| Step::State { state }).collect(), ..Plan::default() })
    }

    fn report(&self, context: &Context<'_>, request: &Request) -> Result<Option<ServcheckReport>, Refusal> {
        let full = matches!(request.verb, Verb::Servcheck { full: true });
        check(context, request, full).map(Some)
    }
}

/// Returns the state with what was changed by hand, when that is not what is known.
fn noted(context: &Context<'_>, full: bool) -> Result<Option<ManagedState>, Refusal> {
    let home = context.home;
    let failed = |error: &(dyn std::error::Error + 'static)| Refusal::failed(820, "SERVCHECK", error);
    let state = ManagedState::read(home).map_err(|error| failed(&error))?;
    let slots = slots::read(home).map_err(|error| failed(&error))?;
    let found = match slots.current.as_ref().filter(|_| state.managed.is_some()) {
        None => state.without_changes(),
        Some(current) => {
            let mode = if full { ScanMode::Full } else { ScanMode::Cached };
            let contents = current.record.contents();
            let word = Slot::Current.word();
            let drift = trees::drift(home, &context.store, word, &contents, mode, context.progress)
                .map_err(|error| failed(&error))?;
            changes::find(home, &context.store, &state, &current.record, &drift, Timestamp::now())
                .map_err(|error| failed(&error))?
        }
    };
    Ok((found != state).then_some(found))
}

/// Makes the report.
pub(super) fn check(
    context: &Context<'_>,
    request: &Request,
    full: bool,
) -> Result<ServcheckReport, Refusal> {
    let facts = gather(context, request.made, full)?;
    let fixes = facts.slots.current.as_ref().map(|current| fixes(&current.record)).unwrap_or_default();
    Ok(ServcheckReport { made: facts.now, checks: checks(&facts), drift: facts.drift, fixes })
}

/// Says in one message a check that did not come out well.
pub(super) fn message(line: &CheckLine) -> Option<Message> {
    let number = 800 + u16::from(line.number);
    let text = format!("check {} ({}): {}", line.number, line.title, line.detail);
    match line.verdict {
        Verdict::Ok => None,
        Verdict::Warn | Verdict::Unknown => Some(Message::csm(number, Severity::W, text)),
        Verdict::Bad => Some(
            Message::csm(number, Severity::W, text)
                .with_hint("see the drift list and the log of this system"),
        ),
    }
}

fn fixes(record: &LevelRecord) -> Vec<(tender_package::ComponentName, Vec<tender_package::FixId>)> {
    let components = record.manifest.components.iter().filter(|one| one.tree.is_some());
    components.map(|one| (one.name.clone(), one.fixes.iter().map(|fix| fix.id.clone()).collect())).collect()
}

fn gather(context: &Context<'_>, asked: Timestamp, full: bool) -> Result<Facts, Refusal> {
    let home = context.home;
    let failed = |error: &(dyn std::error::Error + 'static)| Refusal::failed(820, "SERVCHECK", error);
    let slots = slots::read(home).map_err(|error| failed(&error))?;
    let mode = if full { ScanMode::Full } else { ScanMode::Cached };
    let (mut drift, mut inventory, mut strays) = (Vec::new(), Vec::new(), Vec::new());
    for (slot, occupant) in slots.occupied() {
        let contents = occupant.record.contents();
        match trees::drift(home, &context.store, slot.word(), &contents, mode, context.progress) {
            Ok(items) => drift.extend(items),
            Err(error) => inventory.push(format!("slot {}: {}", slot.word(), crate::chain(&error))),
        }
        let manifest = &occupant.record.manifest;
        if content_digest(occupant.record.trees()) != manifest.content {
            inventory.push(format!(
                "slot {}: components do not make the content of {}",
                slot.word(),
                manifest.level
            ));
        }
        strays.extend(stray_local_mods(context, &occupant.record));
    }
    Ok(Facts {
        now: Timestamp::now(),
        asked,
        state: ManagedState::read(home).map_err(|error| failed(&error))?,
        bases: base::all_held(home).map_err(|error| failed(&error))?,
        inventory,
        strays,
        drift,
        free_bytes: home.free_bytes().map_err(|error| failed(&error))?,
        free_bytes_min: home.config().free_bytes_min,
        current_bytes: slots.current.as_ref().map_or(0, |current| bytes_of(context, &current.record)),
        slots,
    })
}

fn bytes_of(context: &Context<'_>, record: &LevelRecord) -> u64 {
    record
        .trees()
        .filter_map(|(_, tree)| trees::read(&context.store, tree).ok())
        .map(|tree| tree.total_bytes())
        .sum()
}

/// A local modification adds or changes a part, or deletes it; one that does neither is not in the level.
fn stray_local_mods(context: &Context<'_>, record: &LevelRecord) -> Vec<String> {
    let mut strays = Vec::new();
    for one in record.manifest.components.iter().filter(|one| !one.local_mods.is_empty()) {
        let read = |digest: Option<tender_content::Digest>| trees::read(&context.store, &digest?).ok();
        let (tree, base) = (read(one.tree), read(one.base_tree));
        for local in &one.local_mods {
            let here = tree.as_ref().and_then(|tree| tree.get(local.path.as_str()));
            let shipped = base.as_ref().and_then(|base| base.get(local.path.as_str()));
            if here == shipped {
                strays.push(format!("{} of {} ({})", local.id, one.name, local.path));
            }
        }
    }
    strays
}

fn checks(facts: &Facts) -> Vec<CheckLine> {
    let made: [(u8, &str, (Verdict, String)); 9] = [
        (1, "agent and clock", agent_and_clock(facts)),
        (2, "managed flag", managed_flag(facts)),
        (3, "inventory of fixes", inventory(facts)),
        (4, "local modifications", local_mods(facts)),
        (5, "parts against manifest", parts(facts)),
        (6, "test against production", test_slot(facts)),
        (10, "space and way back", space(facts)),
        (11, "unknown components", unknown_components(facts)),
        (13, "exceptions", exceptions(facts)),
    ];
    let line = |(number, title, (verdict, detail)): (u8, &str, (Verdict, String))| CheckLine {
        number,
        title: title.to_owned(),
        verdict,
        detail,
        taken: facts.now,
    };
    made.into_iter().map(line).collect()
}

fn agent_and_clock(facts: &Facts) -> (Verdict, String) {
    let skew = facts.now.duration_since(facts.asked).abs();
    let about = format!(
        "Tender {}, protocol {PROTOCOL}; clock {} s from the principal's",
        env!("CARGO_PKG_VERSION"),
        skew.as_secs()
    );
    let loaded = facts.slots.occupied().map(|(_, occupant)| occupant.record.loaded).max();
    if let Some(loaded) = loaded.filter(|loaded| *loaded > facts.now) {
        return (Verdict::Bad, format!("{about}; the clock went back: a level was loaded at {loaded}"));
    }
    let verdict = match skew {
        skew if skew > SKEW_BAD => Verdict::Bad,
        skew if skew > SKEW_WARN => Verdict::Warn,
        _ => Verdict::Ok,
    };
    (verdict, about)
}

fn managed_flag(facts: &Facts) -> (Verdict, String) {
    let overdue: Vec<String> = facts
        .state
        .overdue(facts.now)
        .map(|one| format!("{} since {:.0} ({})", one.component, one.since, one.reason))
        .collect();
    if !overdue.is_empty() {
        return (Verdict::Bad, format!("MANAGED OFF is overdue: {}", overdue.join(", ")));
    }
    if !facts.state.overrides.is_empty() {
        let open: Vec<String> =
            facts.state.overrides.iter().map(|one| format!("{} ({})", one.component, one.reason)).collect();
        return (Verdict::Warn, format!("out of management: {}", open.join(", ")));
    }
    if !facts.state.diverged.is_empty() {
        let one =
            |one: &Diverged| format!("{} ({} parts since {:.0})", one.component, one.parts.len(), one.since);
        let all: Vec<String> = facts.state.diverged.iter().map(one).collect();
        return (Verdict::Bad, format!("diverged from the level: {}", all.join(", ")));
    }
    match &facts.state.managed {
        Some(by) => (Verdict::Ok, format!("every component managed since {:.0}", by.since)),
        None => (Verdict::Warn, "this system is not managed".to_owned()),
    }
}

fn inventory(facts: &Facts) -> (Verdict, String) {
    if let Some(first) = facts.inventory.first() {
        return (Verdict::Bad, format!("{} contradictions, such as {first}", facts.inventory.len()));
    }
    match &facts.slots.current {
        None => (Verdict::Warn, "no level is in production".to_owned()),
        Some(current) if current.level().level.as_str() == ADOPTED => adopted(facts, &current.record),
        Some(current) => {
            let fixes: usize = current.record.manifest.components.iter().map(|one| one.fixes.len()).sum();
            let components = current.record.trees().count();
            (Verdict::Ok, format!("{}: {fixes} fixes on {components} components", current.level()))
        }
    }
}

/// An adopted directory has no list of fixes, but when it is BASE there can be none.
fn adopted(facts: &Facts, record: &LevelRecord) -> (Verdict, String) {
    let LevelManifest { level, content, .. } = &record.manifest;
    let is_base = |held: &&BaseRecord| held.vrm == level.vrm && held.base == *content;
    match facts.bases.iter().find(is_base) {
        Some(held) => {
            (Verdict::Ok, format!("{level}: exactly BASE {} of release {}", content.short(), held.vrm))
        }
        None => {
            let text = format!("{level}: not BASE as it is held here, so its fixes are not known here");
            (Verdict::Warn, text)
        }
    }
}

fn local_mods(facts: &Facts) -> (Verdict, String) {
    if !facts.strays.is_empty() {
        return (Verdict::Bad, format!("named by the level but not in it: {}", facts.strays.join(", ")));
    }
    let components = facts.slots.current.iter().flat_map(|current| &current.record.manifest.components);
    let count: usize = components.map(|one| one.local_mods.len()).sum();
    (Verdict::Ok, format!("{count} in production, each in its place"))
}

fn parts(facts: &Facts) -> (Verdict, String) {
    let count = |kind: DriftKind| facts.drift.iter().filter(|item| item.kind == kind).count();
    if facts.drift.is_empty() {
        let slots: Vec<&str> = facts.slots.occupied().map(|(slot, _)| slot.word()).collect();
        return (Verdict::Ok, format!("no part differs in slots: {}", slots.join(", ")));
    }
    let detail = format!(
        "{} modified, {} missing, {} extra, {} with other permissions, {} of another kind",
        count(DriftKind::Modified),
        count(DriftKind::Missing),
        count(DriftKind::Extra),
        count(DriftKind::Mode),
        count(DriftKind::Kind)
    );
    (Verdict::Bad, detail)
}

fn test_slot(facts: &Facts) -> (Verdict, String) {
    match &facts.slots.test {
        None => (Verdict::Ok, "nothing waits in slot test".to_owned()),
        Some(test) if test.record.mode == Mode::Stable => (
            Verdict::Warn,
            format!("{} is STABLE and waits for PUT2PROD since {:.0}", test.level(), test.since),
        ),
        Some(test) => (Verdict::Ok, format!("{} is being tested since {:.0}", test.level(), test.since)),
    }
}

fn space(facts: &Facts) -> (Verdict, String) {
    let needed = facts.current_bytes.saturating_add(facts.free_bytes_min);
    let back = match &facts.slots.previous {
        Some(previous) => format!("the way back is {}", previous.level()),
        None => "there is no level to go back to".to_owned(),
    };
    let is_broken = facts.drift.iter().any(|item| item.slot == "previous");
    let verdict = match facts.free_bytes {
        free if free < facts.free_bytes_min => Verdict::Bad,
        free if free < needed || is_broken => Verdict::Warn,
        _ => Verdict::Ok,
    };
    (
        verdict,
        format!(
            "{} MiB free, {} MiB wanted for another whole level; {back}",
            facts.free_bytes >> 20,
            needed >> 20
        ),
    )
}

fn unknown_components(facts: &Facts) -> (Verdict, String) {
    let strange = facts.drift.iter().filter(|item| item.found == trees::STRANGE);
    let mut unknown: Vec<String> = strange.map(|item| format!("{}/{}", item.slot, item.component)).collect();
    unknown.dedup();
    if unknown.is_empty() { (Verdict::Ok, "none".to_owned()) } else { (Verdict::Warn, unknown.join(", ")) }
}

/// Parts kept on purpose are no drift, but nobody must forget them.
fn exceptions(facts: &Facts) -> (Verdict, String) {
    let one = |one: &Exception| format!("{}/{} ({})", one.component, one.path, one.reason);
    let all: Vec<String> = facts.state.exceptions.iter().map(one).collect();
    if all.is_empty() { (Verdict::Ok, "none".to_owned()) } else { (Verdict::Ok, all.join(", ")) }
}

#[cfg(test)]
mod tests;

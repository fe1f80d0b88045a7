//! What keeps a level from being loaded. All reasons are named at once, each with the way on.

use std::collections::BTreeSet;

use tender_package::manifest::content_digest;
use tender_package::{ComponentName, FixId, Message, Mode, ReturnCode, Severity};

use super::{BROKEN, Facts, Wish};
use crate::executor::Refusal;

/// Parts that are named one by one.
const NAMED_MAX: usize = 50;

/// Checks everything; a level that passes may be loaded.
pub(super) fn check(facts: &Facts, wish: &Wish<'_>) -> Result<(), Refusal> {
    let mut refusal = Refusal::default();
    check_manifest(facts, &mut refusal);
    check_mode(facts, wish, &mut refusal);
    check_variant_and_base(facts, &mut refusal);
    check_age(facts, wish, &mut refusal);
    check_regression(facts, wish, &mut refusal);
    check_local_changes(facts, wish, &mut refusal);
    check_exceptions(facts, &mut refusal);
    check_space(facts, &mut refusal);
    refusal.or_fine()
}

fn error(number: u16, text: String, hint: &str) -> Message {
    Message::csm(number, Severity::E, text).with_hint(hint)
}

fn broken(text: String) -> Message {
    Message::csm(720, Severity::S, text).with_hint("package the level again and send it")
}

/// The manifest must agree with itself and with what was loaded under the same name.
fn check_manifest(facts: &Facts, refusal: &mut Refusal) {
    let manifest = &facts.manifest;
    let trees = manifest.components.iter().filter_map(|one| Some((&one.name, one.tree.as_ref()?)));
    if content_digest(trees) != manifest.content {
        refusal.add(BROKEN, broken(format!("the components of {} do not make its content", manifest.level)));
    }
    let names: BTreeSet<_> = manifest.components.iter().map(|one| &one.name).collect();
    if names.len() != manifest.components.len() {
        refusal.add(BROKEN, broken(format!("{} names a component twice", manifest.level)));
    }
    for one in &manifest.components {
        if one.tree.is_some() && one.tree != one.base_tree && one.servlink.is_none() {
            let text = format!("component {} of {} changed but has no servlink", one.name, manifest.level);
            refusal.add(BROKEN, broken(text));
        }
    }
    if manifest.level.level.is_base() && manifest.content != manifest.base {
        refusal.add(BROKEN, broken(format!("{} says that BASE is something else", manifest.level)));
    }
    if facts.loaded.as_ref().is_some_and(|loaded| loaded.manifest.content != manifest.content) {
        let text =
            format!("{} was loaded before with other content; a generation never changes", manifest.level);
        refusal.add(BROKEN, broken(text));
    }
}

fn check_mode(facts: &Facts, wish: &Wish<'_>, refusal: &mut Refusal) {
    let level = wish.level;
    let state = facts.custom.state;
    if state == Mode::Withdrawn || wish.mode == Mode::Withdrawn {
        let text = format!("{level} is withdrawn");
        refusal.add(ReturnCode::Refused, error(721, text, "send another level"));
    } else if wish.mode == Mode::Stable && state != Mode::Stable {
        let text = format!("{level} is not marked STABLE in the signed metadata");
        refusal.add(ReturnCode::Refused, error(722, text, "promote the level at the principal first"));
    }
}

fn check_variant_and_base(facts: &Facts, refusal: &mut Refusal) {
    let manifest = &facts.manifest;
    if manifest.variant != facts.variant {
        let text = format!(
            "{} is for variant {}, this system is {}",
            manifest.level, manifest.variant, facts.variant
        );
        refusal.add(ReturnCode::Refused, error(723, text, "send a level of this system's variant"));
    }
    if let Some(held) = facts.held.as_ref().filter(|held| held.base != manifest.base) {
        let text = format!(
            "{} rests on BASE {}, this system holds BASE {} of release {}",
            manifest.level,
            manifest.base.short(),
            held.base.short(),
            held.vrm
        );
        refusal.add(ReturnCode::Refused, error(724, text, "import the principal's BASE"));
    }
    for one in &manifest.components {
        let Some(tree) = one.tree.filter(|tree| !facts.complete.contains(tree)) else { continue };
        let Some(base) = one.base_tree.filter(|base| !facts.complete.contains(base)) else { continue };
        let what = if tree == base { "is unchanged from" } else { "is built on" };
        let text = format!(
            "component {} of {} {what} BASE {}, which is not whole on this system",
            one.name,
            manifest.level,
            base.short()
        );
        let hint = "import BASE from the install media, or send level BASE first";
        refusal.add(ReturnCode::Refused, error(725, text, hint));
    }
}

/// An older generation of the level in a slot is not loaded by mistake.
fn check_age(facts: &Facts, wish: &Wish<'_>, refusal: &mut Refusal) {
    let level = wish.level;
    let newer = facts.slots.occupied().find(|(_, occupant)| {
        let other = occupant.level();
        other.vrm == level.vrm && other.level == level.level && other.generation > level.generation
    });
    if let Some((slot, occupant)) = newer.filter(|_| wish.force.is_none()) {
        let text = format!("{level} is older than {} in slot {}", occupant.level(), slot.word());
        refusal
            .add(ReturnCode::Refused, error(726, text, "send the newest generation, or force with a reason"));
    }
}

/// Lists fixes and local modifications in production that the level does not have.
pub(super) fn lost(facts: &Facts) -> Vec<(ComponentName, FixId)> {
    let manifest = &facts.manifest;
    let current = facts.slots.current.as_ref();
    // Fixes belong to a release; from one release to another nothing can be compared.
    let Some(current) = current.filter(|current| current.level().vrm == manifest.level.vrm) else {
        return Vec::new();
    };
    let ids = |one: &tender_package::manifest::ManifestComponent| -> Vec<FixId> {
        let fixes = one.fixes.iter().map(|fix| fix.id.clone());
        fixes.chain(one.local_mods.iter().map(|local| local.id.clone())).collect()
    };
    let mut lost = Vec::new();
    for had in &current.record.manifest.components {
        let has = manifest.components.iter().find(|one| one.name == had.name).map(ids).unwrap_or_default();
        let gone = ids(had).into_iter().filter(|id| !has.contains(id));
        lost.extend(gone.map(|id| (had.name.clone(), id)));
    }
    lost.sort();
    lost.dedup();
    lost
}

fn check_regression(facts: &Facts, wish: &Wish<'_>, refusal: &mut Refusal) {
    for (component, id) in lost(facts).into_iter().filter(|(_, id)| !wish.lose.contains(id)) {
        let text = format!("{} would lose {id} of component {component}, which is in production", wish.level);
        let hint = format!("put {id} into the level, or name it among the fixes that may get lost");
        refusal.add(ReturnCode::Refused, error(727, text, &hint));
    }
}

/// Parts kept on this system stand for what was below them then; people decide what becomes of them over others.
fn check_exceptions(facts: &Facts, refusal: &mut Refusal) {
    let level = &facts.manifest.level;
    let hint =
        "make the change a local modification of the level, or drop the exception with SYSTEM EXCEPTION";
    for (component, path) in &facts.reworks {
        let text = format!("{level} changes {component}/{path}, which this system keeps as an exception");
        refusal.add(ReturnCode::Refused, error(731, text, hint));
    }
    let has = |name: &ComponentName| {
        facts.manifest.components.iter().any(|one| one.name == *name && one.tree.is_some())
    };
    for one in facts.state.exceptions.iter().filter(|one| !has(&one.component)) {
        let (component, path) = (&one.component, &one.path);
        let text = format!("{level} has no component {component}, of which this system keeps {path}");
        refusal.add(ReturnCode::Refused, error(731, text, hint));
    }
}

fn check_local_changes(facts: &Facts, wish: &Wish<'_>, refusal: &mut Refusal) {
    if wish.force.is_some() {
        return;
    }
    for one in &facts.state.overrides {
        let text = format!(
            "component {} is out of management since {:.0}: {}",
            one.component, one.since, one.reason
        );
        let hint = "give it back with MANAGED ON, or force with a reason";
        refusal.add(ReturnCode::Refused, error(728, text, hint));
    }
    let lost = &facts.drift;
    for item in lost.iter().take(NAMED_MAX) {
        let text =
            format!("{}/{} in production was changed by hand ({:?})", item.component, item.path, item.kind);
        let hint = "absorb what must stay into a level, keep it as an exception, or force with a reason";
        refusal.add(ReturnCode::Refused, error(729, text, hint));
    }
    if lost.len() > NAMED_MAX {
        let text = format!("{} more parts in production were changed by hand", lost.len() - NAMED_MAX);
        refusal.add(ReturnCode::Refused, error(729, text, "see SERVCHECK for all of them"));
    }
}

fn check_space(facts: &Facts, refusal: &mut Refusal) {
    let needed: u64 = facts.unpacked_bytes.values().sum::<u64>().saturating_add(facts.free_bytes_min);
    if needed > facts.free_bytes {
        let text = format!(
            "{} needs {needed} bytes with the reserve, {} are free",
            facts.manifest.level, facts.free_bytes
        );
        refusal.add(ReturnCode::Outside, error(730, text, "make room on the file system of this system"));
    }
}

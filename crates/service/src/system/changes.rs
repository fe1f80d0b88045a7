//! What was changed on a system by hand, against what a level brings: what gets lost, what is kept, what is rework.

use tender_content::{Node, PartPath, Tree};
use tender_package::changes::{ChangedPart, Diverged, is_same_part};
use tender_package::manifest::LevelManifest;
use tender_package::request::BroughtPart;
use tender_package::{ComponentName, FixId, Vrm};

use crate::error::{Refusal, ServiceError};
use crate::principal::Principal;
use crate::shapes::Fix;
use crate::tables::fixes;
use crate::tables::systems::SystemRow;

/// Parts that are named one by one in a message; all of them stand in the answer for machines.
const NAMED_MAX: usize = 20;

fn diverged(system: &SystemRow) -> &[Diverged] {
    system.changes.as_ref().map_or(&[], |changes| &changes.diverged)
}

fn tree_of(
    principal: &Principal,
    manifest: &LevelManifest,
    component: &ComponentName,
) -> Result<Option<Tree>, ServiceError> {
    let digest = manifest.components.iter().find(|one| one.name == *component).and_then(|one| one.tree);
    digest.map(|digest| principal.tree(&digest)).transpose()
}

/// Tells whether a level has a part in the state it has on the system.
fn brings(tree: Option<&Tree>, part: &ChangedPart) -> bool {
    part.fault.is_none()
        && tree.is_some_and(|tree| is_same_part(tree.get(part.path.as_str()), part.is.as_ref()))
}

/// Lists the changed parts of a system that a level has too.
pub(crate) fn brought(
    principal: &Principal,
    system: &SystemRow,
    manifest: &LevelManifest,
) -> Result<Vec<BroughtPart>, ServiceError> {
    let mut list = Vec::new();
    for one in diverged(system) {
        let tree = tree_of(principal, manifest, &one.component)?;
        let parts = one.parts.iter().filter(|part| brings(tree.as_ref(), part));
        list.extend(parts.map(|part| BroughtPart {
            component: one.component.clone(),
            path: part.path.clone(),
            is: part.is.clone(),
        }));
    }
    Ok(list)
}

/// Refuses a level that does not have what was changed by hand; names every part, and fixes that went on by hand.
pub(crate) fn refuse_losses(
    principal: &Principal,
    system: &SystemRow,
    manifest: &LevelManifest,
) -> Result<(), ServiceError> {
    let mut lines = Vec::new();
    let mut fixes = Vec::new();
    for one in diverged(system) {
        let tree = tree_of(principal, manifest, &one.component)?;
        let lost: Vec<&ChangedPart> = one.parts.iter().filter(|part| !brings(tree.as_ref(), part)).collect();
        lines.extend(lost.iter().map(|part| format!("{}/{} ({})", one.component, part.path, part.word())));
        let on: Vec<FixId> =
            manifest.components.iter().flat_map(|one| one.fixes.iter().map(|fix| fix.id.clone())).collect();
        if !lost.is_empty() {
            fixes.extend(by_hand(principal, &system.record.vrm, one, &on)?.into_iter().map(|fix| fix.id));
        }
    }
    if lines.is_empty() {
        return Ok(());
    }
    let name = &system.record.name;
    let named = lines.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
    let more = if lines.len() > NAMED_MAX {
        format!(" and {} more parts", lines.len() - NAMED_MAX)
    } else {
        String::new()
    };
    let fixes: Vec<String> = fixes.iter().map(ToString::to_string).collect();
    let fixes =
        if fixes.is_empty() { String::new() } else { format!("; with them fix {}", fixes.join(", ")) };
    let text = format!(
        "{} would take from system {name} what was changed there by hand: {named}{more}{fixes}",
        manifest.level
    );
    let hint = format!(
        "tender servmgr system absorb {vrm} {name} into LEVEL, or system exception add {vrm} {name} …, or give --force REASON",
        vrm = system.record.vrm
    );
    Err(Refusal::new(250, text).lines(lines).hint(hint).into())
}

/// Refuses a level that has something else under a part that the system keeps as an exception.
pub(crate) fn refuse_reworks(
    principal: &Principal,
    system: &SystemRow,
    manifest: &LevelManifest,
) -> Result<(), ServiceError> {
    let mut lines = Vec::new();
    for one in system.changes.iter().flat_map(|changes| &changes.exceptions) {
        let tree = tree_of(principal, manifest, &one.component)?;
        let has = |node: &Option<Node>, tree: &Tree| is_same_part(tree.get(one.path.as_str()), node.as_ref());
        if !tree.as_ref().is_some_and(|tree| has(&one.was, tree) || has(&one.is, tree)) {
            lines.push(format!("{}/{} ({})", one.component, one.path, one.reason));
        }
    }
    if lines.is_empty() {
        return Ok(());
    }
    let name = &system.record.name;
    let text = format!(
        "{} changes what system {name} keeps as an exception, which people must rework: {}",
        manifest.level,
        lines.join(", ")
    );
    let hint = format!(
        "make it a local modification of the level, then tender servmgr system exception delete {} {name} COMPONENT PART",
        system.record.vrm
    );
    Err(Refusal::new(251, text).lines(lines).hint(hint).into())
}

/// Finds received fixes whose every part stands on the system as the fix makes it, and that are not `on`.
///
/// Several may; the one with the most parts counts, and of what is left the next.
pub(crate) fn by_hand(
    principal: &Principal,
    vrm: &Vrm,
    diverged: &Diverged,
    on: &[FixId],
) -> Result<Vec<Fix>, ServiceError> {
    let mut candidates: Vec<Fix> = fixes::all(&principal.tables(), vrm)?
        .into_iter()
        .map(|(fix, _)| fix)
        .filter(|fix| fix.component == diverged.component && !fix.parts.is_empty() && !on.contains(&fix.id))
        .collect();
    candidates.sort_by_key(|fix| std::cmp::Reverse(fix.parts.len()));
    let mut open: Vec<&ChangedPart> = diverged.parts.iter().filter(|part| part.fault.is_none()).collect();
    let mut found = Vec::new();
    for fix in candidates {
        let stands = |path: &PartPath, becomes: &Option<Node>| {
            open.iter().any(|part| part.path == *path && is_same_part(part.is.as_ref(), becomes.as_ref()))
        };
        if fix.parts.iter().all(|part| stands(&part.path, &part.becomes)) {
            open.retain(|part| fix.parts.iter().all(|of_fix| of_fix.path != part.path));
            found.push(fix);
        }
    }
    Ok(found)
}

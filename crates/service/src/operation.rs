//! How the content of a level changes: put parts together, build objects, switch to the new content in one transaction.
//!
//! What is to be reached is written down first. Each step only fills in digests there, so after a kill at any moment
//! RESTART simply goes through the steps again, and ABANDON forgets the record: until the last step the level keeps
//! its old content.

use std::collections::{HashMap, HashSet};

use tender_content::{Digest, Tree};
use tender_package::{ComponentName, FixId, Message, Outcome, ReturnCode, Severity, Vrm};

use crate::build;
use crate::component::manifest_of;
use crate::error::ServiceError;
use crate::fault;
use crate::level::{Level, PackageState, Work};
use crate::level_content;
use crate::localmod::{Contents, Reconciled, reconcile};
use crate::principal::Principal;
use crate::shapes::{Fix, LevelComponent, LevelContent, LocalMod, Operation};
use crate::tables::{fixes, levels, releases};
use crate::verbs::Context;

/// Fault points of one verb, in order of the steps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Points {
    pub(crate) begun: &'static str,
    pub(crate) composed: Option<&'static str>,
    pub(crate) applied: &'static str,
    pub(crate) built: Option<&'static str>,
    pub(crate) finished: Option<&'static str>,
}

/// Fault points of SERVICE.
pub(crate) const SERVICE: Points = Points {
    begun: "service.begun",
    composed: Some("service.composed"),
    applied: "service.applied",
    built: Some("service.built"),
    finished: Some("service.finished"),
};

/// Fault points of LOCALMOD.
pub(crate) const LOCALMOD: Points = Points {
    begun: "localmod.begun",
    composed: None,
    applied: "localmod.applied",
    built: None,
    finished: None,
};

fn pass(point: Option<&'static str>) {
    if let Some(point) = point {
        fault::point(point);
    }
}

/// Contents in the principal's store.
pub(crate) struct StoreContents<'p>(pub(crate) &'p Principal);

impl Contents for StoreContents<'_> {
    fn read(&self, digest: &Digest) -> Result<Vec<u8>, ServiceError> {
        let doing = format!("reading part contents {}", digest.short());
        self.0.store().read(digest).map_err(ServiceError::content(doing))
    }

    fn keep(&self, bytes: &[u8]) -> Result<Digest, ServiceError> {
        self.0.store().put_bytes(bytes).map_err(ServiceError::content("keeping part contents"))
    }
}

/// Lists components whose fixes or local modifications differ between two contents.
pub(crate) fn changed_components(before: &LevelContent, after: &LevelContent) -> Vec<ComponentName> {
    let names = after
        .components
        .iter()
        .map(|component| &component.name)
        .chain(after.fixes.iter().map(|fix| &fix.component))
        .chain(before.fixes.iter().map(|fix| &fix.component))
        // Local modifications alone may make a component.
        .chain(after.mods.iter().map(|one| &one.component))
        .chain(before.mods.iter().map(|one| &one.component));
    let mut names: Vec<ComponentName> = names.cloned().collect();
    names.sort();
    names.dedup();
    names.retain(|name| {
        let fixes = |content: &LevelContent| -> Vec<(FixId, bool)> {
            let fixes = content.fixes.iter().filter(|fix| fix.component == *name);
            fixes.map(|fix| (fix.id.clone(), fix.superseded_by.is_some())).collect()
        };
        let mods = |content: &LevelContent| -> Vec<LocalMod> {
            content.mods.iter().filter(|one| one.component == *name).cloned().collect()
        };
        fixes(before) != fixes(after) || mods(before) != mods(after)
    });
    names
}

/// Returns the vendor's parts of a component: BASE with the fixes of `content`.
pub(crate) fn vendor_tree(
    principal: &Principal,
    vrm: &Vrm,
    content: &LevelContent,
    component: &ComponentName,
) -> Result<Tree, ServiceError> {
    let base =
        releases::components(&principal.tables(), vrm)?.into_iter().find(|base| base.name == *component);
    let base = base.map(|base| principal.tree(&base.tree)).transpose()?.unwrap_or_default();
    let ids = content.fixes.iter().filter(|fix| fix.component == *component && fix.superseded_by.is_none());
    let mut bodies: Vec<Fix> = Vec::new();
    for fix in ids {
        let body = fixes::find(&principal.tables(), vrm, &fix.id)?;
        bodies.extend(body);
    }
    let bodies: Vec<&Fix> = bodies.iter().collect();
    level_content::vendor_tree(component, &base, &bodies).map_err(|error| {
        let hint = "ask the vendor for an envelope made against this release, or --exclude the fix";
        crate::Refusal::new(122, crate::error::chain(&error)).hint(hint).into()
    })
}

/// Begins an operation on a level.
pub(crate) fn begin(
    principal: &Principal,
    level: &mut Level,
    operation: &Operation,
    points: Points,
) -> Result<(), ServiceError> {
    level.work = Work::Incomplete;
    principal.transaction(|tables| {
        levels::update(tables, level)?;
        levels::set_operation(tables, &level.vrm, &level.name, Some(operation))
    })?;
    fault::point(points.begun);
    Ok(())
}

/// Carries a begun operation on, from wherever it stopped, to its end or to where people are needed.
pub(crate) fn carry_on(
    principal: &Principal,
    context: &Context<'_>,
    level: &mut Level,
    mut operation: Operation,
    points: Points,
) -> Result<Outcome, ServiceError> {
    let mut outcome = Outcome::default();
    compose(principal, level, &mut operation, &mut outcome)?;
    principal.sync_store()?;
    pass(points.composed);
    save(principal, level, &operation)?;
    fault::point(points.applied);
    if !operation.conflicts.is_empty() {
        outcome.code = outcome.code.max(ReturnCode::Partial);
        return Ok(outcome);
    }
    build_all(principal, level, &mut operation, &mut outcome, points)?;
    if operation.dirty.is_empty() {
        finish(principal, context, level, &operation)?;
        pass(points.finished);
        outcome.say(Message::csm(
            123,
            Severity::I,
            format!("level {} now has content {}", level.title(), level.content.short()),
        ));
    } else {
        let text = format!(
            "level {}: {} components have objects that are not built; the level keeps its old content until they are",
            level.title(),
            operation.dirty.len()
        );
        let hint = format!(
            "clear the cause and run `tender servmgr srvlvl service {} --restart`, or --abandon",
            level.title()
        );
        outcome.say(Message::csm(124, Severity::E, text).with_hint(hint));
    }
    Ok(outcome)
}

fn save(principal: &Principal, level: &Level, operation: &Operation) -> Result<(), ServiceError> {
    levels::set_operation(&principal.tables(), &level.vrm, &level.name, Some(operation))
}

/// Puts the parts of every dirty component together; local modifications that need people become conflicts.
fn compose(
    principal: &Principal,
    level: &Level,
    operation: &mut Operation,
    outcome: &mut Outcome,
) -> Result<(), ServiceError> {
    operation.conflicts.clear();
    let on = effectively_on(principal, &level.vrm, &operation.after)?;
    // A fix may bring what a local modification of another component was for.
    let fixed = operation.after.mods.iter().filter(|one| one.fixed_in.iter().any(|fix| on.contains(fix)));
    let fixed: Vec<ComponentName> = fixed.map(|one| one.component.clone()).collect();
    operation.dirty.extend(fixed);
    operation.dirty.sort();
    operation.dirty.dedup();
    for name in operation.dirty.clone() {
        let vendor = vendor_tree(principal, &level.vrm, &operation.after, &name)?;
        let mods =
            reconcile_all(principal, level, operation, &name, &vendor, &|fix| on.contains(fix), outcome)?;
        if !operation.conflicts.is_empty() {
            continue;
        }
        let source = level_content::with_local_mods(vendor, &mods.iter().collect::<Vec<_>>())
            .map_err(|error| {
                let hint = format!(
                    "change or --drop the local modification, then tender servmgr srvlvl service {} --restart, or --abandon",
                    level.title()
                );
                crate::Refusal::new(125, crate::error::chain(&error)).hint(hint)
            })?;
        set_source(principal, &mut operation.after, &name, &source)?;
        operation.after.mods.retain(|one| one.component != name);
        operation.after.mods.extend(mods);
        operation.after.mods.sort_by(|a, b| a.id.cmp(&b.id));
    }
    Ok(())
}

/// Lists the fixes that are on, and those they supersede, received or not, also through others.
fn effectively_on(
    principal: &Principal,
    vrm: &Vrm,
    content: &LevelContent,
) -> Result<HashSet<FixId>, ServiceError> {
    let mut on: HashSet<FixId> = content.fixes.iter().map(|fix| fix.id.clone()).collect();
    if content.mods.iter().all(|one| one.fixed_in.is_empty()) {
        return Ok(on);
    }
    let bodies = fixes::all(&principal.tables(), vrm)?;
    let supersedes: HashMap<&FixId, &Vec<FixId>> =
        bodies.iter().map(|(fix, _)| (&fix.id, &fix.supersedes)).collect();
    let mut work: Vec<FixId> = on.iter().cloned().collect();
    while let Some(id) = work.pop() {
        for older in supersedes.get(&id).into_iter().copied().flatten() {
            if on.insert(older.clone()) {
                work.push(older.clone());
            }
        }
    }
    Ok(on)
}

fn reconcile_all(
    principal: &Principal,
    level: &Level,
    operation: &mut Operation,
    component: &ComponentName,
    vendor: &Tree,
    is_on: &dyn Fn(&FixId) -> bool,
    outcome: &mut Outcome,
) -> Result<Vec<LocalMod>, ServiceError> {
    let mut kept = Vec::new();
    for one in operation.after.mods.iter().filter(|one| one.component == *component) {
        let what = format!("local modification {} of `{}` in {component}", one.id, one.path);
        match reconcile(one, vendor.get(one.path.as_str()), is_on, &StoreContents(principal))? {
            Reconciled::Carried(one) => kept.push(one),
            Reconciled::Dropped { by } => {
                let by = by.map_or("the vendor brings the same".to_owned(), |by| format!("{by} contains it"));
                outcome.say(Message::csm(126, Severity::I, format!("{what} is dropped: {by}")));
            }
            Reconciled::Merged(one) => {
                let text = format!("{what} was merged with the vendor's change; look at the result");
                outcome.say(Message::csm(127, Severity::W, text));
                kept.push(one);
            }
            Reconciled::Conflict { reason } => {
                let word = if vendor.get(one.path.as_str()).is_some() { "--replace" } else { "--add" };
                let hint = format!(
                    "tender servmgr srvlvl localmod {} {component} --id {} {word} {} --from FILE, or --drop {}; then srvlvl service {} --restart, or --abandon",
                    level.title(),
                    one.id,
                    one.path,
                    one.id,
                    level.title()
                );
                outcome.say(Message::csm(128, Severity::E, format!("{what}: {reason}")).with_hint(hint));
                operation.conflicts.push(one.id.clone());
            }
        }
    }
    Ok(kept)
}

fn set_source(
    principal: &Principal,
    content: &mut LevelContent,
    name: &ComponentName,
    source: &Tree,
) -> Result<(), ServiceError> {
    content.components.retain(|component| component.name != *name || !source.is_empty());
    if source.is_empty() {
        return Ok(());
    }
    let restart = manifest_of(principal, name, source)?.restart(name);
    let digest = principal.keep_tree(source)?;
    match content.components.iter_mut().find(|component| component.name == *name) {
        Some(component) => {
            component.source = digest;
            component.restart = restart;
        }
        None => content.components.push(LevelComponent {
            name: name.clone(),
            source: digest,
            tree: digest,
            restart,
        }),
    }
    Ok(())
}

/// Builds the objects of every dirty component; those that fail stay dirty.
fn build_all(
    principal: &Principal,
    level: &Level,
    operation: &mut Operation,
    outcome: &mut Outcome,
    points: Points,
) -> Result<(), ServiceError> {
    let work = principal.release_dir(&level.vrm).join("work");
    let shipped = shipped(principal, &level.vrm)?;
    for name in operation.dirty.clone() {
        let place = operation.after.components.iter().position(|component| component.name == name);
        let Some(place) = place else {
            operation.dirty.retain(|dirty| *dirty != name);
            continue;
        };
        let source = operation.after.components[place].source;
        if shipped.get(&name) == Some(&source) {
            operation.after.components[place].tree = source;
            operation.dirty.retain(|dirty| *dirty != name);
            continue;
        }
        let source = principal.tree(&source)?;
        let recipes = manifest_of(principal, &name, &source)?.tender.build;
        let built = build::build(principal, &work, &source, &recipes);
        for object in &built.built {
            outcome.say(Message::csm(129, Severity::I, format!("{name}: object {object} was built")));
        }
        for (object, error) in &built.failed {
            let text = format!("{name}: object {object} was not built: {}", crate::error::chain(error));
            outcome.say(Message::csm(133, Severity::E, text));
        }
        if let Some(tree) = built.tree {
            operation.after.components[place].tree = principal.keep_tree(&tree)?;
            operation.dirty.retain(|dirty| *dirty != name);
            principal.sync_store()?;
            save(principal, level, operation)?;
            pass(points.built);
        }
    }
    Ok(())
}

/// Gives the level its new content; until here it had the old one.
fn finish(
    principal: &Principal,
    context: &Context<'_>,
    level: &mut Level,
    operation: &Operation,
) -> Result<(), ServiceError> {
    let content = level_content::digest(&operation.after.components);
    // Fixes and local modifications travel in the manifest, so even equal trees make an older package stale.
    let is_same = content == level.content
        && levels::content(&principal.tables(), &level.vrm, &level.name)? == operation.after;
    if !is_same && level.package == PackageState::Current {
        level.package = PackageState::Stale;
    }
    level.content = content;
    level.work = Work::Idle;
    level.changed = (context.now)();
    level.changed_by.clone_from(&context.operator);
    principal.transaction(|tables| {
        levels::write_content(tables, &level.vrm, &level.name, &operation.after)?;
        levels::update(tables, level)?;
        levels::set_operation(tables, &level.vrm, &level.name, None)
    })
}

/// Gives up an unfinished operation; the level has its old content still.
pub(crate) fn abandon(principal: &Principal, level: &mut Level) -> Result<(), ServiceError> {
    level.work = Work::Idle;
    principal.transaction(|tables| {
        levels::update(tables, level)?;
        levels::set_operation(tables, &level.vrm, &level.name, None)
    })
}

/// Lists components of a level that have objects which are not built from what they are made of now; a component as
/// it was shipped counts as built.
pub(crate) fn unbuilt(
    principal: &Principal,
    vrm: &Vrm,
    content: &LevelContent,
) -> Result<Vec<ComponentName>, ServiceError> {
    let shipped = shipped(principal, vrm)?;
    let mut unbuilt = Vec::new();
    for component in &content.components {
        if component.tree == component.source && shipped.get(&component.name) == Some(&component.source) {
            continue;
        }
        let source = principal.tree(&component.source)?;
        let recipes = manifest_of(principal, &component.name, &source)?.tender.build;
        let doing = format!("looking at the objects of {}", component.name);
        let known = build::known_tree(principal, &source, &recipes).map_err(ServiceError::content(doing))?;
        if known.is_none_or(|tree| tree.digest() != component.tree) {
            unbuilt.push(component.name.clone());
        }
    }
    Ok(unbuilt)
}

/// Names what is not built of these components, each object with its component; a component whose parts are not put
/// together yet stands for all its objects.
pub(crate) fn unbuilt_objects(
    principal: &Principal,
    content: &LevelContent,
    names: &[ComponentName],
) -> Result<Vec<String>, ServiceError> {
    let mut objects = Vec::new();
    for component in content.components.iter().filter(|component| names.contains(&component.name)) {
        let name = &component.name;
        let source = principal.tree(&component.source)?;
        let recipes = manifest_of(principal, name, &source)?.tender.build;
        let doing = format!("looking at the objects of {name}");
        let open =
            build::unbuilt_objects(principal, &source, &recipes).map_err(ServiceError::content(doing))?;
        objects.extend(open.iter().map(|object| format!("{name}/{object}")));
    }
    Ok(objects)
}

/// Reads the trees of BASE: what was shipped runs as it is and is not built here.
fn shipped(principal: &Principal, vrm: &Vrm) -> Result<HashMap<ComponentName, Digest>, ServiceError> {
    let components = releases::components(&principal.tables(), vrm)?;
    Ok(components.into_iter().map(|base| (base.name, base.tree)).collect())
}

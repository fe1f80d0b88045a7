//! LOAD: brings a received level into slot `test`, or marks a loaded one STABLE.

mod guard;

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use jiff::Timestamp;
use tender_content::scan::ScanMode;
use tender_content::{Digest, PartPath, servlink};
use tender_package::changes::Exception;
use tender_package::manifest::{LevelManifest, content_digest};
use tender_package::report::DriftItem;
use tender_package::repository::{RepositoryError, TargetCustom, Verified};
use tender_package::request::{BroughtPart, Request, Verb};
use tender_package::{ComponentName, FixId, LevelRef, Message, Mode, ReturnCode, Severity, Variant};

use super::step::Step;
use super::{Context, Handler, Refusal, level_record, trusted_root};
use crate::base::{self, BaseRecord};
use crate::changes;
use crate::home::Verifier;
use crate::managed::ManagedState;
use crate::queue::Plan;
use crate::slots::{self, Contents, LevelRecord, Slot, Slots};
use crate::trees;

/// The verb LOAD.
#[derive(Debug)]
pub(super) struct Load;

/// What the principal asks for.
#[derive(Debug, Clone)]
struct Wish<'a> {
    level: &'a LevelRef,
    mode: Mode,
    lose: &'a [FixId],
    force: Option<&'a str>,
}

/// All that the decision rests on.
#[derive(Debug, Clone)]
struct Facts {
    manifest: LevelManifest,
    custom: TargetCustom,
    variant: Variant,
    slots: Slots,
    /// The record of this very level, when it is loaded already.
    loaded: Option<LevelRecord>,
    held: Option<BaseRecord>,
    /// Trees whose objects are all there.
    complete: HashSet<Digest>,
    state: ManagedState,
    /// Parts kept on this system that the level has something else under, as far as its trees are here.
    reworks: Vec<(ComponentName, PartPath)>,
    /// Parts of slot `current` that are not as its level says, in components that this level changes.
    drift: Vec<DriftItem>,
    /// Bytes of new parts, for each servlink that was looked into.
    unpacked_bytes: BTreeMap<String, u64>,
    free_bytes: u64,
    free_bytes_min: u64,
    now: Timestamp,
}

impl Handler for Load {
    fn word(&self) -> &'static str {
        "LOAD"
    }

    fn plan(&self, context: &Context<'_>, request: &Request) -> Result<Plan, Refusal> {
        let Verb::Load { level, mode, lose, force, brings } = &request.verb else {
            return Ok(Plan::default());
        };
        let wish = Wish { level, mode: *mode, lose, force: force.as_deref() };
        let (facts, _) = gather(context, level, brings, Verifier::Executor)?;
        guard::check(&facts, &wish)?;
        Ok(plan(&facts, &wish))
    }
}

/// Checks a request as the executor will, but from the receiver: without its memory and without touching a level.
///
/// Returns received files that no package needs any more.
pub(super) fn validate(context: &Context<'_>, request: &Request) -> Result<Vec<PathBuf>, Refusal> {
    let Verb::Load { level, mode, lose, force, brings } = &request.verb else { return Ok(Vec::new()) };
    let wish = Wish { level, mode: *mode, lose, force: force.as_deref() };
    let (facts, unreferenced) = gather(context, level, brings, Verifier::Receiver)?;
    guard::check(&facts, &wish)?;
    Ok(unreferenced)
}

fn gather(
    context: &Context<'_>,
    level: &LevelRef,
    brings: &[BroughtPart],
    who: Verifier,
) -> Result<(Facts, Vec<PathBuf>), Refusal> {
    let home = context.home;
    let is_executor = who == Verifier::Executor;
    let failed =
        |error: &(dyn std::error::Error + 'static)| Refusal::failed(710, &format!("LOAD of {level}"), error);
    let untrusted = |error: RepositoryError| unverified(level, &error);
    let root = trusted_root(home)?;
    let datastore = home.datastore(&level.vrm, who);
    let verified = Verified::load(&home.received(&level.vrm), &root, &datastore).map_err(untrusted)?;
    let (manifest, custom) = verified.manifest(level).map_err(untrusted)?;
    let slots = slots::read(home).map_err(|error| failed(&error))?;
    let loaded = level_record(home, level).map_err(|error| failed(&error))?;
    if let Some(loaded) = loaded.as_ref().filter(|_| is_executor) {
        drop_damaged(context, &loaded.contents()).map_err(|error| failed(&error))?;
    }
    let trees = manifest.components.iter().flat_map(|one| [one.tree, one.base_tree]).flatten();
    let complete: HashSet<Digest> = trees.filter(|tree| trees::is_complete(&context.store, tree)).collect();
    let mut unpacked_bytes = BTreeMap::new();
    for needed in needed(&manifest, &complete) {
        let path = verified.verify(&needed.target).map_err(untrusted)?;
        let header = servlink::inspect(&path).map_err(|error| failed(&error))?;
        unpacked_bytes.insert(needed.target.clone(), needed.size + header.changed_bytes);
    }
    let drift = match is_executor {
        true => drift_in_the_way(context, &slots, &manifest, brings).map_err(|error| failed(&error))?,
        false => Vec::new(),
    };
    let state = ManagedState::read(home).map_err(|error| failed(&error))?;
    let facts = Facts {
        drift,
        custom,
        variant: home.config().variant.clone(),
        slots,
        loaded,
        held: base::held(home, &level.vrm).map_err(|error| failed(&error))?,
        complete,
        reworks: reworks(context, &manifest, &state).map_err(|error| failed(&error))?,
        state,
        manifest,
        unpacked_bytes,
        free_bytes: home.free_bytes().map_err(|error| failed(&error))?,
        free_bytes_min: home.config().free_bytes_min,
        now: Timestamp::now(),
    };
    Ok((facts, verified.unreferenced()))
}

/// Explains why a package is not believed.
pub(crate) fn unverified(level: &LevelRef, error: &RepositoryError) -> Refusal {
    let mut refusal = Refusal::failed(711, &format!("verification of {level}"), error);
    let hint = match error {
        RepositoryError::Missing { .. }
        | RepositoryError::Tampered { .. }
        | RepositoryError::Expired { .. } => "send the level again",
        RepositoryError::UnknownTarget { .. } => "package the level, then send it again",
        RepositoryError::Format { .. } => "bring Tender on this system up to date",
        RepositoryError::ClockWentBack { .. } => "set this machine's clock",
        RepositoryError::WrongRoot { .. } => "enrol this system with the principal that sends the level",
        _ => "let people look at who wrote to `incoming/` before anything else is sent",
    };
    for message in &mut refusal.messages {
        message.hint = Some(hint.to_owned());
    }
    refusal
}

fn drop_damaged(context: &Context<'_>, contents: &Contents) -> Result<(), trees::TreesError> {
    let drift =
        trees::drift(context.home, &context.store, "test", contents, ScanMode::Cached, context.progress)?;
    trees::drop_damaged(&context.store, contents, &drift).map(drop)
}

/// Finds parts of slot `current` that someone changed in components that this level changes too; all of them when it
/// is this level that is there, as loading it again makes it as it was.
fn drift_in_the_way(
    context: &Context<'_>,
    slots: &Slots,
    manifest: &LevelManifest,
    brings: &[BroughtPart],
) -> Result<Vec<DriftItem>, trees::TreesError> {
    let Some(current) = &slots.current else { return Ok(Vec::new()) };
    let mut contents = current.record.contents();
    let mut drift =
        trees::drift(context.home, &context.store, "current", &contents, ScanMode::Cached, context.progress)?;
    contents.trees.retain(|(name, tree)| {
        let is_kept = manifest.components.iter().any(|one| one.name == *name && one.tree == Some(*tree));
        current.level() == &manifest.level || !is_kept
    });
    drift.retain(|item| contents.trees.iter().any(|(name, _)| name.as_str() == item.component));
    let brought = |component: &str, path: &PartPath| {
        let is_it = |one: &&BroughtPart| one.component.as_str() == component && one.path == *path;
        brings.iter().find(is_it).map(|one| one.is.clone())
    };
    Ok(changes::not_brought(context.home, &current.record, drift, &brought))
}

/// Finds parts kept on this system that the level has something else under. What a servlink will bring is not known
/// yet: then the step that makes the directory finds it.
fn reworks(
    context: &Context<'_>,
    manifest: &LevelManifest,
    state: &ManagedState,
) -> Result<Vec<(ComponentName, PartPath)>, trees::TreesError> {
    let mut found = Vec::new();
    for one in &manifest.components {
        let kept: Vec<&Exception> =
            state.exceptions.iter().filter(|kept| kept.component == one.name).collect();
        let Some(tree) = one.tree.filter(|tree| !kept.is_empty() && context.store.contains(tree)) else {
            continue;
        };
        let tree = trees::read(&context.store, &tree)?;
        found.extend(trees::reworks(&tree, &kept).into_iter().map(|path| (one.name.clone(), path)));
    }
    Ok(found)
}

/// Lists the parts of this system that stand in the directory of a level: those of components it has.
pub(super) fn kept(state: &ManagedState, manifest: &LevelManifest) -> Vec<Exception> {
    let has =
        |name: &ComponentName| manifest.components.iter().any(|one| one.name == *name && one.tree.is_some());
    state.exceptions.iter().filter(|one| has(&one.component)).cloned().collect()
}

/// Lists the servlinks that are needed: those of components whose tree is not there yet.
pub(crate) fn needed<'m>(
    manifest: &'m LevelManifest,
    complete: &HashSet<Digest>,
) -> Vec<&'m tender_package::manifest::ServlinkRef> {
    let missing = |tree: &Digest| !complete.contains(tree);
    let components = manifest.components.iter().filter(|one| one.tree.as_ref().is_some_and(missing));
    components.filter_map(|one| one.servlink.as_ref()).collect()
}

/// Decides the steps; everything was checked before.
fn plan(facts: &Facts, wish: &Wish<'_>) -> Plan {
    let level = wish.level;
    let record = LevelRecord {
        manifest: facts.manifest.clone(),
        mode: mode(facts, wish),
        loaded: facts.now,
        kept: kept(&facts.state, &facts.manifest),
    };
    let contents = record.contents();
    let is_current = facts.slots.current.as_ref().is_some_and(|current| current.level() == level);
    let mut steps = Vec::new();
    for (index, component) in facts.manifest.components.iter().enumerate() {
        let (Some(to), Some(servlink)) = (component.tree, &component.servlink) else { continue };
        if facts.complete.contains(&to) {
            continue;
        }
        let file = format!("{index}.servlink");
        let target = servlink.target.clone();
        steps.push(Step::Stage { vrm: level.vrm.clone(), target, file: file.clone() });
        let (component, from) = (component.name.clone(), component.base_tree);
        steps.push(Step::Apply { component, file, from, to });
    }
    steps.push(Step::Materialise { contents: contents.clone() });
    steps.push(Step::Verify { contents });
    if level.level.is_base() {
        steps.push(Step::Base { record: base_record(&facts.manifest) });
    }
    if !is_current {
        steps.push(Step::Record { record: Box::new(record) });
        steps.push(Step::Slot { slot: Slot::Test, level: Some(level.clone()) });
        if wish.mode == Mode::Test {
            steps.push(Step::TestRun { level: level.clone() });
        }
    } else if facts.state.without_changes() != facts.state {
        steps.push(Step::State { state: facts.state.without_changes() });
    }
    steps.push(Step::Collect);
    Plan { steps, undo: vec![Step::Collect], done: done(facts, wish, is_current), notes: notes(facts, wish) }
}

/// A level that was in production stays STABLE, although it is sent to be tested again.
fn mode(facts: &Facts, wish: &Wish<'_>) -> Mode {
    let previous = facts.slots.previous.as_ref().filter(|previous| previous.level() == wish.level);
    previous.map_or(wish.mode, |previous| previous.record.mode.max(wish.mode))
}

fn base_record(manifest: &LevelManifest) -> BaseRecord {
    let trees = manifest.components.iter().filter_map(|one| Some((one.name.clone(), one.tree?)));
    let mut components: Vec<_> = trees.collect();
    components.sort();
    let base = content_digest(components.iter().map(|(name, tree)| (name, tree)));
    BaseRecord { vrm: manifest.level.vrm.clone(), base, components }
}

fn done(facts: &Facts, wish: &Wish<'_>, is_current: bool) -> Option<Message> {
    let level = wish.level;
    let mode = format!("{:?}", mode(facts, wish)).to_uppercase();
    let text = if is_current {
        format!("{level} is in production already; every part of it was verified")
    } else if facts.loaded.is_some() {
        format!("{level} was loaded already and is {mode} now")
    } else {
        format!("{level} is loaded into slot test as {mode}")
    };
    Some(Message::csm(712, Severity::I, text))
}

/// Says what the load leaves behind, before it happens.
fn notes(facts: &Facts, wish: &Wish<'_>) -> Vec<Message> {
    let mut notes = Vec::new();
    if let Some(test) = facts.slots.test.as_ref().filter(|test| test.level() != wish.level) {
        notes.push(Message::csm(713, Severity::I, format!("{} leaves slot test", test.level())));
    }
    let lost = guard::lost(facts);
    let named = lost.iter().filter(|(_, id)| wish.lose.contains(id));
    for (component, id) in named {
        let text = format!("{id} of component {component} is in production and not in {}", wish.level);
        notes.push(Message::csm(714, Severity::W, text));
    }
    for removed in removed(facts) {
        let text = format!("component {removed} is in production and not in {}", wish.level);
        notes.push(Message::csm(715, Severity::W, text));
    }
    for one in kept(&facts.state, &facts.manifest) {
        let text = format!("exception: {}/{} stays as it is here: {}", one.component, one.path, one.reason);
        notes.push(Message::csm(717, Severity::I, text));
    }
    if let Some(reason) = wish.force {
        notes.push(Message::csm(716, Severity::W, format!("forced: {reason}")));
        for item in &facts.drift {
            let text = format!("a change by hand will get lost: {}/{}", item.component, item.path);
            notes.push(Message::csm(718, Severity::W, text));
        }
    }
    notes
}

fn removed(facts: &Facts) -> Vec<&tender_package::ComponentName> {
    let Some(current) = &facts.slots.current else { return Vec::new() };
    let has = |name: &tender_package::ComponentName| {
        facts.manifest.components.iter().any(|one| one.name == *name && one.tree.is_some())
    };
    current.record.trees().map(|(name, _)| name).filter(|name| !has(name)).collect()
}

/// The return code for a package that contradicts itself.
const BROKEN: ReturnCode = ReturnCode::Integrity;

/// The plan for a level whose trees are all there, with nothing in the way.
#[cfg(test)]
pub(super) fn plan_for(slots: &Slots, manifest: LevelManifest, mode: Mode) -> Plan {
    let level = manifest.level.clone();
    let facts = Facts {
        custom: TargetCustom { state: Mode::Stable, content: manifest.content, generation: level.generation },
        complete: manifest.components.iter().filter_map(|one| one.tree).collect(),
        manifest,
        variant: Variant::default(),
        slots: slots.clone(),
        loaded: None,
        held: None,
        state: ManagedState::default(),
        reworks: Vec::new(),
        drift: Vec::new(),
        unpacked_bytes: BTreeMap::new(),
        free_bytes: u64::MAX,
        free_bytes_min: 0,
        now: Timestamp::UNIX_EPOCH,
    };
    plan(&facts, &Wish { level: &level, mode, lose: &[], force: None })
}

#[cfg(test)]
mod tests;

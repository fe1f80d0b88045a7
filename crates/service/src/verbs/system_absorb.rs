//! SYSTEM ABSORB: makes a level of what was changed on a system by hand, so that it can be tested, sent and kept.

use std::collections::HashSet;

use tender_content::Node;
use tender_package::changes::{ChangedPart, Diverged, is_same_part};
use tender_package::{
    ComponentName, FixId, LevelName, LevelRef, Message, Mode, Outcome, Severity, SystemName, Table, Vrm,
};

use super::srvlvl_localmod::next_id;
use super::srvlvl_service::join;
use super::{Context, Subject, Verb};
use crate::closure::{self, Question};
use crate::error::{Refusal, ServiceError};
use crate::level::{Level, Operation as Asked, PackageState, Work};
use crate::link::{ManagedSystem, Reading};
use crate::operation::{self, LOCALMOD};
use crate::principal::{Principal, Share};
use crate::query::lineage;
use crate::receive::Received;
use crate::shapes::{LevelContent, LocalMod, LocalModKind, LocalModState, Operation};
use crate::system::{self, changes};
use crate::tables::levels;
use crate::tables::systems::{self, SystemRow};

/// SYSTEM ABSORB vrm system component… INTO level.
#[derive(Debug, Clone)]
pub struct SystemAbsorb {
    /// The release.
    pub vrm: Vrm,
    /// The system.
    pub system: SystemName,
    /// Which components; all that differ when none is named.
    pub components: Vec<ComponentName>,
    /// The new level.
    pub into: LevelName,
}

/// What absorbing comes to.
struct Absorption {
    parent: Level,
    before: LevelContent,
    after: LevelContent,
    /// What each part or fix becomes, for people.
    rows: Vec<[String; 4]>,
    notes: Vec<Message>,
}

impl SystemAbsorb {
    fn title(&self) -> String {
        format!("{} {}", self.vrm, self.into)
    }

    /// Returns the diverged components that are meant.
    fn meant(&self, system: &SystemRow) -> Result<Vec<Diverged>, ServiceError> {
        let name = &system.record.name;
        let known = system.changes.as_ref().map_or(&[][..], |changes| &changes.diverged);
        let query = || format!("tender servmgr system query {} {name}", self.vrm);
        for component in &self.components {
            if known.iter().all(|one| one.component != *component) {
                let text = format!("component {component} of system {name} is as its level says");
                return Err(Refusal::new(252, text).hint(query()).into());
            }
        }
        let is_meant =
            |one: &&Diverged| self.components.is_empty() || self.components.contains(&one.component);
        let meant: Vec<Diverged> = known.iter().filter(is_meant).cloned().collect();
        if meant.is_empty() {
            let text = format!("system {name} is not DIVERGED, as far as is known here");
            let hint = format!("tender servmgr system servcheck {} {name} looks for changes", self.vrm);
            return Err(Refusal::new(253, text).hint(hint).into());
        }
        let faults: Vec<String> = meant
            .iter()
            .flat_map(|one| one.parts.iter().map(move |part| (one, part)))
            .filter_map(|(one, part)| {
                Some(format!("{}/{}: {}", one.component, part.path, part.fault.as_ref()?))
            })
            .collect();
        if !faults.is_empty() {
            let text =
                format!("not everything on system {name} can be part of a level: {}", faults.join(", "));
            let hint = "put these in order on the system, or absorb other components alone";
            return Err(Refusal::new(254, text).lines(faults).hint(hint).into());
        }
        Ok(meant)
    }

    fn plan(
        &self,
        principal: &Principal,
        system: &SystemRow,
        owner: &str,
    ) -> Result<Absorption, ServiceError> {
        let meant = self.meant(system)?;
        let (parent, before) = {
            let tables = principal.tables();
            if let Some(existing) = levels::find(&tables, &self.vrm, &self.into)? {
                return Err(Refusal::new(114, format!("level {} exists already", existing.title()))
                    .hint("choose another name")
                    .into());
            }
            let parent = parent_of(&tables, &self.vrm, system)?;
            let content = levels::content(&tables, &self.vrm, &parent.name)?;
            (parent, content)
        };
        parent.permits(Asked::Parent)?;
        let mut absorption =
            Absorption { parent, after: before.clone(), before, rows: Vec::new(), notes: Vec::new() };
        for one in &meant {
            let covered = self.apply_fixes(principal, one, &mut absorption)?;
            let parts: Vec<&ChangedPart> =
                one.parts.iter().filter(|part| !covered.contains(part.path.as_str())).collect();
            self.apply_parts(principal, one, &parts, owner, &mut absorption)?;
        }
        Ok(absorption)
    }

    /// Records fixes that went on by hand as fixes, when the level bears them; returns the parts they bring.
    fn apply_fixes(
        &self,
        principal: &Principal,
        one: &Diverged,
        absorption: &mut Absorption,
    ) -> Result<HashSet<String>, ServiceError> {
        let on: Vec<FixId> = absorption.after.fixes.iter().map(|fix| fix.id.clone()).collect();
        let found = changes::by_hand(principal, &self.vrm, one, &on)?;
        if found.is_empty() {
            return Ok(HashSet::new());
        }
        let want: Vec<FixId> = found.iter().map(|fix| fix.id.clone()).collect();
        let received = Received::with(principal, &self.vrm, &[])?;
        let scopes = lineage(&principal.tables(), &self.vrm, &absorption.parent.name)?;
        let components: Vec<ComponentName> =
            absorption.after.components.iter().map(|component| component.name.clone()).collect();
        let planned = closure::plan(&Question {
            received: &received.fixes,
            on: &absorption.after.fixes,
            want: &want,
            is_selected: true,
            excluded: &absorption.after.excluded,
            holds: &received.holds,
            scopes: &scopes,
            components: &components,
        });
        let names = want.iter().map(FixId::as_str).collect::<Vec<_>>().join(", ");
        let plan = match planned {
            // More than what stands on the system would be another content.
            Ok(plan)
                if plan.add.iter().all(|added| want.contains(&added.id)) && plan.goes_back.is_empty() =>
            {
                plan
            }
            other => {
                let why = match other {
                    Err(refused) => refused.refusal(&self.title()).text,
                    Ok(plan) => {
                        let more = plan.add.iter().filter(|added| !want.contains(&added.id));
                        let more: Vec<_> = more.map(|added| added.id.to_string()).collect();
                        format!("it needs {} too", more.join(", "))
                    }
                };
                let text = format!(
                    "the changes in {} look like fix {names}, which is not recorded as such: {why}",
                    one.component
                );
                absorption.notes.push(Message::csm(255, Severity::W, text));
                return Ok(HashSet::new());
            }
        };
        absorption.after.fixes = closure::apply(&plan, &absorption.after.fixes, &|id| {
            let component = received.fix(id).map(|fix| fix.component.clone());
            (component.expect("only received fixes go on"), received.envelope_of(id))
        });
        let mut covered = HashSet::new();
        for fix in found {
            covered.extend(fix.parts.iter().map(|part| part.path.to_string()));
            let count = format!("{} parts", fix.parts.len());
            absorption.rows.push([fix.component.to_string(), count, "fix".to_owned(), fix.id.to_string()]);
        }
        Ok(covered)
    }

    /// Makes local modifications of changed parts; one that takes a local modification back drops it.
    fn apply_parts(
        &self,
        principal: &Principal,
        one: &Diverged,
        parts: &[&ChangedPart],
        owner: &str,
        absorption: &mut Absorption,
    ) -> Result<(), ServiceError> {
        let after = &mut absorption.after;
        let vendor = operation::vendor_tree(principal, &self.vrm, after, &one.component)?;
        for part in parts {
            let at = after
                .mods
                .iter()
                .position(|known| known.component == one.component && known.path == part.path);
            let known = at.map(|at| after.mods.remove(at));
            let base = vendor.get(part.path.as_str()).cloned();
            let row = |what: &str, id: String| {
                [one.component.to_string(), part.path.to_string(), what.to_owned(), id]
            };
            if is_same_part(base.as_ref(), part.is.as_ref()) {
                let id = known.map_or_else(String::new, |known| known.id.to_string());
                absorption.rows.push(row("dropped", id));
                continue;
            }
            let kind = match (&base, &part.is) {
                (_, None) => LocalModKind::Delete,
                (None, Some(_)) => LocalModKind::Add,
                (Some(_), Some(_)) => LocalModKind::Replace,
            };
            let id = known.as_ref().map_or_else(|| next_id(after), |known| known.id.clone());
            absorption.rows.push(row(part.word(), id.to_string()));
            after.mods.push(LocalMod {
                id,
                component: one.component.clone(),
                path: part.path.clone(),
                kind,
                base,
                body: part.is.clone(),
                fixed_in: known.as_ref().map(|known| known.fixed_in.clone()).unwrap_or_default(),
                reason: format!("changed by hand on system {}, found {:.0}", self.system, one.since),
                owner: owner.to_owned(),
                state: LocalModState::Carried,
                rework_count: known.map_or(0, |known| known.rework_count + 1),
            });
            after.mods.sort_by(|a, b| a.id.cmp(&b.id));
        }
        Ok(())
    }

    fn describe(&self, absorption: Absorption, is_done: bool) -> Outcome {
        let verb = if is_done { "is made" } else { "would be made" };
        let mut outcome = Outcome::default();
        let title = format!("What level {} takes from system {}", self.title(), self.system);
        let mut table = Table::new(title, &["component", "part", "as", "id"]);
        let text = format!(
            "level {} {verb} on {} with {} changes of system {}; it is TEST and unlocked",
            self.title(),
            absorption.parent.name,
            absorption.rows.len(),
            self.system
        );
        outcome.data = serde_json::json!({
            "vrm": self.vrm, "level": self.into, "basedon": absorption.parent.name, "system": self.system,
            "taken": absorption.rows,
        });
        absorption.rows.into_iter().for_each(|row| table.row(row));
        outcome.tables.push(table);
        outcome.say(Message::csm(256, Severity::I, text));
        absorption.notes.into_iter().for_each(|note| outcome.say(note));
        outcome
    }

    /// Goes on with the same command when it was interrupted.
    fn interrupted(&self, principal: &Principal) -> Result<Option<(Level, Operation)>, ServiceError> {
        let tables = principal.tables();
        let open = levels::operation(&tables, &self.vrm, &self.into)?;
        let Some(open) = open.filter(|open| open.command == self.subject().operands) else { return Ok(None) };
        Ok(Some((levels::expect(&tables, &self.vrm, &self.into)?, open)))
    }

    fn begin(
        &self,
        principal: &Principal,
        context: &Context<'_>,
        absorption: &Absorption,
    ) -> Result<(Level, Operation), ServiceError> {
        let now = (context.now)();
        let parent = &absorption.parent;
        let level = Level {
            name: self.into.clone(),
            parent: Some(parent.name.clone()),
            description: format!("absorbed from {}", self.system),
            state: Mode::Test,
            is_locked: false,
            work: Work::Incomplete,
            package: PackageState::None,
            generation: 0,
            is_signed: false,
            made: now,
            changed: now,
            changed_by: context.operator.clone(),
            ..parent.clone()
        };
        let operation = Operation {
            verb: self.word().to_owned(),
            command: self.subject().operands,
            began: now,
            after: absorption.after.clone(),
            dirty: operation::changed_components(&absorption.before, &absorption.after),
            conflicts: Vec::new(),
        };
        // Written together: a level that begins with another content is there with what it shall become, or not.
        principal.transaction(|tables| {
            levels::insert(tables, &level)?;
            levels::write_content(tables, &self.vrm, &self.into, &absorption.before)?;
            levels::set_operation(tables, &self.vrm, &self.into, Some(&operation))
        })?;
        crate::fault::point(LOCALMOD.begun);
        Ok((level, operation))
    }

    /// Compares what came of it with what stands on the system, which then counts as running the level.
    fn compare(
        &self,
        principal: &Principal,
        context: &Context<'_>,
        system: &SystemRow,
        outcome: &mut Outcome,
    ) -> Result<(), ServiceError> {
        let level = levels::expect(&principal.tables(), &self.vrm, &self.into)?;
        let Some(info) = system.info.as_ref().filter(|_| level.work == Work::Idle) else { return Ok(()) };
        let there = info.changes.as_ref().and_then(|head| head.content);
        let name = &self.system;
        if there == Some(level.content) {
            systems::set_info(&principal.tables(), name, info, (context.now)())?;
            let text = format!(
                "system {name} has exactly the content of level {} and counts as running it",
                level.title()
            );
            outcome.say(Message::csm(257, Severity::I, text));
            let hint = format!(
                "tender servmgr srvlvl package {title}; srvlvl send {title} {name} (test, then (stable; system put2prod {} {name}",
                self.vrm,
                title = level.title()
            );
            outcome.say(
                Message::csm(258, Severity::I, "next: package it, test it, put it in production")
                    .with_hint(hint),
            );
        } else {
            let text = format!(
                "level {} has content {}, system {name} has {}: not everything that differs there is in the level",
                level.title(),
                level.content.short(),
                there.map_or_else(|| "no content a level can have".to_owned(), |there| there.short())
            );
            outcome.say(Message::csm(259, Severity::W, text));
        }
        Ok(())
    }
}

/// Finds the level a system runs, apart from what was changed by hand.
fn parent_of(tables: &rusqlite::Connection, vrm: &Vrm, system: &SystemRow) -> Result<Level, ServiceError> {
    let name = &system.record.name;
    let current = system.info.as_ref().and_then(|info| info.current.as_ref());
    let Some(current) = current else {
        return Err(Refusal::new(260, format!("system {name} has nothing in production"))
            .hint(format!(
                "send it a level and put that in production: tender servmgr srvlvl send {vrm} LEVEL {name}"
            ))
            .into());
    };
    let LevelRef { level, .. } = &current.level;
    if let Some(level) = levels::find(tables, vrm, level)? {
        return Ok(level);
    }
    match system::level_with_content(tables, vrm, &current.content)? {
        Some(level) => levels::expect(tables, vrm, &level),
        None => {
            let text = format!("what system {name} runs is no level of release {vrm}");
            Err(Refusal::new(261, text).hint("bring the system to a level first").into())
        }
    }
}

/// Fetches the contents of changed parts; each must be what its digest says.
fn fetch(
    principal: &Principal,
    context: &Context<'_>,
    system: &SystemRow,
    link: &mut dyn ManagedSystem,
    meant: &[Diverged],
) -> Result<(), ServiceError> {
    let parts = meant.iter().flat_map(|one| one.parts.iter().filter_map(|part| part.is.as_ref()));
    let wanted: Vec<(tender_content::Digest, u64)> = parts
        .filter_map(|node| match node {
            Node::File { digest, size, .. } => Some((*digest, *size)),
            Node::Symlink { .. } | Node::Directory => None,
        })
        .filter(|(digest, size)| !principal.store().contains_sized(digest, *size))
        .collect();
    context.progress.begin("fetching parts", wanted.iter().map(|(_, size)| size).sum());
    for (digest, size) in wanted {
        let wrap = |source| ServiceError::Link { system: system.record.name.to_string(), source };
        let bytes = link.read(Reading::Part(digest), 0).map_err(wrap)?;
        let found = principal.store().put_bytes(&bytes).map_err(ServiceError::content("keeping a part"))?;
        if found != digest {
            let text = format!("system {} gave another part than {}", system.record.name, digest.short());
            return Err(Refusal::new(262, text).hint("run SYSTEM SERVCHECK, then this again").into());
        }
        context.progress.advance(size);
    }
    context.progress.end();
    principal.sync_store()
}

impl Verb for SystemAbsorb {
    fn word(&self) -> &'static str {
        "SYSTEM ABSORB"
    }

    fn subject(&self) -> Subject {
        let components: String = self.components.iter().map(|name| format!("{name} ")).collect();
        Subject::new(&self.vrm, format!("{} {components}INTO {}", self.system, self.into))
    }

    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        let system = systems::expect(&principal.tables(), &self.vrm, &self.system)?;
        Ok(self.describe(self.plan(principal, &system, "")?, false))
    }

    fn run(&self, principal: &Principal, context: &Context<'_>) -> Result<Outcome, ServiceError> {
        let _lock = principal.lock_release(&self.vrm, Share::Exclusive, &context.operator, self.word())?;
        let system = systems::expect(&principal.tables(), &self.vrm, &self.system)?;
        let mut visit = system::visit(principal, context, &system, self.word())?;
        let (mut outcome, mut level, operation) = match self.interrupted(principal)? {
            Some((level, operation)) => (Outcome::default(), level, operation),
            None => {
                let meant = self.meant(&visit.system)?;
                let absorption = self.plan(principal, &visit.system, &context.operator)?;
                fetch(principal, context, &visit.system, visit.link.as_mut(), &meant)?;
                let (level, operation) = self.begin(principal, context, &absorption)?;
                (self.describe(absorption, true), level, operation)
            }
        };
        let rest = operation::carry_on(principal, context, &mut level, operation, LOCALMOD)?;
        outcome = join(outcome, rest);
        self.compare(principal, context, &visit.system, &mut outcome)?;
        Ok(outcome)
    }
}

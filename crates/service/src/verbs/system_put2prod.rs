//! SYSTEM PUT2PROD: puts the stable level that is loaded into production.

use tender_package::manifest::{ActionItem, LevelRef};
use tender_package::report::SlotInfo;
use tender_package::request::{Request, Verb as Asked};
use tender_package::{FixId, LevelName, Message, Mode, Outcome, ReturnCode, Severity, Table, Vrm};

use super::{Context, Subject, Verb};
use crate::error::{Refusal, ServiceError};
use crate::link::ManagedSystem;
use crate::principal::Principal;
use crate::query;
use crate::shapes::{LevelContent, PairState, SystemRecord};
use crate::system::{self, SystemContent, Target};
use crate::tables::systems::{self, DeploymentStep, SystemRow};
use crate::tables::{fixes, levels, packages, requests};

/// SYSTEM PUT2PROD vrm target.
#[derive(Debug, Clone)]
pub struct SystemPut2prod {
    /// The release.
    pub vrm: Vrm,
    /// Which systems.
    pub target: Target,
    /// When given, what must be loaded.
    pub expect: Option<(LevelName, Option<u32>)>,
    /// Fixes whose action items were done and memos read; `ALL` for every one.
    pub acknowledge: Vec<FixId>,
    /// Go on although parts drifted, with the reason.
    pub force: Option<String>,
    /// How many systems at once; one when absent, so that a bad level stops early.
    pub parallel_max: Option<usize>,
}

/// What people must read or do.
#[derive(Debug, Default)]
struct Actions {
    /// What nobody acknowledged.
    open: Vec<ActionItem>,
    /// What is acknowledged by this command.
    given: Vec<FixId>,
    /// What needs nobody any more: acknowledged, now or before, or in production already.
    settled: Vec<FixId>,
    /// What was gone past with a reason.
    warnings: Vec<Message>,
}

impl SystemPut2prod {
    fn loaded(&self, system: &SystemRow) -> Result<LevelRef, Refusal> {
        let name = &system.record.name;
        let slot = system.info.as_ref().and_then(|info| info.test.as_ref());
        let Some(slot) = slot.filter(|slot| slot.level.vrm == self.vrm) else {
            return Err(Refusal::new(186, format!("nothing is loaded on system {name}"))
                .hint(format!("tender servmgr srvlvl send {} LEVEL {name} --stable", self.vrm)));
        };
        if slot.mode != Mode::Stable {
            let text = format!("{} is loaded on system {name} for a test only", slot.level);
            return Err(Refusal::new(187, text).hint(format!(
                "tender servmgr srvlvl send {} {} {name} --stable",
                self.vrm, slot.level.level
            )));
        }
        if let Some((level, generation)) = &self.expect
            && (*level != slot.level.level || generation.is_some_and(|one| one != slot.level.generation))
        {
            let text = format!("{} is loaded on system {name}, not {level}", slot.level);
            return Err(Refusal::new(188, text)
                .hint(format!("tender servmgr srvlvl send {} {level} {name} --stable", self.vrm)));
        }
        Ok(slot.level.clone())
    }

    /// Sorts out what people must read or do before the level goes into production: what its package says, and what
    /// holds and memos say now.
    fn actions(
        &self,
        principal: &Principal,
        system: &SystemRow,
        level: &LevelRef,
        content: &LevelContent,
    ) -> Result<Actions, ServiceError> {
        let tables = principal.tables();
        let package = packages::find(&tables, &self.vrm, &level.level, level.generation)?;
        let mut items = package.map(|package| package.manifest.actions).unwrap_or_default();
        items.extend(query::actions_of(&tables, &self.vrm, content)?);
        items.sort();
        items.dedup();
        let is_all = self.acknowledge.iter().any(|fix| fix.as_str() == "ALL");
        let given = self.acknowledge.iter().filter(|fix| fix.as_str() != "ALL");
        let all = items.iter().map(|item| &item.fix).filter(|_| is_all);
        let mut actions = Actions { given: given.chain(all).cloned().collect(), ..Actions::default() };
        let known = systems::acknowledged(&tables, &system.record.name)?;
        let running = match &system.info {
            Some(info) => SystemContent::of_system(&tables, &self.vrm, info, system.prod.as_ref())?,
            None => SystemContent::default(),
        };
        actions.settled = known;
        for item in items {
            let of_envelope = fixes::of_envelope(&tables, &self.vrm, item.fix.as_str())?;
            // What came into production before was asked for then.
            let is_there = running.fixes.contains(&item.fix)
                || of_envelope.iter().any(|fix| running.fixes.contains(fix));
            if is_there {
                actions.settled.push(item.fix);
            } else if !actions.given.contains(&item.fix) && !actions.settled.contains(&item.fix) {
                actions.open.push(item);
            }
        }
        actions.settled.extend(actions.given.iter().cloned());
        for list in [&mut actions.given, &mut actions.settled] {
            list.sort();
            list.dedup();
        }
        Ok(actions)
    }

    fn plan(&self, principal: &Principal, system: &SystemRow) -> Result<(LevelRef, Actions), ServiceError> {
        let reference = self.loaded(system)?;
        let (level, content) = {
            let tables = principal.tables();
            let level = levels::expect(&tables, &self.vrm, &reference.level)?;
            let content = levels::content(&tables, &self.vrm, &reference.level)?;
            (level, content)
        };
        if level.state != Mode::Stable {
            let text = format!("level {} is {}, not STABLE", level.title(), level.state_word());
            let hint = format!("tender servmgr system unload {} {}", self.vrm, system.record.name);
            return Err(Refusal::new(189, text).hint(hint).into());
        }
        query::refuse_holds(principal, &level, &content, Some(&system.record.name))?;
        let mut actions = self.actions(principal, system, &reference, &content)?;
        actions.warnings = self.refuse_fleet(principal, system, &reference, &content)?;
        if actions.open.is_empty() {
            return Ok((reference, actions));
        }
        let open = actions.open;
        let name = &system.record.name;
        let lines: Vec<_> =
            open.iter().map(|item| format!("{} {}: {}", item.fix, item.reason, item.text)).collect();
        let mut fixes: Vec<_> = open.iter().map(|item| format!("--acknowledge {}", item.fix)).collect();
        fixes.dedup();
        let text = format!(
            "{reference} asks for this to be read and done before it goes into production on system {name}: {}",
            lines.join("; ")
        );
        Err(Refusal::new(190, text)
            .lines(lines)
            .hint(format!("then: tender servmgr system put2prod {} {name} {}", self.vrm, fixes.join(" ")))
            .into())
    }

    /// Refuses a level whose fixes need others in production on other systems first; with a reason it only warns.
    fn refuse_fleet(
        &self,
        principal: &Principal,
        system: &SystemRow,
        level: &LevelRef,
        content: &LevelContent,
    ) -> Result<Vec<Message>, ServiceError> {
        let tables = principal.tables();
        let name = &system.record.name;
        let running = match &system.info {
            Some(info) => SystemContent::of_system(&tables, &self.vrm, info, system.prod.as_ref())?,
            None => SystemContent::default(),
        };
        let new = content.fixes.iter().filter(|fix| fix.superseded_by.is_none()).map(|fix| fix.id.clone());
        let new = new.filter(|fix| !running.fixes.contains(fix)).collect();
        let open = query::fleet_requisites(&tables, &self.vrm, name, &new)?;
        if open.is_empty() {
            return Ok(Vec::new());
        }
        if self.force.is_some() {
            return Ok(open.into_iter().map(|text| Message::csm(285, Severity::W, text)).collect());
        }
        let text = format!("{level} cannot go into production on system {name} yet: {}", open.join("; "));
        let hint = "put the other systems on a level with the fix first, or give --force REASON";
        Err(Refusal::new(285, text).lines(open).hint(hint).into())
    }

    fn put(
        &self,
        principal: &Principal,
        context: &Context<'_>,
        system: &SystemRow,
    ) -> Result<Outcome, ServiceError> {
        let record = &system.record;
        let mut visit = system::visit(principal, context, system, self.word())?;
        let open = requests::open(&principal.tables(), &record.name, "PUT2PROD")?;
        if let Some(Request { verb: Asked::Put2prod { expect: Some(level), acknowledged, force }, .. }) = open
        {
            // An interrupted run asked already: what it asked for is brought to its end.
            return self.ask(principal, context, record, visit.link.as_mut(), level, acknowledged, force);
        }
        visit.system.prod = systems::find(&principal.tables(), &record.name)?.and_then(|row| row.prod);
        if let Some(done) = self.already(principal, context, &visit.system)? {
            return Ok(done);
        }
        let (level, actions) = self.plan(principal, &visit.system)?;
        let now = (context.now)();
        principal.transaction(|tables| {
            systems::acknowledge(tables, &record.name, &actions.given, &context.operator, now)
        })?;
        set_step(principal, context, record, &level, PairState::Promoting, None)?;
        let link = visit.link.as_mut();
        let force = self.force.clone();
        let mut outcome = self.ask(principal, context, record, link, level, actions.settled, force)?;
        actions.warnings.into_iter().for_each(|warning| outcome.say(warning));
        Ok(outcome)
    }

    #[expect(clippy::too_many_arguments, reason = "the last three are the request")]
    fn ask(
        &self,
        principal: &Principal,
        context: &Context<'_>,
        record: &SystemRecord,
        link: &mut dyn ManagedSystem,
        level: LevelRef,
        acknowledged: Vec<FixId>,
        force: Option<String>,
    ) -> Result<Outcome, ServiceError> {
        let step = |state, level: &LevelRef, code| set_step(principal, context, record, level, state, code);
        let verb = Asked::Put2prod { expect: Some(level.clone()), acknowledged, force };
        let points = Some(("put2prod.requested", "put2prod.ended"));
        let result = match system::ask(principal, context, record, link, verb, points) {
            Ok(result) => result,
            Err(error) => {
                step(PairState::PromoteFailed, &level, Some(error.code()))?;
                return Err(error);
            }
        };
        let code = result.outcome.code;
        let mut outcome = result.outcome;
        if code <= ReturnCode::Warning {
            step(PairState::Prod, &level, Some(code))?;
            systems::follow_production(&principal.tables(), &record.name, (context.now)())?;
            if let Some(previous) = &result.info.previous {
                step(PairState::Previous, &previous.level, None)?;
            }
            outcome.say(Message::csm(191, Severity::I, format!("{level} is in production")));
        } else {
            step(PairState::PromoteFailed, &level, Some(code))?;
        }
        Ok(outcome)
    }

    /// Recognises a system where this very level is in production since an interrupted run.
    fn already(
        &self,
        principal: &Principal,
        context: &Context<'_>,
        system: &SystemRow,
    ) -> Result<Option<Outcome>, ServiceError> {
        let Some(info) = &system.info else { return Ok(None) };
        let (None, Some(current)) = (&info.test, &info.current) else { return Ok(None) };
        if !is_promoting(principal, &system.record, &current.level)? {
            return Ok(self.nothing_to_do(current));
        }
        set_step(
            principal,
            context,
            &system.record,
            &current.level,
            PairState::Prod,
            Some(ReturnCode::Done),
        )?;
        systems::follow_production(&principal.tables(), &system.record.name, (context.now)())?;
        let mut outcome = Outcome::default();
        outcome.say(Message::csm(191, Severity::I, format!("{} is in production", current.level)));
        Ok(Some(outcome))
    }
}

impl SystemPut2prod {
    /// Recognises a system of a group that an earlier run served already: nothing waits, and a stable level runs.
    fn nothing_to_do(&self, current: &SlotInfo) -> Option<Outcome> {
        let is_expected = self.expect.as_ref().is_none_or(|(level, generation)| {
            *level == current.level.level && generation.is_none_or(|one| one == current.level.generation)
        });
        if current.mode != Mode::Stable || current.level.generation == 0 || !is_expected {
            return None;
        }
        let mut outcome = Outcome::default();
        let text = format!("{} is in production already, and nothing waits in slot test", current.level);
        outcome.say(Message::csm(185, Severity::W, text));
        Some(outcome)
    }
}

/// Tells whether a verb that was interrupted was about to make this level current on the system.
pub(super) fn is_promoting(
    principal: &Principal,
    record: &SystemRecord,
    level: &LevelRef,
) -> Result<bool, ServiceError> {
    let steps = systems::deployments(&principal.tables(), &level.vrm, Some(&level.level))?;
    Ok(steps.iter().any(|row| {
        row.system == record.name
            && row.state == PairState::Promoting.word()
            && row.generation == level.generation
    }))
}

/// Records how far a level is with a system.
pub(super) fn set_step(
    principal: &Principal,
    context: &Context<'_>,
    record: &SystemRecord,
    level: &LevelRef,
    state: PairState,
    code: Option<ReturnCode>,
) -> Result<(), ServiceError> {
    systems::set_deployment(
        &principal.tables(),
        &DeploymentStep {
            system: &record.name,
            vrm: &level.vrm,
            level: &level.level,
            generation: level.generation,
            state,
            request: None,
            code,
            now: (context.now)(),
        },
    )
}

impl Verb for SystemPut2prod {
    fn word(&self) -> &'static str {
        "SYSTEM PUT2PROD"
    }

    fn subject(&self) -> Subject {
        let mut words = vec![self.target.to_string()];
        if let Some((level, generation)) = &self.expect {
            words.push(format!("{level}"));
            if let Some(generation) = generation {
                words.push(format!("{generation}"));
            }
        }
        for fix in &self.acknowledge {
            words.push(format!("ACKNOWLEDGE {fix}"));
        }
        if let Some(reason) = &self.force {
            words.push(format!("FORCE {reason}"));
        }
        Subject::new(&self.vrm, words.join(" "))
    }

    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        let targets = system::expand(&principal.tables(), &self.vrm, &self.target)?;
        let results = system::each(&targets, 1, &|system| {
            system::refuse_unadded(system)?;
            let (level, _) = self.plan(principal, system)?;
            let mut outcome = Outcome::default();
            let replaced = system.info.as_ref().and_then(|info| info.current.as_ref());
            let replaced = replaced.map_or_else(|| "nothing".to_owned(), |slot| slot.level.to_string());
            let text = format!("{level} would go into production in place of {replaced}");
            outcome.say(Message::csm(192, Severity::I, text));
            Ok(outcome)
        });
        Ok(system::gather(format!("PUT2PROD {} {} (CHECK", self.vrm, self.target), results))
    }

    fn run(&self, principal: &Principal, context: &Context<'_>) -> Result<Outcome, ServiceError> {
        let targets = system::expand(&principal.tables(), &self.vrm, &self.target)?;
        let parallel = self.parallel_max.unwrap_or(1);
        let results = system::each(&targets, parallel, &|system| self.put(principal, context, system));
        let mut outcome = system::gather(format!("PUT2PROD {} {}", self.vrm, self.target), results);
        if targets.is_empty() {
            outcome.tables.push(Table::new("no system", &["system"]));
            outcome.say(Message::csm(161, Severity::W, format!("release {} has no systems", self.vrm)));
        }
        Ok(outcome)
    }
}

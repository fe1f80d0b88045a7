//! SRVLVL SEND: sends a package to systems and has it loaded, for a test or for production.

use tender_package::manifest::LevelRef;
use tender_package::request::Verb as Asked;
use tender_package::{
    FixId, LevelManifest, LevelName, Message, Mode, Outcome, ReturnCode, Severity, SystemName, Vrm,
};

use super::srvlvl_package::{SrvlvlPackage, make, with_repository};
use super::{Context, Subject, Verb, srvlvl_promote};
use crate::error::{Refusal, ServiceError};
use crate::fault;
use crate::level::{Level, Operation, PackageState};
use crate::link::{LinkError, RepoFile};
use crate::package_plan;
use crate::principal::{Principal, Share};
use crate::query;
use crate::shapes::{LevelContent, PairState};
use crate::system::{self, SystemContent, Target};
use crate::tables::systems::{self, DeploymentStep, SystemRow};
use crate::tables::{levels, packages, releases, settings, test_runs};

/// SRVLVL SEND vrm level target (TEST|STABLE.
#[derive(Debug, Clone)]
pub struct SrvlvlSend {
    /// The release.
    pub vrm: Vrm,
    /// The level.
    pub level: LevelName,
    /// To which systems.
    pub target: Target,
    /// Whether it may go into production afterwards; promotes the level when it is TEST.
    pub is_stable: bool,
    /// Fixes and local modifications on the systems that may get lost.
    pub lose: Vec<FixId>,
    /// Make a new package first when the content changed since the last.
    pub is_repacked: bool,
    /// Memory to stay within when a new package is made.
    pub memory_bytes_max: Option<u64>,
    /// Go on past drift, overrides and a missing test, with the reason.
    pub force: Option<String>,
    /// How many systems at once; the setting when absent.
    pub parallel_max: Option<usize>,
}

/// What goes to every system.
struct Load {
    level: Level,
    manifest: LevelManifest,
    files: Vec<RepoFile>,
}

impl SrvlvlSend {
    fn mode(&self) -> Mode {
        if self.is_stable { Mode::Stable } else { Mode::Test }
    }

    fn mode_word(&self) -> &'static str {
        if self.is_stable { "STABLE" } else { "TEST" }
    }

    /// Tells whether a package is made first: on demand for BASE, which never changes, and when it was asked for.
    fn makes_package(&self, level: &Level) -> bool {
        let is_asked = level.name.is_base() || (self.is_repacked && level.state == Mode::Test);
        is_asked && level.package != PackageState::Current
    }

    fn reference(&self, level: &Level) -> LevelRef {
        LevelRef { vrm: self.vrm.clone(), level: self.level.clone(), generation: level.generation }
    }

    fn plan(&self, principal: &Principal) -> Result<(Level, Vec<SystemRow>), ServiceError> {
        let (level, content, targets) = {
            let tables = principal.tables();
            let level = levels::expect(&tables, &self.vrm, &self.level)?;
            let content = levels::content(&tables, &self.vrm, &self.level)?;
            (level, content, system::expand(&tables, &self.vrm, &self.target)?)
        };
        let mut packaged = level.clone();
        if self.makes_package(&level) {
            packaged.package = PackageState::Current;
        }
        packaged.permits(if self.is_stable { Operation::SendStable } else { Operation::SendTest })?;
        query::refuse_embargo(principal, &level, &content)?;
        self.refuse_holds(principal, &level, &content, &targets)?;
        if targets.is_empty() {
            return Err(Refusal::new(161, format!("release {} has no systems", self.vrm))
                .hint(format!("tender servmgr system add {} …", self.vrm))
                .into());
        }
        Ok((level, targets))
    }

    /// Refuses a level that may go to none of the systems; one it may not go to is refused alone.
    fn refuse_holds(
        &self,
        principal: &Principal,
        level: &Level,
        content: &LevelContent,
        targets: &[SystemRow],
    ) -> Result<(), ServiceError> {
        let names: Vec<&SystemName> = targets.iter().map(|system| &system.record.name).collect();
        let may_go = |name: &&SystemName| query::refuse_holds(principal, level, content, Some(name)).is_ok();
        if names.iter().any(may_go) {
            return Ok(());
        }
        query::refuse_holds(principal, level, content, names.first().copied())
    }

    /// Makes the level ready to be sent: packaged, promoted, its signatures fresh.
    fn prepare(
        &self,
        principal: &Principal,
        context: &Context<'_>,
        outcome: &mut Outcome,
    ) -> Result<(), ServiceError> {
        let level = levels::expect(&principal.tables(), &self.vrm, &self.level)?;
        if self.makes_package(&level) {
            let memory_bytes_max = self.memory_bytes_max;
            let package =
                SrvlvlPackage { vrm: self.vrm.clone(), level: self.level.clone(), memory_bytes_max };
            outcome.messages.extend(make(&package, principal, context)?.messages);
        }
        if self.is_stable {
            let force = self.force.as_deref();
            if srvlvl_promote::promote(principal, context, &self.vrm, &self.level, force)? {
                let text = format!("level {} {} is now STABLE and locked", self.vrm, self.level);
                outcome.say(Message::csm(155, Severity::I, text));
            }
        }
        let now = (context.now)();
        if query::signatures_are_old(principal, &self.vrm, now)? {
            with_repository(principal, &self.vrm, |repository| repository.refresh(now))?;
        }
        Ok(())
    }

    fn load(&self, principal: &Principal) -> Result<Load, ServiceError> {
        let level = levels::expect(&principal.tables(), &self.vrm, &self.level)?;
        level.permits(if self.is_stable { Operation::SendStable } else { Operation::SendTest })?;
        let package = packages::find(&principal.tables(), &self.vrm, &self.level, level.generation)?
            .ok_or_else(|| {
                Refusal::new(107, format!("level {} has no package yet", level.title()))
                    .hint(format!("tender servmgr srvlvl package {}", level.title()))
            })?;
        let names = package_plan::targets(&package.manifest);
        let files = with_repository(principal, &self.vrm, |repository| repository.files_for(&names))?;
        let files = files.into_iter().map(RepoFile::from).collect();
        Ok(Load { level, manifest: package.manifest, files })
    }

    /// Refuses what the system itself would refuse later, before any byte travels.
    fn guard(
        &self,
        principal: &Principal,
        load: &Load,
        system: &SystemRow,
        info: &tender_package::report::SystemInfo,
    ) -> Result<(), ServiceError> {
        let name = &system.record.name;
        system::check_info(&system.record, info)?;
        let content = levels::content(&principal.tables(), &self.vrm, &self.level)?;
        query::refuse_holds(principal, &load.level, &content, Some(name))?;
        if load.level.variant != system.record.variant {
            let text = format!(
                "level {} has variant {}, system {name} has {}",
                load.level.title(),
                load.level.variant,
                system.record.variant
            );
            return Err(Refusal::new(162, text)
                .hint(format!("send a level of variant {}", system.record.variant))
                .into());
        }
        let is_based = load.manifest.components.iter().any(|component| component.base_tree.is_some());
        if is_based && info.bases.iter().all(|base| base.vrm != self.vrm) {
            let text = format!("system {name} does not have the BASE of release {}", self.vrm);
            return Err(Refusal::new(229, text)
                .hint(format!(
                    "run `tender agent base {} --from DIR` there, with the install media, or `tender servmgr srvlvl send {} BASE {name}` here",
                    self.vrm, self.vrm
                ))
                .into());
        }
        let release = releases::expect(&principal.tables(), &self.vrm)?;
        if let Some(other) = info.bases.iter().find(|base| base.vrm == self.vrm && base.base != release.base)
        {
            let text = format!(
                "system {name} has another BASE of release {}: {} instead of {}",
                self.vrm,
                other.base.short(),
                release.base.short()
            );
            return Err(Refusal::new(163, text).hint("both must come from the same install media").into());
        }
        if !info.overrides.is_empty() && self.force.is_none() {
            let names: Vec<_> = info.overrides.iter().map(|one| one.component.to_string()).collect();
            let text = format!("components of system {name} are out of management: {}", names.join(", "));
            return Err(Refusal::new(164, text)
                .hint("run `tender servmgr managed on` there, or give --force REASON")
                .into());
        }
        system::changes::refuse_reworks(principal, system, &load.manifest)?;
        let now = SystemContent::of_system(&principal.tables(), &self.vrm, info, system.prod.as_ref())?;
        let lost = system::losses(&now, &SystemContent::from(&load.manifest), &self.lose);
        if !lost.is_empty() {
            let words: Vec<_> = lost.iter().map(system::Loss::words).collect();
            let ids: Vec<_> = lost.iter().map(|loss| format!("--lose {}", loss.id())).collect();
            let text = format!("system {name} would lose {}", words.join(", "));
            return Err(Refusal::new(165, text)
                .hint(format!("service the level with them, or say {}", ids.join(" ")))
                .into());
        }
        if self.force.is_none() {
            system::changes::refuse_losses(principal, system, &load.manifest)?;
        }
        Ok(())
    }

    /// Says for each system, as last seen, what would keep the level off it, and how much would be sent at most.
    fn verdicts(
        &self,
        principal: &Principal,
        level: Level,
        targets: &[SystemRow],
        outcome: &mut Outcome,
    ) -> Result<(), ServiceError> {
        let package = packages::find(&principal.tables(), &self.vrm, &self.level, level.generation)?;
        let Some(package) = package else { return Ok(()) };
        let count = package_plan::targets(&package.manifest).len();
        let text = format!("at most {count} files with {} bytes would be sent to each system", package.bytes);
        outcome.say(Message::csm(233, Severity::I, text));
        let load = Load { level, manifest: package.manifest, files: Vec::new() };
        for system in targets {
            let name = &system.record.name;
            if let Err(refusal) = system::refuse_unadded(system) {
                outcome.say(crate::ServiceError::from(refusal).message());
                outcome.code = outcome.code.max(ReturnCode::Refused);
                continue;
            }
            let Some(info) = &system.info else {
                let text = format!("system {name} was never reached");
                outcome.say(Message::csm(234, Severity::W, text));
                continue;
            };
            match self.guard(principal, &load, system, info) {
                // What would be lost is in the table and said already.
                Err(ServiceError::Refused(refusal)) if refusal.number != 165 => {
                    let message = Message::csm(refusal.number, Severity::W, refusal.text);
                    outcome.say(match refusal.hint {
                        Some(hint) => message.with_hint(hint),
                        None => message,
                    });
                }
                Ok(()) | Err(ServiceError::Refused(_)) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }

    fn send_one(
        &self,
        principal: &Principal,
        context: &Context<'_>,
        load: &Load,
        system: &SystemRow,
    ) -> Result<Outcome, ServiceError> {
        let name = &system.record.name;
        system::refuse_unadded(system)?;
        let _lock = principal.lock_system(name, &context.operator, self.word())?;
        let step = |state, code| self.step(principal, context, load, system, state, code);
        step(PairState::Sending, None)?;
        fault::point("send.begun");
        let result = self.send_and_load(principal, context, load, system);
        match result {
            Ok(Sent { outcome, is_current, is_tested }) => {
                let state = match (outcome.code <= ReturnCode::Warning, self.is_stable) {
                    _ if is_current => PairState::Prod,
                    (true, true) => PairState::LoadedStable,
                    (true, false) => PairState::LoadedTest,
                    (false, _) => PairState::LoadFailed,
                };
                step(state, Some(outcome.code))?;
                if outcome.code <= ReturnCode::Warning && is_tested {
                    let generation = load.level.generation;
                    packages::set_tested(&principal.tables(), &self.vrm, &self.level, generation)?;
                }
                fault::point("send.ended");
                Ok(outcome)
            }
            Err(error) => {
                let state = match &error {
                    _ if self.is_in_production(principal, load, name)? => PairState::Prod,
                    ServiceError::Refused(_) => PairState::Rejected,
                    ServiceError::Link { source: LinkError::Refused { .. }, .. } => PairState::Rejected,
                    _ => PairState::SendFailed,
                };
                step(state, Some(error.code()))?;
                let now = (context.now)();
                systems::set_last(&principal.tables(), name, "SEND", error.code(), now)?;
                Err(error)
            }
        }
    }

    /// Tells whether a system, as last seen, has this very package in production.
    fn is_in_production(
        &self,
        principal: &Principal,
        load: &Load,
        name: &SystemName,
    ) -> Result<bool, ServiceError> {
        let row = systems::find(&principal.tables(), name)?;
        let current = row.and_then(|row| row.info).and_then(|info| info.current);
        Ok(current.is_some_and(|slot| slot.level == self.reference(&load.level)))
    }

    fn step(
        &self,
        principal: &Principal,
        context: &Context<'_>,
        load: &Load,
        system: &SystemRow,
        state: PairState,
        code: Option<ReturnCode>,
    ) -> Result<(), ServiceError> {
        systems::set_deployment(
            &principal.tables(),
            &DeploymentStep {
                system: &system.record.name,
                vrm: &self.vrm,
                level: &self.level,
                generation: load.level.generation,
                state,
                request: None,
                code,
                now: (context.now)(),
            },
        )
    }

    fn send_and_load(
        &self,
        principal: &Principal,
        context: &Context<'_>,
        load: &Load,
        system: &SystemRow,
    ) -> Result<Sent, ServiceError> {
        let record = &system.record;
        let wrap = |source| ServiceError::Link { system: record.name.to_string(), source };
        let mut link = context.fleet.connect(&system::address(record)).map_err(wrap)?;
        let info = link.info().map_err(wrap)?;
        system::contact::note(principal, context, record, link.as_mut(), &info)?;
        let known = systems::find(&principal.tables(), &record.name)?;
        let system = known.as_ref().unwrap_or(system);
        self.guard(principal, load, system, &info)?;
        let missing = link.missing(&self.vrm, &load.files).map_err(wrap)?;
        let repo = principal.repo_dir(&self.vrm);
        let sent = link.upload(&self.vrm, &repo, &missing, context.progress).map_err(wrap)?;
        fault::point("send.uploaded");
        self.step(principal, context, load, system, PairState::Received, None)?;
        let verb = Asked::Load {
            level: self.reference(&load.level),
            mode: self.mode(),
            lose: self.lose.clone(),
            force: self.force.clone(),
            brings: system::changes::brought(principal, system, &load.manifest)?,
        };
        self.step(principal, context, load, system, PairState::Loading, None)?;
        let points = Some(("send.requested", "send.ended"));
        let result = system::ask(principal, context, record, link.as_mut(), verb, points)?;
        if let Some(run) = &result.test_run {
            test_runs::set(&principal.tables(), &record.name, run)?;
        }
        let is_tested = result.test_run.as_ref().is_none_or(|run| run.is_ready);
        let mut outcome = result.outcome;
        let reference = self.reference(&load.level);
        let is_current = result.info.current.as_ref().is_some_and(|slot| slot.level == reference);
        if outcome.code <= ReturnCode::Warning {
            let text = match is_current {
                true => format!("{reference} is in production already; {sent} bytes were sent"),
                false => format!(
                    "{reference} is loaded as {} in slot test; {sent} bytes were sent",
                    self.mode_word()
                ),
            };
            outcome.say(Message::csm(167, Severity::I, text));
        }
        outcome.data = serde_json::json!({
            "sent_bytes": sent, "mode": self.mode_word(), "is_in_production": is_current, "result": outcome.data,
            "test_run": result.test_run,
        });
        Ok(Sent { outcome, is_current, is_tested })
    }
}

/// What came of one system.
struct Sent {
    outcome: Outcome,
    /// The level is in production there.
    is_current: bool,
    /// No test instance failed.
    is_tested: bool,
}

impl Verb for SrvlvlSend {
    fn word(&self) -> &'static str {
        "SRVLVL SEND"
    }

    fn subject(&self) -> Subject {
        let mut words = vec![format!("{} {} ({}", self.level, self.target, self.mode_word())];
        for fix in &self.lose {
            words.push(format!("LOSE {fix}"));
        }
        if let Some(reason) = &self.force {
            words.push(format!("FORCE {reason}"));
        }
        Subject::new(&self.vrm, words.join(" "))
    }

    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        let (level, targets) = self.plan(principal)?;
        if self.is_stable && !self.makes_package(&level) {
            drop(srvlvl_promote::plan(principal, &self.vrm, &self.level, self.force.as_deref())?);
        }
        let mut outcome = query::send_preview(principal, &level, &targets, self.mode_word(), &self.lose)?;
        self.verdicts(principal, level, &targets, &mut outcome)?;
        Ok(outcome)
    }

    fn run(&self, principal: &Principal, context: &Context<'_>) -> Result<Outcome, ServiceError> {
        let (_, targets) = self.plan(principal)?;
        let mut before = Outcome::default();
        {
            let _lock =
                principal.lock_release(&self.vrm, Share::Exclusive, &context.operator, self.word())?;
            self.prepare(principal, context, &mut before)?;
        }
        // Others may send too, but nobody may change or package a level meanwhile.
        let _lock = principal.lock_release(&self.vrm, Share::Shared, &context.operator, self.word())?;
        let load = self.load(principal)?;
        let parallel = match self.parallel_max {
            Some(parallel) => parallel,
            None => settings::read(&principal.tables(), settings::PARALLEL_MAX)? as usize,
        };
        let results =
            system::each(&targets, parallel, &|system| self.send_one(principal, context, &load, system));
        let title = format!("SEND {} ({}", self.reference(&load.level), self.mode_word());
        Ok(super::srvlvl_service::join(before, system::gather(title, results)))
    }
}

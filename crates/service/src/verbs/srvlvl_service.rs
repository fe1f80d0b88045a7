//! SRVLVL SERVICE: receive, apply and build envelopes in a level.

use std::path::PathBuf;

use tender_package::{ComponentName, FixId, LevelName, Message, Outcome, Severity, Table, Vrm};

use super::{Context, Subject, Verb};
use crate::closure::{self, LeftOutWhy, Plan, Question, Why};
use crate::error::{Refusal, ServiceError};
use crate::fault;
use crate::level::{Level, Operation as Asked};
use crate::operation::{self, SERVICE};
use crate::principal::{Principal, Share};
use crate::query::{self, lineage};
use crate::receive::{self, Named, Received};
use crate::shapes::{LevelContent, Operation};
use crate::tables::levels;

/// What SERVICE is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServiceFunction {
    /// Receive, apply and build.
    #[default]
    Install,
    /// Go on with what stopped.
    Restart,
    /// Give up what stopped.
    Abandon,
    /// Build what is not built.
    Build,
    /// Show what is on, held and not built.
    Status,
}

/// SRVLVL SERVICE vrm level ALL|component envelope….
#[derive(Debug, Clone)]
pub struct SrvlvlService {
    /// The release.
    pub vrm: Vrm,
    /// The level.
    pub level: LevelName,
    /// One component; all when absent.
    pub component: Option<ComponentName>,
    /// Envelopes: files, or names of envelopes received before.
    pub envelopes: Vec<PathBuf>,
    /// Only these fixes and what they need.
    pub select: Vec<FixId>,
    /// Fixes to leave out, now and later.
    pub exclude: Vec<FixId>,
    /// Fixes to leave out no longer; they go on when they were received.
    pub include: Vec<FixId>,
    /// What to do.
    pub function: ServiceFunction,
    /// Put all components together again, changed or not.
    pub redo: bool,
}

/// What an installation comes to.
struct Install {
    plan: Plan,
    after: LevelContent,
    dirty: Vec<ComponentName>,
}

impl SrvlvlService {
    fn title(&self) -> String {
        format!("{} {}", self.vrm, self.level)
    }

    fn find_envelopes(&self, principal: &Principal) -> Result<Vec<Named>, ServiceError> {
        if self.envelopes.is_empty() && !(self.select.is_empty() && self.include.is_empty()) {
            return Ok(Vec::new());
        }
        receive::find_all(principal, &self.vrm, &self.envelopes)
    }

    fn wanted(&self, named: &[Named], received: &Received) -> Vec<FixId> {
        if !self.select.is_empty() {
            return self.select.clone();
        }
        let mut want: Vec<FixId> = named.iter().flat_map(Named::fix_ids).collect();
        if let Some(component) = &self.component {
            want.retain(|id| received.fix(id).is_some_and(|fix| fix.component == *component));
        }
        want.extend(self.include.iter().filter(|id| received.fix(id).is_some()).cloned());
        want
    }

    /// Refuses to exclude what is on: it would stay on, whatever the level says of its excludes.
    fn refuse_excluded_on(&self, before: &LevelContent) -> Result<(), Refusal> {
        let on = before.fixes.iter().filter(|fix| self.exclude.contains(&fix.id));
        let names: Vec<&str> = on.map(|fix| fix.id.as_str()).collect();
        if names.is_empty() {
            return Ok(());
        }
        let text = format!(
            "{} is on level {} already, and EXCLUDE keeps off only what is not",
            names.join(", "),
            self.title()
        );
        let hint = format!(
            "for a level without it: tender servmgr srvlvl add {} NEWLEVEL basedon BASE, or an earlier level, and service that with --exclude {}",
            self.vrm,
            names.join(" --exclude ")
        );
        Err(Refusal::new(235, text).hint(hint))
    }

    fn plan(&self, principal: &Principal, named: &[Named]) -> Result<Install, ServiceError> {
        let received = Received::with(principal, &self.vrm, named)?;
        let want = self.wanted(named, &received);
        let (before, scopes) = {
            let tables = principal.tables();
            let level = levels::expect(&tables, &self.vrm, &self.level)?;
            level.permits(Asked::Change)?;
            let before = levels::content(&tables, &self.vrm, &self.level)?;
            (before, lineage(&tables, &self.vrm, &self.level)?)
        };
        if let Some(component) = &self.component
            && before.components.iter().all(|known| known.name != *component)
        {
            return Err(ServiceError::Unknown {
                kind: "component",
                name: component.to_string(),
                hint: format!("list them with `tender servmgr srvlvl query {}`", self.title()),
            });
        }
        self.refuse_excluded_on(&before)?;
        let mut excluded = before.excluded.clone();
        excluded.extend(self.exclude.iter().cloned());
        excluded.retain(|fix| !self.select.contains(fix) && !self.include.contains(fix));
        excluded.sort();
        excluded.dedup();
        let components: Vec<_> = before.components.iter().map(|component| component.name.clone()).collect();
        let question = Question {
            received: &received.fixes,
            on: &before.fixes,
            want: &want,
            is_selected: !self.select.is_empty(),
            excluded: &excluded,
            holds: &received.holds,
            scopes: &scopes,
            components: &components,
        };
        let plan = closure::plan(&question).map_err(|refused| refused.refusal(&self.title()))?;
        let fixes = closure::apply(&plan, &before.fixes, &|id| {
            let component = received.fix(id).map(|fix| fix.component.clone());
            (component.expect("only received fixes go on"), received.envelope_of(id))
        });
        let after = LevelContent { fixes, excluded, ..before.clone() };
        let mut dirty = operation::changed_components(&before, &after);
        if self.redo {
            dirty = components;
        }
        Ok(Install { plan, after, dirty })
    }

    fn describe(&self, install: &Install, outcome: &mut Outcome, is_done: bool) {
        let plan = &install.plan;
        let verb = if is_done { "went on" } else { "would go on" };
        let mut table =
            Table::new(format!("Fixes that {verb} level {}", self.title()), &["fix", "component", "why"]);
        for added in &plan.add {
            let replaced = plan.replaced.iter().find(|one| one.by == added.id);
            let why = replaced
                .map_or_else(|| why(&added.why), |one| format!("{}; {}", why(&added.why), one.words()));
            table.row([added.id.to_string(), added.component.to_string(), why]);
        }
        let text = format!(
            "{} fixes {verb} level {}, {} are contained in others, {} wanted ones are left out",
            plan.add.len(),
            self.title(),
            plan.superseded.len(),
            plan.left_out.len()
        );
        outcome.say(Message::csm(134, Severity::I, text));
        outcome.tables.push(table);
        for left in &plan.left_out {
            let (severity, text) = left_out(&left.id, &left.why);
            outcome.say(Message::csm(135, severity, text));
        }
        for replaced in &plan.replaced {
            outcome.say(Message::csm(231, Severity::W, replaced.words()));
        }
        for back in &plan.goes_back {
            let text = format!(
                "{} contains {} but does not bring part `{}`, which goes back to what it was before",
                back.by, back.contained, back.path
            );
            outcome.say(Message::csm(136, Severity::W, text));
        }
        for open in &plan.open {
            let text = format!("{} needs {} since before; it was not received", open.fix, open.needs);
            outcome.say(Message::csm(137, Severity::W, text));
        }
        let ids = |list: &[closure::Added]| list.iter().map(|added| added.id.to_string()).collect::<Vec<_>>();
        outcome.data = serde_json::json!({
            "vrm": self.vrm, "level": self.level, "added": ids(&plan.add),
            "superseded": plan.superseded.iter().map(|(fix, by)| serde_json::json!({"fix": fix, "by": by})).collect::<Vec<_>>(),
            "left_out": plan.left_out.iter().map(|left| left.id.to_string()).collect::<Vec<_>>(),
            "components": install.dirty,
        });
    }

    fn install(&self, principal: &Principal, context: &Context<'_>) -> Result<Outcome, ServiceError> {
        let mut level = levels::expect(&principal.tables(), &self.vrm, &self.level)?;
        if let Some(operation) = self.interrupted(principal, &level)? {
            return operation::carry_on(principal, context, &mut level, operation, SERVICE);
        }
        level.permits(Asked::Change)?;
        let named = self.find_envelopes(principal)?;
        // Looked at before anything is received, so that a refusal leaves nothing behind.
        drop(self.plan(principal, &named)?);
        let mut outcome = Outcome::default();
        let words: Vec<String> = named.iter().map(|one| one.name().to_owned()).collect();
        let memos: Vec<_> =
            named.iter().filter_map(Named::header).filter_map(|header| header.memo.clone()).collect();
        for one in named {
            let held = receive::receive(principal, context, &self.vrm, one)?;
            query::report_held(principal, &self.vrm, &held, "held fix", &mut outcome)?;
        }
        fault::point("service.received");
        let named: Vec<Named> = words
            .iter()
            .map(|name| receive::find(principal, &self.vrm, std::path::Path::new(name)))
            .collect::<Result<_, _>>()?;
        let mut install = self.plan(principal, &named)?;
        let mut dirty = operation::unbuilt(principal, &self.vrm, &install.after)?;
        dirty.extend(install.dirty.iter().cloned());
        dirty.sort();
        dirty.dedup();
        install.dirty = dirty;
        // A fix that does not fit leaves the level as it is, rather than unfinished.
        for component in &install.dirty {
            operation::vendor_tree(principal, &self.vrm, &install.after, component)?;
        }
        self.describe(&install, &mut outcome, true);
        for memo in memos {
            outcome.say(Message::csm(138, Severity::I, format!("memo: {memo}")));
        }
        let operation = Operation {
            verb: self.word().to_owned(),
            command: self.subject().operands,
            began: (context.now)(),
            after: install.after,
            dirty: install.dirty,
            conflicts: Vec::new(),
        };
        operation::begin(principal, &mut level, &operation, SERVICE)?;
        let rest = operation::carry_on(principal, context, &mut level, operation, SERVICE)?;
        Ok(join(outcome, rest))
    }

    /// Finds the unfinished run of this very command: typing it again resumes it.
    fn interrupted(&self, principal: &Principal, level: &Level) -> Result<Option<Operation>, ServiceError> {
        let operation = levels::operation(&principal.tables(), &level.vrm, &level.name)?;
        Ok(operation.filter(|open| open.command == self.subject().operands))
    }

    fn restart(&self, principal: &Principal, context: &Context<'_>) -> Result<Outcome, ServiceError> {
        let mut level = levels::expect(&principal.tables(), &self.vrm, &self.level)?;
        level.permits(Asked::Restart)?;
        let operation = levels::operation(&principal.tables(), &self.vrm, &self.level)?.ok_or_else(|| {
            Refusal::new(104, format!("level {} has no unfinished operation", self.title())).hint(format!(
                "see what is on with `tender servmgr srvlvl service {} --status`",
                self.title()
            ))
        })?;
        operation::carry_on(principal, context, &mut level, operation, SERVICE)
    }

    fn abandon(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        let mut level = levels::expect(&principal.tables(), &self.vrm, &self.level)?;
        level.permits(Asked::Abandon)?;
        operation::abandon(principal, &mut level)?;
        let mut outcome = Outcome::default();
        let text = format!("level {} is back at content {}", self.title(), level.content.short());
        outcome.say(Message::csm(139, Severity::I, text));
        Ok(outcome)
    }

    fn build(&self, principal: &Principal, context: &Context<'_>) -> Result<Outcome, ServiceError> {
        let mut level = levels::expect(&principal.tables(), &self.vrm, &self.level)?;
        if let Some(operation) = self.interrupted(principal, &level)? {
            return operation::carry_on(principal, context, &mut level, operation, SERVICE);
        }
        level.permits(Asked::Change)?;
        let after = levels::content(&principal.tables(), &self.vrm, &self.level)?;
        let dirty = operation::unbuilt(principal, &self.vrm, &after)?;
        let operation = Operation {
            verb: self.word().to_owned(),
            command: self.subject().operands,
            began: (context.now)(),
            after,
            dirty,
            conflicts: Vec::new(),
        };
        operation::begin(principal, &mut level, &operation, SERVICE)?;
        operation::carry_on(principal, context, &mut level, operation, SERVICE)
    }
}

/// Puts what a later step said behind what an earlier one said.
pub(super) fn join(mut first: Outcome, second: Outcome) -> Outcome {
    first.code = first.code.max(second.code);
    if first.data.is_null() {
        first.data = second.data;
    }
    first.messages.extend(second.messages);
    first.tables.extend(second.tables);
    first
}

fn why(why: &Why) -> String {
    match why {
        Why::Wanted => "wanted".to_owned(),
        Why::NeededBy(fix) => format!("needed by {fix}"),
        Why::ConditionOf(fix) => format!("needed by {fix}, whose condition holds"),
    }
}

fn left_out(id: &FixId, why: &LeftOutWhy) -> (Severity, String) {
    match why {
        LeftOutWhy::IsOn => (Severity::I, format!("{id} is on already")),
        LeftOutWhy::ContainedOn(by) => (Severity::I, format!("{id} is contained in {by}, which is on")),
        LeftOutWhy::Excluded => (
            Severity::W,
            format!("{id} is left out: it is excluded; --include {id} takes it off the excludes"),
        ),
        LeftOutWhy::NeedsExcluded(chain) => {
            let chain: Vec<_> = chain.iter().map(FixId::as_str).collect();
            (Severity::W, format!("{id} is left out: {}, which is excluded", chain.join(" needs ")))
        }
    }
}

impl Verb for SrvlvlService {
    fn word(&self) -> &'static str {
        "SRVLVL SERVICE"
    }

    fn subject(&self) -> Subject {
        let component = self.component.as_ref().map_or("ALL", ComponentName::as_str);
        let mut words = vec![format!("{} {component}", self.level)];
        for envelope in &self.envelopes {
            words.push(format!("{}", envelope.display()));
        }
        for (word, list) in [("SELECT", &self.select), ("EXCLUDE", &self.exclude), ("INCLUDE", &self.include)]
        {
            for fix in list {
                words.push(format!("{word} {fix}"));
            }
        }
        match self.function {
            ServiceFunction::Install => {}
            ServiceFunction::Restart => words.push("RESTART".to_owned()),
            ServiceFunction::Abandon => words.push("ABANDON".to_owned()),
            ServiceFunction::Build => words.push("BUILD".to_owned()),
            ServiceFunction::Status => words.push("STATUS".to_owned()),
        }
        Subject::new(&self.vrm, words.join(" "))
    }

    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        let mut outcome = Outcome::default();
        let level = levels::expect(&principal.tables(), &self.vrm, &self.level)?;
        match self.function {
            ServiceFunction::Install => {
                let named = self.find_envelopes(principal)?;
                let install = self.plan(principal, &named)?;
                self.describe(&install, &mut outcome, false);
            }
            ServiceFunction::Status | ServiceFunction::Build => {
                return query::service_status(principal, &level);
            }
            ServiceFunction::Restart | ServiceFunction::Abandon => {
                let asked =
                    if self.function == ServiceFunction::Restart { Asked::Restart } else { Asked::Abandon };
                level.permits(asked)?;
                let open = levels::operation(&principal.tables(), &self.vrm, &self.level)?;
                let what = open.map_or_else(String::new, |open| format!("{} {}", open.verb, open.command));
                outcome.say(Message::csm(140, Severity::I, format!("unfinished: {what}")));
            }
        }
        Ok(outcome)
    }

    fn run(&self, principal: &Principal, context: &Context<'_>) -> Result<Outcome, ServiceError> {
        if self.function == ServiceFunction::Status {
            return self.check(principal);
        }
        let _lock = principal.lock_release(&self.vrm, Share::Exclusive, &context.operator, self.word())?;
        match self.function {
            ServiceFunction::Restart => self.restart(principal, context),
            ServiceFunction::Abandon => self.abandon(principal),
            ServiceFunction::Build => self.build(principal, context),
            ServiceFunction::Install | ServiceFunction::Status => self.install(principal, context),
        }
    }
}

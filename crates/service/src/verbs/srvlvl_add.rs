//! SRVLVL ADD: makes a level with the content of BASE or of another level.

use jiff::Timestamp;
use tender_package::{LevelName, Message, Mode, Outcome, Severity, Variant, Vrm};

use super::{Context, Subject, Verb};
use crate::error::{Refusal, ServiceError};
use crate::fault;
use crate::level::{Level, Operation, PackageState, Work};
use crate::principal::{Principal, Share};
use crate::shapes::LevelContent;
use crate::tables::levels;

/// SRVLVL ADD vrm level BASEDON level.
#[derive(Debug, Clone)]
pub struct SrvlvlAdd {
    /// The release.
    pub vrm: Vrm,
    /// The new level.
    pub level: LevelName,
    /// What it starts with.
    pub basedon: LevelName,
    /// The variant systems must have; that of the level it is based on when absent.
    pub variant: Option<Variant>,
    /// What it is for.
    pub description: String,
}

impl SrvlvlAdd {
    fn plan(
        &self,
        principal: &Principal,
        operator: &str,
        now: Timestamp,
    ) -> Result<(Level, LevelContent), ServiceError> {
        let tables = principal.tables();
        let parent = levels::expect(&tables, &self.vrm, &self.basedon)?;
        if let Some(existing) = levels::find(&tables, &self.vrm, &self.level)? {
            return Err(Refusal::new(114, format!("level {} exists already", existing.title()))
                .hint("choose another name")
                .into());
        }
        parent.permits(Operation::Parent)?;
        let content = levels::content(&tables, &self.vrm, &self.basedon)?;
        let level = Level {
            vrm: self.vrm.clone(),
            name: self.level.clone(),
            parent: Some(self.basedon.clone()),
            variant: self.variant.clone().unwrap_or_else(|| parent.variant.clone()),
            description: self.description.clone(),
            state: Mode::Test,
            is_locked: false,
            work: Work::Idle,
            package: PackageState::None,
            generation: 0,
            is_signed: false,
            content: parent.content,
            made: now,
            changed: now,
            changed_by: operator.to_owned(),
        };
        Ok((level, content))
    }

    fn outcome(&self, level: &Level, content: &LevelContent, is_done: bool) -> Outcome {
        let verb = if is_done { "is added" } else { "would be added" };
        let mut outcome = Outcome::default();
        outcome.say(Message::csm(
            115,
            Severity::I,
            format!(
                "level {} {verb} with the content of {}: {} components, {} fixes, {} local modifications; it is TEST and unlocked",
                level.title(),
                self.basedon,
                content.components.len(),
                content.fixes.len(),
                content.mods.len()
            ),
        ));
        outcome.data = serde_json::json!({
            "vrm": self.vrm, "level": self.level, "basedon": self.basedon, "variant": level.variant,
            "state": level.state, "content": level.content,
        });
        outcome
    }
}

impl Verb for SrvlvlAdd {
    fn word(&self) -> &'static str {
        "SRVLVL ADD"
    }

    fn subject(&self) -> Subject {
        Subject::new(&self.vrm, format!("{} BASEDON {} DESC {}", self.level, self.basedon, self.description))
    }

    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        let (level, content) = self.plan(principal, "", Timestamp::UNIX_EPOCH)?;
        Ok(self.outcome(&level, &content, false))
    }

    fn run(&self, principal: &Principal, context: &Context<'_>) -> Result<Outcome, ServiceError> {
        let _lock = principal.lock_release(&self.vrm, Share::Exclusive, &context.operator, self.word())?;
        let (level, content) = self.plan(principal, &context.operator, (context.now)())?;
        principal.transaction(|tables| {
            levels::insert(tables, &level)?;
            levels::write_content(tables, &self.vrm, &self.level, &content)
        })?;
        fault::point("srvlvl_add.inserted");
        Ok(self.outcome(&level, &content, true))
    }
}

//! A level: its states and what may be done to it in each (specification 3.1).

use jiff::Timestamp;
use tender_content::Digest;
use tender_package::{LevelName, Mode, Variant, Vrm};

use crate::error::Refusal;

/// Whether an operation on a level was left unfinished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Nothing is open.
    Idle,
    /// An operation stopped before its end; RESTART or ABANDON.
    Incomplete,
    /// It is being deleted.
    Deleting,
}

/// How the newest package compares with the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PackageState {
    /// There is none.
    None,
    /// It has this content.
    Current,
    /// The content changed since.
    Stale,
}

/// A level as its row in the tables says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    /// The release.
    pub vrm: Vrm,
    /// Its name.
    pub name: LevelName,
    /// What it is based on; BASE has none.
    pub parent: Option<LevelName>,
    /// The variant systems must have.
    pub variant: Variant,
    /// What the operator wrote.
    pub description: String,
    /// TEST, STABLE or WITHDRAWN.
    pub state: Mode,
    /// The update-control lock.
    pub is_locked: bool,
    /// Whether an operation is open.
    pub work: Work,
    /// How the newest package stands.
    pub package: PackageState,
    /// Generation of the newest package.
    pub generation: u32,
    /// Whether the signed metadata says what `state` says.
    pub is_signed: bool,
    /// Identity of its content.
    pub content: Digest,
    /// When it was made.
    pub made: Timestamp,
    /// When it changed last.
    pub changed: Timestamp,
    /// Who changed it last.
    pub changed_by: String,
}

/// What is asked of a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// SERVICE or LOCALMOD from the start.
    Change,
    /// SERVICE RESTART, or reworking what it waits for.
    Restart,
    /// SERVICE ABANDON.
    Abandon,
    /// PACKAGE.
    Package,
    /// SETLOCK ON.
    LockOn,
    /// SETLOCK OFF.
    LockOff,
    /// SEND (TEST.
    SendTest,
    /// SEND (STABLE.
    SendStable,
    /// PROMOTE.
    Promote,
    /// WITHDRAW.
    Withdraw,
    /// Being what another level is based on.
    Parent,
    /// DELETE; a locked or stable level needs FORCE.
    Delete {
        /// Whether FORCE was given.
        is_forced: bool,
    },
}

impl Level {
    /// Returns `720 VM010102_BLD1` for messages and commands.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} {}", self.vrm, self.name)
    }

    /// Returns the words for people, such as `STABLE` or `TEST`.
    #[must_use]
    pub fn state_word(&self) -> &'static str {
        match self.state {
            Mode::Test => "TEST",
            Mode::Stable => "STABLE",
            Mode::Withdrawn => "WITHDRAWN",
        }
    }

    /// Tells whether `operation` is allowed; the refusal says why not and what to do instead.
    pub fn permits(&self, operation: Operation) -> Result<(), Refusal> {
        let title = self.title();
        if self.work == Work::Deleting && !matches!(operation, Operation::Delete { .. }) {
            return Err(Refusal::new(101, format!("level {title} is being deleted"))
                .hint(format!("tender servmgr srvlvl delete {title}")));
        }
        let is_for_base = matches!(
            operation,
            Operation::Parent | Operation::Package | Operation::SendTest | Operation::SendStable
        );
        if self.name.is_base() && !is_for_base {
            return Err(Refusal::new(102, "BASE holds the release as it was shipped and never changes")
                .hint(format!("tender servmgr srvlvl add {} NEWLEVEL basedon BASE", self.vrm)));
        }
        if self.work == Work::Incomplete {
            return match operation {
                Operation::Restart | Operation::Abandon | Operation::Delete { .. } => Ok(()),
                _ => Err(Refusal::new(103, format!("level {title} has an unfinished operation")).hint(
                    format!("tender servmgr srvlvl service {title} --restart, or --abandon to go back"),
                )),
            };
        }
        self.permits_when_idle(operation, &title)
    }

    fn permits_when_idle(&self, operation: Operation, title: &str) -> Result<(), Refusal> {
        let child = format!("tender servmgr srvlvl add {} NEWLEVEL basedon {}", self.vrm, self.name);
        let is_test = self.state == Mode::Test;
        match operation {
            Operation::Restart | Operation::Abandon => {
                Err(Refusal::new(104, format!("level {title} has no unfinished operation"))
                    .hint(format!("see what is on with `tender servmgr srvlvl service {title} --status`")))
            }
            Operation::Change if is_test && !self.is_locked => Ok(()),
            Operation::Change if is_test => Err(Refusal::new(105, format!("level {title} is locked"))
                .hint(format!("tender servmgr srvlvl setlock {title} off"))),
            // BASE is packaged as it was shipped, for systems without install media.
            Operation::Package if self.name.is_base() => Ok(()),
            Operation::Change | Operation::Package | Operation::LockOff | Operation::Promote if !is_test => {
                let text = format!("level {title} is {} and never changes again", self.state_word());
                Err(Refusal::new(106, text).hint(child))
            }
            Operation::SendTest | Operation::SendStable | Operation::Promote
                if self.package != PackageState::Current =>
            {
                Err(Refusal::new(107, self.package_fault(title))
                    .hint(format!("tender servmgr srvlvl package {title}")))
            }
            Operation::SendTest | Operation::SendStable if self.state == Mode::Withdrawn => {
                Err(Refusal::new(108, format!("level {title} was withdrawn and is sent nowhere any more"))
                    .hint(child))
            }
            Operation::Withdraw if self.state != Mode::Stable => {
                let text =
                    format!("level {title} is {}; only a STABLE level is withdrawn", self.state_word());
                Err(Refusal::new(109, text)
                    .hint(format!("tender servmgr srvlvl delete {title}, or change it")))
            }
            Operation::Delete { is_forced: false } if self.is_locked => {
                let text = format!("level {title} is {} and locked", self.state_word());
                Err(Refusal::new(110, text)
                    .hint(format!("tender servmgr srvlvl delete {title} --force REASON")))
            }
            _ => Ok(()),
        }
    }

    fn package_fault(&self, title: &str) -> String {
        match self.package {
            PackageState::Stale => format!(
                "package generation {} of level {title} is older than the level's content",
                self.generation
            ),
            PackageState::None | PackageState::Current => format!("level {title} has no package yet"),
        }
    }
}

#[cfg(test)]
mod tests;

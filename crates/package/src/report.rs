//! What a managed system reports about itself.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tender_content::{Digest, PartPath};

use crate::changes::ChangesHead;
use crate::manifest::{LevelRef, Mode};
use crate::name::{ComponentName, FixId, Variant};

/// A managed system as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemInfo {
    /// Highest request protocol it speaks.
    pub protocol: u32,
    /// Highest package format it reads.
    pub format: u32,
    /// Version of its Tender.
    pub tool: String,
    /// Its name at enrolment.
    pub system: String,
    /// Its clock.
    pub clock: Timestamp,
    /// Its variant.
    pub variant: Variant,
    /// Whether a principal has it.
    pub is_managed: bool,
    /// Identity of the BASE whose objects it holds, per release it has.
    pub bases: Vec<BaseInfo>,
    /// What is in slot `test`.
    pub test: Option<SlotInfo>,
    /// What is in slot `current`.
    pub current: Option<SlotInfo>,
    /// What is in slot `previous`.
    pub previous: Option<SlotInfo>,
    /// Components taken out of management for the time being.
    pub overrides: Vec<Override>,
    /// Requests that are queued or under way.
    pub open_requests: Vec<String>,
    /// Free bytes where levels are kept.
    pub free_bytes: u64,
    /// Where its audit log ends; `None` when there is no log yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<AuditHead>,
    /// What was changed on the system itself; `None` when nothing was, and from an older Tender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<ChangesHead>,
    /// Number of the list of revoked certificates it goes by; 0 without one.
    #[serde(default)]
    pub revocations: u64,
}

/// Where an audit log ended. Whoever keeps this can show later that the end of the log was not cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditHead {
    /// Lines.
    pub count: u64,
    /// Digest of the last line, without its line feed.
    pub last: Digest,
}

/// A BASE that a managed system holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseInfo {
    /// The release.
    pub vrm: crate::name::Vrm,
    /// Identity of its BASE.
    pub base: Digest,
}

/// What is in a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotInfo {
    /// The level; a runtime directory that was adopted is level `ADOPTED`, generation 0.
    #[serde(flatten)]
    pub level: LevelRef,
    /// Identity of its content.
    pub content: Digest,
    /// As what it was loaded.
    pub mode: Mode,
    /// When it came into this slot.
    pub since: Timestamp,
}

/// A component taken out of management (SERVMGR MANAGED OFF).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// The component.
    pub component: ComponentName,
    /// Since when.
    pub since: Timestamp,
    /// Who did it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When it should end.
    pub until: Option<Timestamp>,
}

/// What a test instance on slot `test` showed: the proof of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestRun {
    /// The level that was run.
    pub level: LevelRef,
    /// When the test instance was started, by the system's clock.
    pub began: Timestamp,
    /// How long it took until it was ready or gave up, in milliseconds.
    pub took_ms: u64,
    /// Whether every component became ready.
    pub is_ready: bool,
    /// What happened, in one line.
    pub summary: String,
    /// Its components.
    pub components: Vec<TestedComponent>,
}

/// One component of a test instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestedComponent {
    /// Its name.
    pub name: String,
    /// The state it came to, such as `READY`.
    pub state: String,
    /// Why, when there is something to say.
    pub reason: Option<String>,
    /// The last lines it printed, when it is not ready.
    pub output: Vec<String>,
}

/// What SERVCHECK found on one system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServcheckReport {
    /// When it was made, by the system's clock.
    pub made: Timestamp,
    /// One line a check.
    pub checks: Vec<CheckLine>,
    /// Every part that differs.
    pub drift: Vec<DriftItem>,
    /// Fixes on in slot `current`, per component.
    pub fixes: Vec<(ComponentName, Vec<FixId>)>,
}

/// The result of one check of specification 7.3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckLine {
    /// Its number in specification 7.3; 12, the audit log, and 13, exceptions, are ours.
    pub number: u8,
    /// What was checked.
    pub title: String,
    /// How it came out.
    pub verdict: Verdict,
    /// What was seen.
    pub detail: String,
    /// When the data it rests on was taken.
    pub taken: Timestamp,
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Worth a look.
    Warn,
    /// Not as it should be.
    Bad,
    /// Could not be checked.
    Unknown,
}

/// One part that is not as its level says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DriftItem {
    /// The slot.
    pub slot: String,
    /// The component.
    pub component: String,
    /// The part.
    pub path: PartPath,
    /// What differs.
    pub kind: DriftKind,
    /// What the level says, for people.
    pub expected: String,
    /// What is there, for people.
    pub found: String,
}

/// How a part differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DriftKind {
    /// Other bytes, or a link with another target.
    Modified,
    /// Not there.
    Missing,
    /// There, but the level knows nothing of it.
    Extra,
    /// Same bytes, other permissions.
    Mode,
    /// Something else than a file or link stands there.
    Kind,
}

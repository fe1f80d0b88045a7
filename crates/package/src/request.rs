//! Requests: what the principal asks a managed system to do.
//!
//! A request is a file, `requests/<id>.json`, stored by FTP and set going by `SITE CSMAGENT <id>`. The id makes it
//! idempotent: a request with a known id is never executed twice, its state is answered instead (specification 11.2
//! invariant 9). Nothing of a request ever reaches a shell.
//!
//! | SITE words        | answer                                                        |
//! |-------------------|---------------------------------------------------------------|
//! | `CSMINFO`         | [`SystemInfo`] as one line of JSON                            |
//! | `CSMAGENT <id>`   | [`RequestState`] as one line of JSON                          |
//! | `CSMSTAT <id>`    | [`RequestState`] as one line of JSON                          |
//! | `CSMACK <id>`     | the result was read and may be discarded                      |
//!
//! The result of a finished request is `results/<id>.json`, a [`RequestResult`], read by RETR.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tender_content::{Node, PartPath};

use crate::manifest::{LevelRef, Mode};
use crate::message::{Outcome, ReturnCode};
use crate::name::{ComponentName, FixId};
use crate::report::{ServcheckReport, SystemInfo, TestRun};

/// Version of the request protocol; both ends refuse what is newer than they know.
pub const PROTOCOL: u32 = 1;

/// One request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// Identity: 1 to 64 letters, digits or `-`; names files on both ends.
    pub id: String,
    /// When the principal made it, by the principal's clock.
    pub made: Timestamp,
    /// Who asked, for the audit log.
    pub operator: String,
    /// What to do.
    pub verb: Verb,
}

/// What a managed system can be asked to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "UPPERCASE", deny_unknown_fields)]
pub enum Verb {
    /// Load a received package into slot `test`.
    Load {
        /// Which package.
        level: LevelRef,
        /// As what: TEST, or STABLE so that it may be put in production afterwards.
        mode: Mode,
        /// Fixes on the system that may get lost; any other loss refuses the load as a regression.
        lose: Vec<FixId>,
        /// Load although parts drifted, the component is overridden, or the level is older; with the reason.
        force: Option<String>,
        /// Changed parts of the system that the level has too, so that they do not get lost with it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        brings: Vec<BroughtPart>,
    },
    /// Take the level out of slot `test`.
    Unload,
    /// Put the stable level in slot `test` into production.
    Put2prod {
        /// When given, must be what is in slot `test`.
        expect: Option<LevelRef>,
        /// Fixes whose action items were acknowledged.
        acknowledged: Vec<FixId>,
        /// Go on although parts drifted, with the reason.
        force: Option<String>,
    },
    /// Go back to slot `previous`.
    Fallback,
    /// Compare what is there with what should be there.
    Servcheck {
        /// Hash every part again instead of trusting unchanged inodes.
        full: bool,
    },
    /// Become managed by this principal: local service is refused from now on.
    Enter,
    /// Leave the principal: local service is allowed again.
    Leave,
    /// Set or lift the local override for components, an empty list meaning all.
    Managed {
        /// `true` gives the components back to the principal.
        on: bool,
        /// Which components.
        components: Vec<ComponentName>,
        /// Why; needed for OFF.
        reason: String,
        /// When an OFF should have ended.
        until: Option<Timestamp>,
    },
    /// Keep changed parts of a component whatever level is loaded, or keep them no longer.
    Exception {
        /// `true` keeps them.
        keep: bool,
        /// The component.
        component: ComponentName,
        /// Which parts; an empty list means all that are changed, or all that are kept.
        paths: Vec<PartPath>,
        /// Why; needed to keep them.
        reason: String,
    },
}

/// A changed part that a level has in the very same state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BroughtPart {
    /// The component.
    pub component: ComponentName,
    /// The part.
    pub path: PartPath,
    /// What stands there on the system and in the level.
    pub is: Option<Node>,
}

impl Verb {
    /// Returns the word people know the verb by.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Load { .. } => "LOAD",
            Self::Unload => "UNLOAD",
            Self::Put2prod { .. } => "PUT2PROD",
            Self::Fallback => "FALLBACK",
            Self::Servcheck { .. } => "SERVCHECK",
            Self::Enter => "ENTER",
            Self::Leave => "LEAVE",
            Self::Managed { .. } => "MANAGED",
            Self::Exception { .. } => "EXCEPTION",
        }
    }
}

/// How far a request is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum RequestState {
    /// No such request.
    Unknown,
    /// Written down, not begun.
    Queued,
    /// Under way.
    Running {
        /// The step it is in.
        step: String,
    },
    /// Ended; the result can be read.
    Ended {
        /// Its return code.
        code: ReturnCode,
    },
}

/// The durable result of a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestResult {
    /// The request.
    pub request: Request,
    /// When the executor began, by the managed system's clock.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// Messages and return code.
    pub outcome: Outcome,
    /// The system as it is afterwards.
    pub info: SystemInfo,
    /// What SERVCHECK found.
    pub servcheck: Option<ServcheckReport>,
    /// What the test instance showed that LOAD started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_run: Option<TestRun>,
}

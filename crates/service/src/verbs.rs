//! The SERVMGR verbs, one file each: a plan that can be shown, and the steps that carry it out.
//!
//! `check` shows exactly what `run` would do and changes nothing. [`perform`] runs a verb, records it in the audit
//! and in the release's log, and turns an error into an answer.

mod embargo;
mod fix_query;
mod gc;
mod group;
mod hold;
mod initialize;
mod principal_renew;
mod release_delete;
mod setting;
mod srvlvl_add;
mod srvlvl_compare;
mod srvlvl_delete;
mod srvlvl_localmod;
mod srvlvl_package;
mod srvlvl_promote;
mod srvlvl_query;
mod srvlvl_send;
mod srvlvl_service;
mod srvlvl_setlock;
mod srvlvl_vmfsetup;
mod srvlvl_withdraw;
mod system_absorb;
mod system_add;
mod system_audit;
mod system_delete;
mod system_exception;
mod system_fallback;
mod system_modify;
mod system_put2prod;
mod system_query;
mod system_servcheck;
mod system_unload;
mod vendor;

use jiff::Timestamp;
use tender_content::Progress;
use tender_package::{Outcome, Vrm};

pub use embargo::{Embargo, EmbargoOn};
pub use fix_query::FixQuery;
pub use gc::StoreGc;
pub use group::{GroupQuery, GroupSet};
pub use hold::{HoldAccept, HoldAdd, HoldQuery, HoldRelease};
pub use initialize::Initialize;
pub use principal_renew::PrincipalRenew;
pub use release_delete::ReleaseDelete;
pub use setting::SettingSet;
pub use srvlvl_add::SrvlvlAdd;
pub use srvlvl_compare::SrvlvlCompare;
pub use srvlvl_delete::SrvlvlDelete;
pub use srvlvl_localmod::{LocalmodAction, SrvlvlLocalmod};
pub use srvlvl_package::SrvlvlPackage;
pub use srvlvl_promote::SrvlvlPromote;
pub use srvlvl_query::SrvlvlQuery;
pub use srvlvl_send::SrvlvlSend;
pub use srvlvl_service::{ServiceFunction, SrvlvlService};
pub use srvlvl_setlock::SrvlvlSetlock;
pub use srvlvl_vmfsetup::SrvlvlVmfsetup;
pub use srvlvl_withdraw::SrvlvlWithdraw;
pub use system_absorb::SystemAbsorb;
pub use system_add::{PORT_DEFAULT, SystemAdd};
pub use system_audit::SystemAudit;
pub use system_delete::SystemDelete;
pub use system_exception::{SystemException, SystemExceptionQuery};
pub use system_fallback::SystemFallback;
pub use system_modify::SystemModify;
pub use system_put2prod::SystemPut2prod;
pub use system_query::SystemQuery;
pub use system_servcheck::SystemServcheck;
pub use system_unload::SystemUnload;
pub use vendor::{VendorQuery, VendorSet};

use crate::error::ServiceError;
use crate::link::{Enroller, Fleet, Patience};
use crate::principal::Principal;
use crate::shapes::AuditEvent;

/// What a verb may use of the world.
#[expect(missing_debug_implementations, reason = "it only borrows trait objects of the caller")]
pub struct Context<'a> {
    /// Who runs it, for records and locks.
    pub operator: String,
    /// Reaches managed systems.
    pub fleet: &'a dyn Fleet,
    /// Enrols managed systems.
    pub enroller: &'a dyn Enroller,
    /// Hears how far long work is.
    pub progress: &'a dyn Progress,
    /// Tells the time.
    pub now: fn() -> Timestamp,
    /// How long to wait for managed systems.
    pub patience: Patience,
}

/// What a verb is about, for the audit and the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The release, when it concerns one.
    pub vrm: Option<Vrm>,
    /// The operands as one line.
    pub operands: String,
}

impl Subject {
    /// Names a release and operands.
    #[must_use]
    pub fn new(vrm: &Vrm, operands: impl Into<String>) -> Self {
        Self { vrm: Some(vrm.clone()), operands: format!("{vrm} {}", operands.into()).trim_end().to_owned() }
    }

    /// Names something that belongs to no release.
    #[must_use]
    pub fn general(operands: impl Into<String>) -> Self {
        Self { vrm: None, operands: operands.into() }
    }
}

/// One SERVMGR verb with its operands.
pub trait Verb {
    /// Returns its words, such as `SRVLVL ADD`.
    fn word(&self) -> &'static str;
    /// Returns what it is about.
    fn subject(&self) -> Subject;
    /// Shows the plan and changes nothing.
    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError>;
    /// Carries it out.
    fn run(&self, principal: &Principal, context: &Context<'_>) -> Result<Outcome, ServiceError>;
}

/// Whether to carry out a verb or to show its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Show the plan (`--check`).
    Check,
    /// Carry it out.
    Run,
}

/// Performs a verb, records it, and answers; errors become messages and return codes.
pub fn perform(verb: &dyn Verb, principal: &Principal, context: &Context<'_>, mode: Mode) -> Outcome {
    let result = match mode {
        Mode::Check => verb.check(principal),
        Mode::Run => verb.run(principal, context),
    };
    let mut outcome = result.unwrap_or_else(|error| error.outcome());
    let subject = verb.subject();
    let suffix = if mode == Mode::Check { " (CHECK" } else { "" };
    let event = AuditEvent {
        at: (context.now)(),
        operator: context.operator.clone(),
        command: format!("{} {}{suffix}", verb.word(), subject.operands),
        vrm: subject.vrm,
        code: outcome.code.into(),
        messages: outcome.messages.iter().map(ToString::to_string).collect(),
    };
    if let Err(error) = principal.record(&event) {
        outcome.say(error.message());
        outcome.code = outcome.code.max(error.code());
    }
    outcome
}

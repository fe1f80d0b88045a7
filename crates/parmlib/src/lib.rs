//! PARMLIB members, the list of authorised modules, and plans for installing the cross-memory server.
//!
//! A [`Member`] is read from 80-column records, [`Operands`] from the words of a start command. [`Settings`] makes typed
//! values of both and lists what is wrong with them; the table [`KEYS`] says what is known. An [`AuthorisedList`] says
//! which programs may run with privilege, and [`AuthorisedList::open_verified`] hands one out as a sealed copy that
//! nobody can change any more.

mod authorised;
mod edit;
mod install;
mod keys;
mod member;
mod operands;
pub mod schedule;

pub use authorised::{
    Added, AuthorisedList, AuthorisedModule, Digest, ListError, MODULE_BYTES_MAX, ModuleError, ModuleName,
    Proof, ProofError, Purpose, SealedProgram, SignerKey, VerifiedModule,
};
pub use edit::{
    Change, EditError, Edited, KeyChange, KeyChangeKind, SampleError, changes_of_sample, merge, set,
};
pub use install::{
    ACCOUNTS, Account, Before, Content, Found, InstallError, InstallPlan, InstallRequest, Installation,
    Installed, LIBRARY_CHARACTERS_MAX, LibraryError, Procedure, Step, UNIT_FILE, UnitFacts, commit, library,
    plan, recover, sample_member, sysusers_text, unit_text,
};
pub use keys::{
    AuditSettings, KEYS, Key, Kind, Limits, Origin, Place, PluginSetting, Problem, ProblemKind, Ranges,
    RangesError, ServerName, ServerNameError, Setting, Settings, SettingsError, Settled, Severity, Span,
    known_key, nearest_key,
};
pub use member::{
    KEY_BYTES_MAX, Lines, MEMBER_BYTES_MAX, Member, MemberError, MemberName, MemberNameError, Parameter,
    RECORD_COLUMNS, STATEMENT_BYTES_MAX, Warning, WarningKind,
};
pub use operands::{Operand, OperandError, Operands};

//! Installing the cross-memory server: modules, parameter member, start procedure, users.
//!
//! ```text
//!   InstallRequest ─► Found::look ─► plan (pure) ─► InstallPlan ─► commit ─► Installed
//!                                                       │            │ any failure: undo everything, journal gone
//!                                                    printed         └ kill: the next commit undoes it first
//! ```
//!
//! Nothing of what is there is overwritten in place: new files are staged beside their targets, old ones get a second
//! name, and only then come the renames. An edited member is merged, never replaced.

mod accounts;
mod commit;
mod content;
mod failure;
mod found;
mod journal;
mod plan;
mod request;
mod unit;

pub use self::accounts::{ACCOUNTS, Account};
pub(crate) use self::accounts::{create as create_accounts, uid_of};
pub use self::commit::{Installed, commit, recover};
pub use self::content::{sample_member, sysusers_text};
pub use self::failure::InstallError;
pub use self::found::Found;
pub use self::plan::{Before, Content, InstallPlan, Step, plan};
pub use self::request::{
    InstallRequest, Installation, LIBRARY_CHARACTERS_MAX, LibraryError, Procedure, library,
};
pub use self::unit::{UNIT_FILE, UnitFacts, unit_text};
pub(crate) use self::unit::{quoted, words};

#[cfg(test)]
mod tests;

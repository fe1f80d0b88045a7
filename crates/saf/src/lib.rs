//! Authorisation: who may do what to which resource, and what is written down about it.
//!
//! A [`Database`] holds users, groups, classes and profiles as values. A [`Store`] keeps it on disk (one SQLite file or a
//! directory of text) together with its history. [`Compiled`] is the database made ready for questions, and
//! [`Compiled::decide`] is the one function that answers them: the same for the server, for `explain` and for
//! `who-can`. Commands in the language of RACF (and what ACF2 and Top Secret call the same) become a [`Plan`] of record
//! changes that a store commits as a whole.
//!
//! Passwords are not kept here, and nothing here opens a socket.

pub mod admin;
mod audit;
mod class;
mod command;
mod compiled;
mod database;
mod decision;
mod dialect;
mod id;
mod level;
mod linux;
mod pattern;
mod profile;
mod script;
mod setup;
mod store;
mod subject;
mod user;
mod watch;

pub use audit::{
    AuditEntry, AuditError, AuditHead, AuditLog, AuditOptions, AuditReceipt, AuditTally, AuditWriter, Verdict,
};
pub use class::{Class, Naming, RaclistPolicy, builtin_classes};
pub use command::{Command, CommandError, Context, Effect, Plan, ReturnCode, is_command_word};
pub use compiled::{Compiled, StartedTask};
pub use database::{Change, ConflictError, Database, Key, Options, Record};
pub use decision::{
    Decision, Entry, Explanation, Grant, Grantee, Question, Right, Rule, SafReturnCode, explain, who_can,
};
pub use dialect::Dialect;
pub use id::{ClassName, Id, NameError, RESOURCE_BYTES_MAX};
pub use level::{AccessLevel, AuditSettings, LevelError};
pub use linux::{LinuxError, LinuxGroup, LinuxIdentity};
pub use pattern::{Pattern, PatternError, PatternMatcher};
pub use profile::{
    Condition, ConditionKind, ConditionalEntry, Conditions, Profile, StartedData, StartedUser, Who,
};
pub use script::{Script, ScriptError, Statement};
pub use setup::{
    Esm, EsmError, SetupNames, SetupStep, setup_database, setup_steps, setup_text, sysusers_text,
};
pub use store::{
    Committed, Epoch, HistoryEntry, SqliteStore, Store, StoreError, TextStore, Transaction, copy, open,
};
pub use subject::Subject;
pub use user::{Authority, Connect, Group, GroupUnix, User, UserFlags, UserUnix};
pub use watch::{Watch, WatchError};

//! What parameters mean: the table of known keys, and typed settings made of a member and start operands.

mod name;
mod nearest;
mod problem;
mod ranges;
mod settings;
mod settle;
mod table;
mod value;

pub use self::name::{ServerName, ServerNameError};
pub use self::nearest::nearest_key;
pub use self::problem::{Origin, Problem, ProblemKind, Severity};
pub use self::ranges::{Ranges, RangesError, Span};
pub use self::settings::{
    AuditSettings, Limits, Place, PluginSetting, Setting, Settings, SettingsError, Settled,
};
pub use self::table::{KEYS, Key, Kind, known_key};

#[cfg(test)]
mod tests;

//! Profiles: what is said about a resource, or about all whose names match.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{ClassName, Id, NameError};
use crate::level::{AccessLevel, AuditSettings};

/// Whom an entry of an access list is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Who {
    /// Every defined user.
    All,
    /// A user or a group.
    Id(Id),
}

impl TryFrom<String> for Who {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        if text == "*" { Ok(Self::All) } else { text.parse().map(Self::Id) }
    }
}

impl From<Who> for String {
    fn from(who: Who) -> Self {
        who.as_str().to_owned()
    }
}

impl Who {
    /// Returns the word of commands.
    pub fn as_str(&self) -> &str {
        match self {
            Self::All => "*",
            Self::Id(id) => id.as_str(),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// What about the circumstances of a question can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ConditionKind {
    /// Where from: a terminal, a network address.
    Terminal,
    /// Which operator console.
    Console,
    /// Which program asks.
    Program,
    /// Which job, started task or unit asks.
    Jesinput,
    /// Which system the question is asked on.
    Sysid,
}

impl ConditionKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Terminal, Self::Console, Self::Program, Self::Jesinput, Self::Sysid];

    /// Returns the word of commands.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Terminal => "TERMINAL",
            Self::Console => "CONSOLE",
            Self::Program => "PROGRAM",
            Self::Jesinput => "JESINPUT",
            Self::Sysid => "SYSID",
        }
    }
}

/// A circumstance under which an entry holds.
///
/// Shape: the value is upper case, as all operands of commands are; a question's circumstances compare without case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// What must be so.
    pub kind: ConditionKind,
    /// And how it must be.
    pub value: String,
}

impl fmt::Display for Condition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "WHEN({}({}))", self.kind.as_str(), self.value)
    }
}

/// The circumstances of a question; what is `None` fulfils no condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Conditions<'a> {
    /// Where the question comes from.
    pub terminal: Option<&'a str>,
    /// The operator console.
    pub console: Option<&'a str>,
    /// The program that asks.
    pub program: Option<&'a str>,
    /// The job, started task or unit.
    pub job: Option<&'a str>,
    /// The system.
    pub system: Option<&'a str>,
}

impl Conditions<'_> {
    /// Returns whether a circumstance is given.
    pub fn fulfil(&self, condition: &Condition) -> bool {
        let given = match condition.kind {
            ConditionKind::Terminal => self.terminal,
            ConditionKind::Console => self.console,
            ConditionKind::Program => self.program,
            ConditionKind::Jesinput => self.job,
            ConditionKind::Sysid => self.system,
        };
        given.is_some_and(|given| given.eq_ignore_ascii_case(&condition.value))
    }
}

/// An entry that holds under a condition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConditionalEntry {
    /// Whom it is about.
    pub who: Who,
    /// When it holds.
    pub when: Condition,
    /// How much access it gives.
    pub access: AccessLevel,
}

/// As whom a started task runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StartedUser {
    /// As this user or group.
    Id(Id),
    /// As whoever is called like the procedure: `=MEMBER`.
    Member,
}

/// What a STARTED profile says of its tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartedData {
    /// Its user.
    pub user: Option<StartedUser>,
    /// Its group.
    pub group: Option<StartedUser>,
    /// Kept for a round trip; gives no access here.
    pub is_trusted: bool,
    /// Kept for a round trip; gives no access here.
    pub is_privileged: bool,
    /// Whether its start is written down.
    pub is_traced: bool,
}

/// A profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Its class.
    pub class: ClassName,
    /// Its name, discrete or generic.
    pub name: String,
    /// Who may change it.
    pub owner: Id,
    /// What everybody may who is not named.
    pub uacc: AccessLevel,
    /// What is written down.
    pub audit: AuditSettings,
    /// Whether access that it refuses is given all the same and written down.
    pub is_warning: bool,
    /// Who is told of refusals.
    pub notify: Option<Id>,
    /// A number of the installation's own.
    pub level: u8,
    /// Installation data.
    pub data: Option<String>,
    /// Application data.
    pub appl_data: Option<String>,
    /// As whom a started task runs.
    pub started: Option<StartedData>,
    /// The standard access list.
    pub access: BTreeMap<Who, AccessLevel>,
    /// The conditional access list, sorted; each pair of `who` and `when` once.
    pub conditional: Vec<ConditionalEntry>,
}

impl Profile {
    /// Makes a profile that gives nobody anything.
    pub fn new(class: ClassName, name: String, owner: Id) -> Self {
        Self {
            class,
            name,
            owner,
            uacc: AccessLevel::None,
            audit: AuditSettings::default(),
            is_warning: false,
            notify: None,
            level: 0,
            data: None,
            appl_data: None,
            started: None,
            access: BTreeMap::new(),
            conditional: Vec::new(),
        }
    }
}

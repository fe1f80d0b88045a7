//! Commands in the language of RACF: reading them and planning what they change.
//!
//! A command is read without a database, then planned on one: [`Command::plan`] is a pure function to a [`Plan`], which is
//! what a check shows and what a store commits. Everything is idempotent: a definition that already holds changes nothing
//! and ends with 0, one that contradicts what is there is refused with 16.

mod connect;
mod draft;
mod grammar;
mod group;
mod lex;
mod list;
mod permit;
mod resource;
mod resource_class;
mod setropts;
mod user;
mod write;

use std::fmt;

use serde::Serialize;

pub(crate) use self::draft::Draft;
pub(crate) use self::grammar::nearest;
use self::grammar::{Given, Operand};
pub(crate) use self::lex::{Item, split};
pub(crate) use self::write::commands_of;
use crate::database::{Change, Database, Key};
use crate::id::{Id, NameError};
use crate::pattern::PatternError;

/// How a command ended; the numbers are those of the whole product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReturnCode {
    /// Done, or nothing to do.
    Done,
    /// Done, and there is something to read.
    Warning,
    /// A rule is against it.
    Refused,
    /// It cannot be read.
    Syntax,
    /// What it is about is not there.
    NotFound,
}

impl ReturnCode {
    /// Returns the number: 0, 4, 16, 24 or 28.
    pub fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Warning => 4,
            Self::Refused => 16,
            Self::Syntax => 24,
            Self::NotFound => 28,
        }
    }
}

/// Says why a command cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// Parentheses, quotes or characters are wrong.
    #[error("{what}{}", if near.is_empty() { String::new() } else { format!(", near `{near}`") })]
    Unreadable {
        /// What is wrong.
        what: &'static str,
        /// Where.
        near: String,
    },
    /// There is no command.
    #[error("there is no command")]
    Empty,
    /// The first word is no command.
    #[error("`{word}` is not a command{}", maybe(nearest))]
    UnknownCommand {
        /// The word.
        word: String,
        /// What may have been meant.
        nearest: Option<&'static str>,
    },
    /// A word is no operand.
    #[error("{of} has no operand `{operand}`{}", maybe(nearest))]
    UnknownOperand {
        /// Of what.
        of: &'static str,
        /// The word.
        operand: String,
        /// What may have been meant.
        nearest: Option<&'static str>,
    },
    /// A word is short for several operands.
    #[error("operand `{operand}` of {of} is short for {}", meant.join(" and "))]
    Ambiguous {
        /// Of what.
        of: &'static str,
        /// The word.
        operand: String,
        /// What it may be short for.
        meant: Vec<&'static str>,
    },
    /// An operand stands twice.
    #[error("operand {operand} of {of} is given twice")]
    Twice {
        /// Of what.
        of: &'static str,
        /// Which.
        operand: &'static str,
    },
    /// Two operands say the opposite.
    #[error("operands {one} and {other} of {of} contradict each other")]
    Contradiction {
        /// Of what.
        of: &'static str,
        /// One.
        one: &'static str,
        /// The other.
        other: &'static str,
    },
    /// An operand is missing.
    #[error("{of} needs operand {operand}")]
    Missing {
        /// What needs it.
        of: &'static str,
        /// Which.
        operand: &'static str,
    },
    /// An operand has parentheses and takes none.
    #[error("operand {operand} takes no value")]
    NoValue {
        /// Which.
        operand: &'static str,
    },
    /// An operand lacks its parentheses.
    #[error("operand {operand} needs a value in parentheses")]
    NeedsValue {
        /// Which.
        operand: &'static str,
    },
    /// An operand has more than one value.
    #[error("operand {operand} takes one value, not {found}")]
    OneValue {
        /// Which.
        operand: &'static str,
        /// How many it has.
        found: usize,
    },
    /// An operand has a value that it cannot have.
    #[error("operand {operand} of {of} cannot be `{value}`")]
    Value {
        /// Of what.
        of: &'static str,
        /// Which.
        operand: &'static str,
        /// The value.
        value: String,
    },
    /// A name is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A profile name is none.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// Something is not there.
    #[error("{key} is not defined")]
    NotDefined {
        /// What.
        key: Key,
    },
    /// A name is neither that of a user nor of a group.
    #[error("{id} is neither a user nor a group")]
    NobodyDefined {
        /// The name.
        id: Id,
    },
    /// Something is there and differs.
    #[error("{key} is already defined, and otherwise; use {alter} to change it")]
    AlreadyDefined {
        /// What.
        key: Key,
        /// The command that changes it.
        alter: &'static str,
    },
    /// A rule is against it.
    #[error("{what}")]
    Refused {
        /// Which rule, as a fragment of a sentence.
        what: String,
    },
}

fn maybe(nearest: &Option<&'static str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; {name} perhaps?"))
}

impl CommandError {
    /// Returns how a command ends that fails so.
    pub fn return_code(&self) -> ReturnCode {
        match self {
            Self::NotDefined { .. } | Self::NobodyDefined { .. } => ReturnCode::NotFound,
            Self::AlreadyDefined { .. } | Self::Refused { .. } => ReturnCode::Refused,
            _ => ReturnCode::Syntax,
        }
    }
}

/// What surrounds a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// Who gives it: the owner of what is defined without one.
    pub who: Id,
}

/// One thing that a command does, found out or has to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Effect {
    /// How serious it is.
    pub code: ReturnCode,
    /// A sentence or a line of a list.
    pub text: String,
}

/// What a command, or a whole script, will change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The records; empty when everything already is as wanted.
    pub changes: Vec<Change>,
    /// What it does, in words, and what was asked for.
    pub effects: Vec<Effect>,
    /// How it ends: the most serious of the effects.
    pub return_code: ReturnCode,
}

/// What stands before the operands of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Positional {
    /// Nothing.
    Nothing,
    /// Names: `A` or `(A B)`.
    Names,
    /// Names, or nothing for all.
    MaybeNames,
    /// A class, then names.
    ClassAndNames,
}

/// One command of the language.
struct Verb {
    name: &'static str,
    alias: &'static str,
    positional: Positional,
    operands: &'static [Operand],
    plan: fn(&mut Draft, &Parsed) -> Result<(), CommandError>,
}

/// Every command.
const VERBS: &[&Verb] = &[
    &user::ADDUSER,
    &user::ALTUSER,
    &user::DELUSER,
    &group::ADDGROUP,
    &group::ALTGROUP,
    &group::DELGROUP,
    &connect::CONNECT,
    &connect::REMOVE,
    &resource::RDEFINE,
    &resource::RALTER,
    &resource::RDELETE,
    &resource::ADDSD,
    &resource::ALTDSD,
    &resource::DELDSD,
    &permit::PERMIT,
    &setropts::SETROPTS,
    &list::RLIST,
    &list::SEARCH,
    &list::LISTUSER,
    &list::LISTGRP,
    &list::LISTDSD,
];

/// A command sorted into its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parsed {
    /// The class before the names, where the command has one.
    pub(crate) class: Option<Item>,
    /// The names before the operands.
    pub(crate) names: Vec<Item>,
    /// The operands.
    pub(crate) given: Given,
}

/// A command that can be read.
#[derive(Clone)]
pub struct Command {
    verb: &'static Verb,
    parsed: Parsed,
}

impl fmt::Debug for Command {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Command")
            .field("verb", &self.verb.name)
            .field("parsed", &self.parsed)
            .finish()
    }
}

/// Returns whether a word begins a command.
pub fn is_command_word(word: &str) -> bool {
    find_verb(word).is_some()
}

fn find_verb(word: &str) -> Option<&'static Verb> {
    let is_named =
        |verb: &&&Verb| word.eq_ignore_ascii_case(verb.name) || word.eq_ignore_ascii_case(verb.alias);
    VERBS.iter().find(is_named).copied()
}

impl Command {
    /// Reads one command, its continuation lines already joined.
    ///
    /// Shape:  upper or lower case, operands in any order and as short as they stay unambiguous.
    /// Errors: name the operand; none of them depends on a database.
    pub fn parse(text: &str) -> Result<Self, CommandError> {
        let items = split(text)?;
        let (first, items) = items.split_first().ok_or(CommandError::Empty)?;
        let Some(verb) = find_verb(&first.text).filter(|_| !first.is_quoted && first.items.is_none()) else {
            let word = first.text.clone();
            let nearest = nearest(&word.to_ascii_uppercase(), VERBS.iter().map(|verb| verb.name));
            return Err(CommandError::UnknownCommand { word, nearest });
        };
        let missing = |operand| CommandError::Missing { of: verb.name, operand };
        let (class, items) = match verb.positional {
            Positional::ClassAndNames => {
                let (class, items) = items.split_first().ok_or_else(|| missing("class"))?;
                (Some(class.clone()), items)
            }
            _ => (None, items),
        };
        let (names, items) = match (verb.positional, items.split_first()) {
            (Positional::Nothing, _) | (Positional::MaybeNames, None) => (Vec::new(), items),
            (_, Some((name, items))) => (grammar::one_or_list(name)?, items),
            (_, None) => return Err(missing("name")),
        };
        if let Some(wrong) =
            names.iter().chain(&class).find(|name| name.items.is_some() || name.text.is_empty())
        {
            return Err(CommandError::Value { of: verb.name, operand: "name", value: wrong.text.clone() });
        }
        let given = Given::read(verb.name, verb.operands, items)?;
        Ok(Self { verb, parsed: Parsed { class, names, given } })
    }

    /// Returns the command's whole word.
    pub fn name(&self) -> &'static str {
        self.verb.name
    }

    /// Returns what the command would change in a database.
    pub fn plan(&self, database: &Database, context: &Context) -> Result<Plan, CommandError> {
        let mut draft = Draft::new(database.clone(), context.clone());
        self.draft(&mut draft)?;
        Ok(draft.into_plan(database))
    }

    /// Carries the command out on a draft.
    pub(crate) fn draft(&self, draft: &mut Draft) -> Result<(), CommandError> {
        (self.verb.plan)(draft, &self.parsed)
    }
}

#[cfg(test)]
mod tests;

//! ACF2 and Top Secret: what their commands mean in the language of RACF.
//!
//! Only what the product's own security job uses is read, and it becomes the same commands that RACF's section of that
//! job has. What has no counterpart (storing, rebuilding, facilities of sign-on) becomes nothing; what would give or take
//! access and is not understood is an error.

mod acf2;
mod top_secret;

use self::acf2::Acf2;
use crate::command::{Command, CommandError, Draft, Item, is_command_word, nearest, split};
use crate::level::AccessLevel;

/// Whose language a statement is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// RACF.
    Racf,
    /// ACF2.
    Acf2,
    /// Top Secret.
    TopSecret,
}

impl Dialect {
    /// Returns whose command a word begins; `None` for RACF's and for no command.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        let word = word.to_ascii_uppercase();
        if word == "TSS" {
            Some(Self::TopSecret)
        } else if acf2::WORDS.contains(&&*word) || word.trim_start_matches('.').starts_with('$') {
            Some(Self::Acf2)
        } else {
            None
        }
    }
}

/// A command and what to do instead if what it is about is, or is not, there already.
#[derive(Debug, Clone)]
pub(crate) struct Action {
    pub(crate) command: Command,
    otherwise: Option<Command>,
}

impl Action {
    pub(crate) fn draft(&self, draft: &mut Draft) -> Result<(), CommandError> {
        match (self.command.draft(draft), &self.otherwise) {
            (Err(CommandError::AlreadyDefined { .. } | CommandError::NotDefined { .. }), Some(otherwise)) => {
                otherwise.draft(draft)
            }
            (ended, _) => ended,
        }
    }
}

/// Makes an action of a command in RACF's language.
fn action(text: &str) -> Result<Action, CommandError> {
    Ok(Action { command: Command::parse(text)?, otherwise: None })
}

/// Makes an action of a command and of what to do instead.
fn action_or(text: &str, otherwise: &str) -> Result<Action, CommandError> {
    Ok(Action { command: Command::parse(text)?, otherwise: Some(Command::parse(otherwise)?) })
}

/// Reads statements one after the other and remembers what later ones depend on.
#[derive(Debug, Default)]
pub(crate) struct Translator {
    acf2: Acf2,
}

/// Words around the commands of a job, which say nothing about authorisation.
const WRAPPING: &[&str] = &["PROFILE", "EXIT", "LOGOFF", "TIME", "STATUS"];

impl Translator {
    /// Reads one statement.
    pub(crate) fn read(&mut self, text: &str) -> Result<(Dialect, Vec<Action>), CommandError> {
        let word = text.split([' ', '(']).next().unwrap_or_default();
        if self.acf2.is_in_rule() || (Dialect::of_word(word) == Some(Dialect::Acf2) && !is_command_word(word))
        {
            return Ok((Dialect::Acf2, self.acf2.read(text)?));
        }
        if Dialect::of_word(word) == Some(Dialect::TopSecret) {
            return Ok((Dialect::TopSecret, top_secret::read(text)?));
        }
        if WRAPPING.iter().any(|wrapping| wrapping.eq_ignore_ascii_case(word)) {
            return Ok((Dialect::Racf, Vec::new()));
        }
        Ok((Dialect::Racf, vec![Action { command: Command::parse(text)?, otherwise: None }]))
    }
}

/// Operands as they stand in either language: a word, and what is in parentheses behind it.
struct Operands {
    of: &'static str,
    items: Vec<Item>,
    known: Vec<&'static str>,
}

impl Operands {
    fn new(of: &'static str, items: &[Item]) -> Self {
        Self { of, items: items.to_vec(), known: Vec::new() }
    }

    /// Takes an operand out; `None` when it is not there.
    fn take(&mut self, name: &'static str) -> Option<Item> {
        self.known.push(name);
        let at =
            self.items.iter().position(|item| item.text.eq_ignore_ascii_case(name) && !item.is_quoted)?;
        Some(self.items.remove(at))
    }

    fn has(&mut self, name: &'static str) -> bool {
        self.take(name).is_some()
    }

    /// Takes the one value of an operand out, which is a single word.
    fn value(&mut self, name: &'static str) -> Result<Option<String>, CommandError> {
        let of = self.of;
        self.text(name)?.map(|value| word(of, name, value)).transpose()
    }

    /// Takes the one value of an operand out, which may be any text.
    fn text(&mut self, name: &'static str) -> Result<Option<String>, CommandError> {
        let Some(item) = self.take(name) else { return Ok(None) };
        match item.items.as_deref() {
            Some([value]) if value.items.is_none() => Ok(Some(value.folded())),
            Some(values) => Err(CommandError::OneValue { operand: name, found: values.len() }),
            None => Err(CommandError::NeedsValue { operand: name }),
        }
    }

    /// Takes every value of an operand out.
    fn values(&mut self, name: &'static str) -> Result<Vec<String>, CommandError> {
        let Some(item) = self.take(name) else { return Ok(Vec::new()) };
        let items = item.items.ok_or(CommandError::NeedsValue { operand: name })?;
        items.iter().map(|item| word(self.of, name, item.folded())).collect()
    }

    /// Takes a path out, whose letters stay as they are.
    fn path(&mut self, name: &'static str) -> Option<String> {
        let item = self.take(name)?;
        item.items.and_then(|items| items.into_iter().next()).map(|item| item.text)
    }

    fn require(&mut self, name: &'static str) -> Result<String, CommandError> {
        let of = self.of;
        self.value(name)?.ok_or(CommandError::Missing { of, operand: name })
    }

    /// Refuses what is left over.
    fn finish(self) -> Result<(), CommandError> {
        match self.items.first() {
            None => Ok(()),
            Some(item) => Err(CommandError::UnknownOperand {
                of: self.of,
                operand: item.text.clone(),
                nearest: nearest(&item.text.to_ascii_uppercase(), self.known.iter().copied()),
            }),
        }
    }
}

/// Refuses what would be more than one word in the command that is made of it.
fn word(of: &'static str, operand: &'static str, value: String) -> Result<String, CommandError> {
    if value.is_empty() || value.contains(|found: char| found.is_whitespace() || "(),;'".contains(found)) {
        return Err(CommandError::Value { of, operand, value });
    }
    Ok(value)
}

/// Makes the OMVS operand of a user.
fn omvs(uid: Option<&str>, home: Option<&str>, program: Option<&str>) -> Option<String> {
    let quote = |text: &str| text.replace('\'', "''");
    let mut words = Vec::new();
    match uid {
        Some("?" | "") => words.push("AUTOUID".to_owned()),
        Some(uid) => words.push(format!("UID({uid})")),
        None => {}
    }
    words.extend(home.map(|home| format!("HOME('{}')", quote(home))));
    words.extend(program.map(|program| format!("PROGRAM('{}')", quote(program))));
    (!words.is_empty()).then(|| format!("OMVS({})", words.join(" ")))
}

/// Makes sure of a profile that says nothing and permits somebody.
fn define_and_permit(
    class: &str,
    profile: &str,
    id: &str,
    access: AccessLevel,
) -> Result<Vec<Action>, CommandError> {
    let noop = format!("RALTER {class} '{profile}'");
    Ok(vec![
        action_or(&format!("RDEFINE {class} '{profile}' UACC(NONE)"), &noop)?,
        action(&format!("PERMIT '{profile}' CLASS({class}) ID({id}) ACCESS({access})"))?,
    ])
}

/// Makes a class and activates it.
fn define_class(class: &str, length_max: &str) -> Result<Vec<Action>, CommandError> {
    let define = format!("RDEFINE CDT {class} CDTINFO(MAXLENGTH({length_max}) RACLIST(DISALLOWED))");
    Ok(vec![
        action_or(&define, &format!("RALTER CDT {class}"))?,
        action(&format!("SETROPTS CLASSACT({class})"))?,
    ])
}

/// Splits a statement and drops its first word.
fn operands_after_first(text: &str) -> Result<(String, Vec<Item>), CommandError> {
    let mut items = split(text)?;
    if items.is_empty() {
        return Err(CommandError::Empty);
    }
    let first = items.remove(0);
    Ok((first.text.to_ascii_uppercase(), items))
}

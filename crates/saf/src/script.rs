//! Scripts: many commands, carried out together or not at all.
//!
//! A command goes on in the next line after a `-` or `+` at the end, and in an indented line that does not begin with a
//! command. Symbols as in JCL (`&NAME.`) are replaced first. Each statement is RACF's, ACF2's or Top Secret's by its first
//! word, so that a job that has a section for each can be read as it is.

use std::collections::BTreeMap;

use crate::command::{Command, CommandError, Context, Draft, Plan, is_command_word};
use crate::database::Database;
use crate::dialect::{Action, Dialect, Translator};

/// Says which statement of a script cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// A statement cannot be read or carried out.
    #[error("line {line}, `{}`", shortened(text))]
    Statement {
        /// Where it begins, from 1.
        line: usize,
        /// The statement.
        text: String,
        /// Why.
        #[source]
        source: Box<CommandError>,
    },
    /// A symbol has no value.
    #[error("line {line}: symbol &{symbol} has no value")]
    Symbol {
        /// Where.
        line: usize,
        /// Which.
        symbol: String,
    },
}

/// Shortens a statement for a message: what is in parentheses may be a password under a mistyped word.
fn shortened(text: &str) -> String {
    match text.split_once('(') {
        Some((before, _)) => format!("{before}(…"),
        None => text.to_owned(),
    }
}

/// One statement of a script.
#[derive(Debug, Clone)]
pub struct Statement {
    /// Where it begins, from 1.
    pub line: usize,
    /// What it says, continuation lines joined.
    pub text: String,
    /// Whose language it is in.
    pub dialect: Dialect,
    actions: Vec<Action>,
}

impl Statement {
    /// Returns the commands that it stands for: one for RACF, none or several for the others.
    pub fn commands(&self) -> impl Iterator<Item = &Command> {
        self.actions.iter().map(|action| &action.command)
    }
}

/// Commands to be carried out together.
#[derive(Debug, Clone)]
pub struct Script {
    /// The statements, in order.
    pub statements: Vec<Statement>,
}

impl Script {
    /// Reads a script.
    ///
    /// Errors: the first statement that cannot be read, or symbol that has no value.
    pub fn parse(text: &str, symbols: &BTreeMap<String, String>) -> Result<Self, ScriptError> {
        Self::parse_with(text, Some(symbols))
    }

    /// Reads a script without symbols: an ampersand is an ampersand.
    pub fn parse_plain(text: &str) -> Result<Self, ScriptError> {
        Self::parse_with(text, None)
    }

    fn parse_with(text: &str, symbols: Option<&BTreeMap<String, String>>) -> Result<Self, ScriptError> {
        let mut translator = Translator::default();
        let mut statements = Vec::new();
        for (line, text) in joined(text, symbols)? {
            let failed =
                |source| ScriptError::Statement { line, text: text.clone(), source: Box::new(source) };
            let (dialect, actions) = translator.read(&text).map_err(failed)?;
            statements.push(Statement { line, text, dialect, actions });
        }
        Ok(Self { statements })
    }

    /// Returns what the whole script would change.
    ///
    /// Errors: the first statement that fails; then nothing of the script is carried out.
    pub fn plan(&self, database: &Database, context: &Context) -> Result<Plan, ScriptError> {
        let mut draft = Draft::new(database.clone(), context.clone());
        self.draft(&mut draft)?;
        Ok(draft.into_plan(database))
    }

    /// Carries the script out on a draft.
    pub(crate) fn draft(&self, draft: &mut Draft) -> Result<(), ScriptError> {
        for statement in &self.statements {
            if statement.actions.is_empty() {
                draft.note(format!("nothing to do for `{}`", shortened(&statement.text)));
            }
            for action in &statement.actions {
                action.draft(draft).map_err(|source| ScriptError::Statement {
                    line: statement.line,
                    text: statement.text.clone(),
                    source: Box::new(source),
                })?;
            }
        }
        Ok(())
    }
}

/// Returns the statements with the line each begins in.
fn joined(
    text: &str,
    symbols: Option<&BTreeMap<String, String>>,
) -> Result<Vec<(usize, String)>, ScriptError> {
    let mut statements: Vec<(usize, String)> = Vec::new();
    let mut goes_on = None;
    let mut is_comment = false;
    // Lines of an ACF2 rule are indented as their writer likes.
    let mut is_rule = false;
    for (index, line) in text.lines().enumerate() {
        let line = match symbols {
            Some(symbols) => substituted(line.trim_end(), symbols, index + 1)?,
            None => line.trim_end().to_owned(),
        };
        let bare = line.trim_start();
        if is_comment || (goes_on.is_none() && bare.starts_with("/*")) {
            is_comment = !bare.ends_with("*/");
            continue;
        }
        // Lines of job control around the commands, and comments of ACF2.
        let is_star = !is_rule && (bare == "*" || bare.starts_with("* "));
        if goes_on.is_none() && (bare.is_empty() || bare.starts_with("//") || is_star) {
            continue;
        }
        let first = bare.split([' ', '(']).next().unwrap_or_default().to_ascii_uppercase();
        is_rule = first == "COMPILE" || (is_rule && first != "STORE" && first != "END");
        let is_indented = !is_rule && line.len() > bare.len() && !begins_statement(bare);
        let (body, next) = match line.strip_suffix(['-', '+']) {
            Some(body) => (body, line.chars().next_back()),
            None => (line.as_str(), None),
        };
        match (goes_on.take(), statements.last_mut()) {
            (Some('+'), Some((_, before))) => before.push_str(body.trim_start()),
            (Some(_), Some((_, before))) => before.push_str(body),
            (None, Some((_, before))) if is_indented => {
                before.push(' ');
                before.push_str(body.trim_start());
            }
            _ => statements.push((index + 1, body.trim_start().to_owned())),
        }
        goes_on = next;
    }
    Ok(statements)
}

/// Returns whether a line begins a statement of any of the languages.
fn begins_statement(line: &str) -> bool {
    let word = line.split([' ', '(']).next().unwrap_or_default();
    is_command_word(word) || Dialect::of_word(word).is_some()
}

/// Replaces `&NAME.` and `&NAME`.
fn substituted(line: &str, symbols: &BTreeMap<String, String>, number: usize) -> Result<String, ScriptError> {
    let mut pieces = line.split('&');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = piece.find(|found: char| !found.is_ascii_alphanumeric()).unwrap_or(piece.len());
        let symbol = piece[..end].to_ascii_uppercase();
        let value = symbols.get(&symbol).ok_or(ScriptError::Symbol { line: number, symbol })?;
        let rest = &piece[end..];
        text.push_str(value);
        text.push_str(rest.strip_prefix('.').unwrap_or(rest));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;

//! A member as pieces that together are its text.

use super::EditError;
use crate::member::{Lines, Member, RECORD_COLUMNS, STATEMENT_BYTES_MAX, WarningKind};

/// Records that are written leave the columns of sequence numbers free.
const WRITTEN_COLUMNS: usize = RECORD_COLUMNS - 8;

/// Some records, with their ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// A blank record, a comment, or something that is nothing.
    Other(String),
    /// A statement with its continuations.
    Statement { key: String, value: Option<String>, raw: String },
    /// A continuation that the end of the member cuts off. Nothing may come to stand behind it.
    Dangling(String),
}

/// A member that can be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Document {
    pub(super) pieces: Vec<Piece>,
    line_end: &'static str,
}

impl Document {
    /// Takes a text apart, with the grammar of [`Member::parse`].
    pub(super) fn parse(which: &'static str, text: &str) -> Result<Self, EditError> {
        let member =
            Member::parse(which, text.as_bytes()).map_err(|source| EditError::Member { which, source })?;
        let records: Vec<&str> = text.split_inclusive('\n').collect();
        let raw = |lines: Lines| records[lines.first as usize - 1..lines.last as usize].concat();
        let mut pieces = Vec::new();
        let mut next = 1;
        let others = |pieces: &mut Vec<Piece>, until: u32, from: u32| {
            let between = records[from as usize - 1..until as usize - 1].iter();
            pieces.extend(between.map(|record| Piece::Other((*record).to_owned())));
        };
        for parameter in member.parameters() {
            others(&mut pieces, parameter.lines.first, next);
            next = parameter.lines.last + 1;
            let (key, value) = (parameter.key.clone(), parameter.value.clone());
            pieces.push(Piece::Statement { key, value, raw: raw(parameter.lines) });
        }
        let dangling = member.warnings().iter().find_map(|warning| match warning.kind {
            WarningKind::ContinuationAtEnd { .. } => Some(warning.lines),
            _ => None,
        });
        let end = u32::try_from(records.len()).unwrap_or(u32::MAX) + 1;
        others(&mut pieces, dangling.map_or(end, |lines| lines.first), next);
        if let Some(lines) = dangling {
            pieces.push(Piece::Dangling(raw(lines)));
        }
        let line_end =
            if records.first().is_some_and(|record| record.ends_with("\r\n")) { "\r\n" } else { "\n" };
        Ok(Self { pieces, line_end })
    }

    /// Puts the pieces together again.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for piece in &self.pieces {
            // What was last may have had no end, and may not be last any more.
            if !text.is_empty() && !text.ends_with('\n') {
                text.push_str(self.line_end);
            }
            text.push_str(piece.raw());
        }
        text
    }

    /// Returns where the statement that counts for a key is.
    pub(super) fn position(&self, wanted: &str) -> Option<usize> {
        self.pieces.iter().rposition(|piece| matches!(piece, Piece::Statement { key, .. } if key == wanted))
    }

    /// Returns the value that counts for a key; a key alone has an empty one.
    pub(super) fn value(&self, wanted: &str) -> Option<&str> {
        match &self.pieces[self.position(wanted)?] {
            Piece::Statement { value, .. } => Some(value.as_deref().unwrap_or_default()),
            Piece::Other(_) | Piece::Dangling(_) => None,
        }
    }

    /// Returns each key once, in the order of the statements that count.
    pub(super) fn keys(&self) -> Vec<&str> {
        let mut keys = Vec::new();
        for (position, piece) in self.pieces.iter().enumerate() {
            if let Piece::Statement { key, .. } = piece
                && self.position(key) == Some(position)
            {
                keys.push(key.as_str());
            }
        }
        keys
    }

    /// Gives the statement that counts for a key another value.
    pub(super) fn replace(&mut self, position: usize, new: &str) -> Result<(), EditError> {
        let Piece::Statement { key, value, raw } = &mut self.pieces[position] else { return Ok(()) };
        let indent = raw.len() - raw.trim_start_matches([' ', '\t']).len();
        *raw = written(&raw[..indent], key, new, self.line_end)?;
        *value = Some(new.to_owned());
        Ok(())
    }

    /// Makes a statement in this document's style.
    pub(super) fn statement(&self, key: &str, value: &str) -> Result<Piece, EditError> {
        let raw = written("", key, value, self.line_end)?;
        Ok(Piece::Statement { key: key.to_owned(), value: Some(value.to_owned()), raw })
    }

    /// Returns where something can be put at the end.
    pub(super) fn end(&self) -> usize {
        match self.pieces.last() {
            Some(Piece::Dangling(_)) => self.pieces.len() - 1,
            _ => self.pieces.len(),
        }
    }

    pub(super) fn line_end(&self) -> &'static str {
        self.line_end
    }
}

impl Piece {
    pub(super) fn raw(&self) -> &str {
        match self {
            Self::Other(raw) | Self::Dangling(raw) | Self::Statement { raw, .. } => raw,
        }
    }
}

fn is_blank(character: char) -> bool {
    character == ' ' || character == '\t'
}

fn check_key(key: &str) -> Result<(), EditError> {
    let refused = |reason| EditError::Key { key: key.to_owned(), reason };
    match key {
        "" => Err(refused("it is empty")),
        _ if key.contains('=') => Err(refused("it holds `=`")),
        _ if key.starts_with('*') || key.starts_with("//*") => Err(refused("it would begin a comment")),
        _ if key.starts_with(is_blank) => Err(refused("it begins with a blank")),
        _ if key.contains(char::is_control) => Err(refused("it holds a control character")),
        _ if key.len() > crate::member::KEY_BYTES_MAX => Err(refused("it is too long")),
        _ => Ok(()),
    }
}

/// Writes a statement as records that read back as exactly this key and value.
fn written(indent: &str, key: &str, value: &str, line_end: &str) -> Result<String, EditError> {
    check_key(key)?;
    let refused = |reason| EditError::Value { key: key.to_owned(), value: value.to_owned(), reason };
    if value.contains(|character: char| character.is_control() && character != '\t') {
        return Err(refused("it holds a control character"));
    }
    if value.ends_with(is_blank) {
        return Err(refused("a blank at its end would be lost"));
    }
    if value.ends_with('\\') {
        return Err(refused("`\\` at its end would continue it"));
    }
    // `KEY=` and `KEY` mean the same; the second is how flags are written.
    let statement = if value.is_empty() { key.to_owned() } else { format!("{key}={value}") };
    if statement.ends_with(is_blank) || statement.ends_with('\\') {
        return Err(EditError::Key {
            key: key.to_owned(),
            reason: "its end would be read as something else",
        });
    }
    if indent.chars().count() + statement.chars().count() <= WRITTEN_COLUMNS {
        return Ok(format!("{indent}{statement}{line_end}"));
    }
    if statement.len() >= STATEMENT_BYTES_MAX {
        return Err(refused("it is too long for a statement"));
    }
    records(&statement, line_end).ok_or_else(|| refused("it has too many blanks in a row to be continued"))
}

/// Splits a statement so that no record begins with what would be lost or taken for a comment.
fn records(statement: &str, line_end: &str) -> Option<String> {
    let characters: Vec<char> = statement.chars().collect();
    let may_begin = |at: usize| {
        let rest = &characters[at..];
        !is_blank(rest[0]) && rest[0] != '*' && !rest.starts_with(&['/', '/', '*'])
    };
    let mut text = String::new();
    let mut from = 0;
    while characters.len() - from > WRITTEN_COLUMNS {
        let until = (from + 1..from + WRITTEN_COLUMNS).rev().find(|at| may_begin(*at))?;
        text.extend(&characters[from..until]);
        text.push('\\');
        text.push_str(line_end);
        from = until;
    }
    text.extend(&characters[from..]);
    text.push_str(line_end);
    Some(text)
}

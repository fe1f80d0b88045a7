//! Records to statements.

use std::collections::HashMap;

use super::warning::shown;
use super::{
    KEY_BYTES_MAX, Lines, MEMBER_BYTES_MAX, Member, MemberError, Parameter, RECORD_COLUMNS,
    STATEMENT_BYTES_MAX, Warning, WarningKind,
};

const BLANKS: [char; 2] = [' ', '\t'];

/// The columns that hold a sequence number where records are numbered.
const SEQUENCE_COLUMN: usize = 73;

/// A statement whose next record has not come yet.
#[derive(Debug)]
struct Open {
    text: String,
    first: u32,
    column: u32,
}

#[derive(Debug)]
struct Parser<'n> {
    name: &'n str,
    parameters: Vec<Parameter>,
    warnings: Vec<Warning>,
    open: Option<Open>,
    /// Where a key stood last.
    seen: HashMap<String, Lines>,
}

pub(super) fn parse(name: &str, bytes: &[u8]) -> Result<Member, MemberError> {
    if bytes.len() > MEMBER_BYTES_MAX {
        return Err(MemberError::TooLarge { member: name.to_owned() });
    }
    let text = text_of(name, bytes)?;
    let mut parser =
        Parser { name, parameters: Vec::new(), warnings: Vec::new(), open: None, seen: HashMap::new() };
    let mut last = 0;
    for (number, record) in (1..).zip(text.lines()) {
        parser.record(number, record)?;
        last = number;
    }
    if let Some(open) = parser.open.take() {
        let lines = Lines { first: open.first, last };
        parser.warn(lines, WarningKind::ContinuationAtEnd { text: shown(&open.text) });
    }
    Ok(Member { name: name.to_owned(), parameters: parser.parameters, warnings: parser.warnings })
}

/// Takes bytes as text, without control characters: nothing that a terminal or a log would act on gets in.
fn text_of<'b>(name: &str, bytes: &'b [u8]) -> Result<&'b str, MemberError> {
    let refused = |line: usize, column: usize, found: String| MemberError::NotText {
        member: name.to_owned(),
        line: u32::try_from(line).unwrap_or(u32::MAX),
        column: u32::try_from(column).unwrap_or(u32::MAX),
        found,
    };
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(fault) => {
            let good = String::from_utf8_lossy(&bytes[..fault.valid_up_to()]);
            let last = good.rsplit('\n').next().unwrap_or_default();
            let line = good.matches('\n').count() + 1;
            let found = format!("byte {:#04x} is not UTF-8", bytes[fault.valid_up_to()]);
            return Err(refused(line, last.chars().count() + 1, found));
        }
    };
    for (number, record) in (1..).zip(text.lines()) {
        let control = record.chars().position(|character| character.is_control() && character != '\t');
        if let Some(at) = control {
            let found = format!("control character {:?}", record.chars().nth(at).unwrap_or_default());
            return Err(refused(number, at + 1, found));
        }
    }
    Ok(text)
}

fn is_comment(record: &str) -> bool {
    record.starts_with('*') || record.starts_with("//*")
}

impl Parser<'_> {
    fn warn(&mut self, lines: Lines, kind: WarningKind) {
        self.warnings.push(Warning { lines, kind });
    }

    fn record(&mut self, number: u32, record: &str) -> Result<(), MemberError> {
        let trimmed = record.trim_matches(BLANKS);
        let here = Lines { first: number, last: number };
        let is_continuing = self.open.is_some();
        if !is_continuing && (trimmed.is_empty() || is_comment(trimmed)) {
            return Ok(());
        }
        if is_continuing && is_comment(trimmed) {
            self.warn(here, WarningKind::CommentInContinuation { text: shown(trimmed) });
        }
        self.look_at_columns(here, record.trim_end_matches(BLANKS));
        let (body, goes_on) = match trimmed.strip_suffix('\\') {
            Some(body) => (body, true),
            None => (trimmed, false),
        };
        let before = record.chars().take_while(|character| BLANKS.contains(character)).count();
        let column = u32::try_from(before + 1).unwrap_or(u32::MAX);
        let mut open =
            self.open.take().unwrap_or_else(|| Open { text: String::new(), first: number, column });
        open.text.push_str(body);
        let lines = Lines { first: open.first, last: number };
        // The reference counts a terminator.
        if (is_continuing || goes_on) && open.text.len() >= STATEMENT_BYTES_MAX {
            return Err(MemberError::ContinuationTooLong { member: self.name.to_owned(), lines });
        }
        if goes_on {
            self.open = Some(open);
            return Ok(());
        }
        self.statement(lines, &open)
    }

    /// Warns of what a record of a data set would hold, or could not.
    fn look_at_columns(&mut self, here: Lines, record: &str) {
        let columns = record.chars().count();
        if columns > RECORD_COLUMNS {
            let columns = u32::try_from(columns).unwrap_or(u32::MAX);
            self.warn(here, WarningKind::LongRecord { columns });
            return;
        }
        if columns < SEQUENCE_COLUMN {
            return;
        }
        let before = record.chars().nth(SEQUENCE_COLUMN - 2);
        let text: String = record.chars().skip(SEQUENCE_COLUMN - 1).collect();
        let is_number = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit());
        // `\` in the last column alone is where an editor leaves a continuation.
        let is_apart = before.is_some_and(|character| BLANKS.contains(&character)) && text.trim() != "\\";
        if is_number || is_apart {
            self.warn(here, WarningKind::SequenceColumns { text });
        }
    }

    fn statement(&mut self, lines: Lines, open: &Open) -> Result<(), MemberError> {
        let (key, value) = match open.text.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (open.text.as_str(), None),
        };
        if key.is_empty() {
            // Continuations of nothing leave nothing; `=VALUE` is somebody's mistake.
            if value.is_some() {
                self.warn(lines, WarningKind::NoKey);
            }
            return Ok(());
        }
        if key.len() > KEY_BYTES_MAX {
            return Err(MemberError::KeyTooLong { member: self.name.to_owned(), lines });
        }
        if let Some(before) = self.seen.insert(key.to_owned(), lines) {
            self.warn(lines, WarningKind::Repeated { key: shown(key), before });
        }
        self.parameters.push(Parameter {
            key: key.to_owned(),
            value: value.map(str::to_owned),
            lines,
            column: open.column,
        });
        Ok(())
    }
}

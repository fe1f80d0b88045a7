//! Shows outcomes and errors: tables and messages for people, JSON for machines.

mod hanging;

use std::io::{self, IsTerminal as _, Write};

use comfy_table::{ColumnConstraint, ContentArrangement, Table as TextTable, presets};
use tender_package::{Message, Outcome, Severity, Table};

use crate::error::CommandError;
use crate::serving::store::shown;

/// What a screen has that says nothing else.
const COLUMNS_USUAL: u16 = 80;
const COLUMNS_MIN: u16 = 40;

/// For whom to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Tables and messages.
    People,
    /// One JSON document.
    Machines,
}

/// Returns the tables and messages of an answer as text, for a screen that is drawn again and again.
pub(crate) fn text(outcome: &Outcome) -> io::Result<String> {
    let mut out = Vec::new();
    for shown in outcome.tables.iter().filter(|table| !table.rows.is_empty()) {
        write_table(&mut out, shown)?;
    }
    for told in &outcome.messages {
        message(&mut out, told)?;
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// Writes what a command answered: the answer to standard output, errors to standard error.
pub(crate) fn outcome(outcome: &Outcome, audience: Audience) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if audience == Audience::Machines {
        let document = serde_json::json!({
            "code": outcome.code,
            "messages": outcome.messages,
            "data": outcome.data,
        });
        serde_json::to_writer_pretty(&mut out, &document)?;
        return writeln!(out);
    }
    for shown in outcome.tables.iter().filter(|table| !table.rows.is_empty()) {
        write_table(&mut out, shown)?;
    }
    let is_silent = outcome.messages.is_empty() && outcome.tables.iter().all(|table| table.rows.is_empty());
    for empty in outcome.tables.iter().filter(|_| is_silent) {
        // Silence would leave open whether anything was looked at.
        let title = if empty.title.is_empty() { String::new() } else { format!("{}: ", empty.title) };
        writeln!(out, "{title}none")?;
    }
    for told in &outcome.messages {
        if matches!(told.severity, Severity::E | Severity::S) {
            out.flush()?;
            message(&mut io::stderr().lock(), told)?;
        } else {
            message(&mut out, told)?;
        }
    }
    out.flush()
}

fn message(out: &mut dyn Write, told: &Message) -> io::Result<()> {
    writeln!(out, "{told}")?;
    told.hint.as_ref().map_or(Ok(()), |hint| writeln!(out, "          {hint}"))
}

fn write_table(out: &mut dyn Write, table: &Table) -> io::Result<()> {
    let mut text = TextTable::new();
    text.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if let Some(width) = width() {
        text.set_width(width);
    }
    // A column without a word in it says nothing.
    let said: Vec<usize> = (0..table.header.len())
        .filter(|at| table.rows.iter().any(|row| row.get(*at).is_some_and(|cell| !cell.is_empty())))
        .collect();
    if !table.title.is_empty() {
        writeln!(out, "{}", table.title)?;
    }
    if let Some(lines) = text.width().and_then(|width| hanging::lines(table, &said, usize::from(width))) {
        for line in lines {
            writeln!(out, "{line}")?;
        }
        return writeln!(out);
    }
    text.set_header(said.iter().filter_map(|at| table.header.get(*at)));
    for row in &table.rows {
        text.add_row(said.iter().filter_map(|at| row.get(*at)));
    }
    // Names stay whole: they are what one copies.
    if let Some(names) = text.column_mut(0).filter(|_| said.len() > 1) {
        names.set_constraint(ColumnConstraint::ContentWidth);
    }
    for line in text.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    writeln!(out)
}

/// Returns the columns that a table may take when there is no terminal to ask: `COLUMNS`, else 80.
fn width() -> Option<u16> {
    if io::stdout().is_terminal() {
        return None;
    }
    let told = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    Some(told.unwrap_or(COLUMNS_USUAL).max(COLUMNS_MIN))
}

/// Writes what the parser of the command line says: help as it is, an error with its number.
pub(crate) fn usage(fault: &clap::Error) -> io::Result<()> {
    // What was typed is repeated, and a password may stand in an address.
    let text = fault.render().to_string();
    let text: String = text.split_inclusive(['\'', '`', ' ', '\n']).map(shown).collect();
    match text.strip_prefix("error: ") {
        Some(error) => write!(io::stderr().lock(), "{} {error}", crate::error::WORDS_ID),
        None => fault.print(),
    }
}

/// Writes an error with its causes and the way on.
pub(crate) fn error(fault: &CommandError, audience: Audience) -> io::Result<()> {
    let code = fault.code();
    let mut causes = Vec::new();
    let mut source = std::error::Error::source(fault);
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    if audience == Audience::Machines {
        let document = serde_json::json!({
            "code": code,
            "id": fault.id(),
            "error": fault.to_string(),
            "causes": causes,
            "hint": fault.hint(),
        });
        let mut out = io::stdout().lock();
        serde_json::to_writer_pretty(&mut out, &document)?;
        return writeln!(out);
    }
    let mut out = io::stderr().lock();
    writeln!(out, "{} {fault}", fault.id())?;
    for cause in causes {
        writeln!(out, "          because: {cause}")?;
    }
    fault.hint().map_or(Ok(()), |hint| writeln!(out, "          {hint}"))
}

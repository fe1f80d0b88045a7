//! One step of the quickstart: why, the command as typed, what it answers.

use std::io::{self, Write as _};

use super::stage::Stage;
use super::{QuickstartError, interrupt};

/// Tells the story and carries it out.
#[derive(Debug)]
pub(crate) struct Teller<'a> {
    stage: &'a Stage,
    number: usize,
}

impl<'a> Teller<'a> {
    /// Starts to tell on a stage.
    pub(crate) fn new(stage: &'a Stage, number: usize) -> Self {
        Self { stage, number }
    }

    /// Returns the number of the last step told.
    pub(crate) fn number(&self) -> usize {
        self.number
    }

    /// Says what comes now and why.
    pub(crate) fn chapter(&mut self, why: &str) -> Result<(), QuickstartError> {
        self.number += 1;
        let mut out = io::stdout().lock();
        writeln!(out, "\n{}. {why}", self.number).map_err(QuickstartError::Tell)
    }

    /// Shows something done by other means than Tender.
    pub(crate) fn aside(&self, host: &str, text: &str) -> Result<(), QuickstartError> {
        writeln!(io::stdout().lock(), "\n   {host}$ {text}").map_err(QuickstartError::Tell)
    }

    /// Shows what something done by other means answered.
    pub(crate) fn answer(&self, text: &str) -> Result<(), QuickstartError> {
        writeln!(io::stdout().lock(), "   {}", text.trim_end()).map_err(QuickstartError::Tell)
    }

    /// Runs one command as typed on `host` and returns what it printed.
    ///
    /// Errors: [`QuickstartError::Step`] when it ends with a code that is not in `expected`.
    pub(crate) fn run(&self, host: &str, line: &str, expected: &[i32]) -> Result<String, QuickstartError> {
        self.aside(host, &format!("tender {line}"))?;
        let words = split(line);
        let output = self
            .stage
            .command(host, &words)
            .output()
            .map_err(|source| QuickstartError::Agent { host: host.to_owned(), source })?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        if interrupt::is_interrupted() {
            return Err(QuickstartError::Interrupted);
        }
        let mut out = io::stdout().lock();
        for line in text.lines() {
            writeln!(out, "   {line}").map_err(QuickstartError::Tell)?;
        }
        match output.status.code() {
            Some(code) if expected.contains(&code) => {
                if code != 0 {
                    writeln!(out, "   (return code {code})").map_err(QuickstartError::Tell)?;
                }
                Ok(text)
            }
            code => Err(QuickstartError::Step { line: line.to_owned(), code, expected: expected.to_vec() }),
        }
    }
}

/// Splits a line into words the way a shell does; single quotes keep words together.
fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, piece) in line.split('\'').enumerate() {
        if index % 2 == 1 {
            words.push(piece.to_owned());
        } else {
            words.extend(piece.split_whitespace().map(str::to_owned));
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn line_with_quotes_is_split_as_a_shell_does() {
        assert_eq!(split("a 'b c' '(test'"), ["a", "b c", "(test"]);
    }
}

//! Assignments of a shell, without the shell.

use std::path::Path;
use std::sync::Arc;

use crate::origin::Origin;
use crate::problem::Problem;
use crate::template::{self, Variable};

/// A variable that was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) origin: Origin,
}

/// Reads assignments; values may use variables that were set before, here or in `known`.
pub(super) fn parse(
    text: &str,
    file: &Path,
    known: &[Assignment],
    problems: &mut Vec<Problem>,
) -> Vec<Assignment> {
    let file: Arc<Path> = Arc::from(file);
    let mut reader = Reader { text, at: 0, file: &file, known, found: Vec::new(), problems };
    reader.all();
    reader.found
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    file: &'a Arc<Path>,
    known: &'a [Assignment],
    found: Vec<Assignment>,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn all(&mut self) {
        loop {
            self.skip(|character| character.is_whitespace() || character == ';');
            match self.peek() {
                None => return,
                Some('#') => self.skip_line(),
                Some(_) => {
                    if let Err(problem) = self.assignment() {
                        self.problems.push(*problem);
                        self.skip_line();
                    }
                }
            }
        }
    }

    fn assignment(&mut self) -> Result<(), Box<Problem>> {
        let origin = self.origin();
        let rest = &self.text[self.at..];
        let length = rest.find(|character: char| !(character.is_ascii_alphanumeric() || character == '_'));
        let name = &rest[..length.unwrap_or(rest.len())];
        if matches!(name, "export" | "declare" | "typeset" | "readonly") {
            self.at += name.len();
            self.skip(|character| matches!(character, ' ' | '\t'));
            if self.text[self.at..].starts_with("-x ") {
                self.at += 3;
                self.skip(|character| matches!(character, ' ' | '\t'));
            }
            return if self.peek().is_some_and(|next| next.is_ascii_alphabetic() || next == '_') {
                self.exported()
            } else {
                Err(self.not_understood(&origin))
            };
        }
        let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        if !starts_well || !rest[name.len()..].starts_with('=') {
            return Err(self.not_understood(&origin));
        }
        let name = name.to_owned();
        self.at += name.len() + 1;
        let value = self.value(&origin)?;
        self.found.push(Assignment { name, value, origin });
        Ok(())
    }

    /// What follows `export`: an assignment, or the name of a variable that is exported anyway.
    fn exported(&mut self) -> Result<(), Box<Problem>> {
        let rest = &self.text[self.at..];
        let end = rest.find(|character: char| !(character.is_ascii_alphanumeric() || character == '_'));
        let end = end.unwrap_or(rest.len());
        if rest[end..].starts_with('=') {
            return self.assignment();
        }
        self.at += end;
        Ok(())
    }

    fn value(&mut self, origin: &Origin) -> Result<String, Box<Problem>> {
        let mut value = String::new();
        while let Some(character) = self.peek() {
            match character {
                character if character.is_whitespace() || character == ';' => break,
                '&' | '|' | '<' | '>' | '(' | ')' => return Err(self.not_understood(origin)),
                '\'' => {
                    let rest = &self.text[self.at + 1..];
                    let end = rest.find('\'').ok_or_else(|| Box::new(self.unclosed(origin)))?;
                    value.push_str(&rest[..end]);
                    self.at += end + 2;
                }
                '"' => {
                    self.at += 1;
                    self.double_quoted(&mut value, origin)?;
                }
                '\\' => {
                    self.at += 1;
                    if let Some(escaped) = self.peek() {
                        self.at += escaped.len_utf8();
                        // A line that goes on below.
                        if escaped != '\n' {
                            value.push(escaped);
                        }
                    }
                }
                '$' | '`' => self.dollar(&mut value)?,
                other => {
                    value.push(other);
                    self.at += other.len_utf8();
                }
            }
        }
        Ok(value)
    }

    fn double_quoted(&mut self, value: &mut String, origin: &Origin) -> Result<(), Box<Problem>> {
        while let Some(character) = self.peek() {
            match character {
                '"' => {
                    self.at += 1;
                    return Ok(());
                }
                '\\' => {
                    self.at += 1;
                    let Some(escaped) = self.peek() else { break };
                    self.at += escaped.len_utf8();
                    match escaped {
                        '$' | '`' | '"' | '\\' => value.push(escaped),
                        '\n' => {}
                        other => value.extend(['\\', other]),
                    }
                }
                '$' | '`' => self.dollar(value)?,
                other => {
                    value.push(other);
                    self.at += other.len_utf8();
                }
            }
        }
        Err(Box::new(self.unclosed(origin)))
    }

    fn dollar(&mut self, value: &mut String) -> Result<(), Box<Problem>> {
        let origin = self.origin();
        let rest = &self.text[self.at..];
        if rest.starts_with('`') || rest.starts_with("$(") {
            let message = "commands are not run; write the value itself";
            return Err(Box::new(Problem::error(message).at(&origin).found(first_line(rest))));
        }
        let reference = template::reference(rest)
            .map_err(|reason| Box::new(Problem::error(reason).at(&origin).found(first_line(rest))))?;
        let Some(reference) = reference else {
            value.push('$');
            self.at += 1;
            return Ok(());
        };
        let lookup = |name: &str| {
            let set = self.found.iter().rev().chain(self.known.iter().rev()).find(|one| one.name == name);
            set.map_or(Variable::Unset, |one| Variable::Text(one.value.clone()))
        };
        let expanded = template::expand_with(&rest[..reference.length], &lookup)
            .map_err(|fault| Box::new(Problem::error(fault.to_string()).at(&origin)))?;
        for notice in expanded.notices {
            self.problems.push(Problem::warning(notice.message).at(&origin));
        }
        value.push_str(&expanded.text);
        self.at += reference.length;
        Ok(())
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn skip(&mut self, is_skipped: impl Fn(char) -> bool) {
        let rest = &self.text[self.at..];
        self.at += rest.find(|character| !is_skipped(character)).unwrap_or(rest.len());
    }

    fn skip_line(&mut self) {
        self.skip(|character| character != '\n');
    }

    fn origin(&self) -> Origin {
        let before = &self.text[..self.at];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |start| start.chars().count()) + 1;
        let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Origin::new(self.file, narrow(line), narrow(column))
    }

    fn not_understood(&self, origin: &Origin) -> Box<Problem> {
        let message = "only assignments NAME=value are understood here; nothing is run";
        Box::new(Problem::error(message).at(origin).found(first_line(&self.text[self.at..])))
    }

    fn unclosed(&self, origin: &Origin) -> Problem {
        Problem::error("a quote that is opened here is never closed").at(origin)
    }
}

/// Returns a short piece of text for a message; what may be a value of a secret is left out.
fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.split('=').next().unwrap_or_default().chars().take(40).collect()
}

//! The list as text.

use std::fmt::{self, Write as _};

use super::module::{AuthorisedModule, ModuleName, Proof, ProofError, Purpose};

/// What a new list begins with.
const HEADING: &str = "\
# Modules that may run with privilege. One a line: name, digest or signer, purpose (server or plugin), comment.
# `tender xmem apf add FILE` adds a line, `tender xmem apf check` compares the list with the files.
";

/// One line, kept as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Line {
    /// Blank, or a comment.
    Other(String),
    Module(AuthorisedModule),
}

/// The list of authorised modules.
///
/// Shape: a text file; `#` begins a comment line, words are separated by blanks. A module may have several lines, for
///        the one that runs and the one that replaces it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorisedList {
    lines: Vec<Line>,
}

/// Says why text is no list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// A line has too few words.
    #[error("line {line}: `{text}` has no {missing}")]
    Short {
        /// Which, from 1.
        line: usize,
        /// It.
        text: String,
        /// The first word that is missing.
        missing: &'static str,
    },
    /// A word is wrong.
    #[error("line {line}")]
    Word {
        /// Which, from 1.
        line: usize,
        /// What is wrong.
        #[source]
        source: ProofError,
    },
}

/// What adding a line came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It is new.
    New,
    /// It was there.
    Present,
}

impl Default for AuthorisedList {
    /// Returns a list of nothing, with its heading.
    fn default() -> Self {
        Self { lines: HEADING.lines().map(|line| Line::Other(line.to_owned())).collect() }
    }
}

impl AuthorisedList {
    /// Reads a list. One wrong line makes the whole list wrong: a list that is half understood authorises nothing.
    pub fn parse(text: &str) -> Result<Self, ListError> {
        let mut lines = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with('#') {
                lines.push(Line::Other(line.to_owned()));
            } else {
                lines.push(Line::Module(module(number, trimmed)?));
            }
        }
        Ok(Self { lines })
    }

    /// Returns the modules in order.
    pub fn modules(&self) -> impl Iterator<Item = &AuthorisedModule> {
        self.lines.iter().filter_map(|line| match line {
            Line::Module(module) => Some(module),
            Line::Other(_) => None,
        })
    }

    /// Returns the lines of one module that allow a purpose.
    pub fn of<'l>(
        &'l self,
        name: &'l ModuleName,
        purpose: Purpose,
    ) -> impl Iterator<Item = &'l AuthorisedModule> {
        self.modules().filter(move |module| module.name == *name && module.purpose == purpose)
    }

    /// Adds a line behind the last one of the same module, or at the end.
    ///
    /// The same name, proof and purpose are there only once; another comment replaces the one that is there.
    pub fn add(&mut self, module: AuthorisedModule) -> Added {
        let is_same = |present: &AuthorisedModule| {
            present.name == module.name && present.proof == module.proof && present.purpose == module.purpose
        };
        let mut behind = self.lines.len();
        for (position, line) in self.lines.iter_mut().enumerate() {
            let Line::Module(present) = line else { continue };
            if is_same(present) {
                if !module.comment.is_empty() {
                    present.comment = module.comment;
                }
                return Added::Present;
            }
            if present.name == module.name {
                behind = position + 1;
            }
        }
        self.lines.insert(behind, Line::Module(module));
        Added::New
    }

    /// Takes out every line of a module, or only the one with a proof; returns what was taken out.
    pub fn remove(&mut self, name: &ModuleName, proof: Option<&Proof>) -> Vec<AuthorisedModule> {
        let mut removed = Vec::new();
        self.lines.retain(|line| match line {
            Line::Module(module)
                if module.name == *name && proof.is_none_or(|proof| module.proof == *proof) =>
            {
                removed.push(module.clone());
                false
            }
            _ => true,
        });
        removed
    }
}

fn module(number: usize, text: &str) -> Result<AuthorisedModule, ListError> {
    let failed = |source| ListError::Word { line: number, source };
    let short = |missing| ListError::Short { line: number, text: text.to_owned(), missing };
    let (name, rest) = word(text);
    let name: ModuleName = name.parse().map_err(failed)?;
    let (proof, rest) = word(rest);
    if proof.is_empty() {
        return Err(short("digest or signer"));
    }
    let proof: Proof = proof.parse().map_err(failed)?;
    let (purpose, comment) = word(rest);
    if purpose.is_empty() {
        return Err(short("purpose"));
    }
    let purpose: Purpose = purpose.parse().map_err(failed)?;
    Ok(AuthorisedModule { name, proof, purpose, comment: comment.to_owned() })
}

fn word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    (word, rest.trim_start())
}

impl fmt::Display for AuthorisedList {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            match line {
                Line::Other(text) => formatter.write_str(text)?,
                Line::Module(module) => {
                    write!(formatter, "{:<8} {} {}", module.name, module.proof, module.purpose)?;
                    if !module.comment.is_empty() {
                        // A comment with a line end would begin a line of its own.
                        let comment = module.comment.replace(['\n', '\r'], " ");
                        write!(formatter, " {comment}")?;
                    }
                }
            }
            formatter.write_char('\n')?;
        }
        Ok(())
    }
}

//! What is wrong with a configuration: all of it, each with its place.

use std::fmt;

use serde::Serialize;

use crate::origin::Origin;

/// How much a problem matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The configuration cannot be used as it is.
    Error,
    /// It can be used, but probably does not mean what it says.
    Warning,
    /// An older way of writing was understood.
    Notice,
}

impl Severity {
    /// Returns the word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// How much it matters.
    pub severity: Severity,
    /// Where it is, when it has a place.
    pub origin: Option<Origin>,
    /// The key it is about, such as `components.gateway.port`; empty for a whole file.
    pub path: String,
    /// What was found there; `(secret)` for a secret.
    pub found: Option<String>,
    /// What is wrong, as a sentence without a full stop.
    pub message: String,
    /// The valid key or word that is most like what was found.
    pub nearest: Option<String>,
    /// Other places that take part.
    pub related: Vec<Origin>,
    /// The message id that operators know for it.
    pub id: Option<&'static str>,
}

impl Problem {
    /// Makes a problem that has only a message.
    #[must_use]
    pub fn new(severity: Severity, message: impl Into<String>) -> Self {
        Self {
            severity,
            origin: None,
            path: String::new(),
            found: None,
            message: message.into(),
            nearest: None,
            related: Vec::new(),
            id: None,
        }
    }

    /// Makes an error.
    #[must_use]
    pub fn error(message: impl Into<String>) -> Self {
        Self::new(Severity::Error, message)
    }

    /// Makes a warning.
    #[must_use]
    pub fn warning(message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, message)
    }

    /// Makes a notice.
    #[must_use]
    pub fn notice(message: impl Into<String>) -> Self {
        Self::new(Severity::Notice, message)
    }

    /// Says where it is.
    #[must_use]
    pub fn at(mut self, origin: &Origin) -> Self {
        self.origin = Some(origin.clone());
        self
    }

    /// Says which key it is about.
    #[must_use]
    pub fn on(mut self, path: impl fmt::Display) -> Self {
        self.path = path.to_string();
        self
    }

    /// Says what was found.
    #[must_use]
    pub fn found(mut self, found: impl Into<String>) -> Self {
        self.found = Some(found.into());
        self
    }

    /// Names the valid word that is most like what was found.
    #[must_use]
    pub fn nearest(mut self, nearest: Option<String>) -> Self {
        self.nearest = nearest;
        self
    }

    /// Names another place that takes part.
    #[must_use]
    pub fn and_at(mut self, origin: &Origin) -> Self {
        self.related.push(origin.clone());
        self
    }

    /// Gives it the message id that operators know.
    #[must_use]
    pub fn id(mut self, id: &'static str) -> Self {
        self.id = Some(id);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        write!(f, "{}: ", self.severity.word())?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        if let Some(found) = &self.found {
            write!(f, "; found {found}")?;
        }
        if let Some(nearest) = &self.nearest {
            write!(f, "; did you mean `{nearest}`?")?;
        }
        if let Some(id) = self.id {
            write!(f, " [{id}]")?;
        }
        for (number, related) in self.related.iter().enumerate() {
            write!(f, "{}{related}", if number == 0 { " (see " } else { ", " })?;
        }
        if !self.related.is_empty() {
            f.write_str(")")?;
        }
        Ok(())
    }
}

/// All problems of a configuration, sorted by file, line and column.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Report {
    /// Each of them once.
    pub problems: Vec<Problem>,
}

impl Report {
    /// Sorts problems into a report.
    #[must_use]
    pub fn of(mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|left, right| {
            let key = |problem: &Problem| (problem.origin.clone(), problem.severity, problem.path.clone());
            key(left).cmp(&key(right)).then_with(|| left.message.cmp(&right.message))
        });
        problems.dedup();
        Self { problems }
    }

    /// Says whether something in it is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.errors().next().is_some()
    }

    /// Lists the errors.
    pub fn errors(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter().filter(|problem| problem.severity == Severity::Error)
    }

    /// Lists the warnings.
    pub fn warnings(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter().filter(|problem| problem.severity == Severity::Warning)
    }

    /// Says whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// Adds more problems.
    pub fn extend(&mut self, more: impl IntoIterator<Item = Problem>) {
        let mut problems = std::mem::take(&mut self.problems);
        problems.extend(more);
        *self = Self::of(problems);
    }
}

impl fmt::Display for Report {
    /// Writes one line a problem.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "{problem}")?;
        }
        Ok(())
    }
}

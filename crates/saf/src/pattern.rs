//! Generic profile names: what they match, and which of two is more specific.
//!
//! # What matches
//!
//! A name is qualifiers between periods. `%` matches one character; `*` at the end of a qualifier matches the rest of
//! that qualifier; `*` as a qualifier matches one qualifier, whatever is in it; `**` as a qualifier, once in a name,
//! matches any number of qualifiers, also none. At the very end of the name of a general resource `*` matches on past the
//! periods: `A.B*` matches `A.B`, `A.BC` and `A.BC.D`, and `A.*` matches one or more qualifiers after `A`. In data set
//! names a `*` at the end stays within its qualifier.
//!
//! # Which is more specific
//!
//! [`Pattern`]s compare from the left, and where they first differ decides: the end of a qualifier or of the name comes
//! before a character, a character before `%`, `%` before a `*` within a name, that before a `*` that ends a general
//! name, that before `**`. Different characters at the place compare by their codes, which only makes the order total.
//! After a `**` at the same place in both, the name with more qualifiers still to come is first, because places after it
//! only line up when there are as many. This is RACF's rule, and like RACF's it looks at places, not at sets: `A.*`
//! comes before `A.**.B` although it matches more.

use std::cmp::{Ordering, Reverse};

use crate::class::Naming;
use crate::id::RESOURCE_BYTES_MAX;

/// Says why a profile name is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Nothing, or too much.
    #[error("profile name `{name}` has {bytes} characters, not 1 to {max}")]
    Length {
        /// The name.
        name: String,
        /// Its length.
        bytes: usize,
        /// The longest that the class allows.
        max: usize,
    },
    /// A character that no name has.
    #[error("profile name `{name}` contains {found:?}")]
    Character {
        /// The name.
        name: String,
        /// What it contains.
        found: char,
    },
    /// `*` elsewhere than at the end of a qualifier.
    #[error("`*` in profile name `{name}` stands in the middle of qualifier `{qualifier}`")]
    Asterisk {
        /// The name.
        name: String,
        /// Where.
        qualifier: String,
    },
    /// `**` twice.
    #[error("profile name `{name}` has more than one `**`")]
    TwoSpreads {
        /// The name.
        name: String,
    },
    /// A data set name begins with a generic qualifier.
    #[error("the first qualifier of data set profile `{name}` is generic")]
    GenericFirst {
        /// The name.
        name: String,
    },
}

/// Matches one character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Glyph {
    /// This one.
    Char(u8),
    /// Any: `%`.
    Any,
}

/// How a qualifier ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Tail {
    /// With its last glyph.
    Closed,
    /// With `*`: any characters up to the next period.
    Star,
    /// With `*` at the end of a general name: anything, periods too.
    Rest,
}

/// One qualifier of a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Qualifier {
    /// Characters, then a tail.
    Glyphs(Box<[Glyph]>, Tail),
    /// `**`.
    Spread,
}

impl Qualifier {
    /// Returns whether one qualifier of a resource matches; never asked of `**`.
    pub(crate) fn matches(&self, qualifier: &str) -> bool {
        let Self::Glyphs(glyphs, tail) = self else { return false };
        let bytes = qualifier.as_bytes();
        let is_length = match tail {
            Tail::Closed => bytes.len() == glyphs.len(),
            Tail::Star | Tail::Rest => bytes.len() >= glyphs.len(),
        };
        let is_same = |(glyph, byte): (&Glyph, &u8)| match glyph {
            Glyph::Char(wanted) => wanted == byte,
            Glyph::Any => true,
        };
        is_length && glyphs.iter().zip(bytes).all(is_same)
    }

    /// Returns the text if nothing about this qualifier is generic.
    pub(crate) fn literal(&self) -> Option<String> {
        let Self::Glyphs(glyphs, Tail::Closed) = self else { return None };
        glyphs
            .iter()
            .map(|glyph| match glyph {
                Glyph::Char(byte) => Some(char::from(*byte)),
                Glyph::Any => None,
            })
            .collect()
    }

    /// Returns whether the name ends here with a `*` that goes on past periods.
    pub(crate) fn is_rest(&self) -> bool {
        matches!(self, Self::Glyphs(_, Tail::Rest))
    }
}

impl PartialOrd for Qualifier {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Qualifier {
    fn cmp(&self, other: &Self) -> Ordering {
        /// Ranks what stands at one place.
        #[derive(PartialEq, Eq, PartialOrd, Ord)]
        enum Place {
            End,
            Glyph(Glyph),
            Star,
            Rest,
            Spread,
        }
        let place = |qualifier: &Self, index: usize| match qualifier {
            Self::Spread => Place::Spread,
            Self::Glyphs(glyphs, tail) => match (glyphs.get(index), tail) {
                (Some(glyph), _) => Place::Glyph(*glyph),
                (None, Tail::Closed) => Place::End,
                (None, Tail::Star) => Place::Star,
                (None, Tail::Rest) => Place::Rest,
            },
        };
        let mut index = 0;
        loop {
            let (ours, theirs) = (place(self, index), place(other, index));
            match ours.cmp(&theirs) {
                Ordering::Equal if matches!(ours, Place::Glyph(_)) => index += 1,
                order => return order,
            }
        }
    }
}

/// A profile name, discrete or generic, in order of specificity: the most specific compares least.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    pub(crate) qualifiers: Box<[Qualifier]>,
}

impl Pattern {
    /// Reads a profile name; the text is taken as it is, so fold it first where the class folds.
    ///
    /// Errors: [`PatternError`], which names the name.
    /// Limits: `bytes_max`, at most [`RESOURCE_BYTES_MAX`].
    pub fn parse(name: &str, naming: Naming, bytes_max: usize) -> Result<Self, PatternError> {
        let max = bytes_max.min(RESOURCE_BYTES_MAX);
        if name.is_empty() || name.len() > max {
            return Err(PatternError::Length { name: name.to_owned(), bytes: name.len(), max });
        }
        let is_wrong = |found: &char| !found.is_ascii_graphic() || "(),;'\"".contains(*found);
        if let Some(found) = name.chars().find(is_wrong) {
            return Err(PatternError::Character { name: name.to_owned(), found });
        }
        let last = name.split('.').count() - 1;
        let mut qualifiers = Vec::with_capacity(last + 1);
        for (index, text) in name.split('.').enumerate() {
            qualifiers.push(parse_qualifier(name, text, index == last && naming == Naming::General)?);
        }
        if qualifiers.iter().filter(|qualifier| **qualifier == Qualifier::Spread).count() > 1 {
            return Err(PatternError::TwoSpreads { name: name.to_owned() });
        }
        if naming == Naming::DataSet && qualifiers[0].literal().is_none() {
            return Err(PatternError::GenericFirst { name: name.to_owned() });
        }
        Ok(Self { qualifiers: qualifiers.into() })
    }

    /// Returns whether the name matches more than itself.
    pub fn is_generic(&self) -> bool {
        self.qualifiers.iter().any(|qualifier| qualifier.literal().is_none())
    }

    /// Returns whether a resource has this name or is meant by it.
    pub fn matches(&self, resource: &str) -> bool {
        let parts: Vec<&str> = resource.split('.').collect();
        match_all(&self.qualifiers, &parts)
    }
}

/// Answers for one pattern without a database; what fuzzing compares the index with.
#[derive(Debug)]
pub struct PatternMatcher(Vec<Pattern>);

impl PatternMatcher {
    /// Sorts patterns, most specific first.
    pub fn new(mut patterns: Vec<Pattern>) -> Self {
        patterns.sort();
        Self(patterns)
    }

    /// Returns the most specific pattern that matches.
    pub fn find(&self, resource: &str) -> Option<&Pattern> {
        self.0.iter().find(|pattern| pattern.matches(resource))
    }
}

fn parse_qualifier(name: &str, text: &str, is_open_end: bool) -> Result<Qualifier, PatternError> {
    if text == "**" {
        return Ok(Qualifier::Spread);
    }
    let (body, tail) = match text.strip_suffix('*') {
        Some(body) if is_open_end => (body, Tail::Rest),
        Some(body) => (body, Tail::Star),
        None => (text, Tail::Closed),
    };
    if body.contains('*') {
        return Err(PatternError::Asterisk { name: name.to_owned(), qualifier: text.to_owned() });
    }
    let glyph = |byte| if byte == b'%' { Glyph::Any } else { Glyph::Char(byte) };
    Ok(Qualifier::Glyphs(body.bytes().map(glyph).collect(), tail))
}

fn match_all(pattern: &[Qualifier], parts: &[&str]) -> bool {
    match pattern.split_first() {
        None => parts.is_empty(),
        Some((Qualifier::Spread, after)) => {
            (0..=parts.len()).any(|skipped| match_all(after, &parts[skipped..]))
        }
        Some((first, after)) => {
            let Some((part, rest)) = parts.split_first() else { return false };
            first.matches(part) && (first.is_rest() || match_all(after, rest))
        }
    }
}

impl PartialOrd for Pattern {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Pattern {
    fn cmp(&self, other: &Self) -> Ordering {
        let (ours, theirs) = (&self.qualifiers, &other.qualifiers);
        for (index, pair) in ours.iter().zip(theirs.iter()).enumerate() {
            let order = match pair {
                (Qualifier::Spread, Qualifier::Spread) => {
                    Reverse(ours.len() - index).cmp(&Reverse(theirs.len() - index))
                }
                (our, their) => our.cmp(their),
            };
            if order != Ordering::Equal {
                return order;
            }
        }
        ours.len().cmp(&theirs.len())
    }
}

#[cfg(test)]
pub(crate) mod tests;

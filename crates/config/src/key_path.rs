//! Names of places in a configuration, such as `components.gateway.port` or `zowe.externalDomains[0]`.

use std::fmt;
use std::str::FromStr;

/// One step of a [`KeyPath`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// A key of a mapping.
    Key(String),
    /// An element of a sequence, counted from 0.
    Index(usize),
}

/// A place in a configuration.
///
/// Shape: keys joined by `.`, elements as `[0]`; a key that holds one of `.[]"` or nothing is written `["a.b"]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct KeyPath {
    /// The steps, outermost first.
    pub steps: Vec<Step>,
}

/// Says why a text names no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no key: {reason} at character {position}; keys look like `components.gateway.port` or `a.b[0]`"
)]
pub struct KeyPathError {
    /// The text.
    pub text: String,
    /// What is wrong.
    pub reason: &'static str,
    /// Where, counted from 1.
    pub position: usize,
}

impl KeyPath {
    /// Names the root.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// Names a place by its keys.
    #[must_use]
    pub fn of(keys: &[&str]) -> Self {
        Self { steps: keys.iter().map(|key| Step::Key((*key).to_owned())).collect() }
    }

    /// Names a place one key deeper.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        let mut steps = self.steps.clone();
        steps.push(Step::Key(key.to_owned()));
        Self { steps }
    }

    /// Names an element of this sequence.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        let mut steps = self.steps.clone();
        steps.push(Step::Index(index));
        Self { steps }
    }

    /// Returns the last key, when the last step is one.
    #[must_use]
    pub fn last_key(&self) -> Option<&str> {
        match self.steps.last()? {
            Step::Key(key) => Some(key),
            Step::Index(_) => None,
        }
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.steps.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) if key.is_empty() || key.contains(['.', '[', ']', '"']) => {
                    write!(f, "[\"{}\"]", key.replace('\\', "\\\\").replace('"', "\\\""))?;
                }
                Step::Key(key) => write!(f, "{}{key}", if number == 0 { "" } else { "." })?,
            }
        }
        Ok(())
    }
}

impl FromStr for KeyPath {
    type Err = KeyPathError;

    fn from_str(text: &str) -> Result<Self, KeyPathError> {
        Reader { text, rest: text }.path()
    }
}

/// Reads a path from left to right.
struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
}

impl Reader<'_> {
    fn path(mut self) -> Result<KeyPath, KeyPathError> {
        let mut steps = Vec::new();
        while !self.rest.is_empty() {
            if let Some(rest) = self.rest.strip_prefix('[') {
                self.rest = rest;
                steps.push(self.bracket()?);
                continue;
            }
            if !steps.is_empty() {
                self.rest = self.rest.strip_prefix('.').ok_or_else(|| self.error("`.` or `[` is needed"))?;
            }
            let end = self.rest.find(['.', '[']).unwrap_or(self.rest.len());
            if end == 0 {
                return Err(self.error("a key is needed"));
            }
            steps.push(Step::Key(self.rest[..end].to_owned()));
            self.rest = &self.rest[end..];
        }
        Ok(KeyPath { steps })
    }

    fn bracket(&mut self) -> Result<Step, KeyPathError> {
        let step = if let Some(rest) = self.rest.strip_prefix('"') {
            self.rest = rest;
            Step::Key(self.quoted()?)
        } else {
            let end = self.rest.find(']').ok_or_else(|| self.error("`]` is missing"))?;
            let index =
                self.rest[..end].parse().map_err(|_| self.error("a number or a quoted key is needed"))?;
            self.rest = &self.rest[end..];
            Step::Index(index)
        };
        self.rest = self.rest.strip_prefix(']').ok_or_else(|| self.error("`]` is missing"))?;
        Ok(step)
    }

    fn quoted(&mut self) -> Result<String, KeyPathError> {
        let mut key = String::new();
        let mut characters = self.rest.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(key);
                }
                '\\' => key.extend(characters.next().map(|(_, escaped)| escaped)),
                other => key.push(other),
            }
        }
        Err(self.error("a closing quote is missing"))
    }

    fn error(&self, reason: &'static str) -> KeyPathError {
        let position = self.text.chars().count() - self.rest.chars().count() + 1;
        KeyPathError { text: self.text.to_owned(), reason, position }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn path_with_keys_indices_and_quotes_reads_back() {
        for text in ["a", "a.b[0].c", "components.api-catalog.port", "[\"x.y\"].z", "a[\"q\\\"\"][12]"] {
            assert_eq!(text.parse::<KeyPath>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn path_that_is_broken_says_where() {
        assert_eq!("a..b".parse::<KeyPath>().unwrap_err().position, 3);
        assert!("a[x]".parse::<KeyPath>().is_err());
        assert!("a[0".parse::<KeyPath>().is_err());
        assert!("a[0]b".parse::<KeyPath>().is_err());
    }

    proptest! {
        #[test]
        fn path_of_any_keys_survives_its_text(keys in proptest::collection::vec(".{0,6}", 1..5)) {
            let steps: Vec<_> = keys.into_iter().map(Step::Key).collect();
            let path = KeyPath { steps };
            prop_assert_eq!(path.to_string().parse::<KeyPath>().unwrap(), path);
        }

        #[test]
        fn path_of_any_text_never_panics(text in ".{0,40}") {
            let _outcome = text.parse::<KeyPath>();
        }
    }
}

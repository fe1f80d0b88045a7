//! The keyword `pattern` in our own schemas: a pattern is compiled when a text is there that it is for.
//!
//! Of dozens of patterns a start needs a few, and compiling all of them took as long as reading the whole configuration.

use std::sync::OnceLock;

use jsonschema::paths::Location;
use jsonschema::{Keyword, ValidationError};
use regex_lite::Regex;
use serde_json::{Map, Value as Json};

/// A pattern that may not have been needed yet.
struct Pattern {
    text: String,
    regex: OnceLock<Option<Regex>>,
}

impl Pattern {
    fn matches(&self, text: &str) -> bool {
        // A test compiles all of ours.
        self.regex
            .get_or_init(|| Regex::new(&self.text).ok())
            .as_ref()
            .is_none_or(|regex| regex.is_match(text))
    }
}

impl<'i> Keyword<'i> for Pattern {
    fn validate(&self, instance: &'i Json) -> Result<(), ValidationError<'i>> {
        if self.is_valid(instance) {
            return Ok(());
        }
        Err(ValidationError::custom(said(&self.text)))
    }

    fn is_valid(&self, instance: &'i Json) -> bool {
        instance.as_str().is_none_or(|text| self.matches(text))
    }
}

/// Returns what is said of a text that does not match.
pub(super) fn said(pattern: &str) -> String {
    format!("it must match the pattern {pattern}")
}

/// Makes the keyword of what stands in a schema.
pub(super) fn keyword<'s>(
    _parent: &'s Map<String, Json>,
    value: &'s Json,
    _place: Location,
) -> Result<Box<dyn for<'i> Keyword<'i>>, ValidationError<'s>> {
    let text = value.as_str().ok_or_else(|| ValidationError::custom("a pattern is a text"))?;
    Ok(Box::new(Pattern { text: text.to_owned(), regex: OnceLock::new() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(document: &Json, found: &mut Vec<String>) {
        match document {
            Json::Object(map) => {
                found.extend(map.get("pattern").and_then(Json::as_str).map(str::to_owned));
                map.values().for_each(|value| patterns(value, found));
            }
            Json::Array(list) => list.iter().for_each(|value| patterns(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_pattern_of_our_schemas_can_be_compiled() {
        let mut found = Vec::new();
        for (_, text) in super::super::published() {
            patterns(&serde_json::from_str(text).unwrap(), &mut found);
        }
        assert!(found.len() > 20, "{found:?}");
        for pattern in found {
            assert!(Regex::new(&pattern).is_ok(), "{pattern}");
        }
    }

    #[test]
    fn pattern_is_for_texts_and_matches_as_the_standard_says() {
        let map = Map::new();
        let made = |pattern: &str| keyword(&map, &Json::from(pattern), Location::new()).map(drop).is_ok();
        assert!(made("^a$"));
        assert!(keyword(&map, &Json::from(1), Location::new()).is_err());
        let version = Pattern { text: "^\\d+\\.\\d+$".to_owned(), regex: OnceLock::new() };
        for (value, is_valid) in [("1.2".into(), true), ("1".into(), false), (Json::from(1), true)] {
            assert_eq!(
                (version.is_valid(&value), version.validate(&value).is_ok()),
                (is_valid, is_valid),
                "{value}"
            );
        }
    }
}

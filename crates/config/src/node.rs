//! A configuration as a tree in which every value and every key knows where it came from.

use std::fmt;

use serde_json::Value as Json;

use crate::key_path::{KeyPath, Step};
use crate::origin::Origin;
use crate::secret::{REDACTED, SecretSource};

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it stands.
    pub origin: Origin,
}

/// A value of a configuration.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing: empty, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, with its spelling.
    Number(Number),
    /// Any other scalar.
    Text(String),
    /// A scalar that the schema marks as secret.
    Secret(SecretSource),
    /// A sequence.
    Sequence(Vec<Node>),
    /// A mapping.
    Mapping(Mapping),
}

/// A number; its spelling is kept, since a version `1.10` is not `1.1`.
#[derive(Debug, Clone, PartialEq)]
pub struct Number {
    /// As it was written.
    pub spelling: Box<str>,
    /// What it is.
    pub value: Numeric,
}

/// The value of a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Numeric {
    /// A whole number.
    Integer(i64),
    /// Any other, finite.
    Float(f64),
}

/// A mapping in the order it was written; a key stands in it once.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Mapping {
    entries: Vec<Entry>,
}

/// A key of a mapping with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub key_origin: Origin,
    /// Its value.
    pub node: Node,
}

impl Mapping {
    /// Returns the entries in order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns the entries in order, to change.
    pub fn entries_mut(&mut self) -> &mut [Entry] {
        &mut self.entries
    }

    /// Returns the entry of a key.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// Returns the value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    /// Returns the value of a key, to change.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.entries.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.node)
    }

    /// Sets a key, in its place when it is there, else at the end.
    pub fn insert(&mut self, key: &str, key_origin: Origin, node: Node) {
        match self.entries.iter_mut().find(|entry| entry.key == key) {
            Some(entry) => {
                entry.key_origin = key_origin;
                entry.node = node;
            }
            None => self.entries.push(Entry { key: key.to_owned(), key_origin, node }),
        }
    }

    /// Adds an entry whose key is known not to be there.
    pub(crate) fn push_new(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &str) -> Option<Entry> {
        let at = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.entries.remove(at))
    }

    /// Returns the keys in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.key.as_str())
    }

    /// Says whether no key is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl IntoIterator for Mapping {
    type Item = Entry;
    type IntoIter = std::vec::IntoIter<Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl Value {
    /// Makes a whole number.
    #[must_use]
    pub fn integer(number: i64) -> Self {
        Self::Number(Number { spelling: number.to_string().into(), value: Numeric::Integer(number) })
    }

    /// Makes a text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Names what kind of value it is, with its article.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) | Self::Secret(_) => "a text",
            Self::Sequence(_) => "a sequence",
            Self::Mapping(_) => "a mapping",
        }
    }
}

impl Node {
    /// Makes a node.
    #[must_use]
    pub fn new(value: Value, origin: Origin) -> Self {
        Self { value, origin }
    }

    /// Returns the value of a key, when this is a mapping that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.mapping()?.get(key)
    }

    /// Returns the node at a path.
    #[must_use]
    pub fn at(&self, path: &KeyPath) -> Option<&Node> {
        path.steps.iter().try_fold(self, |node, step| match (step, &node.value) {
            (Step::Key(key), Value::Mapping(mapping)) => mapping.get(key),
            (Step::Index(index), Value::Sequence(elements)) => elements.get(*index),
            _ => None,
        })
    }

    /// Returns the node at a path, to change.
    pub fn at_mut(&mut self, path: &KeyPath) -> Option<&mut Node> {
        path.steps.iter().try_fold(self, |node, step| match (step, &mut node.value) {
            (Step::Key(key), Value::Mapping(mapping)) => mapping.get_mut(key),
            (Step::Index(index), Value::Sequence(elements)) => elements.get_mut(*index),
            _ => None,
        })
    }

    /// Returns the node below these keys.
    #[must_use]
    pub fn below(&self, keys: &[&str]) -> Option<&Node> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    /// Sets a value below these keys, and makes the mappings on the way; what stands in the way is replaced.
    pub fn set(&mut self, keys: &[&str], value: Node) {
        let Some((first, rest)) = keys.split_first() else {
            *self = value;
            return;
        };
        if !matches!(self.value, Value::Mapping(_)) {
            self.value = Value::Mapping(Mapping::default());
        }
        let Value::Mapping(mapping) = &mut self.value else { return };
        if mapping.get(first).is_none() {
            let origin = value.origin.clone();
            mapping.push_new(Entry {
                key: (*first).to_owned(),
                key_origin: origin.clone(),
                node: Node::new(Value::Null, origin),
            });
        }
        if let Some(child) = mapping.get_mut(first) {
            child.set(rest, value);
        }
    }

    /// Returns the mapping, when it is one.
    #[must_use]
    pub fn mapping(&self) -> Option<&Mapping> {
        match &self.value {
            Value::Mapping(mapping) => Some(mapping),
            _ => None,
        }
    }

    /// Returns the mapping to change, when it is one.
    pub fn mapping_mut(&mut self) -> Option<&mut Mapping> {
        match &mut self.value {
            Value::Mapping(mapping) => Some(mapping),
            _ => None,
        }
    }

    /// Returns the elements, when it is a sequence.
    #[must_use]
    pub fn sequence(&self) -> Option<&[Node]> {
        match &self.value {
            Value::Sequence(elements) => Some(elements),
            _ => None,
        }
    }

    /// Returns the text, when it is one that is no secret.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the whole number, when it is one.
    #[must_use]
    pub fn integer(&self) -> Option<i64> {
        match &self.value {
            Value::Number(Number { value: Numeric::Integer(number), .. }) => Some(*number),
            _ => None,
        }
    }

    /// Returns the boolean, when it is one.
    #[must_use]
    pub fn boolean(&self) -> Option<bool> {
        match self.value {
            Value::Bool(is_true) => Some(is_true),
            _ => None,
        }
    }

    /// Says whether it is nothing.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// Returns a scalar as text, numbers as they were written; nothing is an empty text and a secret is redacted.
    #[must_use]
    pub fn scalar(&self) -> Option<String> {
        match &self.value {
            Value::Null => Some(String::new()),
            Value::Bool(is_true) => Some(is_true.to_string()),
            Value::Number(number) => Some(number.spelling.to_string()),
            Value::Text(text) => Some(text.clone()),
            Value::Secret(_) => Some(REDACTED.to_owned()),
            Value::Sequence(_) | Value::Mapping(_) => None,
        }
    }

    /// Turns the tree into JSON; secrets show as `(secret)`.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(is_true) => Json::Bool(*is_true),
            Value::Number(number) => number.to_json(),
            Value::Text(text) => Json::String(text.clone()),
            Value::Secret(_) => Json::String(REDACTED.to_owned()),
            Value::Sequence(elements) => Json::Array(elements.iter().map(Self::to_json).collect()),
            Value::Mapping(mapping) => Json::Object(
                mapping.entries().iter().map(|entry| (entry.key.clone(), entry.node.to_json())).collect(),
            ),
        }
    }

    /// Shows the value in one line, shortened, for a message.
    #[must_use]
    pub fn shown(&self) -> String {
        const CHARACTERS_MAX: usize = 80;
        let text = match &self.value {
            Value::Null => return "nothing".to_owned(),
            Value::Text(text) => format!("{text:?}"),
            Value::Sequence(elements) => return format!("a sequence of {}", elements.len()),
            Value::Mapping(mapping) => return format!("a mapping of {}", mapping.entries().len()),
            _ => self.scalar().unwrap_or_default(),
        };
        if text.chars().count() > CHARACTERS_MAX {
            let short: String = text.chars().take(CHARACTERS_MAX).collect();
            return format!("{short}…");
        }
        text
    }

    /// Calls a function with every node and its path, parents first.
    pub fn visit<'a>(&'a self, path: &mut KeyPath, each: &mut dyn FnMut(&KeyPath, &'a Node)) {
        each(path, self);
        match &self.value {
            Value::Sequence(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    path.steps.push(Step::Index(index));
                    element.visit(path, each);
                    path.steps.pop();
                }
            }
            Value::Mapping(mapping) => {
                for entry in mapping.entries() {
                    path.steps.push(Step::Key(entry.key.clone()));
                    entry.node.visit(path, each);
                    path.steps.pop();
                }
            }
            _ => {}
        }
    }
}

impl Number {
    fn to_json(&self) -> Json {
        match self.value {
            Numeric::Integer(number) => Json::from(number),
            Numeric::Float(number) => Json::from(number),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spelling)
    }
}

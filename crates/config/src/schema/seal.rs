//! Walks a tree beside its schema: finds what is marked as secret or deprecated.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::key_path::{KeyPath, Step};
use crate::node::{Node, Value};
use crate::origin::Origin;
use crate::problem::Problem;
use crate::schema::Schema;
use crate::secret::SecretSource;

const SECRET_ENDINGS: [&str; 9] =
    ["password", "passwd", "passphrase", "secret", "apikey", "api_key", "accesskey", "access_key", "token"];

/// Says whether a key of a component or an environment variable names a secret, whatever its schema says.
pub(crate) fn is_secret_name(key: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    SECRET_ENDINGS.iter().any(|ending| lower.ends_with(ending))
}

/// A schema together with the document it stands in.
#[derive(Clone, Copy)]
struct Place<'a> {
    documents: &'a [Arc<Json>],
    document: &'a Json,
    schema: &'a Json,
}

impl<'a> Place<'a> {
    fn root(schema: &'a Schema) -> Self {
        let documents = schema.documents();
        Self { documents, document: &documents[0], schema: &documents[0] }
    }

    /// Returns this schema and all that it joins: references, `allOf` and its kin, both sides of `if`.
    fn joined(self, depth: u8, all: &mut Vec<Self>) {
        if depth > 8 || all.len() > 64 {
            return;
        }
        all.push(self);
        if let Some(target) =
            self.schema.get("$ref").and_then(Json::as_str).and_then(|target| self.follow(target))
        {
            target.joined(depth + 1, all);
        }
        for keyword in ["allOf", "anyOf", "oneOf"] {
            for schema in self.schema.get(keyword).and_then(Json::as_array).into_iter().flatten() {
                Self { schema, ..self }.joined(depth + 1, all);
            }
        }
        for keyword in ["then", "else"] {
            if let Some(schema) = self.schema.get(keyword) {
                Self { schema, ..self }.joined(depth + 1, all);
            }
        }
    }

    fn follow(self, target: &str) -> Option<Self> {
        let (id, fragment) = target.split_once('#').unwrap_or((target, ""));
        let document = if id.is_empty() {
            self.document
        } else {
            let is_it = |document: &&Arc<Json>| {
                document.get("$id").and_then(Json::as_str).is_some_and(|own| own == id || own.ends_with(id))
            };
            self.documents.iter().find(is_it)?
        };
        let schema = if fragment.is_empty() {
            document
        } else if fragment.starts_with('/') {
            document.pointer(fragment)?
        } else {
            let named = |schema: &&Json| schema.get("$anchor").and_then(Json::as_str) == Some(fragment);
            document.get("$defs")?.as_object()?.values().find(named)?
        };
        Some(Self { document, schema, ..self })
    }

    fn child(self, step: &Step, all: &mut Vec<Self>) {
        let schema = self.schema;
        match step {
            Step::Index(_) => {
                if let Some(items) = schema.get("items") {
                    Self { schema: items, ..self }.joined(0, all);
                }
            }
            Step::Key(key) => {
                if let Some(schema) = schema.get("properties").and_then(|properties| properties.get(key)) {
                    Self { schema, ..self }.joined(0, all);
                    return;
                }
                let patterns = schema.get("patternProperties").and_then(Json::as_object);
                for schema in patterns.into_iter().flat_map(serde_json::Map::values) {
                    Self { schema, ..self }.joined(0, all);
                }
                if let Some(schema) = schema.get("additionalProperties").filter(|schema| schema.is_object()) {
                    Self { schema, ..self }.joined(0, all);
                }
            }
        }
    }
}

fn children<'a>(places: &[Place<'a>], step: &Step) -> Vec<Place<'a>> {
    let mut all = Vec::new();
    for place in places {
        place.child(step, &mut all);
    }
    all
}

/// Calls a function for every key of a tree with the schemas that describe it.
pub(super) struct Walk<'a> {
    start: Vec<Place<'a>>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(schema: &'a Schema) -> Self {
        let mut start = Vec::new();
        Place::root(schema).joined(0, &mut start);
        Self { start }
    }

    pub(super) fn visit(
        &mut self,
        root: &Node,
        path: &mut KeyPath,
        each: &mut dyn FnMut(&KeyPath, &Origin, &[&'a Json]),
    ) {
        Self::descend(root, &self.start, path, each);
    }

    fn descend(
        node: &Node,
        places: &[Place<'a>],
        path: &mut KeyPath,
        each: &mut dyn FnMut(&KeyPath, &Origin, &[&'a Json]),
    ) {
        let Some(mapping) = node.mapping() else { return };
        for entry in mapping.entries() {
            let step = Step::Key(entry.key.clone());
            let below = children(places, &step);
            if below.is_empty() {
                continue;
            }
            path.steps.push(step);
            each(path, &entry.key_origin, &below.iter().map(|place| place.schema).collect::<Vec<_>>());
            Self::descend(&entry.node, &below, path, each);
            path.steps.pop();
        }
    }
}

/// Replaces what is marked as secret by values that never show.
pub(crate) struct Sealer<'a> {
    root: Vec<Place<'a>>,
    components: BTreeMap<&'a str, Vec<Place<'a>>>,
    problems: Vec<Problem>,
}

/// What is known of a place from those above it.
#[derive(Clone, Copy, Default)]
struct Hints {
    /// Names of keys tell secrets.
    by_name: bool,
    /// Everything is secret.
    is_marked: bool,
}

impl<'a> Sealer<'a> {
    /// Makes one of the schema of `zowe.yaml` and those that components bring.
    pub(crate) fn new(base: &'a Schema, components: impl IntoIterator<Item = (&'a str, &'a Schema)>) -> Self {
        let joined = |schema| {
            let mut all = Vec::new();
            Place::root(schema).joined(0, &mut all);
            all
        };
        Self {
            root: joined(base),
            components: components
                .into_iter()
                .map(|(name, schema)| {
                    let mut places = joined(schema);
                    if schema.is_whole() {
                        for key in ["components", name] {
                            places = children(&places, &Step::Key(key.to_owned()));
                        }
                    }
                    (name, places)
                })
                .collect(),
            problems: Vec::new(),
        }
    }

    /// Seals a tree and returns what is to be said about the secrets in it.
    pub(crate) fn seal(mut self, root: &mut Node) -> Vec<Problem> {
        let places = self.root.clone();
        self.descend(root, &places, &mut KeyPath::root(), Hints::default());
        self.problems
    }

    fn descend(&mut self, node: &mut Node, places: &[Place<'a>], path: &mut KeyPath, hints: Hints) {
        let is_marked =
            hints.is_marked || places.iter().any(|place| place.schema["x-secret"] == Json::Bool(true));
        let hints = Hints { is_marked, ..hints };
        match &mut node.value {
            Value::Mapping(mapping) => {
                for entry in mapping.entries_mut() {
                    let step = Step::Key(crate::merge::appended(&entry.key).unwrap_or(&entry.key).to_owned());
                    let mut below = children(places, &step);
                    path.steps.push(step);
                    below.extend(self.grafted(path));
                    let hints = Hints { by_name: hints.by_name || is_named(path), ..hints };
                    self.descend(&mut entry.node, &below, path, hints);
                    path.steps.pop();
                }
            }
            Value::Sequence(elements) => {
                for (index, element) in elements.iter_mut().enumerate() {
                    let step = Step::Index(index);
                    let below = children(places, &step);
                    path.steps.push(step);
                    self.descend(element, &below, path, hints);
                    path.steps.pop();
                }
            }
            Value::Text(_) | Value::Number(_) | Value::Bool(_) => {
                let key = path.steps.iter().rev().find_map(|step| match step {
                    Step::Key(key) => Some(key.as_str()),
                    Step::Index(_) => None,
                });
                let is_text = matches!(node.value, Value::Text(_));
                if is_marked || (hints.by_name && is_text && key.is_some_and(is_secret_name)) {
                    self.hide(node, path);
                }
            }
            Value::Null | Value::Secret(_) => {}
        }
    }

    /// Returns schemas that hold at a place besides those of its parent.
    fn grafted(&self, path: &KeyPath) -> Vec<Place<'a>> {
        let keys: Vec<&str> = path
            .steps
            .iter()
            .filter_map(|step| match step {
                Step::Key(key) => Some(key.as_str()),
                Step::Index(_) => None,
            })
            .collect();
        match keys.as_slice() {
            // An HA instance may override any key of the whole.
            ["haInstances", _] => self.root.clone(),
            ["components", component] | ["haInstances", _, "components", component] => {
                self.components.get(component).cloned().unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }

    fn hide(&mut self, node: &mut Node, path: &KeyPath) {
        let text = node.scalar().unwrap_or_default();
        let source = SecretSource::parse(&text);
        if source.is_literal() && !text.is_empty() {
            self.problems.push(
                Problem::warning(
                    "a secret stands here in clear text; give it as `file:/path`, `env:NAME` or `credential:NAME`",
                )
                .at(&node.origin)
                .on(path),
            );
        }
        node.value = Value::Secret(source);
    }
}

/// Says whether names of keys tell secrets at this place: in settings of components, and in environments.
fn is_named(path: &KeyPath) -> bool {
    let mut keys = path.steps.iter().filter_map(|step| match step {
        Step::Key(key) => Some(key.as_str()),
        Step::Index(_) => None,
    });
    match keys.next() {
        Some("components") => true,
        Some("zowe") => matches!(keys.next(), Some("environments")),
        Some("haInstances") => {
            keys.next();
            matches!(
                (keys.next(), keys.next()),
                (Some("components"), _) | (Some("zowe"), Some("environments"))
            )
        }
        _ => false,
    }
}

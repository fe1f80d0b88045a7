//! Schemas of configurations and manifests: ours are part of the program, components bring their own.

mod nearest;
mod pattern;
mod seal;
mod translate;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use jsonschema::{Registry, Validator};
use serde_json::{Value as Json, json};

use crate::key_path::KeyPath;
use crate::node::{Mapping, Node, Value};
use crate::origin::{Layer, Origin};
use crate::problem::Problem;
use crate::yaml::{self, ReadError};

pub use nearest::nearest;
pub(crate) use seal::{Sealer, is_secret_name};

/// The schemas of `zowe.yaml`, of types that several schemas use, and of component manifests.
const TEXTS: [&str; 3] = [
    include_str!("../schemas/zowe-yaml.json"),
    include_str!("../schemas/server-common.json"),
    include_str!("../schemas/component-manifest.json"),
];

/// How a schema that calls keys deprecated is told.
const DEPRECATED: &str = "\"deprecated\"";

/// Returns our schemas with the names they are published under.
#[must_use]
pub fn published() -> [(&'static str, &'static str); 3] {
    let [base, values, manifest] = TEXTS;
    [("zowe-yaml.json", base), ("server-common.json", values), ("component-manifest.json", manifest)]
}

/// A schema that is ready to check with.
#[derive(Debug)]
pub struct Schema {
    validator: Validator,
    /// The schema itself, then those it may refer to.
    documents: Vec<Arc<Json>>,
    /// It describes a whole configuration, of which one component is meant.
    is_whole: bool,
    /// It calls keys deprecated.
    has_deprecated: bool,
}

/// How a schema is applied.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// Where the checked tree stands in the configuration.
    pub prefix: KeyPath,
    /// The tree holds overrides only: what is missing is no error.
    pub is_partial: bool,
    /// Places whose value is known to be wrong already; nothing more is said about them.
    pub suppressed: Vec<KeyPath>,
}

/// Says why a component's schema cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The file cannot be read.
    #[error("read a schema of component {component}")]
    Read {
        /// The component.
        component: String,
        /// Why.
        #[source]
        source: ReadError,
    },
    /// The file is no JSON.
    #[error("read schema `{}`: {reason}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// It is no schema, or refers to something that is not there.
    #[error("use schema `{}`: {reason}", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl Schema {
    /// Returns the schema of `zowe.yaml`.
    ///
    /// # Panics
    ///
    /// Never: the schema is part of the program, and a test builds it.
    #[must_use]
    pub fn base() -> &'static Self {
        static SCHEMA: OnceLock<Schema> = OnceLock::new();
        SCHEMA.get_or_init(|| Self::ours(0).expect("a test builds the schema of zowe.yaml"))
    }

    /// Has the schema of `zowe.yaml` made by a thread of its own, so that it is ready when it is asked for.
    ///
    /// It takes as long as reading everything that it is to check.
    pub(crate) fn make_base() {
        // Whoever asks before it is ready waits for it, and makes it where no thread could be started.
        let started = std::thread::Builder::new().name("schema".to_owned()).spawn(Self::base);
        drop(started);
    }

    /// Returns the schema of component manifests.
    ///
    /// # Panics
    ///
    /// Never: the schema is part of the program, and a test builds it.
    #[must_use]
    pub fn manifest() -> &'static Self {
        static SCHEMA: OnceLock<Schema> = OnceLock::new();
        SCHEMA.get_or_init(|| Self::ours(2).expect("a test builds the schema of manifests"))
    }

    /// Reads the schemas that a component brings for its configuration; the first is applied, others may be referred to.
    ///
    /// Errors: [`SchemaError`], which names the file.
    pub fn of_component(
        component: &str,
        root: &Path,
        files: &[PathBuf],
    ) -> Result<Option<Self>, SchemaError> {
        let mut documents = Vec::new();
        for file in files {
            let path = root.join(file);
            let text = yaml::read_text(&path)
                .map_err(|source| SchemaError::Read { component: component.to_owned(), source })?;
            documents.push(Arc::new(document(&text, &path)?));
        }
        let Some(file) = files.first() else { return Ok(None) };
        documents.extend(ours().iter().cloned());
        let path = root.join(file);
        Self::build(documents).map(Some).map_err(|reason| SchemaError::Schema { path, reason })
    }

    /// Builds one of our schemas.
    ///
    /// It is reached over a reference, and that stands in a schema of an old draft: what a validator is built of is
    /// checked against the schema of its draft first, and building that of ours takes longer than everything else that
    /// a start reads. A test checks ours once and for all.
    fn ours(which: usize) -> Result<Self, String> {
        let all = ours();
        let reference =
            json!({ "$schema": "http://json-schema.org/draft-04/schema#", "$ref": all[which]["$id"] });
        let validator = jsonschema::options()
            .with_registry(registry())
            .offline()
            .with_keyword("pattern", pattern::keyword)
            .build(&reference)
            .map_err(|fault| fault.to_string())?;
        let mut documents = all.to_vec();
        documents.swap(0, which);
        let is_whole = describes_whole(&documents[0]);
        Ok(Self { validator, documents, is_whole, has_deprecated: TEXTS[which].contains(DEPRECATED) })
    }

    /// Builds a schema of its documents; ours can always be referred to.
    fn build(documents: Vec<Arc<Json>>) -> Result<Self, String> {
        let ours = registry();
        let own: Vec<(&str, &Json)> = documents[1..]
            .iter()
            .filter_map(|document| Some((document.get("$id")?.as_str()?, &**document)))
            .filter(|(id, _)| !ours.contains_resource(id))
            .collect();
        let extended = if own.is_empty() {
            None
        } else {
            let builder = ours.extend(own).map_err(|fault| fault.to_string())?;
            Some(builder.prepare().map_err(|fault| fault.to_string())?)
        };
        let validator = jsonschema::options()
            .with_registry(extended.as_ref().unwrap_or(ours))
            .offline()
            .build(&without_base(&documents[0]))
            .map_err(|fault| fault.to_string())?;
        drop(extended);
        let is_whole = describes_whole(&documents[0]);
        let has_deprecated = documents[0].to_string().contains(DEPRECATED);
        Ok(Self { validator, documents, is_whole, has_deprecated })
    }

    /// Checks a tree and returns all that is wrong.
    #[must_use]
    pub fn check(&self, root: &Node, context: &Context) -> Vec<Problem> {
        let json = root.to_json();
        let mut problems = Vec::new();
        for error in self.validator.iter_errors(&json) {
            translate::translate(self, &error, root, context, &mut problems);
        }
        problems.extend(self.deprecated(root, context));
        problems
    }

    /// Turns texts of digits into numbers where the schema wants whole numbers, as version 1 wrote them, and keys
    /// without a value into empty mappings where it wants mappings.
    pub(crate) fn coerce(&self, root: &mut Node, context: &Context) -> Vec<Problem> {
        let json = root.to_json();
        let (mut places, mut empty) = (Vec::new(), Vec::new());
        for error in self.validator.iter_errors(&json) {
            translate::integers_in_quotes(&error, root, &mut places);
            translate::empty_mappings(&error, root, &mut empty);
        }
        for place in empty {
            if let Some(node) = root.at_mut(&place) {
                node.value = Value::Mapping(Mapping::default());
            }
        }
        let mut problems = Vec::new();
        for place in places {
            if let Some(node) = root.at_mut(&place) {
                problems.extend(translate::unquote(node, &context.prefix, &place));
            }
        }
        problems
    }

    /// Checks the settings of a component, which stand at the prefix of the context.
    ///
    /// A component's schema describes its settings, or extends that of the whole configuration; of the latter what it
    /// says about the component counts.
    #[must_use]
    pub(crate) fn check_component(
        &self,
        component: &str,
        settings: &Node,
        context: &Context,
    ) -> Vec<Problem> {
        if !self.is_whole {
            return self.check(settings, context);
        }
        let own = KeyPath::of(&["components", component]);
        let mut prefix = context.prefix.clone();
        prefix.steps.truncate(prefix.steps.len().saturating_sub(own.steps.len()));
        let around = Context { prefix, ..context.clone() };
        let mut found = self.check(&wrapped(component, settings), &around);
        let shown = context.prefix.to_string();
        found.retain(|problem| {
            problem
                .path
                .strip_prefix(&shown)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        });
        found
    }

    /// Does for the settings of a component what [`Self::coerce`] does.
    pub(crate) fn coerce_component(
        &self,
        component: &str,
        settings: &mut Node,
        context: &Context,
    ) -> Vec<Problem> {
        if !self.is_whole {
            return self.coerce(settings, context);
        }
        let mut whole = wrapped(component, settings);
        let problems = self.coerce(&mut whole, &Context::default());
        if let Some(node) = whole.at_mut(&KeyPath::of(&["components", component])) {
            std::mem::swap(settings, node);
        }
        problems
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.is_whole
    }

    pub(crate) fn documents(&self) -> &[Arc<Json>] {
        &self.documents
    }

    /// Reports keys that the schema calls deprecated.
    fn deprecated(&self, root: &Node, context: &Context) -> Vec<Problem> {
        let mut problems = Vec::new();
        if !self.has_deprecated {
            return problems;
        }
        let mut walk = seal::Walk::new(self);
        walk.visit(root, &mut KeyPath::root(), &mut |path, key_origin, schemas| {
            let note = schemas.iter().find(|schema| schema["deprecated"] == Json::Bool(true));
            if let Some(note) = note {
                let what = note["description"].as_str().unwrap_or("older key");
                let message = format!("this key is understood, but older: {what}");
                let full = translate::join(&context.prefix, path);
                problems.push(Problem::notice(message).at(key_origin).on(full));
            }
        });
        problems
    }
}

/// Leaves out what refers to the schema of the whole, which is checked anyway and takes long to compile.
///
/// A schema that forbids what nothing has evaluated needs it, and stays as it is.
fn without_base(schema: &Json) -> Cow<'_, Json> {
    fn walk(schema: &mut Json) {
        match schema {
            Json::Object(map) => {
                let is_base = map.get("$ref").and_then(Json::as_str).is_some_and(|target| {
                    target.ends_with("/server-base") || target.ends_with("/server-base#zoweComponent")
                });
                if is_base {
                    map.remove("$ref");
                }
                map.values_mut().for_each(walk);
            }
            Json::Array(elements) => elements.iter_mut().for_each(walk),
            _ => {}
        }
    }
    let text = schema.to_string();
    if !text.contains("/server-base") || text.contains("\"unevaluatedProperties\"") {
        return Cow::Borrowed(schema);
    }
    let mut schema = schema.clone();
    walk(&mut schema);
    Cow::Owned(schema)
}

/// Returns our schemas by their ids, prepared once.
fn registry() -> &'static Registry<'static> {
    static REGISTRY: OnceLock<Registry<'static>> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let documents = ours().iter().map(|document| {
            (document["$id"].as_str().expect("a test finds the ids of our schemas"), &**document)
        });
        let builder = Registry::new().extend(documents).expect("a test builds our schemas");
        builder.prepare().expect("a test builds our schemas")
    })
}

/// Puts the settings of a component where they stand in a configuration.
fn wrapped(component: &str, settings: &Node) -> Node {
    let mut root = Node::new(Value::Mapping(Mapping::default()), settings.origin.clone());
    root.set(&["components", component], settings.clone());
    root
}

/// Says whether a schema extends that of the whole configuration.
fn describes_whole(schema: &Json) -> bool {
    let refers =
        schema.get("$ref").and_then(Json::as_str).is_some_and(|target| target.ends_with("/server-base"));
    let has_components =
        schema.get("properties").is_some_and(|properties| properties.get("components").is_some());
    let parts = schema.get("allOf").and_then(Json::as_array);
    refers || has_components || parts.is_some_and(|parts| parts.iter().any(describes_whole))
}

fn ours() -> &'static [Arc<Json>; 3] {
    static DOCUMENTS: OnceLock<[Arc<Json>; 3]> = OnceLock::new();
    DOCUMENTS.get_or_init(|| {
        TEXTS.map(|text| Arc::new(serde_json::from_str(text).expect("a test reads our schemas as JSON")))
    })
}

/// Reads a schema that may be written in YAML.
fn document(text: &str, path: &Path) -> Result<Json, SchemaError> {
    let parsed = yaml::parse(text, &Arc::from(path), Layer::File);
    let wrong = |reason: String| SchemaError::Json { path: path.to_owned(), reason };
    if let Some(problem) = parsed.problems.first() {
        return Err(wrong(problem.to_string()));
    }
    let mut json = parsed.root.map(|root| root.to_json()).unwrap_or_default();
    if !json.is_object() {
        return Err(wrong("a schema is a mapping".to_owned()));
    }
    old_style_bounds(&mut json);
    Ok(json)
}

/// Rewrites exclusive bounds that are booleans, as the reference implements them.
fn old_style_bounds(schema: &mut Json) {
    match schema {
        Json::Object(map) => {
            for (flag, bound) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
                let Some(is_exclusive) = map.get(flag).and_then(Json::as_bool) else { continue };
                map.remove(flag);
                if is_exclusive && let Some(limit) = map.remove(bound) {
                    map.insert(flag.to_owned(), limit);
                }
            }
            map.values_mut().for_each(old_style_bounds);
        }
        Json::Array(elements) => elements.iter_mut().for_each(old_style_bounds),
        _ => {}
    }
}

/// Says that a component's schema cannot be used.
pub(crate) fn unusable(error: &SchemaError, manifest: &Origin, component: &str) -> Problem {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    Problem::error(format!("the schema of the component cannot be used: {error}{cause}"))
        .at(manifest)
        .on(KeyPath::of(&["components", component]))
}

#[cfg(test)]
mod tests;

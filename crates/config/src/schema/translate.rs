//! From what a validator says to what a person needs to know.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use serde_json::Value as Json;

use crate::key_path::{KeyPath, Step};
use crate::node::{Node, Value};
use crate::problem::{Problem, Severity};
use crate::schema::{Context, Schema, nearest};

/// Keys whose value says which of several forms is meant.
const DISCRIMINATORS: [&str; 3] = ["type", "kind", "mode"];

/// Reports one error of the validator.
pub(super) fn translate(
    schema: &Schema,
    error: &ValidationError<'_>,
    root: &Node,
    context: &Context,
    problems: &mut Vec<Problem>,
) {
    let path = place(root, error.instance_path().as_str());
    let full = join(&context.prefix, &path);
    if context.suppressed.iter().any(|wrong| full.steps.starts_with(&wrong.steps)) {
        return;
    }
    let Some(node) = root.at(&path) else { return };
    let problem = |message: String| Problem::error(message).at(&node.origin).on(&full).id("ZWEL0070E");
    match error.kind() {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            unknown_keys(schema, error, node, &full, unexpected, problems);
        }
        Kind::Required { .. } | Kind::MinItems { .. } | Kind::MinProperties { .. } if context.is_partial => {}
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            problems.push(problem(format!("the key `{name}` is missing")));
        }
        Kind::AnyOf { context: branches } | Kind::OneOfNotValid { context: branches } => {
            alternatives(schema, branches, node, root, context, &full, problems);
        }
        Kind::PropertyNames { error: inner } => {
            problems.push(problem(format!(
                "a key of this mapping is not allowed: {}",
                sentence(inner.kind(), node)
            )));
        }
        kind => {
            let suggestion = match kind {
                Kind::Enum { options } => node.text().and_then(|text| nearest(text, words(options))),
                _ => None,
            };
            problems.push(problem(sentence(kind, node)).found(node.shown()).nearest(suggestion));
        }
    }
}

/// Finds texts of digits that the validator wants as whole numbers.
pub(super) fn integers_in_quotes(error: &ValidationError<'_>, root: &Node, places: &mut Vec<KeyPath>) {
    match error.kind() {
        Kind::Type { kind } if type_words(kind) == "a whole number" => {
            let path = place(root, error.instance_path().as_str());
            let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            if root.at(&path).and_then(Node::text).is_some_and(is_digits) {
                places.push(path);
            }
        }
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
            for inner in context.iter().flatten() {
                integers_in_quotes(inner, root, places);
            }
        }
        _ => {}
    }
}

/// Finds keys without a value where the validator wants a mapping.
pub(super) fn empty_mappings(error: &ValidationError<'_>, root: &Node, places: &mut Vec<KeyPath>) {
    if let Kind::Type { kind } = error.kind() {
        let path = place(root, error.instance_path().as_str());
        if type_words(kind).contains("a mapping") && root.at(&path).is_some_and(Node::is_null) {
            places.push(path);
        }
    }
}

/// Makes a number of a text of digits and says so.
pub(super) fn unquote(node: &mut Node, prefix: &KeyPath, place: &KeyPath) -> Option<Problem> {
    let number = node.text()?.parse().ok()?;
    let notice = Problem::notice("a number in quotes is understood; write it without")
        .at(&node.origin)
        .on(join(prefix, place))
        .found(node.shown());
    node.value = Value::integer(number);
    Some(notice)
}

pub(super) fn join(prefix: &KeyPath, path: &KeyPath) -> KeyPath {
    KeyPath { steps: prefix.steps.iter().chain(&path.steps).cloned().collect() }
}

/// Turns a JSON pointer into a path of the tree it points into.
fn place(root: &Node, pointer: &str) -> KeyPath {
    let mut path = KeyPath::root();
    let mut node = Some(root);
    for part in pointer.split('/').skip(1) {
        let key = part.replace("~1", "/").replace("~0", "~");
        let step = match (node.map(|node| &node.value), key.parse()) {
            (Some(Value::Sequence(_)), Ok(index)) => Step::Index(index),
            _ => Step::Key(key),
        };
        node = node.and_then(|node| match &step {
            Step::Key(key) => node.get(key),
            Step::Index(index) => node.sequence().and_then(|elements| elements.get(*index)),
        });
        path.steps.push(step);
    }
    path
}

fn unknown_keys(
    schema: &Schema,
    error: &ValidationError<'_>,
    node: &Node,
    full: &KeyPath,
    unexpected: &[String],
    problems: &mut Vec<Problem>,
) {
    let owner = owner_of(schema, error);
    let valid: Vec<&str> = owner
        .and_then(|owner| owner.get("properties"))
        .and_then(Json::as_object)
        .map(|properties| properties.keys().map(String::as_str).collect())
        .unwrap_or_default();
    let is_tolerated = owner.is_some_and(|owner| owner["x-unknown"] == "warning");
    for key in unexpected {
        let entry = node.mapping().and_then(|mapping| mapping.entry(key));
        let origin = entry.map_or(&node.origin, |entry| &entry.key_origin);
        let suggestion = nearest(key, valid.iter().copied());
        let mut problem =
            Problem::error("this key is not known").at(origin).on(full.key(key)).id("ZWEL0070E");
        if is_tolerated {
            problem.severity = if suggestion.is_some() { Severity::Warning } else { Severity::Notice };
            problem.id = None;
        }
        if suggestion.is_none() && !valid.is_empty() && valid.len() <= 12 {
            problem.message = format!("this key is not known; known are {}", valid.join(", "));
        }
        problems.push(problem.nearest(suggestion));
    }
}

/// Returns the schema whose keyword failed.
fn owner_of<'a>(schema: &'a Schema, error: &ValidationError<'_>) -> Option<&'a Json> {
    let parent = |pointer: &str| pointer.rsplit_once('/').map(|(parent, _)| parent.to_owned());
    if let Some(uri) = error.absolute_keyword_location() {
        let text = uri.to_string();
        let (id, fragment) = text.split_once('#').unwrap_or((&text, ""));
        let document = schema.documents().iter().find(|document| {
            document.get("$id").and_then(Json::as_str).is_some_and(|own| own.trim_end_matches('#') == id)
        });
        if let Some(found) = document.and_then(|document| document.pointer(&parent(&unescape(fragment))?)) {
            return Some(found);
        }
    }
    schema.documents()[0].pointer(&parent(error.schema_path().as_str())?)
}

/// Undoes the percent signs of a URI fragment, as far as JSON pointers of schemas have them.
fn unescape(fragment: &str) -> String {
    fragment.replace("%24", "$").replace("%5E", "^").replace("%22", "\"").replace("%20", " ")
}

/// Reports the branch that was meant, not all of them.
fn alternatives(
    schema: &Schema,
    branches: &[Vec<ValidationError<'static>>],
    node: &Node,
    root: &Node,
    context: &Context,
    full: &KeyPath,
    problems: &mut Vec<Problem>,
) {
    let meant: Vec<_> = branches.iter().filter(|errors| discriminators(errors).is_empty()).collect();
    if meant.is_empty() {
        let errors: Vec<_> = branches.iter().flat_map(|errors| discriminators(errors)).collect();
        if let Some(first) = errors.first() {
            let path = place(root, first.instance_path().as_str());
            let allowed: Vec<String> = errors.iter().flat_map(|error| allowed(error.kind())).collect();
            let found = root.at(&path).unwrap_or(node);
            problems.push(
                Problem::error(format!("it must be one of {}", allowed.join(", ")))
                    .at(&found.origin)
                    .on(join(&context.prefix, &path))
                    .found(found.shown())
                    .nearest(found.text().and_then(|text| nearest(text, allowed.iter().map(String::as_str))))
                    .id("ZWEL0070E"),
            );
            return;
        }
    }
    // A branch of another type than the value was not meant; of the others, the one with the least to say was.
    let is_other_type = |errors: &&&Vec<ValidationError<'static>>| {
        errors.iter().any(|error| {
            matches!(error.kind(), Kind::Type { .. }) && same_place(root, error, full, &context.prefix)
        })
    };
    let of_type: Vec<_> = meant.iter().filter(|errors| !is_other_type(errors)).collect();
    if let Some(errors) = of_type.iter().min_by_key(|errors| errors.len()) {
        for error in errors.iter() {
            translate(schema, error, root, context, problems);
        }
        return;
    }
    let mut kinds: Vec<String> = branches
        .iter()
        .flatten()
        .filter_map(|error| match error.kind() {
            Kind::Type { kind } => Some(type_words(kind)),
            _ => None,
        })
        .collect();
    kinds.dedup();
    let message = if kinds.is_empty() {
        "it has none of the forms that are allowed here".to_owned()
    } else {
        format!("{} is needed", kinds.join(" or "))
    };
    problems.push(Problem::error(message).at(&node.origin).on(full).found(node.shown()).id("ZWEL0070E"));
}

fn same_place(root: &Node, error: &ValidationError<'_>, full: &KeyPath, prefix: &KeyPath) -> bool {
    join(prefix, &place(root, error.instance_path().as_str())) == *full
}

/// Returns the errors that say that a branch was not meant.
fn discriminators<'a>(errors: &'a [ValidationError<'static>]) -> Vec<&'a ValidationError<'static>> {
    let is_one = |error: &&ValidationError<'static>| {
        let pointer = error.instance_path().as_str();
        let last = pointer.rsplit('/').next().unwrap_or_default();
        matches!(error.kind(), Kind::Constant { .. } | Kind::Enum { .. }) && DISCRIMINATORS.contains(&last)
    };
    errors.iter().filter(is_one).collect()
}

fn allowed(kind: &Kind) -> Vec<String> {
    match kind {
        Kind::Constant { expected_value } => vec![word(expected_value)],
        Kind::Enum { options } => options.as_array().into_iter().flatten().map(word).collect(),
        _ => Vec::new(),
    }
}

fn word(value: &Json) -> String {
    match value {
        Json::String(text) if text.is_empty() => "an empty text".to_owned(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn words(options: &Json) -> impl Iterator<Item = &str> {
    options.as_array().into_iter().flatten().filter_map(Json::as_str)
}

fn type_words(kind: &TypeKind) -> String {
    let name = |json_type: jsonschema::JsonType| match json_type.to_string().as_str() {
        "string" => "a text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a sequence",
        "object" => "a mapping",
        _ => "nothing",
    };
    match kind {
        TypeKind::Single(one) => name(*one).to_owned(),
        TypeKind::Multiple(many) => many.iter().map(name).collect::<Vec<_>>().join(" or "),
    }
}

/// Says what is wrong in one sentence.
fn sentence(kind: &Kind, node: &Node) -> String {
    match kind {
        Kind::Type { kind } => {
            let needed = type_words(kind);
            let hint = match &node.value {
                Value::Number(_) | Value::Bool(_) if needed.starts_with("a text") => "; write it in quotes",
                Value::Text(text)
                    if needed == "true or false" && matches!(text.as_str(), "true" | "false") =>
                {
                    "; write it without quotes"
                }
                Value::Text(text)
                    if needed == "true or false" && matches!(text.as_str(), "yes" | "no" | "on" | "off") =>
                {
                    "; YAML knows true and false only"
                }
                _ => "",
            };
            format!("{needed} is needed{hint}")
        }
        Kind::Enum { .. } | Kind::Constant { .. } => {
            format!("it must be one of {}", allowed(kind).join(", "))
        }
        Kind::Minimum { limit } => format!("the lowest number allowed is {limit}"),
        Kind::Maximum { limit } => format!("the highest number allowed is {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("it must be more than {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("it must be less than {limit}"),
        Kind::MinLength { limit } => format!("it must have at least {limit} characters"),
        Kind::MaxLength { limit } => format!("it may have at most {limit} characters"),
        Kind::MinItems { limit } => format!("it must have at least {limit} elements"),
        Kind::MaxItems { limit } => format!("it may have at most {limit} elements"),
        Kind::MinProperties { limit } => format!("it must have at least {limit} keys"),
        Kind::MaxProperties { limit } => format!("it may have at most {limit} keys"),
        Kind::UniqueItems => "an element stands in it twice".to_owned(),
        Kind::Pattern { pattern } => super::pattern::said(pattern),
        Kind::Custom { message, .. } => message.clone(),
        Kind::MultipleOf { multiple_of } => format!("it must be a multiple of {multiple_of}"),
        Kind::FalseSchema => "nothing is allowed here".to_owned(),
        Kind::OneOfMultipleValid { .. } => "it fits several forms of which one is allowed".to_owned(),
        other => format!("it breaks the rule `{}` of the schema", other.keyword()),
    }
}

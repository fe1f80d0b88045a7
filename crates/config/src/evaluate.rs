//! Templates `${{ expression }}` in scalars.
//!
//! Expressions are JavaScript, run by an embedded engine that has no way out: no files, no modules, no clock, no chance
//! and no function of this program; memory, stack and time are bounded. The configuration stands in it as frozen
//! objects under its root keys. Values are evaluated when something asks for them and once, so their order in the file
//! does not matter, and a cycle is reported with every place in it.
//!
//! A scalar that is one template keeps the type of its value; text around it, or a second template, make it a text.
//! The engine does not start when no template exists.

mod engine;
mod scan;

use crate::key_path::KeyPath;
use crate::node::{Entry, Mapping, Node, Number, Numeric, Value};
use crate::origin::Origin;
use crate::problem::Problem;

use engine::Fault;
use scan::Piece;

/// What evaluating templates may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TemplateLimits {
    /// Memory in bytes.
    pub memory_bytes: usize,
    /// Stack in bytes.
    pub stack_bytes: usize,
    /// Time for all templates together, in milliseconds.
    pub time_ms: u64,
}

impl Default for TemplateLimits {
    fn default() -> Self {
        Self { memory_bytes: 16 << 20, stack_bytes: 512 << 10, time_ms: 2000 }
    }
}

/// Which templates are evaluated.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which<'a> {
    /// All of them.
    All,
    /// Those at these places, and what they ask for.
    At(&'a [KeyPath]),
}

/// What came of evaluating.
#[derive(Debug, Default)]
pub(crate) struct Evaluated {
    /// What is wrong.
    pub(crate) problems: Vec<Problem>,
    /// Places whose template has no value; they hold nothing now.
    pub(crate) failed: Vec<KeyPath>,
}

/// A scalar with templates.
struct Template {
    path: KeyPath,
    origin: Origin,
    pieces: Vec<Piece>,
}

impl Template {
    /// Returns the expressions as they were written.
    fn source(&self) -> String {
        let expressions = self.pieces.iter().filter_map(|piece| match piece {
            Piece::Expression(source) => Some(source.trim()),
            Piece::Text(_) => None,
        });
        expressions.collect::<Vec<_>>().join("; ")
    }
}

/// Replaces templates of a tree by their values.
pub(crate) fn evaluate(root: &mut Node, which: Which<'_>, limits: &TemplateLimits) -> Evaluated {
    let mut evaluated = Evaluated::default();
    let mut templates = Vec::new();
    root.visit(&mut KeyPath::root(), &mut |path, node| {
        let Some(text) = node.text().filter(|text| text.contains(scan::OPENING)) else { return };
        match scan::pieces(text) {
            Ok(pieces) => {
                templates.push(Template { path: path.clone(), origin: node.origin.clone(), pieces });
            }
            Err(fault) => {
                evaluated
                    .problems
                    .push(Problem::error(fault.to_string()).at(&node.origin).on(path).found(node.shown()));
                evaluated.failed.push(path.clone());
            }
        }
    });
    let wanted: Vec<usize> = match which {
        Which::All => (0..templates.len()).collect(),
        Which::At(paths) => (0..templates.len()).filter(|at| paths.contains(&templates[*at].path)).collect(),
    };
    if !wanted.is_empty() {
        let outcomes = engine::run(root, &templates, &wanted, limits);
        for (at, outcome) in outcomes {
            settle(root, &templates, at, outcome, &mut evaluated);
        }
    }
    for path in &evaluated.failed {
        if let Some(node) = root.at_mut(path) {
            node.value = Value::Null;
        }
    }
    evaluated
}

/// Puts the value of one template in its place, or reports why there is none.
fn settle(
    root: &mut Node,
    templates: &[Template],
    at: usize,
    outcome: Result<engine::Outcome, Fault>,
    evaluated: &mut Evaluated,
) {
    let template = &templates[at];
    let (path, origin) = (&template.path, &template.origin);
    let problem = |message: String| Problem::error(message).at(origin).on(path).found(template.source());
    match outcome {
        Ok(engine::Outcome { value, has_undefined }) => {
            if has_undefined {
                let message = "the template asks for something that is not there";
                evaluated
                    .problems
                    .push(Problem::warning(message).at(origin).on(path).found(template.source()));
            }
            if let Some(node) = root.at_mut(path) {
                *node = located(value, origin);
            }
            return;
        }
        Err(Fault::Expression(message)) => {
            evaluated.problems.push(problem(format!("the template cannot be evaluated: {message}")));
        }
        Err(Fault::Cycle(ids)) => {
            if ids.iter().min() == Some(&at) {
                let names: Vec<_> =
                    ids.iter().chain(ids.first()).map(|id| templates[*id].path.to_string()).collect();
                let mut cycle = problem(format!("templates need each other: {}", names.join(" → ")));
                cycle.related =
                    ids.iter().filter(|id| **id != at).map(|id| templates[*id].origin.clone()).collect();
                evaluated.problems.push(cycle);
            }
        }
        Err(Fault::Limit(message)) => evaluated.problems.push(problem(message)),
        // What it needs failed, and is reported itself.
        Err(Fault::Elsewhere) => {}
    }
    evaluated.failed.push(path.clone());
}

/// Gives a value of the engine the place of its template.
fn located(value: serde_json::Value, origin: &Origin) -> Node {
    use serde_json::Value as Json;
    let value = match value {
        Json::Null => Value::Null,
        Json::Bool(is_true) => Value::Bool(is_true),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Value::integer(integer),
            (None, Some(float)) => {
                Value::Number(Number { spelling: number.to_string().into(), value: Numeric::Float(float) })
            }
            (None, None) => Value::Text(number.to_string()),
        },
        Json::String(text) => Value::Text(text),
        Json::Array(elements) => {
            Value::Sequence(elements.into_iter().map(|element| located(element, origin)).collect())
        }
        Json::Object(entries) => {
            let mut mapping = Mapping::default();
            for (key, value) in entries {
                mapping.push_new(Entry { key, key_origin: origin.clone(), node: located(value, origin) });
            }
            Value::Mapping(mapping)
        }
    };
    Node::new(value, origin.clone())
}

#[cfg(test)]
mod tests;

//! `@include: file` inside a mapping, as version 1 has it: the file is laid over the keys beside it.

use std::path::{Path, PathBuf};

use crate::merge::{self, KeyOrder};
use crate::node::{Node, Value};
use crate::origin::Layer;
use crate::problem::Problem;
use crate::yaml;

const KEY: &str = "@include";
const DEPTH_MAX: usize = 8;

/// Takes in what a tree includes; nothing when an included file cannot be read.
pub(super) fn expand(root: Node, file: &Path, problems: &mut Vec<Problem>) -> Option<Node> {
    let mut stack = vec![file.to_owned()];
    walk(root, &mut stack, problems)
}

fn walk(node: Node, stack: &mut Vec<PathBuf>, problems: &mut Vec<Problem>) -> Option<Node> {
    let Node { value, origin } = node;
    let value = match value {
        Value::Sequence(elements) => Value::Sequence(
            elements.into_iter().map(|element| walk(element, stack, problems)).collect::<Option<_>>()?,
        ),
        Value::Mapping(mut mapping) => {
            let include = mapping.remove(KEY);
            for entry in mapping.entries_mut() {
                let placeholder = Node::new(Value::Null, entry.node.origin.clone());
                let child = std::mem::replace(&mut entry.node, placeholder);
                entry.node = walk(child, stack, problems)?;
            }
            let mut merged = Node::new(Value::Mapping(mapping), origin);
            let Some(include) = include else { return Some(merged) };
            for name in names(&include.node, problems)? {
                let included = read(&name, &include.node, stack, problems)?;
                let origin = merged.origin.clone();
                merged = merge::overlay(merged, included, KeyOrder::Lower);
                merged.origin = origin;
            }
            return Some(merged);
        }
        other => other,
    };
    Some(Node::new(value, origin))
}

fn names(node: &Node, problems: &mut Vec<Problem>) -> Option<Vec<String>> {
    let names = match &node.value {
        Value::Text(name) => Some(vec![name.clone()]),
        Value::Sequence(elements) => {
            elements.iter().map(|element| element.text().map(str::to_owned)).collect()
        }
        _ => None,
    };
    if names.is_none() {
        problems.push(
            Problem::error("`@include` needs a file, or a list of files")
                .at(&node.origin)
                .found(node.shown()),
        );
    }
    names
}

fn read(name: &str, at: &Node, stack: &mut Vec<PathBuf>, problems: &mut Vec<Problem>) -> Option<Node> {
    let directory = stack.last().and_then(|file| file.parent()).unwrap_or(Path::new(""));
    let file = directory.join(name);
    let problem = |message: String| Problem::error(message).at(&at.origin).on(KEY).found(name.to_owned());
    let same = |one: &PathBuf| match (one.canonicalize(), file.canonicalize()) {
        (Ok(one), Ok(file)) => one == file,
        _ => *one == file,
    };
    if stack.iter().any(same) {
        problems.push(problem("the file includes itself".to_owned()));
        return None;
    }
    if stack.len() > DEPTH_MAX {
        problems.push(problem(format!("files include each other more than {DEPTH_MAX} deep")));
        return None;
    }
    let parsed = match yaml::load(&file, Layer::File) {
        Ok(parsed) => parsed,
        Err(fault) => {
            let cause =
                std::error::Error::source(&fault).map(|cause| format!(": {cause}")).unwrap_or_default();
            problems.push(problem(format!("the included file cannot be used: {fault}{cause}")));
            return None;
        }
    };
    problems.extend(parsed.problems);
    let root = parsed.root?;
    if root.mapping().is_none() {
        problems.push(problem("the included file is no mapping".to_owned()));
        return None;
    }
    stack.push(file);
    let expanded = walk(root, stack, problems);
    stack.pop();
    expanded
}

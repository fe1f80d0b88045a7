//! How one tree is laid over another.
//!
//! Mappings are merged key by key; everything else, sequences included, is replaced by what lies above, and so is a
//! mapping by a scalar. `null` replaces too. A key that ends in `+` appends: `externalDomains+: [b]` over
//! `externalDomains: [a]` gives `[a, b]`. No key of the schema ends in `+`.

use crate::node::{Entry, Mapping, Node, Value};
use crate::problem::Problem;

/// Whose order of keys a merged mapping has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyOrder {
    /// Keys of the lower tree first.
    Lower,
    /// Keys of the upper tree first.
    Upper,
}

/// Lays `upper` over `lower`.
#[must_use]
pub fn overlay(lower: Node, upper: Node, order: KeyOrder) -> Node {
    let origin = upper.origin;
    match (lower.value, upper.value) {
        (Value::Mapping(lower), Value::Mapping(upper)) => {
            Node::new(Value::Mapping(overlay_mapping(lower, upper, order)), origin)
        }
        (_, upper) => Node::new(upper, origin),
    }
}

/// Turns keys that append into ordinary ones, where nothing lies below.
#[must_use]
pub fn settle(node: Node) -> Node {
    let value = match node.value {
        Value::Mapping(mapping) => {
            let mut settled = Mapping::default();
            for entry in mapping {
                lay(&mut settled, entry, KeyOrder::Lower);
            }
            Value::Mapping(settled)
        }
        other => other,
    };
    Node::new(value, node.origin)
}

/// Lists keys that append something other than a sequence, or stand beside the same key without `+`.
#[must_use]
pub fn check_appends(root: &Node) -> Vec<Problem> {
    let mut problems = Vec::new();
    root.visit(&mut crate::key_path::KeyPath::root(), &mut |path, node| {
        let Some(mapping) = node.mapping() else { return };
        for entry in mapping.entries() {
            let Some(plain) = appended(&entry.key) else { continue };
            let problem = |message| Problem::error(message).at(&entry.key_origin).on(path.key(&entry.key));
            if entry.node.sequence().is_none() {
                problems.push(
                    problem("a key with `+` at its end appends to a sequence and needs one")
                        .found(entry.node.value.kind()),
                );
            }
            if let Some(other) = mapping.entry(plain) {
                problems.push(problem("stands beside the same key without `+`").and_at(&other.key_origin));
            }
        }
    });
    problems
}

/// Returns the key that a key with `+` appends to.
#[must_use]
pub fn appended(key: &str) -> Option<&str> {
    key.strip_suffix('+').filter(|plain| !plain.is_empty())
}

fn overlay_mapping(lower: Mapping, upper: Mapping, order: KeyOrder) -> Mapping {
    match order {
        KeyOrder::Lower => {
            let mut merged = lower;
            for entry in upper {
                lay(&mut merged, entry, order);
            }
            merged
        }
        KeyOrder::Upper => {
            let mut lower = lower;
            let mut merged = Mapping::default();
            for entry in upper {
                let plain = appended(&entry.key).unwrap_or(&entry.key).to_owned();
                if let Some(below) = lower.remove(&plain) {
                    merged.push_new(below);
                }
                lay(&mut merged, entry, order);
            }
            for entry in lower {
                merged.push_new(entry);
            }
            merged
        }
    }
}

/// Lays one entry over a mapping.
fn lay(merged: &mut Mapping, entry: Entry, order: KeyOrder) {
    let Entry { key, key_origin, node } = entry;
    if let Some(plain) = appended(&key).filter(|_| node.sequence().is_some()) {
        let mut elements = match merged.get_mut(plain).map(|below| &mut below.value) {
            Some(Value::Sequence(below)) => std::mem::take(below),
            _ => Vec::new(),
        };
        let origin = node.origin;
        if let Value::Sequence(more) = node.value {
            elements.extend(more);
        }
        merged.insert(plain, key_origin, Node::new(Value::Sequence(elements), origin));
        return;
    }
    match merged.get_mut(&key) {
        Some(below) => {
            let under = std::mem::replace(below, Node::new(Value::Null, node.origin.clone()));
            let over = overlay(under, node, order);
            merged.insert(&key, key_origin, over);
        }
        None => merged.push_new(Entry { key, key_origin, node: settle(node) }),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::origin::Layer;
    use crate::yaml;

    fn node(value: &Json) -> Node {
        yaml::parse(&value.to_string(), &Arc::from(Path::new("t")), Layer::File).root.unwrap()
    }

    fn merged(lower: &Json, upper: &Json) -> Json {
        overlay(node(lower), node(upper), KeyOrder::Lower).to_json()
    }

    #[test]
    fn overlay_merges_mappings_and_replaces_the_rest() {
        let lower = json!({"a": {"x": 1, "y": [1, 2]}, "b": 1, "c": {"d": 1}});
        let upper = json!({"a": {"y": [3]}, "b": null, "c": "text"});
        assert_eq!(merged(&lower, &upper), json!({"a": {"x": 1, "y": [3]}, "b": null, "c": "text"}));
    }

    #[test]
    fn overlay_with_plus_appends() {
        assert_eq!(merged(&json!({"d": ["a"]}), &json!({"d+": ["b"]})), json!({"d": ["a", "b"]}));
        assert_eq!(merged(&json!({}), &json!({"x": {"d+": ["b"]}})), json!({"x": {"d": ["b"]}}));
        assert_eq!(settle(node(&json!({"d+": ["b"]}))).to_json(), json!({"d": ["b"]}));
        assert_eq!(check_appends(&node(&json!({"d+": 1, "d": []}))).len(), 2);
    }

    #[test]
    fn overlay_keeps_the_order_it_was_asked_for() {
        let keys = |order| {
            let node = overlay(node(&json!({"a": 1, "b": 2})), node(&json!({"c": 3, "b": 4})), order);
            node.mapping().unwrap().keys().collect::<Vec<_>>().join("")
        };
        assert_eq!(keys(KeyOrder::Lower), "abc");
        assert_eq!(keys(KeyOrder::Upper), "cba");
    }

    fn any_tree() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<i32>().prop_map(Json::from),
            "[a-z]{0,3}".prop_map(Json::from)
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Json::from),
                proptest::collection::btree_map("[a-d]", inner, 0..4)
                    .prop_map(|entries| Json::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn overlay_of_itself_changes_nothing(tree in any_tree()) {
            prop_assert_eq!(merged(&tree, &tree), tree);
        }

        #[test]
        fn overlay_of_mappings_is_associative(a in any_tree(), b in any_tree(), c in any_tree()) {
            // A scalar in the middle hides what lies below it from a mapping above; with mappings alone it cannot.
            let (a, b, c) = (json!({ "k": a }), json!({ "k": b }), json!({ "k": c }));
            if !has_leaf_over_mapping(&a, &b) {
                prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
            }
        }

        #[test]
        fn overlay_of_either_order_holds_the_same(a in any_tree(), b in any_tree()) {
            let lower = overlay(node(&a), node(&b), KeyOrder::Lower).to_json();
            let upper = overlay(node(&a), node(&b), KeyOrder::Upper).to_json();
            prop_assert_eq!(lower, upper);
        }

        #[test]
        fn overlay_shows_every_leaf_of_the_upper_tree(a in any_tree(), b in any_tree()) {
            let merged = overlay(node(&a), node(&b), KeyOrder::Lower);
            let upper = node(&b);
            let mut wrong = Vec::new();
            upper.visit(&mut crate::key_path::KeyPath::root(), &mut |path, leaf| {
                if leaf.mapping().is_none() && merged.at(path).map(Node::to_json) != Some(leaf.to_json()) {
                    wrong.push(path.to_string());
                }
            });
            prop_assert!(wrong.is_empty(), "{wrong:?}");
        }
    }

    fn has_leaf_over_mapping(lower: &Json, upper: &Json) -> bool {
        match (lower, upper) {
            (Json::Object(lower), Json::Object(upper)) => upper
                .iter()
                .any(|(key, value)| lower.get(key).is_some_and(|below| has_leaf_over_mapping(below, value))),
            (Json::Object(_), _) => true,
            _ => false,
        }
    }
}

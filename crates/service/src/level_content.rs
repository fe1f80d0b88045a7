//! The parts of a level: BASE, fixes in order, local modifications on top.
//!
//! A contained fix adds nothing of its own; the fix that contains it stands for it. Any two remaining fixes that change
//! the same part are in an order the closure enforces, so the same set of fixes always gives the same tree.

use std::collections::BTreeMap;

use tender_content::{Digest, Node, PartPath, Tree, tree::TreeError};
use tender_package::manifest::content_digest;
use tender_package::{ComponentName, FixId};

use crate::shapes::{Fix, LevelComponent, LocalMod};

/// Says why parts do not come together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComposeError {
    /// A fix was made against other parts than those of BASE.
    #[error("fix {fix} was made against another part `{path}` than the one in BASE of component {component}")]
    OtherBase {
        /// The fix.
        fix: FixId,
        /// The component.
        component: ComponentName,
        /// The part.
        path: PartPath,
    },
    /// The parts do not make a tree.
    #[error("the parts of component {component} do not make a tree")]
    Tree {
        /// The component.
        component: ComponentName,
        /// Why.
        #[source]
        source: TreeError,
    },
}

/// Lays fixes, in order and without contained ones, over BASE.
pub fn vendor_tree(component: &ComponentName, base: &Tree, fixes: &[&Fix]) -> Result<Tree, ComposeError> {
    let mut nodes: BTreeMap<PartPath, Node> =
        base.iter().map(|(path, node)| (path.clone(), node.clone())).collect();
    let mut changed: BTreeMap<&PartPath, ()> = BTreeMap::new();
    for fix in fixes {
        for part in &fix.parts {
            // A fix that contains others may have been made against one of those instead of BASE.
            let is_first = changed.insert(&part.path, ()).is_none();
            let is_as_was = something(nodes.get(&part.path)) == something(part.was.as_ref());
            if is_first && fix.supersedes.is_empty() && !is_as_was {
                return Err(ComposeError::OtherBase {
                    fix: fix.id.clone(),
                    component: component.clone(),
                    path: part.path.clone(),
                });
            }
            match &part.becomes {
                Some(node) => nodes.insert(part.path.clone(), node.clone()),
                None => nodes.remove(&part.path),
            };
        }
    }
    Tree::from_nodes(nodes).map_err(|source| ComposeError::Tree { component: component.clone(), source })
}

/// Takes an empty directory for nothing: whether there is one depends on the parts in it, which other fixes bring.
fn something(node: Option<&Node>) -> Option<&Node> {
    node.filter(|node| **node != Node::Directory)
}

/// Lays local modifications over the vendor's parts.
pub fn with_local_mods(vendor: Tree, mods: &[&LocalMod]) -> Result<Tree, TreeError> {
    let mut nodes = vendor.into_nodes();
    for local_mod in mods {
        match &local_mod.body {
            Some(node) => nodes.insert(local_mod.path.clone(), node.clone()),
            None => nodes.remove(&local_mod.path),
        };
    }
    Tree::from_nodes(nodes)
}

/// Returns the identity of a level's content.
#[must_use]
pub fn digest(components: &[LevelComponent]) -> Digest {
    content_digest(components.iter().map(|component| (&component.name, &component.tree)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shapes::{LocalModKind, LocalModState, PartChange};

    fn node(text: &str) -> Node {
        Node::File { mode: 0o644, size: text.len() as u64, digest: Digest::of(text.as_bytes()) }
    }

    fn path(text: &str) -> PartPath {
        PartPath::new(text).unwrap()
    }

    fn tree(parts: &[(&str, &str)]) -> Tree {
        Tree::from_nodes(parts.iter().map(|(name, text)| (path(name), node(text))).collect()).unwrap()
    }

    fn fix(id: &str, parts: &[(&str, Option<&str>, Option<&str>)]) -> Fix {
        Fix {
            id: FixId::new(id).unwrap(),
            component: component(),
            description: String::new(),
            problems: Vec::new(),
            requisites: Vec::new(),
            supersedes: Vec::new(),
            holds: Vec::new(),
            memo: None,
            categories: Vec::new(),
            parts: parts
                .iter()
                .map(|(name, was, becomes)| PartChange {
                    path: path(name),
                    was: was.map(node),
                    becomes: becomes.map(node),
                })
                .collect(),
        }
    }

    fn component() -> ComponentName {
        ComponentName::new("c").unwrap()
    }

    #[test]
    fn fixes_in_order_add_replace_and_delete_parts() {
        let base = tree(&[("a", "1"), ("b", "1")]);
        let first = fix("F1", &[("a", Some("1"), Some("2")), ("b", Some("1"), None)]);
        let second = fix("F2", &[("a", Some("2"), Some("3")), ("c", None, Some("1"))]);
        let found = vendor_tree(&component(), &base, &[&first, &second]).unwrap();
        assert_eq!(found, tree(&[("a", "3"), ("c", "1")]));
    }

    #[test]
    fn fix_made_against_another_base_is_refused() {
        let base = tree(&[("a", "1")]);
        let stray = fix("F1", &[("a", Some("other"), Some("2"))]);
        let error = vendor_tree(&component(), &base, &[&stray]).unwrap_err();
        assert!(matches!(error, ComposeError::OtherBase { .. }));
    }

    #[test]
    fn directory_is_emptied_and_filled_by_fixes_that_do_not_know_each_other() {
        let base =
            Tree::from_nodes([(path("spool"), Node::Directory), (path("log/a"), node("1"))].into()).unwrap();
        let filled = |name: &str| {
            let mut nodes = base.clone().into_nodes();
            nodes.insert(path(name), node("2"));
            Tree::from_nodes(nodes).unwrap()
        };
        let by = |id: &str, from: &Tree, to: &Tree| Fix {
            parts: crate::fix::changes_between(from, to),
            ..fix(id, &[])
        };
        let emptied =
            Tree::from_nodes([(path("spool"), Node::Directory), (path("log"), Node::Directory)].into())
                .unwrap();
        let (one, other) = (by("F1", &base, &filled("spool/one")), by("F2", &base, &filled("spool/two")));
        assert_eq!((one.parts.len(), other.parts.len()), (1, 1));
        let third = by("F3", &base, &emptied);
        let found = vendor_tree(&component(), &base, &[&one, &other, &third]).unwrap();
        assert_eq!(
            found.encode().lines().filter(|line| line.starts_with('D')).collect::<Vec<_>>(),
            ["D log"]
        );
        assert!(found.get("spool/one").is_some() && found.get("spool/two").is_some());
        // And back: what a fix put into a directory is taken out by the next.
        let back = by("F4", &filled("spool/one"), &base);
        assert_eq!(vendor_tree(&component(), &base, &[&one, &back]).unwrap(), base);
    }

    #[test]
    fn local_modification_stands_on_top_of_the_vendor() {
        let local_mod = LocalMod {
            id: FixId::new("L0001").unwrap(),
            component: component(),
            path: path("a"),
            kind: LocalModKind::Replace,
            base: Some(node("1")),
            body: Some(node("ours")),
            fixed_in: Vec::new(),
            reason: String::new(),
            owner: String::new(),
            state: LocalModState::Carried,
            rework_count: 0,
        };
        let found = with_local_mods(tree(&[("a", "1"), ("b", "1")]), &[&local_mod]).unwrap();
        assert_eq!(found, tree(&[("a", "ours"), ("b", "1")]));
    }
}

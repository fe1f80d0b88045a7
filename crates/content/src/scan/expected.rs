//! The parts of a tree by directory, as a walk meets them.

use crate::tree::{Node, Tree};

/// Every directory of a tree with what it should have in it.
#[derive(Debug)]
pub(super) struct Expected<'t> {
    /// The root is the first.
    directories: Vec<ExpectedDirectory<'t>>,
}

/// Names one directory of [`Expected`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DirectoryNumber(usize);

/// One directory of a tree.
#[derive(Debug, Default)]
pub(super) struct ExpectedDirectory<'t> {
    path: &'t str,
    /// Whether it is a part itself, as one with nothing in it is.
    is_part: bool,
    /// In order of the names.
    entries: Vec<ExpectedEntry<'t>>,
}

/// Something that should stand in a directory.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExpectedEntry<'t> {
    /// Below the root of the tree.
    pub(super) path: &'t str,
    pub(super) what: What<'t>,
}

/// What should stand there.
#[derive(Debug, Clone, Copy)]
pub(super) enum What<'t> {
    /// A file or a link.
    Part(&'t Node),
    Directory(DirectoryNumber),
}

impl<'t> Expected<'t> {
    pub(super) const ROOT: DirectoryNumber = DirectoryNumber(0);

    /// Sorts the parts of `tree` by directory, in one pass: what lies below one directory stands together in a tree.
    pub(super) fn new(tree: &'t Tree) -> Self {
        let mut expected = Self { directories: vec![ExpectedDirectory::default()] };
        let mut open = vec![Self::ROOT];
        for (path, node) in tree.iter() {
            let path = path.as_str();
            let above = path.rfind('/').map_or("", |end| &path[..end]);
            let at = expected.enter(above, &mut open);
            let what = if *node == Node::Directory {
                What::Directory(expected.add(path, true))
            } else {
                What::Part(node)
            };
            expected.directories[at.0].entries.push(ExpectedEntry { path, what });
        }
        for directory in &mut expected.directories {
            // A tree has `a-b` before `a/c`, and so before the directory `a`.
            directory.entries.sort_unstable_by_key(|entry| entry.path);
        }
        expected
    }

    /// Finds or adds the directory `path`; `open` is the way from the root to the directory of the part before.
    fn enter(&mut self, path: &'t str, open: &mut Vec<DirectoryNumber>) -> DirectoryNumber {
        while let Some(last) = open.last()
            && !self[*last].holds(path)
        {
            open.pop();
        }
        loop {
            let at = open.last().copied().unwrap_or(Self::ROOT);
            let directory = &self[at];
            if directory.path == path {
                return at;
            }
            let name = directory.prefix_bytes();
            let end = path[name..].find('/').map_or(path.len(), |length| name + length);
            let next = self.add(&path[..end], false);
            let entry = ExpectedEntry { path: &path[..end], what: What::Directory(next) };
            self.directories[at.0].entries.push(entry);
            open.push(next);
        }
    }

    fn add(&mut self, path: &'t str, is_part: bool) -> DirectoryNumber {
        self.directories.push(ExpectedDirectory { path, is_part, entries: Vec::new() });
        DirectoryNumber(self.directories.len() - 1)
    }

    /// Returns how many directories there are.
    pub(super) fn len(&self) -> usize {
        self.directories.len()
    }

    /// Calls `missing` for every part at and below a directory that is not there.
    pub(super) fn each_part(&self, directory: DirectoryNumber, missing: &mut dyn FnMut(&'t str)) {
        let mut work = vec![directory];
        while let Some(next) = work.pop() {
            let directory = &self[next];
            if directory.is_part {
                missing(directory.path);
            }
            for entry in &directory.entries {
                match entry.what {
                    What::Part(_) => missing(entry.path),
                    What::Directory(below) => work.push(below),
                }
            }
        }
    }
}

impl<'t> std::ops::Index<DirectoryNumber> for Expected<'t> {
    type Output = ExpectedDirectory<'t>;

    fn index(&self, number: DirectoryNumber) -> &ExpectedDirectory<'t> {
        &self.directories[number.0]
    }
}

impl<'t> ExpectedDirectory<'t> {
    /// Whether it is a part itself, as one with nothing in it is.
    pub(super) fn is_part(&self) -> bool {
        self.is_part
    }

    pub(super) fn entries(&self) -> &[ExpectedEntry<'t>] {
        &self.entries
    }

    /// Finds what should have this name, by its place among the entries.
    pub(super) fn find(&self, name: &[u8]) -> Option<usize> {
        let skip = self.prefix_bytes();
        self.entries.binary_search_by(|entry| entry.path.as_bytes()[skip..].cmp(name)).ok()
    }

    /// Bytes of a path before the name of something in this directory.
    fn prefix_bytes(&self) -> usize {
        if self.path.is_empty() { 0 } else { self.path.len() + 1 }
    }

    /// Tells whether the directory `path` is this one or lies below it.
    fn holds(&self, path: &str) -> bool {
        match path.strip_prefix(self.path) {
            Some(rest) => self.path.is_empty() || rest.is_empty() || rest.starts_with('/'),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::path::PartPath;

    fn tree(paths: &[&str]) -> Tree {
        let file = Node::File { mode: 0o644, size: 0, digest: Digest::of(b"") };
        let nodes = paths.iter().map(|path| match path.strip_suffix('/') {
            Some(path) => (PartPath::new(path).unwrap(), Node::Directory),
            None => (PartPath::new(*path).unwrap(), file.clone()),
        });
        Tree::from_nodes(nodes.collect()).unwrap()
    }

    /// Lists the directories with their entries, each by its path.
    fn listed(expected: &Expected<'_>) -> Vec<(String, Vec<String>)> {
        let paths = |one: &ExpectedDirectory<'_>| one.entries.iter().map(|e| e.path.to_owned()).collect();
        expected.directories.iter().map(|one| (one.path.to_owned(), paths(one))).collect()
    }

    #[test]
    fn parts_are_found_in_their_directories_whatever_names_stand_between() {
        let tree = tree(&["a", "b-c", "b/d/e", "b/d/f", "b/d.g", "b/h", "bc/i", "empty/"]);
        let expected = Expected::new(&tree);
        let mut found = listed(&expected);
        found.sort();
        let wanted = [
            ("", vec!["a", "b", "b-c", "bc", "empty"]),
            ("b", vec!["b/d", "b/d.g", "b/h"]),
            ("b/d", vec!["b/d/e", "b/d/f"]),
            ("bc", vec!["bc/i"]),
            ("empty", vec![]),
        ];
        let wanted =
            wanted.map(|(path, names)| (path.to_owned(), names.iter().map(|n| (*n).into()).collect()));
        assert_eq!(found, wanted);
        assert_eq!(expected[Expected::ROOT].find(b"b-c"), Some(2));
        assert_eq!(expected[Expected::ROOT].find(b"b/d"), None);
    }

    #[test]
    fn every_part_below_a_directory_is_listed_once() {
        let tree = tree(&["a/b/c", "a/d", "a/e/", "f"]);
        let expected = Expected::new(&tree);
        let mut found = Vec::new();
        expected.each_part(Expected::ROOT, &mut |path| found.push(path));
        found.sort_unstable();
        assert_eq!(found, ["a/b/c", "a/d", "a/e", "f"]);
    }
}

//! A tree: the parts of one component, and its stable digest.
//!
//! The canonical encoding is one line a part, in byte order of the paths, so that a person can read it, `diff`
//! can compare two, and the same parts always give the same bytes:
//!
//! ```text
//! tender-tree 1\n
//! F <mode, four octal digits> <size, decimal> <digest> <path>\n
//! L <target, percent-encoded> <path>\n
//! D <path>\n
//! ```
//!
//! Directories follow from the paths of the parts; a line of their own have only those with nothing in them.
//! Paths cannot hold control characters, so a line feed ends a line and nothing else.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Bound;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::path::{PartPath, PartPathError};

const HEADER: &str = "tender-tree 1";

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Node {
    /// A regular file.
    File {
        /// Permission bits as the vendor ships them, at most `0o777`; write bits are dropped when materialised.
        mode: u32,
        /// Length in bytes.
        size: u64,
        /// Digest of the bytes.
        digest: Digest,
    },
    /// A symbolic link.
    Symlink {
        /// The target as stored in the link; it cannot lead out of the tree.
        target: String,
    },
    /// A directory with nothing in it; one with parts in it is no part itself.
    Directory,
}

impl Node {
    /// Returns the digest when the node is a file.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        match self {
            Self::File { digest, .. } => Some(*digest),
            Self::Symlink { .. } | Self::Directory => None,
        }
    }

    /// Returns the size in bytes; only files have one.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::File { size, .. } => *size,
            Self::Symlink { .. } | Self::Directory => 0,
        }
    }
}

/// Lists the parts of one component.
///
/// Invariants: no path is also a directory of another path; every link stays inside the tree; modes fit `0o777`.
/// An empty directory stops to be a part as soon as a part lies in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    nodes: BTreeMap<PartPath, Node>,
}

/// Says why parts do not make a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// The text is not the canonical encoding.
    #[error("line {line} of the tree is not in canonical form: {reason}")]
    Encoding {
        /// Line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A path is not usable.
    #[error("line {line} of the tree names an unusable path")]
    Path {
        /// Line, from 1.
        line: usize,
        /// Why.
        #[source]
        source: PartPathError,
    },
    /// A part lies below another part that is not a directory.
    #[error("part `{path}` lies below `{above}`, which is itself a part")]
    BelowPart {
        /// The part.
        path: PartPath,
        /// The part above it.
        above: String,
    },
    /// A link leads out of the tree.
    #[error("link `{path}` leads out of its tree: `{target}`")]
    LinkEscapes {
        /// The link.
        path: PartPath,
        /// Its target.
        target: String,
    },
    /// A mode has bits that a part may not have.
    #[error("part `{path}` has mode {mode:o}; set-id and sticky bits cannot be serviced")]
    Mode {
        /// The part.
        path: PartPath,
        /// The mode.
        mode: u32,
    },
}

impl Tree {
    /// Returns a tree without parts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Builds a tree from parts and checks its invariants; directories that are not empty are left out.
    pub fn from_nodes(mut nodes: BTreeMap<PartPath, Node>) -> Result<Self, TreeError> {
        let filled = filled_directories(&nodes);
        filled.iter().for_each(|path| drop(nodes.remove(path)));
        let mut checked = "";
        for (path, node) in &nodes {
            // Parts of one directory stand together, and what is above them need be looked at once.
            let directory = path.as_str().rsplit_once('/').map_or("", |(directory, _)| directory);
            if directory != checked
                && let Some(above) = path.ancestors().find(|above| nodes.contains_key(*above))
            {
                return Err(TreeError::BelowPart { path: path.clone(), above: above.to_owned() });
            }
            checked = directory;
            match node {
                Node::File { mode, .. } if *mode > 0o777 => {
                    return Err(TreeError::Mode { path: path.clone(), mode: *mode });
                }
                Node::Symlink { target } if !link_stays_inside(path, target) => {
                    return Err(TreeError::LinkEscapes { path: path.clone(), target: target.clone() });
                }
                _ => {}
            }
        }
        Ok(Self { nodes })
    }

    /// Returns the part at `path`.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// Tells whether parts lie below `path`, so that it is a directory that is not empty.
    #[must_use]
    pub fn is_filled_directory(&self, path: &PartPath) -> bool {
        has_below(&self.nodes, path)
    }

    /// Walks the parts in byte order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&PartPath, &Node)> {
        self.nodes.iter()
    }

    /// Returns the parts, to be changed and checked again with [`Tree::from_nodes`].
    #[must_use]
    pub fn into_nodes(self) -> BTreeMap<PartPath, Node> {
        self.nodes
    }

    /// Returns how many parts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Tells whether there are no parts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Returns the sum of the files' sizes in bytes.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.nodes.values().map(Node::size).sum()
    }

    /// Returns the canonical encoding described at the top of this module.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::with_capacity(self.nodes.len() * 110 + 20);
        text.push_str(HEADER);
        text.push('\n');
        for (path, node) in &self.nodes {
            let written = match node {
                Node::File { mode, size, digest } => writeln!(text, "F {mode:04o} {size} {digest} {path}"),
                Node::Symlink { target } => writeln!(text, "L {} {path}", escape_target(target)),
                Node::Directory => writeln!(text, "D {path}"),
            };
            written.expect("writing to a String cannot fail");
        }
        text
    }

    /// Reads the canonical encoding; any other spelling of the same parts is refused.
    pub fn decode(text: &str) -> Result<Self, TreeError> {
        let bad = |line: usize, reason: &str| TreeError::Encoding { line, reason: reason.to_owned() };
        let body = text
            .strip_prefix(HEADER)
            .and_then(|rest| rest.strip_prefix('\n'))
            .ok_or_else(|| bad(1, "the header `tender-tree 1` is missing"))?;
        let mut nodes = BTreeMap::new();
        let mut last: Option<PartPath> = None;
        for (index, line) in body.split_terminator('\n').enumerate() {
            let line_number = index + 2;
            let (path, node) = decode_line(line, line_number)?;
            if last.as_ref().is_some_and(|last| *last >= path) {
                return Err(bad(line_number, "paths are not in order or repeat"));
            }
            last = Some(path.clone());
            nodes.insert(path, node);
        }
        let tree = Self::from_nodes(nodes)?;
        if tree.encode() != text {
            return Err(bad(
                1,
                "numbers or escapes are not in their shortest form, or a directory is not empty",
            ));
        }
        Ok(tree)
    }

    /// Returns the digest of the canonical encoding: the identity of the whole tree.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.encode().as_bytes())
    }
}

/// Lists the directories among the parts in which other parts lie.
fn filled_directories(nodes: &BTreeMap<PartPath, Node>) -> Vec<PartPath> {
    let directories = nodes.iter().filter(|(_, node)| **node == Node::Directory);
    directories.filter(|(path, _)| has_below(nodes, path)).map(|(path, _)| path.clone()).collect()
}

/// Tells whether a part lies below `path`.
fn has_below(nodes: &BTreeMap<PartPath, Node>, path: &PartPath) -> bool {
    let below = format!("{path}/");
    let after = (Bound::Included(below.as_str()), Bound::Unbounded);
    nodes.range::<str, _>(after).next().is_some_and(|(next, _)| next.as_str().starts_with(&below))
}

fn decode_line(line: &str, line_number: usize) -> Result<(PartPath, Node), TreeError> {
    let bad = |reason: &str| TreeError::Encoding { line: line_number, reason: reason.to_owned() };
    let path_of =
        |text: &str| PartPath::new(text).map_err(|source| TreeError::Path { line: line_number, source });
    if let Some(rest) = line.strip_prefix("F ") {
        let mut fields = rest.splitn(4, ' ');
        let mut next = || fields.next().ok_or_else(|| bad("a field is missing"));
        let mode = u32::from_str_radix(next()?, 8).map_err(|_| bad("the mode is not octal"))?;
        let size = next()?.parse().map_err(|_| bad("the size is not a number"))?;
        let digest = next()?.parse().map_err(|_| bad("the digest is not 64 hexadecimal digits"))?;
        Ok((path_of(next()?)?, Node::File { mode, size, digest }))
    } else if let Some(rest) = line.strip_prefix("L ") {
        let (target, path) = rest.split_once(' ').ok_or_else(|| bad("a field is missing"))?;
        let target = unescape_target(target).ok_or_else(|| bad("the link target has a wrong escape"))?;
        Ok((path_of(path)?, Node::Symlink { target }))
    } else if let Some(path) = line.strip_prefix("D ") {
        Ok((path_of(path)?, Node::Directory))
    } else {
        Err(bad("it starts with neither `F `, `L ` nor `D `"))
    }
}

/// Tells whether a link at `path` with `target` resolves to somewhere below the root of the tree.
fn link_stays_inside(path: &PartPath, target: &str) -> bool {
    if target.is_empty() || target.starts_with('/') || target.contains('\0') {
        return false;
    }
    let mut depth = path.ancestors().count();
    for name in target.split('/') {
        match name {
            "" | "." => {}
            ".." if depth == 0 => return false,
            ".." => depth -= 1,
            _ => depth += 1,
        }
    }
    true
}

fn escape_target(target: &str) -> String {
    let mut text = String::with_capacity(target.len());
    for character in target.chars() {
        if character == '%' || character == ' ' || character.is_control() {
            let mut buffer = [0; 4];
            for byte in character.encode_utf8(&mut buffer).bytes() {
                write!(text, "%{byte:02X}").expect("writing to a String cannot fail");
            }
        } else {
            text.push(character);
        }
    }
    text
}

fn unescape_target(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests;

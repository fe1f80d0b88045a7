//! Changes made on a managed system itself: what it differs in from its level, and what it keeps on purpose.
//!
//! A managed system writes them as one file, [`Changes`], that the principal fetches when the digest in
//! [`ChangesHead`] is another one than it knows; beside it lie the contents of changed parts, named by digest.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tender_content::{Digest, Node, PartPath};

use crate::name::ComponentName;
use crate::report::DriftKind;

/// Everything that was changed on one system, for the principal.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Changes {
    /// Components whose parts are not as their level says.
    pub diverged: Vec<Diverged>,
    /// Parts that are kept although they are not as their level says.
    pub exceptions: Vec<Exception>,
}

/// A component that came back from emergency service, or was found, with parts its level does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diverged {
    /// The component.
    pub component: ComponentName,
    /// Since when it is known.
    pub since: Timestamp,
    /// Every part that differs.
    pub parts: Vec<ChangedPart>,
}

/// A part that is not as its level says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedPart {
    /// The part.
    pub path: PartPath,
    /// How it differs.
    pub kind: DriftKind,
    /// What stands there; absent when nothing does, or nothing that could be a part.
    pub is: Option<Node>,
    /// Why it could not be a part of a level, such as a device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

impl ChangedPart {
    /// Returns what happened to the part, for people.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self.kind {
            DriftKind::Modified => "modified",
            DriftKind::Missing => "missing",
            DriftKind::Extra => "extra",
            DriftKind::Mode => "permissions",
            DriftKind::Kind => "another kind",
        }
    }
}

/// A part of one system that is kept as it is, whatever level is loaded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// The component.
    pub component: ComponentName,
    /// The part.
    pub path: PartPath,
    /// What the vendor, or the site, has there; a level that has something else there must be looked at by people.
    pub was: Option<Node>,
    /// What stands there instead; absent when the part is left out.
    pub is: Option<Node>,
    /// Why.
    pub reason: String,
    /// Who decided so.
    pub by: String,
    /// Since when.
    pub since: Timestamp,
}

/// What a system says of its changes whenever it is asked for its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangesHead {
    /// Digest of the file of [`Changes`].
    pub digest: Digest,
    /// Diverged components.
    pub diverged: Vec<DivergedHead>,
    /// How many exceptions it keeps.
    pub exceptions: u32,
    /// Identity of the content in slot `current` with its changed parts; absent when they could not be of any level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Digest>,
}

/// A diverged component in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DivergedHead {
    /// The component.
    pub component: ComponentName,
    /// How many parts differ.
    pub parts: u32,
    /// Since when it is known.
    pub since: Timestamp,
}

/// Tells whether two nodes are the same once they lie in a level, where nothing may be written.
#[must_use]
pub fn is_same_part(one: Option<&Node>, other: Option<&Node>) -> bool {
    match (one, other) {
        (
            Some(Node::File { mode: a, size: b, digest: c }),
            Some(Node::File { mode: x, size: y, digest: z }),
        ) => (a & 0o555, b, c) == (x & 0o555, y, z),
        (one, other) => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_with_other_write_bits_is_the_same_part() {
        let file = |mode| Node::File { mode, size: 1, digest: Digest::of(b"x") };
        assert!(is_same_part(Some(&file(0o644)), Some(&file(0o444))));
        assert!(!is_same_part(Some(&file(0o644)), Some(&file(0o755))));
        assert!(!is_same_part(Some(&file(0o644)), None));
        assert!(is_same_part(None, None));
    }
}

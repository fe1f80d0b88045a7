//! The level manifest: everything a managed system must know to load one generation of a level.
//!
//! It is always complete: it names every component and, through the component's tree, every part (specification
//! 5.2). What must be removed or put back to BASE follows from comparing trees, never from the order of sends.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tender_content::{Digest, PartPath};

use crate::name::{ComponentName, FixId, LevelName, Variant, Vrm};

/// The version of the shapes in this crate; a managed system refuses a newer one.
pub const FORMAT: u32 = 1;

/// Whether a package may go into production.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Mode {
    /// May be loaded into slot `test` only.
    Test,
    /// May be put in production.
    Stable,
    /// Was stable; may stay where it is but goes nowhere any more.
    Withdrawn,
}

/// Names one generation of a level.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LevelRef {
    /// The release.
    pub vrm: Vrm,
    /// The level.
    pub level: LevelName,
    /// The package generation, from 1; BASE is always generation 0.
    pub generation: u32,
}

impl std::fmt::Display for LevelRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}.{}", self.vrm, self.level, self.generation)
    }
}

/// The complete manifest of one generation of a level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelManifest {
    /// [`FORMAT`].
    pub format: u32,
    /// Which generation of which level.
    #[serde(flatten)]
    pub level: LevelRef,
    /// The variant systems must have.
    pub variant: Variant,
    /// What the operator wrote about the level.
    pub description: String,
    /// Identity of the release's BASE: digest over its component names and tree digests.
    pub base: Digest,
    /// Identity of the level's content, computed the same way; equal content has equal digests everywhere.
    pub content: Digest,
    /// When the package was made.
    pub made: Timestamp,
    /// Every component, in service order.
    pub components: Vec<ManifestComponent>,
    /// Fixes left out on purpose.
    pub excluded: Vec<FixId>,
    /// Actions people must do or read before the level goes into production; each must be acknowledged.
    pub actions: Vec<ActionItem>,
}

/// One component of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestComponent {
    /// The component.
    pub name: ComponentName,
    /// Digest of its tree in BASE; absent when the level brings the component.
    pub base_tree: Option<Digest>,
    /// Digest of its tree in this level; absent when the level removes the component.
    pub tree: Option<Digest>,
    /// The servlink that leads from `base_tree` to `tree`; absent when they are equal.
    pub servlink: Option<ServlinkRef>,
    /// What to restart when the component changes; components with the same word restart together.
    pub restart: String,
    /// Fixes on, superseded ones included, in the order they went on.
    pub fixes: Vec<AppliedFix>,
    /// Local modifications on.
    pub local_mods: Vec<AppliedLocalMod>,
}

/// Where a servlink lies in the repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServlinkRef {
    /// Name of the target.
    pub target: String,
    /// Bytes to send.
    pub size: u64,
}

/// A fix that is on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppliedFix {
    /// The fix.
    pub id: FixId,
    /// The envelope it came from.
    pub envelope: String,
    /// The fix that contains it, when it is superseded.
    pub superseded_by: Option<FixId>,
}

/// A local modification that is on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppliedLocalMod {
    /// Its id, such as `L0001`.
    pub id: FixId,
    /// The part it changes.
    pub path: PartPath,
}

/// Something people must do or read before production.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionItem {
    /// The fix that asks for it.
    pub fix: FixId,
    /// The reason word of the hold, such as `ACTION`, `RESTART`, or `MEMO`.
    pub reason: String,
    /// The text.
    pub text: String,
}

/// Computes the identity of a level's content from its components and the digests of their trees.
///
/// Shape: digest of `tender-content 1`, then one line `<tree digest> <component>` a component in order of the
/// names, so the service order has no influence. BASE, levels and adopted directories are all named this way.
pub fn content_digest<'a>(components: impl Iterator<Item = (&'a ComponentName, &'a Digest)>) -> Digest {
    let sorted: std::collections::BTreeMap<_, _> = components.collect();
    let lines = sorted.iter().map(|(name, tree)| format!("{tree} {name}\n"));
    let text: String = std::iter::once("tender-content 1\n".to_owned()).chain(lines).collect();
    Digest::of(text.as_bytes())
}

/// Names of the targets of a repository.
pub mod target {
    use super::{Digest, LevelRef, Vrm};
    use crate::name::ComponentName;

    /// Returns the target that holds a level's manifest.
    #[must_use]
    pub fn manifest(level: &LevelRef) -> String {
        format!("{}/levels/{}.{}.json", level.vrm, level.level, level.generation)
    }

    /// Returns the target that holds the encoded tree with `digest`.
    #[must_use]
    pub fn tree(vrm: &Vrm, digest: &Digest) -> String {
        format!("{vrm}/trees/{digest}.tree")
    }

    /// Returns the target that holds a servlink between two trees; `from` is `None` for a whole component.
    #[must_use]
    pub fn servlink(vrm: &Vrm, component: &ComponentName, from: Option<&Digest>, to: &Digest) -> String {
        let from = from.map_or_else(|| "nothing".to_owned(), Digest::short);
        format!("{vrm}/servlinks/{component}-{from}-{}.servlink", to.short())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn content_digest_in_another_order_is_the_same() {
        let (a, b) = (ComponentName::new("a").unwrap(), ComponentName::new("b").unwrap());
        let (x, y) = (Digest::of(b"x"), Digest::of(b"y"));
        let forward = content_digest([(&a, &x), (&b, &y)].into_iter());
        assert_eq!(forward, content_digest([(&b, &y), (&a, &x)].into_iter()));
        assert_ne!(forward, content_digest([(&a, &y), (&b, &x)].into_iter()));
        assert_ne!(forward, content_digest([(&a, &x)].into_iter()));
    }

    proptest! {
        #[test]
        fn content_digest_tells_any_two_contents_apart(
            one in content_strategy(),
            other in content_strategy(),
        ) {
            let digest = |content: &BTreeMap<ComponentName, Digest>| content_digest(content.iter());
            prop_assert_eq!(digest(&one) == digest(&other), one == other);
            prop_assert_eq!(digest(&one), content_digest(one.iter().rev()));
        }
    }

    fn content_strategy() -> impl Strategy<Value = BTreeMap<ComponentName, Digest>> {
        proptest::collection::btree_map("[a-c]{1,2}", 0..3_u8, 0..4).prop_map(|content| {
            let named =
                |(name, byte): (String, u8)| (ComponentName::new(&name).unwrap(), Digest::of(&[byte]));
            content.into_iter().map(named).collect()
        })
    }
}

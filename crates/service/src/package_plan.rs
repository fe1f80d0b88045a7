//! What a package of a level holds: for each component, what leads from BASE to the level (specification 5).
//!
//! The plan is a manifest whose servlinks have no size yet. It is always complete: an unchanged component is in it
//! without a servlink, a removed one without a tree.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tender_content::Digest;
use tender_package::ComponentName;
use tender_package::manifest::{
    ActionItem, AppliedFix, AppliedLocalMod, FORMAT, LevelManifest, LevelRef, ManifestComponent, ServlinkRef,
    target,
};

use crate::level::Level;
use crate::shapes::{LevelComponent, LevelContent};

/// A component of BASE: its tree and restart word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BasePart {
    /// Its tree.
    pub tree: Digest,
    /// Its restart word.
    pub restart: String,
}

/// Plans the package of a level as generation `generation`.
#[must_use]
pub fn plan(
    level: &Level,
    generation: u32,
    base: (&Digest, &BTreeMap<ComponentName, BasePart>),
    content: &LevelContent,
    actions: Vec<ActionItem>,
    made: Timestamp,
) -> LevelManifest {
    let (base_digest, base_components) = base;
    let mut components: Vec<ManifestComponent> =
        content.components.iter().map(|one| component(level, base_components, content, one)).collect();
    for (name, part) in base_components {
        if content.components.iter().all(|component| component.name != *name) {
            components.push(ManifestComponent {
                name: name.clone(),
                base_tree: Some(part.tree),
                tree: None,
                servlink: None,
                restart: part.restart.clone(),
                fixes: Vec::new(),
                local_mods: Vec::new(),
            });
        }
    }
    LevelManifest {
        format: FORMAT,
        level: LevelRef { vrm: level.vrm.clone(), level: level.name.clone(), generation },
        variant: level.variant.clone(),
        description: level.description.clone(),
        base: *base_digest,
        content: level.content,
        made,
        components,
        excluded: content.excluded.clone(),
        actions,
    }
}

fn component(
    level: &Level,
    base: &BTreeMap<ComponentName, BasePart>,
    content: &LevelContent,
    component: &LevelComponent,
) -> ManifestComponent {
    let base_tree = base.get(&component.name).map(|part| part.tree);
    let servlink = (base_tree != Some(component.tree)).then(|| ServlinkRef {
        target: target::servlink(&level.vrm, &component.name, base_tree.as_ref(), &component.tree),
        size: 0,
    });
    let fixes = content.fixes.iter().filter(|fix| fix.component == component.name);
    let mods = content.mods.iter().filter(|one| one.component == component.name);
    ManifestComponent {
        name: component.name.clone(),
        base_tree,
        tree: Some(component.tree),
        servlink,
        restart: component.restart.clone(),
        fixes: fixes
            .map(|fix| AppliedFix {
                id: fix.id.clone(),
                envelope: fix.envelope.clone(),
                superseded_by: fix.superseded_by.clone(),
            })
            .collect(),
        local_mods: mods.map(|one| AppliedLocalMod { id: one.id.clone(), path: one.path.clone() }).collect(),
    }
}

/// Lists the targets of a package: its manifest and its servlinks.
#[must_use]
pub fn targets(manifest: &LevelManifest) -> Vec<String> {
    let servlinks = manifest.components.iter().filter_map(|component| component.servlink.as_ref());
    std::iter::once(target::manifest(&manifest.level))
        .chain(servlinks.map(|servlink| servlink.target.clone()))
        .collect()
}

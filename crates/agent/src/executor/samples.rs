//! Values for tests.

use jiff::Timestamp;
use tender_content::{Digest, PartPath};
use tender_package::manifest::{AppliedFix, LevelManifest, ManifestComponent, ServlinkRef, content_digest};
use tender_package::report::{DriftItem, DriftKind, Override};
use tender_package::{ComponentName, FixId, LevelName, LevelRef, Mode, Variant, Vrm};

use crate::slots::{LevelRecord, Occupant};

pub(crate) fn level(name: &str, generation: u32) -> LevelRef {
    LevelRef { vrm: Vrm::new("720").unwrap(), level: LevelName::new(name).unwrap(), generation }
}

/// A level with component `http`, changed against BASE, with fixes `UM00001` and up, one for each digit in `name`.
pub(crate) fn manifest(name: &str, generation: u32) -> LevelManifest {
    let http = ComponentName::new("http").unwrap();
    let count: u32 = name.chars().filter_map(|c| c.to_digit(10)).sum();
    let fix = |number| AppliedFix {
        id: FixId::new(&format!("UM{number:05}")).unwrap(),
        envelope: "rsu".to_owned(),
        superseded_by: None,
    };
    let (base, tree) = (Digest::of(b"base tree"), Digest::of(name.as_bytes()));
    LevelManifest {
        format: 1,
        level: level(name, generation),
        variant: Variant::default(),
        description: String::new(),
        base: content_digest([(&http, &base)].into_iter()),
        content: content_digest([(&http, &tree)].into_iter()),
        made: Timestamp::UNIX_EPOCH,
        components: vec![ManifestComponent {
            name: http,
            base_tree: Some(base),
            tree: Some(tree),
            servlink: Some(ServlinkRef { target: format!("720/servlinks/{name}.servlink"), size: 100 }),
            restart: "http".to_owned(),
            fixes: (1..=count).map(fix).collect(),
            local_mods: Vec::new(),
        }],
        excluded: Vec::new(),
        actions: Vec::new(),
    }
}

pub(crate) fn occupant(name: &str, generation: u32) -> Occupant {
    let record = LevelRecord {
        manifest: manifest(name, generation),
        mode: Mode::Stable,
        loaded: Timestamp::UNIX_EPOCH,
        kept: Vec::new(),
    };
    Occupant { record, since: Timestamp::UNIX_EPOCH }
}

pub(crate) fn override_of(component: &str, until: Option<Timestamp>) -> Override {
    Override {
        component: ComponentName::new(component).unwrap(),
        since: Timestamp::UNIX_EPOCH,
        by: "op".to_owned(),
        reason: "outage".to_owned(),
        until,
    }
}

pub(crate) fn drift(slot: &str, component: &str, path: &str) -> DriftItem {
    DriftItem {
        slot: slot.to_owned(),
        component: component.to_owned(),
        path: PartPath::new(path).unwrap(),
        kind: DriftKind::Modified,
        expected: "one thing".to_owned(),
        found: "another".to_owned(),
    }
}

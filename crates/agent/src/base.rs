//! BASE on a managed system, and runtime directories that were there before Tender.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tender_content::import::{ImportError, import_dir};
use tender_content::materialise::{MaterialiseError, materialise_into, remove_tree};
use tender_content::progress::Progress;
use tender_content::store::StoreError;
use tender_content::{Digest, Tree, durable, slot};
use tender_package::manifest::{FORMAT, LevelManifest, ManifestComponent, content_digest};
use tender_package::report::BaseInfo;
use tender_package::{ComponentName, LevelName, LevelRef, Mode, Vrm};

use crate::audit::{self, AuditError, AuditEvent};
use crate::home::{Home, HomeError, read_json, write_json};
use crate::lock::{ExecutorLock, LockError};
use crate::slots::{self, LevelRecord, Occupant, Slot, SlotError, Slots};
use crate::{fault, trees};

/// The level that an adopted runtime directory becomes; its generation is 0.
pub const ADOPTED: &str = "ADOPTED";

/// Which BASE is held: `bases/<vrm>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseRecord {
    /// The release.
    pub vrm: Vrm,
    /// Identity of its BASE.
    pub base: Digest,
    /// The components with the digests of their trees, in order of the names.
    pub components: Vec<(ComponentName, Digest)>,
}

/// Says why a directory did not become a BASE or a level.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// The directory holds no components.
    #[error("`{}` holds no components: each must be a directory with a plain name", path.display())]
    NoComponents {
        /// The directory.
        path: PathBuf,
    },
    /// Something in the directory is not a component.
    #[error("`{}` is not a component: a directory with a plain name is needed", path.display())]
    NotAComponent {
        /// What.
        path: PathBuf,
    },
    /// A component could not be read in.
    #[error("read component `{component}`")]
    Import {
        /// The component.
        component: ComponentName,
        /// Why.
        #[source]
        source: ImportError,
    },
    /// Objects could not be stored.
    #[error("store the objects")]
    Store(#[source] StoreError),
    /// The runtime directory could not be made.
    #[error("make the runtime directory")]
    Materialise(#[source] MaterialiseError),
    /// There is a level in production already.
    #[error("{level} is in production; only a system without a level can adopt a directory")]
    Occupied {
        /// The level.
        level: LevelRef,
    },
    /// The slots cannot be used.
    #[error("use the slots")]
    Slot(#[source] SlotError),
    /// A file of ours could not be used.
    #[error("keep the record")]
    Home(#[source] HomeError),
    /// The link could not be made.
    #[error("put the level in slot `current`")]
    Switch(#[source] durable::DurableError),
    /// An executor is at work.
    #[error("lock the managed system")]
    Lock(#[source] LockError),
    /// The audit record could not be written.
    #[error("record it")]
    Audit(#[source] AuditError),
}

/// Takes in the BASE of a release from install media: `dir` holds one directory a component.
///
/// Objects that are there but damaged are replaced, so importing again is also the cure for a damaged store.
pub fn import(
    home: &Home,
    vrm: &Vrm,
    dir: &Path,
    operator: &str,
    progress: &dyn Progress,
) -> Result<BaseInfo, BaseError> {
    let _lock = ExecutorLock::acquire(home, "base import").map_err(BaseError::Lock)?;
    let trees = import_components(home, "import", dir, progress)?;
    let record = record(vrm, &trees);
    write_json(&home.base_record(vrm), &record).map_err(BaseError::Home)?;
    fault::point("import.record");
    note(home, operator, "BASE", &format!("{vrm} {}", record.base.short()))?;
    fault::point("import.audit");
    Ok(BaseInfo { vrm: vrm.clone(), base: record.base })
}

/// Makes a runtime directory that exists the level `ADOPTED` in slot `current`.
///
/// Its content digest tells the principal which level it equals. The directory itself is left alone: what runs from
/// now on is what slot `current` names.
pub fn adopt(
    home: &Home,
    vrm: &Vrm,
    dir: &Path,
    operator: &str,
    progress: &dyn Progress,
) -> Result<LevelRef, BaseError> {
    let _lock = ExecutorLock::acquire(home, "adopt").map_err(BaseError::Lock)?;
    let adopted = LevelName::new(ADOPTED).expect("the name follows its rule");
    let level = LevelRef { vrm: vrm.clone(), level: adopted, generation: 0 };
    let slots = slots::read(home).map_err(BaseError::Slot)?;
    let occupied = |current: &Occupant| BaseError::Occupied { level: current.level().clone() };
    if let Some(current) = slots.current.as_ref().filter(|_| !may_be_cut_off(&slots, &level)) {
        return Err(occupied(current));
    }
    let trees = import_components(home, "adopt", dir, progress)?;
    let record = adopted_record(home, &level, &trees, dir);
    if let Some(current) = &slots.current {
        if current.record.manifest.content != record.manifest.content {
            return Err(occupied(current));
        }
        note_adopted(home, operator, &record)?;
        return Ok(level);
    }
    let level_dir = home.level_dir(&level);
    let parent = level_dir.parent().expect("a level lies below its release");
    std::fs::create_dir_all(parent)
        .map_err(HomeError::io("make directory", parent))
        .map_err(BaseError::Home)?;
    // Left by an attempt that was cut off: no slot names it.
    remove_tree(&level_dir).map_err(BaseError::Materialise)?;
    let store = home.store().map_err(BaseError::Home)?;
    let named: Vec<(&str, &Tree)> = trees.iter().map(|(name, _, tree)| (name.as_str(), tree)).collect();
    materialise_into(&store, &named, &level_dir).map_err(BaseError::Materialise)?;
    fault::point("adopt.directory");
    write_json(&home.level_record(&level), &record).map_err(BaseError::Home)?;
    fault::point("adopt.record");
    slot::switch(&home.slot_link(Slot::Current), &home.level_link(&level)).map_err(BaseError::Switch)?;
    fault::point("adopt.switch");
    note_adopted(home, operator, &record)?;
    fault::point("adopt.audit");
    Ok(level)
}

/// Tells whether slot `current` may come from an adoption that was killed before it was recorded: nothing came after.
fn may_be_cut_off(slots: &Slots, adopted: &LevelRef) -> bool {
    let is_adopted = slots.current.as_ref().is_some_and(|current| current.level() == adopted);
    is_adopted && slots.previous.is_none()
}

fn note_adopted(home: &Home, operator: &str, record: &LevelRecord) -> Result<(), BaseError> {
    let manifest = &record.manifest;
    note(home, operator, "ADOPT", &format!("{} {}", manifest.level, manifest.content.short()))
}

fn adopted_record(
    home: &Home,
    level: &LevelRef,
    trees: &[(ComponentName, Digest, Tree)],
    dir: &Path,
) -> LevelRecord {
    let now = Timestamp::now();
    let content = content_digest(trees.iter().map(|(name, digest, _)| (name, digest)));
    let component = |(name, digest, _): &(ComponentName, Digest, Tree)| ManifestComponent {
        name: name.clone(),
        base_tree: None,
        tree: Some(*digest),
        servlink: None,
        restart: name.to_string(),
        fixes: Vec::new(),
        local_mods: Vec::new(),
    };
    let manifest = LevelManifest {
        format: FORMAT,
        level: level.clone(),
        variant: home.config().variant.clone(),
        description: format!("adopted from {}", dir.display()),
        base: content,
        content,
        made: now,
        components: trees.iter().map(component).collect(),
        excluded: Vec::new(),
        actions: Vec::new(),
    };
    LevelRecord { manifest, mode: Mode::Stable, loaded: now, kept: Vec::new() }
}

/// Reads which BASE of a release is held.
pub fn held(home: &Home, vrm: &Vrm) -> Result<Option<BaseRecord>, HomeError> {
    read_json(&home.base_record(vrm))
}

/// Lists the BASEs held, in order of the releases.
pub fn all_held(home: &Home) -> Result<Vec<BaseRecord>, HomeError> {
    let dir = home.root().join("bases");
    let mut records = Vec::new();
    for entry in std::fs::read_dir(&dir).map_err(HomeError::io("list", &dir))? {
        let entry = entry.map_err(HomeError::io("list", &dir))?;
        if entry.path().extension().is_some_and(|extension| extension == "json") {
            records.extend(read_json::<BaseRecord>(&entry.path())?);
        }
    }
    records.sort_by(|a, b| a.vrm.cmp(&b.vrm));
    Ok(records)
}

fn record(vrm: &Vrm, trees: &[(ComponentName, Digest, Tree)]) -> BaseRecord {
    BaseRecord {
        vrm: vrm.clone(),
        base: content_digest(trees.iter().map(|(name, digest, _)| (name, digest))),
        components: trees.iter().map(|(name, digest, _)| (name.clone(), *digest)).collect(),
    }
}

fn import_components(
    home: &Home,
    doing: &str,
    dir: &Path,
    progress: &dyn Progress,
) -> Result<Vec<(ComponentName, Digest, Tree)>, BaseError> {
    let store = home.store().map_err(BaseError::Home)?;
    let listed = |error| BaseError::Home(HomeError::io("list", dir)(error));
    let mut trees = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(listed)? {
        let path = entry.map_err(|error| BaseError::Home(HomeError::io("list", dir)(error)))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = match ComponentName::new(&name) {
            Ok(name) if path.is_dir() && !path.is_symlink() => name,
            _ => return Err(BaseError::NotAComponent { path }),
        };
        let failed = |source| BaseError::Import { component: name.clone(), source };
        let mut tree = import_dir(&store, &path, progress).map_err(failed)?;
        let damaged = tree.iter().filter_map(|(_, node)| node.digest()).filter(|d| store.verify(d).is_err());
        let damaged: Vec<Digest> = damaged.collect();
        if !damaged.is_empty() {
            for digest in &damaged {
                let object = store.object_path(digest);
                std::fs::remove_file(&object)
                    .map_err(|error| BaseError::Home(HomeError::io("remove damaged", &object)(error)))?;
            }
            tree = import_dir(&store, &path, progress).map_err(failed)?;
        }
        fault::point(&format!("{doing}.parts"));
        let digest = trees::put(&store, &tree).map_err(BaseError::Store)?;
        fault::point(&format!("{doing}.tree"));
        trees.push((name, digest, tree));
    }
    if trees.is_empty() {
        return Err(BaseError::NoComponents { path: dir.to_owned() });
    }
    trees.sort_by(|a, b| a.0.cmp(&b.0));
    store.sync().map_err(BaseError::Store)?;
    fault::point(&format!("{doing}.synced"));
    Ok(trees)
}

fn note(home: &Home, operator: &str, what: &str, subject: &str) -> Result<(), BaseError> {
    let event = AuditEvent {
        who: operator.to_owned(),
        what: what.to_owned(),
        subject: subject.to_owned(),
        result: "0".to_owned(),
    };
    audit::append(&home.audit_log(), Timestamp::now(), event).map_err(BaseError::Audit)
}

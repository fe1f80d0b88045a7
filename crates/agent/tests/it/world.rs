//! A principal's repository with three levels, and managed systems that receive them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tender_agent::home::AgentConfig;
use tender_agent::hooks::{LifecycleHooks, NoHooks};
use tender_agent::{Home, queue};
use tender_content::import::import_dir;
use tender_content::progress::NoProgress;
use tender_content::servlink::{self, BuildOptions};
use tender_content::store::ObjectStore;
use tender_content::{Digest, Tree};
use tender_package::manifest::{
    AppliedFix, LevelManifest, ManifestComponent, ServlinkRef, content_digest, target,
};
use tender_package::report::SystemInfo;
use tender_package::repository::{Expiry, KeyDir, NewTarget, Repository, Source, TargetCustom};
use tender_package::request::{PROTOCOL, Request, RequestResult, RequestState, Verb};
use tender_package::{ComponentName, FixId, LevelName, LevelRef, Mode, ReturnCode, Variant, Vrm};

/// Directories of components by level: what the runtime directory must look like, byte for byte.
pub(crate) struct Principal {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) keys: KeyDir,
    store: ObjectStore,
}

pub(crate) fn vrm() -> Vrm {
    Vrm::new("720").unwrap()
}

pub(crate) fn level(name: &str) -> LevelRef {
    let generation = u32::from(name != "BASE");
    LevelRef { vrm: vrm(), level: LevelName::new(name).unwrap(), generation }
}

/// Bytes that do not compress and are the same every time.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let step = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        u8::try_from(state & 0xff).unwrap()
    };
    std::iter::repeat_with(step).take(length).collect()
}

fn write(root: &Path, path: &str, bytes: &[u8], mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Writes the components of a level as a vendor ships them.
fn write_level(root: &Path, name: &str) {
    let build = match name {
        "BASE" => 0_u8,
        "BLD1" => 1,
        _ => 2,
    };
    let mut program = noise(7, 60_000);
    program[30_000] = build;
    write(root, "http/bin/httpd", &program, 0o755);
    write(root, "http/etc/http.conf", format!("build {build}\n").as_bytes(), 0o644);
    write(root, "http/share/data", &noise(8, 100_000), 0o644);
    std::os::unix::fs::symlink("httpd", root.join("http/bin/http")).unwrap();
    write(root, "msg/messages.txt", "CSM0001I hello\n".repeat(500).as_bytes(), 0o644);
    if build < 2 {
        write(root, "http/old/leftover", b"goes with build 2\n", 0o644);
    } else {
        write(root, "extra/bin/extra", b"#!/bin/sh\necho extra\n", 0o755);
    }
}

impl Principal {
    pub(crate) fn new() -> Self {
        Self::at(Timestamp::now(), &Expiry::default())
    }

    /// Makes a principal whose signatures begin at `now`.
    pub(crate) fn at(now: Timestamp, expiry: &Expiry) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let keys = KeyDir::create(&dir.path().join("keys"), now, expiry).unwrap();
        let store = ObjectStore::open(&dir.path().join("store")).unwrap();
        Repository::create(&dir.path().join("repo"), &keys, now, expiry).unwrap();
        let principal = Self { dir, keys, store };
        for name in ["BASE", "BLD1", "BLD2"] {
            write_level(&principal.media(name), name);
            principal.package(name, now);
        }
        principal
    }

    /// Where a level lies as its vendor ships it.
    pub(crate) fn media(&self, name: &str) -> PathBuf {
        self.dir.path().join("media").join(name)
    }

    pub(crate) fn repo(&self) -> PathBuf {
        self.dir.path().join("repo")
    }

    pub(crate) fn repository(&self) -> Repository<'_> {
        Repository::open(&self.repo(), &self.keys).unwrap()
    }

    pub(crate) fn trees(&self, name: &str) -> BTreeMap<ComponentName, Tree> {
        let mut trees = BTreeMap::new();
        for entry in std::fs::read_dir(self.media(name)).unwrap() {
            let entry = entry.unwrap();
            let component = ComponentName::new(entry.file_name().to_str().unwrap()).unwrap();
            trees.insert(component, import_dir(&self.store, &entry.path(), &NoProgress).unwrap());
        }
        trees
    }

    pub(crate) fn manifest(&self, name: &str) -> (LevelManifest, Vec<NewTarget>) {
        let (base, new) = (self.trees("BASE"), self.trees(name));
        let mut targets = Vec::new();
        let is_base = name == "BASE";
        let components = new
            .iter()
            .map(|(component, tree)| {
                let from = base.get(component).filter(|_| !is_base);
                let servlink =
                    (from != Some(tree)).then(|| self.servlink(component, from, tree, &mut targets));
                ManifestComponent {
                    name: component.clone(),
                    base_tree: from.map(Tree::digest),
                    tree: Some(tree.digest()),
                    servlink,
                    restart: component.to_string(),
                    fixes: fixes(name, component),
                    local_mods: Vec::new(),
                }
            })
            .collect();
        let digests = |trees: &BTreeMap<ComponentName, Tree>| -> Vec<(ComponentName, Digest)> {
            trees.iter().map(|(name, tree)| (name.clone(), tree.digest())).collect()
        };
        let content = |pairs: Vec<(ComponentName, Digest)>| content_digest(pairs.iter().map(|(n, d)| (n, d)));
        let manifest = LevelManifest {
            format: 1,
            level: level(name),
            variant: Variant::default(),
            description: name.to_owned(),
            base: content(digests(&base)),
            content: content(digests(&new)),
            made: Timestamp::now(),
            components,
            excluded: Vec::new(),
            actions: Vec::new(),
        };
        (manifest, targets)
    }

    fn servlink(
        &self,
        component: &ComponentName,
        from: Option<&Tree>,
        to: &Tree,
        targets: &mut Vec<NewTarget>,
    ) -> ServlinkRef {
        let target = target::servlink(&vrm(), component, from.map(Tree::digest).as_ref(), &to.digest());
        let out = self.dir.path().join("servlink");
        let empty = Tree::new();
        let options = BuildOptions::default();
        servlink::build(from.unwrap_or(&empty), to, &self.store, &out, &options, &NoProgress).unwrap();
        let bytes = std::fs::read(&out).unwrap();
        let size = bytes.len() as u64;
        targets.push(NewTarget { name: target.clone(), source: Source::Bytes(bytes), custom: None });
        ServlinkRef { target, size }
    }

    fn package(&self, name: &str, now: Timestamp) {
        let (manifest, targets) = self.manifest(name);
        self.publish(&manifest, targets, now);
    }

    /// Publishes a manifest as TEST with the targets it needs.
    pub(crate) fn publish(&self, manifest: &LevelManifest, mut targets: Vec<NewTarget>, now: Timestamp) {
        targets.push(NewTarget {
            name: target::manifest(&manifest.level),
            source: Source::Bytes(serde_json::to_vec(manifest).unwrap()),
            custom: Some(TargetCustom {
                state: Mode::Test,
                content: manifest.content,
                generation: manifest.level.generation,
            }),
        });
        self.repository().publish(&targets, &[], now).unwrap();
    }

    /// Marks a level in the signed metadata.
    pub(crate) fn mark(&self, name: &str, state: Mode) {
        let target = target::manifest(&level(name));
        let mut repository = self.repository();
        let custom = TargetCustom { state, ..repository.custom(&target).unwrap() };
        repository.set_custom(&target, &custom, Timestamp::now()).unwrap();
    }

    /// Sends a level's files to a directory, as a transport would.
    pub(crate) fn send(&self, name: &str, to: &Path) {
        let path = self.repo().join("targets");
        let repository = self.repository();
        let wanted = target::manifest(&level(name));
        let mut names = vec![wanted.clone()];
        let bytes = repository.files_for(&[wanted]).unwrap();
        let manifest = std::fs::read(path.parent().unwrap().join(&bytes[0].path)).unwrap();
        let manifest: LevelManifest = serde_json::from_slice(&manifest).unwrap();
        names.extend(manifest.components.into_iter().filter_map(|one| Some(one.servlink?.target)));
        for file in repository.files_for(&names).unwrap() {
            let to = to.join(&file.path);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(self.repo().join(&file.path), to).unwrap();
        }
    }
}

fn fixes(level: &str, component: &ComponentName) -> Vec<AppliedFix> {
    let ids: &[&str] = match (level, component.as_str()) {
        ("BLD1", "http") => &["UM00001"],
        ("BLD2", "http") => &["UM00001", "UM00002"],
        _ => &[],
    };
    let fix = |id: &&str| AppliedFix {
        id: FixId::new(id).unwrap(),
        envelope: "rsu".to_owned(),
        superseded_by: None,
    };
    ids.iter().map(fix).collect()
}

/// A managed system.
pub(crate) struct System {
    pub(crate) home: Home,
    _dir: Option<tempfile::TempDir>,
}

impl System {
    /// Makes a system that trusts `principal` and holds BASE from install media.
    pub(crate) fn new(principal: &Principal) -> Self {
        let system = Self::bare(principal);
        tender_agent::import(&system.home, &vrm(), &principal.media("BASE"), "test", &NoProgress).unwrap();
        system
    }

    /// Makes a system that trusts `principal` and holds nothing.
    pub(crate) fn bare(principal: &Principal) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Self::make(&dir.path().join("system"), principal);
        Self { home, _dir: Some(dir) }
    }

    pub(crate) fn make(root: &Path, principal: &Principal) -> Home {
        let mut config = AgentConfig::named("VM01");
        config.free_bytes_min = 0;
        let home = Home::create(root, &config).unwrap();
        std::fs::write(home.trusted_root(), principal.keys.trusted_root()).unwrap();
        home
    }

    /// Opens a system at a place that outlives this value.
    pub(crate) fn open(root: &Path) -> Self {
        Self { home: Home::open(root).unwrap(), _dir: None }
    }

    pub(crate) fn receive(&self, principal: &Principal, name: &str) {
        principal.send(name, &self.home.received(&vrm()));
    }

    /// Queues a request; returns its id.
    pub(crate) fn queue(&self, verb: Verb) -> String {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1);
        let id = format!("r{}", COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        let request = request(&id, verb);
        assert_eq!(queue::submit(&self.home, &request).unwrap(), RequestState::Queued);
        id
    }

    pub(crate) fn result(&self, id: &str) -> RequestResult {
        queue::result(&self.home, id).unwrap().unwrap()
    }

    /// Carries out one request in this process.
    pub(crate) fn ask(&self, verb: Verb) -> RequestResult {
        self.ask_with(verb, &NoHooks)
    }

    pub(crate) fn ask_with(&self, verb: Verb, hooks: &dyn LifecycleHooks) -> RequestResult {
        let id = self.queue(verb);
        tender_agent::execute(&self.home, hooks, &NoProgress).unwrap();
        self.result(&id)
    }

    /// Carries out a request that must end well.
    pub(crate) fn done(&self, verb: Verb) -> RequestResult {
        let result = self.ask(verb);
        assert!(result.outcome.code <= ReturnCode::Warning, "{:?}", result.outcome);
        result
    }

    /// Receives a level as STABLE and puts it in production.
    pub(crate) fn produce(&self, principal: &Principal, name: &str) {
        principal.mark(name, Mode::Stable);
        self.receive(principal, name);
        self.done(load(name, Mode::Stable));
        self.done(put2prod());
    }

    pub(crate) fn info(&self) -> SystemInfo {
        tender_agent::info::system(&self.home).unwrap()
    }

    /// Returns the names of the levels in slots test, current and previous; `-` for an empty one.
    pub(crate) fn slots(&self) -> [String; 3] {
        let info = self.info();
        [info.test, info.current, info.previous]
            .map(|slot| slot.map_or_else(|| "-".to_owned(), |slot| slot.level.level.to_string()))
    }

    /// Checks that every slot that is there is exactly the level it names, with a tool that shares nothing with us.
    pub(crate) fn check_slots_are_whole(&self, principal: &Principal) {
        for (slot, name) in ["test", "current", "previous"].into_iter().zip(self.slots()) {
            if name != "-" {
                check_same(&principal.media(&name), &self.home.root().join(slot));
            }
        }
    }
}

/// Compares two directories with `diff`, links not followed.
fn check_same(expected: &Path, found: &Path) {
    let output = std::process::Command::new("diff")
        .args(["-r", "--no-dereference"])
        .arg(expected)
        .arg(format!("{}/", found.display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

pub(crate) fn request(id: &str, verb: Verb) -> Request {
    Request { protocol: PROTOCOL, id: id.to_owned(), made: Timestamp::now(), operator: "op".to_owned(), verb }
}

pub(crate) fn load(name: &str, mode: Mode) -> Verb {
    Verb::Load { level: level(name), mode, lose: Vec::new(), force: None, brings: Vec::new() }
}

pub(crate) fn put2prod() -> Verb {
    Verb::Put2prod { expect: None, acknowledged: Vec::new(), force: None }
}

/// Returns the ids of a result's messages.
pub(crate) fn ids(result: &RequestResult) -> Vec<&str> {
    result.outcome.messages.iter().map(|message| message.id.as_str()).collect()
}

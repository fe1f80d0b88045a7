//! A principal's repository with one level, and a managed system's copy of it.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tender_content::Digest;
use tender_package::manifest::{LevelManifest, target};
use tender_package::repository::{Expiry, KeyDir, NewTarget, Repository, Source, TargetCustom};
use tender_package::{LevelName, LevelRef, Mode, Variant, Vrm};

pub(crate) struct Fixture {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) keys: KeyDir,
}

impl Fixture {
    /// Makes keys and a repository; both hold for `expiry` from `now`.
    pub(crate) fn new(now: Timestamp, expiry: &Expiry) -> Self {
        // A directory with a space and a percent sign: paths must not be taken for URLs.
        let dir = tempfile::Builder::new().prefix("tender 100% ").tempdir().unwrap();
        let keys = KeyDir::create(&dir.path().join("keys"), now, expiry).unwrap();
        let mut repository = Repository::create(&dir.path().join("repo"), &keys, now, expiry).unwrap();
        repository.publish(&level_targets(Mode::Test), &[], now).unwrap();
        Self { dir, keys }
    }

    pub(crate) fn repo(&self) -> PathBuf {
        self.dir.path().join("repo")
    }

    pub(crate) fn datastore(&self) -> PathBuf {
        self.dir.path().join("datastore")
    }

    pub(crate) fn open(&self) -> Repository<'_> {
        Repository::open(&self.repo(), &self.keys).unwrap()
    }

    /// Copies what a receiver of the level needs into a directory of its own.
    pub(crate) fn receive(&self, into: &Path) {
        let names = [target::manifest(&level()), SERVLINK.to_owned()];
        for file in self.open().files_for(&names).unwrap() {
            let to = into.join(&file.path);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(self.repo().join(&file.path), to).unwrap();
        }
    }
}

pub(crate) const SERVLINK: &str = "720/servlinks/http-000000000000-111111111111.servlink";

pub(crate) fn level() -> LevelRef {
    LevelRef { vrm: Vrm::new("720").unwrap(), level: LevelName::new("VM010102_BLD1").unwrap(), generation: 1 }
}

pub(crate) fn content() -> Digest {
    Digest::of(b"content")
}

fn level_targets(state: Mode) -> Vec<NewTarget> {
    let manifest = LevelManifest {
        format: 1,
        level: level(),
        variant: Variant::default(),
        description: "Initial RSU Install".to_owned(),
        base: Digest::of(b"base"),
        content: content(),
        made: Timestamp::UNIX_EPOCH,
        components: Vec::new(),
        excluded: Vec::new(),
        actions: Vec::new(),
    };
    vec![
        NewTarget {
            name: target::manifest(&level()),
            source: Source::Bytes(serde_json::to_vec(&manifest).unwrap()),
            custom: Some(TargetCustom { state, content: content(), generation: 1 }),
        },
        NewTarget { name: SERVLINK.to_owned(), source: Source::Bytes(vec![7; 300_000]), custom: None },
    ]
}

//! Configurations in a directory of their own.

use std::fs;
use std::path::{Path, PathBuf};

use tender_config::{ConfigPath, Configuration, Load, Report};

/// A copy of the fixtures.
pub(crate) struct Fixture {
    pub(crate) directory: tempfile::TempDir,
}

impl Fixture {
    /// Copies the fixtures, and puts their places into them.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"), directory.path());
        let fixture = Self { directory };
        for file in ["zowe.yaml", "v1/zowe.yaml", "v1/instance/instance.env"] {
            let text = fs::read_to_string(fixture.path(file)).unwrap();
            let place = |name: &str| fixture.path(name).display().to_string();
            let text = text
                .replace("@RUNTIME@", &place("runtime"))
                .replace("@EXTENSIONS@", &place("extensions"))
                .replace("@KEYSTORE@", &place("v1/keystore"));
            fs::write(fixture.path(file), text).unwrap();
        }
        fixture
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// Changes a piece of a file.
    pub(crate) fn replace(&self, name: &str, old: &str, new: &str) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(old), "{name} has no `{old}`");
        fs::write(self.path(name), text.replacen(old, new, 1)).unwrap();
    }

    /// Loads files, the first with the highest precedence.
    pub(crate) fn load(&self, names: &[&str]) -> (Configuration, Report) {
        Configuration::load(&self.request(names)).unwrap()
    }

    pub(crate) fn request(&self, names: &[&str]) -> Load {
        Load::new(ConfigPath::files(names.iter().map(|name| self.path(name)).collect()).unwrap())
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir_all(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

//! An instance in a directory of its own, with components made of scripts.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tender_launcher::instance::{Instance, Place};
use tender_launcher::prepare::{PrepareRequest, Prepared, prepare};
use tender_launcher::progress::Silent;
use tender_launcher::summary::{Outcome, Phase, Row};
use tender_supervisor::console::{InstanceStatus, State};

/// Long enough for a machine that does other things too.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct World {
    pub(crate) dir: TempDir,
    settings: String,
}

impl World {
    pub(crate) fn new() -> Self {
        let world = Self { dir: TempDir::with_prefix("tender-launcher-").unwrap(), settings: String::new() };
        for name in ["runtime", "extensions"] {
            fs::create_dir(world.path(name)).unwrap();
        }
        world.product("1.0.0");
        world.write_settings("", "");
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn product(&self, version: &str) {
        let manifest = format!("{{\"name\":\"Sample\",\"version\":\"{version}\"}}\n");
        fs::write(self.path("runtime/manifest.json"), manifest).unwrap();
    }

    /// Writes `zowe.yaml` with more keys below `zowe` and more at the top.
    pub(crate) fn write_settings(&self, zowe: &str, top: &str) {
        let at = |name: &str| self.path(name).display().to_string();
        let text = format!(
            "zowe:\n  runtimeDirectory: {}\n  workspaceDirectory: {}\n  logDirectory: {}\n  extensionDirectory: {}\n  \
             job: {{ name: ZWE1SV, prefix: ZWE1 }}\n  externalDomains: [localhost]\n  \
             launcher: {{ restartIntervals: [0, 1], minUptime: 90 }}\n{zowe}{}{top}",
            at("runtime"),
            at("instance/workspace"),
            at("instance/logs"),
            at("extensions"),
            self.settings
        );
        fs::create_dir_all(self.path("instance")).unwrap();
        fs::write(self.path("instance/zowe.yaml"), text).unwrap();
    }

    /// Adds a component below `components/` of the product: a manifest and scripts.
    pub(crate) fn component(&self, name: &str, manifest: &str, scripts: &[(&str, &str)]) -> PathBuf {
        make_component(&self.path("runtime/components").join(name), name, manifest, scripts)
    }

    pub(crate) fn instance(&self) -> Instance {
        Instance::open(&Place::Directory(self.path("instance")), None).unwrap()
    }

    pub(crate) fn request(&self) -> PrepareRequest {
        PrepareRequest { script_limit_ms: 60_000, ..PrepareRequest::full(program()) }
    }

    pub(crate) fn prepare(&self) -> Prepared {
        prepare(&self.instance(), &self.request(), &Silent).unwrap()
    }

    pub(crate) fn workspace(&self, name: &str) -> PathBuf {
        self.path("instance/workspace").join(name)
    }

    /// Returns the HA instance id: that of this system.
    pub(crate) fn ha_id(&self) -> String {
        self.instance().identity().unwrap().ha_id
    }

    pub(crate) fn status(&self) -> Option<InstanceStatus> {
        tender_launcher::launch::status(&self.path("instance"), &self.ha_id())
    }

    /// Waits until the running instance is so.
    pub(crate) fn await_status(&self, wanted: impl Fn(&InstanceStatus) -> bool) -> InstanceStatus {
        await_some("the status that is waited for", || self.status().filter(&wanted))
    }
}

/// Waits until there is something.
pub(crate) fn await_some<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} does not come");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

pub(crate) fn make_component(root: &Path, name: &str, manifest: &str, scripts: &[(&str, &str)]) -> PathBuf {
    fs::create_dir_all(root.join("bin")).unwrap();
    let text = format!(
        "name: {name}\nid: org.example.component-{}\nversion: 1.0.0\n{manifest}",
        name.replace(['_', '.'], "-")
    );
    fs::write(root.join("manifest.yaml"), text).unwrap();
    for (file, text) in scripts {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    root.to_owned()
}

/// The example that stands for the `tender` program.
pub(crate) fn program() -> &'static Path {
    static PROGRAM: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    PROGRAM.get_or_init(|| {
        let test = std::env::current_exe().unwrap();
        let program = test.parent().unwrap().parent().unwrap().join("examples/launch");
        assert!(program.exists(), "{} is built with the tests", program.display());
        program
    })
}

pub(crate) fn row<'p>(prepared: &'p Prepared, phase: Phase, name: &str) -> &'p Row {
    let summary = prepared.phases.iter().find(|summary| summary.phase == phase);
    let summary = summary.unwrap_or_else(|| panic!("phase {phase:?} was gone through: {prepared:#?}"));
    summary
        .rows
        .iter()
        .find(|row| row.name == name)
        .unwrap_or_else(|| panic!("{name} has a row: {summary:#?}"))
}

pub(crate) fn outcome(prepared: &Prepared, phase: Phase, name: &str) -> Outcome {
    row(prepared, phase, name).outcome
}

pub(crate) fn state_of(status: &InstanceStatus, name: &str) -> Option<State> {
    status.components.iter().find(|component| component.name == name).map(|component| component.state)
}

/// Returns a port that nobody uses at the moment.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Settings that enable components.
pub(crate) fn enabled(names: &[&str]) -> String {
    let lines = names.iter().map(|name| format!("  {name}: {{ enabled: true }}\n"));
    format!("components:\n{}", lines.collect::<String>())
}

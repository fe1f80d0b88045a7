//! Published clients, fetched when they are first needed and kept below `target/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The clients the tests were written against.
const EUREKA_CLIENTS: &[&str] = &["eureka-js-client@4.5.0", "@zowe/apiml-onboarding-enabler-nodejs@3.2.6"];
const ZOWE_CLI: &[&str] = &["@zowe/cli@8.31.2"];
const PYPI: &str = "py-eureka-client==0.13.3";
/// What they need is taken as of this day.
const BEFORE: &str = "2026-11-25";
const ATTEMPTS: usize = 3;

/// Returns a `node_modules` with both clients of discovery.
pub(crate) fn eureka_clients() -> &'static Path {
    static MODULES: OnceLock<PathBuf> = OnceLock::new();
    MODULES.get_or_init(|| npm("discovery-npm", EUREKA_CLIENTS))
}

/// Returns a `node_modules` with the Zowe CLI.
pub(crate) fn zowe_cli() -> &'static Path {
    static MODULES: OnceLock<PathBuf> = OnceLock::new();
    MODULES.get_or_init(|| npm("zowe-cli-npm", ZOWE_CLI))
}

fn npm(directory: &str, packages: &[&str]) -> PathBuf {
    let prefix = Path::new(env!("CARGO_TARGET_TMPDIR")).join(directory);
    let (modules, done) = (prefix.join("node_modules"), prefix.join(packages.join(" ").replace('/', "_")));
    if done.exists() {
        return modules;
    }
    fs::create_dir_all(&prefix).unwrap();
    let mut said = String::new();
    for _ in 0..ATTEMPTS {
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund"]);
        npm.args(["--no-package-lock", "--prefix"]).arg(&prefix);
        let output = run(npm.arg(format!("--before={BEFORE}")).args(packages));
        if output.status.success() {
            fs::write(&done, "").unwrap();
            return modules;
        }
        said = text(&output);
    }
    panic!("npm did not give {} in {ATTEMPTS} attempts; this test needs them: {said}", packages.join(" "));
}

/// Returns a Python that has the client of PyPI.
pub(crate) fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join("discovery-python");
        let python = venv.join("bin/python");
        let has_it = |python: &Path| {
            python.exists()
                && run(Command::new(python).args(["-c", "import py_eureka_client"])).status.success()
        };
        if has_it(&python) {
            return python;
        }
        let made = run(Command::new("python3").args(["-m", "venv"]).arg(&venv));
        assert!(
            made.status.success(),
            "python3 -m venv failed (Debian package python3-venv): {}",
            text(&made)
        );
        let mut said = String::new();
        for _ in 0..ATTEMPTS {
            let pip = run(Command::new(&python).args(["-m", "pip", "install", "--quiet", PYPI]));
            if pip.status.success() && has_it(&python) {
                return python;
            }
            said = text(&pip);
        }
        panic!("PyPI did not give {PYPI} in {ATTEMPTS} attempts; this test needs it: {said}");
    })
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{:?} does not start: {error}", command.get_program()))
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
